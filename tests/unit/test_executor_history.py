"""A journal made anew on a host with a past: what had ended stays as it is (X12)."""

from datetime import timedelta
from pathlib import Path

import pytest
from decide_builders import HOST, REQUEST_ID, T0, an_id
from executor_fakes import Box

from ipa_tpi.executor.claims import Claims
from ipa_tpi.executor.journal import create


def _lose_the_journal(box: Box, folder: Path, seconds: int) -> None:
    """Give the executor a new journal, begun so many seconds after the request."""
    box.claims.close()
    box.path = str(folder / "new.sqlite")
    create(box.path, HOST, T0 + timedelta(seconds=seconds))
    box.claims = Claims(box.path, HOST)
    box.reboot()


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_what_had_ended_before_the_journal_began_gets_no_second_result(box: Box, tmp_path: Path) -> None:
    box.ask()
    box.process()
    box.approve()
    box.settle()
    assert box.outcomes() == ["executed"]
    _lose_the_journal(box, tmp_path, 3600)
    box.clock.go(3601)
    assert box.process() is None
    assert box.process() is None
    assert box.outcomes() == ["executed"]
    assert box.audit.events().count("history") == 1
    assert box.claims.finished([REQUEST_ID, an_id(1)]) == {REQUEST_ID}
    assert box.claims.judged(REQUEST_ID) == {}


def test_what_had_not_ended_is_refused(box: Box, tmp_path: Path) -> None:
    box.ask()
    box.process()
    box.approve()
    _lose_the_journal(box, tmp_path, 3600)
    box.clock.go(3601)
    box.settle()
    assert box.outcomes() == ["denied"]
    assert box.excerpt().startswith("older-than-journal")


def test_a_result_younger_than_the_journal_that_it_lacks_is_forged(box: Box, tmp_path: Path) -> None:
    box.ask()
    box.process()
    box.approve()
    box.settle()
    _lose_the_journal(box, tmp_path, -3600)
    box.settle()
    assert sorted(box.outcomes()) == ["denied", "executed"]


def test_what_had_ended_before_the_journal_began_does_not_count_as_waiting(box: Box, tmp_path: Path) -> None:
    for number in range(5, 5 + box.floor.pending_per_operation):
        box.ask(request_id=an_id(number))
        box.process(an_id(number))
        box.approve(request_id=an_id(number))
        box.settle(an_id(number))
        assert box.outcomes(an_id(number)) == ["executed"]
    _lose_the_journal(box, tmp_path, 3600)
    box.clock.go(3601)
    box.ask()
    box.process()
    assert len(box.directory.of("ipaTpiPreview", REQUEST_ID)) == 1
