"""Retention: requests whose end is long past leave the directory whole, journalled before (K17, X12)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from decide_builders import EXECUTOR, OLD, REQUEST_ID, T0, an_id, person
from executor_fakes import DOWN, Box, CrashError, FakeDirectory, FakeStop

from ipa_tpi.config import SHORTEST_RETENTION_DAYS
from ipa_tpi.decide.definition import LONGEST_LIFE
from ipa_tpi.errors import AuditError, DirectoryLimitError, JournalError, TpiError
from ipa_tpi.executor import retention
from ipa_tpi.executor.claims import Claim
from ipa_tpi.executor.journal import reading
from ipa_tpi.executor.removals import Removal, Removals, content
from ipa_tpi.executor.retention import PER_ROUND, ROUND_SECONDS, Retention, Rule
from ipa_tpi.executor.schedule import Schedule
from ipa_tpi.executor.watch import Watch
from ipa_tpi.model import Outcome
from ipa_tpi.ports import Heading, NewEntry, Query

DAYS = 400
RECENT = an_id(0xFFFFFF)
PRUNED = ("first_seen", "identities", "receipts", "judged", "written", "previews", "enrolments")


class Scene:
    """A host whose executor may remove requests."""

    def __init__(self, folder: Path) -> None:
        self.box = Box(folder)
        self.box.directory.may_remove = True
        self.schedule = Schedule()
        self.stop = FakeStop(1)

    def retention(self) -> Retention:
        """Make the part of the executor that is tested here."""
        box = self.box
        return Retention(
            lambda: box.directory,
            box.claims,
            self.schedule,
            box.audit,
            Rule(EXECUTOR, DAYS),
            box.clock,
            stop=self.stop,
        )

    def round(self, rounds: int = 1, *, recent: bool = True) -> None:
        """Let it do what it does when it starts, and then so many times more; somebody else has asked lately."""
        if recent:
            self.box.directory.ask(request_id=RECENT)
        self.stop.left = rounds
        try:
            self.retention().run()
        finally:
            self.box.directory.requests.pop(RECENT, None)

    def executed(self, request_id: str = REQUEST_ID) -> None:
        """Alice asks, bob approves, it runs."""
        self.box.ask(request_id=request_id)
        self.box.process(request_id)
        self.box.clock.go(10)
        self.box.approve(request_id=request_id)
        self.box.settle(request_id)
        assert self.box.outcomes(request_id) == ["executed"]

    def later(self, days: float = DAYS + 1) -> None:
        """Let time pass."""
        self.box.clock.go(days * 86400)

    def rows(self, columns: str = "request, outcome, removed_at IS NOT NULL") -> list[tuple[object, ...]]:
        """Read the journal's removals."""
        return [tuple(row) for row in self.box.claims.rows(f"SELECT {columns} FROM removals ORDER BY number")]  # noqa: S608

    def left(self, table: str, request_id: str = REQUEST_ID) -> int:
        """Count what a table of the journal holds of a request."""
        found = self.box.claims.rows(f"SELECT count(*) FROM {table} WHERE request = ?", request_id)  # noqa: S608
        return int(found[0][0])

    def sweep(self) -> list[str]:
        """Let the executor search; give what it would look at."""
        schedule = Schedule()
        watch = Watch(
            lambda: self.box.directory,
            schedule,
            self.box.claims,
            EXECUTOR,
            7,
            self.box.clock,
            stop=FakeStop(1),
        )
        watch.poll()
        return list(schedule._ready)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A host."""
    made = Scene(tmp_path)
    yield made
    made.box.close()


def test_the_shortest_time_is_well_beyond_all_that_can_still_happen() -> None:
    assert timedelta(days=SHORTEST_RETENTION_DAYS) >= LONGEST_LIFE + timedelta(days=30)


def test_what_has_ended_long_ago_goes_whole(scene: Scene) -> None:
    scene.executed()
    with scene.box.claims.transaction() as database:
        row = (REQUEST_ID, "csr", "profile", "ipa", "alice@TPI.TEST", "executor", "2026-01-01T00:00:00+00:00")
        database.execute("INSERT INTO enrolments VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    there = scene.box.directory.whole(REQUEST_ID)
    scene.later()
    scene.round()
    assert scene.box.directory.requests == {}
    assert scene.box.directory.children == {REQUEST_ID: {}}
    assert scene.rows() == [(REQUEST_ID, "executed", 1)]
    ((number, told),) = scene.rows("entries, content")
    assert (number, told) == (len(there), content(there))
    assert [left for left in PRUNED if scene.left(left)] == []
    assert scene.left("claims") == 1


def test_it_goes_from_below_and_the_result_last_of_what_lies_there(scene: Scene) -> None:
    scene.executed()
    (result,) = scene.box.directory.of("ipaTpiResult")
    for number in (0, 0xFFFFFFFF):  # first and last by name
        scene.box.directory.put(person("bob").dn, REQUEST_ID, NewEntry(an_id(number), "ipaTpiProof", {}))
    scene.later()
    scene.round()
    *first, last_but_one, last = scene.box.directory.removed
    assert last_but_one == result.dn
    assert last.startswith("ipatpirequestid=")
    assert len(first) > 3
    assert all(one.startswith("ipatpientryid=") for one in first)


def test_what_goes_is_told_before_anything_is_deleted(scene: Scene) -> None:
    scene.executed()
    asked = scene.box.directory.requests[REQUEST_ID]
    scene.later()
    scene.box.weather.calls.clear()
    scene.round()
    calls = scene.box.weather.calls
    assert calls.index("audit.removal") < calls.index("directory.remove") < calls.index("audit.removed")
    record = next(one for one in scene.box.audit.records if one["event"] == "removal")
    assert record == {
        "event": "removal",
        "request": REQUEST_ID,
        "operation": "dirsrv.restart",
        "target": "ipa1.tpi.test",
        "requester": person("alice").dn,
        "created": asked.created.isoformat(),
        "digest": asked.attributes["ipatpidigest"][0].decode(),
        "outcome": "executed",
        "voices": f"approval {person('bob').dn}",
        "entries": record["entries"],
        "content": record["content"],
    }
    assert scene.rows("request, operation, requester, voices") == [
        (REQUEST_ID, "dirsrv.restart", person("alice").dn, f"approval {person('bob').dn}")
    ]


def test_to_the_second_what_is_so_old_stays(scene: Scene) -> None:
    scene.box.ask()
    scene.box.claims.end(REQUEST_ID, _ended(), OLD)
    scene.box.claims.publish(REQUEST_ID)
    scene.later(DAYS)
    scene.round()
    assert scene.rows() == []
    scene.box.clock.go(1)
    scene.round()
    assert scene.rows() == [(REQUEST_ID, "denied", 1)]


@pytest.mark.parametrize("days", [0, 57, DAYS - 1])
def test_what_is_younger_stays(scene: Scene, days: int) -> None:
    scene.executed()
    scene.later(days)
    scene.round()
    assert scene.box.outcomes() == ["executed"]
    assert scene.rows() == []
    assert scene.left("first_seen") > 0


def test_a_stamp_that_lies_does_not_make_it_old(scene: Scene) -> None:
    """The directory says that it is ancient; our journal knows that it ended just now."""
    scene.executed()
    top = scene.box.directory.requests[REQUEST_ID]
    scene.box.directory.requests[REQUEST_ID] = replace(top, created=OLD)
    scene.later(1)
    scene.round()
    assert scene.box.outcomes() == ["executed"]
    assert scene.rows() == []


def test_what_another_executor_is_named_by_stays(scene: Scene) -> None:
    scene.executed()
    top = scene.box.directory.requests[REQUEST_ID]
    other = {**top.attributes, "ipatpiexecutor": [b"krbprincipalname=tpi/other,cn=services"]}
    scene.box.directory.requests[REQUEST_ID] = replace(top, attributes=other)
    scene.later()
    scene.round()
    assert scene.rows() == []


def test_what_has_not_ended_is_ended_first_and_goes_long_after(scene: Scene) -> None:
    scene.box.ask()
    scene.later()
    scene.round()
    assert list(scene.schedule._ready) == [REQUEST_ID]
    scene.box.settle()
    assert scene.box.outcomes() == ["expired"]
    scene.round()
    assert scene.rows() == []
    scene.later()
    scene.round()
    assert scene.rows() == [(REQUEST_ID, "expired", 1)]


@pytest.mark.parametrize("state", ["intent", "claimed", "unpublished"])
def test_what_is_on_its_way_stays(scene: Scene, state: str) -> None:
    claims, now = scene.box.claims, scene.box.clock()
    scene.box.ask()
    claims.intend(REQUEST_ID, "n", now, NewEntry(an_id(9), "ipaTpiExecution", {}))
    if state != "intent":
        claims.take(REQUEST_ID, "n", now)
    if state == "unpublished":
        claims.end(REQUEST_ID, replace(_ended(), code="x"), now)
    scene.later()
    scene.round()
    assert scene.rows() == []
    assert list(scene.schedule._ready) == []
    assert REQUEST_ID in scene.box.directory.requests


def test_a_malformed_request_goes_too(scene: Scene) -> None:
    scene.box.directory.ask(entry={"ipatpidigest": [b"none", b"two"]})
    scene.box.process()
    scene.later()
    scene.round()
    assert scene.box.directory.requests == {}
    assert scene.rows("outcome, digest") == [("denied", "none two")]


def test_an_executor_that_may_not_delete_removes_nothing_and_says_so_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.box.directory.may_remove = False
    scene.executed()
    scene.later()
    with caplog.at_level(logging.INFO):
        scene.round(3)
    assert scene.rows() == []
    assert scene.left("first_seen") > 0
    assert caplog.text.count("not in cn=policy-executors") == 1
    assert caplog.text.count("retention: ") == 1
    assert scene.stop.rests == [ROUND_SECONDS] * 3


@pytest.mark.parametrize(("days", "goes"), [(0.5, True), (29, True), (31, False)])
def test_a_clock_that_has_jumped_ahead_removes_nothing(
    scene: Scene, days: float, goes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """By the directory's stamps nobody has asked for anything since."""
    scene.executed()
    scene.later()
    scene.box.ask(request_id=an_id(7))
    scene.box.process(an_id(7))
    scene.later(days)
    scene.round(2, recent=False)
    assert len(scene.rows()) == goes
    assert caplog.text.count("or when the clock is right") == (not goes)


