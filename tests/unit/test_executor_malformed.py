"""A request whose entry becomes malformed on its way: it ends, whatever was promised, and stays so (K13, E21).

Only Directory Manager, or a directory without its clients' keys, can do that to an entry.  What would be gained:
a request that is looked at for ever, or one that runs once the entry is put back.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from decide_builders import REQUEST_ID
from executor_fakes import DOWN, Box, CrashError

from ipa_tpi.errors import AuditError, DirectoryUnavailableError, RefusedError
from ipa_tpi.executor.claims import Claim
from ipa_tpi.model import Outcome


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A host with its executor."""
    made = Box(tmp_path)
    yield made
    made.close()


def crash() -> None:
    """Fail the power."""
    raise CrashError("right then")


def bring(box: Box, call: str) -> None:
    """Bring a request to right after a call, where the executor is killed and started again."""
    box.ask()
    box.process()
    box.clock.go(10)
    box.approve()
    box.weather.then[call] = crash
    with pytest.raises(CrashError):
        box.process()
    box.reboot()
    box.weather.calm()


def spoil(box: Box) -> object:
    """Have the entry be of no known form; give what it was."""
    before = box.directory.requests[REQUEST_ID]
    box.directory.ask(request_id=REQUEST_ID, entry={"ipatpidigest": "x"})
    return before


def ends(box: Box, outcome: Outcome, code: str) -> None:
    """Demand that it ends so in the journal, once, audited, with nothing more to do and nothing run."""
    acts = list(box.systemd.acts)
    assert box.process() is None
    claim = box.claims.claim(REQUEST_ID)
    assert claim is not None
    assert (claim.state, claim.outcome, claim.code, claim.published) == ("ended", outcome, code, True)
    assert box.claims.unfinished() == frozenset()
    (record,) = [one for one in box.audit.records if one["event"] == "refused"]
    assert (record["request"], record["code"], record["outcome"]) == (
        REQUEST_ID,
        "malformed-request",
        outcome.value,
    )
    for _ in range(3):
        assert box.process() is None
    assert box.audit.events().count("refused") == 1
    assert box.outcomes() == []
    assert box.systemd.acts == acts


def test_before_anything_was_promised(box: Box) -> None:
    box.ask()
    box.process()
    spoil(box)
    ends(box, Outcome.DENIED, "malformed-request")


def test_after_the_intent_it_is_denied(box: Box) -> None:
    bring(box, "directory.add ipaTpiExecution")
    spoil(box)
    ends(box, Outcome.DENIED, "malformed-request")
    assert box.systemd.acts == []


def test_after_the_claim_nobody_knows(box: Box) -> None:
    bring(box, "systemd.run_job")
    spoil(box)
    ends(box, Outcome.INDETERMINATE, "outcome-unknown")
    assert len(box.systemd.acts) == 1


def test_after_the_end_the_end_stands(box: Box) -> None:
    bring(box, "journal.end")
    spoil(box)
    ends(box, Outcome.EXECUTED, "")


def test_between_the_intent_and_the_last_look(box: Box) -> None:
    """Steps 4 to 6: it is refused there and then, and ends at the next look."""
    box.ask()
    box.process()
    box.clock.go(10)
    box.approve()
    box.weather.then["directory.add ipaTpiExecution"] = lambda: spoil(box)
    with pytest.raises(RefusedError) as caught:
        box.process()
    assert caught.value.code == "malformed-request"
    ends(box, Outcome.DENIED, "malformed-request")


@pytest.mark.parametrize("call", ["directory.add ipaTpiExecution", "systemd.run_job"])
def test_put_back_it_does_not_come_back(box: Box, call: str) -> None:
    bring(box, call)
    before = spoil(box)
    box.process()
    there = box.claims.claim(REQUEST_ID)
    acts = list(box.systemd.acts)
    box.directory.requests[REQUEST_ID] = before  # type: ignore[assignment]
    for _ in range(3):
        box.process()
    assert box.claims.claim(REQUEST_ID) == there
    assert box.systemd.acts == acts


@pytest.mark.parametrize("call", ["directory.add ipaTpiExecution", "systemd.run_job"])
def test_without_an_audit_trail_the_end_is_told_later(box: Box, call: str) -> None:
    bring(box, call)
    spoil(box)
    box.weather.fails["audit"] = DOWN["audit"]
    with pytest.raises(AuditError):
        box.process()
    assert box.claims.unfinished() == {REQUEST_ID}
    box.weather.calm()
    box.process()
    assert box.audit.events().count("refused") == 1
    assert box.claims.unfinished() == frozenset()


def test_a_journal_that_lost_our_execution_entry_runs_nothing(box: Box) -> None:
    """An intent without the entry that would tell the directory of it."""
    bring(box, "journal.intend")
    box.claims._change("DELETE FROM written WHERE role = 'execution'")
    with pytest.raises(DirectoryUnavailableError, match="does not show"):
        box.process()
    assert box.systemd.acts == []
    assert box.claims.claim(REQUEST_ID) == Claim("intent", box.claims.memory(REQUEST_ID).own_nonce)
