"""Accounts and memberships that are too young do not count (X11)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    APPROVE_PERMISSION,
    BOB,
    DAY,
    OLD,
    OPERATORS,
    RESTART,
    RULES,
    Entries,
    at,
    facts,
    machine,
    policy,
    refused_with,
    request,
    rule,
    setting,
)

from ipa_tpi.decide.authorization import Setting, authorize, check_age, judge_requester, judge_voice
from ipa_tpi.model import Group, NotYet, Right, Stage

AGE = 3600
NOW = at(60)
RIPE, YOUNG = NOW - timedelta(seconds=AGE), NOW - timedelta(seconds=AGE - 1)
STRICT = replace(RESTART, minimum_age_seconds=AGE)


def groups(**modified: datetime) -> dict[str, Group]:
    """Give everything that bob is a member of, all of it old but what is named."""
    above = {DAY: frozenset({OPERATORS}), OPERATORS: frozenset({APPROVE_PERMISSION})}
    known = {"day": DAY, "operators": OPERATORS, "permission": APPROVE_PERMISSION}
    return {dn: Group(dn, modified.get(name, OLD), above.get(dn, frozenset())) for name, dn in known.items()}


def strict(**changes: Any) -> Setting:
    """Give the setting of an operation that demands an age."""
    return setting(**{"operation": STRICT, "now": NOW, "groups": groups(), **changes})


def test_the_people_of_these_tests_are_members_by_nested_groups() -> None:
    assert BOB.member_of >= {DAY, OPERATORS, APPROVE_PERMISSION}


def test_who_is_old_enough_counts() -> None:
    assert judge_voice(BOB, request(), ALICE, strict()).refusal is None
    assert judge_requester(request(), ALICE, strict()) is None
    assert judge_voice(BOB, request(), ALICE, strict()).groups == BOB.member_of


def test_an_account_of_exactly_the_age_counts_and_a_younger_one_does_not() -> None:
    assert check_age(replace(BOB, created=RIPE), Right.APPROVE, strict()) is None
    refused_with(
        check_age(replace(BOB, created=YOUNG), Right.APPROVE, strict()), "account-too-young", "3600 s"
    )


@pytest.mark.parametrize("name", ["day", "operators"])
def test_a_change_anywhere_on_the_way_to_the_right_makes_it_young(name: str) -> None:
    assert check_age(BOB, Right.APPROVE, strict(groups=groups(**{name: RIPE}))) is None
    answer = check_age(BOB, Right.APPROVE, strict(groups=groups(**{name: YOUNG})))
    refused_with(answer, "membership-too-young", "Wait, or ask somebody else")


def test_a_group_that_cannot_be_read_is_young() -> None:
    refused_with(check_age(BOB, Right.APPROVE, strict(groups={})), "membership-too-young", "cn=")


def test_a_group_that_gives_nothing_here_may_be_young() -> None:
    party = "cn=party,cn=groups,cn=accounts,dc=tpi,dc=test"
    who = replace(BOB, member_of=BOB.member_of | {party})
    known = groups() | {party: Group(party, NOW)}
    assert check_age(who, Right.APPROVE, strict(groups=known)) is None


@pytest.mark.parametrize("kind", ["required", "stage"])
def test_a_group_that_the_operation_names_must_be_old(kind: str) -> None:
    named = "cn=security,cn=groups,cn=accounts,dc=tpi,dc=test"
    who = replace(BOB, member_of=BOB.member_of | {named})
    demands: dict[str, Any] = {"required_groups": frozenset({named})}
    if kind == "stage":
        demands = {"stages": (Stage(1, 1, named),)}
    wanted = replace(STRICT, **demands)
    for modified, enough in ((RIPE, True), (YOUNG, False)):
        known = groups() | {named: Group(named, modified)}
        answer = check_age(who, Right.APPROVE, strict(operation=wanted, groups=known))
        assert (answer is None) is enough


@pytest.mark.parametrize("right", [Right.REQUEST, Right.APPROVE])
def test_the_coarse_role_gives_nothing_so_its_age_says_nothing(right: Right) -> None:
    """Nobody but administrators reads roles and permissions in FreeIPA."""
    known = groups()
    del known[APPROVE_PERMISSION]
    assert check_age(ALICE, right, strict(groups=known)) is None


def test_one_old_way_to_the_right_is_enough() -> None:
    other = "cn=elders,cn=groups,cn=accounts,dc=tpi,dc=test"
    who = replace(BOB, member_of=BOB.member_of | {other})
    known = groups() | {other: Group(other, YOUNG)}
    elders = rule("elders approve", members=frozenset({other}))
    for rules in ((elders, *RULES), (*RULES, elders)):
        assert check_age(who, Right.APPROVE, strict(groups=known, policy=policy(*rules))) is None
    refused_with(
        check_age(who, Right.APPROVE, strict(groups=known, policy=policy(elders))),
        "membership-too-young",
        "elders",
    )


@pytest.mark.parametrize("old_way", [{"members": {OPERATORS}}, {"members": {BOB.dn}}, {"all_users": True}])
def test_one_old_way_through_one_rule_is_enough(old_way: dict[str, Any]) -> None:
    """A rule that names somebody twice gives him no less than one that names him once."""
    other = "cn=elders,cn=groups,cn=accounts,dc=tpi,dc=test"
    who = replace(BOB, member_of=BOB.member_of | {other})
    known = groups() | {other: Group(other, YOUNG)}
    members = frozenset({other, *old_way.get("members", ())})
    both = policy(rule("both", **{**old_way, "members": members}))
    assert check_age(who, Right.APPROVE, strict(groups=known, policy=both)) is None
    for name in ("day", "operators"):
        known = groups(**{name: YOUNG}) | {other: Group(other, YOUNG)}
        answer = check_age(who, Right.APPROVE, strict(groups=known, policy=both))
        assert (answer is None) == (OPERATORS not in members)


def test_where_no_age_is_demanded_none_is_asked() -> None:
    assert check_age(replace(BOB, created=NOW), Right.APPROVE, strict(operation=RESTART, groups={})) is None


def test_the_executor_counts_nobody_who_joined_just_now() -> None:
    """From its own reads: the approval of a member of a minute ago leaves the request pending."""
    asked = request(operation_digest=STRICT.digest)
    made = Entries(asked)
    there = [made.proof(ALICE, "request", 0), made.preview(), made.approval(BOB)]
    rules = policy(operations={STRICT.name: STRICT})
    ripe = facts(*there, asked=asked, policy=rules, groups=groups())
    assert authorize(ripe, "dispatch").decision.__class__.__name__ == "Allow"
    young = authorize(replace(ripe, groups=groups(day=YOUNG)), "dispatch")
    refused_with(young.decision, "membership-too-young")
    only_bob = replace(ripe, accounts={**ripe.accounts, BOB.dn: replace(BOB, created=YOUNG)})
    found = authorize(only_bob, "dispatch")
    assert isinstance(found.decision, NotYet)


def test_a_host_that_asks_is_named_by_its_own_groups() -> None:
    group = "cn=clients,cn=hostgroups,cn=accounts,dc=tpi,dc=test"
    host = machine(member_of=frozenset({group}))
    asks = rule("clients ask", Right.REQUEST, members=frozenset(), requesting=frozenset({group}))
    for modified, enough in ((OLD, True), (YOUNG, False)):
        known = {group: Group(group, modified)}
        answer = check_age(host, Right.REQUEST, strict(groups=known, policy=policy(asks)))
        assert (answer is None) is enough
