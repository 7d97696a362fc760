"""A journal made anew on a host with a past: what had ended stays as it is (X12)."""

from datetime import timedelta
from pathlib import Path

import pytest
from decide_builders import HOST, REQUEST_ID, T0, an_id, person
from executor_fakes import DOWN, Box

from ipa_tpi.errors import AuditError, RefusedError
from ipa_tpi.executor.claims import Claims
from ipa_tpi.executor.journal import create
from ipa_tpi.ports import NewEntry


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


# --- a result that the directory has lost is put there again --------------------


def _run(box: Box) -> None:
    box.ask()
    box.process()
    box.approve()
    box.settle()
    assert box.outcomes() == ["executed"]


def _lose(box: Box) -> bytes:
    (result,) = box.directory.of("ipaTpiResult")
    (entry_id,) = result.attributes["ipatpientryid"]
    del box.directory.children[REQUEST_ID][entry_id.decode()]
    return bytes(entry_id)


def test_a_lost_result_is_put_there_again_once(box: Box) -> None:
    _run(box)
    assert box.claims.answered() == {REQUEST_ID}
    (before,) = box.directory.of("ipaTpiResult")
    _lose(box)
    for _ in range(3):
        assert box.process() is None
    (after,) = box.directory.of("ipaTpiResult")
    assert after.attributes == before.attributes
    assert box.audit.records[-1] == {"event": "republished", "request": REQUEST_ID, "outcome": "executed"}
    assert [box.audit.events().count(name) for name in ("outcome", "republished")] == [1, 1]
    assert len(box.systemd.acts) == 1


def test_a_restored_directory_gets_its_vetoed_request_closed_again(box: Box) -> None:
    box.ask()
    box.process()
    backup = box.directory.snapshot()
    box.say("carol", "ipaTpiDenial", box.about())
    box.settle()
    assert box.outcomes() == ["denied"]
    box.directory.restore(backup)
    box.approve()
    box.settle()
    assert box.outcomes() == ["denied"]
    assert box.systemd.acts == []


def test_a_lost_result_is_not_put_there_again_without_an_audit(box: Box) -> None:
    _run(box)
    _lose(box)
    box.weather.fails["audit"] = DOWN["audit"]
    with pytest.raises(AuditError):
        box.process()
    assert box.outcomes() == []
    box.weather.calm()
    box.process()
    assert box.outcomes() == ["executed"]


def test_what_took_a_lost_results_place_is_told_once(box: Box) -> None:
    _run(box)
    entry_id = _lose(box).decode()
    entry = NewEntry(entry_id, "ipaTpiDenial", {"ipaTpiDigest": [b"00" * 32]})
    box.directory.put(person("carol").dn, REQUEST_ID, entry)
    with pytest.raises(RefusedError) as refused:
        box.process()
    assert refused.value.code == "forged-entry"
    assert box.process() is None
    assert box.audit.events().count("republished") == 1
    assert box.outcomes() == []


def test_what_ended_malformed_has_no_result_to_be_put_there(box: Box) -> None:
    box.ask(entry={"ipatpireason": [b"\x1b"]})
    for _ in range(2):
        assert box.process() is None
    assert box.claims.finished([REQUEST_ID]) == {REQUEST_ID}
    assert box.claims.answered() == frozenset()
