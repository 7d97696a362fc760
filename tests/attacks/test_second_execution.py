"""What two people agreed on once is run a second time: by a restored directory, a copy, or another approval."""

from __future__ import annotations

from typing import Any

import ldap
import pytest
from straight import (
    add_proof,
    add_request,
    add_voice,
    approve,
    child_dn,
    digests,
    draft,
    ended,
    never_intended,
    new_id,
    proofs,
    refused_by_web,
    request_dn,
    runs_for,
)
from world import EXECUTOR, World, eventually


@pytest.fixture
def done(world: World) -> str:
    """A request that has run, once."""
    request_id = world.request("alice")
    runs_for(world, request_id)
    return request_id


def forget(world: World, request_id: str, *classes: str) -> None:
    """Restore the directory to a time before: the entries of some classes are gone."""
    root = world.root()
    for dn, raw in world.children(request_id):
        if {name.lower() for name in classes} & {value.decode().lower() for value in raw["objectClass"]}:
            root.delete_s(dn)


def runs_only_another(world: World, before: list[str]) -> None:
    """Let another request run, woken later than all before: the executor has been there, and started once."""
    runs_for(world, world.request("bob"), "alice")
    assert len(world.starts()) == len(before) + 1


def test_a_restored_directory_runs_nothing_again(world: World, done: str) -> None:
    before = world.starts()
    forget(world, done, "ipaTpiResult", "ipaTpiExecution")
    approve(world, "carol", done)  # wakes the executor, and there are now two approvals
    world.systemctl("restart", EXECUTOR)  # and it looks through all there is
    runs_only_another(world, before)
    assert world.claims("SELECT state, outcome FROM claims WHERE request = ?", done) == [
        ("ended", "executed")
    ]
    assert len(world.audit(done, "claim")) == 1


def test_a_restored_directory_without_receipts_and_preview_runs_nothing_again(
    world: World, done: str
) -> None:
    before = world.starts()
    forget(world, done, "ipaTpiResult", "ipaTpiExecution", "ipaTpiReceipt", "ipaTpiPreview")
    world.systemctl("restart", EXECUTOR)
    approve_again = add_proof  # a proof wakes it, too
    approve_again(world.ldap("bob"), done, "approve", digests_of(world, done), (b"x", b"x"))
    runs_only_another(world, before)
    assert world.of_class(done, "ipaTpiPreview") == []


def digests_of(world: World, request_id: str) -> bytes:
    return digests(world, request_id).request


def test_the_request_restored_whole_runs_nothing_again(world: World, done: str) -> None:
    """Its entry and everything below is deleted, and what was there before it ran is added again."""
    root = world.root()
    entry = world.ldap("alice").search_s(request_dn(done), ldap.SCOPE_BASE)[0][1]
    below = [(dn, raw) for dn, raw in world.children(done) if b"ipaTpiProof" in raw["objectClass"]]
    about = digests(world, done).approval
    for dn, _ in world.children(done):
        root.delete_s(dn)
    root.delete_s(request_dn(done))
    before = world.starts()
    world.ldap("alice").add_s(request_dn(done), list(entry.items()))
    for dn, raw in below:
        person = "alice" if b"request" in raw["ipaTpiPurpose"] else "bob"
        kept = [
            (name, values)
            for name, values in raw.items()
            if name.lower() not in {"creatorsname", "createtimestamp"}
        ]
        world.ldap(person).add_s(dn, kept)
    add_voice(world.ldap("bob"), done, "ipaTpiApproval", about)
    runs_only_another(world, before)
    assert world.of_class(done, "ipaTpiReceipt") == []


def test_approving_again_runs_nothing_again(world: World, done: str) -> None:
    before = world.starts()
    for person in ("bob", "carol"):
        api = world.api(person)
        with refused_by_web("already-voiced" if person == "bob" else "already-decided"):
            api.approve(api.show(done))
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        add_voice(world.ldap("bob"), done, "ipaTpiApproval", digests(world, done).approval)
    approve(world, "carol", done)
    runs_only_another(world, before)


def test_a_copy_under_another_id_is_another_request(world: World, done: str) -> None:
    """Everything is added again, by the same people, with the same proofs, under a new id."""
    copy = new_id()
    values: dict[str, Any] = {
        name: raw
        for name, raw in world.root().search_s(request_dn(done), ldap.SCOPE_BASE)[0][1].items()
        if name != "objectClass"
    }
    add_request(
        world.ldap("alice"), draft(world, "alice", id=copy), **(values | {"ipaTpiRequestId": copy.encode()})
    )
    for person in ("alice", "bob"):
        for proof in proofs(world, done, person):
            add_proof(world.ldap(person), copy, proof.purpose, proof.digest, (proof.token, proof.mic))
    add_voice(world.ldap("bob"), copy, "ipaTpiApproval", digests(world, done).approval)
    assert ended(world, copy) == ("denied", "digest-mismatch")
    never_intended(world, copy)


def test_a_copy_with_a_digest_of_its_own_has_no_proof(world: World, done: str) -> None:
    copy = draft(world, "alice")
    connection = world.ldap("alice")
    add_request(connection, copy)
    (old,) = proofs(world, done, "alice")
    again = add_proof(connection, copy.id, "request", copy.digest, (old.token, old.mic))
    records = eventually(lambda: world.audit(copy.id, "proof-refused"))
    assert [(one["proof"], one["code"]) for one in records] == [(again, "proof-replayed")]
    view = world.api("bob").show(copy.id)
    assert (view.state, view.code) == ("awaiting-preview", "proof-missing")
    assert world.root().search_s(child_dn(copy.id, again), ldap.SCOPE_BASE)
