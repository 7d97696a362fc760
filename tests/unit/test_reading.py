"""Reading operations: a class fixed in code, told at once, and no way round a second person (K02)."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from decide_builders import (
    ALICE,
    BOB,
    FLOOR,
    REQUEST_ID,
    RESTART,
    SUFFIX,
    Entries,
    definition,
    facts,
    policy,
    refused_with,
    request,
    rule,
)
from executor_fakes import Box, CrashError

from ipa_tpi.decide.authorization import Facts, Stage, authorize
from ipa_tpi.decide.definition import READING, load_operation
from ipa_tpi.errors import ActionFailedError, ServiceManagerError
from ipa_tpi.model import Allow, FloorOperation, NotYet, Operation, Policy, Refuse, Right

STATUS_DN = f"cn=dirsrv.status,cn=tpioperations,cn=tpi,{SUFFIX}"
FLOOR_TOO = replace(
    FLOOR,
    operations={
        **FLOOR.operations,
        "dirsrv.status": FloorOperation(1, proof=True, instances=frozenset({"DS01"})),
    },
)


def loaded() -> Operation:
    """Give the definition of dirsrv.status."""
    made = load_operation(STATUS_DN, definition(cn="dirsrv.status", ipatpirequiredapprovals="0"))
    assert isinstance(made, Operation), made
    return made


def rules() -> Policy:
    """Give a policy in which the operators may ask for both."""
    ask = rule("operators ask", Right.REQUEST, operations=frozenset({STATUS_DN, RESTART.dn}))
    return policy(ask, operations={RESTART.name: RESTART, "dirsrv.status": loaded()})


def asked(**changes: Any) -> Any:
    """Give a request for the status."""
    return request(operation="dirsrv.status", operation_digest=loaded().digest, **changes)


def reading(*more: Any, **changes: Any) -> Facts:
    """Give facts in which the status may be told."""
    wanted = changes.pop("asked", None) or asked()
    proof = Entries(wanted).proof(ALICE, "request", 0)
    return facts(proof, *more, asked=wanted, policy=rules(), floor=FLOOR_TOO, **changes)


def test_the_class_is_fixed() -> None:
    assert {"dirsrv.status", "systemd.unit.status"} == READING


@pytest.mark.parametrize("approvals", ["1", "00", "-0", "", None])
def test_a_reading_operation_demands_no_approvals_and_says_so(approvals: str | None) -> None:
    answer = load_operation(STATUS_DN, definition(cn="dirsrv.status", ipatpirequiredapprovals=approvals))
    refused_with(answer, "operation-malformed", "ipatpirequiredapprovals" if approvals is None else "pproval")


def test_no_other_operation_can_say_so() -> None:
    refused_with(load_operation(RESTART.dn, definition(ipatpirequiredapprovals="0")), "operation-malformed")


def test_a_status_is_told_to_who_may_ask() -> None:
    assert isinstance(authorize(reading(), "read").decision, Allow)


@pytest.mark.parametrize("stage", [stage for stage in get_args(Stage) if stage != "read"])
def test_a_reading_operation_goes_through_no_other_stage(stage: Stage) -> None:
    refused_with(authorize(reading(), stage).decision, "not-reading", stage)


def test_the_stage_of_reading_runs_nothing_else() -> None:
    proof = Entries(request()).proof(ALICE, "request", 0)
    refused_with(authorize(facts(proof), "read").decision, "not-reading")


def test_without_a_proof_nothing_is_told_yet() -> None:
    answer = authorize(reading(memory={"verified": frozenset()}), "read").decision
    assert isinstance(answer, NotYet)
    assert answer.code == "proof-missing"


def test_what_was_shown_and_not_told_is_told_after_a_restart() -> None:
    assert isinstance(authorize(reading(Entries(asked()).preview()), "read").decision, Allow)
    unproven = reading(Entries(asked()).preview(), memory={"verified": frozenset()})
    assert isinstance(authorize(unproven, "read").decision, NotYet)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"asked": request(BOB, operation="dirsrv.status", operation_digest=b"x" * 32)}, "operation-changed"),
        ({"now": 301.0}, "expired"),
        ({"asked": asked(parameters={"instance": "DS02"})}, "below-floor"),
    ],
)
def test_reading_is_refused_as_anything_else(changes: dict[str, Any], code: str) -> None:
    answer = authorize(reading(**changes), "read").decision
    refused_with(answer, code)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A host that tells about its directory server."""
    made = Box(tmp_path, FLOOR_TOO)
    made.directory.rules = rules()
    yield made
    made.close()


