"""One round of the kill matrix: a request on its way, a process that dies at a point, and what became of it.

Nothing is repaired by the test: systemd starts the executor and the directory again, Apache its processes.
Only what a person was not told to be recorded is said again by that person, as the answer asks for.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ldap
from kill_points import INDETERMINATE_STEPS, Point, event
from stepping import ALL_CALLS, Stepper, await_that, standing, stepped, traced
from world import EXECUTOR, HOST, REQUESTS, UNIT, World, eventually

from ipa_tpi.client.wish import Wish
from ipa_tpi.errors import TpiError

DIRECTORY = "dirsrv@TPI-TEST.service"
WEB_USER = "ipatpi-web"
LONG_SECONDS = 60.0
# What counts is whether and how often systemd starts DS01: a process that starts at once stands in for it.
# The others only come back sooner than on a server; on none of them does anything else change.
DROP_INS = {
    UNIT: "[Service]\nType=exec\nExecStartPre=\nExecStart=\nExecStart=/bin/sleep infinity\n",
    EXECUTOR: "[Service]\nRestartSec=100ms\n",
    DIRECTORY: "[Service]\nRestart=always\nRestartSec=100ms\n",
}
_numbers = itertools.count(1)


class LostError(AssertionError):
    """Something that a person was told to be recorded is gone, or a request came to no end or a wrong one."""


@dataclass
class Played:
    """What a round has done until the kill.

    Attributes:
        request_id: Of the request.
        told: What people were told to be recorded: entry classes.
        doubtful: It may end as indeterminate.
    """

    request_id: str = ""
    told: set[str] = field(default_factory=set)
    doubtful: bool = False


@dataclass(frozen=True)
class Ended:
    """How a round ended.

    Attributes:
        outcome: Of the result entry.
        starts: How often systemd started the unit in it.
    """

    outcome: str
    starts: int


@contextmanager
def quick_units(world: World) -> Iterator[None]:
    """Have the daemons come back at once, each by itself, for the length of the matrix."""
    paths = {unit: Path(f"/run/systemd/system/{unit}.d/zz-kills.conf") for unit in DROP_INS}
    for unit, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DROP_INS[unit])
    world.systemctl("daemon-reload")
    world.systemctl("restart", UNIT)
    try:
        yield
    finally:
        for path in paths.values():
            path.unlink()
        world.systemctl("daemon-reload")
        world.systemctl("restart", UNIT)


def play(world: World, victim: str, point: Point) -> Ended:
    """Play one round and check what became of it.

    Args:
        world: The box, with `quick_units`.
        victim: ``executor``, ``web`` or ``directory``.
        point: Where it dies.

    Returns:
        How it ended.

    Raises:
        LostError: An approval or a request was lost, or ended otherwise than it may.
        AssertionError: Something ran twice, or the point was never reached.
    """
    before = world.starts()
    played = Played()
    if point.step.isdecimal():
        _at_a_step(world, victim, point, played)
    else:
        _at_a_verb(world, victim, point, played)
    ended = _judge(world, played, before)
    # The directory is there again, and the web service shows what is in it.
    view = patient(lambda: world.api("bob").show(played.request_id))
    if view.state != ended.outcome:
        raise LostError(f"it ended as {ended.outcome} and is shown as {view.state}")
    return ended


def patient(act: Callable[[], Any], seconds: float = LONG_SECONDS) -> Any:
    """Do something as soon as the service can be reached; a refusal by it counts as an answer."""

    def attempt() -> Any:
        with suppress(TpiError, ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.UNAVAILABLE):
            return act()
        return None

    return eventually(attempt, seconds)


def web_processes() -> list[int]:
    """Give the daemon processes of the web service."""
    found = subprocess.run(
        ["/usr/bin/pgrep", "-u", WEB_USER], capture_output=True, text=True, timeout=20, check=False
    ).stdout
    return [int(word) for word in found.split()]


# --- the ten steps ------------------------------------------------------------


def _at_a_step(world: World, victim: str, point: Point, played: Played) -> None:
    request_id = played.request_id = patient(
        lambda: world.request("alice", reason=f"kills {next(_numbers)}: {victim} at {point.step}")
    )
    played.doubtful = victim == "executor" and point.step in INDETERMINATE_STEPS
    with ExitStack() as stack:
        executor = stack.enter_context(stepped(world, ALL_CALLS))
        if victim == "web":
            _approve_without_answer(world, stack, request_id)
        else:
            world.approve("bob", request_id)
            played.told.add("ipaTpiApproval")
        _walk(world, executor, point, request_id)
        if victim == "executor":
            executor.kill()
        elif victim == "directory":
            _kill_directory(world)


def _approve_without_answer(world: World, stack: ExitStack, request_id: str) -> None:
    """Have bob approve; the web service's process stands before its answer, and dies when the executor stands."""
    web = traced(web_processes(), ALL_CALLS)
    stepper = web.__enter__()
    said = Saying(lambda: world.approve("bob", request_id))
    stepper.walk(event("approved"))

    def die(*_: object) -> None:
        stepper.kill()
        web.__exit__(None, None, None)
        said.assert_no_answer()

    # Left before the executor's own stepper lets go of it, so at the point.
    stack.push(die)


