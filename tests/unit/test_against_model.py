"""The decision core against the slow model: the same answer to every question, in every generated world.

`make model EXAMPLES=20000` runs the same properties for longer; the figure is that of one property.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

from decide_builders import REALM, T0, at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_worlds import (
    AUDIT,
    DAY,
    EVERYBODY,
    MACHINE,
    NIGHT,
    NOW,
    OPS,
    PEOPLE,
    SERVICE,
    TARGET,
    USER_GROUPS,
    USUAL,
    Scene,
    account_of,
    deeds,
    facts_of,
    floor_of,
    host_of,
    operation_of,
    person_dn,
    policy_of,
    scenes,
    somebody,
    worlds,
)
from slow_model import (
    Ask,
    Deed,
    World,
    account_at,
    could_be_satisfied,
    enough,
    has_turn,
    is_called,
    may,
    same_human,
    usable,
    verdict,
)

from ipa_tpi.decide.authorization import authorize, terms_of
from ipa_tpi.decide.identity import check_account, check_distinct, check_principal, identity_of
from ipa_tpi.decide.policy import may as core_may
from ipa_tpi.decide.policy import usable_operation
from ipa_tpi.decide.quorum import check_satisfiable, check_turn, missing
from ipa_tpi.model import Allow, NotYet, Operation, Right

EXAMPLES = int(os.environ.get("EXAMPLES", "100"))
LONG = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# What Apache or a GSS context could call somebody; every account has an alias, found in any letter case.
DISGUISES: tuple[Callable[[str], str], ...] = (
    lambda uid: f"{uid}@{REALM}",
    lambda uid: f"{uid.upper()}@{REALM}",
    lambda uid: f"{uid.lower()}@{REALM}",
    lambda uid: f"{uid}.alias@{REALM}",
    lambda uid: uid,
    lambda uid: f"{uid}@{REALM.lower()}",
    lambda uid: f"{uid}@OTHER.TEST",
    lambda uid: f"{uid}\\@{REALM}@{REALM}",
    lambda uid: f"{uid}/admin@{REALM}",
    lambda uid: uid[:0],
)
ALIASES = {person_dn(uid): (f"{uid}.alias@{REALM}".casefold(),) for uid in PEOPLE}


@LONG
@given(worlds(), deeds(), st.sampled_from([*EVERYBODY, MACHINE, SERVICE]))
def test_who_may_do_what(world: World, deed: Deed, dn: str) -> None:
    """K03: nested groups and circles, roles, groups named alike, hosts, operations, categories."""
    who = account_at(world, dn)
    assert who is not None
    policy = policy_of(world, deed)
    operation = usable_operation(policy, "dirsrv.restart")
    for right in Right:
        allowed = isinstance(operation, Operation) and isinstance(
            core_may(policy, right, account_of(world, who), operation, host_of(world)), Allow
        )
        assert allowed == may(world, right, who, deed, TARGET), right


def _compare(scene: Scene, *, last: bool) -> None:
    expected = verdict(scene.world, scene.ask, scene.deed, scene.now, last=last)
    found = authorize(facts_of(scene), "last" if last else "dispatch")
    waits = "never" if last else "wait"  # at the last look the executor refuses whatever it may not do now
    answer = {Allow: "run", NotYet: waits}.get(type(found.decision), "never")
    assert answer == expected.answer, (expected, found)
    if found.standing is not None:
        assert found.standing.state == expected.state, (expected, found)
        assert tuple(approval.entry_id for approval in found.standing.counted) == expected.counted, (
            expected,
            found,
        )


@LONG
@given(scenes())
def test_what_becomes_of_a_request(scene: Scene) -> None:
    """K02, K08, K09, K12, K15, X09, X11, X13: state, approvals that count, and whether it may run.

    Asked twice: when it could begin, and just before it acts, where nothing waits.
    """
    _compare(scene, last=False)
    _compare(scene, last=True)


@LONG
@given(worlds(), st.sampled_from(PEOPLE), st.sampled_from(DISGUISES))
def test_who_is_who(world: World, uid: str, disguise: Callable[[str], str]) -> None:
    """K02, A04: an alias, another letter case, an enterprise name or another realm is nobody's canonical name.

    The directory finds an account by any of its names, whatever their letter case.
    """
    name = disguise(uid)
    found = [
        one
        for one in world.accounts
        if name.casefold() in {one.principal.casefold(), *ALIASES.get(one.dn, ())}
    ]
    taken = check_principal(name, world.realm) is None and any(
        check_account(account_of(world, one), name, at(NOW), "") is None for one in found if not one.locked
    )
    right = is_called(world, name)
    assert taken == (right is not None and usable(replace(world, person_attribute=False), right, at(NOW)))


@LONG
@given(worlds())
def test_two_are_two(world: World) -> None:
    """K02, X09: any two accounts, whatever they share."""
    there = [one for one in world.accounts if usable(world, one, at(NOW))]
    for one, other in combinations(there, 2):
        apart = check_distinct(identity_of(account_of(world, one)), identity_of(account_of(world, other)))
        assert (apart is None) == (not same_human(world, one, other)), (one, other)


CROWD = tuple(f"p{number}" for number in range(5))


@LONG
@given(
    deeds(staged=True),
    st.lists(st.frozensets(st.sampled_from([OPS, DAY, NIGHT, AUDIT])), min_size=1, max_size=5),
)
def test_when_it_is_enough(deed: Deed, crowd: list[frozenset[str]]) -> None:
    """K08: number, groups and stages; whose turn it is; and whether anybody could ever complete it."""
    people = [somebody(uid) for uid in CROWD[: len(crowd)]]
    members = {
        group: frozenset(who.dn for who, inner in zip(people, crowd, strict=True) if group in inner)
        for group in USER_GROUPS
    }
    world = replace(USUAL, accounts=(*USUAL.accounts, *people), members=members)
    ask = Ask(person_dn("alice"), T0, TARGET, (), "")
    demand = terms_of(operation_of(deed), floor_of(deed), account_of(world, USUAL.accounts[0])).demand
    for number, who in enumerate(people):
        turn = check_turn(demand, crowd[:number], crowd[number]) is None
        if all(check_turn(demand, crowd[:earlier], crowd[earlier]) is None for earlier in range(number)):
            assert turn == has_turn(world, deed, people[:number], who)
            if turn:
                complete = missing(demand, crowd[: number + 1]) == ""
                assert complete == enough(world, ask, deed, people[: number + 1])
    able = check_satisfiable(
        operation_of(deed), demand, {who.dn: groups for who, groups in zip(people, crowd, strict=True)}
    )
    assert (able is None) == could_be_satisfied(world, ask, deed, people)
