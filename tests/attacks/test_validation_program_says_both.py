"""Attack: a validation program that dies, or says yes and no at once.

What an attacker would gain: a crash, or a refusal with the wrong status (the usual mistake in a script), that is taken
for a yes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from validators import ACCEPT, LINE, REFUSE, Watched, watched
from world import World


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


def test_r_k05_a_refusal_is_told_to_the_people(program: Watched) -> None:
    program.install(REFUSE)
    view = program.refused("validation-refused")
    assert view.result.excerpt == "validation-refused: the program says no"


def test_r_k05_status_0_with_a_refusal_is_a_refusal(program: Watched) -> None:
    program.install(f"#!/bin/sh\necho '{LINE}'\nexit 0\n")
    program.refused("validation-failed", "status 0 and yet wrote to standard output", "the program says no")


def test_r_k05_death_by_a_signal_is_a_refusal(program: Watched) -> None:
    program.install("#!/bin/sh\nkill -SEGV $$\n")
    program.refused("validation-failed", "was ended by SIGSEGV")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo refused", "status 0 and yet wrote to standard output: refused"),
        ("echo", "status 0 and yet wrote"),
        ("kill -KILL $$", "SIGKILL"),
        (f"echo '{LINE}'; kill -ABRT $$", "SIGABRT"),
        ("exit 1", "status 1"),
        ("exit 255", "status 255"),
        (f"echo '{LINE}'; echo and more; exit 1", "status 1"),
        ("echo no; exit 1", "status 1"),
        ("kill -KILL $PPID; exit 0", ""),
    ],
)
def test_r_k05_everything_else_refuses(program: Watched, text: str, said: str) -> None:
    program.install(f"#!/bin/sh\n{text}\n")
    program.asked("validation-failed", said)


def test_r_k05_what_cannot_be_run_refuses(program: Watched) -> None:
    program.install("#!/no/such/interpreter\n")
    program.asked("validation-failed", "cannot be started")
    program.remove()
    program.refused("validation-failed", "there is no ")
