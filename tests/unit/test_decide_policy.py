"""Who may request and approve what, and the strict loading of definitions (DESIGN section 3; K03, E15, E21)."""

from dataclasses import replace
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    DAY,
    HOST,
    OPERATION_DN,
    OPERATORS,
    RESTART,
    SCHEMA,
    SUFFIX,
    TARGET,
    definition,
    machine,
    operation,
    person,
    policy,
    refused_with,
    rule,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ipa_tpi.decide.definition import INTERFACES, load_operation, load_rule
from ipa_tpi.decide.policy import may, usable_operation
from ipa_tpi.model import Account, Allow, HostEntry, Kind, Operation, Refuse, Right, Rule, Stage

GROUP = f"cn=directory,cn=tpioperationgroups,cn=tpi,{SUFFIX}"
HOST_GROUP = f"cn=ipaservers,cn=hostgroups,cn=accounts,{SUFFIX}"
ASK, SAY_YES = Right.REQUEST, Right.APPROVE


def judge(
    *rules: Rule, right: Right = SAY_YES, who: Account = ALICE, host: HostEntry | None = TARGET, **more: Any
) -> object:
    """Ask about the usual operation under the given rules alone."""
    return may(
        policy(*rules, **more) if rules else replace(policy(**more), rules=()), right, who, RESTART, host
    )


def test_a_rule_that_matches_allows_and_is_named() -> None:
    assert judge(rule("day shift")) == Allow("day shift")


@pytest.mark.parametrize(
    "changes",
    [
        {"members": frozenset({ALICE.dn})},
        {"members": frozenset({DAY})},  # nested groups come with memberOf
        {"members": frozenset(), "all_users": True},
        {"hosts": frozenset(), "all_hosts": True},
        {"operations": frozenset(), "all_operations": True},
        {"rights": frozenset({ASK, SAY_YES})},
        {"operations": frozenset({GROUP})},
        {"hosts": frozenset({HOST_GROUP})},
    ],
)
def test_each_dimension_matches_in_its_ways(changes: dict[str, Any]) -> None:
    host = replace(TARGET, member_of=frozenset({HOST_GROUP}))
    found = judge(rule("r", **changes), host=host, operation_groups={GROUP: frozenset({OPERATION_DN})})
    assert found == Allow("r")


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"enabled": False}, "is disabled"),
        ({"rights": frozenset()}, "gives another right"),
        ({"rights": frozenset({ASK})}, "gives another right"),
        ({"members": frozenset()}, "does not name this account"),
        ({"members": frozenset({"cn=others,cn=groups"})}, "does not name this account"),
        ({"members": frozenset(), "requesting": frozenset({ALICE.dn})}, "does not name this account"),
        ({"hosts": frozenset()}, "does not name this host"),
        ({"hosts": frozenset({"fqdn=other.tpi.test,cn=computers"})}, "does not name this host"),
        ({"hosts": frozenset({HOST_GROUP})}, "does not name this host"),
        ({"operations": frozenset()}, "does not name this operation"),
        (
            {"operations": frozenset({OPERATION_DN.replace("restart", "stop")})},
            "does not name this operation",
        ),
        ({"operations": frozenset({GROUP})}, "does not name this operation"),
    ],
)
def test_a_rule_that_lacks_one_thing_gives_nothing(changes: dict[str, Any], lacks: str) -> None:
    refused_with(
        judge(rule("near", **changes)),
        "no-rule",
        f"the nearest rule 'near' {lacks}.",
        "Ask an administrator",
    )


def test_no_rule_denies() -> None:
    refused_with(
        judge(), "no-rule", "alice@TPI.TEST may not approve dirsrv.restart on ipa1.tpi.test", "no rule gives"
    )


def test_an_empty_rule_denies() -> None:
    empty = Rule(dn="cn=x", name="empty", enabled=True, rights=frozenset())
    refused_with(
        judge(empty),
        "no-rule",
        "gives another right and does not name this account and does not name this host and does not name this operation",
    )


def test_nothing_is_added_up_across_rules() -> None:
    only_people = rule("people", hosts=frozenset())
    only_host = rule("host", members=frozenset())
    refused_with(judge(only_people, only_host), "no-rule")


def test_an_operation_group_that_holds_other_operations_gives_nothing() -> None:
    groups = {GROUP: frozenset({"cn=other.verb,cn=tpioperations"})}
    refused_with(judge(rule(operations=frozenset({GROUP})), operation_groups=groups), "no-rule")


