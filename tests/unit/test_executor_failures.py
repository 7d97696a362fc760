"""Outages and crashes at every step: nothing runs twice, nothing that was approved is lost (K13, E17, X12)."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from decide_builders import BOB, EXECUTOR, REQUEST_ID, an_id
from executor_fakes import DOWN, Box, CrashError

from ipa_tpi.errors import RefusedError, UnavailableError
from ipa_tpi.model import Outcome
from ipa_tpi.ports import NewEntry

READS = (
    "directory.load",
    "directory.policy",
    "directory.account",
    "directory.host",
    "directory.ids",
    "directory.raw",
    "systemd.unit_state",
    "journal.claim",
    "journal.memory",
    "journal.judged",
    "journal.knows_token",
    "journal.pending_writes",
    "journal.precondition",
)


@contextmanager
def a_box() -> Iterator[Box]:
    """Give a host whose journal lies in memory, so that syncing it costs nothing."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        box = Box(Path(folder))
        try:
            yield box
        finally:
            box.close()


def live(box: Box, most: int = 12) -> None:
    """Let a request live its life, with an executor that is started again after every crash."""
    for _ in range(most):
        try:
            box.process()
        except CrashError:
            box.reboot()
        except UnavailableError:
            box.weather.calm()
        if box.directory.of("ipaTpiPreview") and not box.directory.of("ipaTpiApproval"):
            box.clock.go(10)
            box.approve()
        claim = box.claims.claim(REQUEST_ID)
        if claim is not None and claim.published:
            return


def calls_of_a_life() -> list[str]:
    """Give every call to the outside and to the journal in an undisturbed life."""
    with a_box() as box:
        box.ask()
        live(box)
        assert box.outcomes() == ["executed"]
        return list(box.weather.calls)


@dataclass(frozen=True)
class Moment:
    """A call of the undisturbed life, by its number from 1."""

    number: int
    name: str

    def __str__(self) -> str:
        """Name a test."""
        return f"{self.number}-{self.name}"


CALLS = calls_of_a_life()
MOMENTS = [Moment(number, name) for number, name in enumerate(CALLS, start=1)]
CLAIMED = CALLS.index("journal.take") + 1
ACTED = CALLS.index("systemd.run_job") + 1
ENDED = CALLS.index("journal.end") + 1
WRITES = [moment for moment in MOMENTS if not moment.name.startswith(READS)]


def test_the_life_has_all_its_steps() -> None:
    assert CLAIMED < ACTED < ENDED < len(CALLS)
    steps = (
        "proof.accept",
        "journal.receive",
        "journal.show",
        "journal.intend",
        "journal.take",
        "journal.end",
        "journal.publish",
    )
    positions = [CALLS.index(step) for step in steps]
    assert positions == sorted(positions)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", WRITES, ids=str)
def test_a_crash_around_each_write(moment: Moment, after: bool) -> None:
    with a_box() as box:
        box.ask()
        if after:
            box.weather.crash_after = moment.number
        else:
            box.weather.crash_before = moment.number
        live(box)
        done = moment.number if after else moment.number - 1
        lost = CLAIMED <= done < ENDED
        acted = done >= ACTED or not lost
        assert box.outcomes() == ["indeterminate" if lost else "executed"]
        assert len(box.systemd.acts) == (1 if acted else 0)
        assert len(box.directory.of("ipaTpiPreview")) == 1
        assert len(box.directory.of("ipaTpiExecution")) == 1
        claim = box.claims.claim(REQUEST_ID)
        assert claim is not None
        assert (claim.state, claim.published) == ("ended", True)
        assert {"request-seen", "proof-verified", "preview", "intent", "claim", "outcome"} >= set(
            box.audit.events()
        )
        assert box.audit.events()[-1] == "outcome"
        box.reboot()
        box.process()
        assert len(box.systemd.acts) <= 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", [each for each in WRITES if each.number < CLAIMED], ids=str)
def test_a_crash_loses_no_receipt(moment: Moment, after: bool) -> None:
    """DESIGN section 2: a receipt is journalled, then added; the web service counts an approval by it."""
    with a_box() as box:
        box.ask()
        if after:
            box.weather.crash_after = moment.number
        else:
            box.weather.crash_before = moment.number
        live(box)
        proofs = {raw.attributes["ipatpientryid"][0] for raw in box.directory.of("ipaTpiProof")}
        receipts = [raw.attributes["ipatpirefersto"][0] for raw in box.directory.of("ipaTpiReceipt")]
        assert sorted(receipts) == sorted(proofs)


def look_and_approve(box: Box) -> None:
    """Let the executor look, bob approve, and the executor look again."""
    box.process()
    box.clock.go(10)
    box.approve()
    box.process()


