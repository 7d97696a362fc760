"""What is held to act as a requester: in memory, the newest, while it is good, for requests that have not ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ipa_tpi.executor.evidence import MOST, SPARE, Evidence

NOW = datetime(2026, 1, 1, tzinfo=UTC)
END = NOW + timedelta(seconds=10)


def test_the_newest_is_held_until_it_is_dropped() -> None:
    evidence = Evidence()
    assert evidence.of("a", NOW) is None
    evidence.keep("a", "old", END)
    evidence.keep("a", "new", END)
    evidence.keep("b", "other", END)
    assert (evidence.of("a", NOW), evidence.of("b", NOW)) == ("new", "other")
    evidence.drop("a")
    evidence.drop("a")
    assert (evidence.of("a", NOW), evidence.of("b", NOW)) == (None, "other")


def test_r_k01_it_is_held_no_longer_than_the_ticket_lives() -> None:
    evidence = Evidence()
    evidence.keep("a", "held", END)
    assert evidence.of("a", END - timedelta(seconds=1)) == "held"
    assert evidence.of("a", END) is None
    evidence.keep("a", "renewed", END + timedelta(seconds=1))
    assert evidence.of("a", END) == "renewed"


def test_r_k01_nothing_is_begun_with_a_ticket_that_is_about_to_run_out() -> None:
    evidence = Evidence()
    assert not evidence.is_good("a", NOW)
    evidence.keep("a", "held", NOW + SPARE)
    assert evidence.of("a", NOW) == "held"  # what was begun goes on with it
    assert not evidence.is_good("a", NOW)
    assert evidence.is_good("a", NOW - timedelta(seconds=1))


def test_nothing_takes_the_place_of_nothing() -> None:
    evidence = Evidence()
    evidence.keep("a", "held", END)
    evidence.keep("a", None, END)
    assert evidence.of("a", NOW) == "held"


def test_a_flood_drops_who_waits_longest() -> None:
    evidence = Evidence()
    for number in range(MOST + 2):
        evidence.keep(str(number), number, END)
    assert [evidence.of(name, NOW) for name in ("0", "1", "2", str(MOST + 1))] == [None, None, 2, MOST + 1]


def test_a_wait_is_told_once_until_a_proof_comes_or_it_has_ended() -> None:
    evidence = Evidence()
    assert not evidence.is_missed("a")
    evidence.miss("a")
    evidence.keep("a", None, END)
    assert evidence.is_missed("a")
    evidence.keep("a", "held", END)
    assert not evidence.is_missed("a")
    evidence.miss("a")
    evidence.drop("a")
    assert not evidence.is_missed("a")


def test_waits_without_end_fill_no_memory() -> None:
    evidence = Evidence()
    for number in range(MOST + 1):
        evidence.miss(str(number))
    assert [evidence.is_missed(name) for name in ("0", str(MOST))] == [False, True]
