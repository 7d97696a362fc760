"""A05, C03, K06: the operations of the table on a real systemd, beside each other; in the box."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from world import HOST, UNIT, World

from ipa_tpi.client.wish import Wish
from ipa_tpi.errors import RefusedError

SAMPLE = "sample.service"
SLOW = tuple(f"slow@{number}.service" for number in (1, 2, 3))


@pytest.fixture
def units(world: World) -> Iterator[World]:
    """The laboratory's units, stopped in the end."""
    yield world
    world.systemctl("stop", SAMPLE, *SLOW)


def ask(world: World, operation: str, **parameters: str) -> str:
    """Alice asks, and the target shows what it would do."""
    view = world.api("alice").create(Wish(operation, HOST, parameters))
    world.wait_for("alice", view.id, lambda now: now.state != "awaiting-preview")
    return str(view.id)


@pytest.mark.parametrize(("verb", "ends"), [("start", "active"), ("restart", "active"), ("stop", "inactive")])
def test_r_c03_services_are_started_restarted_and_stopped_by_two(units: World, verb: str, ends: str) -> None:
    units.systemctl("stop" if verb == "start" else "start", SAMPLE)
    before = units.invocation(SAMPLE)
    request_id = ask(units, f"systemd.unit.{verb}", unit=SAMPLE)
    with pytest.raises(RefusedError):
        units.approve("alice", request_id)
    assert units.invocation(SAMPLE) == before
    units.approve("bob", request_id)
    assert units.wait_state(request_id, "executed").state == "executed"
    assert units.show(SAMPLE, "ActiveState") == ends


def test_r_c03_the_status_of_a_service_is_told_to_one(units: World) -> None:
    units.systemctl("stop", SAMPLE)
    view = units.wait_state(ask(units, "systemd.unit.status", unit=SAMPLE), "executed", person="alice")
    assert view.message == f"{SAMPLE} is inactive (dead), main PID 0"


def test_r_k06_a_directory_instance_tells_its_status(world: World) -> None:
    view = world.wait_state(ask(world, "dirsrv.status", instance="DS01"), "executed", person="alice")
    assert view.message == f"{UNIT} is active (running), main PID {world.pid(UNIT)}"


def test_r_a05_slow_operations_do_not_block_another(units: World) -> None:
    slow = [ask(units, "systemd.unit.restart", unit=unit) for unit in SLOW]
    quick = ask(units, "dirsrv.restart", instance="DS01")
    for request_id in slow:
        units.approve("bob", request_id)
    began = time.monotonic()
    for request_id in slow:
        units.wait_state(request_id, "executing", seconds=5)
    units.approve("bob", quick)
    units.wait_state(quick, "executed")
    assert {units.api("bob").show(request_id).state for request_id in slow} == {"executing"}
    assert time.monotonic() - began < 6
    for request_id in slow:
        units.wait_state(request_id, "executed")
