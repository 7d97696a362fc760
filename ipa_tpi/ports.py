"""The interfaces through which the flow and the executor reach the outside; adapters implement them.

Every method may raise the errors of `ipa_tpi.errors` and no foreign exception.  A read that
could not be completed raises; it never returns less than there is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ipa_tpi.model import Account, Group, HostEntry, Json, Policy, Proof, Refuse, Subtree


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be added: the bytes that are journalled are the bytes that are added.

    Attributes:
        entry_id: The value of its RDN: ipaTpiRequestId of a request, else ipaTpiEntryId.
        object_class: Its one class, such as ipaTpiApproval.
        attributes: Its other attributes, each with its values.
    """

    entry_id: str
    object_class: str
    attributes: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Query:
    """Which requests to list; an empty field does not restrict.

    Attributes:
        creator: DN of the requester.
        executor: DN of the executor.
        since: Only requests made at or after this time.
        prefix: Only requests whose id begins so.
        until: Only requests made at or before this time.
        operation: Only requests for this operation.
        target: Only requests that are to run on this host.
    """

    creator: str = ""
    executor: str = ""
    since: datetime | None = None
    prefix: str = ""
    until: datetime | None = None
    operation: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class People:
    """Accounts and hosts of one look.

    Attributes:
        named: The one account that bears the principal name that was asked for.
        accounts: By DN; None where there is none.
        hosts: By name; None where there is none, or several.
    """

    named: Account | None = None
    accounts: Mapping[str, Account | None] = field(default_factory=dict)
    hosts: Mapping[str, HostEntry | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heading:
    """What a list of requests is chosen by, as it lies there: no more than a hint at what `load` brings.

    Attributes:
        id: The request's id.
        created: When it was made, by the directory's clock.
        operation: What it asks for.
        executor: Normal DN of the executor that it is for.
        below: How many entries lie below it, by the directory's own count.
    """

    id: str
    created: datetime
    operation: str
    executor: str
    below: int = 0


class Directory(Protocol):
    """The directory, as one bound principal sees it."""

    def whoami(self) -> str:
        """Tell the normal DN that this connection is bound as."""

    def policy(self, about: frozenset[str] | None = None) -> Policy:
        """Read rules, operations and operation groups.

        Args:
            about: Names of operations.  Where the policy is large, only these are read, with their groups and
                every rule that names them; None reads all of it, however large.
        """

    def operations(self) -> Policy:
        """Read all operations, and no rules."""

    def account(self, principal: str) -> Account | None:
        """Read the one account that bears exactly this principal name, canonical or alias.

        Raises:
            RefusedError: Code ``ambiguous-principal`` when there are several.
        """

    def account_by_dn(self, dn: str) -> Account | None:
        """Read the account at this DN; None when there is none."""

    def meet(self, dns: Collection[str] = (), hosts: Collection[str] = (), principal: str = "") -> People:
        """Read accounts and hosts together, as `account_by_dn`, `host` and `account` read them one by one."""

    def candidates(self, permission: str) -> Sequence[Account]:
        """Read every person who has a permission, by the normal DN of it."""

    def targets(self) -> Sequence[str]:
        """List the names of the hosts that have an executor."""

    def groups(self, names: frozenset[str]) -> Mapping[str, Group]:
        """Read groups, roles, privileges and permissions by their DNs; one that cannot be read is left out."""

    def host(self, fqdn: str) -> HostEntry | None:
        """Read the entry of a host by its lower-case name."""

    def load(self, request_id: str) -> Subtree | None:
        """Read a request with everything below it; None when there is none or it may not be seen.

        Raises:
            RefusedError: Code ``malformed-request`` when the entry is not exactly a request.
        """

    def ids(self, query: Query) -> Sequence[str]:
        """List the ids of requests, malformed ones too.

        Raises:
            DirectoryLimitError: There are more than the directory gives at once.
        """

    def headings(self, query: Query) -> Sequence[Heading]:
        """List requests as `ids` does, each with what it can be chosen by."""

    def answered(self, executor: str, since: datetime, until: datetime) -> frozenset[str]:
        """List the ids of requests that bear a result.

        Args:
            executor: DN of the executor whose results count.
            since: Only results made at or after this time.
            until: Only results made at or before this time.

        Raises:
            DirectoryLimitError: As `ids`.
        """

    def spoken(self, creator: str, since: datetime | None, until: datetime | None) -> frozenset[str]:
        """List the ids of requests that bear an approval or a denial.

        Args:
            creator: DN of whose voices count.
            since: Only voices given at or after this time.
            until: Only voices given at or before this time.

        Raises:
            DirectoryLimitError: As `ids`.
        """

    def add_request(self, entry: NewEntry) -> None:
        """Add a request.

        Raises:
            DirectoryRefusedError: The directory's access control says no.
            RefusedError: Code ``id-taken``, or ``already-voiced`` where uniqueness refuses.
        """

    def add_child(self, request_id: str, entry: NewEntry) -> None:
        """Add an entry below a request; raises as `add_request`."""


@dataclass(frozen=True, slots=True)
class AcceptedProof:
    """What a verified GSS context says (DESIGN section 5).

    Attributes:
        initiator: The principal who made the context, as the KDC named it.
        delegated: The ticket was obtained by constrained delegation, or bears no PAC that could tell.
        auth_time: When the person authenticated to the KDC.
        initial: The ticket bears the INITIAL flag.
        indicators: Authentication indicators in the ticket.
        mic_valid: The MIC is over exactly the text that it should be over.
        evidence: With what to act as the initiator by constrained delegation, where the verifier keeps it;
            only ever in memory.
        evidence_seconds: For how long it is good.
    """

    initiator: str
    delegated: bool
    auth_time: datetime | None
    initial: bool
    indicators: frozenset[str]
    mic_valid: bool
    evidence: object = field(default=None, repr=False, compare=False)
    evidence_seconds: int = 0


class ProofVerifier(Protocol):
    """Accepts GSS tokens with the executor's keytab."""

    def accept(self, proof: Proof, text: bytes) -> AcceptedProof:
        """Accept the token and check the MIC over `text`.

        Raises:
            RefusedError: Code ``proof-invalid``: the token is not for us, broken, or expired.
            KerberosError: The keytab cannot be used.
        """


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit; `main_pid` is 0 where there is none."""

    active: str
    sub: str
    main_pid: int
    invocation_id: str


@dataclass(frozen=True, slots=True)
class Job:
    """How a job of systemd ended.

    Attributes:
        result: systemd's word; ``done`` is success.
        before: The unit's state before it.
        after: The unit's state after it; None where that could not be told.
    """

    result: str
    before: UnitState
    after: UnitState | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a CA says of a certificate that it has issued.

    Attributes:
        serial: ``0x`` and lower-case hexadecimal digits.
        subject: Its subject's DN, as the CA spells it.
        issuer: Its issuer's.
        status: VALID, INVALID, REVOKED, EXPIRED or REVOKED_EXPIRED.
        reason: Why it was revoked, in the CA's words; empty where it was not.
        not_after: The end of its time, RFC 3339 in UTC.
    """

    serial: str
    subject: str
    issuer: str
    status: str
    reason: str
    not_after: str


class DogtagTransport(Protocol):
    """How a call reaches a subsystem of Dogtag's, and as whom (D12)."""

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one call.

        Args:
            method: GET, POST, PUT or DELETE.
            path: Below the subsystem's REST resources, such as ``/certs/0x1``.
            body: What is sent as JSON; a text is sent as it is; None sends nothing.

        Returns:
            The HTTP status, and the answer's JSON; the text of a success that has none, else None.

        Raises:
            AuthorityUnavailableError: Nothing was sent.
            ConfigError: The same: what proves who calls is missing or unsafe.
            ActionFailedError: What proves who calls was certainly refused.
            OutcomeUnknownError: It was sent, and no answer came.
        """


@dataclass(frozen=True, slots=True)
class IssuingAuthority:
    """What a Dogtag CA says of itself, or of one of its sub-CAs (lightweight CAs).

    Attributes:
        id: A UUID, in lower case.
        subject: Its DN, as Dogtag spells it.
        issuer: Its issuer's.
        parent: The id of whose sub-CA it is; empty for the CA itself.
        serial: Of its certificate: ``0x`` and lower-case hexadecimal digits.
        enabled: It issues certificates.
        ready: It has its key; where another replica made it, that takes a while.
        description: What who made it wrote.
    """

    id: str
    subject: str
    issuer: str
    parent: str
    serial: str
    enabled: bool
    ready: bool
    description: str


class Profiles(Protocol):
    """The certificate profiles of a Dogtag CA, as one person reaches them."""

    def names(self) -> Collection[str]:
        """List the names of all profiles; raises as `read`."""

    def read(self, name: str) -> str:
        """Read a profile: its configuration and state, ``key=value`` lines, as the CA has them.

        Raises:
            RefusedError: Code ``bad-parameters``: the CA has no such profile.
            ActionFailedError: It does not show it to this person.
            AuthorityUnavailableError: The CA did not answer.
        """

    def create(self, pairs: Mapping[str, str]) -> None:
        """Make a profile, which is not enabled.

        Args:
            pairs: Its configuration, with ``profileId`` and ``classId``.

        Raises:
            ActionFailedError: The CA refused it for this person, or could not.
            OutcomeUnknownError: It may have.
            AuthorityUnavailableError: It was certainly not asked.
        """

    def replace(self, name: str, pairs: Mapping[str, str]) -> None:
        """Replace the whole configuration of a profile that is not enabled; raises as `create`."""

    def enable(self, name: str) -> None:
        """Let people enrol by a profile; raises as `create`."""

    def disable(self, name: str) -> None:
        """Let nobody enrol by a profile; raises as `create`."""


class Authorities(Protocol):
    """A Dogtag CA and its sub-CAs, as one person reaches them."""

    def known(self) -> Sequence[IssuingAuthority]:
        """List the CA and all its sub-CAs; raises as `Profiles.read`."""

    def create(self, parent: str, subject: str, description: str) -> IssuingAuthority:
        """Make a sub-CA, with a key of its own, which is enabled.

        Args:
            parent: The id of the CA that issues its certificate.
            subject: Its DN (RFC 4514).
            description: Its name, for people.

        Returns:
            What was made.

        Raises:
            ActionFailedError: The CA refused it for this person, or could not.
            OutcomeUnknownError: It may have.
            AuthorityUnavailableError: It was certainly not asked.
        """

    def enable(self, authority_id: str) -> None:
        """Let a sub-CA issue certificates; raises as `create`."""

    def disable(self, authority_id: str) -> None:
        """Let a sub-CA issue nothing; raises as `create`."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that a CA has just issued.

    Attributes:
        serial: ``0x`` and lower-case hexadecimal digits.
        pem: It; empty where it could not be fetched.
    """

    serial: str
    pem: str


class Authority(Protocol):
    """A certificate authority, as one person reaches it."""

    @property
    def profiles(self) -> Profiles:
        """Its certificate profiles."""

    @property
    def authorities(self) -> Authorities:
        """Itself, and its sub-CAs."""

    def certificate(self, serial: str) -> Certificate:
        """Read a certificate's state.

        Raises:
            RefusedError: Code ``bad-parameters``: the CA has issued none of that number.
            AuthorityUnavailableError: The CA did not answer.
        """

    def revoke(self, serial: str, reason: str) -> None:
        """Revoke a certificate, or put it on hold.

        Args:
            serial: Of the certificate.
            reason: One of the CA's words, such as ``Key_Compromise``.

        Raises:
            ActionFailedError: The CA refused it for this person, or could not.
            OutcomeUnknownError: It may have.
            AuthorityUnavailableError: It was certainly not asked.
        """

    def release(self, serial: str) -> None:
        """Take a certificate off hold; raises as `revoke`."""

    def enroll(self, profile: str, csr: str) -> Issued:
        """Ask for a certificate, of the host's own CA.

        Args:
            profile: The profile.
            csr: The certificate request, one block of PEM.

        Raises:
            ActionFailedError: The CA refused it; nothing was issued, and nothing will be.
            OutcomeUnknownError: It may have issued it, or may do so later.
            AuthorityUnavailableError: It was certainly not asked.
        """


class ServiceManager(Protocol):
    """systemd."""

    def unit_state(self, unit: str) -> UnitState:
        """Tell a unit's state.

        Raises:
            ActionFailedError: There is no such unit, or this is another name of one.
            ServiceManagerError: systemd did not answer.
        """

    def run_job(self, unit: str, verb: str, timeout_seconds: int) -> Job:
        """Start, stop, restart or reload a unit and wait for the end of the job.

        Args:
            unit: Its full, true name.
            verb: start, stop, restart or reload.
            timeout_seconds: How long the job may take.

        Raises:
            ActionFailedError: systemd certainly refused.
            ServiceManagerError: The call certainly did not reach systemd.
            OutcomeUnknownError: It may have.
        """


class Validators(Protocol):
    """The validation programs of this host (K05)."""

    def ask(self, program: str, question: Mapping[str, str], timeout_seconds: int) -> Refuse | None:
        """Run a program and wait for its answer.

        Args:
            program: Its plain file name.
            question: The environment that it gets: the TPI_ variables of the contract.
            timeout_seconds: After which it is ended, and has refused.

        Returns:
            None when it accepts, else a refusal ``validation-refused`` (or ``validation-failed`` where
            it gave no answer that the contract knows, ``validation-timeout`` where none in time).

        Raises:
            ValidatorUnavailableError: No program was started.
        """


class Audit(Protocol):
    """The audit trail: one record per event."""

    def record(self, event: str, **fields: Json) -> None:
        """Write one record, durably as far as the medium allows.

        Raises:
            AuditError: It could not be written.
        """


class Nudger(Protocol):
    """Wakes this host's executor; it commands nothing, and its failure is no failure."""

    def nudge(self, request_id: str) -> None:
        """Say that there is something new below a request."""