def _walk(world: World, stepper: Stepper, point: Point, request_id: str) -> int:
    """Walk to a point; give the process that stands there.  With `never_taken` the directory stands still too."""
    directory = world.pid(DIRECTORY)
    first = point.calls
    if point.never_taken:
        first, last = point.calls[:-1], point.calls[-1]
        stop = stepper.walk(*first)
        _wait_until_there(world, request_id, point.there)
        os.kill(directory, signal.SIGSTOP)
        stepper.go_on(stop.pid)
        return stepper.walk(last).pid
    stop = stepper.walk(*first)
    _wait_until_there(world, request_id, point.there)
    return stop.pid


def _wait_until_there(world: World, request_id: str, object_class: str) -> None:
    if object_class == "ipaTpiRequest":
        eventually(lambda: _ids(world, request_id))
    elif object_class:
        count = 2 if object_class in {"ipaTpiReceipt", "ipaTpiProof"} else 1
        await_that(
            lambda: len(world.of_class(request_id, object_class)) >= count, 20, f"no {object_class} came"
        )


def _kill_directory(world: World) -> None:
    pid = world.pid(DIRECTORY)
    os.kill(pid, signal.SIGKILL)
    await_that(lambda: not Path(f"/proc/{pid}").exists(), 20, "the directory does not die")


# --- the web service's verbs --------------------------------------------------


