"""The state of a request, computed from its entries by one function (K12, DESIGN section 3).

Rules:

1. The state is a function of the *set* of entries, of what the rules say of their writers, and of
   the time.  Order of arrival, RDNs and duplicates do not matter.  Who wrote an entry is its
   creatorsName.
2. Precedence: result; execution; cancellation; denial (and whatever else can only deny: malformed
   or forged entries, a refusal found elsewhere); expired; approved; pending; awaiting-preview.
3. A result or an execution is the executor's.  One by anybody else is forged, and denies.  An
   execution without a result shows as executing, and as indeterminate once the execution window
   and the operation's timeout have passed since it.
4. An approval counts only if it is on the approval digest of this request and this preview, made
   in the approval window and not before the request, by a person whom the rules let approve now,
   who is distinct from the requester and from everyone counted before, who has not withdrawn it,
   and, unless the floor excepts the operation, with a proof that the executor verified; and whose
   turn it is (`quorum`).
5. The approval window runs from the request; the execution window from the approval that
   completed the quorum; each from the earlier of the server's stamp and the executor's first sight.
6. A denial, cancellation or withdrawal stamped after the deadline that held at that moment changes
   nothing.  A withdrawal may move the deadline, so they are judged in the order of their stamps.
7. There is one preview; two different ones by the executor deny.
8. A denial has no effect where only the rules say that its writer may not approve.  Where his account
   is gone, disabled, changed or too young, it denies: whoever can spoil an account cannot undo a veto.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from ipa_tpi.decide.digest import approval_digest, parse_canonical, sha256
from ipa_tpi.decide.identity import Identity, check_distinct
from ipa_tpi.decide.proof import lacking
from ipa_tpi.decide.quorum import Demand, check_turn, missing
from ipa_tpi.model import (
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Outcome,
    Preview,
    Purpose,
    Receipt,
    Refuse,
    Result,
    Stage,
    State,
    Subtree,
    Withdrawal,
)

C = TypeVar("C", bound=Child)
# Why a proof did not count although nobody did wrong, and what its maker is told.
_AGAIN: Final = frozenset({"proof-stale", "proof-indicator-missing"})
_BY_RULES: Final = frozenset({"no-rule", "not-a-person", "self-approval"})


class Verified(NamedTuple):
    """A proof that the executor verified: who made it, for what, on which digest."""

    who: str
    purpose: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Voice:
    """What the rules say now of somebody who wrote below a request.

    Attributes:
        refusal: Why this account may not approve the request; None when it may.
        forged: The directory should not have let it write at all.
        identity: The account's identity; None where there is no usable account.
        groups: Normal DNs of what the account is a member of.
    """

    refusal: Refuse | None
    forged: bool = False
    identity: Identity | None = None
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operation and the floor together demand of a request; see `quorum.Demand`."""

    required_approvals: int
    approval_seconds: int
    execution_seconds: int
    timeout_seconds: int
    proof: bool = True
    groups: frozenset[str] = frozenset()
    stages: tuple[Stage, ...] = ()
    indicators: frozenset[str] = frozenset()

    @property
    def demand(self) -> Demand:
        """What the approvals must come to."""
        return Demand(self.required_approvals, self.groups, self.stages)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that the state is a function of.

    Attributes:
        subtree: The request and all entries below it.
        digest: The request's digest, recomputed.
        terms: What the operation demands.
        now: The time.
        voices: For each DN that wrote below the request, what the rules say of it.
        verified: Proofs that the executor verified.
        refused_proofs: By the DN of its writer and its purpose, the code for which the executor refused
            a proof; for people to read, it decides nothing.
        unticketed: The executor said that it holds no ticket of the requester's to act with (`proof.is_unticketed`);
            for people to read, it decides nothing.
        blocked: A refusal found elsewhere (requester, operation, floor), or None.
        first_seen: When the executor first saw an entry, by entry id or request id.
        own_nonce: The nonce of the executor's own unclaimed intent, at the last look before acting.
        preview_digest: The digest of the preview that the executor journalled, where it asks.
    """

    subtree: Subtree
    digest: bytes
    terms: Terms
    now: datetime
    voices: Mapping[str, Voice] = field(default_factory=dict)
    verified: frozenset[Verified] = frozenset()
    refused_proofs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    unticketed: bool = False
    blocked: Refuse | None = None
    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    own_nonce: str = ""
    preview_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A request's state with its reason.

    Attributes:
        state: The state.
        code: Why, as a code; empty where the state says it all.
        message: Why, for a person.
        deadline: When the window that runs now ends (approval, then execution).
        counted: The approvals that count, oldest first.
        approval_digest: What an approval must be about; empty before the preview.
        complete: The approvals that count are enough.
        why: For each approval that does not count, its refusal, by entry id.
        preview: The one preview, once it is there.
    """

    state: State
    deadline: datetime
    code: str = ""
    message: str = ""
    counted: tuple[Approval, ...] = ()
    approval_digest: bytes = b""
    complete: bool = False
    why: Mapping[str, Refuse] = field(default_factory=dict)
    preview: Preview | None = None


