"""Who could still approve a request, and why others could not (K16).

Everybody is judged by what judges an approval that is really given: `judge_voice`, then the guards of
`Flow.approve`.  What is added here is only the sum: how many of those who could are different people.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ipa_tpi.decide.approval import Voice
from ipa_tpi.decide.identity import Identity, check_distinct
from ipa_tpi.decide.quorum import check_satisfiable
from ipa_tpi.flow.guards import LIVE, check_approver
from ipa_tpi.flow.reading import Reading, Seen
from ipa_tpi.model import Account, Approval, Denial, Refuse, State

_OPEN: Final = frozenset({State.AWAITING_PREVIEW, State.PENDING})


class Chance(StrEnum):
    """What becomes of somebody's approval."""

    RECORDED = "recorded"  # it is there, and counts once its proof is verified
    CAN = "can"
    COUNTED = "counted"  # it is there and counts
    CANNOT = "cannot"


_STILL: Final = frozenset({Chance.RECORDED, Chance.CAN})


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who might approve a request.

    Attributes:
        principal: Canonical, or the entry's DN where there is none, or the name that was asked about.
        name: For people to read.
        chance: What becomes of his approval.
        refusal: Why not (yet); for who can, a remark in its message, or None.
    """

    principal: str
    name: str
    chance: Chance
    refusal: Refuse | None = None


@dataclass(frozen=True, slots=True)
class Approvers:
    """The answer to who could still approve.

    Attributes:
        seen: The request, as judged for the caller.
        candidates: Everybody with the approvers' role and everybody who has spoken, or only the one asked about.
        missing: How many approvals are still needed.
        available: How many different people could still give one that counts.
        unsatisfiable: Why those who have approved and those who still could are not enough; None when they are.
    """

    seen: Seen
    candidates: Sequence[Candidate]
    missing: int
    available: int
    unsatisfiable: Refuse | None = None

    @property
    def enough(self) -> bool:
        """Whether the request can still get, or has, the approvals that it needs."""
        return self.seen.standing.state in LIVE and self.unsatisfiable is None

    def only(
        self, principal: str, account: Account | None, refusal: Refuse | None, reading: Reading
    ) -> "Approvers":
        """Give the answer for one person, who need not have the approvers' role.

        Args:
            principal: As asked about.
            account: That of the principal; None where there is none.
            refusal: Why no account can be looked for.
            reading: The caller's reads of the same moment.

        Returns:
            The same answer with one candidate.
        """
        if account is None:
            none = Refuse(
                "unknown-principal", f"the directory has no account for {principal!a}; ask an administrator"
            )
            return replace(self, candidates=[Candidate(principal, "", Chance.CANNOT, refusal or none)])
        known = [one for one in self.candidates if one.principal == account.principal]
        if known:
            return replace(self, candidates=known)
        reading.know(account)
        voice = reading.voice(account.dn, self.seen.subtree.request)
        return replace(self, candidates=[_judge(self.seen, account.dn, account, voice)])


def find_approvers(seen: Seen, people: Iterable[Account], reading: Reading) -> Approvers:
    """Judge everybody who might approve a request.

    Args:
        seen: The request, as judged for the caller.
        people: Everybody who has the approvers' role.
        reading: The caller's reads of the same moment.

    Returns:
        The answer, candidates in the order of their chances and names.
    """
    accounts: dict[str, Account | None] = {}
    for account in people:
        reading.know(account)
        accounts[account.dn] = account
    spoken = [child.creator for kind in (Approval, Denial) for child in seen.subtree.of(kind)]
    accounts |= {dn: reading.account(dn) for dn in spoken}
    voices = {dn: reading.voice(dn, seen.subtree.request) for dn in accounts}
    judged = {dn: _judge(seen, dn, account, voices[dn]) for dn, account in accounts.items()}
    order = list(Chance)
    found: list[Candidate] = []
    different: list[Identity] = []
    able: dict[str, frozenset[str]] = {}
    for dn, candidate in sorted(
        judged.items(), key=lambda one: (order.index(one[1].chance), one[1].principal.split("@"))
    ):
        identity = voices[dn].identity
        if candidate.chance in _STILL and identity is not None:
            same = _same_person(identity, different)
            different += [identity] if same is None else []
            able |= {dn: voices[dn].groups} if same is None else {}
            candidate = replace(candidate, refusal=candidate.refusal or same)  # noqa: PLW2901
        if candidate.chance is Chance.COUNTED:
            able[dn] = voices[dn].groups
        found.append(candidate)
    missing = max(seen.required_approvals - len(seen.standing.counted), 0)
    name = seen.subtree.request.operation
    operation = reading.policy_for({name}).operations.get(name)
    lacks = check_satisfiable(operation, seen.terms.demand, able) if operation is not None else None
    return Approvers(seen, found, missing, len(different), lacks)


def _judge(seen: Seen, dn: str, account: Account | None, voice: Voice) -> Candidate:
    principal, name = _principal(dn, account), account.display_name if account is not None else ""
    own = [approval for approval in seen.subtree.of(Approval) if approval.creator == dn]
    if any(approval in seen.standing.counted for approval in own):
        return Candidate(principal, name, Chance.COUNTED)
    why = next((seen.standing.why[one.entry_id] for one in own if one.entry_id in seen.standing.why), None)
    if why is not None and why.code.startswith("proof-") and seen.standing.state in _OPEN:
        return Candidate(principal, name, Chance.RECORDED, why)
    refusal = check_approver(seen, dn, voice, _OPEN)
    if refusal is None:
        return Candidate(principal, name, Chance.CAN)
    if refusal.code == "stage-order":  # it will be his turn
        return Candidate(principal, name, Chance.CAN, refusal)
    if refusal.code == "already-voiced":
        message = _said(seen, dn)
        refusal = why or Refuse(refusal.code, message)
    return Candidate(principal, name, Chance.CANNOT, refusal)


def _said(seen: Seen, dn: str) -> str:
    said = "denied" if any(denial.creator == dn for denial in seen.subtree.of(Denial)) else "approved"
    return f"has {said} this request already; a voice is used once"


def _same_person(identity: Identity, others: Iterable[Identity]) -> Refuse | None:
    for other in others:
        same = check_distinct(other, identity)
        if same is not None:
            return Refuse(
                same.code,
                f"the same person as {other.principal}, so that only one of the two counts; ask another person",
            )
    return None


def _principal(dn: str, account: Account | None) -> str:
    return account.principal if account is not None and account.principal else dn
