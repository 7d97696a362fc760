"""Rules, and what the policy says, as people read it (R-X10)."""

from ipa_tpi import wire
from ipa_tpi.cli.catalogue import operations_table
from ipa_tpi.cli.policy import policy_sheet, rule_sheet, rules_table

SUFFIX = "dc=tpi,dc=test"
DAY = f"cn=day,cn=groups,cn=accounts,{SUFFIX}"


def view(*verdicts: wire.VerdictView, **changes: object) -> wire.PolicyView:
    known = {
        "user": "bob@TPI.TEST",
        "name": "Bob Brown",
        "operation": "dirsrv.restart",
        "host": "ipa1.tpi.test",
        "verdicts": list(verdicts),
        "demand": wire.DemandView(
            floor_known=True,
            required_approvals=2,
            groups=[DAY],
            stages=[wire.StageView(order=1, count=2, group=DAY)],
            proof=True,
            indicators=["otp", "pkinit"],
            fresh_seconds=300,
            minimum_age_seconds=7200,
            validation_program="change-calendar",
            reason_pattern="INC.+",
            ticket_pattern="",
        ),
        "requesters": 5,
        "approvers": 1,
        "enough": False,
        "message": "nobody can satisfy it",
        "broken": [wire.BrokenRuleView(name="old", dn="ipauniqueid=x", message="it says so")],
        "malformed": {"dirsrv.stop": "no cn"},
    }
    return wire.PolicyView(**{**known, **changes})  # type: ignore[arg-type]


def test_everything_is_told() -> None:
    asks = wire.VerdictView(right="request", allowed=True, rules=["a", "b"])
    approves = wire.VerdictView(right="approve", allowed=False, rules=["c"], code="disabled", message="it is")
    assert policy_sheet(view(asks, approves), None).splitlines() == [
        "bob@TPI.TEST (Bob Brown): dirsrv.restart on ipa1.tpi.test",
        "  request: allowed by the rules a, b",
        "  approve: DENIED, although given by the rule c: it is [disabled]",
        "  needs on ipa1.tpi.test:             2 approvals",
        "  needs somebody of each:             group day",
        "  needs in this order:                1. 2 of group day",
        "  needs a ticket got with:            otp or pkinit",
        "  needs a ticket no older than:       5 min",
        "  needs accounts and memberships of:  at least 2 h",
        "  needs the yes of the program:       change-calendar",
        "  needs a reason that matches:        INC.+",
        "  could ask for it:                   5 people",
        "  could then approve:                 1 person",
        "WARNING: nobody can satisfy it",
        "broken rule old: it says so",
        "malformed operation dirsrv.stop: no cn",
    ]


def test_what_comes_from_outside_is_harmless() -> None:
    hostile = wire.VerdictView(right="request", allowed=True, rules=["\x1b[2Ja\u202eb"])
    shown = policy_sheet(view(hostile, user="b\nob", demand=None, enough=True), 80)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "b\\u000aob" in shown
    assert "WARNING" not in shown


def rule(**changes: object) -> wire.RuleView:
    known = {
        "name": "day approves",
        "dn": f"ipauniqueid=1,cn=tpirules,cn=tpi,{SUFFIX}",
        "enabled": True,
        "rights": ["approve"],
        "users": [DAY, f"cn=a\\,b,cn=groups,cn=accounts,{SUFFIX}"],
        "all_users": False,
        "principals": [],
        "hosts": [f"fqdn=ipa1.tpi.test,cn=computers,cn=accounts,{SUFFIX}"],
        "all_hosts": False,
        "operations": [f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"],
        "all_operations": False,
    }
    return wire.RuleView(**{**known, **changes})  # type: ignore[arg-type]


def test_rules() -> None:
    known = wire.RuleList(
        rules=[rule(), rule(name="off", enabled=False, all_hosts=True, users=[])], broken=[]
    )
    lines = rules_table(known, None).splitlines()
    assert lines[0].split() == ["NAME", "GIVES", "WHO", "HOSTS", "OPERATIONS"]
    assert "host ipa1.tpi.test" in lines[1]
    assert "operation dirsrv.restart" in lines[1]
    # A name that could be cut elsewhere is shown as the DN that it is.
    assert f"group day, cn=a\\\\,b,cn=groups,cn=accounts,{SUFFIX}" in lines[1]
    assert lines[2].split()[:5] == ["off", "approve", "(disabled)", "none", "all"]
    assert rules_table(known, 500) == rules_table(known, None)
    assert rules_table(known, 80) == rule_sheet(known, 80)
    assert max(map(len, rules_table(known, 80).splitlines())) <= 80
    shown = rule_sheet(known, None)
    assert "enabled:                yes" in shown
    assert "enabled:                no: it gives nothing" in shown
    assert rules_table(wire.RuleList(rules=[], broken=[]), None) == "No rules.\n"


def test_operations_by_line_or_where_that_is_too_wide_by_text() -> None:
    one = wire.OperationView(
        name="dirsrv.restart",
        digest="",
        enabled=False,
        description="Restart a directory server, which takes everybody's logins away for two seconds",
        parameters={},
        required_approvals=1,
        approval_seconds=300,
        execution_seconds=300,
        timeout_seconds=60,
        interfaces=["cli"],
    )
    lines = operations_table([one], None).splitlines()
    assert lines[0].split() == ["NAME", "APPROVALS", "STATE", "DESCRIPTION"]
    assert lines[1].split()[:4] == ["dirsrv.restart", "1", "disabled", "Restart"]
    narrow = operations_table([one], 60).splitlines()
    assert narrow[0].startswith("dirsrv.restart: Restart")
    assert max(map(len, narrow)) <= 60
    assert "No operations" in operations_table([], None)
