"""The values that every part speaks about: requests, the entries below them, people, rules, decisions.

All are frozen; nothing is mutated on its way through the flow.  Times are aware UTC datetimes,
durations carry their unit in the name, digests are raw bytes of length 32, distinguished names
are strings in the normal form of `ipa_tpi.adapters.directory.normal_dn` (lower case, no spaces
around separators), principals are canonical names with their realm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

T = TypeVar("T", bound="Child")
Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


class State(StrEnum):
    """The states of a request (K12); `Outcome` holds those that a result can set."""

    AWAITING_PREVIEW = "awaiting-preview"
    PENDING = "pending"
    APPROVED = "approved"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FAILED = "failed"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INDETERMINATE = "indeterminate"


class Outcome(StrEnum):
    """What a result entry may say; it is the request's state from then on."""

    EXECUTED = "executed"
    FAILED = "failed"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INDETERMINATE = "indeterminate"


class Purpose(StrEnum):
    """What a proof is about; part of the text under the MIC (DESIGN section 5)."""

    REQUEST = "request"
    APPROVE = "approve"
    DENY = "deny"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"
    OFFLINE = "offline"


class Right(StrEnum):
    """What a rule gives."""

    REQUEST = "request"
    APPROVE = "approve"


class Kind(StrEnum):
    """What an account is; only people approve and count (K02)."""

    PERSON = "person"
    HOST = "host"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Account:
    """A directory entry that has a Kerberos principal, as read at one moment.

    Attributes:
        dn: Its distinguished name, in normal form.
        unique_id: ipaUniqueID (or nsUniqueId where there is none); survives renames.
        principal: krbCanonicalName.
        kind: Person, host or service, by the container that holds it.
        persons: All values of the configured person attribute; empty where none is configured.
        member_of: Normal DNs of all groups and roles, nested ones included.
        disabled: nsAccountLock is anything but FALSE or absent.
        expires: krbPrincipalExpiration, or None.
        created: createTimestamp.
        display_name: For people to read.
    """

    dn: str
    unique_id: str
    principal: str
    kind: Kind
    created: datetime
    persons: tuple[str, ...] = ()
    member_of: frozenset[str] = frozenset()
    disabled: bool = False
    expires: datetime | None = None
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A target host: where it lies and which host groups hold it."""

    dn: str
    fqdn: str
    member_of: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Group:
    """A group, role, privilege or permission as an entry: when it was last changed, and what it is in."""

    dn: str
    modified: datetime
    member_of: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stage:
    """So many members of one group have to approve, when all stages of a lower order are complete (K08)."""

    order: int
    count: int
    group: str


@dataclass(frozen=True, slots=True)
class Operation:
    """The definition of an operation, strictly loaded (`decide.definition.load_operation`).

    Attributes:
        required_groups: Normal DNs; each must be represented among those who approve.
        stages: What must be approved in which order; empty where order does not matter.
        validation_program: File name of the program that must accept it; empty for none.
        indicators: Authentication indicators, one of which every proof's ticket must bear; empty for any.
        fresh_seconds: How old the authentication behind a proof's own ticket may be; 0 for any.
        minimum_age_seconds: Accounts and memberships that are younger do not count; 0 for any.
    """

    dn: str
    name: str
    digest: bytes
    enabled: bool
    parameters: Mapping[str, "ParameterRule"]
    required_approvals: int
    approval_seconds: int
    execution_seconds: int
    timeout_seconds: int
    interfaces: frozenset[str]
    description: str = ""
    reason_pattern: str = ""
    ticket_pattern: str = ""
    pending_limit: int = 0
    destructive: bool = False
    required_groups: frozenset[str] = frozenset()
    stages: tuple[Stage, ...] = ()
    validation_program: str = ""
    indicators: frozenset[str] = frozenset()
    fresh_seconds: int = 0
    minimum_age_seconds: int = 0


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """What one parameter of an operation may be.

    Attributes:
        pattern: A regular expression that the whole value must match.
        values: If not empty, the only values allowed.
        lines: It may have several lines, and be long: a certificate request, a configuration.
    """

    pattern: str
    values: frozenset[str] = frozenset()
    lines: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the HBAC kind: who may request or approve which operations on which hosts."""

    dn: str
    name: str
    enabled: bool
    rights: frozenset[Right]
    members: frozenset[str] = frozenset()
    all_users: bool = False
    requesting: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    all_hosts: bool = False
    operations: frozenset[str] = frozenset()
    all_operations: bool = False


