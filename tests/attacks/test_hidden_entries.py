"""Entries below a request are hidden from the executor, or bear another creator than who wrote them.

An administrator who may write ACIs at the suffix would gain that a withdrawn or vetoed request runs: he denies the
executor to read the veto. Who may add an entry would gain another's name on it, and silence other approvers:
389-ds takes `creatorsName;lang-en` from clients and shows it as creatorsName.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import ldap
import pytest
from straight import (
    EXECUTOR_DN,
    NOBODY,
    add_child,
    add_request,
    digests,
    draft,
    ended,
    never_intended,
    runs_for,
    settle,
    user_dn,
)
from world import EXECUTOR, REQUESTS, SUFFIX, World, eventually, stopped


@contextmanager
def hidden(world: World, kind: str) -> Iterator[None]:
    """Let adam deny the executor to read entries of a kind."""
    target = f'(target = "ldap:///{REQUESTS}")(targetfilter = "(objectClass={kind})")(targetattr = "*")'
    aci = f'{target}(version 3.0; acl "hide"; deny (read, search) userdn = "ldap:///{EXECUTOR_DN}";)'
    change = ("aci", [aci.encode()])
    world.ldap("adam").modify_s(SUFFIX, [(ldap.MOD_ADD, *change)])
    try:
        yield
    finally:
        world.root().modify_s(SUFFIX, [(ldap.MOD_DELETE, *change)])


def noticed(request_id: str) -> bool:
    """Tell whether the executor said that it is shown less than there is."""
    log = subprocess.run(
        ["/usr/bin/journalctl", "-u", EXECUTOR, "-o", "cat"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    return any(request_id in line and "hides some" in line for line in log.splitlines())


@pytest.mark.parametrize("kind", ["ipaTpiDenial", "ipaTpiWithdrawal"])
def test_a_hidden_veto_stops_the_executor(world: World, kind: str) -> None:
    request_id = world.request("alice")
    before = world.starts()
    with hidden(world, kind):
        with stopped(world, EXECUTOR):
            world.approve("bob", request_id)
            who = "carol" if kind == "ipaTpiDenial" else "bob"
            api = world.api(who)
            (api.deny if kind == "ipaTpiDenial" else api.withdraw)(api.show(request_id))
        eventually(lambda: noticed(request_id))
        never_intended(world, request_id)
    if kind == "ipaTpiDenial":
        assert ended(world, request_id) == ("denied", "denied-by-approver")
    else:
        settle(world, request_id, "alice")
        assert world.api("alice").show(request_id).state == "pending"
    never_intended(world, request_id)
    assert world.starts() == before


def test_what_is_hidden_otherwise_changes_nothing(world: World) -> None:
    """The same rule about a kind that is not there."""
    request_id = world.request("alice")
    with hidden(world, "ipaTpiCancellation"):
        runs_for(world, request_id, "bob")


def test_an_approval_under_another_name_denies(world: World) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval.hex().encode()
    planted = {"creatorsName;lang-en": user_dn("carol").encode()}
    add_child(world.ldap("bob"), request_id, "ipaTpiApproval", ipaTpiDigest=about, **planted)
    assert ended(world, request_id) == ("denied", "malformed-entry")
    never_intended(world, request_id)


def test_a_request_that_silences_the_others_is_none(world: World) -> None:
    """Alice names the other approvers in it, who can then neither approve nor veto it."""
    asked = draft(world, "alice")
    others = {
        f"creatorsName;lang-a{letter}": user_dn(who).encode()
        for letter, who in zip("bc", ("bob", "carol"), strict=True)
    }
    add_request(world.ldap("alice"), asked, **others)
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        add_child(world.ldap("carol"), asked.id, "ipaTpiDenial", ipaTpiDigest=NOBODY.hex().encode())
    assert ended(world, asked.id) == ("denied", "malformed-request")
