"""The executor is restarted wherever a request waits, so that it forgets a word, or says its own twice.

`systemctl restart` lets it end in order, unlike the kills of tests/box/test_kill_at_each_step.py: what it has begun
it may finish.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from conftest import DROP_IN
from stepping import stepped, walk_to
from straight import (
    OPERATION_DN,
    add_request,
    add_voice,
    changed,
    digests,
    draft,
    ended,
    health,
    never_intended,
    prove,
    settle,
)
from world import EXECUTOR, UNIT, World, eventually

from ipa_tpi.model import Purpose

ONE_EACH = {"ipaTpiPreview": 1, "ipaTpiExecution": 1, "ipaTpiResult": 1}


def restart(world: World) -> None:
    """Restart it, and wait until it watches."""
    before = world.pid()
    world.systemctl("restart", EXECUTOR)
    eventually(lambda: health().get("watching"))
    assert world.pid() != before


def ran_once(world: World, request_id: str, before: list[str]) -> None:
    """Demand that the request ran once, and that every entry of the executor lies there once."""
    world.wait_state(request_id, "executed")
    assert len(eventually(lambda: world.starts()[len(before) :])) == 1
    assert {kind: len(world.of_class(request_id, kind)) for kind in ONE_EACH} == ONE_EACH
    proofs, receipts = (len(world.of_class(request_id, f"ipaTpi{kind}")) for kind in ("Proof", "Receipt"))
    assert proofs == receipts
    assert len(world.audit(request_id, "claim")) == 1


def test_while_it_awaits_a_proof(world: World) -> None:
    """Asked without a proof: it is not shown, and after the restart the proof is all that was missing."""
    wanted = draft(world, "alice")
    add_request(world.ldap("alice"), wanted)
    world.wait_for("alice", wanted.id, lambda view: view.code == "proof-missing")
    restart(world)
    assert world.of_class(wanted.id, "ipaTpiPreview") == []
    prove(world, "alice", wanted.id, Purpose.REQUEST, wanted.digest)
    world.wait_state(wanted.id, "pending")
    before = world.starts()
    world.approve("bob", wanted.id)
    ran_once(world, wanted.id, before)


def test_while_it_is_pending(world: World) -> None:
    request_id = world.request("alice")
    before = world.starts()
    restart(world)
    assert world.api("bob").show(request_id).state == "pending"
    world.approve("bob", request_id)
    ran_once(world, request_id, before)


def test_while_one_of_two_has_approved(world: World) -> None:
    """What bob said is not lost, and does not count for two."""
    with changed(world.root(), OPERATION_DN, ipaTpiRequiredApprovals=[b"2"]):
        request_id = world.request("alice")
        before = world.starts()
        world.approve("bob", request_id)
        settle(world, request_id, "alice")
        restart(world)
        settle(world, request_id, "alice")
        view = world.api("carol").show(request_id)
        assert (view.state, [one.counts for one in view.approvals]) == ("pending", [True])
        never_intended(world, request_id)
        world.approve("carol", request_id)
        ran_once(world, request_id, before)


def test_while_an_approval_awaits_its_proof(world: World) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    add_voice(world.ldap("bob"), request_id, "ipaTpiApproval", about)
    settle(world, request_id, "alice")
    before = world.starts()
    restart(world)
    settle(world, request_id, "alice")
    never_intended(world, request_id)
    prove(world, "bob", request_id, Purpose.APPROVE, about)
    ran_once(world, request_id, before)


def tell(world: World) -> subprocess.Popen[bytes]:
    """Have systemd tell the executor to end, and start it again; wait until it is told."""
    told = subprocess.Popen(["/usr/bin/systemctl", "restart", EXECUTOR])
    eventually(lambda: world.show(EXECUTOR, "ActiveState") == "deactivating")
    return told


def go_on(told: subprocess.Popen[bytes], pid: int) -> None:
    """Let the old process go on until it has ended: a stop of `stepped` may still be on its way to it."""

    def has_restarted() -> bool:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return told.poll() is not None

    eventually(has_restarted)
    assert told.returncode == 0


@pytest.mark.parametrize("step", ["4", "5", "7"])
def test_while_the_execution_is_held(world: World, step: str) -> None:
    """It is told to end while it stands still after a step; it goes on, and whoever finishes it, it runs once."""
    request_id = world.request("alice")
    before, pid = world.starts(), world.pid()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, step)
        told = tell(world)
    go_on(told, pid)
    assert world.pid() != pid
    ran_once(world, request_id, before)


def test_a_veto_while_the_execution_is_held(world: World) -> None:
    """Denied while it is told to end: whether the old process sees it or the new one, it does not run."""
    request_id = world.request("alice")
    before, pid = world.invocation(), world.pid()
    about, carol = digests(world, request_id).approval, world.ldap("carol")
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "4")
        add_voice(carol, request_id, "ipaTpiDenial", about)
        told = tell(world)
    go_on(told, pid)
    assert ended(world, request_id) == ("denied", "denied-by-approver")
    assert world.audit(request_id, "claim") == []
    assert world.invocation() == before


@contextmanager
def slow(world: World, seconds: int) -> Iterator[None]:
    """Have the unit take a while to start."""
    path = DROP_IN.with_name("zzz-slow.conf")
    path.write_text(f"[Service]\nExecStartPre=/bin/sleep {seconds}\n", encoding="utf-8")
    world.systemctl("daemon-reload")
    try:
        yield
    finally:
        path.unlink()
        world.systemctl("daemon-reload")
        eventually(lambda: world.show(UNIT, "ActiveState") == "active")


def test_while_it_acts(world: World) -> None:
    """The unit is still coming up: the executor waits for the end that it has asked for, and then ends itself."""
    request_id = world.request("alice")
    before = world.starts()
    with slow(world, 2):
        world.approve("bob", request_id)
        eventually(lambda: world.show(UNIT, "ActiveState") == "activating")
        restart(world)
        ran_once(world, request_id, before)


def test_again_and_again(world: World) -> None:
    """Restarted without a pause while people ask and approve: each runs once."""
    before = world.starts()
    asked = []
    for person, approver in (("alice", "bob"), ("bob", "carol"), ("carol", "alice")):
        told = subprocess.Popen(["/usr/bin/systemctl", "restart", EXECUTOR])
        asked.append(world.request(person))
        told.wait(60)
        told = subprocess.Popen(["/usr/bin/systemctl", "restart", EXECUTOR])
        world.approve(approver, asked[-1])
        told.wait(60)
    for request_id in asked:
        world.wait_state(request_id, "executed", person="frank")
        assert len(world.audit(request_id, "claim")) == 1
    assert len(world.starts()) == len(before) + len(asked)
