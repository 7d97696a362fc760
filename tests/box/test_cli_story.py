"""The command line as people use it, each under an account of their own, on a terminal where one matters.

Attack: get a yes from somebody who did not mean it (no terminal, keys typed ahead, half an id), or have a
script take a refusal for a success.  An attacker would gain an approval that nobody gave.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator

import ldap
import pytest
from terminal import Terminal
from world import HOST, SUFFIX, UNIT, World

CLI = "/usr/bin/ipa-tpi"
CREATE = ("create", "dirsrv.restart", "instance=DS01")
QUESTION = "Approve? [y/N] "
WHOLE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_r_a01_the_whole_story(world: World) -> None:
    """Create, list, show, say no, say yes with the very command line that was printed, wait, show."""
    before = world.invocation()
    created = world.cli("alice", "request", *CREATE, "--reason", "disk is full", "--ticket", "OPS-7")
    assert created.status == 0, created
    request_id = WHOLE_ID.findall(created.out)[0]
    printed = shlex.split(created.out.splitlines()[-1])
    assert printed == ["ipa-tpi", "approve", request_id]
    assert "OPS-7" in world.cli("bob", "show", request_id).out
    world.wait_state(request_id, "pending")

    listed = world.cli("bob", "list", "--approvable")
    assert request_id[:8] in listed.out
    shown = world.cli("bob", "show", request_id)
    assert shown.status == 3
    for text in (request_id, "dirsrv.restart", HOST, "DS01", "alice@TPI.TEST", "disk is full", "OPS-7", UNIT):
        assert text in shown.out

    world.ccache("bob")
    with Terminal("bob", ["/usr/bin/env", *printed]) as terminal:
        terminal.wait_for(QUESTION)
        for text in (
            request_id,
            "dirsrv.restart",
            HOST,
            "DS01",
            "alice@TPI.TEST",
            "disk is full",
            "OPS-7",
            UNIT,
        ):
            assert text in terminal.screen
        terminal.type("n\n")
        assert terminal.end() == 1
        assert "nothing was done" in terminal.screen
    assert world.of_class(request_id, "ipaTpiApproval") == []
    assert world.cli("bob", "show", request_id).status == 3

    with Terminal("bob", ["/usr/bin/env", *printed]) as terminal:
        terminal.wait_for(QUESTION)
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "Approved." in terminal.screen
    waited = world.cli("alice", "wait", request_id, "--timeout", "30")
    assert waited.status == 0
    assert "executed" in waited.out
    assert world.cli("alice", "show", request_id).status == 0
    assert world.invocation() != before


@pytest.mark.parametrize("answer", ["\n", "yess\n", "Y E S\n", "\x04"])
def test_r_k11_nothing_but_a_yes_is_a_yes(world: World, pending: str, answer: str) -> None:
    world.ccache("bob")
    with Terminal("bob", [CLI, "approve", pending]) as terminal:
        terminal.wait_for(QUESTION)
        terminal.type(answer)
        assert terminal.end() == 1
        assert "nothing was done" in terminal.screen
    assert world.of_class(pending, "ipaTpiApproval") == []


def test_r_k11_what_is_typed_ahead_is_no_answer(world: World, pending: str) -> None:
    world.ccache("bob")
    with Terminal("bob", [CLI, "approve", pending]) as terminal:
        terminal.type("y\ny\nyes\n")
        terminal.wait_for(QUESTION)
        time.sleep(0.3)
        terminal.type("n\n")
        assert terminal.end() == 1
    assert world.of_class(pending, "ipaTpiApproval") == []


def test_r_k11_interrupted_at_the_question(world: World, pending: str) -> None:
    world.ccache("bob")
    with Terminal("bob", [CLI, "approve", pending]) as terminal:
        terminal.wait_for(QUESTION)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert "Traceback" not in terminal.screen
    assert world.of_class(pending, "ipaTpiApproval") == []


def test_r_a02_without_a_terminal_nothing_is_approved(world: World, pending: str) -> None:
    done = world.cli("bob", "approve", pending, text="y\n")
    assert done.status == 64
    assert "no terminal" in done.err
    assert "--yes" in done.err
    assert world.of_class(pending, "ipaTpiApproval") == []
    # The screen must be one too: a question that nobody sees was not asked.
    world.ccache("bob")
    with Terminal("bob", ["/bin/sh", "-c", f"{CLI} approve {pending} > /dev/null"]) as terminal:
        assert terminal.end() == 64
    assert world.of_class(pending, "ipaTpiApproval") == []


def test_r_a02_yes_needs_the_whole_id(world: World, pending: str) -> None:
    done = world.cli("bob", "approve", "--yes", pending[:13])
    assert done.status == 64
    assert "whole id" in done.err
    assert world.of_class(pending, "ipaTpiApproval") == []
    assert world.cli("bob", "approve", "--yes", pending).status == 0
    assert world.wait_state(pending, "executed")


def test_half_an_id_is_enough_at_a_terminal(world: World, pending: str) -> None:
    world.ccache("bob")
    with Terminal("bob", [CLI, "approve", pending[:8]]) as terminal:
        terminal.wait_for(QUESTION)
        assert pending in terminal.screen
        terminal.type("n\n")
        assert terminal.end() == 1


def test_json_is_json_and_nothing_else(world: World, pending: str) -> None:
    view = world.cli("bob", "show", pending, "--json")
    assert view.status == 3
    assert (view.json["id"], view.json["state"]) == (pending, "pending")
    assert view.json["parameters"] == {"instance": "DS01"}
    assert pending in [one["id"] for one in world.cli("bob", "list", "-o", "json").json["requests"]]
    assert world.cli("bob", "whoami", "--json").json["principal"] == "bob@TPI.TEST"
    known = world.cli("bob", "operations", "--json").json["operations"]
    assert "dirsrv.restart" in [one["name"] for one in known]
    assert world.cli("bob", "list", "-o", "name", "--approvable").out.split() == [pending]
    approved = world.cli("bob", "approve", "--yes", pending, "--json")
    assert approved.status == 0
    assert json.loads(approved.out)["id"] == pending
    assert "What will run" in approved.err
    world.wait_state(pending, "executed")


def test_exit_status_0_3_2_64(world: World, pending: str) -> None:
    assert world.cli("alice", "show", pending).status == 3
    assert world.cli("alice", "wait", pending, "--timeout", "0").status == 3
    assert world.cli("alice", "show", "00000000-0000-4000-8000-000000000000").status == 2
    assert world.cli("alice", "show", "00000000").status == 2
    for wrong in (
        ("show", "xyz"),
        ("frobnicate",),
        (),
        ("create",),
        ("create", "dirsrv.restart", "instance"),
        ("approve",),
        ("create", "dirsrv.restart", "instance=DS01", "instance=DS01"),
        ("list", "--state", "nonsense"),
    ):
        done = world.cli("alice", *wrong)
        assert done.status == 64, (wrong, done)
        assert "ipa-tpi: ERROR: " in done.err, (wrong, done)
        assert "Traceback" not in done.err
    assert world.cli("alice", "--help").status == 0
    assert world.cli("alice", "--version").status == 0


def test_exit_status_4_denied(world: World, pending: str) -> None:
    assert world.cli("alice", "approve", "--yes", pending).status == 4  # not one's own
    assert world.cli("dave", *CREATE).status == 4  # no rule
    assert world.cli("bob", "deny", pending, "--comment", "not today").status == 0
    assert world.wait_state(pending, "denied")
    done = world.cli("alice", "show", pending)
    assert done.status == 4
    assert "not today" in done.out
    assert world.cli("alice", "wait", pending).status == 4


@pytest.mark.usefixtures("short_window")
def test_exit_status_5_expired(world: World) -> None:
    request_id = _create(world, "alice")
    done = world.cli("alice", "wait", request_id, "--timeout", "20")
    assert done.status == 5, done
    assert "expired" in done.out
    assert world.cli("alice", "show", request_id).status == 5
    assert world.cli("bob", "approve", "--yes", request_id).status == 5


def test_exit_status_7_failed(world: World) -> None:
    """The unit cannot start any more between approval and restart."""
    drop_in = "/run/systemd/system/dirsrv@DS01.service.d"
    world.run("root", ["/usr/bin/mkdir", "-p", drop_in])
    world.run("root", ["/usr/bin/tee", f"{drop_in}/broken.conf"], text="[Service]\nExecStartPre=/bin/false\n")
    world.systemctl("daemon-reload")
    try:
        request_id = _create(world, "alice")
        world.wait_state(request_id, "pending")
        assert world.cli("bob", "approve", "--yes", request_id).status == 0
        done = world.cli("alice", "wait", request_id, "--timeout", "30")
        assert done.status == 7, done
        assert "journalctl -u dirsrv@DS01.service" in done.out
    finally:
        world.run("root", ["/usr/bin/rm", "-r", drop_in])
        world.systemctl("daemon-reload")
        world.systemctl("reset-failed", UNIT)
        world.systemctl("start", UNIT)


def test_exit_status_8_cancelled(world: World, pending: str) -> None:
    assert world.cli("bob", "cancel", pending).status == 4  # somebody else's
    assert world.cli("alice", "cancel", pending).status == 0
    assert world.cli("alice", "show", pending).status == 8
    assert world.cli("alice", "wait", pending).status == 8
    assert world.cli("bob", "approve", "--yes", pending).status == 8


def test_create_and_wait(world: World) -> None:
    """One command for the requester: its exit status is that of the end."""
    world.ccache("alice")
    with Terminal("alice", [CLI, *CREATE, "--wait", "--timeout", "30"]) as terminal:
        terminal.wait_for("The second person runs:")
        request_id = WHOLE_ID.findall(terminal.screen)[0]
        world.wait_state(request_id, "pending")
        assert world.cli("bob", "approve", "--yes", request_id).status == 0
        assert terminal.end() == 0
        assert "executed" in terminal.screen


@pytest.fixture(name="short_window")
def _short_window(world: World) -> Iterator[None]:
    """Have a window of three seconds for a while."""
    operation = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
    connection = world.root()
    old = connection.search_s(operation, ldap.SCOPE_BASE)[0][1]["ipaTpiApprovalSeconds"]
    connection.modify_s(operation, [(ldap.MOD_REPLACE, "ipaTpiApprovalSeconds", [b"3"])])
    try:
        yield
    finally:
        connection.modify_s(operation, [(ldap.MOD_REPLACE, "ipaTpiApprovalSeconds", old)])


@pytest.fixture(name="pending")
def _pending(world: World) -> str:
    """A request of alice's that waits for a second person."""
    request_id = _create(world, "alice")
    world.wait_state(request_id, "pending")
    return request_id


def _create(world: World, person: str) -> str:
    done = world.cli(person, *CREATE, "-o", "name")
    assert done.status == 0, done
    return done.out.strip()
