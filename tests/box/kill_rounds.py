"""One round of the kill matrix: a request on its way, a process that dies at a point, and what became of it.

Nothing is repaired by the test: systemd starts the executor and the directory again, Apache its processes.
Only what a person was not told to be recorded is said again by that person, as the answer asks for.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import kill_verbs
from kill_points import INDETERMINATE_STEPS, Point, event
from kill_scene import LONG_SECONDS, Saying, kill_directory, patient, settle, walk, web_processes, wish
from kill_verbs import LostError
from stepping import ALL_CALLS, standing, stepped, traced
from world import UNIT, World, eventually

PEOPLE = 2
SHORT_SECONDS = 2
_numbers = itertools.count(1)


class DoubledError(AssertionError):
    """Something was done twice."""


@dataclass
class Played:
    """What a round has done until the kill.

    Attributes:
        request_id: Of the request.
        told: What people were told to be recorded: classes of entries.
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


def play(world: World, victim: str, point: Point) -> Ended:
    """Play one round and check what became of it.

    Args:
        world: The box, with `quick_units`.
        victim: ``executor``, ``web`` or ``directory``.
        point: Where it dies.

    Returns:
        How it ended.

    Raises:
        DoubledError: It ran twice, or something of it lies in the directory twice.
        LostError: An approval or a request was lost, or ended otherwise than it may.
        AssertionError: The point was never reached, or the round could not be played.
    """
    settle(world)
    before = world.starts()
    played = Played()
    reason = f"kills {next(_numbers)}: {victim} at {point.step}"
    if point.step in {"request", "preview"}:
        make = kill_verbs.request if point.step == "request" else _before_the_preview
        played.request_id = make(world, victim, point, reason)
        patient(lambda: world.of_class(played.request_id, "ipaTpiPreview"))
        patient(lambda: world.approve("bob", played.request_id))
        played.told.add("ipaTpiApproval")
    else:
        played.request_id = world.request("alice", reason=reason)
        if point.step.isdecimal():
            _at_a_step(world, victim, point, played)
        else:
            speak = kill_verbs.approve if point.step == "approve" else kill_verbs.prove
            played.told |= {"ipaTpiApproval"} if speak(world, victim, point, played.request_id) else set()
    ended = _judge(world, played, before)
    # The directory is there again, and the web service shows what is in it.
    view = patient(lambda: world.api("bob").show(played.request_id))
    if view.state != ended.outcome:
        raise LostError(f"it ended as {ended.outcome} and is shown as {view.state}")
    return ended


# --- the ten steps ------------------------------------------------------------


def _at_a_step(world: World, victim: str, point: Point, played: Played) -> None:
    request_id = played.request_id
    played.doubtful = victim == "executor" and point.step in INDETERMINATE_STEPS
    with ExitStack() as stack:
        executor = stack.enter_context(stepped(world, ALL_CALLS))
        if victim == "web":
            _approve_without_answer(world, stack, request_id)
        else:
            world.approve("bob", request_id)
            played.told.add("ipaTpiApproval")
        walk(world, executor, point, request_id)
        if victim == "executor":
            executor.kill()
        elif victim == "directory":
            kill_directory(world)


def _before_the_preview(world: World, victim: str, point: Point, reason: str) -> str:
    """Make a request, and have something die while its executor prepares the preview; give its id."""
    with stepped(world, ALL_CALLS) as executor:
        request_id = str(world.api("alice").create(wish(reason)).id)
        walk(world, executor, point, request_id)
        if victim == "executor":
            executor.kill()
        else:
            kill_directory(world)
    return request_id


def _approve_without_answer(world: World, stack: ExitStack, request_id: str) -> None:
    """Have bob approve; the web service's process stands before its answer, and dies when the executor stands."""
    web = traced(web_processes(), ALL_CALLS)
    stepper = web.__enter__()
    said = Saying(lambda: world.approve("bob", request_id))
    stepper.walk(event("approval-added"))

    def die(*_: object) -> None:
        stepper.kill()
        web.__exit__(None, None, None)
        said.assert_no_answer()

    # Left before the executor's own stepper lets go of it, so at the point.
    stack.push(die)


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
        if not world.of_class(request_id, object_class):
            raise LostError(f"the {object_class} of {request_id} is gone")
    proofs = {one["ipaTpiEntryId"][0] for one in world.of_class(request_id, "ipaTpiProof")}
    receipts = world.of_class(request_id, "ipaTpiReceipt")
    verified = {one["ipaTpiRefersTo"][0] for one in receipts if one["ipaTpiOutcome"] == [b"verified"]}
    if len(proofs) < PEOPLE or proofs != verified or len(receipts) != len(verified):
        raise LostError(f"{request_id} has {len(proofs)} proofs, and receipts for {len(verified)}")
    # What was asked of systemd has happened.
    eventually(lambda: UNIT not in world.systemctl("list-jobs", "--no-legend"))
    if outcome == "executed":
        eventually(lambda: len(world.starts()) > len(before))
    elif played.doubtful:
        # The call may still be on its way to systemd, or it may have been dropped with its caller.
        with suppress(AssertionError):
            eventually(lambda: len(world.starts()) > len(before), SHORT_SECONDS)
    _judge_doubles(world, request_id, before)
    return Ended(outcome, len(world.starts()) - len(before))


def _judge_doubles(world: World, request_id: str, before: list[str]) -> None:
    now = world.starts()
    assert now[: len(before)] == before, "systemd's journal has lost starts that it knew"
    caused = now[len(before) :]
    if len(caused) > 1:
        raise DoubledError(f"{request_id} ran {len(caused)} times: {caused}")
    if caused and world.invocation() != caused[0]:
        raise DoubledError(f"{request_id}: a start that systemd's journal does not know")
    for name in ("ipaTpiPreview", "ipaTpiApproval", "ipaTpiExecution", "ipaTpiResult"):
        found = len(world.of_class(request_id, name))
        if found > 1:
            raise DoubledError(f"{request_id} has {found} of {name}")
