"""The verbs that only ask, and waiting through a restart of what is asked, as people use them.

Attack: a person who is told wrongly that somebody else can approve, or that a request has ended, goes round
the second person; an attacker would gain that by taking the directory away for a moment.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ldap
import pytest
from terminal import Terminal
from world import HOST, SUFFIX, World, eventually

CLI = "/usr/bin/ipa-tpi"
CREATE = ("create", "dirsrv.restart", "instance=DS01")
DIRECTORY = "dirsrv@TPI-TEST.service"
GAP_SECONDS = 3.0


@pytest.fixture(name="pending")
def _pending(world: World) -> str:
    """A request of alice's that waits for a second person."""
    return world.request("alice", reason="who could approve")


@contextmanager
def _locked(world: World, person: str) -> Iterator[None]:
    """Have an account locked for a while."""
    connection = world.root()
    dn = f"uid={person},cn=users,cn=accounts,{SUFFIX}"
    connection.modify_s(dn, [(ldap.MOD_REPLACE, "nsAccountLock", [b"TRUE"])])
    try:
        yield
    finally:
        connection.modify_s(dn, [(ldap.MOD_DELETE, "nsAccountLock", None)])


def test_r_k16_who_could_approve_is_told_with_the_reason(world: World, pending: str) -> None:
    for person in ("alice", "bob", "frank"):
        done = world.cli(person, "approvers", pending)
        assert done.status == 0, done
        able, unable = done.out.split("Cannot approve\n")
        assert "It needs 1 more approval, and 3 people could still give one." in able
        assert "bob@TPI.TEST (Bob Brown)" in able
        assert re.search(r"erin-admin@TPI\.TEST \(Erin Evans\): the same person as erin@TPI\.TEST", able)
        assert "alice@TPI.TEST (Alice Smith): same user cannot self-approve" in unable
    assert world.cli("dave", "approvers", pending).status == 2
    with _locked(world, "carol"):
        told = world.cli("alice", "approvers", pending, "--user", "carol", "--json")
        assert (told.status, told.json["available"]) == (4, 2)
        assert [one["code"] for one in told.json["candidates"]] == ["disabled"]
    dave = world.cli("alice", "approvers", pending, "--user", "dave")
    assert dave.status == 4
    assert "dave@TPI.TEST may not approve dirsrv.restart" in dave.out


def test_r_k16_who_can_is_who_may(world: World, pending: str) -> None:
    """The answer and the deed agree: whoever is told that he cannot is refused, and the first who can is not."""
    told = world.cli("alice", "approvers", pending, "--json").json["candidates"]
    able = [one["principal"].partition("@")[0] for one in told if one["chance"] == "can"]
    assert sorted(able) == ["bob", "carol", "erin", "erin-admin"]
    for person in ("alice", "dave", "adam", "grace"):
        assert world.cli(person, "approve", "--yes", pending).status in {2, 4}
    assert world.cli(able[0], "approve", "--yes", pending).status == 0
    world.wait_state(pending, "executed")
    after = world.cli("alice", "approvers", pending)
    assert after.status == 4
    assert f"Approved already\n  {able[0]}@TPI.TEST" in after.out


def test_a_request_that_nobody_can_approve_is_told_as_such(world: World, pending: str) -> None:
    rules = f"cn=tpirules,cn=tpi,{SUFFIX}"
    connection = world.root()
    ((dn, _),) = connection.search_s(rules, ldap.SCOPE_ONELEVEL, "(ipaTpiRight=approve)", ["1.1"])
    connection.modify_s(dn, [(ldap.MOD_REPLACE, "ipaEnabledFlag", [b"FALSE"])])
    try:
        done = world.cli("alice", "approvers", pending)
    finally:
        connection.modify_s(dn, [(ldap.MOD_REPLACE, "ipaEnabledFlag", [b"TRUE"])])
    assert done.status == 4
    assert "WARNING: it needs 1 more approval, and nobody could still give one" in done.out
    assert "Could approve" not in done.out


def test_hosts_and_operations(world: World) -> None:
    assert world.cli("alice", "hosts", "-o", "name").out.split() == ["ca1.tpi.test", HOST, "other.tpi.test"]
    told = world.cli("bob", "operations").out
    assert f"parameter instance:  must match [A-Za-z0-9_-]{{1,64}}; on {HOST} one of: DS01" in told
    assert "none: it only reads" in told
    for wrong, words in (
        (("instance=DS02",), "allows dirsrv.restart only of: DS01"),
        (("instance=a/b",), "give instance=VALUE, the whole of it matching"),
        (("unit=x", "instance=DS01"), "its parameters: instance"),
        (("instance=DS01", "--host", "nowhere.tpi.test"), f"Known: ca1.tpi.test, {HOST}, other.tpi.test"),
    ):
        done = world.cli("alice", "create", "dirsrv.restart", *wrong)
        assert done.status == 4
        assert words in done.err