def test_more_than_can_be_listed_are_recent_enough(scene: Scene) -> None:
    scene.executed()
    scene.later()
    listed = scene.box.directory.headings

    def headings(query: Query) -> Sequence[Heading]:
        if query.until is None:
            raise DirectoryLimitError("too many")
        return listed(query)

    scene.box.directory.headings = headings  # type: ignore[method-assign]
    scene.round(recent=False)
    assert len(scene.rows()) == 1


def test_so_many_go_in_a_round_and_no_more(scene: Scene) -> None:
    for number in range(PER_ROUND + 3):
        scene.box.directory.ask(request_id=an_id(number))
        scene.box.claims.end(an_id(number), _ended(), scene.box.clock())
        scene.box.claims.publish(an_id(number))
    for number in range(100, 100 + PER_ROUND + 3):
        scene.box.directory.ask(request_id=an_id(number))
    scene.later()
    scene.round()
    assert len(scene.rows()) == PER_ROUND
    assert len(scene.schedule._ready) <= PER_ROUND
    scene.round()
    assert len(scene.rows()) == PER_ROUND + 3
    assert len(scene.schedule._ready) == PER_ROUND


def test_it_ends_between_two_requests(scene: Scene) -> None:
    for number in range(3):
        scene.box.directory.ask(request_id=an_id(number))
        scene.box.claims.end(an_id(number), _ended(), scene.box.clock())
        scene.box.claims.publish(an_id(number))
    scene.later()
    scene.box.weather.then["audit.removed"] = lambda: setattr(scene.stop, "left", 0)
    scene.round()
    assert len(scene.rows()) == 1
    assert scene.box.directory.closed == 1