class Saying:
    """A person who says something, while somebody else kills the service: in a thread of its own."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act
        self._error: TpiError | None = None
        self._answer: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._act()
        except TpiError as error:
            self._error = error

    def assert_no_answer(self) -> TpiError:
        """Nobody is told that something is recorded when the answer was never given."""
        self._thread.join(LONG_SECONDS)
        assert not self._thread.is_alive(), "the person still waits for an answer"
        assert self._error is not None, f"an answer of a dead service: {self._answer}"
        return self._error

    def answer(self) -> Any:
        """Give the answer."""
        self._thread.join(LONG_SECONDS)
        assert self._error is None, self._error
        return self._answer


def _at_a_verb(world: World, victim: str, point: Point, played: Played) -> None:
    reason = f"kills {next(_numbers)}: {victim} at {point.step}"
    if point.step == "request":
        played.request_id = _request(world, victim, point, reason, played)
        patient(lambda: world.api("bob").show(played.request_id).preview is not None or None)
        patient(lambda: world.approve("bob", played.request_id))
        played.told.add("ipaTpiApproval")
        return
    played.request_id = patient(lambda: world.request("alice", reason=reason))
    if point.step == "prove":
        _leave_unproven(world, played.request_id)
        _say(world, victim, point, played.request_id, lambda: _prove(world, "bob", played.request_id))
    elif not point.calls:
        world.approve("bob", played.request_id)
        played.told.add("ipaTpiApproval")
        _kill_directory(world)
    else:
        _say(world, victim, point, played.request_id, lambda: world.approve("bob", played.request_id))
    _say_what_is_missing(world, "bob", played.request_id, "ipaTpiApproval")


def _request(world: World, victim: str, point: Point, reason: str, played: Played) -> str:
    """Make a request while something dies; give the id of the one that is there in the end."""

    def ask() -> Any:
        return world.api("alice").create(Wish("dirsrv.restart", HOST, {"instance": "DS01"}, reason))

    if point.calls:
        _say(world, victim, point, reason, ask)
    else:
        played.request_id = ask().id
        played.told.add("ipaTpiRequest")
        _kill_directory(world)
    ids = patient(lambda: [_ids(world, reason)])[0]
    if not ids:  # not recorded, and nobody was told so: asked for again
        if played.told:
            raise LostError(f"the request {played.request_id} was recorded, and is gone")
        ids = [patient(ask).id]
    assert len(ids) == 1, ids
    _say_what_is_missing(world, "alice", ids[0], "")
    return str(ids[0])


def _say(world: World, victim: str, point: Point, what: str, act: Callable[[], Any]) -> None:
    """Have a person say something, and the victim die on the way."""
    with traced(web_processes(), ALL_CALLS) as web:
        said = Saying(act)
        _walk(world, web, point, what)
        if victim == "web":
            web.kill()
        else:
            _kill_directory(world)
    error = said.assert_no_answer()
    assert error.message, error


def _leave_unproven(world: World, request_id: str) -> None:
    """Have an approval without its proof: the service dies between the two."""
    with traced(web_processes(), ALL_CALLS) as web:
        said = Saying(lambda: world.approve("bob", request_id))
        web.walk(r"^write\(.*ipaTpiEntryId=.*ipaTpiApproval")
        _wait_until_there(world, request_id, "ipaTpiApproval")
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
            one for one in world.of_class(request_id, object_class) if one["creatorsName"][0].startswith(writer)
        ]

    there = patient(lambda: [by_person(voice) if voice else True, by_person("ipaTpiProof")])
    if not there[0]:
        patient(lambda: world.approve(person, request_id))
    elif not there[1]:
        patient(lambda: _prove(world, person, request_id))


def _ids(world: World, reason: str) -> list[str]:
    wanted = ldap.filter.filter_format("(&(objectClass=ipaTpiRequest)(ipaTpiReason=%s))", [reason])
    found = world.root().search_s(REQUESTS, ldap.SCOPE_ONELEVEL, wanted, ["ipaTpiRequestId"])
    return [raw["ipaTpiRequestId"][0].decode() for dn, raw in found if dn]


# --- what became of it --------------------------------------------------------


def _judge(world: World, played: Played, before: list[str]) -> Ended:
    request_id = played.request_id
    try:
        eventually(lambda: standing(request_id).published, LONG_SECONDS)
    except AssertionError as error:
        raise LostError(f"{request_id} came to no end: {standing(request_id)}") from error
    results = patient(lambda: world.of_class(request_id, "ipaTpiResult"))
    outcome = results[0]["ipaTpiOutcome"][0].decode()
    if outcome != "executed" and not (played.doubtful and outcome == "indeterminate"):
        raise LostError(f"{request_id} ended as {outcome}: {results}")
    for object_class in played.told:
        if object_class != "ipaTpiRequest" and not world.of_class(request_id, object_class):
            raise LostError(f"the {object_class} of {request_id} is gone")
    # What was asked of systemd has happened.
    eventually(lambda: not world.systemctl("list-jobs", "--no-legend", UNIT).strip().startswith(UNIT))
    if outcome == "executed":
        eventually(lambda: len(world.starts()) > len(before))
    caused = world.starts()[len(before) :]
    assert len(set(caused)) == len(caused) <= 1, f"{request_id} ran {len(caused)} times: {caused}"
    if caused:
        assert world.invocation() == caused[0], "another start than systemd's journal knows of"
    for object_class, most in (("ipaTpiExecution", 1), ("ipaTpiResult", 1), ("ipaTpiApproval", 1)):
        assert len(world.of_class(request_id, object_class)) <= most, f"{request_id} has two of {object_class}"
    return Ended(outcome, len(caused))