@pytest.mark.parametrize("moment", [each for each in MOMENTS if each.number <= CLAIMED], ids=str)
def test_an_outage_before_the_claim_is_no_refusal(moment: Moment) -> None:
    """From this call on everything of its kind fails; then it is back, and the request goes on."""
    port = moment.name.partition(".")[0]
    with a_box() as box:
        box.ask()
        box.weather.crash_before = moment.number
        with pytest.raises(CrashError):
            look_and_approve(box)
        box.reboot()
        box.weather.calm()
        box.weather.fails[port + "."] = DOWN[port]
        for _ in range(3):
            try:
                box.process()
            except UnavailableError as error:
                assert error is DOWN[port]  # noqa: PT017 (that it is raised is not demanded at every step)
        assert box.systemd.acts == []
        assert box.outcomes() == []
        box.weather.calm()
        live(box)
        assert box.outcomes() == ["executed"]
        assert len(box.systemd.acts) == 1


@pytest.mark.parametrize("port", sorted(DOWN))
def test_an_outage_until_the_window_has_ended_expires_the_request(port: str) -> None:
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        box.weather.fails[port + "."] = DOWN[port]
        if port != "proof":
            with pytest.raises(UnavailableError):
                box.process()
        box.clock.go(400)
        box.weather.calm()
        live(box)
        assert box.systemd.acts == []
        assert box.outcomes() == ["expired"]


@pytest.mark.parametrize("port", ["directory", "systemd", "audit", "journal"])
def test_an_outage_after_the_intent_until_the_window_has_ended(port: str) -> None:
    """DESIGN section 2: the step is retried until the execution window ends."""
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        box.weather.then["journal.intend"] = lambda: box.weather.fails.update({port + ".": DOWN[port]})
        with pytest.raises(UnavailableError):
            box.process()
        claim = box.claims.claim(REQUEST_ID)
        assert claim is not None
        assert claim.state == "intent"
        box.clock.go(400)
        box.weather.calm()
        live(box)
        assert box.systemd.acts == []
        assert box.outcomes() == ["expired"]


@pytest.mark.parametrize("moment", [each for each in MOMENTS if each.number > CLAIMED], ids=str)
def test_an_outage_after_the_claim_never_acts_again(moment: Moment) -> None:
    port = moment.name.partition(".")[0]
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        seen = len(box.weather.calls)
        assert CALLS[:seen] == box.weather.calls
        box.weather.then[CALLS[moment.number - 2]] = lambda: None
        before = CALLS[moment.number - 2]
        count = CALLS[: moment.number - 1].count(before) - CALLS[:seen].count(before)
        _fail_after(box, before, count, port)
        for _ in range(3):
            try:
                box.process()
            except UnavailableError:
                continue
        assert len(box.systemd.acts) <= 1
        box.weather.calm()
        live(box)
        assert len(box.systemd.acts) <= 1
        (outcome,) = box.outcomes()
        assert outcome in {"executed", "indeterminate"} or (outcome == "failed" and box.systemd.acts == [])


def _fail_after(box: Box, name: str, count: int, port: str) -> None:
    """Let a port fail after the count-th call of this name."""

    def again() -> None:
        nonlocal count
        count -= 1
        if count > 0:
            box.weather.then[name] = again
        else:
            box.weather.fails[port + "."] = DOWN[port]

    box.weather.then[name] = again


@pytest.mark.parametrize(
    "event",
    [
        "audit.request-seen",
        "audit.proof-verified",
        "audit.preview",
        "audit.intent",
        "audit.claim",
        "audit.outcome",
    ],
)
def test_what_could_not_be_audited_is_audited_once_it_can(event: str) -> None:
    """A08: all attempts are in the audit trail; a record that failed is not left out."""
    with a_box() as box:
        box.ask()
        box.weather.fails[event] = DOWN["audit"]
        for _ in range(3):
            with suppress(UnavailableError):
                box.process()
            if box.directory.of("ipaTpiPreview") and not box.directory.of("ipaTpiApproval"):
                box.approve()
        assert event == "audit.outcome" or box.systemd.acts == []
        box.weather.calm()
        live(box)
        assert box.outcomes() == ["executed"]
        assert event.partition(".")[2] in box.audit.events()


def test_a_refused_proof_that_could_not_be_audited_is_judged_again() -> None:
    with a_box() as box:
        asked = box.ask(proof=False)
        box.prove("alice", "request", asked.digest, mic=b"wrong")
        box.weather.fails["audit.proof-refused"] = DOWN["audit"]
        with pytest.raises(UnavailableError):
            box.process()
        assert box.directory.of("ipaTpiReceipt") == []
        box.weather.calm()
        box.process()
        assert "proof-refused" in box.audit.events()
        assert len(box.directory.of("ipaTpiReceipt")) == 1


# --- a directory that forgets (X12) -------------------------------------------------


def intent_then_crash(box: Box) -> object:
    """Crash right after the execution entry was added; give the backup from before it."""
    box.ask()
    box.process()
    box.clock.go(10)
    box.approve()
    backup = box.directory.snapshot()
    box.weather.then["directory.add ipaTpiExecution"] = _crash
    with pytest.raises(CrashError):
        box.process()
    return backup


def _crash() -> None:
    raise CrashError("right then")


def test_a_restored_directory_without_the_execution_entry_runs_nothing_without_it() -> None:
    """DESIGN section 2: on restart, 4 without 7: look for our nonce, add it if absent, go on at 6."""
    with a_box() as box:
        backup = intent_then_crash(box)
        box.directory.restore(backup)
        box.reboot()
        live(box)
        assert len(box.systemd.acts) == len(box.directory.of("ipaTpiExecution"))


