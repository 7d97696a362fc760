"""The web tier is taken over, and drops, delays, or repeats what people say; hostile code as in `captured.wsgi`.

That is within its power, as docs/threat-model.md says: it denies the service, it chooses the moment within the windows,
and it can keep a veto back.  What runs is only what two people wanted, once.
"""

from __future__ import annotations

import base64
import json

import pytest
from straight import (
    OPERATION_DN,
    changed,
    digests,
    ended,
    never_intended,
    receipt,
    runs_for,
    settle,
)
from tier import Captured, child, entry_id_of, forged_request, kept_back, made_digest, proof_child
from world import REALM, World, eventually

from ipa_tpi.errors import NotFoundError, OutcomeUnknownError


def test_what_it_drops_is_not_there_and_nothing_runs(world: World, tier: Captured) -> None:
    """Its lies hold as long as it is asked; the directory, another server and the audit trail tell otherwise."""
    before = world.starts()
    request_id = world.request("alice")
    shown = tier.do("post", who=f"frank@{REALM}", path="/requests", body="{}")
    assert shown[0].startswith(("400", "403", "422")), (
        shown
    )  # a message of no form, through the service's own program
    (tier.folder / "view").write_bytes(
        world.api("alice")._transport.ask("GET", f"/tpi/v1/requests/{request_id}")
    )
    (tier.folder / "view").chmod(0o644)
    tier.treat("drop")
    lost = world.cli("alice", "create", "dirsrv.restart", "instance=DS01", "-o", "name")
    assert lost.status == 0, lost
    told = world.cli("bob", "approve", "--yes", request_id)
    assert "approved" in told.out
    tier.treat("pass")
    with pytest.raises(NotFoundError):
        world.api("alice").show(lost.out.strip())
    assert {one["event"] for one in world.audit(lost.out.strip())} == {"refused"}  # that look of hers
    settle(world, request_id, "alice")
    view = world.api("bob").show(request_id)
    assert (view.state, view.approvals) == ("pending", [])
    assert [one for one in world.audit(request_id) if "bob" in json.dumps(one)] == []
    never_intended(world, request_id)
    assert world.starts() == before
    runs_for(world, request_id)


def test_a_veto_that_it_drops_is_not_heard_and_one_by_another_way_is(world: World, tier: Captured) -> None:
    """What two others wanted runs then, and nothing else; a veto straight into the directory needs no web tier."""
    for by_another_way in (False, True):
        request_id = world.request("alice")
        tier.treat("drop")
        told = world.cli("carol", "deny", request_id)
        assert (told.status, "denied" in told.out) == (0, True)
        tier.treat("pass")
        assert world.api("carol").show(request_id).state == "pending"
        if by_another_way:
            denial = {"ipaTpiDigest": [digests(world, request_id).approval.hex().encode()]}
            from_afar(world, "carol", request_id, denial)
            assert ended(world, request_id) == ("denied", "denied-by-approver")
            never_intended(world, request_id)
        else:
            runs_for(world, request_id)


def from_afar(world: World, person: str, request_id: str, values: dict[str, list[bytes]]) -> None:
    """Add a denial as a person does who has only an LDAP client."""
    dn, made = child(request_id, "ipaTpiDenial", **values)
    world.ldap(person).add_s(dn, [(name, [base64.b64decode(one) for one in given]) for name, given in made])


def test_it_chooses_the_moment_within_the_windows_and_no_other(world: World, tier: Captured) -> None:
    """Bob's approval is kept back.  He is told that the service is busy, or left waiting; after the window it is void."""
    with changed(world.root(), OPERATION_DN, ipaTpiApprovalSeconds=[b"4"]):
        late, before = world.request("alice"), world.starts()
        taken = kept_back(world, tier, late)
        world.wait_state(late, "expired", person="frank")
        assert tier.write("bob", *taken) == ["added"] * len(taken)
        assert ended(world, late) == ("expired", "expired")
        never_intended(world, late)
        assert world.starts() == before
    request_id = world.request("alice")
    taken = kept_back(world, tier, request_id)
    settle(world, request_id, "alice")
    never_intended(world, request_id)
    assert tier.write("bob", *taken) == ["added"] * len(taken)
    world.wait_state(request_id, "executed", person="frank")  # as bob wanted, and not when
    assert len(eventually(lambda: world.starts()[len(before) :])) == 1


def test_a_caller_who_is_left_waiting_is_told_that_the_outcome_is_unknown(
    world: World, tier: Captured
) -> None:
    request_id = world.request("alice")
    for leftover in ("held", "release"):
        (tier.folder / leftover).unlink(missing_ok=True)
    tier.treat("hold")
    api = world.api("bob")
    view = api.show(request_id)
    api._transport._timeout_seconds = 1.0
    api._transport.close()
    with pytest.raises(OutcomeUnknownError, match="may have been recorded"):
        api.approve(view)
    tier.treat("pass")
    assert world.api("bob").show(request_id).state == "pending"
    (tier.folder / "release").touch()  # what was held comes through in the end
    world.wait_state(request_id, "executed")


def test_what_was_said_once_is_not_heard_twice(world: World, tier: Captured) -> None:
    """All that alice and bob said is said again, through the service and straight to the directory, while they are away."""
    request_id = world.request("alice")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    before = world.starts()
    asked = tier.said("alice", "/requests")[-1]
    approved = tier.said("bob", f"{request_id}/approvals")[-1]
    assert json.loads(asked["body"])["id"] == request_id
    for said in (asked, approved):
        status, _ = tier.do("post", **said)
        assert status.startswith(("4", "200", "201")), status
    again = [proof_child(request_id, json.loads(said["body"])["proof"]) for said in (asked, approved)]
    assert tier.write("alice", again[0]) == ["added"]
    assert tier.write("bob", again[1]) == ["added"]
    vote = child(request_id, "ipaTpiApproval", ipaTpiDigest=json.loads(approved["body"])["digest"].encode())
    assert tier.write("bob", vote) == ["CONSTRAINT_VIOLATION"]
    # A request with another id is another request: the proof is about the first one.
    forged, made = forged_request(world, "alice")
    moved = proof_child(forged, json.loads(asked["body"])["proof"], made_digest(made))
    assert tier.write("alice", made, moved) == ["added", "added"]
    assert receipt(world, forged, entry_id_of(moved)) == "proof-replayed"
    settle(world, forged, "alice")
    never_intended(world, forged)
    assert world.api("frank").show(request_id).state == "executed"
    assert (
        len(world.claims("SELECT 1 FROM claims WHERE request = ? AND state = 'ended'", request_id)),
        world.starts(),
    ) == (1, before)
