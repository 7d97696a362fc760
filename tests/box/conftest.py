"""These tests run inside a box (`make box`)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from checks import cancel_what_is_open
from world import EXECUTOR, UNIT, World, world

__all__ = ["world"]

NEEDED = ("dirsrv@TPI-TEST.service", "krb5-kdc.service", "apache2.service", UNIT, EXECUTOR)


@pytest.fixture(autouse=True)
def _tidy(world: World) -> Iterator[None]:
    """Leave every daemon running and no request open, whatever happened."""
    yield
    states = world.systemctl("is-active", *NEEDED).splitlines()
    for unit, state in zip(NEEDED, states, strict=True):
        if state != "active":
            # Whatever it waits for (an end, or its next start) is over first.
            subprocess.run(["/usr/bin/systemctl", "stop", unit], timeout=60, check=False)
            world.systemctl("reset-failed", unit)
            world.systemctl("start", unit)
    cancel_what_is_open(world)
