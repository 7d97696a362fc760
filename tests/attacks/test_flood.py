"""One person floods approvers and executor with requests, so that a bad one is approved among the many."""

from __future__ import annotations

from straight import add_request, draft, ended, prove, refused_by_web, request, runs_for
from world import World, eventually

from ipa_tpi.model import Purpose

LIMIT = 3  # of one person for one operation, by the floor


def test_the_web_service_counts(world: World) -> None:
    first, *_ = [world.request("alice") for _ in range(LIMIT)]
    with refused_by_web("too-many-pending"):
        world.request("alice")
    world.request("bob")  # only alice waits
    api = world.api("alice")
    api.cancel(api.show(first))
    world.wait_state(first, "cancelled")
    world.request("alice")


def test_the_executor_counts_what_came_past_the_web_service(world: World) -> None:
    own = [world.request("alice") for _ in range(LIMIT)]
    more = [request(world, "alice") for _ in range(4)]
    for request_id in more:
        assert ended(world, request_id) == ("denied", "too-many-pending")
        assert world.of_class(request_id, "ipaTpiPreview") == []
    runs_for(world, own[0])


def test_requests_without_a_proof_count_too(world: World) -> None:
    """They are never shown to anybody, and still fill the limit."""
    for _ in range(LIMIT):
        add_request(world.ldap("alice"), draft(world, "alice"))
    late = request(world, "alice")
    assert ended(world, late) == ("denied", "too-many-pending")


def test_many_at_once_get_no_further(world: World) -> None:
    """All entries first, all proofs then: never are more than the limit shown to approvers."""
    wanted = [draft(world, "alice") for _ in range(12)]
    connection = world.ldap("alice")
    for one in wanted:
        add_request(connection, one)
    for one in wanted:
        prove(world, "alice", one.id, Purpose.REQUEST, one.digest)

    def judged() -> bool:
        return all(
            world.claims(
                "SELECT 1 FROM claims WHERE request = ?1 UNION SELECT 1 FROM previews WHERE request = ?1",
                one.id,
            )
            for one in wanted
        )

    eventually(judged)
    shown = [one.id for one in wanted if world.of_class(one.id, "ipaTpiPreview")]
    assert len(shown) <= LIMIT