def test_an_unknown_host_matches_no_named_host() -> None:
    refused_with(
        judge(rule(), host=None),
        "no-rule",
        "a host that the directory does not know",
        "does not name this host",
    )
    assert judge(rule("r", all_hosts=True, hosts=frozenset()), host=None) == Allow("r")


@pytest.mark.parametrize("kind", [Kind.HOST, Kind.SERVICE])
def test_no_machine_approves_whatever_the_rules_say(kind: Kind) -> None:
    who = machine(kind)
    everything = rule(
        "all", ASK, SAY_YES, all_users=True, members=frozenset({who.dn}), requesting=frozenset({who.dn})
    )
    refused_with(judge(everything, who=who), "not-a-person", "only people approve")  # R-K02
    assert judge(everything, who=who, right=ASK) == Allow("all")


def test_category_all_of_users_is_about_people_only() -> None:
    refused_with(
        judge(rule("r", ASK, all_users=True), who=machine(), right=ASK),
        "no-rule",
        "does not name this account",
    )
    refused_with(
        judge(rule("r", ASK, members=frozenset({machine().dn})), who=machine(), right=ASK),
        "no-rule",
        "does not name this account",
    )


def test_a_machine_may_ask_through_its_host_group() -> None:
    who = machine(member_of=frozenset({HOST_GROUP}))
    assert judge(
        rule("r", ASK, members=frozenset(), requesting=frozenset({HOST_GROUP})), who=who, right=ASK
    ) == Allow("r")


def test_an_admin_without_a_rule_may_nothing() -> None:
    adam = person("adam", member_of=frozenset({f"cn=admins,cn=groups,cn=accounts,{SUFFIX}"}))
    refused_with(judge(rule(), who=adam), "no-rule", "does not name this account")


def test_among_two_hundred_rules_the_one_that_matches_allows() -> None:
    others = [rule(f"other {number}", members=frozenset({f"cn=g{number}"})) for number in range(200)]
    assert judge(*others[:150], rule("the one"), *others[150:]) == Allow("the one")


def test_a_rule_that_lacks_everything_is_still_the_nearest() -> None:
    far = rule(
        "far",
        Right.REQUEST,
        enabled=False,
        members=frozenset(),
        hosts=frozenset(),
        operations=frozenset({"cn=other"}),
    )
    lacks = "is disabled and gives another right and does not name this account and does not name this host"
    refused_with(judge(far), "no-rule", f"the nearest rule 'far' {lacks} and does not name this operation. ")


def test_a_rule_that_gives_the_right_is_nearer_than_one_that_lacks_less() -> None:
    right = rule("right", Right.APPROVE, enabled=False, members=frozenset(), hosts=frozenset())
    refused_with(judge(rule("asks", Right.REQUEST), right), "no-rule", "the nearest rule 'right' is disabled")


@pytest.mark.parametrize(("number", "named"), [(100, True), (101, False)])
def test_among_many_rules_only_those_that_name_the_operation_are_near(number: int, named: bool) -> None:
    others = [rule(f"other {each}", operations=frozenset({"cn=other"})) for each in range(number)]
    refused_with(
        judge(*others), "no-rule", "the nearest rule" if named else ": no rule gives this right to anybody. "
    )


def test_among_two_hundred_rules_the_nearest_miss_is_named() -> None:
    far = [rule(f"far {number}", members=frozenset(), hosts=frozenset()) for number in range(199)]
    near = rule("near", members=frozenset())
    refused_with(
        judge(*far[:77], near, *far[77:]), "no-rule", "the nearest rule 'near' does not name this account."
    )


def test_hostile_names_of_rules_are_escaped() -> None:
    refused_with(judge(rule("a\u202e\x1b", enabled=False)), "no-rule", "\\u202e", "\\x1b")


def test_a_usable_operation_is_found() -> None:
    assert usable_operation(policy(), "dirsrv.restart") == RESTART


