"""Attack: kill -9 of executor, web service or directory at each of the ten steps, and at each word of a person.

What an attacker (or an out-of-memory killer) would gain: an approval that is spent twice, a restart that nobody
knows of, or an approval that is lost and has to be asked for again until people stop reading.

One round of a choice of cells, so that each step has each victim or one that tells more; `make kill-matrix` plays
all cells, many times.  docs/kill-matrix.md holds its last table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kill_points import INDETERMINATE_STEPS, Point, cells
from kill_rounds import play
from kill_scene import quick_units
from world import EXECUTOR, World, eventually

PERSONS = {"request", "approve", "prove"}
# Step and the beginning of a name: the fewest rounds that have every step, every word and every victim.
CHOSEN = {
    "executor": (
        "1/the verdict is journalled",
        "2/the policy is being read",
        "3/the unit is being looked at",
        "4/the intent is journalled",
        "5/the execution entry is in the directory",
        "6/the claim is audited",
        "7/the claim is journalled",
        "8/systemd has been asked",
        "9/the outcome is journalled",
        "10/the result is in the directory",
        "preview/the preview is journalled",
    ),
    "directory": (
        "1/the receipt never arrives",
        "5/the execution entry never arrives",
        "10/the result never arrives",
        "approve/the proof never arrives",
        "approve/after the answer",
    ),
    "web": (
        "request/both are there, unanswered",
        "approve/the entry is there, its proof is not",
        "prove/the proof is there, unanswered",
        "8/systemd has been asked",
    ),
}


@dataclass
class Counted:
    """Starts of the unit: those before the first round, and those that the rounds account for, if all came to an end."""

    before: list[str]
    starts: int = 0
    whole: bool = True


@pytest.fixture(scope="module")
def counted(world: World) -> Iterator[Counted]:
    """Have the daemons come back at once; in the end nothing has run that no round accounts for."""
    with quick_units(world):
        found = Counted(world.starts())
        yield found
        # Once more from its journal: what has ended stays ended.
        world.kill()
        eventually(lambda: world.show(EXECUTOR, "ActiveState") == "active")
        assert not found.whole or len(world.starts()) - len(found.before) == found.starts


def chosen() -> list[tuple[str, Point]]:
    """Give the cells of this file."""
    return [
        (victim, point)
        for victim, point in cells()
        if any(f"{point.step}/{point.name}".startswith(one) for one in CHOSEN[victim])
    ]


@pytest.mark.parametrize(
    ("victim", "point"), chosen(), ids=[f"{victim}-{point.step}-{point.name}" for victim, point in chosen()]
)
def test_r_k13_killed_it_runs_once_and_nothing_is_lost(
    world: World, counted: Counted, victim: str, point: Point
) -> None:
    whole, counted.whole = counted.whole, False
    ended = play(world, victim, point)
    counted.whole = whole
    counted.starts += ended.starts
    doubtful = victim == "executor" and point.step in INDETERMINATE_STEPS
    assert ended.outcome == ("indeterminate" if doubtful else "executed")
    # systemd may drop a call whose caller is gone, and may not.
    possible = {"7": {0}, "8": {0, 1}}[point.step] if doubtful else {1}
    assert ended.starts in possible


def test_the_choice_has_every_step() -> None:
    steps = {point.step for _, point in cells()}
    assert steps == {*map(str, range(1, 11)), *PERSONS, "preview"}
    assert {point.step for _, point in chosen()} == steps
    assert {point.step for victim, point in chosen() if victim == "executor"} == steps - PERSONS
    assert len(chosen()) == sum(len(names) for names in CHOSEN.values()), "a name of the choice is no cell's"
