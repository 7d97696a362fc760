"""An approval of something else is offered as the approval of this: what was shown is not what would run."""

from __future__ import annotations

import pytest
from straight import NOBODY, approve, digests, receipt, refused_by_web, runs_for, settle, voice
from world import World

from ipa_tpi.decide.digest import approval_digest


@pytest.fixture
def wrong(world: World) -> tuple[str, dict[str, bytes]]:
    """A request, and digests that it does not have."""
    request_id, other = world.request("alice"), world.request("alice")
    own = digests(world, request_id)
    return request_id, {
        "of another request": digests(world, other).approval,
        "of the request without its preview": own.request,
        "with another preview": approval_digest(own.request, NOBODY),
        "of nothing": NOBODY,
    }


def test_the_web_service_takes_no_approval_of_something_else(
    world: World, wrong: tuple[str, dict[str, bytes]]
) -> None:
    request_id, others = wrong
    api = world.api("bob")
    for digest in others.values():
        with refused_by_web("digest-mismatch"):
            api._post(f"/requests/{request_id}/approvals", voice(world, "bob", digest))
    runs_for(world, request_id)


def test_the_executor_counts_no_approval_of_something_else(
    world: World, wrong: tuple[str, dict[str, bytes]]
) -> None:
    """bob, erin and carol each approve something else, straight to the directory, which takes it."""
    request_id, others = wrong
    for person, digest in zip(("bob", "erin", "carol"), others.values(), strict=False):
        proof = approve(world, person, request_id, digest)
        assert receipt(world, request_id, proof) == "proof-wrong-digest"
    settle(world, request_id, "alice")
    view = world.api("bob").show(request_id)
    assert [(one.code, one.counts) for one in view.approvals] == [("digest-mismatch", False)] * 3
    runs_for(world, request_id, "erin-admin")


def test_a_right_proof_does_not_mend_a_wrong_approval(
    world: World, wrong: tuple[str, dict[str, bytes]]
) -> None:
    """The approval says one thing, the proof another: neither counts for the other."""
    request_id, others = wrong
    approve(world, "bob", request_id, others["of another request"])
    api = world.api("bob")
    with refused_by_web("already-voiced"):
        api.approve(api.show(request_id))
    settle(world, request_id, "alice")
    runs_for(world, request_id, "carol")
