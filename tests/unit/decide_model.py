"""A slow, plain model of a request's state, written from DESIGN sections 2, 3 and 7 alone.

It lives through the life of a request stamp by stamp, as somebody would who sat before the directory
and wrote down what each veto met when it came; `decide.approval` computes the same from the set.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ipa_tpi.decide.approval import Case
from ipa_tpi.model import (
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Preview,
    Receipt,
    Result,
    State,
    Withdrawal,
)

BY_RULES = {"no-rule", "not-a-person", "self-approval"}


@dataclass
class Life:
    """A request's life as far as it was lived.

    Attributes:
        case: All that lies there.
        digest: The approval digest; empty without a preview.
        silenced: Who withdrew.
        heard: Denials and cancellations that came while the request lived.
    """

    case: Case
    digest: bytes
    silenced: set[str] = field(default_factory=set)
    heard: list[Child] = field(default_factory=list)

    def live(self) -> None:
        """Let the vetoes come, one after the other."""
        vetoes = [
            child
            for child in self.case.subtree.children
            if isinstance(child, Withdrawal | Denial | Cancellation)
        ]
        for veto in sorted(vetoes, key=self.turn):
            if self.turn(veto)[0] > self.ends():
                continue
            if isinstance(veto, Withdrawal):
                self.silenced.add(veto.creator)
            self.heard.append(veto)

    def turn(self, child: Child) -> tuple[datetime, str]:
        """Tell when an entry came."""
        return min(child.created, self.case.first_seen.get(child.entry_id, child.created)), child.entry_id

    def window(self) -> datetime:
        """Tell until when approvals may come."""
        request = self.case.subtree.request
        start = min(request.created, self.case.first_seen.get(request.id, request.created))
        return start + timedelta(seconds=self.case.terms.approval_seconds)

    def counting(self) -> list[Approval]:
        """Give the approvals that count, in the order of their coming, one for each person."""
        people: list[set[str]] = []
        found = []
        approvals = [child for child in self.case.subtree.children if isinstance(child, Approval)]
        for approval in sorted(approvals, key=self.turn):
            if not self.is_good(approval):
                continue
            who = self.case.voices[approval.creator].identity
            assert who is not None
            marks = {"dn " + who.dn, "id " + who.unique_id, "name " + who.principal.lower()}
            marks |= {"person " + who.person} if who.person else set()
            if any(marks & other for other in people):
                continue
            if not self.is_proven(approval):
                continue
            people.append(marks)
            found.append(approval)
        return found

    def is_good(self, approval: Approval) -> bool:
        """Would it count, taken by itself?"""
        voice = self.case.voices.get(approval.creator)
        allowed = voice is not None and voice.refusal is None and voice.identity is not None
        on_this = self.digest != b"" and approval.digest == self.digest
        in_time = (
            self.turn(approval)[0] < self.window() and approval.created >= self.case.subtree.request.created
        )
        return allowed and on_this and in_time and approval.creator not in self.silenced

    def is_proven(self, approval: Approval) -> bool:
        """Did the executor verify its proof, where one is needed?"""
        wanted = (approval.creator, "approve", self.digest)
        return not self.case.terms.proof or any(tuple(proof) == wanted for proof in self.case.verified)

    def ends(self) -> datetime:
        """Tell until when it lives, as it stands."""
        found, needed = self.counting(), self.case.terms.required_approvals
        if len(found) < needed:
            return self.window()
        return self.turn(found[needed - 1])[0] + timedelta(seconds=self.case.terms.execution_seconds)


def slow_state(case: Case, digest: bytes) -> State:
    """Tell a request's state.

    Args:
        case: The case; its previews are well-formed.
        digest: The approval digest; empty without a preview.

    Returns:
        The state.
    """
    request, children = case.subtree.request, case.subtree.children
    ours = [child for child in children if child.creator == request.executor]
    outcomes = {child.outcome for child in ours if isinstance(child, Result)}
    if outcomes:
        return State(outcomes.pop()) if len(outcomes) == 1 else State.INDETERMINATE
    begun = [child.created for child in ours if isinstance(child, Execution) and not _is_intent(case, child)]
    if begun:
        span = timedelta(seconds=case.terms.execution_seconds + case.terms.timeout_seconds)
        return State.INDETERMINATE if case.now > min(begun) + span else State.EXECUTING
    life = Life(case, digest)
    life.live()
    cancellations = [veto for veto in life.heard if isinstance(veto, Cancellation)]
    if cancellations:
        own = any(each.creator == request.creator for each in cancellations)
        return State.CANCELLED if own else State.DENIED
    if any(_denies(case, veto) for veto in life.heard) or _is_spoiled(case):
        return State.DENIED
    if case.now > life.ends():
        return State.EXPIRED
    if not digest:
        return State.AWAITING_PREVIEW
    asked = any(tuple(proof) == (request.creator, "request", case.digest) for proof in case.verified)
    if case.terms.proof and not asked:
        return State.PENDING
    return State.APPROVED if len(life.counting()) >= case.terms.required_approvals else State.PENDING


def _denies(case: Case, denial: Child) -> bool:
    voice = case.voices.get(denial.creator)
    if isinstance(denial, Withdrawal):
        return voice is not None and voice.forged
    if voice is None or voice.forged or voice.refusal is None or voice.refusal.code not in BY_RULES:
        return True
    return voice.refusal.code == "self-approval" and denial.creator != case.subtree.request.creator


def _is_intent(case: Case, child: Child) -> bool:
    return isinstance(child, Execution) and case.own_nonce != "" and child.nonce == case.own_nonce


def _is_spoiled(case: Case) -> bool:
    executor = case.subtree.request.executor
    for child in case.subtree.children:
        official = isinstance(child, Preview | Receipt | Execution | Result)
        if official and child.creator != executor:
            return True
        if child.conflict and not (child.creator == executor and _is_intent(case, child)):
            return True
    previews = {child.digest for child in case.subtree.children if isinstance(child, Preview)}
    return len(previews) > 1 or bool(case.subtree.malformed) or case.blocked is not None
