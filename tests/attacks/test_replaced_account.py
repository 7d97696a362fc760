"""An account is deleted and made again between request and execution: the same name, another person behind it.

Whoever gets the name would stand in for who asked, or for who approved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import ldap
import pytest
from stepping import paused, stepped, walk_to
from straight import OPERATION_DN, approve, changed, ended, never_intended, new_id, runs_for, settle, user_dn
from world import SUFFIX, World, eventually

GROUPS = f"cn=groups,cn=accounts,{SUFFIX}"
# 389-ds keeps these itself, or refuses them from a client.
COMPUTED = {"memberof", "creatorsname", "createtimestamp", "modifiersname", "modifytimestamp", "nsuniqueid"}
# createTimestamp has whole seconds.
LATER_SECONDS = 1.1

Replacement = Callable[[World, str], AbstractContextManager[None]]


@contextmanager
def made_again(world: World, person: str, **other: list[bytes]) -> Iterator[None]:
    """Have an account deleted and made again, keys, groups and all; what was there comes back in the same way."""
    root = world.root()
    ((_, before),) = root.search_s(user_dn(person), ldap.SCOPE_BASE, "(objectClass=*)", ["*"])
    time.sleep(LATER_SECONDS)
    make_again(root, person, before | other)
    try:
        yield
    finally:
        make_again(root, person, before)


def make_again(root: Any, person: str, content: dict[str, list[bytes]]) -> None:
    dn = user_dn(person)
    groups = [name for name, _ in root.search_s(GROUPS, ldap.SCOPE_ONELEVEL, f"(member={dn})", ["1.1"])]
    root.delete_s(dn)
    # Referential integrity takes a deleted member out of its groups.
    eventually(lambda: not root.search_s(GROUPS, ldap.SCOPE_ONELEVEL, f"(member={dn})", ["1.1"]))
    root.add_s(dn, [(name, values) for name, values in content.items() if name.lower() not in COMPUTED])
    for group in groups:
        root.modify_s(group, [(ldap.MOD_ADD, "member", [dn.encode()])])
    eventually(lambda: b"TPI Approve," in b" ".join(root.search_s(dn, ldap.SCOPE_BASE)[0][1]["memberOf"]))


@contextmanager
def with_another_id(world: World, person: str) -> Iterator[None]:
    """As `ipa user-del` and `ipa user-add` do."""
    with made_again(world, person, ipaUniqueID=[new_id().encode()]):
        yield


@contextmanager
def with_the_same_id(world: World, person: str) -> Iterator[None]:
    """As somebody does who knows what is compared."""
    with made_again(world, person):
        yield


@contextmanager
def in_its_place(world: World, person: str) -> Iterator[None]:
    """As old as it was, and another: what a rewritten database can hold."""
    with changed(world.root(), user_dn(person), ipaUniqueID=[new_id().encode()]):
        yield


# What the requester's replacement is refused with; and that of an approver whom the executor had seen.
WAYS: dict[str, tuple[Replacement, str, str]] = {
    "with another id": (with_another_id, "account-too-young", "identity-changed"),
    "with the same id": (with_the_same_id, "account-too-young", "account-too-young"),
    "in its place": (in_its_place, "identity-changed", "identity-changed"),
}


@pytest.fixture
def request_id(world: World) -> str:
    return world.request("alice")


def refused_approvals(world: World, request_id: str) -> list[tuple[str, str]]:
    """Give writer and code of each approval that the executor's audit says does not count."""
    return [(one["writer"], one["code"]) for one in world.audit(request_id, "approval-refused")]


def test_an_account_made_again_is_a_good_one(world: World) -> None:
    """For what is asked afterwards: both take part, and it runs."""
    with with_another_id(world, "alice"), with_another_id(world, "bob"):
        runs_for(world, world.request("alice"), "bob")


