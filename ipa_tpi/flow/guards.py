"""The checks of the verbs, each a question about one request and one caller; None means go on.

The refusals of decide/ are taken as they are; these add what only the verbs need: the order of
states, what was said before, and whether digest and proof are about what lies there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ipa_tpi.decide.approval import Terms, Voice
from ipa_tpi.decide.definition import is_reading
from ipa_tpi.decide.identity import check_distinct
from ipa_tpi.decide.proof import KINDS
from ipa_tpi.decide.quorum import check_turn
from ipa_tpi.flow.reading import Seen
from ipa_tpi.model import (
    Approval,
    Cancellation,
    Child,
    Denial,
    Floor,
    Operation,
    Purpose,
    Refuse,
    State,
    Withdrawal,
)
from ipa_tpi.wire import ProofBody

LIVE: Final = frozenset({State.AWAITING_PREVIEW, State.PENDING, State.APPROVED, State.EXECUTING})
_SEEN_BY_WEB: Final = frozenset({"cli", "web"})
_CLOSED: Final[Mapping[State, tuple[str, str]]] = {
    State.AWAITING_PREVIEW: ("awaiting-preview", "wait until its target has shown what it would do"),
    State.PENDING: ("not-pending", "it still waits for approvals"),
    State.APPROVED: ("already-decided", "it has all the approvals that it needs"),
    State.EXECUTING: ("already-decided", "its target has begun"),
    State.EXECUTED: ("already-decided", "it has run; for another run make a new request"),
    State.FAILED: ("already-decided", "it has run and failed; make a new request"),
    State.DENIED: ("already-decided", "make a new request"),
    State.CANCELLED: ("cancelled", "make a new request"),
    State.EXPIRED: ("expired", "make a new request"),
    State.INDETERMINATE: ("already-decided", "look at the target, then make a new request"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a proof has to be for, and on which digest (any of them)."""

    purpose: Purpose
    digests: tuple[bytes, ...]


def check_approvable(seen: Seen) -> Refuse | None:
    """May the caller approve this request now (K02, K03, A04)?

    Args:
        seen: The request, as judged for the caller.

    Returns:
        None, or the first refusal.
    """
    caller = seen.caller.dn
    return check_approver(seen, caller, seen.voices[caller], frozenset({State.PENDING}))


def check_approver(seen: Seen, dn: str, voice: Voice, states: Collection[State]) -> Refuse | None:
    """Would an approval by this account count (K02, K03, A04, K16)?

    Args:
        seen: The request.
        dn: The account's normal DN.
        voice: What the rules say of it.
        states: Those in which the answer may be yes.

    Returns:
        None, or the first refusal.
    """
    if is_reading(seen.subtree.request.operation):
        return Refuse(
            "already-decided", "it only reads, so nobody has to approve it; see what it told: ipa-tpi show ID"
        )
    return (
        voice.refusal
        or _check_unspoken(seen, dn)
        or _check_other(seen, voice)
        or check_open(seen, states)
        or _check_turn(seen, voice)
    )


def check_deniable(seen: Seen) -> Refuse | None:
    """May the caller veto this request now (K15)?

    Args:
        seen: The request, as judged for the caller.

    Returns:
        None, or the first refusal.
    """
    request = seen.subtree.request
    if request.creator == seen.caller.dn:
        return Refuse(
            "not-voter", f"you made this request yourself; to stop it run: ipa-tpi cancel {request.id}"
        )
    return seen.voices[seen.caller.dn].refusal or check_unspoken(seen) or _check_stoppable(seen)


def check_withdrawable(seen: Seen) -> Refuse | None:
    """Is there an approval by the caller that can still be taken back (K15)?

    Args:
        seen: The request, as judged for the caller.

    Returns:
        None, or the first refusal.
    """
    if not _own(seen, Approval):
        return Refuse(
            "nothing-to-withdraw", "you have not approved this request; to stop it deny it: ipa-tpi deny ID"
        )
    if _own(seen, Withdrawal):
        return Refuse(
            "nothing-to-withdraw", "you have withdrawn your approval already; look: ipa-tpi show ID"
        )
    return _check_stoppable(seen)


def check_cancellable(seen: Seen) -> Refuse | None:
    """Is it the caller's own request, and still alive?

    Args:
        seen: The request, as judged for the caller.

    Returns:
        None, or the first refusal.
    """
    if _own(seen, Cancellation):
        return Refuse(
            "cancelled",
            f"you have cancelled this request already; see what became of it: ipa-tpi show {seen.subtree.request.id}",
        )
    return _not_requester(seen) or _check_stoppable(seen)


def check_unspoken(seen: Seen) -> Refuse | None:
    """Has the caller no voice below the request yet?  A voice is used once."""
    return _check_unspoken(seen, seen.caller.dn)


def check_open(seen: Seen, states: Collection[State]) -> Refuse | None:
    """Is the request in one of these states?  If not, the refusal names the state that it is in."""
    state = seen.standing.state
    if state in states:
        return None
    code, hint = _CLOSED[state]
    if state is State.DENIED and seen.standing.code:
        code = seen.standing.code
    reason = f" ({seen.standing.message})" if seen.standing.message else ""
    return Refuse(code, f"the request is {state.value}{reason}; {hint}")


def check_about(given: str, *wanted: bytes) -> Refuse | None:
    """Is the caller's digest that of what lies here (K10)?

    Args:
        given: Lower-case hex.
        wanted: Our own digests, any of which will do; an empty one never does.

    Returns:
        None, or a refusal ``digest-mismatch``.
    """
    if bytes.fromhex(given) in [digest for digest in wanted if digest]:
        return None
    return Refuse(
        "digest-mismatch", "what you were shown is not what lies here now; look again, then decide again"
    )


