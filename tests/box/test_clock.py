"""Attack: step the clock of the executor's host, so that a window never ends, or an approval comes in time after all.

What an attacker would gain: an old approval that runs once more, or one that was late and counts.  The directory
stamps the entries; the executor judges them by its own clock.  libfaketime stands between the executor and its
clock here (a drop-in of the test), so that no other process, and not the host, notices.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from checks import assert_it_works
from stepping import standing, stepped, walk_to
from world import EXECUTOR, World, eventually

DROP_IN = Path(f"/run/systemd/system/{EXECUTOR}.d/zz-clock.conf")
OFFSET = Path("/run/tpi-clock/offset")
LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
SETTINGS = f"""\
[Service]
UnsetEnvironment=
Environment=LD_PRELOAD={LIBRARY}
Environment=FAKETIME_TIMESTAMP_FILE={OFFSET} FAKETIME_NO_CACHE=1
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DISABLE_SHM=1
"""
HOUR = 3600

Step = Callable[[int], None]


@pytest.fixture(scope="module")
def own_clock(world: World) -> Iterator[Step]:
    """Give the executor a clock of its own, and what steps it."""
    assert Path(LIBRARY).exists(), "libfaketime is missing in this box"
    OFFSET.parent.mkdir(exist_ok=True)
    _step(0)
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(SETTINGS)
    world.systemctl("daemon-reload")
    world.systemctl("restart", EXECUTOR)
    yield _step
    DROP_IN.unlink()
    world.systemctl("daemon-reload")
    world.systemctl("restart", EXECUTOR)


@pytest.fixture
def step(own_clock: Step) -> Iterator[Step]:
    """Step the executor's clock by so many seconds; it is right again afterwards."""
    yield own_clock
    own_clock(0)


@pytest.mark.parametrize("seconds", [-3, 3, 60])
def test_a_clock_that_is_a_little_wrong_hinders_nobody(world: World, step: Step, seconds: int) -> None:
    """Backward by less than the skew that the floor allows; forward by less than any window."""
    step(seconds)
    request_id = world.request("alice", reason=f"clock {seconds} s")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    # It was the executor's clock that was stepped, and no other.
    assert abs(_ahead(world, request_id) - seconds) < 2


def test_a_request_from_the_future_is_refused(world: World, step: Step) -> None:
    """Back by a minute: nobody can tell how old anything is."""
    before = world.starts()
    step(-60)
    request_id = world.request("alice", reason="clock back before the request")
    _assert_ended(world, request_id, "denied", "clock")
    step(0)
    assert world.starts() == before
    assert_it_works(world)
    assert world.api("bob").show(request_id).state == "denied"


def test_a_clock_stepped_back_revives_nothing(world: World, step: Step) -> None:
    """Its window is over by the clock of the moment; afterwards the clock says that it is not."""
    before = world.starts()
    request_id = world.request("alice", reason="clock forward, then back")
    step(2 * HOUR)
    _wake(world)
    _assert_ended(world, request_id, "expired", "expired")
    step(0)
    _wake(world)
    time.sleep(0.5)
    assert world.api("bob").show(request_id).state == "expired"
    assert world.starts() == before


@pytest.mark.parametrize(
    ("seconds", "outcome", "code"), [(HOUR, "expired", "expired"), (-HOUR, "denied", "clock")]
)
def test_a_step_before_the_last_look_counts(
    world: World, step: Step, seconds: int, outcome: str, code: str
) -> None:
    """Promised at 4; at 6 its window is over, or nobody can tell."""
    request_id = world.request("alice", reason=f"clock {seconds} s at 4")
    before = world.starts()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "4")
        step(seconds)
    _assert_ended(world, request_id, outcome, code)
    assert world.audit(request_id, "claim") == []
    step(0)
    _wake(world)
    time.sleep(0.5)
    assert world.starts() == before


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_step_after_the_claim_changes_nothing(world: World, step: Step, seconds: int) -> None:
    request_id = world.request("alice", reason=f"clock {seconds} s at 7")
    before = world.starts()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "7")
        step(seconds)
    assert world.wait_state(request_id, "executed").result.outcome == "executed"
    step(0)
    eventually(lambda: standing(request_id).published)
    assert len(world.starts()) == len(before) + 1


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_proof_that_kerberos_calls_skewed_runs_nothing(world: World, step: Step, seconds: int) -> None:
    """By more than Kerberos allows (300 s): the approval's proof cannot be verified."""
    request_id = world.request("alice", reason=f"clock {seconds} s before the approval")
    before = world.starts()
    with _asleep(world):  # or it may notice the time before it meets the proof
        step(seconds)
        world.approve("bob", request_id)
    view = world.wait_for("bob", request_id, lambda now: now.result is not None)
    outcome, code = ("expired", "expired") if seconds > 0 else ("denied", "clock")
    assert (view.result.outcome, view.result.excerpt.partition(":")[0]) == (outcome, code)
    refused = world.audit(request_id, "proof-refused")
    assert [one["code"] for one in refused] == ["proof-invalid"]
    step(0)
    assert world.starts() == before
    assert_it_works(world)


@pytest.mark.parametrize(
    ("seconds", "outcome", "code"), [(HOUR, "expired", "expired"), (-HOUR, "denied", "clock")]
)
def test_an_executor_that_starts_with_a_wrong_clock_runs_nothing(
    world: World, step: Step, seconds: int, outcome: str, code: str
) -> None:
    """Kerberos asks the KDC for the time and gives it a ticket all the same; what it reads it judges by its clock."""
    request_id = world.request("alice", reason=f"clock {seconds} s at the start")
    before = world.starts()
    world.halt()
    world.approve("bob", request_id)
    step(seconds)
    world.systemctl("start", EXECUTOR)
    _assert_ended(world, request_id, outcome, code)
    step(0)
    assert world.starts() == before
    assert_it_works(world)


@contextmanager
def _asleep(world: World) -> Iterator[None]:
    """Have the executor do nothing for a moment, so that what happens here is one moment to it."""
    pid = world.pid(EXECUTOR)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _step(seconds: int) -> None:
    OFFSET.write_text(f"{seconds:+d}\n")


def _wake(world: World) -> None:
    """Have the executor look at everything at once."""
    world.kill()
    world.halt()
    world.systemctl("start", EXECUTOR)


def _ahead(world: World, request_id: str) -> float:
    """Tell by how much the executor's last record of a request is ahead of the directory's stamp of its result."""
    record = datetime.fromisoformat(world.audit(request_id, "outcome")[-1]["time"])
    stamp = world.of_class(request_id, "ipaTpiResult")[0]["createTimestamp"][0].decode()
    return (record - datetime.strptime(stamp, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)) / timedelta(seconds=1)


def _assert_ended(world: World, request_id: str, outcome: str, code: str) -> None:
    view = world.wait_for("bob", request_id, lambda now: now.result is not None)
    assert (view.result.outcome, view.result.excerpt.partition(":")[0]) == (outcome, code)
    assert world.audit(request_id, "outcome")[-1]["code"] == code
