"""Who can do what to which entry: everybody, every kind of entry, every operation.

What is expected is computed by acls_stage.
"""

import uuid
from collections.abc import Iterator

import ldap
import pytest
from acls_stage import (
    ADDING_ROWS,
    ADMINS,
    ALLOWED,
    APPROVERS,
    AUDITORS,
    EXECUTORS,
    GROUPS,
    NAMED_ROWS,
    NOBODY,
    POLICY,
    REFUSED,
    REQUESTERS,
    ROWS,
    Stage,
    Thing,
    attempt,
    may_add,
    may_change,
    may_delete,
    may_read,
    members,
    restore,
    staged,
    trial,
    wrong,
)
from acls_world import ANSWERS, HERE, OTHER, Draft, World, new_world

pytestmark = pytest.mark.realm


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with new_world() as made:
        heidi = (f"cn=TPI Approver,cn=roles,cn=accounts,{made.layout.suffix}", "member", made.dn("Heidi"))
        with made.values(*heidi):
            yield made


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, world: World) -> Iterator[Stage]:
    with staged(world, request.param) as made:
        yield made


@pytest.mark.parametrize(("stage", "who"), ROWS, indirect=["stage"])
def test_add(stage: Stage, who: str) -> None:
    world = stage.world
    drafts: list[tuple[Draft, str, Thing | None]] = [
        (world.request(executor), "ipaTpiRequest", None) for executor in (HERE, OTHER)
    ]
    drafts += [(world.policy(kind), kind, None) for kind in (*POLICY, "ipaTpiAnchor", "nsContainer")]
    drafts += [(world.answer(kind, above.dn), kind, above) for kind in ANSWERS for above in stage.fresh]
    found = []
    for draft, kind, above in drafts:
        ended = trial(world, who, draft)
        found.append((f"{kind} {above.requester if above else ''}", ended, may_add(who, kind, stage, above)))
    assert wrong(found) == []


@pytest.mark.parametrize(("stage", "who"), ADDING_ROWS, indirect=["stage"])
def test_add_with_something_planted(stage: Stage, who: str) -> None:
    """Nobody plants, not even where he may add."""
    world = stage.world
    door = '(targetattr = "*")(version 3.0; acl "x"; allow (all) userdn = "ldap:///anyone";)'
    plants: list[dict[str, str | tuple[str, ...]]] = [
        {"aci": door},
        {"nsRoleDN": world.dn("alice")},
        {"nsAccountLock": "true"},
        {"nsds5ReplConflict": "naming"},
        {"objectClass": "extensibleObject"},
        {"objectClass": "ldapSubEntry"},
        {"objectClass": "nsTombstone"},
        {"objectClass": "referral", "ref": "ldap://elsewhere/"},
        {"objectClass": "glue"},
        {"objectClass": "krbPrincipalAux", "krbPrincipalName": f"{uuid.uuid4()}@TPI.TEST"},
    ]
    found = []
    for plant in plants:
        drafts = [world.request(), *(world.policy(kind) for kind in (*POLICY, "ipaTpiAnchor"))]
        drafts += [world.answer(kind, above.dn) for kind in ANSWERS for above in stage.fresh]
        for draft in drafts:
            ended = trial(world, who, draft.having(**plant))
            found.append((f"{draft.attributes['objectClass']} with {plant}", ended, False))
    assert wrong(found) == []


@pytest.mark.parametrize(("stage", "who"), ADDING_ROWS, indirect=["stage"])
def test_add_in_two_clothes(stage: Stage, who: str) -> None:
    """Nobody adds an entry of two kinds, whatever he may add of each."""
    world = stage.world
    found = []
    for above in stage.fresh:
        for first in ANSWERS:
            for second in (*ANSWERS, "ipaTpiRequest", *POLICY, "ipaTpiAnchor"):
                draft = world.answer(first, above.dn)
                other = world.answer(second, above.dn) if second in ANSWERS else world.policy(second)
                both = other.attributes | draft.attributes
                classes = tuple({*draft.attributes["objectClass"], *other.attributes["objectClass"]})
                if first != second:
                    mixed = Draft(draft.dn, both | {"objectClass": classes})
                    found.append((f"{first} and {second}", trial(world, who, mixed), False))
    assert wrong(found) == []


