"""Which request is looked at next (E11)."""

import threading
import time

import pytest

from ipa_tpi.executor.schedule import TOGETHER_SECONDS, Schedule


def test_each_request_is_given_once_in_the_order_of_waking() -> None:
    schedule = Schedule()
    for request_id in ("a", "b", "a"):
        schedule.wake(request_id)
    assert schedule.depth() == 2
    assert [schedule.take(), schedule.take()] == ["a", "b"]
    assert schedule.depth() == 0


def test_a_request_that_is_woken_while_it_is_worked_on_comes_again_afterwards() -> None:
    schedule = Schedule()
    schedule.wake("a")
    assert schedule.take() == "a"
    schedule.wake("a")
    schedule.wake("a")
    schedule.wake("b")
    assert schedule.take() == "b"
    assert schedule.depth() == 0
    schedule.done("a")
    assert schedule.take() == "a"
    schedule.done("a")
    assert schedule.depth() == 0


def test_done_without_a_wake_gives_nothing() -> None:
    schedule = Schedule()
    schedule.wake("a")
    schedule.take()
    schedule.done("a")
    assert schedule.depth() == 0
    schedule.done("never taken")


def test_a_request_comes_when_its_time_has() -> None:
    schedule = Schedule()
    schedule.wake_in("late", 0.08)
    schedule.wake_in("soon", 0.02)
    schedule.wake_in("past", -5)
    started = time.monotonic()
    assert [schedule.take() for _ in range(3)] == ["past", "soon", "late"]
    assert 0.07 <= time.monotonic() - started < 5


def test_what_is_due_while_it_is_worked_on_comes_afterwards() -> None:
    schedule = Schedule()
    schedule.wake("a")
    schedule.take()
    schedule.wake_in("a", 0)
    schedule.wake("b")
    assert schedule.take() == "b"
    schedule.done("a")
    assert schedule.take() == "a"


class Seconds:
    """A clock of seconds that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the seconds."""
        return self.now


def test_the_newest_time_is_the_time() -> None:
    clock = Seconds()
    schedule = Schedule(clock)
    schedule.wake_in("a", 5)
    schedule.wake_in("a", 10)
    schedule.wake("b")
    clock.now = 6
    assert schedule.take() == "b"
    assert schedule.depth() == 0
    clock.now = 10
    assert schedule.take() == "a"


def test_waking_often_costs_no_more_than_waking_once() -> None:
    """Each look sets a time; a thousand looks must not lead to a thousand times."""
    schedule = Schedule(Seconds())
    for _ in range(1000):
        schedule.wake("a")
        assert schedule.take() == "a"
        schedule.wake_in("a", 30)
        schedule.done("a")
    assert len(schedule._due) == 1


def test_what_comes_together_is_looked_at_once() -> None:
    clock = Seconds()
    schedule = Schedule(clock)
    schedule.wake_in("a", 30)
    schedule.wake_soon("a")
    clock.now = TOGETHER_SECONDS / 2
    # More of it puts nothing off, or a flood would put it off for ever.
    schedule.wake_soon("a")
    schedule.wake("b")
    assert schedule.take() == "b"
    assert schedule._due == {"a": TOGETHER_SECONDS}
    clock.now = TOGETHER_SECONDS
    assert schedule.take() == "a"
    assert schedule._due == {}


def test_an_earlier_time_stays() -> None:
    clock = Seconds()
    schedule = Schedule(clock)
    schedule.wake_in("a", TOGETHER_SECONDS / 4)
    schedule.wake_soon("a")
    assert schedule._due == {"a": TOGETHER_SECONDS / 4}


def test_who_is_woken_at_once_does_not_come_again_soon() -> None:
    schedule = Schedule(Seconds())
    schedule.wake_soon("a")
    schedule.wake("a")
    assert schedule.take() == "a"
    schedule.done("a")
    assert (schedule.depth(), schedule._due) == (0, {})


