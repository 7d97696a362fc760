"""What a request stands at, judged from the caller's own reads of one moment.

The same functions judge here that judge in the executor, on other reads: what the directory shows
the caller.  So the answer is for people; the executor's own decides.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ipa_tpi.decide.approval import Case, Standing, Terms, Verified, Voice, standing
from ipa_tpi.decide.authorization import (
    Setting,
    check_definition,
    check_floor_parameters,
    judge_requester,
    judge_voice,
    terms_of,
)
from ipa_tpi.decide.definition import LONGEST_SECONDS, is_reading
from ipa_tpi.decide.digest import request_digest
from ipa_tpi.decide.policy import usable_operation
from ipa_tpi.decide.proof import VERIFIED, Demands, demands_of, is_unticketed
from ipa_tpi.errors import HTTP_STATUS
from ipa_tpi.model import (
    Account,
    Approval,
    Cancellation,
    Denial,
    Floor,
    FloorOperation,
    Group,
    HostEntry,
    Operation,
    Policy,
    Proof,
    Receipt,
    Refuse,
    Request,
    Subtree,
    Withdrawal,
)
from ipa_tpi.ports import Directory

# For a request whose definition is gone or unusable: what `load_operation` takes by default.
_DEFAULT_TERMS: Final = Terms(1, 300, 300, 60)
_NO_DEMANDS: Final = Demands()


@dataclass(frozen=True, slots=True)
class Site:
    """Where this web service stands.

    Attributes:
        host: This server's name, as requests name their target.
        realm: The Kerberos realm.
        suffix: The directory's suffix.
        floor: This host's floor.
        approve_permission: Normal DN of the permission without which the directory lets nobody
            write an approval or a denial.
        request_permission: The same for requests.
    """

    host: str
    realm: str
    suffix: str
    floor: Floor
    approve_permission: str
    request_permission: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as judged for one caller.

    Attributes:
        subtree: All that the directory showed.
        digest: The request's, recomputed (the stored one where the requester's account is gone).
        terms: What operation and floor demand.
        standing: The state with its reason.
        now: When it was judged.
        caller: For whom.
        voices: For the DN of everyone who wrote, and of the caller, what the rules say.
        blocked: Why it could not run whatever people say (operation, floor, requester); None when it could.
        names: For the same DNs and the requester's, the canonical principal where there is one.
        demands: What a proof's ticket must be (A12, X11).
    """

    subtree: Subtree
    digest: bytes
    terms: Terms
    standing: Standing
    now: datetime
    caller: Account
    voices: Mapping[str, Voice]
    names: Mapping[str, str]
    blocked: Refuse | None = None
    demands: Demands = _NO_DEMANDS

    @property
    def required_approvals(self) -> int:
        """How many approvals it needs: none where it only reads."""
        return 0 if is_reading(self.subtree.request.operation) else self.terms.required_approvals


