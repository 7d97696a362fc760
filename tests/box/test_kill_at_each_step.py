"""Attack: end the executor with SIGKILL at the worst moments, so that something runs twice, or never.

What an attacker (or an out-of-memory killer) would gain: an approval that is spent twice, a restart that
nobody knows of, or an approval that is lost and has to be asked for again until people stop reading.
The steps are those of DESIGN section 2; the kill comes from outside, at each commit of the journal in turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stepping import MAX_COMMITS, Standing, Stepper, paused, standing, step_reached, stepped
from world import EXECUTOR, HOST, UNIT, World, eventually, stopped

from ipa_tpi.client.wish import Wish

DIRECTORY = "dirsrv@TPI-TEST.service"
SLOW = Path("/etc/systemd/system/dirsrv@DS01.service.d/slow.conf")
SLOW_SECONDS = 3
# Steps after which nothing was done, so that it is done after the start, without anybody asking again.
UNDONE = frozenset({"before 4", "4", "5"})


def test_r_k13_killed_at_each_commit_it_runs_once_or_is_indeterminate(
    world: World, record_property: pytest.RecordProperty
) -> None:
    """Sweep: the n-th commit after the approval, for every n until the request is through."""
    reached: dict[int, str] = {}
    for count in range(1, MAX_COMMITS):
        reached[count] = _kill_at(world, count)
        if reached[count] == "after 10":
            break
    record_property("step reached at the n-th commit", str(reached))
    print("step reached at the n-th commit:", reached)  # noqa: T201 (a figure of the report)
    assert set(reached.values()) == {*UNDONE, "7", "9", "after 10"}


def _kill_at(world: World, count: int) -> str:
    request_id = world.request("alice", reason=f"killed at commit {count}")
    before = world.starts()
    with stepped(world) as stepper:
        view = world.api("bob").show(request_id)
        world.api("bob").approve(view, "")
        for number in range(1, count + 1):
            assert stepper.next_stop(), f"there was no commit {number}"
            if number < count:
                stepper.go_on()
        stepper.kill()
    step = step_reached(world, request_id)
    _start_again(world)
    view = world.wait_for("bob", request_id, lambda now: now.result is not None)
    caused = len(world.starts()) - len(before)
    if step == "7":
        assert (view.result.outcome, view.state, caused) == ("indeterminate", "indeterminate", 0)
        _assert_only_a_new_request_runs(world, request_id)
    else:
        assert (view.result.outcome, caused) == ("executed", 1), f"killed at commit {count}, step {step}"
    assert [one["outcome"] for one in world.audit(request_id, "outcome")][-1] == view.result.outcome
    # The result is seen a moment before the journal says so.
    eventually(lambda: standing(request_id) == Standing("ended", view.result.outcome, published=True))
    assert len(world.of_class(request_id, "ipaTpiExecution")) == 1
    assert len(world.of_class(request_id, "ipaTpiResult")) == 1
    assert len(world.of_class(request_id, "ipaTpiApproval")) == 1
    assert [one["ipaTpiOutcome"] for one in world.of_class(request_id, "ipaTpiReceipt")] == [
        [b"verified"]
    ] * 2
    return step


def test_r_k13_killed_at_each_commit_before_the_preview_it_shows_one(world: World) -> None:
    """The same for what comes before: receipt and preview of a new request."""
    for count in range(1, MAX_COMMITS):
        with stepped(world) as stepper:
            request_id = _ask(world, f"killed at commit {count}")
            came = all(_next(stepper, number, count) for number in range(1, count + 1))
            if came:
                stepper.kill()
        if not came:
            break
        _start_again(world)
        world.wait_state(request_id, "pending")
        assert len(world.of_class(request_id, "ipaTpiPreview")) == 1
        assert [one["ipaTpiOutcome"] for one in world.of_class(request_id, "ipaTpiReceipt")] == [
            [b"verified"]
        ]
        world.api("alice").cancel(world.api("alice").show(request_id), "")
        world.wait_for("alice", request_id, lambda now: now.result is not None)
    assert count > 5
    print("commits up to the preview:", count - 1)  # noqa: T201 (a figure of the report)


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


@pytest.mark.parametrize("how", ["stopped", "hung"])
def test_r_k13_an_end_that_could_not_be_published_is_published_after_the_start(
    world: World, how: str
) -> None:
    with _slow_unit(world):
        request_id = world.request("alice", reason=f"directory {how} at the end")
        before = world.starts()
        world.approve("bob", request_id)
        eventually(lambda: world.show(UNIT, "ActiveState") == "deactivating")
        # A hung directory takes the add from its socket when it goes on: the result is there, and nobody was told.
        with stopped(world, DIRECTORY) if how == "stopped" else paused(world.pid(DIRECTORY)):
            eventually(lambda: standing(request_id).state == "ended")
            time.sleep(0.1)
            world.kill()
            assert standing(request_id) == Standing("ended", "executed", published=False)
        assert step_reached(world, request_id) == ("9" if how == "stopped" else "after 10")
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


def _ask(world: World, reason: str) -> str:
    return str(world.api("alice").create(Wish("dirsrv.restart", HOST, {"instance": "DS01"}, reason)).id)


def _next(stepper: Stepper, number: int, count: int) -> bool:
    """Go to the next of `count` commits; False where there is none."""
    if not stepper.next_stop(1.5):
        return False
    if number < count:
        stepper.go_on()
    return True


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