@pytest.mark.parametrize(
    ("changes", "name", "code", "word"),
    [
        ({}, "dirsrv.stop", "unknown-operation", "ipa-tpi operations"),
        ({}, "DIRSRV.RESTART", "unknown-operation", "no operation"),
        ({}, "a\u202e", "unknown-operation", "\\u202e"),
        ({"malformed": {"dirsrv.restart": "why"}}, "dirsrv.restart", "operation-malformed", "why"),
        ({"malformed": {"x.y": "why"}}, "x.y", "operation-malformed", "why"),
        (
            {"operations": {"dirsrv.restart": operation(ipaenabledflag="FALSE")}},
            "dirsrv.restart",
            "operation-disabled",
            "administrator",
        ),
    ],
)
def test_an_operation_that_is_not_usable_is_refused(
    changes: dict[str, Any], name: str, code: str, word: str
) -> None:
    refused_with(usable_operation(policy(**changes), name), code, word)


def test_an_operation_is_loaded_with_all_that_it_says() -> None:
    loaded = operation(
        description="Restart", ipatpireasonpattern="INC-.*", ipatpiticketpattern="T[0-9]+", ipatpipendinglimit="2",
        ipatpidestructive="TRUE", ipatpirequiredapprovals="3", ipatpiapprovalseconds="60", ipatpiexecutionseconds="90",
        ipatpitimeoutseconds="30",
    )  # fmt: skip
    assert (loaded.dn, loaded.name, loaded.enabled, loaded.description) == (
        OPERATION_DN,
        "dirsrv.restart",
        True,
        "Restart",
    )
    assert (
        loaded.required_approvals,
        loaded.approval_seconds,
        loaded.execution_seconds,
        loaded.timeout_seconds,
    ) == (3, 60, 90, 30)
    assert (loaded.reason_pattern, loaded.ticket_pattern, loaded.pending_limit, loaded.destructive) == (
        "INC-.*",
        "T[0-9]+",
        2,
        True,
    )
    assert loaded.interfaces == {"cli", "web", "framework"}
    assert loaded.parameters["instance"].pattern == "[A-Za-z0-9_-]{1,64}"


def test_a_parameter_is_loaded_with_all_that_it_says() -> None:
    schema = '{"mode":{"pattern":"a|b","values":["a","b"],"description":"how"}}'
    loaded = operation(ipatpiparameterschema=schema).parameters["mode"]
    assert (loaded.pattern, sorted(loaded.values)) == ("a|b", ["a", "b"])


def test_what_an_operation_may_leave_out_has_the_stated_defaults() -> None:
    loaded = operation(
        ipatpiapprovalseconds=None,
        ipatpiexecutionseconds=None,
        ipatpitimeoutseconds=None,
        ipatpiinterface=None,
    )
    assert (loaded.approval_seconds, loaded.execution_seconds, loaded.timeout_seconds) == (
        300,
        300,
        60,
    )  # R-A03, R-E06
    assert (loaded.interfaces, loaded.pending_limit, loaded.destructive) == (INTERFACES, 0, False)
    assert {"cli", "web", "framework", "jacket", "direct"} == INTERFACES
    texts = (loaded.description, loaded.reason_pattern, loaded.ticket_pattern, loaded.validation_program)
    assert texts == ("", "", "", "")
    assert loaded.required_groups == loaded.indicators == frozenset()
    assert (loaded.stages, loaded.fresh_seconds, loaded.minimum_age_seconds) == ((), 0, 0)


def test_every_attribute_of_an_operation_and_of_a_rule_is_known() -> None:
    """R-E21: what is not known makes it unusable, so what is known is all of it."""
    loaded = operation(
        objectclass=["TOP", "ipaTpiOperation"],
        description="d",
        ipatpireasonpattern="r",
        ipatpiticketpattern="t",
        ipatpipendinglimit="1209600",
        ipatpidestructive="TRUE",
        ipatpirequiredgroup="cn=a",
        ipatpistage="1:1:cn=a",
        ipatpivalidationprogram="p",
        ipatpiauthindicator="otp",
        ipatpifreshseconds="1209600",
        ipatpiminimumageseconds="31622400",
        memberof="cn=g",
    )
    assert (loaded.description, loaded.reason_pattern, loaded.ticket_pattern) == ("d", "r", "t")
    assert (loaded.pending_limit, loaded.fresh_seconds) == (14 * 86400, 14 * 86400)
    known = {"description": [b"d"], "usercategory": [b"all"], "hostcategory": [b"all"]}
    more = {"ipatpioperationcategory": [b"all"], "ipatpirequestingprincipal": [machine().dn.encode()]}
    assert isinstance(load_rule("cn=r", RULE | known | more), Rule)


