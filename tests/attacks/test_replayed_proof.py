"""A proof that counted is put in again: by the same person, by another, below another request, by the web tier."""

from __future__ import annotations

from straight import (
    add_proof,
    add_voice,
    approve,
    digests,
    proofs,
    receipt,
    refused_proof,
    settle,
)
from world import World

from ipa_tpi.model import Purpose


def test_a_proof_counts_once(world: World) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    # bob's proof is there and verified, before he approves.
    token, mic = world.proof("bob", Purpose.APPROVE, about)
    first = add_proof(world.ldap("bob"), request_id, "approve", about, (token, mic))
    assert receipt(world, request_id, first) == "verified"
    for person in ("bob", "carol", "alice"):
        again = add_proof(world.ldap(person), request_id, "approve", about, (token, mic))
        refused_proof(world, request_id, again, "proof-replayed")
    # carol's approval with bob's proof is an approval without one.
    add_voice(world.ldap("carol"), request_id, "ipaTpiApproval", about)
    settle(world, request_id, "alice")
    view = world.api("carol").show(request_id)
    assert (view.state, view.code) == ("pending", "proof-missing")
    # It was good for bob alone, once.
    before = world.starts()
    add_voice(world.ldap("bob"), request_id, "ipaTpiApproval", about)
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_a_proof_below_another_request_counts_nothing(world: World) -> None:
    first, second = world.request("alice"), world.request("alice")
    approve(world, "bob", first)
    world.wait_state(first, "executed")
    (proof,) = proofs(world, first, "bob")
    about = digests(world, second).approval
    add_voice(world.ldap("bob"), second, "ipaTpiApproval", about)
    before = world.starts()
    for digest in (proof.digest, about):
        again = add_proof(world.ldap("bob"), second, "approve", digest, (proof.token, proof.mic))
        refused_proof(world, second, again, "proof-replayed")
    settle(world, second, "alice")
    assert world.starts() == before


def test_who_puts_in_another_persons_proof_first_does_not_spend_it(world: World) -> None:
    """The web tier saw bob's proof first, and has carol's account put it in: bob's own still counts."""
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    made = world.proof("bob", Purpose.APPROVE, about)
    stolen = add_proof(world.ldap("carol"), request_id, "approve", about, made)
    refused_proof(world, request_id, stolen, "proof-other-principal")
    add_voice(world.ldap("bob"), request_id, "ipaTpiApproval", about)
    before = world.starts()
    add_proof(world.ldap("bob"), request_id, "approve", about, made)
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1