class Reading:
    """One caller's reads: policy, accounts and hosts are each read once.

    Args:
        directory: Bound as the caller.
        site: Where this is.
        now: The moment that all is judged at.
    """

    def __init__(self, directory: Directory, site: Site, now: datetime) -> None:
        self.now = now
        self._directory = directory
        self._site = site
        self._accounts: dict[str, Account | None] = {}
        self._hosts: dict[str, HostEntry | None] = {}
        self._groups: dict[str, Group] = {}
        self._policy: Policy | None = None
        self._about: frozenset[str] = frozenset()

    @property
    def policy(self) -> Policy:
        """All rules and operations."""
        if self._policy is None or not self._policy.whole:
            self._policy = self._directory.policy()
        return self._policy

    def policy_for(self, names: Collection[str]) -> Policy:
        """Give the rules and operations, or where they are many what is about some operations.

        Args:
            names: These operations.
        """
        if self._policy is None or not (self._policy.whole or self._about.issuperset(names)):
            self._about = self._about.union(names)
            self._policy = self._directory.policy(self._about)
        return self._policy

    def know(self, account: Account) -> None:
        """Take an account that was read already."""
        self._accounts[account.dn] = account

    def meet(self, dns: Iterable[str] = (), hosts: Iterable[str] = (), principal: str = "") -> Account | None:
        """Read together accounts and hosts that are not known yet.

        Args:
            dns: Accounts, by their DNs.
            hosts: Hosts, by their names.
            principal: One more account, by its name.

        Returns:
            The account of that name.
        """
        people = self._directory.meet(
            frozenset(dns) - self._accounts.keys(), frozenset(hosts) - self._hosts.keys(), principal
        )
        self._accounts.update(people.accounts)
        self._hosts.update(people.hosts)
        if people.named is not None:
            self.know(people.named)
        return people.named

    def meet_all(self, subtrees: Iterable[Subtree]) -> None:
        """Read together everybody who is needed to judge these requests."""
        known = list(subtrees)
        dns = {dn for subtree in known for dn in people_of(subtree)}
        self.meet(dns, {subtree.request.target for subtree in known})

    def account(self, dn: str) -> Account | None:
        """Read the account at a DN."""
        if dn not in self._accounts:
            self._accounts[dn] = self._directory.account_by_dn(dn)
        return self._accounts[dn]

    def known(self, people: Collection[str]) -> None:
        """Read what the memberships of these people hang on, where an operation asks for their age.

        Args:
            people: DNs.
        """
        accounts = (self.account(dn) for dn in people)
        names = {dn for account in accounts if account is not None for dn in account.member_of}
        wanted = frozenset(names - self._groups.keys())
        if wanted:
            self._groups |= self._directory.groups(wanted)

    def host(self, fqdn: str) -> HostEntry | None:
        """Read a host's entry."""
        if fqdn not in self._hosts:
            self._hosts[fqdn] = self._directory.host(fqdn)
        return self._hosts[fqdn]

    def floor_of(self, request: Request) -> FloorOperation | None:
        """Give what the floor says of a request; None for another host's, whose floor is not known here."""
        return self._site.floor.operations.get(request.operation) if self._is_here(request) else None

    def demands_of(self, request: Request, operation: Operation) -> Demands:
        """Give what a proof's ticket must be; another host's floor is not known here, and may want more (X13)."""
        floor = self._site.floor
        return demands_of(operation, floor if self._is_here(request) else replace(floor, operations={}))

    def check_floor(self, request: Request) -> Refuse | None:
        """Refuse what this host's floor does not allow (X13); other hosts' floors are theirs to enforce."""
        if not self._is_here(request):
            return None
        floor = self.floor_of(request)
        if floor is None:
            return Refuse(
                "operation-not-on-floor",
                f"the floor of {request.target} does not allow {request.operation}; ask an administrator",
            )
        return check_floor_parameters(request, floor, request.target)

    def setting(self, operation: Operation, target: str) -> Setting:
        """Give what people are judged against."""
        return Setting(
            policy=self.policy_for({operation.name}),
            operation=operation,
            host=self.host(target),
            floor=self._site.floor,
            now=self.now,
            approve_permission=self._site.approve_permission,
            groups=self._groups if operation.minimum_age_seconds else {},
        )

    def window_start(self) -> datetime:
        """Give the time before which no request can still be alive by any definition."""
        policy = self._policy if self._policy is not None else self.policy
        spans = [
            operation.approval_seconds + 2 * operation.execution_seconds + operation.timeout_seconds
            for operation in policy.operations.values()
        ]
        longest = max([*spans, _DEFAULT_TERMS.approval_seconds + 2 * _DEFAULT_TERMS.execution_seconds])
        if not policy.whole:  # others may have any window that is allowed
            longest = LONGEST_SECONDS
        return self.now - timedelta(seconds=longest + self._site.floor.clock_skew_seconds + 60)

    def judge(self, subtree: Subtree, caller: Account) -> Seen:
        """Judge a request for a caller.

        Args:
            subtree: As the directory showed it.
            caller: A usable account.

        Returns:
            The request with its standing.
        """
        request = subtree.request
        requester = self.account(request.creator)
        policy = self.policy_for({request.operation})
        operation = usable_operation(policy, request.operation)
        digest = request_digest(request, requester.principal) if requester is not None else request.digest
        known = policy.operations.get(request.operation)
        terms = terms_of(known, self.floor_of(request), requester) if known is not None else _DEFAULT_TERMS
        people = _writers(subtree) | {caller.dn}
        if isinstance(operation, Operation) and operation.minimum_age_seconds:
            self.known(people | {request.creator})
        voices = {dn: self._voice(dn, request, requester, operation) for dn in people}
        blocked = self._blocked(request, requester, operation, digest)
        case = Case(
            subtree=subtree,
            digest=digest,
            terms=terms,
            now=self.now,
            voices=voices,
            verified=_verified(subtree),
            refused_proofs=_refused(subtree),
            unticketed=is_unticketed(subtree),
            blocked=blocked,
        )
        names = {dn: self._name(dn) for dn in people | {request.creator}}
        demands = self.demands_of(request, known) if known is not None else _NO_DEMANDS
        return Seen(subtree, digest, terms, standing(case), self.now, caller, voices, names, blocked, demands)

    def voice(self, dn: str, request: Request) -> Voice:
        """Tell what the rules say of an account that wrote, or would write, below a request.

        Args:
            dn: Its normal DN.
            request: The request.

        Returns:
            What they say.
        """
        operation = usable_operation(self.policy_for({request.operation}), request.operation)
        return self._voice(dn, request, self.account(request.creator), operation)

    def _is_here(self, request: Request) -> bool:
        return request.target == self._site.host

    def _voice(
        self, dn: str, request: Request, requester: Account | None, operation: Operation | Refuse
    ) -> Voice:
        if isinstance(operation, Refuse):
            return Voice(operation)
        if requester is None:
            return Voice(Refuse("requester-gone", "the requester's account is gone; make a new request"))
        return judge_voice(self.account(dn), request, requester, self.setting(operation, request.target))

    def _blocked(
        self, request: Request, requester: Account | None, operation: Operation | Refuse, digest: bytes
    ) -> Refuse | None:
        if isinstance(operation, Refuse):
            return operation
        refusal = (
            check_definition(request, operation)
            or self.check_floor(request)
            or judge_requester(request, requester, self.setting(operation, request.target))
        )
        if refusal is None and digest != request.digest:  # R-K10
            return Refuse(
                "digest-mismatch",
                "the digest that the request bears is not that of what it asks for; make a new request",
            )
        return refusal

    def _name(self, dn: str) -> str:
        account = self.account(dn)
        return account.principal if account is not None and account.principal else dn


