"""Attack: end the executor with SIGKILL while it acts, and before it could tell how that ended.

What an attacker (or an out-of-memory killer) would gain: an approval that is spent twice, a restart that
nobody knows of, or an approval that is lost and has to be asked for again until people stop reading.
test_kill_matrix.py has every other moment; here systemd takes its time, and nothing is made quicker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepping import Standing, standing, step_reached
from world import EXECUTOR, UNIT, World, eventually, stopped

DIRECTORY = "dirsrv@TPI-TEST.service"
SLOW = Path("/etc/systemd/system/dirsrv@DS01.service.d/slow.conf")
SLOW_SECONDS = 3


def test_r_k13_killed_while_it_acts_is_indeterminate_and_never_runs_again(world: World) -> None:
    with _slow_unit(world):
        request_id = world.request("alice", reason="killed while acting")
        before = world.starts()
        world.approve("bob", request_id)
        eventually(lambda: world.show(UNIT, "ActiveState") == "deactivating")
        world.kill()
        assert standing(request_id) == Standing("claimed")
        _start_again(world)
        view = world.wait_state(request_id, "indeterminate")
        eventually(lambda: world.show(UNIT, "ActiveState") == "active")
    assert view.result.outcome == "indeterminate"
    assert "look at the target" in view.result.excerpt
    # systemd finished the one restart that it had been asked for; the executor never asked again.
    assert len(world.starts()) == len(before) + 1
    _assert_only_a_new_request_runs(world, request_id)


def test_r_k13_an_end_that_could_not_be_published_is_published_after_the_start(world: World) -> None:
    """The directory goes while systemd works, and the executor dies before the directory is back."""
    with _slow_unit(world):
        request_id = world.request("alice", reason="directory stopped at the end")
        before = world.starts()
        world.approve("bob", request_id)
        eventually(lambda: world.show(UNIT, "ActiveState") == "deactivating")
        with stopped(world, DIRECTORY):
            eventually(lambda: standing(request_id).state == "ended")
            world.kill()
            assert standing(request_id) == Standing("ended", "executed", published=False)
        assert step_reached(world, request_id) == "9"
        _start_again(world)
        eventually(lambda: standing(request_id).published)
    assert world.wait_state(request_id, "executed").result.outcome == "executed"
    assert len(world.of_class(request_id, "ipaTpiResult")) == 1
    assert len(world.starts()) == len(before) + 1


def test_systemd_starts_a_killed_executor_again_by_itself(world: World) -> None:
    request_id = world.request("alice", reason="killed while idle")
    dead = world.pid()
    world.kill()
    world.approve("bob", request_id)
    # RestartSec=5: nobody has to come.
    assert world.wait_state(request_id, "executed").result.outcome == "executed"
    assert world.pid() not in {0, dead}


def _start_again(world: World) -> None:
    world.halt()  # or the start would wait for RestartSec
    world.systemctl("start", EXECUTOR)
    assert world.show(EXECUTOR, "ActiveState") == "active"


def _assert_only_a_new_request_runs(world: World, old_id: str) -> None:
    """Start the executor once more, and let it run something else: the old request stays as it is."""
    before = world.starts()
    _start_again(world)
    new_id = world.request("carol", reason="after the indeterminate one")
    world.approve("bob", new_id)
    world.wait_state(new_id, "executed")
    assert len(world.starts()) == len(before) + 1
    assert world.api("bob").show(old_id).state == "indeterminate"


@contextmanager
def _slow_unit(world: World) -> Iterator[None]:
    """Let the unit take its time to stop."""
    SLOW.parent.mkdir(parents=True, exist_ok=True)
    SLOW.write_text(f"[Service]\nExecStopPost=/bin/sleep {SLOW_SECONDS}\n")
    world.systemctl("daemon-reload")
    try:
        yield
    finally:
        SLOW.unlink()
        world.systemctl("daemon-reload")