def ask(box: Box, **changes: Any) -> None:
    """Alice asks for the status."""
    box.ask(operation="dirsrv.status", operation_digest=loaded().digest, **changes)


def test_preview_and_result_come_at_once(box: Box) -> None:
    ask(box)
    assert box.process() is None
    assert box.outcomes() == ["executed"]
    assert box.excerpt() == "dirsrv@DS01.service is active (running), main PID 100"
    assert len(box.directory.of("ipaTpiPreview")) == 1
    assert box.directory.of("ipaTpiExecution") == []
    assert box.systemd.acts == []
    assert box.audit.events() == ["request-seen", "proof-verified", "read", "preview", "outcome"]
    assert box.process() is None
    assert box.outcomes() == ["executed"]


def test_it_waits_for_the_proof(box: Box) -> None:
    ask(box, proof=False)
    assert box.process() is not None
    assert (box.outcomes(), box.directory.of("ipaTpiPreview")) == ([], [])


def test_who_may_not_ask_is_told_nothing(box: Box) -> None:
    box.directory.rules = replace(rules(), rules=())
    ask(box)
    box.process()
    assert box.outcomes() == ["denied"]
    assert box.directory.of("ipaTpiPreview") == []


def test_a_unit_that_is_not_there(box: Box) -> None:
    box.systemd.refusal = ActionFailedError("there is no unit dirsrv@DS01.service")
    ask(box)
    box.process()
    assert box.outcomes() == ["denied"]
    assert "there is no unit" in box.excerpt()


def test_a_unit_that_went_after_it_was_shown(box: Box) -> None:
    box.weather.then["systemd.unit_state"] = lambda: setattr(
        box.systemd, "refusal", ActionFailedError("gone")
    )
    ask(box)
    box.process()
    assert box.outcomes() == ["failed"]


def test_a_dead_bus_is_waited_for(box: Box) -> None:
    ask(box)
    box.weather.fails["systemd.unit_state"] = ServiceManagerError("the bus is gone")
    with pytest.raises(ServiceManagerError):
        box.process()
    assert box.outcomes() == []
    box.weather.calm()
    box.process()
    assert box.outcomes() == ["executed"]


@pytest.mark.parametrize("first", [1, 11, 21, 31, 41])
def test_a_crash_at_any_call_leaves_one_answer(first: int) -> None:
    for number in range(first, first + 10):
        # In memory, so that syncing the journal costs nothing.
        folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        box = Box(Path(folder.name), FLOOR_TOO)
        box.directory.rules = rules()
        ask(box)
        box.weather.calm()
        box.weather.crash_after = number
        try:
            box.process()
        except CrashError:
            box.reboot()
        box.weather.calm()
        box.process()
        assert box.outcomes() == ["executed"], number
        assert len(box.directory.of("ipaTpiPreview")) == 1
        assert box.claims.claim(REQUEST_ID) is not None
        box.close()
        folder.cleanup()


def test_a_reading_rule_opens_nothing_else(box: Box) -> None:
    box.ask()
    box.process()
    assert box.outcomes() == []
    decision = authorize(replace(reading(), subtree=box.directory.load(REQUEST_ID)), "read").decision
    assert isinstance(decision, Refuse)
