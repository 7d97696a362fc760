"""These tests run inside a box (`make box`).

Each leaves cn=requests empty and the directory server DS01 running, whatever it tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ldap
import pytest
from lawless import Lawless
from world import REQUESTS, UNIT, World, eventually, world

__all__ = ["world"]


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


def _empty(root: Any) -> bool:
    # Named, an entry of this class is found; it is hidden otherwise.
    found = root.search_s(REQUESTS, ldap.SCOPE_SUBTREE, "(|(objectClass=*)(objectClass=ldapSubEntry))", ["1.1"])
    for dn in sorted((dn for dn, _ in found if dn.lower() != REQUESTS), key=len, reverse=True):
        try:
            root.delete_s(dn)
        except ldap.NOT_ALLOWED_ON_NONLEAF:  # the executor added something in the meantime
            return False
    return True
