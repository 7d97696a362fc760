"""Ways round the ACIs that somebody has tried, each with the real directory."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ldap
import pytest
from acls_cast import HERE, OTHER, POLICY_EXECUTOR
from acls_matrix import OPEN
from acls_world import ANSWERS, DIGEST, Draft, World, new_world
from ldap.controls.psearch import PersistentSearchControl
from ldap.controls.simple import ProxyAuthzControl
from ldap.schema import AttributeType

pytestmark = pytest.mark.realm

RACES = 25
RACERS = 8
# A change of a group or of an ACI counts a moment after it was answered.
GROUP_SECONDS = 0.1


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with new_world() as made:
        yield made


@pytest.fixture
def asked(world: World) -> Iterator[str]:
    """Return a request by carol for our executor."""
    dn = world.add("carol", world.request())
    yield dn
    world.remove(dn)


@pytest.fixture
def almighty_adam(world: World) -> Iterator[World]:
    """Let adam, who may write ACIs at the suffix, give himself every right that 389-ds knows."""
    aci = (
        '(targetattr = "*")(version 3.0; acl "mine"; '
        "allow (all, selfwrite, proxy, moddn) "
        f'userdn = "ldap:///{world.dn("adam")}";)'
    )
    change = [(ldap.MOD_ADD, "aci", [aci.encode()])]
    world.bound("adam").modify_s(world.layout.suffix, change)
    time.sleep(GROUP_SECONDS)
    yield world
    world.root.modify_s(world.layout.suffix, [(ldap.MOD_DELETE, "aci", [aci.encode()])])


def refused(operation: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        operation(*arguments)


def approval(world: World, above: str) -> Draft:
    return world.answer("ipaTpiApproval", above)


def test_all_rights_at_the_suffix_add_nothing(almighty_adam: World, asked: str) -> None:
    world = almighty_adam
    drafts = [
        world.request(),
        *(world.answer(f"ipaTpi{kind}", asked) for kind in ("Approval", "Result", "Proof")),
    ]
    drafts += [
        world.policy(kind) for kind in ("ipaTpiOperation", "ipaTpiRule", "ipaTpiAnchor", "nsContainer")
    ]
    for draft in drafts:
        refused(world.add, "adam", draft)


def test_all_rights_at_the_suffix_change_nothing(almighty_adam: World, asked: str) -> None:
    world = almighty_adam
    adam = world.bound("adam")
    me = world.dn("adam").encode()
    for group in ("executors", "policy-executors"):
        refused(adam.modify_s, f"cn={group},{world.top}", [(ldap.MOD_ADD, "member", [me])])
    for dn in (world.top, world.requests, asked):
        refused(adam.modify_s, dn, [(ldap.MOD_REPLACE, "aci", None)])
        refused(adam.modify_s, dn, [(ldap.MOD_ADD, "description", [b"x"])])
        refused(adam.delete_s, dn)


def test_all_rights_at_the_suffix_move_nothing(almighty_adam: World, asked: str) -> None:
    world = almighty_adam
    adam = world.bound("adam")
    outside = f"cn=alt,{world.layout.suffix}"
    for dn in (world.top, world.requests, f"cn=tpirules,{world.top}", asked):
        refused(adam.rename_s, dn, dn.partition(",")[0], outside, 0)
    prepared = world.request()
    moved = Draft(prepared.dn.replace(world.requests, outside), prepared.attributes)
    world.add("adam", moved)
    refused(adam.rename_s, moved.dn, moved.dn.partition(",")[0], world.requests, 0)
    world.remove(moved.dn)


@pytest.mark.parametrize("whom", ["bob", HERE])
def test_all_rights_at_the_suffix_do_not_lend_a_name(almighty_adam: World, asked: str, whom: str) -> None:
    world = almighty_adam
    kind = "ipaTpiResult" if whom == HERE else "ipaTpiApproval"
    draft = world.answer(kind, asked)
    control = ProxyAuthzControl(criticality=True, authzId=f"dn: {world.dn(whom)}".encode())
    refused(world.bound("adam").add_ext_s, draft.dn, draft.modlist(), [control])


def test_all_rights_at_the_suffix_show_no_request(almighty_adam: World, asked: str) -> None:
    world = almighty_adam
    assert world.bound("adam").search_s(world.requests, ldap.SCOPE_SUBTREE, "(ipaTpiRequestId=*)") == []
    assert [dn for dn, _ in world.bound("frank").search_s(asked, ldap.SCOPE_BASE)] == [asked]


def test_a_rule_in_an_anchors_clothes(world: World) -> None:
    """The deny on adding policy leaves anchors alone; so a rule must not pass for one, anywhere."""
    for kind in ("ipaTpiRule", "ipaTpiOperation", "ipaTpiOperationGroup"):
        policy, anchor = world.policy(kind), world.policy("ipaTpiAnchor")
        both = {**anchor.attributes, **policy.attributes}
        both["objectClass"] = (*policy.attributes["objectClass"], "ipaTpiAnchor")
        for dn in (policy.dn, anchor.dn):
            for who in ("adam", "erin-admin", HERE):
                refused(world.add, who, Draft(dn, both))


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        ("ipaTpiAnchor", "ipaTpiResult"),
        ("ipaTpiAnchor", "ipaTpiRule"),
        ("ipaTpiOperation", "ipaTpiRule"),
        ("ipaTpiRule", "ipaTpiApproval"),
    ],
)
def test_two_kinds_in_one_with_rights_from_outside(world: World, kind: str, also: str) -> None:
    """Who may add the one kind adds it as another as well, once an administrator let everybody do everything."""
    who = HERE if kind == "ipaTpiAnchor" else POLICY_EXECUTOR
    with world.values(world.layout.suffix, "aci", OPEN):
        time.sleep(GROUP_SECONDS)
        world.remove(world.add(who, world.policy(kind)))
        draft = world.policy(kind)
        other = world.answer(also, world.top) if also in ANSWERS else world.policy(also)
        classes = (*draft.attributes["objectClass"], *other.attributes["objectClass"])
        refused(
            world.add,
            who,
            Draft(draft.dn, other.attributes | draft.attributes | {"objectClass": classes}),
        )


@pytest.mark.parametrize(
    "number", ["1.3.6.1.4.1.1466.101.120.111", "2.16.840.1.113730.3.2.104", "0.9.2342.19200300.100.4.5"]
)
def test_a_class_by_its_number(world: World, asked: str, number: str) -> None:
    """389-ds takes a number for the class, keeps it as it is, and no filter for the name sees it."""
    plain = approval(world, asked)
    for more in ({"cn": "x"}, {"uid": "x"}, {}):
        refused(world.add, "erin-admin", plain.having(objectClass=number, **more))
    world.add("erin-admin", plain)


@pytest.mark.parametrize(
    "more",
    [
        {"objectClass": "simpleSecurityObject", "userPassword": "Secret.1-of-two"},
        {"objectClass": "krbPrincipalAux", "krbCanonicalName": "somebody@TPI.TEST"},
        {"objectClass": "krbPrincipalAux", "krbPrincipalAliases": "somebody@TPI.TEST"},
        {"objectClass": "krbPrincipalAux", "krbPrincipalKey": "key"},
    ],
)
def test_an_entry_that_could_bind(world: World, asked: str, more: dict[str, str]) -> None:
    refused(world.add, "erin-admin", approval(world, asked).having(**more))


def test_policy_executors_make_no_others(world: World) -> None:
    """Neither by what an administrator among them may do, nor by what an administrator gave to all."""
    group = f"cn=policy-executors,{world.top}"
    change = [(ldap.MOD_ADD, "member", [world.dn("dave").encode()])]
    with world.values(world.layout.suffix, "aci", OPEN):
        time.sleep(GROUP_SECONDS)
        for who in (POLICY_EXECUTOR, "ivan"):
            refused(world.bound(who).modify_s, group, change)
            refused(world.bound(who).delete_s, group)
            away = [(ldap.MOD_DELETE, "member", [world.dn(who).encode()])]
            refused(world.bound(who).modify_s, group, away)
    executors = f"cn=executors,{world.top}"
    world.bound(POLICY_EXECUTOR).modify_s(executors, change)
    world.root.modify_s(executors, [(ldap.MOD_DELETE, *change[0][1:])])


def test_no_operational_attribute_is_written(almighty_adam: World, asked: str) -> None:
    """`targetattr = "*"` of a deny covers those, too, that no class names."""
    world = almighty_adam
    ((_, schema),) = world.root.search_s("cn=schema", ldap.SCOPE_BASE, attrlist=["attributeTypes"])
    types = [AttributeType(value.decode()) for value in schema["attributeTypes"]]
    names = [one.names[0] for one in types if one.usage != 0 and not one.no_user_mod]
    assert len(names) > 20
    for name in names:
        refused(world.bound("adam").modify_s, asked, [(ldap.MOD_DELETE, name, None)])


def test_an_administrator_among_policy_executors_changes_no_request(world: World, asked: str) -> None:
    with world.values(f"cn=policy-executors,{world.top}", "member", world.dn("adam")):
        time.sleep(GROUP_SECONDS)
        refused(world.bound("adam").modify_s, asked, [(ldap.MOD_REPLACE, "ipaTpiDigest", [b"cd" * 32])])
        refused(world.add, "adam", world.answer("ipaTpiApproval", asked))


@pytest.mark.parametrize("service", ["HTTP/localhost", "ldap/localhost", "host/localhost"])
def test_a_request_names_an_executor_only(world: World, service: str) -> None:
    draft = world.request()
    refused(world.add, "alice", Draft(draft.dn, draft.attributes | {"ipaTpiExecutor": (world.dn(service),)}))


def test_an_executor_that_was_dismissed(world: World, asked: str) -> None:
    change = (f"cn=executors,{world.top}", "member", world.dn(HERE).encode())
    world.add(HERE, world.answer("ipaTpiReceipt", asked))
    world.root.modify_s(change[0], [(ldap.MOD_DELETE, *change[1:])])
    try:
        time.sleep(GROUP_SECONDS)
        for kind in ("Preview", "Receipt", "Execution", "Result"):
            refused(world.add, HERE, world.answer(f"ipaTpi{kind}", asked))
    finally:
        world.root.modify_s(change[0], [(ldap.MOD_ADD, *change[1:])])


def test_who_lost_the_role_loses_it_on_open_connections(world: World, asked: str) -> None:
    bob = world.dn("bob").encode()
    group = f"cn=tpi-operators-day,cn=groups,cn=accounts,{world.layout.suffix}"
    own = world.add("bob", world.request())
    world.root.modify_s(group, [(ldap.MOD_DELETE, "member", bob)])
    try:
        time.sleep(GROUP_SECONDS)
        refused(world.add, "bob", approval(world, asked))
        refused(world.add, "bob", world.request())
        # To take a request back he needs no role.
        world.add("bob", world.answer("ipaTpiCancellation", own))
    finally:
        world.root.modify_s(group, [(ldap.MOD_ADD, "member", bob)])
        world.remove(own)


def test_the_creator_is_who_bound(world: World, asked: str) -> None:
    draft = approval(world, asked).having(creatorsName=world.dn("alice"), createTimestamp="20200101000000Z")
    world.add("bob", draft)
    ((_, found),) = world.root.search_s(
        draft.dn, ldap.SCOPE_BASE, attrlist=["creatorsName", "createTimestamp"]
    )
    assert found["creatorsName"] == [world.dn("bob").encode()]
    assert not found["createTimestamp"][0].startswith(b"2020")


def test_one_voice_a_person(world: World, asked: str) -> None:
    """R-K02: neither a second yes, nor yes and no, nor yes again after it was taken back."""
    world.add("bob", approval(world, asked))
    for kind in ("ipaTpiApproval", "ipaTpiDenial"):
        with pytest.raises(ldap.CONSTRAINT_VIOLATION):
            world.add("bob", world.answer(kind, asked))
    world.add("bob", world.answer("ipaTpiWithdrawal", asked))
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        world.add("bob", approval(world, asked))
    world.add("alice", world.answer("ipaTpiDenial", asked))


def test_a_voice_without_its_class(world: World, asked: str) -> None:
    """The class that is counted is added by the server, whatever the client names."""
    for classes in (("ipaTpiApproval",), ("top", "ipaTpiApproval"), ("top", "ipaTpiVoice", "ipaTpiApproval")):
        draft = approval(world, asked)
        world.add("bob", Draft(draft.dn, draft.attributes | {"objectClass": classes}))
        ((_, found),) = world.root.search_s(draft.dn, ldap.SCOPE_BASE, attrlist=["objectClass"])
        assert {name.decode() for name in found["objectClass"]} == {"top", "ipaTpiVoice", "ipaTpiApproval"}
        world.remove(draft.dn)


def test_racing_voices_have_one_winner(world: World) -> None:
    """R-K02: the check lies inside the transaction of the add."""
    connections = [world._bind("bob") for _ in range(RACERS)]
    for _ in range(RACES):
        asked = world.add("carol", world.request())
        assert sorted(race(world, connections, asked)) == ["CONSTRAINT_VIOLATION"] * (RACERS - 1) + ["added"]
        world.remove(asked)


def race(world: World, connections: list[Any], asked: str) -> list[str]:
    """Let all answer at the same moment, and say how each ended."""
    barrier = threading.Barrier(len(connections))

    def answer(number: int) -> str:
        draft = world.answer(("ipaTpiApproval", "ipaTpiDenial")[number % 2], asked)
        barrier.wait(10)
        try:
            connections[number].add_s(draft.dn, draft.modlist())
        except ldap.LDAPError as error:
            return type(error).__name__
        return "added"

    with ThreadPoolExecutor(len(connections)) as pool:
        return list(pool.map(answer, range(len(connections))))


def test_a_second_name_in_the_rdn(world: World, asked: str) -> None:
    for draft, more in (
        (world.request(), f"ipaTpiDigest={DIGEST}"),
        (approval(world, asked), f"ipaTpiDigest={DIGEST}"),
    ):
        rdn, _, above = draft.dn.partition(",")
        for dn in (f"{more}+{rdn},{above}", f"{rdn}+{more},{above}"):
            refused(world.add, "bob", Draft(dn, draft.attributes))


@pytest.mark.parametrize("who", ["bob", "erin-admin"])
def test_another_attribute_as_the_rdn(world: World, asked: str, who: str) -> None:
    """An administrator with a role comes in by FreeIPA's ACI, which asks for no form."""
    for draft in (approval(world, asked), world.request()):
        above = draft.dn.partition(",")[2]
        refused(world.add, who, Draft(f"ipaTpiDigest={DIGEST},{above}", draft.attributes))


