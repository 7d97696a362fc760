"""The directory without anybody's keys puts another entry under the id of a veto that was seen.

Whoever rewrites the database would gain the execution of a request whose only approval was withdrawn, if
the executor knew its journalled entries by their ids alone.
"""

from __future__ import annotations

from straight import add_child, digests, ended, never_intended, settle
from world import EXECUTOR, World, stopped


def test_a_seen_withdrawal_that_became_another_entry_denies(world: World) -> None:
    request_id = world.request("alice")
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        bob = world.api("bob")
        bob.withdraw(bob.show(request_id))
    settle(world, request_id, "alice")
    before = world.starts()
    ((dn, raw),) = [one for one in world.children(request_id) if b"ipaTpiWithdrawal" in one[1]["objectClass"]]
    entry_id = raw["ipaTpiEntryId"][0].decode()
    assert world.claims(
        "SELECT kept FROM first_seen WHERE request = ? AND entry = ?", request_id, entry_id
    ) == [(1,)]
    root = world.root()
    root.delete_s(dn)
    add_child(
        root,
        request_id,
        "ipaTpiProof",
        entry_id=entry_id,
        ipaTpiProofKind=b"gss",
        ipaTpiPurpose=b"request",
        ipaTpiDigest=digests(world, request_id).request.hex().encode(),
        ipaTpiToken=b"x",
        ipaTpiMic=b"x",
    )
    assert ended(world, request_id) == ("denied", "seen-entry-changed")
    never_intended(world, request_id)
    assert world.starts() == before
