"""One approver approves eight times at once, where two people are needed.

If two of his approvals came between the check and the write of one another, he would count for two.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import ldap
import pytest
from straight import (
    OPERATION_DN,
    add_voice,
    changed,
    digests,
    never_intended,
    prove,
    runs_for,
    settle,
    voice,
)
from world import World

from ipa_tpi.errors import TpiError
from ipa_tpi.model import Purpose

RACERS = 8
Racer = Callable[[], str]


@pytest.fixture(autouse=True)
def _two_needed(world: World) -> Iterator[None]:
    with changed(world.root(), OPERATION_DN, ipaTpiRequiredApprovals=[b"2"]):
        yield


def straight_to_the_directory(world: World, request_id: str, about: bytes) -> Racer:
    """Make a racer with a connection of his own, bound as bob."""
    connection = world.ldap("bob")

    def add() -> str:
        try:
            add_voice(connection, request_id, "ipaTpiApproval", about)
        except ldap.CONSTRAINT_VIOLATION:
            return "already-voiced"
        return "added"

    return add


def through_the_web(world: World, request_id: str, about: bytes) -> Racer:
    """Make a racer with a client and a proof of his own."""
    api, body = world.api("bob"), voice(world, "bob", about)

    def post() -> str:
        try:
            api._post(f"/requests/{request_id}/approvals", body)
        except TpiError as error:
            return error.code
        return "added"

    return post


WAYS = {
    "straight to the directory": [straight_to_the_directory] * RACERS,
    "through the web": [through_the_web] * RACERS,
    "both": [straight_to_the_directory, through_the_web] * (RACERS // 2),
}


def race(racers: list[Racer]) -> list[str]:
    """Let all go at the same moment, and say how each ended."""
    barrier = threading.Barrier(len(racers))

    def run(racer: Racer) -> str:
        barrier.wait(10)
        return racer()

    with ThreadPoolExecutor(len(racers)) as pool:
        return list(pool.map(run, racers))


@pytest.mark.parametrize("way", WAYS)
def test_who_approves_eight_times_at_once_counts_once(world: World, way: str) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    racers = [make(world, request_id, about) for make in WAYS[way]]
    assert Counter(race(racers)) == {"added": 1, "already-voiced": RACERS - 1}
    prove(world, "bob", request_id, Purpose.APPROVE, about)
    settle(world, request_id, "alice")
    assert len(world.of_class(request_id, "ipaTpiApproval")) == 1
    view = world.api("carol").show(request_id)
    assert (view.state, view.code) == ("pending", "approvals-missing")
    assert [(one.who, one.counts) for one in view.approvals] == [("bob@TPI.TEST", True)]
    never_intended(world, request_id)
    runs_for(world, request_id, "carol")


def test_two_people_who_race_are_two(world: World) -> None:
    """The same race, won by each of two people: it runs, once."""
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    before = world.starts()
    racers = [straight_to_the_directory(world, request_id, about)]
    connection = world.ldap("carol")

    def carol() -> str:
        add_voice(connection, request_id, "ipaTpiApproval", about)
        return "added"

    assert race([*racers, carol]) == ["added", "added"]
    for person in ("bob", "carol"):
        prove(world, person, request_id, Purpose.APPROVE, about)
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1