def test_a_deeply_nested_member_keeps_his_right_and_deeper_ones_get_none(world: World) -> None:
    """389-ds looks five groups deep from the permission; below that it gives no answer, and so no right."""
    suffix = f"cn=groups,cn=accounts,{world.layout.suffix}"
    names = [f"nest-{level}-{uuid.uuid4()}" for level in range(4)]
    inner = world.dn("dave")
    for name in names:
        group = {"objectClass": ("groupOfNames",), "cn": (name,), "member": (inner,)}
        draft = Draft(f"cn={name},{suffix}", group)
        world.root.add_s(draft.dn, draft.modlist())
        inner = draft.dn
    role = f"cn=TPI Requester,cn=roles,cn=accounts,{world.layout.suffix}"
    for outermost, works in ((names[2], True), (names[3], False)):
        with world.values(role, "member", f"cn={outermost},{suffix}"):
            time.sleep(GROUP_SECONDS)
            draft = world.request()
            if works:
                world.add("dave", draft)
                world.remove(draft.dn)
            else:
                refused(world.add, "dave", draft)
    for name in reversed(names):
        world.remove(f"cn={name},{suffix}")


def test_the_executor_hears_of_its_own_requests_only(world: World) -> None:
    control = PersistentSearchControl(
        criticality=True, changeTypes=["add"], changesOnly=True, returnECs=False
    )
    connection = world._bind(HERE)
    found = connection.search_ext(
        world.requests, ldap.SCOPE_SUBTREE, "(objectClass=*)", ["objectClass"], serverctrls=[control]
    )
    time.sleep(GROUP_SECONDS)
    foreign = world.add("carol", world.request(OTHER))
    own = world.add("carol", world.request(HERE))
    also_foreign = world.add("carol", world.request(OTHER))
    last = world.add("carol", world.request(HERE))
    heard = [connection.result(found, all=0, timeout=10)[1][0][0] for _ in range(2)]
    assert heard == [own, last]
    for dn in (foreign, own, also_foreign, last):
        world.remove(dn)