def people_of(subtree: Subtree) -> frozenset[str]:
    """Give the DNs of the requester and of everybody who has spoken below a request."""
    return frozenset({subtree.request.creator, *_writers(subtree)})


def _writers(subtree: Subtree) -> set[str]:
    people = Approval | Denial | Withdrawal | Cancellation
    return {child.creator for child in subtree.children if isinstance(child, people)}


def _refused(subtree: Subtree) -> dict[tuple[str, str], str]:
    proofs = {proof.entry_id: proof for proof in subtree.of(Proof)}
    return {
        (proofs[receipt.refers_to].creator, proofs[receipt.refers_to].purpose): receipt.outcome
        for receipt in subtree.of(Receipt)
        if receipt.creator == subtree.request.executor
        and receipt.outcome in HTTP_STATUS
        and receipt.refers_to in proofs
    }


def _verified(subtree: Subtree) -> frozenset[Verified]:
    # Only the request's own executor says that a proof is verified; its receipt names the proof's entry.
    proofs = {proof.entry_id: proof for proof in subtree.of(Proof)}
    receipts = [
        receipt.refers_to
        for receipt in subtree.of(Receipt)
        if receipt.creator == subtree.request.executor and receipt.outcome == VERIFIED
    ]
    found = [proofs[entry_id] for entry_id in receipts if entry_id in proofs]
    return frozenset(Verified(proof.creator, proof.purpose, proof.digest) for proof in found)
