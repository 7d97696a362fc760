"""The points of the kill matrix: what a process has just done, by the system call that shows it.

A point is a chain of patterns over strace's log (`stepping.Stepper.walk`).  The executor's are in the order of
the ten steps of DESIGN section 2, the web service's in the order of its verbs (`ipa_tpi.flow`).
"""

from __future__ import annotations

from dataclasses import dataclass

COMMIT = r"^fdatasync\("
_POLICY = r"^write\(.*ipaTpiOperationGroup"
_LOOK = r"^sendto\(.*ListUnitsByNames"
_RESTART = r"^sendto\(.*RestartUnit"


@dataclass(frozen=True)
class Point:
    """Where something is killed.

    Attributes:
        step: Of the ten; ``preview``; or the web service's verb.
        name: For people.
        calls: Patterns, one after the other; the process stands still after the last one's call.
        there: Class of the entry whose add is on its way; it is waited for, so that only the answer is lost.
        never_taken: The directory stands still from the last but one call on: it never takes the add.
    """

    step: str
    name: str
    calls: tuple[str, ...]
    there: str = ""
    never_taken: bool = False


def event(name: str) -> str:
    """Give the pattern of an audit record on its way."""
    return rf"^sendto\(.*\\\"event\\\":\\\"{name}\\\""


def add(object_class: str) -> str:
    """Give the pattern of an add on its way: only adds name an entry's id and its class."""
    return rf"^write\(.*ipaTpiEntryId=.*{object_class}"


_RECEIPT, _PREVIEW = add("ipaTpiReceipt"), add("ipaTpiPreview")
_EXECUTION, _RESULT = add("ipaTpiExecution"), add("ipaTpiResult")

EXECUTOR_POINTS = (
    Point("1", "a new entry is journalled at first sight", (COMMIT,)),
    Point("1", "the proof is verified, and not journalled", (event("proof-verified"),)),
    Point("1", "the verdict is journalled", (event("proof-verified"), COMMIT)),
    Point("1", "the receipt's entry is journalled", (event("proof-verified"), COMMIT, COMMIT)),
    Point("1", "the receipt is in the directory, unanswered", (_RECEIPT,), there="ipaTpiReceipt"),
    Point("1", "the receipt is marked as added", (_RECEIPT, COMMIT)),
    Point("2", "the policy is being read", (_RECEIPT, _POLICY)),
    # No operation names a validation program yet; this is what comes before the intent.
    Point("3", "the unit is being looked at", (_RECEIPT, _LOOK)),
    Point("4", "the intent is journalled", (_RECEIPT, _LOOK, COMMIT)),
    Point("4", "the intent is audited", (event("intent"),)),
    Point("5", "the execution entry is in the directory, unanswered", (_EXECUTION,), there="ipaTpiExecution"),
    Point("5", "the execution entry is marked as added", (_EXECUTION, COMMIT)),
    Point("6", "the policy is being read again", (_EXECUTION, _POLICY)),
    Point("6", "the claim is audited, and not journalled", (event("claim"),)),
    Point("7", "the claim is journalled", (event("claim"), COMMIT)),
    Point("8", "systemd has been asked", (_RESTART,)),
    Point("9", "the outcome is journalled", (_RESTART, COMMIT)),
    Point("10", "the outcome is audited", (event("outcome"),)),
    Point("10", "the result's entry is journalled", (event("outcome"), COMMIT)),
    Point("10", "the result is in the directory, unanswered", (_RESULT,), there="ipaTpiResult"),
    Point("10", "the result is marked as added", (_RESULT, COMMIT)),
    Point("10", "the request is marked as published", (_RESULT, COMMIT, COMMIT)),
)
# Before a request is dispatched at all: what step 1 is for the requester's proof, and what will be approved.
PREVIEW_POINTS = (
    Point("preview", "the request is journalled at first sight", (COMMIT,)),
    Point("preview", "the requester's proof is verified, and not journalled", (event("proof-verified"),)),
    Point("preview", "the verdict is journalled", (event("proof-verified"), COMMIT)),
    Point("preview", "the receipt is in the directory, unanswered", (_RECEIPT,), there="ipaTpiReceipt"),
    Point("preview", "the preview is audited, and not journalled", (event("preview"),)),
    Point("preview", "the preview is journalled", (event("preview"), COMMIT)),
    Point("preview", "the preview is in the directory, unanswered", (_PREVIEW,), there="ipaTpiPreview"),
    Point("preview", "the preview is marked as added", (_PREVIEW, COMMIT)),
)
# After these the executor cannot know whether it acted; before them it has not, after them it has noted it.
INDETERMINATE_STEPS = frozenset({"7", "8"})

