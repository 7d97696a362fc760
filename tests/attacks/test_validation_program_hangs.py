"""Attack: a validation program that does not end, or has others not end for it.

What an attacker would gain: a request that is taken for accepted, an executor that waits for ever, or processes of his
choice that stay on the host.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from validators import ACCEPT, Watched, watched
from world import World

SECONDS = 2


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    """A program that has two seconds."""
    with watched(world, seconds=SECONDS) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


def test_r_e06_whoever_hangs_has_refused(program: Watched) -> None:
    program.install("#!/bin/sh\ntrap '' TERM INT HUP QUIT\nsetsid sleep 600 &\nwhile :; do sleep 600; done\n")
    started = time.monotonic()
    program.refused("validation-timeout", f"was ended after {SECONDS} seconds")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "text",
    [
        "exec sleep 600",
        "setsid -w setsid -w sleep 600",
        "(setsid sleep 600 &) ; sleep 600 & wait",
        "while :; do echo one more >&2; done",
        "while :; do :; done",
        "kill -STOP $$",
    ],
)
def test_r_e06_in_whatever_way_it_hangs(program: Watched, text: str) -> None:
    program.install(f"#!/bin/sh\n{text}\n")
    program.asked("validation-timeout", "was ended after 1 seconds", seconds=1)