class _Count(NamedTuple):
    counted: tuple[Approval, ...]
    why: dict[str, Refuse]
    deadline: datetime
    missing: str
    late: frozenset[str] = frozenset()


def standing(case: Case) -> Standing:
    """Compute the state of a request.

    Args:
        case: All that it depends on.

    Returns:
        State, reason, and what counted.
    """
    preview = _preview(case)
    digest = approval_digest(case.digest, preview.digest) if isinstance(preview, Preview) else b""
    count = _count(case, digest)
    state, code, message = _state(case, preview, count)
    return Standing(
        state=state,
        deadline=count.deadline,
        code=code,
        message=message,
        counted=count.counted,
        approval_digest=digest,
        complete=not count.missing,
        why=count.why,
        preview=preview if isinstance(preview, Preview) else None,
    )


def required_approvals(operation: int, floor: int, *, requester_is_person: bool) -> int:
    """Tell how many approvals are needed, counted without the requester (K02, K08, X13).

    Args:
        operation: What the definition demands.
        floor: What the host's floor demands.
        requester_is_person: False for a host or a service, which counts for nobody.

    Returns:
        The greatest of both and of 1, or of 2 where no person requested.
    """
    return max(operation, floor, 1 if requester_is_person else 2)


def _state(case: Case, preview: Preview | Refuse | None, count: _Count) -> tuple[State, str, str]:
    ended = _ended(case)
    if ended is not None:
        return ended
    begun = _begun(case)
    if begun is not None:
        return begun
    no = _denied(case, preview, count.late)
    if no is not None:
        return State(no.outcome.value), no.code, no.message
    if case.now > count.deadline:  # R-A03, R-K09
        return (
            State.EXPIRED,
            "expired",
            f"the window ended at {count.deadline:%Y-%m-%d %H:%M:%S} UTC; make a new request",
        )
    unasked = _unasked(case)
    if preview is None:
        return State.AWAITING_PREVIEW, *(unasked or _unticketed(case) or ("awaiting-preview", _NOT_SHOWN))
    if unasked is not None:  # R-X01: the floor may have been tightened since the preview
        return State.PENDING, *unasked
    if not count.missing:
        return State.APPROVED, *(_unticketed(case) or ("", ""))
    unproven = sorted(refusal.message for refusal in count.why.values() if refusal.code.startswith("proof-"))
    if unproven:
        return State.PENDING, "proof-missing", unproven[-1]
    return State.PENDING, "approvals-missing", count.missing


def _ended(case: Case) -> tuple[State, str, str] | None:
    outcomes = {result.outcome: result.excerpt for result in _own(case, Result)}
    if not outcomes:
        return None
    if len(outcomes) > 1:
        return (
            State.INDETERMINATE,
            "indeterminate",
            "the executor left several different results; make a new request",
        )
    outcome, excerpt = next(iter(outcomes.items()))
    return State(outcome), "", excerpt


def _begun(case: Case) -> tuple[State, str, str] | None:
    begun = [execution for execution in _own(case, Execution) if not _is_our_intent(case, execution)]
    if not begun:
        return None
    patience = timedelta(seconds=case.terms.execution_seconds + case.terms.timeout_seconds)
    if case.now > begun[0].created + patience:  # R-K13
        return (
            State.INDETERMINATE,
            "indeterminate",
            "it was begun and its end is not known; look at the target, then make a new request",
        )
    return State.EXECUTING, *(_unticketed(case) or ("", "the target has begun"))


def _denied(case: Case, preview: Preview | Refuse | None, late: frozenset[str]) -> Refuse | None:
    cancelled = _cancelled(case, late)
    if cancelled is not None:
        return cancelled
    for denial in case.subtree.of(Denial):  # R-K15
        voice = case.voices.get(denial.creator, _NOBODY)
        if denial.entry_id in late:
            continue
        if voice.forged:
            return Refuse(
                "forged-veto",
                f"a denial by {denial.creator}, who may write none, lies below the request; tell an auditor",
            )
        if voice.refusal is None:
            return Refuse(
                "denied-by-approver", f"denied by {_name(voice)}; ask why before you make a new request"
            )
        other_account = (
            voice.refusal.code == "self-approval" and denial.creator != case.subtree.request.creator
        )
        if voice.refusal.code not in _BY_RULES or other_account:
            return Refuse(
                voice.refusal.code,
                f"a denial lies below the request, and {voice.refusal.message}. Make a new request.",
            )
    for withdrawal in case.subtree.of(Withdrawal):
        if case.voices.get(withdrawal.creator, _NOBODY).forged and withdrawal.entry_id not in late:
            return Refuse(
                "forged-veto",
                f"a withdrawal by {withdrawal.creator}, who may write none, lies below the request; tell an auditor",
            )
    return _tampered(case) or (preview if isinstance(preview, Refuse) else None) or case.blocked


