"""What is shown of the policy: rules, and what was tried, as shapes of the wire."""

from collections.abc import Iterable

from ipa_tpi.decide.definition import is_reading
from ipa_tpi.flow import Rules, Trial, Verdict
from ipa_tpi.model import Policy, Rule
from ipa_tpi.wire import (
    BrokenRuleView,
    DemandView,
    PolicyView,
    RuleList,
    RuleView,
    StageView,
    VerdictView,
)


def policy_view(trial: Trial) -> PolicyView:
    """Show what was tried.

    Args:
        trial: As judged.

    Returns:
        The shape.
    """
    lacks = trial.unsatisfiable
    return PolicyView(
        user=trial.account.principal or trial.account.dn if trial.account is not None else "",
        name=trial.account.display_name if trial.account is not None else "",
        operation=trial.question.operation,
        host=trial.question.host,
        verdicts=[_verdict(one) for one in trial.verdicts],
        demand=_demand(trial),
        requesters=trial.requesters,
        approvers=trial.approvers,
        enough=lacks is None,
        code=lacks.code if lacks is not None else "",
        message=lacks.message if lacks is not None else "",
        broken=_broken(trial.policy),
        malformed=dict(trial.policy.malformed),
    )


def rule_list(rules: Rules) -> RuleList:
    """Show rules.

    Args:
        rules: As found.

    Returns:
        The shape.
    """
    return RuleList(rules=[_rule(one) for one in rules.found], broken=_broken(rules.policy))


def _verdict(verdict: Verdict) -> VerdictView:
    refusal = verdict.refusal
    return VerdictView(
        right=verdict.right.value,
        allowed=refusal is None,
        rules=[rule.name for rule in verdict.rules],
        code=refusal.code if refusal is not None else "",
        message=refusal.message if refusal is not None else "",
    )


def _demand(trial: Trial) -> DemandView | None:
    operation, terms = trial.definition, trial.terms
    if operation is None or terms is None:
        return None
    return DemandView(
        floor_known=trial.floor_known,
        required_approvals=0 if is_reading(operation.name) else terms.required_approvals,
        groups=sorted(terms.groups),
        stages=[StageView(order=one.order, count=one.count, group=one.group) for one in terms.stages],
        proof=terms.proof,
        indicators=sorted(trial.demands.indicators),
        fresh_seconds=trial.demands.fresh_seconds,
        minimum_age_seconds=operation.minimum_age_seconds,
        validation_program=operation.validation_program,
        reason_pattern=operation.reason_pattern,
        ticket_pattern=operation.ticket_pattern,
    )


def _rule(rule: Rule) -> RuleView:
    return RuleView(
        name=rule.name,
        dn=rule.dn,
        enabled=rule.enabled,
        rights=_sorted(rule.rights),
        users=_sorted(rule.members),
        all_users=rule.all_users,
        principals=_sorted(rule.requesting),
        hosts=_sorted(rule.hosts),
        all_hosts=rule.all_hosts,
        operations=_sorted(rule.operations),
        all_operations=rule.all_operations,
    )


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(str(name) for name in names)


def _broken(policy: Policy) -> list[BrokenRuleView]:
    return [
        BrokenRuleView(name=policy.broken_names.get(dn, ""), dn=dn, message=why)
        for dn, why in sorted(policy.broken_rules.items())
    ]
