"""Somebody takes out of the history what speaks against him, or a veto before the executor has seen it.

He would gain a request that nobody can tell of any more, or one that runs although somebody said no.  Only the executor
that a request names can delete it, and only where root has put it into cn=policy-executors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ldap
from straight import EXECUTOR_DN, HTTP_KEYTAB, OTHER, OTHER_DN, OTHER_KEYTAB, child_dn, request_dn
from world import EXECUTOR, HOST, KEYTAB, REALM, SUFFIX, World, eventually, stopped

GROUP = f"cn=policy-executors,cn=tpi,{SUFFIX}"
WHO: dict[str, Callable[[World], Any]] = {
    "alice, who asked": lambda world: world.ldap("alice"),
    "bob, who approved": lambda world: world.ldap("bob"),
    "carol, who denied": lambda world: world.ldap("carol"),
    "adam, member of admins": lambda world: world.ldap("adam"),
    "frank, auditor": lambda world: world.ldap("frank"),
    "the web tier": lambda world: world.service(HTTP_KEYTAB, f"HTTP/{HOST}@{REALM}"),
    "the host": lambda world: world.service("/etc/krb5.keytab", f"host/{HOST}@{REALM}"),
    "the executor, whom nobody let": lambda world: world.service(KEYTAB, f"tpi/{HOST}@{REALM}"),
    "another host's executor, who may": lambda world: world.service(OTHER_KEYTAB, f"tpi/{OTHER}@{REALM}"),
}


@contextmanager
def allowed(world: World, dn: str) -> Iterator[None]:
    """Have root put somebody into the group of those who may delete."""
    world.root().modify_s(GROUP, [(ldap.MOD_ADD, "member", [dn.encode()])])
    try:
        yield
    finally:
        world.root().modify_s(GROUP, [(ldap.MOD_DELETE, "member", [dn.encode()])])


def denied(world: World) -> tuple[str, list[str]]:
    """Give a request that bob approved and carol denied, the executor being away, and what lies below it."""
    request_id = world.request("alice")
    world.systemctl("stop", EXECUTOR)
    world.approve("bob", request_id)
    carol = world.api("carol")
    carol.deny(carol.show(request_id))
    return request_id, sorted(dn for dn, _ in world.children(request_id))


def refusals(connection: Any, dns: list[str]) -> list[str]:
    """Try to delete entries; tell how each try ended."""
    found = []
    for dn in dns:
        try:
            connection.delete_s(dn)
            found.append("deleted")
        except ldap.LDAPError as error:
            found.append(type(error).__name__)
    return found


def test_nobody_else_takes_anything_away(world: World) -> None:
    request_id, there = denied(world)
    try:
        with allowed(world, OTHER_DN):
            for who, connect in WHO.items():
                found = set(refusals(connect(world), [*there, request_dn(request_id)]))
                assert found == {"INSUFFICIENT_ACCESS"}, (who, found)
        assert sorted(dn for dn, _ in world.children(request_id)) == there
    finally:
        world.systemctl("start", EXECUTOR)
    view = world.wait_for("alice", request_id, lambda now: now.result is not None)
    assert view.state == "denied"


def test_the_executor_whom_root_let_can(world: World) -> None:
    """So that the refusals above say something; not another host's, and not its group or its container."""
    request_id, there = denied(world)
    try:
        with allowed(world, EXECUTOR_DN):
            ours = world.service(KEYTAB, f"tpi/{HOST}@{REALM}")
            above = [f"cn=requests,cn=tpi,{SUFFIX}", GROUP]
            assert set(refusals(ours, above)) == {"INSUFFICIENT_ACCESS"}
            assert refusals(ours, [*there, request_dn(request_id)]) == ["deleted"] * (len(there) + 1)
    finally:
        world.systemctl("start", EXECUTOR)


def test_a_veto_that_was_seen_cannot_be_taken_back_by_deleting_it(world: World) -> None:
    """Not even by who may delete: the journal knows how it ended."""
    request_id = world.request("alice")
    world.systemctl("stop", EXECUTOR)
    carol = world.api("carol")
    carol.deny(carol.show(request_id))
    world.systemctl("start", EXECUTOR)
    view = world.wait_for("alice", request_id, lambda now: now.result is not None)
    assert view.state == "denied"
    eventually(lambda: world.claims("SELECT 1 FROM claims WHERE request = ? AND published = 1", request_id))
    before = world.starts()
    with stopped(world, EXECUTOR), allowed(world, EXECUTOR_DN):
        ours = world.service(KEYTAB, f"tpi/{HOST}@{REALM}")
        for name in ("ipaTpiDenial", "ipaTpiResult"):
            for raw in world.of_class(request_id, name):
                ours.delete_s(child_dn(request_id, raw["ipaTpiEntryId"][0].decode()))
    eventually(lambda: world.of_class(request_id, "ipaTpiResult"))
    assert len(world.audit(request_id, "republished")) == 1
    assert world.api("alice").show(request_id).state == "denied"
    assert world.starts() == before
