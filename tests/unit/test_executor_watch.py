"""What wakes the executor: the watch that comes back, and the search beside it (K13, E17)."""

import logging
import time
from pathlib import Path

import pytest
from decide_builders import EXECUTOR, REQUEST_ID, an_id
from executor_fakes import DOWN, Box, FakeDirectory, FakeStop

from ipa_tpi.errors import DirectoryRefusedError
from ipa_tpi.executor.claims import Claim
from ipa_tpi.executor.schedule import TOGETHER_SECONDS, Schedule
from ipa_tpi.executor.watch import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Watch
from ipa_tpi.model import Outcome


class Scene:
    """A host, and a watch that ends after so many rests."""

    def __init__(self, folder: Path) -> None:
        self.box = Box(folder)
        self.schedule = Schedule()
        self.connecting: Exception | None = None
        self.stop = FakeStop(1)

    def watch(self, rests: int = 1) -> Watch:
        """Make a watch."""
        self.stop.left = rests
        return Watch(
            self.connect, self.schedule, self.box.claims, EXECUTOR, 7, self.box.clock, stop=self.stop
        )

    def connect(self) -> FakeDirectory:
        """Connect."""
        if self.connecting is not None:
            raise self.connecting
        return self.box.directory

    def woken(self) -> list[str]:
        """Give what is to be looked at."""
        soon = time.monotonic() + TOGETHER_SECONDS
        return [*self.schedule._ready, *(one for one, at in self.schedule._due.items() if at <= soon)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A watch."""
    return Scene(tmp_path)


def near(seconds: float) -> object:
    """Give what equals a pause with its jitter of a fifth."""
    return pytest.approx(seconds, rel=0.21)


def test_what_is_added_is_looked_at(scene: Scene) -> None:
    scene.box.directory.seen = [an_id(1), an_id(2)]
    watch = scene.watch()
    watch.listen()
    assert scene.woken() == [an_id(1), an_id(2)]
    assert scene.stop.rests == [near(FIRST_PAUSE_SECONDS)]


def test_once_the_watch_stands_what_was_missed_is_looked_at_and_it_says_that_it_stands(scene: Scene) -> None:
    scene.box.ask()
    watch = scene.watch()
    stood: list[bool] = []
    scene.box.weather.then["directory.headings"] = lambda: stood.append(watch.is_connected())
    assert not watch.is_connected()
    watch.listen()
    assert scene.woken() == [REQUEST_ID]
    assert stood == [True]
    assert not watch.is_connected()  # since it was lost


def test_a_watch_that_is_told_to_end_ends_without_a_pause(scene: Scene) -> None:
    scene.box.weather.then["directory.headings"] = lambda: setattr(scene.stop, "left", 0)
    scene.watch().listen()
    assert scene.stop.rests == []
    assert scene.box.directory.closed == 2


@pytest.mark.parametrize("error", [DOWN["directory"], DirectoryRefusedError("locked"), ZeroDivisionError()])
def test_what_cannot_be_watched_is_tried_again_with_growing_pauses(
    scene: Scene, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an outage nor what nobody foresaw ends the watch for good."""
    scene.connecting = error
    scene.watch(rests=8).listen()
    assert scene.stop.rests == [near(pause) for pause in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0)]
    assert LONGEST_PAUSE_SECONDS == 10.0
    assert "next try in 10.0 s" in caplog.text


def test_a_watch_that_stood_begins_with_the_shortest_pause_again(scene: Scene) -> None:
    """A connection that is lost once a day is not answered with the longest pause at last."""
    scene.watch(rests=5).listen()
    assert scene.stop.rests == [near(FIRST_PAUSE_SECONDS)] * 5


def test_the_connection_is_closed_however_it_ends(scene: Scene) -> None:
    scene.box.weather.fails["directory.watch"] = DOWN["directory"]
    scene.watch(rests=3).listen()
    assert scene.box.directory.closed == 3


