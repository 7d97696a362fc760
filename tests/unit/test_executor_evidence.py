"""What is held to act as a requester: in memory, the newest, for requests that have not ended."""

from __future__ import annotations

from ipa_tpi.executor.evidence import MOST, Evidence


def test_the_newest_is_held_until_it_is_dropped() -> None:
    evidence = Evidence()
    assert evidence.of("a") is None
    evidence.keep("a", "old")
    evidence.keep("a", "new")
    evidence.keep("b", "other")
    assert (evidence.of("a"), evidence.of("b")) == ("new", "other")
    evidence.drop("a")
    evidence.drop("a")
    assert (evidence.of("a"), evidence.of("b")) == (None, "other")


def test_nothing_takes_the_place_of_nothing() -> None:
    evidence = Evidence()
    evidence.keep("a", "held")
    evidence.keep("a", None)
    assert evidence.of("a") == "held"


def test_a_flood_drops_who_waits_longest() -> None:
    evidence = Evidence()
    for number in range(MOST + 2):
        evidence.keep(str(number), number)
    assert [evidence.of(name) for name in ("0", "1", "2", str(MOST + 1))] == [None, None, 2, MOST + 1]
