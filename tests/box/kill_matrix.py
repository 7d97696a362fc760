"""The whole kill matrix, and one table of what became of it: ``kill_matrix.py [ROUNDS] [PART-OF-A-CELL'S-NAME…]``.

Run it with `make kill-matrix ROUNDS=20`; it needs a box of its own, in which nothing else asks for anything.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import ldap
from checks import cancel_what_is_open, remove_requests
from kill_points import Point, cells
from kill_rounds import DoubledError, play
from kill_scene import quick_units, settle
from kill_verbs import LostError
from world import EXECUTOR, REALM, World, eventually

from ipa_tpi.errors import TpiError
from lab.people import PEOPLE

COLUMNS = ("executed", "indeterminate", "doubled", "lost", "not played")


def main(arguments: list[str]) -> int:
    """Play the matrix, print the table, and return 0 where nothing was doubled, lost or left out."""
    rounds = int(arguments[0]) if arguments else 1
    wanted = [
        cell for cell in cells() if not arguments[1:] or any(part in _name(*cell) for part in arguments[1:])
    ]
    world = World(
        {person.uid: {"password": person.password, "principal": person.principal(REALM)} for person in PEOPLE}
    )
    started = time.monotonic()
    total: Counter[str] = Counter()
    lines = []
    with quick_units(world):
        for victim, point in wanted:
            counted = _play_cell(world, victim, point, rounds)
            total += counted
            lines.append(_line(victim, point.step, point.name, rounds, counted))
            _tell(lines[-1])
    heads = ("victim", "step", "killed when", "rounds", *COLUMNS)
    table = [
        "| " + " | ".join(heads) + " |",
        "|" + "|".join([" --- "] * 3 + [" ---: "] * (len(heads) - 3)) + "|",
        *lines,
        _line("**all**", "", f"{len(wanted)} cells", rounds * len(wanted), total),
    ]
    sys.stdout.write("\n".join(table) + "\n")
    _tell(f"{time.monotonic() - started:.0f} s")
    return 1 if total["doubled"] or total["lost"] or total["not played"] else 0


def _play_cell(world: World, victim: str, point: Point, rounds: int) -> Counter[str]:
    before = world.starts()
    counted: Counter[str] = Counter()
    starts = 0
    for number in range(1, rounds + 1):
        try:
            ended = play(world, victim, point)
            counted[ended.outcome] += 1
            starts += ended.starts
        except (AssertionError, TpiError, ldap.LDAPError, OSError) as error:
            kinds = {DoubledError: "doubled", LostError: "lost"}
            counted[kinds.get(type(error), "not played")] += 1
            _tell(f"{_name(victim, point)}, round {number}: {type(error).__name__}: {error}")
            settle(world)
            cancel_what_is_open(world)
            time.sleep(5)
            starts = len(world.starts()) - len(before)
    # Once more from its journal: what has ended stays ended.
    world.kill()
    eventually(lambda: world.show(EXECUTOR, "ActiveState") == "active")
    late = len(world.starts()) - len(before) - starts
    if late:
        _tell(f"{_name(victim, point)}: {late} starts came later")
        counted["doubled"] += late
    settle(world)
    remove_requests(world)
    return counted


def _line(victim: str, step: str, name: str, rounds: int, counted: Counter[str]) -> str:
    return (
        f"| {victim} | {step} | {name} | {rounds} | "
        + " | ".join(str(counted[one]) for one in COLUMNS)
        + " |"
    )


def _name(victim: str, point: Point) -> str:
    return f"{victim}/{point.step}/{point.name}"


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
