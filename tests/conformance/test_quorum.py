"""K08, X11: numbers, groups, stages and ages on the real directory; in the box."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import ldap
import pytest
from world import HOST, SUFFIX, World

from ipa_tpi.client.wish import Wish
from ipa_tpi.errors import RefusedError

OPERATION = "systemd.unit.reload"
DEFINITION = f"cn={OPERATION},cn=tpioperations,cn=tpi,{SUFFIX}"
UNIT = "sample.service"


def group_dn(name: str) -> str:
    """Give the DN of a group."""
    return f"cn={name},cn=groups,cn=accounts,{SUFFIX}"


@contextmanager
def defined(world: World, **attributes: list[str]) -> Iterator[None]:
    """Have the operation's definition demand something for a while."""
    root = world.root()
    before = root.search_s(DEFINITION, ldap.SCOPE_BASE)[0][1]
    wanted = {name: [value.encode() for value in values] for name, values in attributes.items()}
    root.modify_s(DEFINITION, [(ldap.MOD_REPLACE, name, values) for name, values in wanted.items()])
    try:
        yield
    finally:
        root.modify_s(DEFINITION, [(ldap.MOD_REPLACE, name, before.get(name)) for name in wanted])


@pytest.fixture
def groups(world: World) -> Iterator[Mapping[str, str]]:
    """Two groups: bob is in the first, carol in the second."""
    root = world.root()
    made = {}
    for name, uid in (("tpi-first", "bob"), ("tpi-second", "carol")):
        dn = group_dn(name)
        content = [
            ("objectClass", [b"top", b"groupOfNames", b"nestedGroup"]),
            ("cn", [name.encode()]),
            ("member", [f"uid={uid},cn=users,cn=accounts,{SUFFIX}".encode()]),
        ]
        root.add_s(dn, content)
        made[name] = dn
    world.systemctl("start", UNIT)
    yield made
    world.systemctl("stop", UNIT)
    for dn in made.values():
        root.delete_s(dn)


def ask(world: World, person: str = "alice") -> str:
    """Ask for a reload of the sample service."""
    view = world.api(person).create(Wish(OPERATION, HOST, {"unit": UNIT}))
    world.wait_for(person, view.id, lambda now: now.state != "awaiting-preview")
    return str(view.id)


def refused(world: World, person: str, request_id: str) -> str:
    """Give the code with which an approval is refused."""
    with pytest.raises(RefusedError) as caught:
        world.approve(person, request_id)
    return caught.value.code


def done(world: World, request_id: str) -> None:
    """Wait until it has run."""
    assert world.wait_state(request_id, "executed", "denied", "failed").state == "executed"


@pytest.mark.usefixtures("groups")
def test_r_k08_two_approvals_are_two_other_people(world: World) -> None:
    with defined(world, ipaTpiRequiredApprovals=["2"]):
        request_id = ask(world)
        assert refused(world, "alice", request_id) == "self-approval"
        world.approve("bob", request_id)
        assert refused(world, "bob", request_id) == "already-voiced"
        view = world.wait_for("bob", request_id, lambda now: "1 more approval is needed" in now.message)
        assert view.state == "pending"
        world.approve("carol", request_id)
        done(world, request_id)


def test_r_k08_each_required_group_is_represented(world: World, groups: Mapping[str, str]) -> None:
    with defined(world, ipaTpiRequiredGroup=[groups["tpi-second"]]):
        request_id = ask(world)
        world.approve("bob", request_id)
        view = world.wait_for("bob", request_id, lambda now: "somebody of tpi-second" in now.message)
        assert view.state == "pending"
        world.approve("carol", request_id)
        done(world, request_id)


def test_r_k08_stages_are_in_order(world: World, groups: Mapping[str, str]) -> None:
    stages = [f"1:1:{groups['tpi-first']}", f"2:1:{groups['tpi-second']}"]
    with defined(world, ipaTpiStage=stages):
        request_id = ask(world)
        assert refused(world, "carol", request_id) == "stage-order"
        world.approve("bob", request_id)
        world.wait_for("bob", request_id, lambda now: "next by tpi-second (stage 2)" in now.message)
        world.approve("carol", request_id)
        done(world, request_id)


def test_r_k08_what_nobody_can_satisfy_is_refused_by_entry_and_attribute(
    world: World, groups: Mapping[str, str]
) -> None:
    with defined(world, ipaTpiStage=[f"1:2:{groups['tpi-first']}"]):
        told = world.cli("alice", "request", "create", OPERATION, f"unit={UNIT}")
        assert told.status == 4
        assert f"nobody can satisfy the operation {DEFINITION.lower()}: ipaTpiStage" in told.err


def test_r_k02_who_leaves_a_required_group_no_longer_represents_it(
    world: World, groups: Mapping[str, str]
) -> None:
    root = world.root()
    member = f"uid=bob,cn=users,cn=accounts,{SUFFIX}".encode()
    with defined(world, ipaTpiRequiredGroup=[groups["tpi-first"]], ipaTpiRequiredApprovals=["2"]):
        request_id = ask(world)
        world.approve("bob", request_id)
        root.modify_s(groups["tpi-first"], [(ldap.MOD_REPLACE, "member", None)])
        world.approve("carol", request_id)
        world.wait_for("carol", request_id, lambda now: "somebody of tpi-first" in now.message)
        root.modify_s(groups["tpi-first"], [(ldap.MOD_REPLACE, "member", [member])])
        done(world, request_id)


def changed_at(world: World) -> float:
    """Tell when the youngest thing that gives the people of these tests their rights was changed."""
    moments = []
    for base, wanted in (
        (f"cn=accounts,{SUFFIX}", "(|(cn=tpi-operators*)(cn=TPI *))"),
        (f"cn=pbac,{SUFFIX}", "(cn=TPI *)"),
    ):
        for _, raw in world.root().search_s(base, ldap.SCOPE_SUBTREE, wanted, ["modifyTimestamp"]):
            stamp = raw["modifyTimestamp"][0].decode()
            moments.append(datetime.strptime(stamp, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())
    for person in ("alice", "bob", "carol"):
        dn = f"uid={person},cn=users,cn=accounts,{SUFFIX}"
        ((_, raw),) = world.root().search_s(dn, ldap.SCOPE_BASE, attrlist=["createTimestamp"])
        stamp = raw["createTimestamp"][0].decode()
        moments.append(datetime.strptime(stamp, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())
    return max(moments)


def test_r_x11_a_membership_of_just_now_does_not_count(world: World) -> None:
    """A group that was made a moment ago represents nobody; the same group counts when it is old enough."""
    time.sleep(max(0.0, 8 - (time.time() - changed_at(world))))
    root, dn = world.root(), group_dn("tpi-young")
    member = f"uid=bob,cn=users,cn=accounts,{SUFFIX}".encode()
    content = [("objectClass", [b"top", b"groupOfNames", b"nestedGroup"]), ("cn", [b"tpi-young"])]
    world.systemctl("start", UNIT)
    with defined(world, ipaTpiMinimumAgeSeconds=["6"], ipaTpiRequiredGroup=[dn]):
        root.add_s(dn, [*content, ("member", [member])])
        try:
            with pytest.raises(RefusedError) as caught:
                ask(world)
            assert caught.value.code == "policy-unsatisfiable"
            assert "nobody of tpi-young could approve" in caught.value.message
            time.sleep(7)
            request_id = ask(world)
            world.approve("bob", request_id)
            done(world, request_id)
        finally:
            root.delete_s(dn)
            world.systemctl("stop", UNIT)
