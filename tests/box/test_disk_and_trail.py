"""Attack: take the audit trail away, so that something happens of which nobody can tell afterwards."""

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


@contextmanager
def _without_audit_trail() -> Iterator[None]:
    """Have the socket of systemd's journal out of reach; the daemons' own standard error is not."""
    JOURNALD.rename(JOURNALD_AWAY)
    try:
        yield
    finally:
        if JOURNALD_AWAY.exists():
            JOURNALD_AWAY.rename(JOURNALD)
