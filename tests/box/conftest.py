"""These tests run inside a box (`make box`)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress

import ldap
import pytest
from world import EXECUTOR, REQUESTS, UNIT, World, world

from ipa_tpi.errors import TpiError

__all__ = ["world"]

NEEDED = ("dirsrv@TPI-TEST.service", "krb5-kdc.service", "apache2.service", UNIT, EXECUTOR)
_ENDS = "(|(objectClass=ipaTpiResult)(objectClass=ipaTpiCancellation))"


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
    for person, request_id in _open_requests(world):
        with suppress(TpiError):
            api = world.api(person)
            api.cancel(api.show(request_id), "left over")


def _open_requests(world: World) -> list[tuple[str, str]]:
    """Tell requester and id of each request without an end."""
    connection = world.root()
    ended = {
        dn.lower().partition(",")[2]
        for dn, _ in connection.search_s(REQUESTS, ldap.SCOPE_SUBTREE, _ENDS, ["1.1"])
    }
    wanted = ["ipaTpiRequestId", "creatorsName"]
    found = connection.search_s(REQUESTS, ldap.SCOPE_ONELEVEL, "(objectClass=ipaTpiRequest)", wanted)
    return [
        (
            raw["creatorsName"][0].decode().partition(",")[0].removeprefix("uid="),
            raw["ipaTpiRequestId"][0].decode(),
        )
        for dn, raw in found
        if dn.lower() not in ended
    ]
