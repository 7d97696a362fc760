"""X11, A12: an operation can demand a ticket got for the proof alone, just now, and by which factor; in the box.

Attack: whoever comes by a person's ticket of this morning (a walk past an unlocked screen, a ccache left behind)
makes requests and approvals in that person's name.  Where the operation demands the factor just now, he cannot.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import ldap
import pytest
from demands import OPERATION, WISH, demanded, fresh_ccache, refused, verified, weak_ccache, with_ticket
from terminal import Terminal
from world import EXECUTOR, HOST, World

CLI = "/usr/bin/ipa-tpi"
CREATE = (CLI, "create", "dirsrv.restart", "instance=DS01")
FLOOR = Path("/etc/ipa/tpi/floor.toml")
KLIST = "/usr/bin/klist"


@pytest.fixture(autouse=True)
def _ended(world: World) -> Iterator[None]:
    """Leave no request of these people's open."""
    yield
    for person in ("alice", "bob"):
        api = world.api(person)
        for view in api.list(mine=True):
            if view.state in {"awaiting-preview", "pending"}:
                api.cancel(view)


def at_a_terminal(world: World, person: str, *command: str, **environment: str) -> str:
    """Run the command line at a terminal, answer kinit's question, and give what was on the screen."""
    known = world.people[person]
    with Terminal(person, command, **environment) as terminal:
        terminal.wait_for(f"Password for {known['principal']}: ")
        terminal.type(known["password"] + "\n")
        status = terminal.end()
        assert status == 0, terminal.screen
        assert known["password"] not in terminal.screen
        return terminal.screen


def test_r_x11_a_proof_with_the_ticket_of_this_morning_is_stale_and_prove_mends_it(world: World) -> None:
    with demanded(world, ipaTpiFreshSeconds="30"):
        before = world.starts()
        alice, bob = with_ticket(world, "alice"), with_ticket(world, "bob")
        request_id = alice.create(WISH).id
        record = refused(world, request_id, "alice")
        assert (record["code"], record["purpose"]) == ("proof-stale", "request")
        view = world.wait_for("alice", request_id, lambda now: now.code == "proof-stale")
        assert view.state == "awaiting-preview"
        assert "ipa-tpi prove" in view.message
        at_a_terminal(world, "alice", CLI, "prove", "--yes", request_id)
        world.wait_state(request_id, "pending")
        bob.approve(bob.show(request_id))
        assert refused(world, request_id, "bob")["code"] == "proof-stale"
        view = world.wait_for("bob", request_id, lambda now: now.approvals[0].code == "proof-stale")
        assert (view.state, view.approvals[0].counts) == ("pending", False)
        assert world.starts() == before
        at_a_terminal(world, "bob", CLI, "prove", "--yes", request_id)
        world.wait_state(request_id, "executed")
        assert len(world.starts()) == len(before) + 1


def test_r_x11_who_gives_the_factor_at_the_terminal_is_heard_at_once(world: World) -> None:
    caches = {}
    for person in ("alice", "bob"):
        caches[person] = f"/tmp/krb5cc_own_{uuid.uuid4().hex}"
        assert world.kinit(person, ccache=caches[person]).status == 0
    with demanded(world, ipaTpiFreshSeconds="30"):
        screen = at_a_terminal(world, "alice", *CREATE, "-o", "name", KRB5CCNAME=caches["alice"])
        request_id = screen.split()[-1]
        world.wait_state(request_id, "pending")
        told = world.cli("bob", "show", request_id).out
        assert "ticket:" in told
        assert "got for this alone, at most 30 s old" in told
        at_a_terminal(world, "bob", CLI, "approve", "--yes", request_id, KRB5CCNAME=caches["bob"])
        world.wait_state(request_id, "executed")
    assert world.audit(request_id, "proof-refused") == []
    for person, cache in caches.items():
        kept = world.run(person, [KLIST, cache]).out
        assert "HTTP/" in kept
        assert "tpi/" not in kept
    assert list(Path("/tmp").glob("ipa-tpi-*")) == []
    # Where nothing of the kind is demanded, the ticket does stay: the above could have failed.
    assert world.cli("alice", *CREATE[1:], KRB5CCNAME=caches["alice"]).status == 0
    assert f"tpi/{HOST}" in world.run("alice", [KLIST, caches["alice"]]).out


def test_r_x11_a_ticket_is_fresh_only_for_a_while(world: World) -> None:
    with demanded(world, ipaTpiFreshSeconds="4"):
        alice = with_ticket(world, "alice", fresh_ccache(world, "alice"))
        got = time.monotonic()
        request_id = alice.create(WISH).id
        verified(world, request_id, "alice")
        time.sleep(max(0.0, got + 4 + 5 + 1.5 - time.monotonic()))  # with the floor's clock_skew_seconds
        alice.prove(alice.show(request_id))
        assert refused(world, request_id, "alice")["code"] == "proof-stale"