@dataclass(frozen=True)
class Policy:
    """All that LDAP says about who may do what.

    Attributes:
        rules: Every rule, however many; of a part, every rule that names one of its operations.
        operations: By lower-case name; only those that loaded.
        malformed: By lower-case name, why a definition did not load.
        operation_groups: Normal DN of an operation group to the normal DNs of its members, which may
            be groups again.
        broken_rules: Why a rule gives nothing although it is there, by its normal DN.
        broken_names: What these rules are called, by the same DNs.
        whole: Whether this is all; otherwise it is all that is about the operations that were asked for.
    """

    rules: tuple[Rule, ...]
    operations: Mapping[str, Operation]
    malformed: Mapping[str, str] = field(default_factory=dict)
    operation_groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    broken_rules: Mapping[str, str] = field(default_factory=dict)
    broken_names: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True

    def rules_for(self, operation_dn: str) -> tuple[Rule, ...]:
        """Give the rules that name an operation, itself or by a group of operations, or all operations.

        The index is made at the first call; each further call costs the same however many rules there are.
        """
        return self._index.get(operation_dn, self._for_all)

    @cached_property
    def _for_all(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.all_operations)

    @cached_property
    def _index(self) -> Mapping[str, tuple[Rule, ...]]:
        named: dict[str, dict[int, Rule]] = {}
        for number, rule in enumerate(self.rules):
            for dn in self._expanded(rule.operations):
                named.setdefault(dn, {})[number] = rule
        always = {number: rule for number, rule in enumerate(self.rules) if rule.all_operations}
        return {
            dn: tuple(rule for _, rule in sorted((found | always).items())) for dn, found in named.items()
        }

    def _expanded(self, names: frozenset[str]) -> frozenset[str]:
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:  # groups that hold each other end here
                found.add(name)
                waiting += self.operation_groups.get(name, ())
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class FloorOperation:
    """What a host's floor file says of one operation; policy can tighten it, never loosen it (X13)."""

    required_approvals: int
    proof: bool
    instances: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    fresh_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Floor:
    """The root-owned floor file of a target (X13)."""

    operations: Mapping[str, FloorOperation]
    person_attribute: str = ""
    clock_skew_seconds: int = 5
    pending_per_person: int = 10
    pending_per_operation: int = 3


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its requester wrote it; `creator`, `created` and `dn` are the directory's word."""

    id: str
    operation: str
    operation_digest: bytes
    target: str
    executor: str
    parameters: Mapping[str, str]
    reason: str
    ticket: str
    interface: str
    digest: bytes
    dn: str
    creator: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Child:
    """An entry below a request: the part that all classes share.

    Attributes:
        entry_id: ipaTpiEntryId, chosen by whoever wrote it.
        creator: creatorsName in normal form; who wrote it, by the directory's word.
        created: createTimestamp.
        conflict: The entry is a replication conflict; it can deny and never allow.
    """

    entry_id: str
    dn: str
    creator: str
    created: datetime
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Preview(Child):
    """What the target would do: the stored canonical bytes, and the digest beside them."""

    body: bytes = b""
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Approval(Child):
    """A person's yes to an approval digest."""

    digest: bytes = b""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Denial(Child):
    """A person's no."""

    digest: bytes = b""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawal(Child):
    """A person takes back the voice given earlier; it cannot be given again."""

    digest: bytes = b""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Cancellation(Child):
    """The requester no longer wants it."""

    digest: bytes = b""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Proof(Child):
    """An opaque GSS token and a MIC, for the executor of the target alone."""

    kind: str = "gss"
    purpose: str = ""
    digest: bytes = b""
    token: bytes = b""
    mic: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt(Child):
    """The executor verified the proof with the entry id `refers_to`: outcome `verified`, or a refusal's code.

    With the outcome `ticket-missing` it says that no ticket is held of what that proof yielded, or that none ever came
    where `refers_to` is the request's own id.
    """

    refers_to: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Execution(Child):
    """The executor took the request; `nonce` stands in its journal."""

    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Result(Child):
    """The end of a request."""

    outcome: str = ""
    exit_status: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Subtree:
    """A request with all entries below it, in no order.

    Attributes:
        malformed: Why an entry below was not readable as exactly one known class, by its DN.
    """

    request: Request
    children: tuple[Child, ...] = ()
    malformed: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: type[T]) -> tuple[T, ...]:
        """Give the children of one class, oldest first.

        Args:
            kind: The class.

        Returns:
            Them, by creation time and then entry id.
        """
        found = [child for child in self.children if type(child) is kind]
        return tuple(sorted(found, key=lambda child: (child.created, child.entry_id)))


@dataclass(frozen=True, slots=True)
class Allow:
    """Yes, and the name of what said so."""

    by: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """Neither yes nor no: something may still come (an approval, a proof, a preview)."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """No, with a stable code and what a person should know and do."""

    code: str
    message: str
    outcome: Outcome = Outcome.DENIED