def _cancelled(case: Case, late: frozenset[str]) -> Refuse | None:
    timely = [entry for entry in case.subtree.of(Cancellation) if entry.entry_id not in late]
    if any(entry.creator == case.subtree.request.creator for entry in timely):
        return Refuse(
            "cancelled",
            "cancelled by the requester; make a new request if it is still needed",
            Outcome.CANCELLED,
        )
    for entry in timely:
        return Refuse(
            "forged-veto",
            f"a cancellation by {entry.creator}, who did not request, lies below the request; make a new one, and tell an auditor",
        )
    return None


def _tampered(case: Case) -> Refuse | None:
    if case.subtree.malformed:
        return Refuse("malformed-entry", next(iter(sorted(case.subtree.malformed.values()))))
    for child in sorted(case.subtree.children, key=lambda entry: (entry.created, entry.entry_id, entry.dn)):
        ours = isinstance(child, Preview | Receipt | Execution | Result)
        if ours and child.creator != case.subtree.request.executor:
            return Refuse(
                "forged-entry",
                f"{child.creator} wrote an entry that only the target's executor may write; tell an auditor",
            )
        if child.conflict and not _is_our_intent(case, child):
            return Refuse(
                "malformed-entry", f"the entry {child.dn} is a replication conflict; make a new request"
            )
    return _borrowed(case)


def _borrowed(case: Case) -> Refuse | None:
    # R-A03: first sights are kept by id, so who took another entry's id would take its age, and be in time.
    owners = {case.subtree.request.id: case.subtree.request.dn}
    for child in sorted(case.subtree.children, key=lambda entry: entry.dn):
        if owners.setdefault(child.entry_id, child.dn) != child.dn and not _is_our_intent(case, child):
            return Refuse(
                "malformed-entry",
                f"the entry {child.dn} bears the id of another; make a new request, and tell an auditor",
            )
    return None


def _unasked(case: Case) -> tuple[str, str] | None:
    request = case.subtree.request
    if not case.terms.proof or Verified(request.creator, Purpose.REQUEST, case.digest) in case.verified:
        return None
    code = case.refused_proofs.get((request.creator, Purpose.REQUEST))
    if code is not None and code in _AGAIN:
        happened, first = _again(case, code)
        return code, f"{happened}; the requester runs{first}: ipa-tpi prove {request.id}"
    return (
        "proof-missing",
        f"the target has not verified the requester's proof; the requester runs: ipa-tpi prove {request.id}",
    )


def _unticketed(case: Case) -> tuple[str, str] | None:
    if not case.unticketed:
        return None
    return (
        "proof-missing",
        f"the target acts with the requester's ticket and holds none; the requester runs: ipa-tpi prove {case.subtree.request.id}",
    )


def _preview(case: Case) -> Preview | Refuse | None:
    previews = [
        preview for preview in case.subtree.of(Preview) if preview.creator == case.subtree.request.executor
    ]
    if not previews:
        return None
    differs = Refuse("preview-differs", "the request bears previews that differ; make a new request")
    if len({preview.digest for preview in previews}) > 1:
        return differs
    preview = previews[0]
    body = parse_canonical(preview.body)
    if (
        sha256(preview.body) != preview.digest
        or not isinstance(body, dict)
        or body.keys() != {"shown", "precondition"}
    ):
        return Refuse(
            "malformed-entry",
            "the preview's content does not fit its digest or form; make a new request, and tell an auditor",
        )
    if case.preview_digest is not None and preview.digest != case.preview_digest:  # R-K10
        return differs
    return preview


def _count(case: Case, digest: bytes) -> _Count:
    withdrawn: frozenset[str] = frozenset()
    late: set[str] = set()
    count = _count_with(case, digest, withdrawn)
    approvers = {approval.creator for approval in case.subtree.of(Approval)}
    vetoes = [
        child for child in case.subtree.children if isinstance(child, Withdrawal | Denial | Cancellation)
    ]
    for veto in sorted(vetoes, key=lambda entry: (_at(case, entry), entry.entry_id)):  # rule 6
        if _at(case, veto) > count.deadline:
            late.add(veto.entry_id)
        elif isinstance(veto, Withdrawal) and veto.creator in approvers - withdrawn:  # R-K15
            withdrawn |= {veto.creator}
            count = _count_with(case, digest, withdrawn)
    return count._replace(late=frozenset(late))