# With the directory as victim, an add that it never took is a case of its own.
NEVER_TAKEN_POINTS = (
    Point(
        "1",
        "the receipt never arrives",
        (event("proof-verified"), COMMIT, COMMIT, _RECEIPT),
        never_taken=True,
    ),
    Point("5", "the execution entry never arrives", (event("intent"), _EXECUTION), never_taken=True),
    Point("10", "the result never arrives", (event("outcome"), COMMIT, _RESULT), never_taken=True),
)

_ATTEMPT = event("attempt")
_PROOF = add("ipaTpiProof")
# The add of a request is the one call of the web service that carries parameters.
_ENTRY = {"request": r"^write\(.*ipaTpiParameters", "approve": add("ipaTpiApproval")}
_CLASS = {"request": "ipaTpiRequest", "approve": "ipaTpiApproval", "prove": "ipaTpiProof"}
_DONE = {
    "request": event("request-created"),
    "approve": event("approval-added"),
    "prove": event("proof-added"),
}


def _of_two(verb: str) -> tuple[Point, ...]:
    return (
        Point(verb, "before the add", (_ATTEMPT,)),
        Point(verb, "the entry is there, its proof is not", (_ENTRY[verb],), there=_CLASS[verb]),
        Point(verb, "both are there, unanswered", (_PROOF,), there="ipaTpiProof"),
        Point(verb, "before the answer", (_DONE[verb],)),
    )


WEB_POINTS = (
    *_of_two("request"),
    *_of_two("approve"),
    Point("prove", "before the add", (_ATTEMPT,)),
    Point("prove", "the proof is there, unanswered", (_PROOF,), there="ipaTpiProof"),
    Point("prove", "before the answer", (_DONE["prove"],)),
)
UNPROVEN = next(point for point in WEB_POINTS if (point.step, point.there) == ("approve", "ipaTpiApproval"))
WEB_NEVER_TAKEN_POINTS = (
    *(
        Point(verb, "the entry never arrives", (_ATTEMPT, _ENTRY[verb]), never_taken=True)
        for verb in ("request", "approve")
    ),
    *(
        Point(verb, "the proof never arrives", (_ENTRY[verb], _PROOF), there=_CLASS[verb], never_taken=True)
        for verb in ("request", "approve")
    ),
    Point("prove", "the proof never arrives", (_ATTEMPT, _PROOF), never_taken=True),
)
# All has been read back: the directory's death takes nothing from the answer.
ANSWERED_POINTS = tuple(point for point in WEB_POINTS if point.name == "before the answer")
# The web service's answer has been given, and the directory dies at once.
AFTER_THE_ANSWER = (Point("request", "after the answer", ()), Point("approve", "after the answer", ()))


def cells() -> list[tuple[str, Point]]:
    """Give the whole matrix: who dies, and where."""
    executors = (*PREVIEW_POINTS, *EXECUTOR_POINTS)
    return [
        *(("executor", point) for point in executors),
        *(("directory", point) for point in (*executors, *NEVER_TAKEN_POINTS)),
        *(("directory", point) for point in (*WEB_POINTS, *WEB_NEVER_TAKEN_POINTS, *AFTER_THE_ANSWER)),
        *(("web", point) for point in (*WEB_POINTS, *EXECUTOR_POINTS)),
    ]
