"""Attack: root on a machine where two operators have logged in uses the tickets of both.

He needs no password: the tickets lie there.  With them he makes the request and the approval himself, and what two
people should have decided runs.  That is limit 5 of docs/threat-model.md, shown here, for an ordinary operation; one
that demands the factor just now stays shut, since tickets of this morning are no factor, whatever he asks the KDC for.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from demands import WISH, demanded, fresh_ccache, refused, verified, with_ticket
from world import CA, HOST, REALM, URL, World

from ipa_tpi.client import TpiClient


def _stolen(world: World, person: str, folder: Path) -> str:
    copy = folder / person
    copy.write_bytes(Path(world.ccache(person)).read_bytes())
    return str(copy)


def test_an_ordinary_operation_runs_which_is_limit_5(world: World, tmp_path: Path) -> None:
    alice, bob = (TpiClient(URL, CA, f"FILE:{_stolen(world, who, tmp_path)}") for who in ("alice", "bob"))
    request_id = alice.create(WISH).id
    world.wait_state(request_id, "pending")
    bob.approve(bob.show(request_id))
    world.wait_state(request_id, "executed")


def test_x11_one_that_demands_the_factor_just_now_does_not(world: World, tmp_path: Path) -> None:
    with demanded(world, ipaTpiFreshSeconds="30"):
        before = world.starts()
        alice, bob = (with_ticket(world, who, _stolen(world, who, tmp_path)) for who in ("alice", "bob"))
        request_id = alice.create(WISH).id
        assert refused(world, request_id, "alice")["code"] == "proof-stale"
        view = world.wait_for("bob", request_id, lambda now: now.code == "proof-stale")
        assert view.state == "awaiting-preview"
        # Even where the requester herself has given her factor, her ticket and bob's do for no approval.
        honest = with_ticket(world, "alice", fresh_ccache(world, "alice"))
        honest.prove(honest.show(request_id))
        verified(world, request_id, "alice")
        world.wait_state(request_id, "pending")
        bob.approve(bob.show(request_id))
        assert refused(world, request_id, "bob")["code"] == "proof-stale"
        assert world.starts() == before
        # And with bob's factor it runs: nothing else stood in the way.
        present = with_ticket(world, "bob", fresh_ccache(world, "bob"))
        present.prove(present.show(request_id))
        world.wait_state(request_id, "executed")


@pytest.mark.parametrize("how", [("-R",), ("-k", "-t", "/dev/null"), ("-T",)])
def test_x11_a_stolen_ticket_gives_no_initial_one(world: World, tmp_path: Path, how: tuple[str, ...]) -> None:
    """Renewing, asking with no key, or under its armour is all that kinit offers to someone without the factor."""
    stolen = _stolen(world, "alice", tmp_path)
    words = (*how, stolen) if how == ("-T",) else how
    command = ["/usr/bin/kinit", *words, "-S", f"tpi/{HOST}@{REALM}", "-c", stolen]
    done = subprocess.run(
        [*command, world.people["alice"]["principal"]], input="", capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
