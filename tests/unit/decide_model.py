"""A slow, plain model of a request's state, written from DESIGN sections 2, 3 and 7 alone.

It lives through the life of a request second by second of its stamps, as somebody would who sat
before the directory and wrote down what the request is after each entry; `decide.approval` computes
the same from the set at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ipa_tpi.decide.approval import Case
from ipa_tpi.model import (
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Preview,
    Proof,
    Receipt,
    Result,
    State,
    Withdrawal,
)

BY_RULES = {"no-rule", "not-a-person", "self-approval", "same-person"}


@dataclass
class Life:
    """What is known after the entries that came so far."""

    case: Case
    digest: bytes
    approvals: list[Approval]
    silenced: set[str]
    vetoed: State | None = None

    def start(self) -> datetime:
        request = self.case.subtree.request
        return min(request.created, self.case.first_seen.get(request.id, request.created))

    def came(self, child: Child) -> datetime:
        return min(child.created, self.case.first_seen.get(child.entry_id, child.created))

    def counting(self) -> list[Approval]:
        """Approvals that count, in the order of their coming, one for each person."""
        people: list[set[str]] = []
        found = []
        for approval in sorted(self.approvals, key=lambda each: (self.came(each), each.entry_id)):
            voice = self.case.voices.get(approval.creator)
            if voice is None or voice.refusal is not None or voice.identity is None:
                continue
            if approval.creator in self.silenced or not self.digest or approval.digest != self.digest:
                continue
            if approval.created < self.case.subtree.request.created:
                continue
            if self.came(approval) > self.start() + timedelta(seconds=self.case.terms.approval_seconds):
                continue
            who = voice.identity
            marks = {"dn " + who.dn, "id " + who.unique_id, "name " + who.principal.lower()}
            if who.person:
                marks.add("person " + who.person)
            if any(marks & other for other in people):
                continue
            proven = any(
                (each.who, each.purpose, each.digest) == (approval.creator, "approve", self.digest)
                for each in self.case.verified
            )
            if self.case.terms.proof and not proven:
                continue
            people.append(marks)
            found.append(approval)
        return found

    def ends(self) -> datetime:
        found = self.counting()
        needed = self.case.terms.required_approvals
        if len(found) < needed:
            return self.start() + timedelta(seconds=self.case.terms.approval_seconds)
        return self.came(found[needed - 1]) + timedelta(seconds=self.case.terms.execution_seconds)

    def hear(self, veto: Child) -> None:
        """Take in a veto, if the request still lives when it comes."""
        if self.came(veto) > self.ends():
            return
        if isinstance(veto, Withdrawal):
            self.silenced.add(veto.creator)
        elif isinstance(veto, Cancellation):
            own = veto.creator == self.case.subtree.request.creator
            # Any cancellation counts before any denial; the oldest of its kind gives the state.
            if self.vetoed is None or self.vetoed is State.DENIED:
                self.vetoed = State.CANCELLED if own else State.DENIED
        elif isinstance(veto, Denial):
            voice = self.case.voices.get(veto.creator)
            counts = voice is None or voice.refusal is None or voice.forged or voice.refusal.code not in BY_RULES
            if counts and self.vetoed is None:
                self.vetoed = State.DENIED


def slow_state(case: Case, digest: bytes) -> State:
    """Tell a request's state.

    Args:
        case: The case; its previews are well-formed.
        digest: The approval digest; empty without a preview.

    Returns:
        The state.
    """
    request = case.subtree.request
    children = case.subtree.children
    ours = [child for child in children if child.creator == request.executor]
    outcomes = {child.outcome for child in ours if isinstance(child, Result)}
    if outcomes:
        return State(outcomes.pop()) if len(outcomes) == 1 else State.INDETERMINATE
    begun = [
        child.created for child in ours if isinstance(child, Execution) and not (case.own_nonce and child.nonce == case.own_nonce)
    ]
    if begun:
        span = timedelta(seconds=case.terms.execution_seconds + case.terms.timeout_seconds)
        return State.INDETERMINATE if case.now > min(begun) + span else State.EXECUTING
    life = Life(case, digest, [child for child in children if isinstance(child, Approval)], set())
    cancellations = [child for child in children if isinstance(child, Cancellation)]
    others = [child for child in children if isinstance(child, Withdrawal | Denial)]
    # A cancellation changes no window, so what it meets is the same whether denials are heard or not.
    for veto in sorted([*cancellations, *others], key=lambda each: (life.came(each), each.entry_id)):
        life.hear(veto)
    heard = _first_cancellation(case, life, cancellations)
    if heard is not None:
        return heard
    if life.vetoed is not None or _spoiled(case):
        return State.DENIED
    if case.now > life.ends():
        return State.EXPIRED
    if not digest:
        return State.AWAITING_PREVIEW
    return State.APPROVED if len(life.counting()) >= case.terms.required_approvals else State.PENDING


def _first_cancellation(case: Case, life: Life, cancellations: list[Cancellation]) -> State | None:
    heard = []
    for cancellation in cancellations:
        alone = Life(case, life.digest, life.approvals, set())
        earlier = [child for child in case.subtree.children if isinstance(child, Withdrawal)]
        key = (life.came(cancellation), cancellation.entry_id)
        for withdrawal in sorted(earlier, key=lambda each: (life.came(each), each.entry_id)):
            if (life.came(withdrawal), withdrawal.entry_id) < key:
                alone.hear(withdrawal)
        if life.came(cancellation) <= alone.ends():
            heard.append(cancellation)
    if not heard:
        return None
    first = min(heard, key=lambda each: (each.created, each.entry_id))
    return State.CANCELLED if first.creator == case.subtree.request.creator else State.DENIED


def _spoiled(case: Case) -> bool:
    request = case.subtree.request
    for child in case.subtree.children:
        official = isinstance(child, Preview | Receipt | Execution | Result)
        if official and child.creator != request.executor:
            return True
        mine = isinstance(child, Execution) and child.creator == request.executor
        if child.conflict and not (mine and case.own_nonce and child.nonce == case.own_nonce):
            return True
    previews = {child.digest for child in case.subtree.children if isinstance(child, Preview)}
    return len(previews) > 1 or bool(case.subtree.malformed) or case.blocked is not None


__all__ = ["Proof", "slow_state"]
