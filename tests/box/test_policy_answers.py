"""What the policy says of somebody, its rules, and the history by filters, as people ask them.

Attack: an administrator who is told wrongly that nobody else could approve, or that a person has no right, mends
what is not broken; an attacker would gain a rule, a role or a membership that nobody needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from terminal import Terminal
from world import HOST, SUFFIX, World

RESTART = "dirsrv.restart"
TEST = ("policy", "test", "--operation", RESTART, "--host", HOST)
RULES = f"cn=tpirules,cn=tpi,{SUFFIX}"


@contextmanager
def _broken_rule(world: World) -> Iterator[None]:
    connection = world.root()
    dn = f"ipaUniqueID=answers-broken,{RULES}"
    values = {
        "objectClass": [b"top", b"ipaAssociation", b"ipaTpiRule"],
        "cn": [b"answers broken"],
        "ipaEnabledFlag": [b"TRUE"],
        "ipaTpiRight": [b"approve"],
        "userCategory": [b"some"],
    }
    connection.add_s(dn, list(values.items()))
    try:
        yield
    finally:
        connection.delete_s(dn)


def test_r_x10_the_answer_and_the_deed_agree(world: World) -> None:
    for person, status in (("alice", 0), ("grace", 4), ("dave", 4), ("adam", 4), ("frank", 4)):
        done = world.cli("frank", *TEST, "--user", person)
        assert done.status == status, (person, done)
    # Who may not even know of the operation is told no more than that.
    assert world.cli("dave", *TEST, "--user", "alice").status == 2
    request_id = world.request("grace", reason="what is told is so")
    for person in ("bob", "dave", "adam", "grace"):
        told = world.cli("frank", *TEST, "--user", person, "--right", "approve", "-o", "name")
        done = world.cli(person, "approve", "--yes", request_id)
        assert (told.status == 0) is (told.out == "approve\n") is (done.status == 0) is (person == "bob")
    world.wait_state(request_id, "executed")


def test_the_nearest_miss_and_what_is_broken_are_told(world: World) -> None:
    with _broken_rule(world):
        done = world.cli("alice", *TEST, "--user", "grace")
        found = world.cli("alice", "rule", "find", "--right", "approve")
        shown = world.cli("alice", "rule", "show", "answers broken")
    assert "request: allowed by the rule " in done.out
    assert "approve: DENIED: grace@TPI.TEST may not approve dirsrv.restart" in done.out
    assert "the nearest rule" in done.out
    assert re.search(r"could then approve: +4 people", done.out)
    for one in (done, found, shown):
        assert "broken rule answers broken: " in one.out
    assert shown.status == 0
    assert world.cli("alice", "rule", "show", "answers broken").status == 2


def test_membership_that_is_only_thought_of(world: World) -> None:
    joined = world.cli("alice", *TEST, "--user", "dave", "--member-of", "tpi-operators-day")
    assert joined.status == 0, joined
    requester = world.cli("alice", *TEST, "--user", "dave", "--member-of", "tpi-requesters", "-o", "name")
    assert (requester.status, requester.out) == (4, "request\n")
    assert world.cli("alice", *TEST, "--user", "dave").status == 4
    assert world.cli("dave", "create", RESTART, "instance=DS01").status == 4


@pytest.mark.parametrize(
    "wrong",
    [
        ("policy", "test", "--operation", "no.such", "--host", HOST, "--user", "alice"),
        ("policy", "test", "--operation", RESTART, "--host", "nowhere.tpi.test", "--user", "alice"),
        (*TEST, "--user", "nobody"),
        (*TEST, "--user", "alice", "--member-of", "no such group"),
        ("rule", "find", "--operation", "no.such"),
        ("operation", "show", "no.such"),
        ("list", "--user", "nobody"),
    ],
)
def test_what_is_unknown_is_not_found(world: World, wrong: tuple[str, ...]) -> None:
    done = world.cli("alice", *wrong)
    assert done.status == 2, done


def test_rules_and_operations(world: World) -> None:
    names = world.cli("alice", "rule", "find", "--operation", RESTART, "--user", "grace", "-o", "name").out
    assert len(names.splitlines()) == 1
    shown = world.cli("alice", "rule", "show", names.strip())
    assert "group tpi-requesters" in shown.out
    assert RESTART in world.cli("alice", "operation", "find", "restart", "-o", "name").out.split()
    shown = world.cli("alice", "operation", "show", RESTART)
    assert "could ask for it:" in shown.out
    assert f"needs on {HOST}:" in shown.out
    told = world.cli("alice", "operation", "show", RESTART, "--json").json
    assert (told["operations"][0]["name"], told["policy"]["enough"]) == (RESTART, True)


def test_r_k17_the_history_by_operation_requester_and_time(world: World) -> None:
    ids = {person: world.request(person, reason="history") for person in ("alice", "grace")}

    def listed(*options: str) -> set[str]:
        done = world.cli("frank", "list", "-o", "name", "--limit", "500", *options)
        assert done.status == 0, done
        return set(done.out.split()) & set(ids.values())

    everything = set(ids.values())
    assert listed("--operation", RESTART, "--since", "1h") == everything
    assert listed("--user", "grace", "--state", "pending") == {ids["grace"]}
    assert listed("--operation", "dirsrv.status") == listed("--until", "1h") == set()
    assert listed("--since", "2020-01-01", "--user", "alice@TPI.TEST") == {ids["alice"]}
    assert world.cli("frank", "list", "--since", "1h", "--until", "2h").status == 64
    assert listed("--host", HOST, "--since", "1h") == everything
    assert listed("--host", "other.tpi.test") == listed("--approver", "bob") == set()
    bob = world.api("bob")
    bob.deny(bob.show(ids["grace"]), "history")
    world.wait_for("bob", ids["grace"], lambda view: view.result is not None)
    assert listed("--approver", "bob@TPI.TEST") == {ids["grace"]}
    assert listed("--outcome", "denied", "--approver", "bob", "--user", "grace") == {ids["grace"]}
    assert listed("--outcome", "denied", "--approver", "carol") == set()
    assert listed("--outcome", "executed") == set()
    told = world.cli("frank", "list", "--approver", "bob", "--limit", "1", "--json")
    assert [one["id"] for one in told.json["requests"]] == [ids["grace"]]


def test_a_terminal_of_80_columns(world: World) -> None:
    for arguments in (
        (*TEST, "--user", "grace"),
        ("rule", "find"),
        ("operation", "find"),
        ("operation", "show", RESTART),
    ):
        world.ccache("alice")
        with Terminal("alice", ["/usr/bin/ipa-tpi", *arguments], columns=80) as terminal:
            assert terminal.end() in {0, 4}
            lines = terminal.screen.splitlines()
        assert lines
        assert max(map(len, lines)) <= 80, (arguments, terminal.screen)