# --- a round that is cut short ----------------------------------------------------


def test_a_crash_anywhere_leaves_nothing_half_done(tmp_path: Path) -> None:
    """At whichever call the power fails: after the next start the whole request is gone, and nothing is said twice."""
    for number in range(1, 60):
        folder = tmp_path / str(number)
        folder.mkdir()
        again = Scene(folder)
        again.executed()
        again.later()
        again.box.weather.crash_before = len(again.box.weather.calls) + number
        try:
            again.round()
        except CrashError:
            ended = False
        else:
            ended = True
        again.box.weather.calm()
        again.box.reboot()
        assert again.sweep() == []
        assert again.box.process() is None  # whoever wakes us meanwhile
        again.round()
        assert again.box.directory.requests == {}
        assert again.box.directory.children == {REQUEST_ID: {}}
        assert again.rows() == [(REQUEST_ID, "executed", 1)]
        assert again.box.systemd.acts == ["dirsrv@DS01.service"]
        assert "republished" not in again.box.audit.events()
        again.box.close()
        if ended:
            assert number > 10
            return
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize(
    ("call", "error"), [("directory.remove", DOWN["directory"]), ("audit.removal", DOWN["audit"])]
)
def test_as_long_as_one_cannot_be_ended_none_is_begun(
    scene: Scene, call: str, error: TpiError, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        scene.executed(an_id(number))
        scene.box.systemd.acts.clear()
    scene.later()
    scene.box.weather.fails[call] = error
    scene.round(4)
    assert [removed for _, _, removed in scene.rows()] == [0]
    assert len(scene.box.directory.requests) == 3
    assert caplog.text.count(f"next try in {ROUND_SECONDS} s") == 4
    scene.box.weather.calm()
    scene.round()
    assert [removed for _, _, removed in scene.rows()] == [1, 1, 1]
    assert scene.box.directory.requests == {}


def test_what_nobody_foresaw_does_not_end_the_executor(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.executed()
    scene.later()
    scene.box.weather.fails["directory.whole"] = ZeroDivisionError()  # type: ignore[assignment]
    scene.round(2)
    assert caplog.text.count("an error that should not be") == 2
    assert scene.box.directory.closed == 2


def test_what_cannot_be_journalled_is_not_deleted(scene: Scene) -> None:
    scene.executed()
    scene.later()
    scene.box.claims.rows("PRAGMA query_only = ON")
    scene.round()
    scene.box.claims.rows("PRAGMA query_only = OFF")
    assert scene.box.outcomes() == ["executed"]
    assert scene.rows() == []
    assert "removal" not in scene.box.audit.events()


def test_what_is_gone_by_then_is_no_removal(scene: Scene) -> None:
    scene.executed()
    scene.later()

    def clear() -> None:  # at the second listing
        scene.box.weather.then["directory.headings"] = scene.box.directory.requests.clear

    scene.box.weather.then["directory.headings"] = clear
    scene.round()
    assert scene.rows() == []


# --- what comes back -------------------------------------------------------------


def test_what_a_restored_directory_brings_back_goes_again_and_never_runs(scene: Scene) -> None:
    """The backup is from before it ran: an approval lies there, and no result."""
    box = scene.box
    box.ask()
    box.process()
    box.clock.go(10)
    box.approve()
    backup = box.directory.snapshot()
    box.settle()
    assert box.outcomes() == ["executed"]
    scene.later()
    scene.round()
    box.directory.restore(backup)
    before = len(box.audit.records)
    assert scene.sweep() == []
    assert box.process() is None
    assert box.process() is None
    assert box.outcomes() == []
    assert box.systemd.acts == ["dirsrv@DS01.service"]
    assert box.audit.records[before:] == []
    scene.round()
    assert box.directory.requests == {}
    assert scene.rows() == [(REQUEST_ID, "executed", 1)] * 2


def test_what_a_restored_directory_brings_back_young_is_not_republished(scene: Scene) -> None:
    """Its stamp lies, so that the search finds it."""
    box = scene.box
    scene.executed()
    backup = box.directory.snapshot()
    scene.later()
    scene.round()
    box.directory.restore(backup)
    box.directory.requests[REQUEST_ID] = replace(box.directory.requests[REQUEST_ID], created=box.clock())
    box.directory.children[REQUEST_ID] = {}
    assert scene.sweep() == []
    assert box.process() is None
    assert box.outcomes() == []
    assert "republished" not in box.audit.events()


def test_another_request_under_the_same_id_is_left_alone(scene: Scene) -> None:
    """Made while the end of the removal was not journalled yet; the claim keeps it from running."""
    scene.executed()
    scene.later()
    scene.box.weather.fails["audit.removed"] = AuditError("the disk is full")
    scene.round()
    assert scene.rows() == [(REQUEST_ID, "executed", 0)]
    scene.box.weather.calm()
    scene.box.ask()
    scene.round()
    assert scene.rows() == [(REQUEST_ID, "executed", 1)]
    assert REQUEST_ID in scene.box.directory.requests
    assert scene.box.process() is None
    assert scene.box.systemd.acts == ["dirsrv@DS01.service"]


def test_a_removal_is_begun_once(scene: Scene) -> None:
    removal = Removal(REQUEST_ID, "dirsrv.restart", "", "", "", "", "executed", "", 1, "")
    removals = Removals(scene.box.claims)
    removals.begin(removal, T0)
    with pytest.raises(JournalError):
        removals.begin(removal, T0)
    assert removals.begun() == [removal]
    removals.end(REQUEST_ID, T0)
    assert removals.begun() == []
    removals.begin(removal, T0)


# --- what would go ---------------------------------------------------------------


def test_it_can_be_told_before_it_is_done(scene: Scene) -> None:
    """While the daemon holds the journal; what a hostile writer put into the name stays on its line."""
    scene.executed(an_id(1))
    scene.box.ask(request_id=an_id(2), entry={"ipatpioperationname": [b"x.y\x1b[2J\nz"]})
    scene.later()
    scene.executed(an_id(3))
    scene.box.directory.may_remove = False
    rule, now, before = Rule(EXECUTOR, DAYS), scene.box.clock(), scene.box.directory.snapshot()
    with reading(scene.box.path) as rows:
        first, second, *sums = list(retention.foresee(lambda: scene.box.directory, rows, rule, now))
    assert first == f"{an_id(1)}  2026-03-01 12:00:00 UTC  executed       dirsrv.restart\n"
    assert second.startswith(an_id(2))
    assert second.endswith(" UTC  not ended      x.y\\x1b[2J\\nz\n")
    assert sums == [
        "this executor is not in cn=policy-executors, so nothing is removed here\n",
        f"to be removed: 1; to be ended first: 1; kept for {DAYS} days\n",
    ]
    assert scene.box.directory.snapshot() == before
    assert scene.box.directory.closed == 1
    scene.box.directory.may_remove = True
    with reading(scene.box.path) as rows:
        told = list(retention.foresee(lambda: scene.box.directory, rows, rule, now))
    assert told == [first, second, sums[-1]]


def test_a_journal_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError), reading(str(tmp_path / "none")):
        pass


# --- the digest ------------------------------------------------------------------


def test_the_digest_is_over_all_that_lies_there_in_any_order(scene: Scene) -> None:
    scene.executed()
    entries = FakeDirectory.whole(scene.box.directory, REQUEST_ID)
    whole = content(entries)
    assert content(list(reversed(entries))) == whole
    assert content(entries[:-1]) != whole
    other = replace(entries[-1], attributes={**entries[-1].attributes, "ipatpientryid": [b"x"]})
    assert content([*entries[:-1], other]) != whole
    stamped = replace(entries[-1], attributes={**entries[-1].attributes, "entryid": [b"7"]})
    assert content([*entries[:-1], stamped]) == whole


def _ended() -> Claim:
    return Claim("ended", "", Outcome.DENIED, "no-rule", "no", None)
