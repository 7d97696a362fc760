"""Somebody who asked or approved loses his right, or his account, before it runs; it would run on his word all the same.

Between approval and execution the executor stands still, before it has seen the approval or after its intent
(step 4), so that the loss comes in between for certain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import ldap
import pytest
from stepping import paused, stepped, walk_to
from straight import OPERATION_DN, changed, ended, never_intended, runs_for, settle, user_dn
from world import EXECUTOR, SUFFIX, World, eventually

DAY = f"cn=tpi-operators-day,cn=groups,cn=accounts,{SUFFIX}"
SOON_SECONDS = 1

Loss = Callable[[World, str], AbstractContextManager[None]]


@contextmanager
def removed_from_the_group(world: World, person: str) -> Iterator[None]:
    root, member = world.root(), [user_dn(person).encode()]
    root.modify_s(DAY, [(ldap.MOD_DELETE, "member", member)])
    try:
        eventually(lambda: not is_operator(world, person))
        yield
    finally:
        root.modify_s(DAY, [(ldap.MOD_ADD, "member", member)])
        eventually(lambda: is_operator(world, person))


def is_operator(world: World, person: str) -> bool:
    found = world.root().search_s(user_dn(person), ldap.SCOPE_BASE, attrlist=["memberOf"])
    return any(b"TPI Approve," in value for value in found[0][1].get("memberOf", []))


def disabled(world: World, person: str) -> AbstractContextManager[None]:
    return changed(world.root(), user_dn(person), nsAccountLock=[b"TRUE"])


@contextmanager
def expired(world: World, person: str) -> Iterator[None]:
    """The account is good until a moment, and that passes."""
    until = datetime.now(tz=UTC) + timedelta(seconds=SOON_SECONDS)
    stamp = f"{until:%Y%m%d%H%M%SZ}".encode()
    with changed(world.root(), user_dn(person), krbPrincipalExpiration=[stamp]):
        time.sleep(SOON_SECONDS + 0.1)
        yield


LOSSES: dict[str, tuple[Loss, str]] = {
    "removed from the group": (removed_from_the_group, "no-rule"),
    "disabled": (disabled, "disabled"),
    "expired": (expired, "expired-principal"),
}


@pytest.fixture
def request_id(world: World) -> str:
    return world.request("alice")


def refused_approvals(world: World, request_id: str) -> list[tuple[str, str]]:
    """Give writer and code of each approval that the executor's audit says does not count."""
    return [(one["writer"], one["code"]) for one in world.audit(request_id, "approval-refused")]


def test_who_loses_nothing_is_counted(world: World, request_id: str) -> None:
    """The same two hold-ups, and nobody loses anything: it runs."""
    before = world.starts()
    with paused(world.pid()):
        world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    second = world.request("alice")
    with stepped(world) as stepper:
        world.approve("bob", second)
        walk_to(world, stepper, second, "4")
    world.wait_state(second, "executed")
    assert len(world.starts()) == len(before) + 2


@pytest.mark.parametrize("loss", LOSSES)
def test_an_approver_who_lost_his_right_does_not_count(world: World, request_id: str, loss: str) -> None:
    lose, code = LOSSES[loss]
    before = world.invocation()
    with ExitStack() as meanwhile:
        with paused(world.pid()):
            world.approve("bob", request_id)
            meanwhile.enter_context(lose(world, "bob"))
        settle(world, request_id, "alice")
        assert refused_approvals(world, request_id) == [(user_dn("bob"), code)]
        view = world.api("carol").show(request_id)
        assert (view.state, [(one.code, one.counts) for one in view.approvals]) == (
            "pending",
            [(code, False)],
        )
        assert world.invocation() == before
        runs_for(world, request_id, "carol")


@pytest.mark.parametrize("loss", LOSSES)
def test_an_approver_who_was_counted_before_counts_no_longer(world: World, loss: str) -> None:
    """Two are needed.  Bob was one of them, and is none any more when carol is the other."""
    lose, code = LOSSES[loss]
    before = world.invocation()
    with changed(world.root(), OPERATION_DN, ipaTpiRequiredApprovals=[b"2"]):
        request_id = world.request("alice")
        world.approve("bob", request_id)
        settle(world, request_id, "alice")
        assert [one.counts for one in world.api("carol").show(request_id).approvals] == [True]
        with lose(world, "bob"):
            world.approve("carol", request_id)
            settle(world, request_id, "alice")
            assert refused_approvals(world, request_id) == [(user_dn("bob"), code)]
            assert world.api("carol").show(request_id).state == "pending"
            assert world.invocation() == before
            runs_for(world, request_id, "erin")


@pytest.mark.parametrize("loss", LOSSES)
def test_a_requester_who_lost_his_right_gets_nothing(world: World, request_id: str, loss: str) -> None:
    lose, code = LOSSES[loss]
    before = world.invocation()
    with ExitStack() as meanwhile:
        with paused(world.pid()):
            world.approve("bob", request_id)
            meanwhile.enter_context(lose(world, "alice"))
        assert ended(world, request_id) == ("denied", code)
        never_intended(world, request_id)
    assert world.invocation() == before


@pytest.mark.parametrize("person", ["alice", "bob"])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_last_look_sees_the_loss(world: World, request_id: str, loss: str, person: str) -> None:
    """The executor has promised it to itself already, and looks once more before it claims."""
    lose, code = LOSSES[loss]
    before = world.invocation()
    with ExitStack() as meanwhile:
        with stepped(world) as stepper:
            world.approve("bob", request_id)
            walk_to(world, stepper, request_id, "4")
            meanwhile.enter_context(lose(world, person))
        assert ended(world, request_id) == ("denied", code if person == "alice" else "withdrawn")
    assert world.audit(request_id, "claim") == []
    assert world.invocation() == before


def test_a_right_that_came_back_in_time_is_a_right(world: World, request_id: str) -> None:
    """What counts is what holds when it runs: bob is let in again, and his word still stands."""
    with ExitStack() as meanwhile:
        with paused(world.pid()):
            world.approve("bob", request_id)
            meanwhile.enter_context(disabled(world, "bob"))
        settle(world, request_id, "alice")
        assert refused_approvals(world, request_id) == [(user_dn("bob"), "disabled")]
    world.systemctl("restart", EXECUTOR)
    world.wait_state(request_id, "executed")