@pytest.mark.parametrize(("stage", "who"), ROWS, indirect=["stage"])
def test_add_in_the_wrong_place(stage: Stage, who: str) -> None:
    world = stage.world
    above = stage.fresh[0].dn
    answer = next(thing.dn for thing in stage.things if thing.kind == "ipaTpiApproval")
    operation = next(thing.dn for thing in stage.things if thing.kind == "ipaTpiOperation")
    drafts = [
        *(
            world.answer(kind, place)
            for kind in ANSWERS
            for place in (world.requests, world.top, answer, operation)
        ),
        *(
            Draft(f"ipaTpiRequestId={draft.attributes['ipaTpiRequestId'][0]},{place}", draft.attributes)
            for place in (above, answer, world.top, operation, f"cn=anchors,{world.top}")
            for draft in [world.request()]
        ),
        *(
            Draft(f"{draft.dn.partition(',')[0]},{place}", draft.attributes)
            for kind in (*POLICY, "ipaTpiAnchor", "nsContainer")
            for place in (world.requests, above, answer, world.top)
            for draft in [world.policy(kind)]
        ),
        *(
            Draft(f"{draft.dn.partition(',')[0]},cn={name},{world.top}", draft.attributes)
            for name in ("tpioperations", "tpirules", "tpioperationgroups", "executors", "policy-executors")
            for draft in [world.policy("ipaTpiAnchor")]
        ),
    ]
    found = []
    for draft in drafts:
        ended = trial(world, who, draft)
        found.append((draft.dn, ended, False))
    assert wrong(found) == []


@pytest.mark.parametrize(("stage", "who"), ROWS, indirect=["stage"])
def test_change(stage: Stage, who: str) -> None:
    """Attributes, classes, ACIs, locks, names and places of entries that are there."""
    world = stage.world
    connection = world.bound(who)
    door = b'(targetattr = "*")(version 3.0; acl "x"; allow (all) userdn = "ldap:///anyone";)'
    found = []
    for thing in stage.things:
        may = may_change(who, thing, stage)
        attribute = "description" if thing.kind in (*POLICY, "container", "group") else "ipaTpiDigest"
        for what, change, right in (
            ("replace", (ldap.MOD_REPLACE, attribute, [b"cd" * 32]), may),
            ("aci", (ldap.MOD_ADD, "aci", [door]), False),
            ("no aci", (ldap.MOD_DELETE, "aci", None), False),
            ("lock", (ldap.MOD_ADD, "nsAccountLock", [b"true"]), may),
            ("class", (ldap.MOD_ADD, "objectClass", [b"extensibleObject"]), False),
        ):
            ended = attempt(connection.modify_s, thing.dn, [change])
            found.append((f"{what} {thing.kind} {thing.dn}", ended, right))
            if ended == ALLOWED and right and what == "lock":
                world.root.modify_s(thing.dn, [(ldap.MOD_DELETE, "nsAccountLock", None)])
    assert wrong(found) == []


@pytest.mark.parametrize(("stage", "who"), ROWS, indirect=["stage"])
def test_rename_and_move(stage: Stage, who: str) -> None:
    world = stage.world
    connection = world.bound(who)
    found = []
    for thing in stage.things:
        rdn, _, above = thing.dn.partition(",")
        new = f"{rdn.partition('=')[0]}={uuid.uuid4()}"
        ended = attempt(connection.rename_s, thing.dn, new, None, 1)
        found.append((f"rename {thing.dn}", ended, may_change(who, thing, stage)))
        if ended == ALLOWED:
            world.root.rename_s(f"{new},{above}", rdn, None, 1)
        for place in (f"cn=users,cn=accounts,{world.layout.suffix}", world.requests, world.top):
            if place == above or thing.dn in (world.top, world.requests):
                continue
            ended = attempt(connection.rename_s, thing.dn, rdn, place, 0)
            found.append((f"move {thing.dn} to {place}", ended, False))
            if ended == ALLOWED:
                world.root.rename_s(f"{rdn},{place}", rdn, above, 0)
    assert wrong(found) == []


