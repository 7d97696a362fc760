"""Attack: take away what the executor writes to: the disk below its journal, and the audit trail.

What an attacker would gain: an operation that leaves no trace, or one that runs again because nobody could note
that it ran.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checks import assert_error, assert_it_works, log_since_start
from stepping import step_reached, stepped, walk_to
from world import World, eventually

JOURNALD = Path("/run/systemd/journal/socket")
JOURNALD_AWAY = JOURNALD.with_suffix(".away")
ASK = ("create", "dirsrv.restart", "instance=DS01", "--reason", "outage")


@pytest.mark.parametrize(("step", "starts"), [("before 4", 0), ("4", 0), ("5", 0), ("9", 1)])
def test_r_a08_without_an_audit_trail_it_goes_no_further(world: World, step: str, starts: int) -> None:
    request_id = world.request("alice", reason=f"the trail is gone at {step}")
    before = world.starts()
    with _without_audit_trail():
        with stepped(world) as stepper:
            JOURNALD_AWAY.rename(JOURNALD)
            world.approve("bob", request_id)
            walk_to(world, stepper, request_id, step)
            JOURNALD.rename(JOURNALD_AWAY)
        eventually(lambda: "the audit record" in log_since_start(world))
        time.sleep(0.5)  # some more tries
        assert step_reached(world, request_id) == step
        assert len(world.starts()) == len(before) + starts
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_r_a08_without_an_audit_trail_nothing_is_asked_for(world: World) -> None:
    known = world.cli("alice", "list", "--mine", "-o", "name").out
    with _without_audit_trail():
        done = world.cli("alice", *ASK)
    assert_error(done, "audit record", "nothing is done", "administrator")
    assert world.cli("alice", "list", "--mine", "-o", "name").out == known
    assert_it_works(world)


@pytest.mark.parametrize("step", ["before 4", "5"])
def test_r_e17_a_full_disk_before_the_claim_only_delays(world: World, step: str) -> None:
    """What a file may grow to is set to nothing (RLIMIT_FSIZE): each write to the journal fails, as on a full disk."""
    request_id = world.request("alice", reason=f"full at {step}")
    before = world.starts()
    pid = world.pid()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, step)
        _limit_files(world, pid, "1:")
    try:
        eventually(lambda: "nothing is run until it can" in log_since_start(world))
        time.sleep(1)
        assert step_reached(world, request_id) == step
        assert world.starts() == before
    finally:
        _limit_files(world, pid, "unlimited:")
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1
    assert world.pid() == pid


def test_r_e17_a_full_disk_after_the_claim_is_indeterminate(world: World) -> None:
    """It acted and could not note how it ended: it does not guess, and does not act again."""
    request_id = world.request("alice", reason="full after 7")
    before = world.starts()
    pid = world.pid()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "7")
        _limit_files(world, pid, "1:")
    try:
        eventually(lambda: len(world.starts()) == len(before) + 1)
        eventually(lambda: "nothing is run until it can" in log_since_start(world))
        assert step_reached(world, request_id) == "7"
    finally:
        _limit_files(world, pid, "unlimited:")
    world.wait_for("bob", request_id, lambda now: now.result is not None)
    assert world.api("bob").show(request_id).state == "indeterminate"
    assert len(world.starts()) == len(before) + 1


def _limit_files(world: World, pid: int, size: str) -> None:
    # Under the account itself: root in a container may not do that to others.
    done = world.run("ipatpi-exec", ["/usr/bin/prlimit", f"--pid={pid}", f"--fsize={size}"])
    assert done.status == 0, done


@contextmanager
def _without_audit_trail() -> Iterator[None]:
    """Have the socket of systemd's journal out of reach; the daemons' own standard error is not."""
    JOURNALD.rename(JOURNALD_AWAY)
    try:
        yield
    finally:
        if JOURNALD_AWAY.exists():
            JOURNALD_AWAY.rename(JOURNALD)