NUMBERS = (
    "ipatpirequiredapprovals",
    "ipatpiapprovalseconds",
    "ipatpiexecutionseconds",
    "ipatpitimeoutseconds",
)
BAD_NUMBERS = (
    "",
    "0",
    "-1",
    "+1",
    "1.0",
    "1 ",
    " 1",
    "0x10",
    "1e3",
    "one",
    "1234567890",
    "\u0661",
    "999999999",
    "1\n",
)
BAD_OPERATIONS: tuple[tuple[str, Any], ...] = (
    ("cn", None),
    ("cn", ["dirsrv.restart", "other.name"]),
    *(
        ("cn", text)
        for text in (
            "",
            "restart",
            "Dirsrv.Restart",
            "dirsrv.",
            ".restart",
            "dirsrv..x",
            "dirsrv.restart\n",
            "a b.c",
            "1a.b",
        )
    ),
    ("objectclass", ["top", "ipaTpiOperation", "extensibleObject"]),
    ("objectclass", ["ipaTpiOperation"]),
    ("objectclass", None),
    ("ipaenabledflag", None),
    ("ipaenabledflag", ["TRUE", "TRUE"]),
    ("ipaenabledflag", ["TRUE", "FALSE"]),
    ("ipaenabledflag", "yes"),
    ("ipaenabledflag", ""),
    ("ipatpirequiredapprovals", None),
    *((name, text) for name in NUMBERS for text in BAD_NUMBERS),
    *((name, ["1", "2"]) for name in NUMBERS),
    ("ipatpirequiredapprovals", "17"),
    ("ipatpiapprovalseconds", str(14 * 86400 + 1)),
    ("ipatpiinterface", ["cli", "telnet"]),
    ("ipatpiinterface", "CLI"),
    ("ipatpireasonpattern", "("),
    ("ipatpireasonpattern", ["a", "b"]),
    ("ipatpiticketpattern", "[z-a]"),
    ("ipatpiticketpattern", "a{99999999999}"),
    ("ipatpiticketpattern", "(" * 3000 + ")" * 3000),
    ("ipatpipendinglimit", "-1"),
    ("ipatpidestructive", "maybe"),
    ("description", [b"\xff"]),
    ("cn", [b"\xff"]),
    ("ipatpiparameterschema", None),
    ("ipatpiparameterschema", ["{}", "{}"]),
    *(
        ("ipatpiparameterschema", text)
        for text in (
            "",
            "null",
            "[]",
            '"x"',
            "{",
            "[" * 100_000,
            '{"a":' * 50_000,
            '{"a":null}',
            '{"a":{}}',
            '{"a":{"pattern":1}}',
            '{"a":{"pattern":"("}}',
            '{"a":{"pattern":"a{99999999999}"}}',
            '{"a":{"pattern":"a","values":"b"}}',
            '{"a":{"pattern":"a","values":[1]}}',
            '{"a":{"pattern":"a","values":[]}}',  # an empty list allows nothing, so it is a mistake
            '{"a":{"pattern":"a","value":["x"]}}',
            '{"a":{"pattern":"a"},"a":{"pattern":".*"}}',  # doubled
            '{"a":{"pattern":"a","pattern":".*"}}',
        )
    ),
    ("ipatpirequiredgroup", "admins"),
    ("ipatpirequiredgroup", ""),
    *(
        ("ipatpistage", given_)
        for given_ in (
            "1",
            "1:1",
            "1:1:",
            "1:1:admins",
            "0:1:cn=x",
            "1:0:cn=x",
            "-1:1:cn=x",
            "1:-1:cn=x",
            "1:1.5:cn=x",
            "a:1:cn=x",
            "1:100:cn=x",
            "1:17:cn=x",
            ["1:9:cn=x", "2:8:cn=x"],
            ["1:1:cn=x", "1:2:cn=x"],
            "",
        )
    ),
    *(
        ("ipatpivalidationprogram", given_)
        for given_ in ("/bin/true", "../x", ".x", "a b", "-x", "X", "", ["a", "b"])
    ),
    *(("ipatpiauthindicator", given_) for given_ in ("", "a b", "otp\n", "x" * 33)),
    *(("ipatpifreshseconds", given_) for given_ in ("-1", "x", "1209601", "", ["1", "2"])),
    *(("ipatpiminimumageseconds", given_) for given_ in ("-1", "x", "31622401", "")),
    # Not of this version: must not look enforced (E21).
    ("ipatpiunheardof", "x"),
)


