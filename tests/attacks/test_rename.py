"""Somebody is renamed between his request and his approval, so that the directory takes him for another.

Access control and uniqueness compare names, and let it pass.  The executor remembers who was behind a
name when it first saw it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import ldap
import pytest
from straight import (
    add_voice,
    digests,
    ended,
    never_intended,
    prove,
    refused_by_web,
    request_dn,
    user_dn,
    voice,
)
from world import EXECUTOR, SUFFIX, World, eventually, stopped

from ipa_tpi.model import Purpose

DAY = f"cn=tpi-operators-day,cn=groups,cn=accounts,{SUFFIX}"


@contextmanager
def renamed(world: World, old: str, new: str) -> Iterator[None]:
    """Have root rename an account; its principal, key and unique id stay."""
    root = world.root()
    _rename(root, old, new)
    try:
        yield
    finally:
        _rename(root, new, old)


def _rename(root: ldap.ldapobject.LDAPObject, old: str, new: str) -> None:
    root.rename_s(user_dn(old), f"uid={new}")
    # Referential integrity mends the groups, and after it their members' memberOf.
    eventually(lambda: user_dn(new).encode() in root.search_s(DAY, ldap.SCOPE_BASE)[0][1]["member"])
    roles = eventually(
        lambda: root.search_s(user_dn(new), ldap.SCOPE_BASE, attrlist=["memberOf"])[0][1].get("memberOf")
    )
    assert any(b"TPI Approve," in role for role in roles)


@pytest.fixture
def carols(world: World) -> str:
    return world.request("carol")


def test_who_was_renamed_is_not_another_person(world: World, carols: str) -> None:
    about = digests(world, carols).approval
    with renamed(world, "carol", "carol2"):
        with refused_by_web("requester-gone"):
            world.api("carol")._post(f"/requests/{carols}/approvals", voice(world, "carol", about))
        connection = world.ldap("carol")
        assert connection.whoami_s() == f"dn: {user_dn('carol2')}"
        add_voice(connection, carols, "ipaTpiApproval", about)  # the directory lets it pass
        prove(world, "carol", carols, Purpose.APPROVE, about)
        # Nobody bears the requester's name any more.
        assert ended(world, carols) == ("denied", "requester-gone")
    never_intended(world, carols)


def test_another_account_under_the_requesters_name_is_not_the_requester(world: World, carols: str) -> None:
    about = digests(world, carols).approval
    with ExitStack() as names:
        with stopped(world, EXECUTOR):  # between the two renames it would find nobody under carol's name
            names.enter_context(renamed(world, "carol", "carol2"))
            names.enter_context(renamed(world, "bob", "carol"))
            connection = world.ldap("carol")
            assert connection.whoami_s() == f"dn: {user_dn('carol2')}"
            add_voice(connection, carols, "ipaTpiApproval", about)
        assert ended(world, carols) == ("denied", "identity-changed")
    never_intended(world, carols)
    assert world.root().search_s(request_dn(carols), ldap.SCOPE_BASE)