def test_news_of_what_is_worked_on_are_not_lost_in_its_next_time() -> None:
    schedule = Schedule(Seconds())
    schedule.wake("a")
    schedule.take()
    schedule.wake_soon("a")
    schedule.wake_in("a", 30)
    schedule.done("a")
    assert schedule.depth() == 1


def test_news_reach_what_is_on_hold() -> None:
    clock = Seconds()
    schedule = Schedule(clock)
    schedule.hold("a", 30)
    schedule.wake_soon("a")
    assert schedule._due == {"a": TOGETHER_SECONDS}
    clock.now = TOGETHER_SECONDS
    assert schedule.take() == "a"


def test_a_request_that_is_looked_at_has_no_older_time() -> None:
    clock = Seconds()
    schedule = Schedule(clock)
    schedule.wake_in("a", 5)
    schedule.wake("a")
    assert schedule.take() == "a"
    schedule.done("a")
    clock.now = 6
    schedule.wake("b")
    assert schedule.take() == "b"
    assert schedule.depth() == 0


def test_what_is_on_hold_comes_at_its_time_or_with_news() -> None:
    clock = Seconds()
    schedule = Schedule(clock)
    schedule.hold("a", 30)
    schedule.hold("b", 30)
    schedule.remind("a")
    assert schedule.depth() == 0
    schedule.wake("a")
    assert schedule.take() == "a"
    schedule.done("a")
    schedule.remind("a")
    assert schedule.take() == "a"  # the hold ended with the look
    clock.now = 31
    assert schedule.take() == "b"
    assert schedule.busy() == {"a", "b"}


def test_ids_without_end_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipa_tpi.executor.schedule.MOST", 3)
    schedule = Schedule(Seconds())
    for number in range(10):
        schedule.wake(str(number))
        schedule.hold(str(number), 30)
    schedule.wake("2")
    assert (schedule.depth(), len(schedule._due), len(schedule._held)) == (3, 3, 3)
    assert [schedule.take() for _ in range(3)] == ["0", "1", "2"]


def test_two_takers_never_have_the_same_request() -> None:
    schedule, held, wrong, taken = Schedule(), set[str](), list[str](), list[str]()
    guard = threading.Lock()

    def take() -> None:
        while (request_id := schedule.take()) is not None:
            with guard:
                if request_id in held:
                    wrong.append(request_id)
                held.add(request_id)
                taken.append(request_id)
            time.sleep(0.0002)
            with guard:
                held.discard(request_id)
            schedule.done(request_id)

    takers = [threading.Thread(target=take) for _ in range(3)]
    for taker in takers:
        taker.start()
    for number in range(200):
        schedule.wake(f"r{number % 5}")
        if number % 7 == 0:
            schedule.wake_in(f"r{number % 3}", 0.001)
    deadline = time.monotonic() + 10
    while schedule.depth() and time.monotonic() < deadline:
        time.sleep(0.005)
    schedule.stop()
    for taker in takers:
        taker.join(timeout=5)
    assert not any(taker.is_alive() for taker in takers)
    assert wrong == []
    assert set(taken) == {f"r{number}" for number in range(5)}


def test_a_taker_that_waits_is_woken_and_let_go() -> None:
    schedule, found = Schedule(), list[str | None]()

    def take() -> None:
        found.extend([schedule.take(), schedule.take()])

    taker = threading.Thread(target=take)
    taker.start()
    time.sleep(0.02)
    schedule.wake("a")
    time.sleep(0.02)
    schedule.stop()
    taker.join(timeout=5)
    assert found == ["a", None]
    assert schedule.take() is None


def test_a_new_deadline_that_is_earlier_than_the_one_waited_for() -> None:
    schedule, found = Schedule(), list[str | None]()
    schedule.wake_in("late", 60)
    taker = threading.Thread(target=lambda: found.append(schedule.take()))
    taker.start()
    time.sleep(0.02)
    schedule.wake_in("soon", 0.01)
    taker.join(timeout=5)
    schedule.stop()
    assert found == ["soon"]