def _count_with(case: Case, digest: bytes, withdrawn: frozenset[str]) -> _Count:
    request = case.subtree.request
    start = min(request.created, case.first_seen.get(request.id, request.created))
    window_end = start + timedelta(seconds=case.terms.approval_seconds)
    counted: list[Approval] = []
    taken: list[Voice] = []
    why: dict[str, Refuse] = {}
    deadline, demand = window_end, case.terms.demand
    lacks = missing(demand, ())
    waiting = sorted(case.subtree.of(Approval), key=lambda entry: (_at(case, entry), entry.entry_id))
    while waiting:
        # Stamps have whole seconds: of those of one second, one whose turn it is comes first.
        same = [approval for approval in waiting if _at(case, approval) == _at(case, waiting[0])]
        verdicts = [(one, _judge(case, one, digest, window_end, withdrawn, taken)) for one in same]
        approval, verdict = next((pair for pair in verdicts if isinstance(pair[1], Voice)), verdicts[0])
        waiting.remove(approval)
        if isinstance(verdict, Refuse):
            why[approval.entry_id] = verdict
            continue
        counted.append(approval)
        taken.append(verdict)
        still = missing(demand, [voice.groups for voice in taken])
        if lacks and not still:
            deadline = _at(case, approval) + timedelta(seconds=case.terms.execution_seconds)
        lacks = still
    return _Count(tuple(counted), why, deadline, lacks)


def _judge(
    case: Case,
    approval: Approval,
    digest: bytes,
    window_end: datetime,
    withdrawn: frozenset[str],
    taken: list[Voice],
) -> Voice | Refuse:
    voice = case.voices.get(approval.creator, _NOBODY)
    if voice.refusal is not None or voice.identity is None:
        return voice.refusal or _NO_ACCOUNT
    if approval.created < case.subtree.request.created:
        return Refuse(
            "clock", "the approval is older than the request; mend the clocks, then make a new request"
        )
    # A stamp has whole seconds, so one that equals the end was made at the end or after.
    if _at(case, approval) >= window_end:  # R-A03
        return Refuse("too-late", "the approval came after the window; make a new request")
    if approval.digest != digest or not digest:  # R-K10
        return Refuse(
            "digest-mismatch",
            "the approval is about something else than this request with this preview; look again, then approve",
        )
    if approval.creator in withdrawn:  # R-K15
        return Refuse("withdrawn", "the approval was withdrawn; another person has to approve")
    for other in taken:  # R-K02, R-X09
        refusal = (
            check_distinct(other.identity, voice.identity) if other.identity is not None else _NO_ACCOUNT
        )
        if refusal is not None:
            return refusal
    if case.terms.proof and Verified(approval.creator, Purpose.APPROVE, digest) not in case.verified:  # R-X01
        return _unproven(case, approval, _name(voice))
    return check_turn(case.terms.demand, [other.groups for other in taken], voice.groups) or voice  # R-K08


def _unproven(case: Case, approval: Approval, who: str) -> Refuse:
    code = case.refused_proofs.get((approval.creator, Purpose.APPROVE))
    if code is not None and code in _AGAIN:
        happened, first = _again(case, code)
        return Refuse(code, f"{happened}; {who} runs{first}: ipa-tpi prove {case.subtree.request.id}")
    if code is None:
        return Refuse(
            "proof-missing",
            f"the target has not verified a proof by {who}; {who} runs: ipa-tpi prove {case.subtree.request.id}",
        )
    return Refuse(
        code,
        f"the target refused the proof by {who}: what was signed is not what lies here. The service may have shown "
        "something else: tell an auditor, and look again before anything is signed",
    )


def _again(case: Case, code: str) -> tuple[str, str]:
    """Say why a proof has to be made again, and what has to be run before that."""
    if code == "proof-stale":
        return "the proof's ticket was not got for this alone, just now, with the factor", ""
    lacks, way = lacking(case.terms.indicators)
    return lacks, f" {way}, then"


def _own(case: Case, kind: type[C]) -> list[C]:
    return [child for child in case.subtree.of(kind) if child.creator == case.subtree.request.executor]


def _is_our_intent(case: Case, child: Child) -> bool:
    return (
        isinstance(child, Execution)
        and child.creator == case.subtree.request.executor
        and case.own_nonce != ""
        and child.nonce == case.own_nonce
    )


def _at(case: Case, child: Child) -> datetime:
    return min(child.created, case.first_seen.get(child.entry_id, child.created))


def _name(voice: Voice) -> str:
    return voice.identity.principal if voice.identity is not None else "an unknown account"


_NOT_SHOWN = "the target has not yet shown what it would do"
_NO_ACCOUNT = Refuse("unknown-principal", "the account of the writer cannot be used; ask an administrator")
_NOBODY = Voice(_NO_ACCOUNT)
