"""Attack: take the system bus away from the executor, or systemd from the bus, at bad moments.

What an attacker would gain: a restart that is told as refused and happens all the same, one that is asked for
twice because its answer was lost, or a request that is lost because systemd could not be asked.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from checks import assert_it_works, log_since_start
from stepping import ALL_CALLS, paused, standing, stepped, walk_to
from world import HOST, UNIT, World, eventually

from ipa_tpi.client.wish import Wish

BUS = "/run/dbus/system_bus_socket"
POLKIT = "polkit.service"
SLOW = Path(f"/run/systemd/system/{UNIT}.d/zz-bus.conf")
UNREACHABLE = "the system bus cannot be reached"
EMPTY_BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow user="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
"""
ASKS = r"^sendto\(.*RestartUnit"


@pytest.fixture(scope="module")
def empty_bus() -> Iterator[str]:
    """A bus on which there is nobody, not even systemd."""
    path = Path("/run/tpi-empty-bus/socket")
    path.parent.mkdir(exist_ok=True)
    config = path.with_name("bus.conf")
    config.write_text(EMPTY_BUS.format(path=path))
    command = ["/usr/bin/dbus-daemon", f"--config-file={config}", "--nofork"]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    eventually(path.is_socket)
    yield str(path)
    daemon.terminate()
    daemon.wait(timeout=20)


@pytest.mark.parametrize("step", ["before 4", "4", "5"])
@pytest.mark.parametrize("bus", ["dead", "without systemd"])
def test_a_dead_bus_before_the_claim_only_delays(world: World, empty_bus: str, step: str, bus: str) -> None:
    request_id = world.request("alice", reason=f"bus {bus} at {step}")
    complaint = UNREACHABLE if bus == "dead" else "systemd did not answer about"
    before, pid = world.starts(), world.pid()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, step)
        with _hidden_bus(pid, "/dev/null" if bus == "dead" else empty_bus):
            stepper.end()
            eventually(lambda: f"{request_id}: {complaint}" in log_since_start(world))
            assert "next try in" in log_since_start(world)
            assert standing(request_id).state == ("" if step == "before 4" else "intent")
            assert world.starts() == before
    assert world.wait_state(request_id, "executed").result.outcome == "executed"
    assert len(world.starts()) == len(before) + 1
    assert world.pid() == pid


def test_a_dead_bus_before_the_preview_only_delays(world: World) -> None:
    with _hidden_bus(world.pid()):
        wish = Wish("dirsrv.restart", HOST, {"instance": "DS01"}, "no bus at the preview")
        request_id = str(world.api("alice").create(wish).id)
        eventually(lambda: f"{request_id}: {UNREACHABLE}" in log_since_start(world))
        assert world.api("alice").show(request_id).state == "awaiting-preview"
    world.wait_state(request_id, "pending")
    world.approve("bob", request_id)
    assert world.wait_state(request_id, "executed").result.outcome == "executed"


def test_a_dead_bus_after_the_claim_is_a_failure_and_nothing_was_done(world: World) -> None:
    """It could certainly not ask, so that it is no doubt; it is final, as every end is."""
    request_id = world.request("alice", reason="no bus at 7")
    before = world.starts()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "7")
        with _hidden_bus(world.pid()):
            stepper.end()
            result = world.wait_state(request_id, "failed").result
    assert (result.outcome, result.excerpt.partition(":")[0]) == ("failed", "service-manager-unavailable")
    assert UNREACHABLE in result.excerpt
    assert world.audit(request_id, "outcome")[-1]["code"] == "service-manager-unavailable"
    assert world.starts() == before
    assert_it_works(world)
    assert len(world.starts()) == len(before) + 1
    assert world.api("bob").show(request_id).state == "failed"


def test_a_systemd_that_goes_before_it_answers_is_no_refusal(world: World) -> None:
    """The bus answers in its stead: whether it had begun is not known, so it is not said to have failed."""
    world.systemctl("start", POLKIT)
    request_id = world.request("alice", reason="systemd goes amid the call")
    before = world.starts()
    with stepped(world, ALL_CALLS) as stepper:
        world.approve("bob", request_id)
        stop = stepper.walk(r"^sendto\(.*Subscribe")
        # systemd asks polkit before it answers: as long as that stands still, so does the call.
        with paused(world.pid(POLKIT)):
            stepper.go_on(stop.pid)
            stepper.walk(ASKS)
            stepper.end()
            world.systemctl("daemon-reexec")
            eventually(lambda: standing(request_id).state == "ended")
    view = world.wait_state(request_id, "indeterminate")
    assert view.result.excerpt.startswith("outcome-unknown: systemd did not tell")
    assert world.audit(request_id, "outcome")[-1]["code"] == "outcome-unknown"
    assert len(world.starts()) <= len(before) + 1
    assert_it_works(world)
    assert world.api("bob").show(request_id).state == "indeterminate"


def test_a_bus_that_dies_while_systemd_works_is_indeterminate_and_never_asks_again(world: World) -> None:
    with _slow_unit(world):
        request_id = world.request("alice", reason="the bus dies amid the restart")
        before = world.starts()
        world.approve("bob", request_id)
        eventually(lambda: world.show(UNIT, "ActiveState") == "deactivating")
        world.kill("dbus.service")
        view = world.wait_state(request_id, "indeterminate", seconds=40)
        eventually(lambda: world.show(UNIT, "ActiveState") == "active")
    assert view.result.excerpt.startswith("outcome-unknown: systemd did not tell")
    # systemd finished the one restart that it had been asked for.
    assert len(world.starts()) == len(before) + 1
    _assert_bus_works(world)
    assert_it_works(world)
    assert len(world.starts()) == len(before) + 2
    assert world.api("bob").show(request_id).state == "indeterminate"


def _assert_bus_works(world: World) -> None:
    """The bus is activated by its socket; polkit lost its name with the old one, and is started by the new."""
    command = ["/usr/bin/busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId"]
    eventually(lambda: subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0)
    world.systemctl("restart", POLKIT)


@contextmanager
def _hidden_bus(pid: int, instead: str = "/dev/null") -> Iterator[None]:
    """Have the bus out of one process's reach: in its own mount namespace something else lies over the socket."""
    inside = ["/usr/bin/nsenter", f"--target={pid}", "--mount", "--"]
    mount = [*inside, "/usr/bin/mount", "--bind", instead, BUS]
    subprocess.run(mount, check=True, capture_output=True, timeout=20)
    try:
        yield
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run([*inside, "/usr/bin/umount", BUS], check=True, capture_output=True, timeout=20)


@contextmanager
def _slow_unit(world: World) -> Iterator[None]:
    SLOW.parent.mkdir(parents=True, exist_ok=True)
    SLOW.write_text("[Service]\nExecStopPost=/bin/sleep 3\n")
    world.systemctl("daemon-reload")
    try:
        yield
    finally:
        SLOW.unlink()
        world.systemctl("daemon-reload")