def test_what_a_definition_can_demand() -> None:
    found = operation(
        ipatpirequiredgroup=["cn=a", "cn=b"],
        ipatpistage=["2:1:cn=y", "1:2:cn=x", "1:1:cn=a"],
        ipatpivalidationprogram="last-directory-server",
        ipatpiauthindicator=["otp", "pkinit"],
        ipatpifreshseconds="60",
        ipatpiminimumageseconds="31622400",
    )
    assert found.required_groups == {"cn=a", "cn=b"}
    assert found.stages == (Stage(1, 1, "cn=a"), Stage(1, 2, "cn=x"), Stage(2, 1, "cn=y"))
    assert found.validation_program == "last-directory-server"
    assert found.indicators == {"otp", "pkinit"}
    assert (found.fresh_seconds, found.minimum_age_seconds) == (60, 31622400)


def test_sixteen_approvals_in_stages_are_the_most() -> None:
    found = operation(ipatpistage=["1:15:cn=x", "99:1:cn=x"])
    assert [stage.count for stage in found.stages] == [15, 1]


@pytest.mark.parametrize(
    ("destructive", "fresh", "seconds"),
    [("TRUE", None, 300), ("TRUE", "0", 0), ("TRUE", "20", 20), ("FALSE", None, 0), (None, None, 0)],
)
def test_a_destructive_operation_is_fresh_by_default(
    destructive: str | None, fresh: str | None, seconds: int
) -> None:
    """R-X11."""
    assert operation(ipatpidestructive=destructive, ipatpifreshseconds=fresh).fresh_seconds == seconds


@pytest.mark.parametrize(
    ("name", "given_"), BAD_OPERATIONS, ids=lambda value: ascii(value)[:40].replace("\\", "%")
)
def test_a_definition_with_a_fault_is_not_loaded(name: str, given_: Any) -> None:
    answer = load_operation(OPERATION_DN, definition(**{name: given_}))
    refused_with(answer, "operation-malformed", OPERATION_DN, "correct the entry")


@pytest.mark.parametrize(
    ("name", "given_"),
    [
        ("ipatpirequiredapprovals", "0"),
        ("ipatpiapprovalseconds", "-5"),
        ("ipaenabledflag", "x"),
        ("ipatpistage", "1"),
    ],
)
def test_the_refusal_names_the_attribute(name: str, given_: str) -> None:
    refused_with(load_operation(OPERATION_DN, definition(**{name: given_})), "operation-malformed", name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ipatpirequiredapprovals", "1"),
        ("ipatpirequiredapprovals", "16"),
        ("ipatpiapprovalseconds", str(14 * 86400)),
        ("ipatpitimeoutseconds", "1"),
    ],
)
def test_numbers_are_taken_up_to_their_bounds(name: str, text: str) -> None:
    assert isinstance(load_operation(OPERATION_DN, definition(**{name: text})), Operation)


RULE: dict[str, list[bytes]] = {
    "objectclass": [b"top", b"ipaAssociation", b"ipaTpiRule"],
    "ipauniqueid": [b"5b0e0c5e-0000-4000-8000-000000000000"],
    "cn": [b"operators"],
    "ipaenabledflag": [b"TRUE"],
    "ipatpiright": [b"request", b"approve"],
    "memberuser": [OPERATORS.encode()],
    "memberhost": [TARGET.dn.encode()],
    "ipatpimemberoperation": [OPERATION_DN.encode()],
}


def test_a_rule_is_loaded_with_all_that_it_says() -> None:
    loaded = load_rule(
        "cn=r", {**RULE, "ipatpirequestingprincipal": [machine().dn.encode()], "hostcategory": [b"all"]}
    )
    assert isinstance(loaded, Rule)
    assert (loaded.dn, loaded.name, loaded.enabled, loaded.rights) == (
        "cn=r",
        "operators",
        True,
        frozenset(Right),
    )
    assert [*loaded.members, *loaded.hosts, *loaded.operations] == [OPERATORS, TARGET.dn, OPERATION_DN]
    assert loaded.requesting == {machine().dn}
    assert (loaded.all_users, loaded.all_hosts, loaded.all_operations) == (False, True, False)