def test_a_flood_that_cannot_be_listed_does_not_cost_the_watch(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.box.directory.seen = [an_id(1)]
    scene.box.weather.fails["directory.headings"] = DOWN["directory"]
    scene.watch().listen()
    assert scene.woken() == [an_id(1)]
    assert "what is new is still seen" in caplog.text


def test_the_search_finds_what_is_open_and_leaves_what_has_ended(scene: Scene) -> None:
    for number in range(4):
        scene.box.ask(request_id=an_id(number))
    for number, publish in ((0, True), (1, False)):
        ended = Claim("ended", "", Outcome.DENIED, "no-rule", "no")
        scene.box.claims.end(an_id(number), ended, scene.box.clock())
        if publish:
            scene.box.claims.publish(an_id(number))
    scene.watch(rests=2).poll()
    # What is promised or ended and not published comes first, wherever the directory lists it.
    assert scene.woken()[0] == an_id(1)
    assert set(scene.woken()) == {an_id(1), an_id(2), an_id(3)}
    assert scene.stop.rests == [near(7), near(7)]
    assert scene.box.directory.closed == 2


def test_the_search_asks_for_new_ones_first_and_for_all_that_can_be_open(scene: Scene) -> None:
    scene.box.ask(request_id=an_id(1))
    scene.box.clock.go(3600)
    scene.box.ask(request_id=an_id(2))
    scene.watch().poll()
    assert set(scene.woken()) == {an_id(2), an_id(1)}
    # What is as old as any window can be is still found, and what is older than that and a day is not.
    both = {an_id(1), an_id(2)}
    for days, there in ((14, both), (42, both), (23.5 / 24, {an_id(2)}), (1 / 24, set())):
        scene.box.clock.go(days * 86400)
        scene.schedule = Schedule()
        scene.watch().poll()
        assert set(scene.woken()) == there


def test_what_has_not_changed_since_the_last_search_is_left_alone(scene: Scene) -> None:
    scene.box.ask()
    looks = []

    def looked() -> None:
        looks.append(scene.woken())
        scene.schedule._ready.clear()
        if len(looks) == 2:
            scene.box.say("alice", "ipaTpiCancellation", bytes(32))

    scene.stop.then = looked
    scene.watch(rests=4).poll()
    assert looks == [[REQUEST_ID], [], [REQUEST_ID], []]


@pytest.mark.parametrize("promised", [False, True])
def test_what_is_on_hold_is_not_looked_at_by_the_search(scene: Scene, promised: bool) -> None:
    scene.box.ask()
    if promised:
        scene.box.claims.end(REQUEST_ID, Claim("ended", "", Outcome.DENIED, "no-rule"), scene.box.clock())
    scene.schedule.hold(REQUEST_ID, 600)
    scene.watch().poll()
    assert scene.woken() == []


def test_a_search_that_fails_comes_again_and_then_at_its_usual_pace(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    scene.box.weather.fails["directory.headings"] = DOWN["directory"]
    scene.stop.then = lambda: scene.box.weather.fails.clear() if len(scene.stop.rests) == 2 else None
    scene.watch(rests=4).poll()
    assert scene.stop.rests == [near(0.2), near(0.4), near(7), near(7)]
    assert "poll: the directory does not answer" in caplog.text


def test_the_search_finds_a_result_that_the_directory_has_lost(scene: Scene) -> None:
    """R-X12: of what had ended, that alone."""
    for number in range(2):
        scene.box.ask(request_id=an_id(number))
        scene.box.say("bob", "ipaTpiDenial", bytes(32), an_id(number))
        scene.box.process(an_id(number))
        assert scene.box.outcomes(an_id(number)) == ["denied"]
    scene.watch().poll()
    assert scene.woken() == []
    (result,) = scene.box.directory.of("ipaTpiResult", an_id(1))
    del scene.box.directory.children[an_id(1)][result.attributes["ipatpientryid"][0].decode()]
    scene.watch().poll()
    assert scene.woken() == [an_id(1)]
    scene.box.process(an_id(1))
    assert scene.box.outcomes(an_id(1)) == ["denied"]
