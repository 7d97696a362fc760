"""Attack: a validation program that does not end, or has others not end for it.

What an attacker would gain: a request that is taken for accepted, an executor that waits for ever, or processes of his
choice that stay on the host.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import ldap
import pytest
from validators import ACCEPT, Watched, watched
from world import SUFFIX, World

SECONDS = 2


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    """A program that has two seconds."""
    entry = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
    before = world.root().read_s(entry)["ipaTpiTimeoutSeconds"]
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        world.root().modify_s(entry, [(ldap.MOD_REPLACE, "ipaTpiTimeoutSeconds", [str(SECONDS).encode()])])
        try:
            yield made
        finally:
            world.root().modify_s(entry, [(ldap.MOD_REPLACE, "ipaTpiTimeoutSeconds", before)])


@pytest.mark.parametrize(
    "text",
    [
        "sleep 600",
        "trap '' TERM INT HUP QUIT; while :; do sleep 600; done",
        "setsid -w setsid -w sleep 600",
        "(setsid sleep 600 &) ; sleep 600 & wait",
        "while :; do echo one more >&2; done",
        "while :; do :; done",
    ],
)
def test_r_e06_whoever_hangs_has_refused(program: Watched, text: str) -> None:
    program.install(f"#!/bin/sh\n{text}\n")
    started = time.monotonic()
    program.refused("validation-timeout", f"was ended after {SECONDS} seconds")
    assert time.monotonic() - started < 30
