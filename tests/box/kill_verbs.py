"""Rounds of the kill matrix in which something dies while a person speaks with the web service.

Nobody is told that something is recorded by a service that died; what is recorded counts all the same.  The
person looks and says again only what is missing, as the answer asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kill_points import ANSWERED_POINTS, UNPROVEN, Point
from kill_scene import Saying, ids_of, kill_directory, patient, walk, web_processes, wish
from stepping import ALL_CALLS, traced
from world import World


class LostError(AssertionError):
    """Something that a person was told to be recorded is gone, or a request came to no end or a wrong one."""


def request(world: World, victim: str, point: Point, reason: str) -> str:
    """Make a request while something dies; give the id of the one that is there in the end."""

    def ask() -> Any:
        return world.api("alice").create(wish(reason))

    if point.calls:
        told = _say(world, victim, point, reason, ask)
    else:
        ask()
        kill_directory(world)
        told = True
    ids = patient(lambda: [ids_of(world, reason)])[0]
    if not ids and told:
        raise LostError("a request that had been recorded is gone")
    if not ids:  # not recorded, and nobody was told so: asked for again
        ids = [patient(ask).id]
    assert len(ids) == 1, ids
    _say_what_is_missing(world, "alice", ids[0], "")
    return str(ids[0])


def approve(world: World, victim: str, point: Point, request_id: str) -> bool:
    """Approve a request while something dies; tell whether bob was told that it is recorded."""
    if point.calls:
        told = _say(world, victim, point, request_id, lambda: world.approve("bob", request_id))
    else:
        world.approve("bob", request_id)
        kill_directory(world)
        told = True
    _say_what_is_missing(world, "bob", request_id, "ipaTpiApproval")
    return told


def prove(world: World, victim: str, point: Point, request_id: str) -> bool:
    """Prove an approval whose proof is missing while something dies; tell whether bob was told that it is recorded."""
    _leave_unproven(world, request_id)
    told = _say(world, victim, point, request_id, lambda: _prove(world, "bob", request_id))
    _say_what_is_missing(world, "bob", request_id, "ipaTpiApproval")
    return told


def _say(world: World, victim: str, point: Point, what: str, act: Callable[[], Any]) -> bool:
    """Have a person say something, and the victim die on the way; tell whether there was an answer."""
    with traced(web_processes(), ALL_CALLS) as web:
        said = Saying(act)
        walk(world, web, point, what)
        if victim == "web":
            web.kill()
        else:
            kill_directory(world)
    if victim == "directory" and point in ANSWERED_POINTS:
        error = said.error()
        assert error is None, f"all had been read, and yet: {error}"
        return True
    said.assert_no_answer()
    return False


def _leave_unproven(world: World, request_id: str) -> None:
    """Have an approval without its proof: the service dies between the two."""
    with traced(web_processes(), ALL_CALLS) as web:
        said = Saying(lambda: world.approve("bob", request_id))
        walk(world, web, UNPROVEN, request_id)
        web.kill()
    said.assert_no_answer()


def _prove(world: World, person: str, request_id: str) -> Any:
    api = world.api(person)
    return api.prove(api.show(request_id))


def _say_what_is_missing(world: World, person: str, request_id: str, voice: str) -> None:
    """Say again only what the directory does not hold: a voice, or the proof of one (a request's too)."""
    writer = f"uid={person},".encode()

    def by_person(object_class: str) -> list[Any]:
        return [
            one
            for one in world.of_class(request_id, object_class)
            if one["creatorsName"][0].startswith(writer)
        ]

    there = patient(lambda: [by_person(voice) if voice else True, by_person("ipaTpiProof")])
    if not there[0]:
        patient(lambda: world.approve(person, request_id))
    elif not there[1]:
        patient(lambda: _prove(world, person, request_id))
