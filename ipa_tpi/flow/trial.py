"""What the policy says of a user, an operation and a host, before anybody asks for it (R-X10).

Nothing is written.  The rights are judged by what judges the real thing, on a request that is only
thought of: made now, by the user, or by somebody else where the user would approve it.  What only
the real thing can tell is left out: how many requests wait, and what reason, ticket and proof are given.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from ipa_tpi.decide.approval import Terms
from ipa_tpi.decide.authorization import judge_requester, judge_voice, terms_of
from ipa_tpi.decide.definition import is_reading
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.decide.intake import check_parameters
from ipa_tpi.decide.policy import granting, usable_operation
from ipa_tpi.decide.proof import Demands
from ipa_tpi.decide.quorum import Demand, check_satisfiable
from ipa_tpi.errors import BadInputError, NotFoundError
from ipa_tpi.flow.reading import Reading, Site
from ipa_tpi.model import Account, Kind, Operation, Policy, Refuse, Request, Right, Rule
from ipa_tpi.ports import Directory

_GROUP: Final = re.compile(r"[\w.-]+( [\w.-]+)*", re.ASCII)
# Somebody else than anybody: who would have asked for what the user would approve.
_SOMEBODY: Final = Account("", "", "", Kind.PERSON, datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be tried.

    Attributes:
        operation: Its name.
        host: The target's name; empty for this server.
        user: Whose rights, with or without the realm; empty for nobody's.
        rights: Which.
        parameters: What the operation would be asked for with; empty leaves them open.
        groups: Groups and roles that the user is taken for a member of, by their names.
    """

    operation: str
    host: str = ""
    user: str = ""
    rights: tuple[Right, ...] = (Right.REQUEST, Right.APPROVE)
    parameters: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the user has a right.

    Attributes:
        right: Which.
        rules: Those that give it, whatever else stands against it; the first is the one that is named as its source.
        refusal: Why it cannot be used, with the nearest miss where no rule gives it; None where it can.
    """

    right: Right
    rules: tuple[Rule, ...]
    refusal: Refuse | None


@dataclass(frozen=True, slots=True)
class Trial:
    """The answer.

    Attributes:
        question: With the name of the host.
        account: The user's, with the memberships that were added; None where nobody was asked about.
        verdicts: For each right.
        definition: The operation's; None where it is malformed.
        terms: What definition and floor demand; None where the definition is malformed.
        demands: What they demand of proofs.
        floor_known: The host is this server, so that its floor was looked at.
        requesters: How many different people could ask for it.
        approvers: How many different people could approve it when the user (or somebody else) asked.
        unsatisfiable: Why those are not enough; None where they are.
        policy: All rules and operations, the broken ones too.
    """

    question: Question
    account: Account | None
    verdicts: tuple[Verdict, ...]
    definition: Operation | None
    terms: Terms | None
    demands: Demands
    floor_known: bool
    requesters: int
    approvers: int
    unsatisfiable: Refuse | None
    policy: Policy


def try_policy(
    question: Question, account: Account | None, reading: Reading, directory: Directory, site: Site
) -> Trial:
    """Judge a request that is only thought of.

    Args:
        question: What is to be tried.
        account: That of `question.user`.
        reading: The caller's reads of this moment.
        directory: Bound as the caller.
        site: Where this is.

    Returns:
        The answer.

    Raises:
        NotFoundError: There is no such operation, host or group.
    """
    question = replace(question, host=(question.host or site.host).lower())
    policy = reading.policy_for({question.operation})
    usable = usable_operation(policy, question.operation)
    if isinstance(usable, Refuse) and usable.code == "unknown-operation":
        raise NotFoundError(usable.message)
    if reading.host(question.host) is None:
        raise NotFoundError(f"the directory knows no host {question.host!a}; see: ipa-tpi hosts")
    if account is not None:
        account = _joined(account, question.groups, directory, site)
    known = policy.operations.get(question.operation)
    if known is None:
        refusal = usable if isinstance(usable, Refuse) else None
        verdicts = tuple(Verdict(right, (), refusal) for right in question.rights if account is not None)
        return Trial(
            question,
            account,
            verdicts,
            definition=None,
            terms=None,
            demands=Demands(),
            floor_known=False,
            requesters=0,
            approvers=0,
            unsatisfiable=refusal,
            policy=policy,
        )
    return _Try(question, account, known, usable, reading, directory, site).answer()


def able_approvers(
    request: Request, requester: Account, operation: Operation, reading: Reading, people: Collection[Account]
) -> dict[str, frozenset[str]]:
    """Find who could approve a request.

    Args:
        request: It.
        requester: Who makes it.
        operation: A definition.
        reading: The caller's reads of this moment.
        people: Everybody with the approvers' role.

    Returns:
        By person, his groups; several accounts of one person are one.
    """
    for account in people:
        reading.know(account)
    if operation.minimum_age_seconds:
        reading.known({account.dn for account in people})
    setting = reading.setting(operation, request.target)
    able: dict[str, frozenset[str]] = {}
    for account in people:
        voice = judge_voice(account, request, requester, setting)
        if voice.refusal is None and voice.identity is not None:
            person = voice.identity.person or voice.identity.dn
            able[person] = able.get(person, frozenset()) | voice.groups
    return able


@dataclass(frozen=True, slots=True)
class _Try:
    """One try of an operation that is known, usable or not."""

    question: Question
    account: Account | None
    operation: Operation
    usable: Operation | Refuse
    reading: Reading
    directory: Directory
    site: Site

    def answer(self) -> Trial:
        request, here = self._request(), self.question.host == self.site.host
        if self.account is not None:
            self.reading.know(self.account)
            if self.operation.minimum_age_seconds:
                self.reading.known({self.account.dn})
        floor = self.reading.floor_of(request)
        terms = terms_of(self.operation, floor, self.account or _SOMEBODY)
        able = able_approvers(
            request,
            self.account or _SOMEBODY,
            self.operation,
            self.reading,
            self.directory.candidates(self.site.approve_permission),
        )
        lacks = (
            None if is_reading(self.operation.name) else check_satisfiable(self.operation, terms.demand, able)
        )
        return Trial(
            question=self.question,
            account=self.account,
            verdicts=tuple(
                Verdict(
                    right,
                    granting(
                        self.reading.policy_for({self.operation.name}),
                        right,
                        self.account,
                        self.operation,
                        self.reading.host(self.question.host),
                    ),
                    self._refusal(right, request, self.account, terms.demand, lacks),
                )
                for right in self.question.rights
                if self.account is not None
            ),
            definition=self.operation,
            terms=terms,
            demands=self.reading.demands_of(request, self.operation),
            floor_known=here,
            requesters=self._requesters(request),
            approvers=len(able),
            unsatisfiable=lacks,
            policy=self.reading.policy_for({self.operation.name}),
        )

    def _refusal(
        self, right: Right, request: Request, account: Account, demand: Demand, lacks: Refuse | None
    ) -> Refuse | None:
        if isinstance(self.usable, Refuse):
            return self.usable
        setting = self.reading.setting(self.operation, request.target)
        if right is Right.APPROVE:
            if is_reading(self.operation.name):
                return Refuse("already-decided", "it only reads, so nobody has to approve it; ask for it")
            return judge_voice(account, request, _SOMEBODY, setting).refusal
        return (
            judge_requester(request, account, setting)
            or self._check_role(account)
            or (check_parameters(request.parameters, self.operation) if request.parameters else None)
            or self.reading.check_floor(request)
            or self._check_served()
            # What one approver is enough for is taken, and waits for one: as `Flow.create` does.
            or (lacks if demand != Demand(1) else None)
        )

    def _check_role(self, account: Account) -> Refuse | None:
        if self.site.request_permission in account.member_of:
            return None
        return Refuse(
            "no-rule",
            f"{account.principal} lacks the role of a requester, so the directory takes no request of his; "
            "ask an administrator for the role",
        )

    def _check_served(self) -> Refuse | None:
        if self.question.host in self.directory.targets():
            return None
        return Refuse(
            "target-not-served",
            f"{self.question.host} has no executor, so nobody would run it there; see: ipa-tpi hosts",
        )

    def _requesters(self, request: Request) -> int:
        people = self.directory.candidates(self.site.request_permission)
        if self.operation.minimum_age_seconds:
            for account in people:
                self.reading.know(account)
            self.reading.known({account.dn for account in people})
        setting = self.reading.setting(self.operation, request.target)
        able = (identity_of(one) for one in people if judge_requester(request, one, setting) is None)
        return len({one.person or one.dn for one in able})

    def _request(self) -> Request:
        operation, account = self.operation, self.account or _SOMEBODY
        return Request(
            id="",
            operation=operation.name,
            operation_digest=operation.digest,
            target=self.question.host,
            executor="",
            parameters=self.question.parameters,
            reason="",
            ticket="",
            interface="",
            digest=b"",
            dn="",
            creator=account.dn,
            created=self.reading.now,
        )


def _joined(account: Account, names: Iterable[str], directory: Directory, site: Site) -> Account:
    """Give an account as it would be, had it long been a member of more groups."""
    member_of = account.member_of
    for name in names:
        if _GROUP.fullmatch(name) is None:
            raise BadInputError(f"{name[:80]!a} is no name of a group or a role; give one")
        dns = [f"cn={name},cn={kind},cn=accounts,{site.suffix}".lower() for kind in ("groups", "roles")]
        found = directory.groups(frozenset(dns))
        group = next((found[dn] for dn in dns if dn in found), None)
        if group is None:
            raise NotFoundError(f"the directory knows no group and no role {name!a}; check --member-of")
        member_of |= {group.dn} | group.member_of
    return replace(account, member_of=member_of)
