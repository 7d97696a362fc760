"""Reading operations on a host: preview and result at once, also after a crash (K02)."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from decide_builders import REQUEST_ID
from executor_fakes import Box, CrashError
from reading_builders import FLOOR_TOO, loaded, reading, rules

from ipa_tpi.decide.authorization import authorize
from ipa_tpi.errors import ActionFailedError, ServiceManagerError
from ipa_tpi.model import Refuse


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A host that tells about its directory server."""
    made = Box(tmp_path, FLOOR_TOO)
    made.directory.rules = rules()
    yield made
    made.close()


def ask(box: Box, **changes: Any) -> None:
    """Alice asks for the status."""
    box.ask(operation="dirsrv.status", operation_digest=loaded().digest, **changes)


def test_preview_and_result_come_at_once(box: Box) -> None:
    ask(box)
    assert box.process() is None
    assert box.outcomes() == ["executed"]
    assert box.excerpt() == "dirsrv@DS01.service is active (running), main PID 100"
    assert len(box.directory.of("ipaTpiPreview")) == 1
    assert box.directory.of("ipaTpiExecution") == []
    assert box.systemd.acts == []
    assert box.audit.events() == ["request-seen", "proof-verified", "read", "preview", "outcome"]
    assert box.process() is None
    assert box.outcomes() == ["executed"]


def test_it_waits_for_the_proof(box: Box) -> None:
    ask(box, proof=False)
    assert box.process() is not None
    assert (box.outcomes(), box.directory.of("ipaTpiPreview")) == ([], [])


def test_who_may_not_ask_is_told_nothing(box: Box) -> None:
    box.directory.rules = replace(rules(), rules=())
    ask(box)
    box.process()
    assert box.outcomes() == ["denied"]
    assert box.directory.of("ipaTpiPreview") == []


def test_a_unit_that_is_not_there(box: Box) -> None:
    box.systemd.refusal = ActionFailedError("there is no unit dirsrv@DS01.service")
    ask(box)
    box.process()
    assert box.outcomes() == ["denied"]
    assert "there is no unit" in box.excerpt()


def test_a_unit_that_went_after_it_was_shown(box: Box) -> None:
    box.weather.then["systemd.unit_state"] = lambda: setattr(
        box.systemd, "refusal", ActionFailedError("gone")
    )
    ask(box)
    box.process()
    assert box.outcomes() == ["failed"]


def test_a_dead_bus_is_waited_for(box: Box) -> None:
    ask(box)
    box.weather.fails["systemd.unit_state"] = ServiceManagerError("the bus is gone")
    with pytest.raises(ServiceManagerError):
        box.process()
    assert box.outcomes() == []
    box.weather.calm()
    box.process()
    assert box.outcomes() == ["executed"]


@pytest.mark.parametrize("first", [1, 11, 21, 31, 41])
def test_a_crash_at_any_call_leaves_one_answer(first: int) -> None:
    for number in range(first, first + 10):
        # In memory, so that syncing the journal costs nothing.
        folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        box = Box(Path(folder.name), FLOOR_TOO)
        box.directory.rules = rules()
        ask(box)
        box.weather.calm()
        box.weather.crash_after = number
        try:
            box.process()
        except CrashError:
            box.reboot()
        box.weather.calm()
        box.process()
        assert box.outcomes() == ["executed"], number
        assert len(box.directory.of("ipaTpiPreview")) == 1
        assert box.claims.claim(REQUEST_ID) is not None
        box.close()
        folder.cleanup()


def test_a_reading_rule_opens_nothing_else(box: Box) -> None:
    box.ask()
    box.process()
    assert box.outcomes() == []
    decision = authorize(replace(reading(), subtree=box.directory.load(REQUEST_ID)), "read").decision
    assert isinstance(decision, Refuse)
