"""Some seconds of four clients at once (`make load` does a minute): no error, and nothing left behind.

What an attacker would gain of a leak, by asking alone: a service that stops after some days.
"""

from __future__ import annotations

from dataclasses import replace

from world import World

from bench import load
from bench.load import Figures, Outcome, Process


def test_load_leaves_nothing_behind(world: World) -> None:
    outcome = load.run(world, seconds=8, warm_seconds=5)
    assert len(outcome.times) > 40
    assert outcome.complaints() == [], load.report(outcome)


def test_what_would_be_told() -> None:
    quiet = Process("web process", 50.0, 27, 13)
    calm = Figures({1: quiet}, 9, 0)
    fine = Outcome(1.0, (0.1,), (), calm, calm)
    assert fine.complaints() == []
    for changed, words in (
        ({1: replace(quiet, resident=57.0)}, "memory 50.0 to 57.0"),
        ({1: replace(quiet, threads=28)}, "threads 27 to 28"),
        ({1: replace(quiet, descriptors=16)}, "descriptors 13 to 16"),
        ({}, "has ended"),
    ):
        (complaint,) = replace(fine, after=Figures(changed, 9, 0)).complaints()
        assert words in complaint
    assert replace(fine, after=Figures({1: quiet}, 10, 0)).complaints()
    assert replace(fine, after=Figures({1: quiet}, 9, 1)).complaints()
    assert replace(fine, errors=("error: no",)).complaints() == ["request failed: error: no"]
    assert "1 requests in 1 s" in load.report(fine)
