"""What is shown of a request and of an operation: flow's judgement as shapes of the wire."""

import math
from datetime import datetime, timedelta

from ipa_tpi.decide.approval import Standing
from ipa_tpi.decide.proof import demands_of
from ipa_tpi.flow import Approvers, Catalogue, Seen
from ipa_tpi.flow.guards import LIVE, check_approvable
from ipa_tpi.model import (
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Floor,
    Operation,
    Refuse,
    Result,
    State,
    Withdrawal,
)
from ipa_tpi.wire import (
    ApproversView,
    CandidateView,
    FloorView,
    OperationList,
    OperationView,
    ParameterView,
    PreviewView,
    RequestView,
    ResultView,
    VoiceView,
)


def request_view(seen: Seen) -> RequestView:
    """Show a request as judged for its reader.

    Args:
        seen: The judgement.

    Returns:
        The shape.
    """
    request, standing = seen.subtree.request, seen.standing
    alive = standing.state in LIVE
    refusal = check_approvable(seen)
    return RequestView(
        id=request.id,
        operation=request.operation,
        operation_digest=request.operation_digest.hex(),
        target=request.target,
        parameters=dict(request.parameters),
        requester=seen.names[request.creator],
        reason=request.reason,
        ticket=request.ticket,
        interface=request.interface,
        digest=seen.digest.hex(),
        created=request.created,
        state=standing.state.value,
        code=standing.code,
        message=standing.message,
        expires=standing.deadline if alive else None,
        seconds_left=_seconds_until(seen, standing.deadline) if alive else 0,
        seconds_to_end=_seconds_until(seen, _last_moment(seen)) if alive else 0,
        required_approvals=seen.required_approvals,
        approvals=[_approval(seen, one) for one in seen.subtree.of(Approval)],
        denials=[_word(seen, one, seen.voices[one.creator].refusal) for one in seen.subtree.of(Denial)],
        withdrawals=[_word(seen, one, _no_approval(seen, one)) for one in seen.subtree.of(Withdrawal)],
        cancellations=[_word(seen, one, _not_requester(seen, one)) for one in seen.subtree.of(Cancellation)],
        preview=_preview(standing),
        approval_digest=standing.approval_digest.hex(),
        begun=_begun(seen),
        result=_result(seen),
        mine=request.creator == seen.caller.dn,
        approvable=refusal is None,
        why_not=refusal.message if refusal is not None else "",
        fresh_seconds=seen.demands.fresh_seconds,
        indicators=sorted(seen.demands.indicators),
    )


def operation_list(catalogue: Catalogue) -> OperationList:
    """Show what can be asked for.

    Args:
        catalogue: As the caller may read it.

    Returns:
        The shape; operations by name.
    """
    policy, site = catalogue.policy, catalogue.site
    return OperationList(
        operations=[_operation(one, site.floor) for _, one in sorted(policy.operations.items())],
        malformed=dict(policy.malformed),
        host=site.host,
        hosts=list(catalogue.targets),
    )


def approvers_view(approvers: Approvers) -> ApproversView:
    """Show who could still approve a request.

    Args:
        approvers: As judged for the caller.

    Returns:
        The shape.
    """
    standing = approvers.seen.standing
    return ApproversView(
        id=approvers.seen.subtree.request.id,
        state=standing.state.value,
        code=standing.code,
        message=standing.message,
        required_approvals=approvers.seen.required_approvals,
        missing=approvers.missing,
        available=approvers.available,
        enough=approvers.enough,
        candidates=[
            CandidateView(
                principal=one.principal,
                name=one.name,
                chance=one.chance.value,
                code=one.refusal.code if one.refusal is not None else "",
                message=one.refusal.message if one.refusal is not None else "",
            )
            for one in approvers.candidates
        ],
    )