def check_interface(interface: str) -> Refuse | None:
    """Is it an interface that this service can vouch for (E15)?"""
    if interface in _SEEN_BY_WEB:
        return None
    return Refuse(
        "interface-not-allowed", f"a request through {interface!a} cannot be made here; use the CLI"
    )


def check_limits(waiting: Sequence[str], operation: Operation, floor: Floor) -> Refuse | None:
    """May the caller have one more request waiting (K20)?

    Args:
        waiting: The operations of the caller's requests that wait for preview, approval or execution.
        operation: What is asked for.
        floor: Holds the limits; the operation's own may be lower.

    Returns:
        None, or a refusal ``too-many-pending``.
    """
    same = waiting.count(operation.name)
    most = min(floor.pending_per_operation, operation.pending_limit or floor.pending_per_operation)
    if len(waiting) < floor.pending_per_person and same < most:
        return None
    return Refuse(
        "too-many-pending",
        f"{len(waiting)} requests of yours are waiting, {same} of them for {operation.name} "
        f"(at most {floor.pending_per_person} and {most}); wait, or cancel one: ipa-tpi list --mine",
    )


def check_given(proof: ProofBody | None, terms: Terms) -> Refuse | None:
    """Is there a proof, where one is needed (X01)?"""
    if proof is None and terms.proof:
        return Refuse(
            "proof-missing", "an approval needs a proof with your own ticket; run: ipa-tpi approve ID"
        )
    return None


def check_proof(proof: ProofBody | None, wanted: Wanted) -> Refuse | None:
    """Does a proof say that it is for this?  Only the executor can tell whether that is true.

    Args:
        proof: As it came; None passes.
        wanted: Purpose and digests.

    Returns:
        None, or a refusal.
    """
    if proof is None:
        return None
    if proof.kind not in KINDS:
        return Refuse(
            "proof-kind-unknown", f"proofs of the kind {proof.kind!a} are not known here; update ipa-tpi"
        )
    if proof.purpose != wanted.purpose.value:
        return Refuse(
            "proof-unexpected-purpose",
            f"the proof is for {proof.purpose!a}, not for {wanted.purpose.value}; make it anew with ipa-tpi",
        )
    if bytes.fromhex(proof.digest) not in [digest for digest in wanted.digests if digest]:
        return Refuse(
            "proof-wrong-digest", "the proof is about something else than what lies here; look again"
        )
    if not proof.token or not proof.mic:
        return Refuse("proof-invalid", "the proof has no token or no signature; make it anew with ipa-tpi")
    return None


def provable(seen: Seen, purpose: str) -> Wanted | Refuse:
    """Tell what a later proof by the caller has to be on: something he asked for or said here.

    Args:
        seen: The request, as judged for the caller.
        purpose: The purpose that the proof names.

    Returns:
        What is wanted, or a refusal.
    """
    request, approval = seen.digest, seen.standing.approval_digest
    if purpose == Purpose.REQUEST:
        return _not_requester(seen) or check_open(seen, LIVE) or Wanted(Purpose.REQUEST, (request,))
    if purpose == Purpose.APPROVE:
        missing = _unsaid(seen, Approval) or check_open(seen, LIVE)
        return missing or Wanted(Purpose.APPROVE, (approval,))
    if purpose == Purpose.DENY:
        return _unsaid(seen, Denial) or Wanted(Purpose.DENY, (approval, request))
    if purpose == Purpose.WITHDRAW:
        return _unsaid(seen, Withdrawal) or Wanted(Purpose.WITHDRAW, (approval,))
    if purpose == Purpose.CANCEL:
        return _unsaid(seen, Cancellation) or Wanted(Purpose.CANCEL, (request,))
    return Refuse(
        "proof-unexpected-purpose", f"a proof for {purpose!a} is of no use here; run: ipa-tpi prove ID"
    )


def _check_unspoken(seen: Seen, dn: str) -> Refuse | None:
    if any(child.creator == dn for kind in (Approval, Denial) for child in seen.subtree.of(kind)):
        return Refuse(
            "already-voiced",
            "you have approved or denied this request already, and a voice is used once; look: ipa-tpi show ID",
        )
    return None


def _check_other(seen: Seen, voice: Voice) -> Refuse | None:
    # R-X09: a second account of somebody whose approval counts would only use its voice up.
    counted = [seen.voices[approval.creator].identity for approval in seen.standing.counted]
    if voice.identity is None:
        return None
    refusals = (check_distinct(one, voice.identity) for one in counted if one is not None)
    return next((refusal for refusal in refusals if refusal is not None), None)


def _check_turn(seen: Seen, voice: Voice) -> Refuse | None:
    # R-K08: an approval out of turn would only use its voice up.
    counted = [seen.voices[approval.creator].groups for approval in seen.standing.counted]
    return check_turn(seen.terms.demand, counted, voice.groups)


def _not_requester(seen: Seen) -> Refuse | None:
    if seen.subtree.request.creator == seen.caller.dn:
        return None
    return Refuse("not-requester", "only who made a request does this; an approver can approve or deny it")


def _check_stoppable(seen: Seen) -> Refuse | None:
    # What is only blocked (a rule is missing today) could come back to life, so a no is still taken.
    blocked = seen.blocked is not None and seen.standing.code == seen.blocked.code
    return None if blocked and seen.standing.state is State.DENIED else check_open(seen, LIVE)


def _own(seen: Seen, kind: type[Child]) -> bool:
    return any(child.creator == seen.caller.dn for child in seen.subtree.of(kind))


def _unsaid(seen: Seen, kind: type[Child]) -> Refuse | None:
    if _own(seen, kind):
        return None
    return Refuse(
        "not-voter",
        f"there is no {kind.__name__.lower()} by you below this request that a proof could be for; look: ipa-tpi show ID",
    )