def test_the_same_where_the_add_was_known_to_have_succeeded() -> None:
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        backup = box.directory.snapshot()
        box.weather.then["journal.added"] = lambda: box.weather.then.update({"journal.added": _crash})
        with pytest.raises(CrashError):
            box.process()
        assert len(box.directory.of("ipaTpiExecution")) == 1
        box.directory.restore(backup)
        box.reboot()
        box.weather.calm()
        live(box)
        assert len(box.systemd.acts) == len(box.directory.of("ipaTpiExecution"))


def test_a_restored_directory_brings_no_second_run() -> None:
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        backup = box.directory.snapshot()
        box.process()
        assert box.systemd.acts == ["dirsrv@DS01.service"]
        box.directory.restore(backup)
        box.reboot()
        for _ in range(3):
            box.process()
        assert len(box.systemd.acts) == 1


@pytest.mark.parametrize("name", ["ipaTpiDenial", "ipaTpiWithdrawal", "ipaTpiCancellation"])
def test_a_veto_that_was_seen_cannot_vanish(name: str) -> None:
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve(proof=False)
        backup = box.directory.snapshot()
        box.say("alice" if name == "ipaTpiCancellation" else "bob", name, box.about())
        box.weather.then["journal.see"] = _crash
        with pytest.raises(CrashError):
            box.process()
        box.directory.restore(backup)
        box.reboot()
        box.prove("bob", "approve", box.about())
        live(box)
        assert box.systemd.acts == []
        assert box.outcomes() == ["denied"]
        assert box.excerpt().startswith("seen-entry-missing")


def test_a_journal_that_forgot_refuses_what_is_older_than_itself() -> None:
    with a_box() as box, a_box() as fresh:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        fresh.directory.restore(box.directory.snapshot())
        fresh.claims._change("UPDATE meta SET value = ? WHERE name = 'created'", box.clock().isoformat())
        fresh.clock.now = box.clock.now
        fresh.process()
        assert fresh.systemd.acts == []
        assert fresh.outcomes() == ["denied"]
        assert fresh.excerpt().startswith("older-than-journal")


# --- entries under our names ----------------------------------------------------------


def test_an_add_that_succeeded_unseen_is_recognised() -> None:
    """The answer to the add was lost: the next try finds class, creator and content to be ours."""
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        box.weather.then["directory.add ipaTpiExecution"] = _lose_the_answer
        with pytest.raises(UnavailableError):
            box.process()
        live(box)
        assert box.outcomes() == ["executed"]
        assert len(box.directory.of("ipaTpiExecution")) == 1


def _lose_the_answer() -> None:
    raise DOWN["directory"]


def test_something_else_under_the_name_of_our_execution_runs_nothing_and_ends_it() -> None:
    """Whoever plants another entry under our id is forging; that is a refusal, and final."""
    with a_box() as box:
        box.ask()
        box.process()
        box.clock.go(10)
        box.approve()
        box.weather.then["journal.intend"] = _crash
        with pytest.raises(CrashError):
            box.process()
        box.reboot()
        (planned,) = box.claims.pending_writes(REQUEST_ID)
        forged = NewEntry(planned.entry_id, "ipaTpiExecution", {"ipaTpiNonce": [b"another"]})
        box.directory.put(EXECUTOR, REQUEST_ID, forged)
        for _ in range(3):
            try:
                box.process()
            except RefusedError as error:
                assert error.code == "forged-entry"  # noqa: PT017 (that it is raised is not demanded)
        assert box.systemd.acts == []
        claim = box.claims.claim(REQUEST_ID)
        assert claim is not None
        assert (claim.state, claim.outcome) == ("ended", Outcome.DENIED)


def test_a_request_that_vanished_between_two_reads_is_no_decision() -> None:
    with a_box() as box:
        box.ask()
        box.weather.then["directory.add ipaTpiPreview"] = box.directory.requests.clear
        with pytest.raises(UnavailableError, match="gone from the directory"):
            box.process()
        assert box.claims.claim(REQUEST_ID) is None


def test_a_request_that_was_begun_and_became_malformed_runs_nothing() -> None:
    with a_box() as box:
        intent_then_crash(box)
        box.reboot()
        box.directory.ask(request_id=REQUEST_ID, entry={"ipatpidigest": "x"})
        assert box.process() is None
        assert box.systemd.acts == []


def test_an_entry_of_another_request_is_not_counted() -> None:
    with a_box() as box:
        box.ask()
        box.process()
        box.ask(request_id=an_id(5))
        box.process(an_id(5))
        box.clock.go(10)
        box.approve(request_id=an_id(5))
        box.process()
        assert box.systemd.acts == []
        box.process(an_id(5))
        assert box.systemd.acts == ["dirsrv@DS01.service"]
        assert box.outcomes() == []
        assert BOB.dn in {raw.creator for raw in box.directory.of("ipaTpiApproval", an_id(5))}