def test_r_x11_without_a_terminal_it_says_so_and_a_veto_needs_no_factor(world: World) -> None:
    alone = ["/usr/bin/setsid", "--wait"]  # no terminal, wherever the tests are run
    with demanded(world, ipaTpiFreshSeconds="30"):
        world.ccache("alice")
        done = world.run("alice", [*alone, *CREATE, "--json"])
        assert (done.status, done.json["code"]) == (1, "fresh-needed")
        assert "in a terminal" in done.err
        fresh = with_ticket(world, "alice", fresh_ccache(world, "alice"))
        request_id = fresh.create(WISH).id
        world.wait_state(request_id, "pending")
        assert world.run("bob", [*alone, CLI, "approve", "--yes", request_id]).status == 1
        assert world.run("bob", [*alone, CLI, "deny", request_id]).status == 0
        world.wait_state(request_id, "denied")


def test_r_a12_an_indicator_that_is_demanded_must_be_in_the_ticket(world: World) -> None:
    with demanded(world, ipaTpiAuthIndicator="hardened"):
        assert "a ticket with hardened" in world.cli("bob", "operations").out
        before = world.starts()
        request_id = world.request("alice")
        verified(world, request_id, "alice")
        weak = weak_ccache(world, "bob")
        bob = type(world.api("bob"))(world.api("bob").url, "/etc/ipa/ca.crt", f"FILE:{weak}")
        bob.approve(bob.show(request_id))
        assert refused(world, request_id, "bob")["code"] == "proof-indicator-missing"
        view = world.wait_for(
            "bob", request_id, lambda now: now.approvals[0].code == "proof-indicator-missing"
        )
        assert (view.state, world.starts()) == ("pending", before)
        assert world.cli("bob", "prove", "--yes", request_id).status == 0
        world.wait_state(request_id, "executed")


def test_r_a12_without_that_demand_the_same_ticket_does(world: World) -> None:
    """So that the refusal above is of the indicator, and not of how the ticket was got."""
    request_id = world.request("alice")
    bob = with_ticket(world, "bob")
    weak = type(bob)(bob.url, "/etc/ipa/ca.crt", f"FILE:{weak_ccache(world, 'bob')}")
    weak.approve(weak.show(request_id))
    world.wait_state(request_id, "executed")


def test_r_x11_the_floor_tightens_what_the_definition_says(world: World) -> None:
    kept = FLOOR.read_text(encoding="utf-8")
    head = '[operations."dirsrv.restart"]\n'
    assert head in kept
    FLOOR.write_text(kept.replace(head, f"{head}fresh_seconds = 30\n"), encoding="utf-8")
    try:
        world.systemctl("restart", EXECUTOR, "apache2.service")
        assert demands_of(world) == 30
        root = world.root()
        for definition, both in (("60", 30), ("20", 20)):
            root.modify_s(OPERATION, [(ldap.MOD_REPLACE, "ipaTpiFreshSeconds", [definition.encode()])])
            assert demands_of(world) == both
        root.modify_s(OPERATION, [(ldap.MOD_DELETE, "ipaTpiFreshSeconds", None)])
        alice = with_ticket(world, "alice")
        view = alice.create(WISH)
        assert view.fresh_seconds == 30
        assert refused(world, view.id, "alice")["code"] == "proof-stale"
        at_a_terminal(world, "alice", CLI, "prove", "--yes", view.id)
        world.wait_state(view.id, "pending")
    finally:
        FLOOR.write_text(kept, encoding="utf-8")
        world.systemctl("restart", EXECUTOR, "apache2.service")
    assert demands_of(world) == 0


def test_r_x11_where_only_the_target_demands_it_prove_asks_all_the_same(world: World) -> None:
    """The target's floor is stricter than the server that was asked knows; its refusal is how a client learns it."""
    kept = FLOOR.read_text(encoding="utf-8")
    head = '[operations."dirsrv.restart"]\n'
    FLOOR.write_text(kept.replace(head, f"{head}fresh_seconds = 30\n"), encoding="utf-8")
    try:
        world.systemctl("restart", EXECUTOR)
        assert demands_of(world) == 0
        request_id = world.api("alice").create(WISH).id
        assert refused(world, request_id, "alice")["code"] == "proof-stale"
        world.wait_for("alice", request_id, lambda now: now.code == "proof-stale")
        at_a_terminal(world, "alice", CLI, "prove", "--yes", request_id)
        world.wait_state(request_id, "pending")
        world.approve("bob", request_id)
        assert refused(world, request_id, "bob")["code"] == "proof-stale"
        world.wait_for("bob", request_id, lambda now: now.approvals[0].code == "proof-stale")
        at_a_terminal(world, "bob", CLI, "prove", "--yes", request_id)
        world.wait_state(request_id, "executed")
    finally:
        FLOOR.write_text(kept, encoding="utf-8")
        world.systemctl("restart", EXECUTOR)


def demands_of(world: World) -> int:
    """Tell how fresh the web service says that a proof must be."""
    (found,) = [one for one in world.api("bob").operations().operations if one.name == "dirsrv.restart"]
    return found.fresh_seconds
