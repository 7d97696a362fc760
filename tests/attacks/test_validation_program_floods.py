"""Attack: a validation program that writes without end, to one stream or both.

What an attacker would gain: a full pipe that stops the program or whoever reads it, a full memory, a full journal, or a
refusal that is lost in the noise and taken for a yes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from validators import ACCEPT, LINE, Watched, log, watched
from world import World


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


def test_r_k05_a_flood_on_both_streams_refuses(program: Watched) -> None:
    program.install("#!/bin/sh\ncat /dev/zero >&2 &\nexec cat /dev/zero\n")
    program.refused("validation-failed", "more than 65536 bytes")


def test_r_k05_a_flood_before_a_refusal_refuses(program: Watched) -> None:
    program.install(f"#!/bin/sh\nhead -c 5000000 /dev/zero\necho '{LINE}'\nexit 0\n")
    program.refused("validation-failed", "more than 65536 bytes")


def test_r_k05_a_flood_on_standard_error_decides_nothing_and_is_capped(program: Watched) -> None:
    program.install("#!/bin/sh\nyes 'nothing of interest' | head -n 1000000 >&2\nexit 0\n")
    before = log(100_000).count("nothing of interest")
    program.runs()
    assert 0 < log(100_000).count("nothing of interest") - before <= 200
    program.install(f"#!/bin/sh\nyes | head -n 1000000 >&2\necho '{LINE}'\nexit 1\n")
    program.refused("validation-refused", "the program says no")
