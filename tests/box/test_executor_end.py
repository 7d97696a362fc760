"""Attack: end the executor, or have it read its files again, while it is doing something.

What an attacker would gain: an operation whose end nobody knows, or that runs again; or an executor that judges
with half of an old floor and half of a new one.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checks import assert_it_works
from stepping import standing
from world import EXECUTOR, UNIT, World, eventually

CONFIGURATION = Path("/etc/ipa/tpi/executor.toml")
SLOW = Path(f"/run/systemd/system/{UNIT}.d/slow.conf")


def test_r_k13_a_stop_waits_for_what_is_being_done(world: World) -> None:
    before = world.starts()
    with _slow_start(world, 3):
        request_id = _being_done(world)
        world.systemctl("stop", EXECUTOR)
        now = standing(request_id)
        assert (now.state, now.outcome, now.published) == ("ended", "executed", True)
        assert world.show(EXECUTOR, "Result") == "success"
    assert "unfinished" not in world.audit(event="executor-stopped")[-1]
    world.systemctl("start", EXECUTOR)
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_r_k13_what_a_stop_does_not_wait_for_is_indeterminate(world: World) -> None:
    before = world.starts()
    with _configured(world, "stop_seconds = 1"), _slow_start(world, 6):
        request_id = _being_done(world)
        world.systemctl("stop", EXECUTOR)
        assert standing(request_id).state == "claimed"
        assert world.show(EXECUTOR, "Result") == "success"
        assert world.audit(event="executor-stopped")[-1]["unfinished"] == request_id
        world.systemctl("start", EXECUTOR)
        view = world.wait_for("bob", request_id, lambda now: now.result is not None)
        assert view.result.outcome == "indeterminate"
        eventually(lambda: world.show(UNIT, "ActiveState") == "active")
    assert_it_works(world)
    assert len(world.starts()) == len(before) + 2  # the one that was begun, and that of assert_it_works


def test_a_reload_is_refused_and_changes_nothing(world: World) -> None:
    pid = world.pid()
    done = subprocess.run(
        ["/usr/bin/systemctl", "reload", EXECUTOR], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert "not applicable" in done.stderr
    refused = len(world.audit(event="reload-refused"))
    os.kill(pid, signal.SIGHUP)
    record = eventually(lambda: world.audit(event="reload-refused")[refused:])[0]
    assert record["code"] == "restart-needed"
    assert_it_works(world)
    assert world.pid() == pid


def _being_done(world: World) -> str:
    request_id = world.request("alice", reason="the executor is told to end")
    world.approve("bob", request_id)
    eventually(lambda: standing(request_id).state == "claimed")
    eventually(lambda: world.show(UNIT, "ActiveState") != "active")
    return request_id


@contextmanager
def _slow_start(world: World, seconds: int) -> Iterator[None]:
    """Have DS01 take so many seconds more for its start."""
    SLOW.parent.mkdir(parents=True, exist_ok=True)
    SLOW.write_text(f"[Service]\nExecStartPre=/usr/bin/sleep {seconds}\n")
    world.systemctl("daemon-reload")
    try:
        yield
    finally:
        SLOW.unlink()
        world.systemctl("daemon-reload")


@contextmanager
def _configured(world: World, line: str) -> Iterator[None]:
    """Have one more line in the executor's configuration."""
    text = CONFIGURATION.read_text()
    CONFIGURATION.write_text(f"{text}{line}\n")
    world.systemctl("restart", EXECUTOR)
    try:
        yield
    finally:
        CONFIGURATION.write_text(text)
        world.systemctl("restart", EXECUTOR)
