"""Somebody who can delete in the directory takes the result of an ended request away.

He would gain a request that looks open again: people would speak about it, or believe that what was denied may
still run.  The executor's journal says that it has ended, and the executor puts the same result there again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from straight import add_voice, approve, child_dn, digests, ended, runs_for
from world import EXECUTOR, World, eventually, stopped


def executed(world: World) -> str:
    request_id = world.request("alice")
    runs_for(world, request_id)
    return request_id


def denied(world: World) -> str:
    request_id = world.request("alice")
    api = world.api("carol")
    api.deny(api.show(request_id))
    assert ended(world, request_id) == ("denied", "denied-by-approver")
    return request_id


def cancelled(world: World) -> str:
    request_id = world.request("alice")
    api = world.api("alice")
    api.cancel(api.show(request_id))
    assert ended(world, request_id) == ("cancelled", "cancelled")
    return request_id


ENDS: dict[str, Callable[[World], str]] = {"executed": executed, "denied": denied, "cancelled": cancelled}
CONTENT = ("ipaTpiEntryId", "ipaTpiOutcome", "ipaTpiExcerpt", "ipaTpiEnded")


def results(world: World, request_id: str) -> list[dict[str, Any]]:
    """Give what the results below a request say."""
    found = world.of_class(request_id, "ipaTpiResult")
    return [{name: raw.get(name) for name in CONTENT} for raw in found]


def take_away(world: World, request_id: str) -> str:
    """Delete a request's result, as only Directory Manager can; give its id."""
    (result,) = eventually(lambda: world.of_class(request_id, "ipaTpiResult"))
    # The journal says a moment later that it is there.
    eventually(lambda: world.claims("SELECT 1 FROM claims WHERE request = ? AND published = 1", request_id))
    entry_id: str = result["ipaTpiEntryId"][0].decode()
    world.root().delete_s(child_dn(request_id, entry_id))
    return entry_id


@pytest.mark.parametrize("outcome", ENDS)
def test_a_deleted_result_comes_back(world: World, outcome: str) -> None:
    """Nobody wakes the executor for it: it looks itself."""
    request_id = ENDS[outcome](world)
    before, there = world.starts(), eventually(lambda: results(world, request_id))
    take_away(world, request_id)
    assert eventually(lambda: results(world, request_id)) == there
    assert [one["outcome"] for one in world.audit(request_id, "republished")] == [outcome]
    assert len(world.audit(request_id, "outcome")) == 1
    assert world.wait_state(request_id, outcome).result.outcome == outcome
    assert world.starts() == before


def test_an_approval_in_between_revives_nothing(world: World) -> None:
    """The result is gone while the executor is away; carol approves what looks open."""
    request_id = executed(world)
    before = world.starts()
    with stopped(world, EXECUTOR):
        take_away(world, request_id)
        approve(world, "carol", request_id)
    assert world.wait_state(request_id, "executed").result is not None
    runs_for(world, world.request("bob"), "alice")
    assert len(world.starts()) == len(before) + 1
    assert len(world.audit(request_id, "claim")) == 1


def test_an_approval_in_the_results_place_revives_nothing(world: World) -> None:
    """Carol, who has read the result's id, takes its place while it is gone: it is an alarm, and no more."""
    request_id = executed(world)
    before = world.starts()
    with stopped(world, EXECUTOR):
        entry_id = take_away(world, request_id)
        about = digests(world, request_id).approval
        add_voice(world.ldap("carol"), request_id, "ipaTpiApproval", about, entry_id=entry_id)
    records = eventually(lambda: world.audit(request_id, "not-run"))
    assert {one["code"] for one in records} == {"forged-entry"}
    runs_for(world, world.request("bob"), "alice")
    assert len(world.starts()) == len(before) + 1
    assert len(world.audit(request_id, "claim")) == 1
    assert world.claims("SELECT state, outcome FROM claims WHERE request = ?", request_id) == [
        ("ended", "executed")
    ]