def _operation(operation: Operation, floor: Floor) -> OperationView:
    here = floor.operations.get(operation.name)
    demands = demands_of(operation, floor)
    return OperationView(
        name=operation.name,
        digest=operation.digest.hex(),
        enabled=operation.enabled,
        description=operation.description,
        parameters={
            name: ParameterView(pattern=rule.pattern, values=sorted(rule.values), lines=rule.lines)
            for name, rule in operation.parameters.items()
        },
        required_approvals=operation.required_approvals,
        approval_seconds=operation.approval_seconds,
        execution_seconds=operation.execution_seconds,
        timeout_seconds=operation.timeout_seconds,
        interfaces=sorted(operation.interfaces),
        reason_pattern=operation.reason_pattern,
        ticket_pattern=operation.ticket_pattern,
        pending_limit=min(
            operation.pending_limit or floor.pending_per_operation, floor.pending_per_operation
        ),
        destructive=operation.destructive,
        fresh_seconds=demands.fresh_seconds,
        indicators=sorted(demands.indicators),
        floor=FloorView(
            required_approvals=here.required_approvals,
            proof=here.proof,
            values={
                name: sorted(named)
                for name, named in (("instance", here.instances), ("unit", here.units))
                if name in operation.parameters
            },
        )
        if here is not None
        else None,
    )


def _approval(seen: Seen, approval: Approval) -> VoiceView:
    counts = any(counted.entry_id == approval.entry_id for counted in seen.standing.counted)
    return _voice(seen, approval, approval.comment, counts, seen.standing.why.get(approval.entry_id))


def _word(seen: Seen, word: Denial | Withdrawal | Cancellation, refusal: Refuse | None) -> VoiceView:
    return _voice(seen, word, word.comment, refusal is None, refusal)


def _voice(seen: Seen, word: Child, comment: str, counts: bool, refusal: Refuse | None) -> VoiceView:
    return VoiceView(
        who=seen.names[word.creator],
        at=word.created,
        comment=comment,
        counts=counts,
        code=refusal.code if refusal is not None else "",
        message=refusal.message if refusal is not None else "",
    )


def _no_approval(seen: Seen, withdrawal: Withdrawal) -> Refuse | None:
    if any(approval.creator == withdrawal.creator for approval in seen.subtree.of(Approval)):
        return None
    return Refuse(
        "nothing-to-withdraw", "there is no approval that it could take back; look: ipa-tpi show ID"
    )


def _not_requester(seen: Seen, cancellation: Cancellation) -> Refuse | None:
    if cancellation.creator == seen.subtree.request.creator:
        return None
    return Refuse("not-requester", "it is not the requester's; only who made the request cancels it")


def _preview(standing: Standing) -> PreviewView | None:
    preview = standing.preview
    if preview is None:
        return None
    return PreviewView(body=preview.body.decode("utf-8"), digest=preview.digest.hex(), at=preview.created)


def _result(seen: Seen) -> ResultView | None:
    # A result by anybody else is forged; the standing tells so.
    own = [one for one in seen.subtree.of(Result) if one.creator == seen.subtree.request.executor]
    if not own:
        return None
    return ResultView(
        outcome=own[0].outcome, excerpt=own[0].excerpt, at=own[0].created, exit_status=own[0].exit_status
    )


def _begun(seen: Seen) -> datetime | None:
    request = seen.subtree.request
    own = [one.created for one in seen.subtree.of(Execution) if one.creator == request.executor]
    return min(own, default=None)


def _last_moment(seen: Seen) -> datetime:
    # The windows that may still follow: an approval at the last moment, a start at the last, an end at the last.
    begun = _begun(seen) if seen.standing.state is State.EXECUTING else None
    patience = timedelta(seconds=seen.terms.execution_seconds + seen.terms.timeout_seconds)
    return (begun or seen.standing.deadline) + patience


def _seconds_until(seen: Seen, moment: datetime) -> int:
    return max(0, math.floor((moment - seen.now).total_seconds()))