def test_a_list_in_pages(world: World) -> None:
    time.sleep(1.1)  # times have whole seconds: what an earlier test made must be older
    made = [world.request("alice", reason=str(number)) for number in range(3)]
    newest = world.cli("bob", "list", "--limit", "2", "-o", "name")
    assert set(newest.out.split()) < set(made)
    added = newest.err.partition("for those add: ")[2].split()
    rest = world.cli("bob", "list", "--state", "pending", "-o", "name", *added)
    assert set(newest.out.split()) | set(rest.out.split()) >= set(made)
    assert not set(newest.out.split()) & set(rest.out.split())


def test_converge_of_an_ordinary_user_says_what_to_do(world: World) -> None:
    done = world.cli("alice", "converge")
    assert done.status == 1
    assert "only root on a server of the domain can do this" in done.err
    assert "run: sudo ipa-tpi converge" in done.err
    assert world.cli("alice", "converge", "--json").json["code"] == "config"


def test_waiting_survives_a_gap_of_the_directory_and_the_kdc_behind_it(world: World, pending: str) -> None:
    """The directory is away for three seconds, and with it the keys of the KDC; then the request ends."""
    world.ccache("alice")
    with Terminal("alice", [CLI, "wait", pending, "--timeout", "60"]) as terminal:
        terminal.wait_for("state: pending")
        world.systemctl("stop", DIRECTORY)
        away = time.monotonic()
        try:
            terminal.wait_for("no answer about the request for now; still trying")
            # What the directory holds is really away, the tickets of others included.
            assert world.kinit("carol", ccache="/tmp/krb5cc_carol_gap").status != 0
            time.sleep(max(0.0, GAP_SECONDS - (time.monotonic() - away)))
        finally:
            world.systemctl("start", DIRECTORY)
        terminal.wait_for("answered again after")
        assert terminal.screen.count("still trying") == 1
        eventually(lambda: world.cli("bob", "approve", "--yes", pending).status == 0)
        assert terminal.end() == 0
        assert "executed" in terminal.screen
    assert "ERROR" not in terminal.screen


def test_waiting_that_begins_in_the_gap(world: World, pending: str) -> None:
    world.ccache("alice")
    world.cli("alice", "list", "-o", "name")
    world.systemctl("stop", DIRECTORY)
    try:
        waiting = Terminal("alice", [CLI, "wait", pending, "--timeout", "60"])
        waiting.wait_for("still trying for up to")
    finally:
        world.systemctl("start", DIRECTORY)
    with waiting as terminal:
        terminal.wait_for("state: pending")
        assert world.cli("alice", "cancel", pending).status == 0
        assert terminal.end() == 8


def test_waiting_survives_a_restart_of_the_web_server(world: World, pending: str) -> None:
    world.ccache("alice")
    with Terminal("alice", [CLI, "wait", pending, "--timeout", "60"]) as terminal:
        terminal.wait_for("state: pending")
        world.systemctl("stop", "apache2.service")
        try:
            terminal.wait_for("no answer about the request for now")
        finally:
            world.systemctl("start", "apache2.service")
        terminal.wait_for("answered again after")
        assert world.cli("alice", "cancel", pending).status == 0
        assert terminal.end() == 8


def test_the_directory_that_is_asked_restarts_by_a_request_of_its_own(world: World) -> None:
    """`--wait` of dirsrv.restart instance=TPI-TEST: the directory that holds the request goes away and comes back."""
    before = world.invocation(DIRECTORY)
    world.ccache("alice")
    command = [CLI, "create", "dirsrv.restart", "instance=TPI-TEST", "--wait", "--timeout", "90"]
    with Terminal("alice", command) as terminal:
        terminal.wait_for("The second person runs:")
        request_id = terminal.screen.split()[1]
        world.wait_state(request_id, "pending")
        assert world.cli("bob", "approve", "--yes", request_id).status == 0
        assert terminal.end() == 0, terminal.screen
    assert world.invocation(DIRECTORY) != before


def test_a_terminal_of_80_columns(world: World, pending: str) -> None:
    for arguments in (("list",), ("show", pending), ("operations",), ("approvers", pending), ("whoami",)):
        world.ccache("alice")
        with Terminal("alice", [CLI, *arguments], columns=80) as terminal:
            assert terminal.end() in {0, 3}
            lines = terminal.screen.splitlines()
        assert lines
        assert max(map(len, lines)) <= 80, (arguments, terminal.screen)
