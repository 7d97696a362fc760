"""Entries of megabytes, as many as one likes: whoever reads all of a request, or lists requests, would hold them all.

The directory takes 2 MB in one attribute. The executor would be ended for its memory (MemoryMax), started again,
find the same request and be ended again: one person stops everybody's requests, for as long as the entries lie there,
and what was being acted on at that moment ends without a known end.
"""

from __future__ import annotations

import re
from pathlib import Path

from straight import add_child, add_request, changed, draft, ended, never_intended, request_dn, runs_for
from world import EXECUTOR, World, eventually, stopped

MB = 1024 * 1024
HUGE = 2_000_000
MANY = 150
# What it may use, by its unit; a box has no memory controller that would end it there.
MEMORY_MAX = 512 * MB
# What it uses for its own requests, several times over.
PLENTY = 160 * MB


def most_memory(world: World) -> int:
    """Give the most memory that the executor has used since it started, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{world.pid()}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_request_with_huge_entries_below_it_is_denied_and_not_held(world: World) -> None:
    assert int(world.show(EXECUTOR, "MemoryMax")) == MEMORY_MAX
    request_id = world.request("alice")
    with stopped(world, EXECUTOR):
        alice = world.ldap("alice")
        for _ in range(MANY):
            add_child(
                alice,
                request_id,
                "ipaTpiProof",
                ipaTpiProofKind=b"gss",
                ipaTpiPurpose=b"request",
                ipaTpiDigest=b"0" * 64,
                ipaTpiToken=b"x" * HUGE,
                ipaTpiMic=b"x",
            )
    assert ended(world, request_id) == ("denied", "malformed-request")
    never_intended(world, request_id)
    runs_for(world, world.request("bob"), "carol")
    assert most_memory(world) < PLENTY


def test_huge_requests_are_not_held_when_they_are_listed(world: World) -> None:
    with stopped(world, EXECUTOR):
        alice = world.ldap("alice")
        huge = {"ipaTpiOperationName": b"x" * HUGE}
        written = [add_request(alice, draft(world, "alice"), **huge) for _ in range(MANY)]
    for one in written:
        assert ended(world, one) == ("denied", "malformed-request")
    request_id = world.request("bob")
    assert [view.id for view in world.api("carol").list(approvable=True)] == [request_id]
    runs_for(world, request_id, "carol")
    assert most_memory(world) < PLENTY
    for one in written:
        world.root().delete_s(request_dn(one))
    eventually(lambda: world.api("carol").list(approvable=True) == [])


def test_a_request_with_more_below_it_than_the_directory_gives_stops_no_list(world: World) -> None:
    """The server's limit is lowered here, rather than thousands written."""
    request_id = world.request("alice")
    with changed(world.root(), "cn=config", **{"nsslapd-sizelimit": [b"30"]}):
        with stopped(world, EXECUTOR):
            alice = world.ldap("alice")
            for _ in range(40):
                add_child(alice, request_id, "ipaTpiCancellation", ipaTpiDigest=b"0" * 64)
        assert ended(world, request_id) == ("denied", "malformed-request")
        never_intended(world, request_id)
        good = world.request("bob")
        assert [view.id for view in world.api("carol").list()] == [good]
        runs_for(world, good, "carol")
