"""A worker: what it does about each kind of failure, and that nothing is retried without a pause (E17, E21)."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from executor_fakes import DOWN, Clock, FakeAudit, Weather

from ipa_tpi.errors import DirectoryRefusedError, DirectoryUnavailableError, RefusedError
from ipa_tpi.executor import troubles
from ipa_tpi.executor.schedule import Schedule
from ipa_tpi.executor.troubles import OUTAGE_SECONDS, REFUSED_SECONDS, Trouble, Troubles
from ipa_tpi.executor.worker import Worker

A, B = "a", "b"


class Scene:
    """A worker whose session does what a test says, and whose schedule stands on a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.audit = FakeAudit(Weather())
        self.schedule = Schedule(lambda: self.clock().timestamp())
        self.troubles = Troubles()
        self.opening: Exception | None = None
        self.answers: list[datetime | Exception | None] = []
        self.looked: list[str] = []
        self.opened = self.closed = 0
        self.rests: list[float] = []
        self.worker = Worker(self.open, self.schedule, self.audit, self.troubles, self.clock, self.rest)

    def open(self) -> "Scene":
        """Open a session."""
        if self.opening is not None:
            raise self.opening
        self.opened += 1
        return self

    def rest(self, seconds: float) -> None:
        """Rest, and have the executor stop."""
        self.rests.append(seconds)
        self.schedule.stop()

    def process(self, request_id: str) -> datetime | None:
        """Look at a request."""
        self.looked.append(request_id)
        answer = self.answers.pop(0)
        if not self.answers:
            self.schedule.stop()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Close a session."""
        self.closed += 1

    def work(self, *answers: datetime | Exception | None, wake: str = A) -> None:
        """Work until all answers are given."""
        self.answers = list(answers)
        self.schedule._stopped = False
        self.schedule.wake(wake)
        self.worker.run()

    def due(self) -> dict[str, float]:
        """Tell in how many seconds which request is looked at again."""
        now = self.clock().timestamp()
        return {name: round(at - now, 3) for name, at in self.schedule._due.items()}


@pytest.fixture
def scene() -> Scene:
    """A worker."""
    return Scene()


def test_what_needs_nothing_more_is_left_alone(scene: Scene) -> None:
    scene.work(None)
    assert (scene.looked, scene.due(), scene.audit.records) == ([A], {}, [])
    assert (scene.opened, scene.closed) == (1, 1)


def test_what_has_a_time_comes_then(scene: Scene) -> None:
    scene.work(scene.clock() + timedelta(seconds=12))
    assert scene.due() == {A: 12.0}


def test_one_session_serves_many(scene: Scene) -> None:
    scene.schedule.wake(B)
    scene.work(None, None)
    assert (sorted(scene.looked), scene.opened, scene.closed) == ([A, B], 1, 1)


def test_nobody_comes(scene: Scene) -> None:
    scene.schedule.stop()
    scene.worker.run()
    assert (scene.opened, scene.closed) == (0, 0)


def test_an_outage_is_tried_again_soon_on_a_new_connection(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    pauses = []
    for _ in range(len(OUTAGE_SECONDS) + 2):
        scene.work(DOWN["directory"])
        pauses.append(scene.due()[A])
        scene.clock.go(pauses[-1] + 1)
    assert pauses == [*OUTAGE_SECONDS, OUTAGE_SECONDS[-1], OUTAGE_SECONDS[-1]]
    assert scene.opened == scene.closed == len(pauses)
    assert scene.audit.records == []
    assert "next try in 5.0 s" in caplog.text
    scene.work(None)
    scene.work(DOWN["directory"])
    assert scene.due() == {A: OUTAGE_SECONDS[0]}


@pytest.mark.parametrize("error", [DOWN["directory"], ZeroDivisionError()], ids=["outage", "unforeseen"])
def test_after_such_a_failure_the_next_request_gets_a_new_connection(scene: Scene, error: Exception) -> None:
    scene.schedule.wake(B)
    scene.work(error, None)
    assert (scene.opened, scene.closed) == (2, 2)


def test_a_refusal_is_audited_and_tried_again_ever_more_seldom(scene: Scene) -> None:
    """Bounded: a request that is refused again and again costs a try and a record in ten minutes."""
    pauses = []
    for _ in range(len(REFUSED_SECONDS) + 2):
        scene.work(DirectoryRefusedError("the directory refused to add"))
        pauses.append(scene.due()[A])
        scene.clock.go(pauses[-1] + 1)
    assert pauses == [*REFUSED_SECONDS, 600.0, 600.0]
    assert scene.audit.records == [
        {
            "event": "not-run",
            "request": A,
            "code": "directory-refused",
            "message": "the directory refused to add",
        }
    ] * len(pauses)


def test_a_refusal_keeps_the_session(scene: Scene) -> None:
    scene.schedule.wake(B)
    scene.work(RefusedError("no"), None)
    assert (scene.opened, scene.closed) == (1, 1)


def test_who_wakes_a_refused_request_gets_a_try_but_no_second_record(scene: Scene) -> None:
    scene.work(RefusedError("no"))
    for _ in range(5):
        scene.work(RefusedError("no"))
        assert scene.due() == {A: REFUSED_SECONDS[0]}
    assert scene.audit.events() == ["not-run"]
    scene.work(RefusedError("no", code="forged-entry"))
    assert [record["code"] for record in scene.audit.records] == ["refused", "forged-entry"]


def test_the_search_does_not_wake_what_is_on_hold(scene: Scene) -> None:
    scene.work(RefusedError("no"))
    scene.schedule.remind(A)
    assert scene.schedule.depth() == 0
    scene.schedule.wake(A)
    assert scene.schedule.depth() == 1


def test_what_was_not_foreseen_denies_and_is_seen(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.work(ZeroDivisionError("secret"))
    assert scene.due() == {A: REFUSED_SECONDS[0]}
    (record,) = scene.audit.records
    assert (record["event"], record["request"], record["code"]) == ("not-run", A, "error")
    assert "secret" not in str(record)
    assert "ZeroDivisionError" in caplog.text
    assert (scene.opened, scene.closed) == (1, 1)
    scene.work(ZeroDivisionError("secret"))
    assert len(scene.audit.records) == 1


def test_a_denial_that_cannot_be_audited_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.audit.weather.fails["audit"] = DOWN["audit"]
    scene.work(RefusedError("no"))
    assert "the audit failed" in caplog.text
    assert scene.due() == {A: REFUSED_SECONDS[0]}


@pytest.mark.parametrize(
    ("error", "rest", "events"),
    [
        (DOWN["directory"], OUTAGE_SECONDS[0], []),
        (DirectoryRefusedError("locked"), OUTAGE_SECONDS[-1], ["not-run"]),
        (ZeroDivisionError(), OUTAGE_SECONDS[-1], ["not-run"]),
    ],
    ids=["outage", "refusal", "unforeseen"],
)
def test_without_a_connection_no_request_is_taken_until_a_pause_is_over(
    scene: Scene, error: Exception, rest: float, events: list[str]
) -> None:
    """E17: an outage costs one attempt a pause, however many requests wait; none of them is lost."""
    scene.opening = error
    scene.schedule.wake(B)
    scene.work()
    assert scene.rests == [rest]
    assert scene.looked == []
    assert (scene.schedule.depth(), scene.schedule.busy()) == (2, frozenset())
    assert scene.audit.events() == events
    scene.opening = None
    scene.work(None, None)
    assert sorted(scene.looked) == [A, B]


def test_the_pauses_without_a_connection_grow_and_start_anew(scene: Scene) -> None:
    scene.opening = DOWN["directory"]
    for _ in range(3):
        scene.work()
        scene.clock.go(10)
    scene.opening = None
    scene.work(None)
    scene.opening = DOWN["directory"]
    scene.work()
    assert scene.rests == [*OUTAGE_SECONDS[:3], OUTAGE_SECONDS[0]]


@pytest.mark.parametrize("answer", [None, DirectoryUnavailableError("away"), RefusedError("no")], ids=repr)
def test_a_request_is_always_given_back(scene: Scene, answer: Exception | None) -> None:
    scene.work(answer)
    assert scene.schedule.busy() == frozenset()


def test_troubles_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch, scene: Scene) -> None:
    monkeypatch.setattr(troubles, "_MOST", 3)
    meet: Callable[[str], Trouble] = lambda name: scene.troubles.meet(name, "x", (1.0, 2.0), scene.clock())  # noqa: E731
    for number in range(10):
        assert meet(str(number)) == Trouble(1.0, is_news=True)
    assert len(scene.troubles._last) <= 3