def test_the_three_categories_are_three() -> None:
    for name, field in (
        ("usercategory", "all_users"),
        ("hostcategory", "all_hosts"),
        ("ipatpioperationcategory", "all_operations"),
    ):
        loaded = load_rule("cn=r", {**RULE, name: [b"ALL"]})
        found = {each: getattr(loaded, each) for each in ("all_users", "all_hosts", "all_operations")}
        assert found == {each: each == field for each in found}


@pytest.mark.parametrize(
    "changes",
    [
        {"ipatpiright": [b"execute"]},
        {"ipatpiright": [b"\xff"]},
        {"cn": []},
        {"cn": [b"a", b"b"]},
        {"ipaenabledflag": []},
        {"ipaenabledflag": [b"TRUE", b"FALSE"]},
        {"ipaenabledflag": [b"1"]},
        {"usercategory": [b"some"]},
        {"hostcategory": [b"all", b"all"]},
        {"ipatpioperationcategory": [b"none"]},
        {"memberuser": [b"\xff"]},
        {"objectclass": [b"top", b"ipaAssociation", b"ipaTpiRule", b"extensibleObject"]},
        {"objectclass": []},
        {"ipatpiunheardof": [b"x"]},
        {"accesstime": [b"x"]},  # a restriction that is not enforced must not look enforced (E21)
    ],
)
def test_a_rule_that_is_not_understood_gives_nothing(changes: dict[str, list[bytes]]) -> None:
    refused_with(load_rule("cn=r", {**RULE, **changes}), "rule-malformed", "cn=r")


def test_a_rule_without_rights_gives_none() -> None:
    loaded = load_rule("cn=r", {**RULE, "ipatpiright": []})
    assert isinstance(loaded, Rule)
    refused_with(judge(loaded), "no-rule", "gives another right")


BYTES = st.binary(max_size=8) | st.sampled_from(
    [b"TRUE", b"1", b"{}", SCHEMA.encode(), b"all", b"a{9999999999}", b"request"]
)
NAMES = st.sampled_from(
    sorted({*definition(), *RULE, "ipatpireasonpattern", "ipatpipendinglimit", "usercategory", "zz"})
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(NAMES, st.lists(BYTES, max_size=2), max_size=3))
def test_no_definition_makes_loading_raise(changes: dict[str, list[bytes]]) -> None:
    assert isinstance(load_operation(OPERATION_DN, {**definition(), **changes}), Operation | Refuse)
    assert isinstance(load_rule("cn=r", {**RULE, **changes}), Rule | Refuse)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30))
def test_no_parameter_schema_makes_loading_raise(text: str) -> None:
    encoded = text.encode("utf-8", "surrogatepass")
    for schema in (encoded, b'{"a":{"pattern":"' + encoded + b'"}}'):
        loaded = load_operation(OPERATION_DN, definition(ipatpiparameterschema=[schema]))
        assert isinstance(loaded, Operation | Refuse)


DIMENSIONS = st.fixed_dictionaries(
    {
        "enabled": st.booleans(),
        "rights": st.frozensets(st.sampled_from(list(Right))),
        "members": st.frozensets(st.sampled_from([OPERATORS, ALICE.dn, "cn=nobody"])),
        "all_users": st.booleans(),
        "hosts": st.frozensets(st.sampled_from([TARGET.dn, HOST_GROUP, "fqdn=x"])),
        "all_hosts": st.booleans(),
        "operations": st.frozensets(st.sampled_from([OPERATION_DN, GROUP, "cn=x.y"])),
        "all_operations": st.booleans(),
    }
)


@settings(deadline=None, max_examples=150)
@given(st.lists(DIMENSIONS, max_size=4), st.booleans())
def test_a_right_is_one_rule_that_matches_in_all(dimensions: list[dict[str, Any]], known: bool) -> None:
    rules = [rule(f"r{number}", **each) for number, each in enumerate(dimensions)]
    expected = any(
        each["enabled"]
        and SAY_YES in each["rights"]
        and (each["all_users"] or each["members"] & {OPERATORS, ALICE.dn})
        and (each["all_hosts"] or (known and TARGET.dn in each["hosts"]))
        and (each["all_operations"] or OPERATION_DN in each["operations"])
        for each in dimensions
    )
    answer = judge(*rules, host=TARGET if known else None)
    assert isinstance(answer, Allow) is expected


def test_the_host_is_named_in_refusals() -> None:
    refused_with(judge(), "no-rule", HOST)