@pytest.mark.parametrize("way", WAYS)
def test_a_replaced_requester_gets_nothing(world: World, request_id: str, way: str) -> None:
    replaced, code, _ = WAYS[way]
    before = world.invocation()
    with ExitStack() as meanwhile:
        with paused(world.pid()):
            world.approve("bob", request_id)
            meanwhile.enter_context(replaced(world, "alice"))
        assert ended(world, request_id) == ("denied", code)
        never_intended(world, request_id)
    assert world.invocation() == before


@pytest.mark.parametrize("way", ["with another id", "with the same id"])
def test_a_replaced_approver_does_not_count(world: World, request_id: str, way: str) -> None:
    """The executor sees the approval for the first time when its writer is another already."""
    before = world.invocation()
    with ExitStack() as meanwhile:
        with paused(world.pid()):
            world.approve("bob", request_id)
            meanwhile.enter_context(WAYS[way][0](world, "bob"))
        settle(world, request_id, "alice")
        assert refused_approvals(world, request_id) == [(user_dn("bob"), "account-too-young")]
        assert world.api("carol").show(request_id).state == "pending"
        assert world.invocation() == before
        runs_for(world, request_id, "carol")


@pytest.mark.parametrize("way", WAYS)
def test_an_approver_who_was_counted_before_counts_no_longer(world: World, way: str) -> None:
    """Two are needed.  Bob was one of them, and is another when carol is the second."""
    replaced, _, code = WAYS[way]
    before = world.invocation()
    with changed(world.root(), OPERATION_DN, ipaTpiRequiredApprovals=[b"2"]):
        request_id = world.request("alice")
        world.approve("bob", request_id)
        settle(world, request_id, "alice")
        with replaced(world, "bob"):
            world.approve("carol", request_id)
            settle(world, request_id, "alice")
            assert refused_approvals(world, request_id) == [(user_dn("bob"), code)]
            never_intended(world, request_id)
            assert world.invocation() == before
            # Straight to the directory: the web service remembers nobody, and may take bob for himself.
            approve(world, "erin", request_id)
            world.wait_state(request_id, "executed")
    assert world.invocation() != before


@pytest.mark.parametrize("person", ["alice", "bob"])
def test_the_last_look_sees_another_person(world: World, request_id: str, person: str) -> None:
    """The executor has promised it to itself already, and looks once more before it claims."""
    before = world.invocation()
    with ExitStack() as meanwhile:
        with stepped(world) as stepper:
            world.approve("bob", request_id)
            walk_to(world, stepper, request_id, "4")
            meanwhile.enter_context(with_another_id(world, person))
        code = "account-too-young" if person == "alice" else "withdrawn"
        assert ended(world, request_id) == ("denied", code)
    assert world.audit(request_id, "claim") == []
    assert world.invocation() == before


@pytest.mark.parametrize("person", ["alice", "bob"])
def test_while_the_account_is_gone_nothing_runs(world: World, request_id: str, person: str) -> None:
    """Deleted, and not made again until the executor has looked."""
    root = world.root()
    before = world.invocation()
    ((_, content),) = root.search_s(user_dn(person), ldap.SCOPE_BASE, "(objectClass=*)", ["*"])
    groups = root.search_s(GROUPS, ldap.SCOPE_ONELEVEL, f"(member={user_dn(person)})", ["1.1"])
    with paused(world.pid()):
        world.approve("bob", request_id)
        root.delete_s(user_dn(person))
    try:
        if person == "alice":
            assert ended(world, request_id) == ("denied", "requester-gone")
        else:
            settle(world, request_id, "alice")
            assert refused_approvals(world, request_id) == [(user_dn("bob"), "unknown-principal")]
        never_intended(world, request_id)
        assert world.invocation() == before
    finally:
        kept = [(name, values) for name, values in content.items() if name.lower() not in COMPUTED]
        root.add_s(user_dn(person), kept)
        for group, _ in groups:
            root.modify_s(group, [(ldap.MOD_ADD, "member", [user_dn(person).encode()])])
