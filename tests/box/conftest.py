"""These tests run inside a box (`make box`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from world import EXECUTOR, UNIT, World, world

from ipa_tpi.errors import TpiError

__all__ = ["world"]

_NEEDED = ("dirsrv@TPI-TEST.service", "krb5-kdc.service", "apache2.service", UNIT, EXECUTOR)
_OPEN = frozenset({"awaiting-preview", "pending", "approved"})


@pytest.fixture(autouse=True)
def _tidy(world: World) -> Iterator[None]:
    """Leave every daemon running and no request open, whatever happened."""
    yield
    down = [unit for unit in _NEEDED if world.show(unit, "ActiveState") != "active"]
    for unit in down:
        world.systemctl("reset-failed", unit)
        world.systemctl("start", unit)
    for person in sorted(world.tickets):
        with suppress(TpiError):
            cancel_open(world, person)


def cancel_open(world: World, person: str) -> None:
    """Cancel what a person has asked for and nobody has decided."""
    api = world.api(person)
    for view in api.list(mine=True):
        if view.state in _OPEN:
            with suppress(TpiError):
                api.cancel(view, "left over")