@pytest.mark.parametrize(
    ("stage", "who"), NAMED_ROWS, indirect=["stage"]
)  # anonymous has no entry that could be a member
def test_take_part_in_a_group(stage: Stage, who: str) -> None:
    """Nobody adds or removes members, himself included, except policy executors the executors."""
    world = stage.world
    connection = world.bound(who)
    found = []
    for name in GROUPS:
        group = f"cn={name},{world.top}"
        for member in (world.dn("dave"), world.dn(who)):
            held = member.encode() in members(world, group)
            how, back = (ldap.MOD_DELETE, ldap.MOD_ADD) if held else (ldap.MOD_ADD, ldap.MOD_DELETE)
            ended = attempt(connection.modify_s, group, [(how, "member", [member.encode()])])
            if ended == ALLOWED:
                world.root.modify_s(group, [(back, "member", [member.encode()])])
            may = name == "executors" and who in stage.policy_executors
            found.append((f"{name} {member}", ended, may))
    assert wrong(found) == []


@pytest.mark.parametrize(("stage", "who"), ROWS, indirect=["stage"])
def test_delete(stage: Stage, who: str) -> None:
    world = stage.world
    connection = world.bound(who)
    found = []
    for thing in stage.things:
        if thing.kind == "ipaTpiRequest" and thing not in stage.fresh:
            continue  # it has children, so nobody could
        ended = attempt(connection.delete_s, thing.dn)
        full_container = thing.kind == "container" and ended.startswith("NOT_ALLOWED_ON_NONLEAF")
        found.append((thing.dn, REFUSED if full_container else ended, may_delete(who, thing, stage)))
        if ended == ALLOWED:
            restore(world, thing)
    assert wrong(found) == []


@pytest.mark.parametrize(("stage", "who"), ROWS, indirect=["stage"])
def test_read(stage: Stage, who: str) -> None:
    world = stage.world
    connection = world.bound(who)
    found = []
    for thing in stage.things:
        seen: set[str] = set()

        def look(dn: str = thing.dn, seen: set[str] = seen) -> None:
            for _, attributes in connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)"):
                seen.update(name.lower() for name in attributes)

        ended = attempt(look)
        # FreeIPA shows class and name of its containers to everybody.
        public = {"objectclass", "cn"} if thing.kind == "container" else set()
        if thing.kind == "container":
            if who not in ADMINS and not (REQUESTERS | APPROVERS | AUDITORS | EXECUTORS) & {who}:
                assert seen <= public, f"{who} sees {seen} of {thing.dn}"
            continue
        if ended == ALLOWED and not seen:
            ended = REFUSED
        found.append((f"{thing.kind} {thing.dn}", ended, may_read(who, thing, stage)))
    assert wrong(found) == []


@pytest.mark.parametrize(
    ("stage", "who"), NAMED_ROWS, indirect=["stage"]
)  # anonymous may not search at all, as test_read shows
def test_search_shows_what_read_shows(stage: Stage, who: str) -> None:
    world = stage.world
    found = world.bound(who).search_s(
        world.top, ldap.SCOPE_SUBTREE, "(!(objectClass=nsContainer))", ["objectClass"]
    )
    seen = {dn.lower() for dn, attributes in found if attributes}
    expected = {
        thing.dn.lower()
        for thing in stage.things
        if thing.kind != "container" and may_read(who, thing, stage)
    }
    mine = {thing.dn.lower() for thing in stage.things}
    assert seen & mine == expected


@pytest.mark.parametrize(
    ("stage", "who"), [(NOBODY, who) for who in ("grace", HERE, OTHER, "alice")], indirect=["stage"]
)
def test_a_refused_read_does_not_blind(stage: Stage, who: str) -> None:
    """Whoever was refused a foreign entry still sees his own over the same connection.

    389-ds remembers a refusal from one operation to the next. Where an executor no longer saw a denial because of
    it, a vetoed request would run.
    """
    world = stage.world
    requests = [thing for thing in stage.things if thing.kind == "ipaTpiRequest"]
    for refused in requests:
        for own in (thing for thing in requests if may_read(who, thing, stage)):
            for scope in (ldap.SCOPE_BASE, ldap.SCOPE_ONELEVEL, ldap.SCOPE_SUBTREE):
                del world.connections[who]
                connection = world.bound(who)
                alone = connection.search_s(own.dn, scope)
                connection.search_s(refused.dn, scope)
                assert connection.search_s(own.dn, scope) == alone
                expected = [one for one in stage.things if one.dn.endswith(own.dn)]
                below = [one for one in expected if one.dn != own.dn]
                assert len(alone) == {ldap.SCOPE_BASE: 1, ldap.SCOPE_ONELEVEL: len(below)}.get(
                    scope, len(expected)
                )
