"""Every operation of the table on a real systemd: what two people can do, what one can read, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from world import EXECUTOR, HOST, World, eventually

from ipa_tpi.client.wish import Wish
from ipa_tpi.errors import RefusedError

SAMPLE = "sample.service"
OWN = "dirsrv@TPI-TEST.service"


@pytest.fixture
def sample(world: World) -> Iterator[World]:
    """The sample service, running."""
    world.systemctl("start", SAMPLE)
    yield world
    world.systemctl("stop", SAMPLE)


def ask(world: World, operation: str, **parameters: str) -> str:
    """Alice asks, and the target shows or refuses."""
    view = world.api("alice").create(Wish(operation, HOST, parameters))
    world.wait_for("alice", view.id, lambda now: now.state != "awaiting-preview")
    return str(view.id)


def done(world: World, operation: str, **parameters: str) -> Any:
    """Alice asks, bob approves; give what came of it."""
    request_id = ask(world, operation, **parameters)
    world.approve("bob", request_id)
    return world.wait_state(request_id, "executed", "failed", "denied", "indeterminate")


def test_two_people_stop_start_restart_and_reload_a_unit(sample: World) -> None:
    before = sample.invocation(SAMPLE)
    assert done(sample, "systemd.unit.reload", unit=SAMPLE).state == "executed"
    assert Path("/run/sample/reloaded").exists()
    assert sample.invocation(SAMPLE) == before
    assert done(sample, "systemd.unit.restart", unit=SAMPLE).state == "executed"
    assert sample.invocation(SAMPLE) != before
    assert done(sample, "systemd.unit.stop", unit=SAMPLE).state == "executed"
    assert sample.show(SAMPLE, "ActiveState") == "inactive"
    view = done(sample, "systemd.unit.start", unit=SAMPLE)
    assert view.state == "executed"
    assert sample.show(SAMPLE, "ActiveState") == "active"
    assert view.message == f"started {SAMPLE}: main PID 0 -> {sample.pid(SAMPLE)}, active (running)"


def test_one_person_does_none_of_it(sample: World) -> None:
    before = sample.invocation(SAMPLE)
    for verb in ("stop", "restart", "reload"):
        request_id = ask(sample, f"systemd.unit.{verb}", unit=SAMPLE)
        with pytest.raises(RefusedError) as caught:
            sample.approve("alice", request_id)
        assert caught.value.code == "self-approval"
        assert sample.api("alice").cancel(sample.api("alice").show(request_id), "").state == "cancelled"
    assert sample.invocation(SAMPLE) == before


@pytest.mark.parametrize(
    ("operation", "parameters", "unit"),
    [
        ("systemd.unit.status", {"unit": "dbus.service"}, "dbus.service"),
        ("systemd.unit.status", {"unit": EXECUTOR}, EXECUTOR),
        ("dirsrv.status", {"instance": "TPI-TEST"}, OWN),
    ],
)
def test_one_person_reads_a_state_at_once(
    world: World, operation: str, parameters: dict[str, str], unit: str
) -> None:
    invocation = world.invocation(unit)
    request_id = ask(world, operation, **parameters)
    view = world.wait_state(request_id, "executed", person="alice")
    assert view.message == f"{unit} is active (running), main PID {world.pid(unit)}"
    assert len(world.of_class(request_id, "ipaTpiPreview")) == 1
    assert world.of_class(request_id, "ipaTpiExecution") == []
    assert [record["event"] for record in world.audit(request_id)].count("read") == 1
    assert world.invocation(unit) == invocation


def test_who_may_not_ask_reads_nothing(world: World) -> None:
    with pytest.raises(RefusedError) as caught:
        world.api("dave").create(Wish("systemd.unit.status", HOST, {"unit": SAMPLE}))
    assert caught.value.code in {"no-rule", "unknown-operation", "directory-refused"}


@pytest.mark.parametrize(
    ("unit", "code"),
    [("ssh.service", "below-floor"), ("ipa-tpi-executor.service", "below-floor"), ("sample", "below-floor")],
)
def test_a_unit_that_the_floor_does_not_name(world: World, unit: str, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        world.api("alice").create(Wish("systemd.unit.stop", HOST, {"unit": unit}))
    assert caught.value.code == code


def test_a_second_name_of_a_unit_is_not_that_unit(sample: World) -> None:
    """An alias in the floor would come round the list of units that have operations of their own."""
    floor = Path("/etc/ipa/tpi/floor.toml")
    kept = floor.read_text(encoding="utf-8")
    link = Path("/etc/systemd/system/innocent.service")
    link.symlink_to("/etc/systemd/system/sample.service")
    sample.systemctl("daemon-reload")
    try:
        floor.write_text(
            kept.replace('"sample.service"]', '"sample.service", "innocent.service"]'), encoding="utf-8"
        )
        sample.systemctl("restart", EXECUTOR, "apache2.service")
        request_id = ask(sample, "systemd.unit.stop", unit="innocent.service")
        view = sample.wait_state(request_id, "denied", person="alice")
        assert "innocent.service is another name of sample.service" in view.message
        assert sample.show(SAMPLE, "ActiveState") == "active"
    finally:
        link.unlink()
        floor.write_text(kept, encoding="utf-8")
        sample.systemctl("daemon-reload")
        sample.systemctl("restart", EXECUTOR, "apache2.service")


@pytest.mark.parametrize("unit", ["dirsrv@DS01.service", "krb5-kdc.service", "gssproxy.service", EXECUTOR])
def test_a_floor_that_opens_a_unit_with_an_operation_of_its_own_does_not_start(
    tmp_path: Path, unit: str
) -> None:
    program = "/usr/libexec/ipa-tpi/ipa-tpi-executor"
    floor, config = tmp_path / "floor.toml", tmp_path / "executor.toml"
    floor.write_text(f'version = 1\n[operations."systemd.unit.stop"]\nunits = ["{unit}"]\n', encoding="utf-8")
    shipped = Path("/etc/ipa/tpi/executor.toml").read_text(encoding="utf-8")
    config.write_text(shipped.replace("/etc/ipa/tpi/floor.toml", str(floor)), encoding="utf-8")
    run = subprocess.run(
        [program, "--config", str(config), "polkit-rules"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert f"{unit} is never handled as a mere unit" in run.stderr


def test_the_directory_that_holds_the_request_is_restarted_itself(world: World) -> None:
    """cn=tpi and the KDC's data go away in the middle: the result is written after the reconnect."""
    before, starts = world.invocation(OWN), len(world.starts(OWN))
    request_id = ask(world, "dirsrv.restart", instance="TPI-TEST")
    world.approve("bob", request_id)
    eventually(lambda: world.of_class_when_up(request_id, "ipaTpiResult"), seconds=60)
    view = world.wait_state(request_id, "executed", seconds=60)
    assert "restarted dirsrv@TPI-TEST.service" in view.message
    assert world.invocation(OWN) != before
    assert len(world.starts(OWN)) == starts + 1
    assert [record["event"] for record in world.audit(request_id)].count("outcome") == 1
