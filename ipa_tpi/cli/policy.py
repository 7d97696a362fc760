"""Rules, and what the policy says of somebody, as people read it (R-X10)."""

from collections.abc import Sequence
from typing import Final

from ipa_tpi.cli.layout import broken, fields, fits, table
from ipa_tpi.cli.render import duration, safe
from ipa_tpi.cli.sheets import approvals
from ipa_tpi.wire import DemandView, PolicyView, RuleList, RuleView, VerdictView

_KINDS: Final = {
    "users": "user",
    "groups": "group",
    "roles": "role",
    "computers": "host",
    "hostgroups": "host group",
    "services": "service",
    "tpioperations": "operation",
    "tpioperationgroups": "group of operations",
}


def policy_sheet(view: PolicyView, columns: int | None) -> str:
    """Show what the policy says of somebody.

    Args:
        view: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    who = safe(view.user) + (f" ({safe(view.name)})" if view.name else "")
    return (
        broken(f"{who}: ", f"{safe(view.operation)} on {safe(view.host)}", columns, 4)
        + "".join(_verdict(one, columns) for one in view.verdicts)
        + demand_sheet(view, columns)
        + _broken(view, columns)
    )


def demand_sheet(view: PolicyView, columns: int | None) -> str:
    """Show what an operation demands on a host, and whether there are people for it.

    Args:
        view: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    if view.demand is None:
        return ""
    pairs = [
        ("needs on " + view.host, _needed(view.demand)),
        *(("needs " + what, said) for what, said in _conditions(view.demand)),
        ("could ask for it", _people(view.requesters)),
        ("could then approve", _people(view.approvers)),
    ]
    lacks = "" if view.enough else broken("WARNING: ", safe(view.message), columns, 4)
    return fields(pairs, columns) + lacks


def rules_table(known: RuleList, columns: int | None) -> str:
    """List rules, each in a line where all lines fit, and then those that are broken.

    Args:
        known: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    rows = [
        (
            one.name,
            ", ".join(one.rights) + ("" if one.enabled else " (disabled)"),
            _all_or(one.users + one.principals, everything=one.all_users),
            _all_or(one.hosts, everything=one.all_hosts),
            _all_or(one.operations, everything=one.all_operations),
        )
        for one in known.rules
    ]
    heads = ("NAME", "GIVES", "WHO", "HOSTS", "OPERATIONS")
    shown = table(heads, rows) if rows else "No rules.\n"
    if not fits(shown, columns):
        return rule_sheet(known, columns)
    return shown + _broken(known, columns)


def rule_sheet(known: RuleList, columns: int | None) -> str:
    """Show everything about rules.

    Args:
        known: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    return "".join(_rule(one, columns) for one in known.rules) + _broken(known, columns)


def _rule(rule: RuleView, columns: int | None) -> str:
    return f"{safe(rule.name)}\n" + fields(
        [
            ("enabled", "yes" if rule.enabled else "no: it gives nothing"),
            ("gives", ", ".join(rule.rights)),
            ("to people", _all_or(rule.users, everything=rule.all_users)),
            ("to hosts and services", _all_or(rule.principals, everything=False)),
            ("on hosts", _all_or(rule.hosts, everything=rule.all_hosts)),
            ("operations", _all_or(rule.operations, everything=rule.all_operations)),
            ("entry", rule.dn),
        ],
        columns,
    )


def _verdict(verdict: VerdictView, columns: int | None) -> str:
    rules = ", ".join(verdict.rules)
    by = f" by the rule {safe(rules)}" if len(verdict.rules) == 1 else f" by the rules {safe(rules)}"
    if verdict.allowed:
        return broken(f"  {safe(verdict.right)}: ", f"allowed{by if rules else ''}", columns, 6)
    given = f", although given{by}" if rules else ""
    why = f"DENIED{given}: {safe(verdict.message)} [{safe(verdict.code)}]"
    return broken(f"  {safe(verdict.right)}: ", why, columns, 6)


def _needed(demand: DemandView) -> str:
    if demand.required_approvals == 0:
        return "no approval: it only reads"
    floor = "" if demand.floor_known else "; the floor of that host may demand more"
    return approvals(demand.required_approvals) + floor


def _conditions(demand: DemandView) -> list[tuple[str, str]]:
    stages = [f"{one.order}. {one.count} of {_named(one.group)}" for one in demand.stages]
    found = [
        ("somebody of each", ", ".join(map(_named, demand.groups))),
        ("in this order", "; ".join(stages)),
        ("a ticket got with", " or ".join(demand.indicators)),
        ("a ticket no older than", duration(demand.fresh_seconds) if demand.fresh_seconds else ""),
        (
            "accounts and memberships of",
            f"at least {duration(demand.minimum_age_seconds)}" if demand.minimum_age_seconds else "",
        ),
        ("the yes of the program", demand.validation_program),
        ("a reason that matches", demand.reason_pattern),
        ("a ticket number that matches", demand.ticket_pattern),
    ]
    return [(what, said) for what, said in found if said]


def _people(count: int) -> str:
    return {0: "nobody", 1: "1 person"}.get(count, f"{count} people")


def _all_or(names: Sequence[str], *, everything: bool) -> str:
    return "all" if everything else ", ".join(map(_named, names)) or "none"


def _named(dn: str) -> str:
    first, _, rest = dn.partition(",")
    kind = _KINDS.get(rest.partition(",")[0].removeprefix("cn="))
    name = first.partition("=")[2]
    # A name with an escape in it is shown as it lies there.
    return f"{kind} {name}" if kind and name and "\\" not in dn else dn


def _broken(known: PolicyView | RuleList, columns: int | None) -> str:
    malformed = known.malformed if isinstance(known, PolicyView) else {}
    return "".join(
        [
            *(
                broken(f"broken rule {safe(one.name or one.dn)}: ", safe(one.message), columns, 4)
                for one in known.broken
            ),
            *(
                broken(f"malformed operation {safe(name)}: ", safe(why), columns, 4)
                for name, why in sorted(malformed.items())
            ),
        ]
    )
