"""These tests run inside a box (`make box`).

Each leaves cn=requests empty and the unit of DS01 running, whatever it tried.  What counts here is whether
and how often systemd starts that unit, so a process that starts at once stands in for the directory server.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ldap
import pytest
from lawless import Lawless
from supplier import ReplicationSession, replicated
from tier import Captured, captured
from world import REQUESTS, UNIT, World, eventually, world

__all__ = ["world"]

sys.path.append(str(Path(__file__).parents[1] / "box"))  # `stepping` lies there

DROP_IN = Path(f"/run/systemd/system/{UNIT}.d/zz-attacks.conf")
QUICK = "[Service]\nType=exec\nExecStartPre=\nExecStart=\nExecStart=/bin/sleep infinity\n"


@pytest.fixture(scope="session", autouse=True)
def _quick(world: World) -> Iterator[None]:
    """Have the unit that is restarted restart in no time."""
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(QUICK, encoding="utf-8")
    world.systemctl("daemon-reload")
    world.systemctl("restart", UNIT)
    yield
    DROP_IN.unlink()
    world.systemctl("daemon-reload")
    world.systemctl("restart", UNIT)


@pytest.fixture(autouse=True)
def _clean(world: World) -> Iterator[None]:
    """Take away whatever a test left below cn=requests: its requests would count against its people."""
    yield
    eventually(lambda: _empty(world.root()))
    assert world.show(UNIT, "ActiveState") == "active"


@pytest.fixture(scope="module")
def lawless(world: World) -> Iterator[Lawless]:
    """A directory that enforces nothing: only the executor stands in the way."""
    with Lawless(world) as broken:
        yield broken


@pytest.fixture(scope="module")
def supplier(world: World) -> Iterator[ReplicationSession]:
    """A replication session with the directory."""
    with replicated(world) as session:
        yield session


@pytest.fixture(scope="module")
def hostile_code(world: World) -> Iterator[Captured]:
    """Hostile code in the web service's daemon."""
    with captured(world) as found:
        yield found


@pytest.fixture
def tier(hostile_code: Captured) -> Iterator[Captured]:
    """A web tier in the attacker's hands, who lets everything pass until told otherwise."""
    yield hostile_code
    hostile_code.treat("pass")


def _empty(root: Any) -> bool:
    # Named, an entry of this class is found; it is hidden otherwise.
    found = root.search_s(
        REQUESTS, ldap.SCOPE_SUBTREE, "(|(objectClass=*)(objectClass=ldapSubEntry))", ["1.1"]
    )
    for dn in sorted((dn for dn, _ in found if dn.lower() != REQUESTS), key=len, reverse=True):
        try:
            root.delete_s(dn)
        except ldap.NOT_ALLOWED_ON_NONLEAF:  # the executor added something in the meantime
            return False
    return True
