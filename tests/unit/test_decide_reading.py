"""Reading operations: a class fixed in code, told at once, and no way round a second person (K02)."""

from typing import Any, get_args

import pytest
from decide_builders import (
    ALICE,
    BOB,
    RESTART,
    Entries,
    definition,
    facts,
    refused_with,
    request,
)
from reading_builders import STATUS_DN, asked, reading

from ipa_tpi.decide.authorization import Stage, authorize
from ipa_tpi.decide.definition import READING, load_operation
from ipa_tpi.model import Allow, NotYet, Refuse


def test_the_class_is_fixed() -> None:
    assert {"dirsrv.status", "systemd.unit.status"} == READING


@pytest.mark.parametrize("approvals", ["1", "00", "-0", "", None])
def test_a_reading_operation_demands_no_approvals_and_says_so(approvals: str | None) -> None:
    answer = load_operation(STATUS_DN, definition(cn="dirsrv.status", ipatpirequiredapprovals=approvals))
    refused_with(answer, "operation-malformed", "ipatpirequiredapprovals" if approvals is None else "pproval")


def test_no_other_operation_can_say_so() -> None:
    refused_with(load_operation(RESTART.dn, definition(ipatpirequiredapprovals="0")), "operation-malformed")


def test_a_status_is_told_to_who_may_ask() -> None:
    assert authorize(reading(), "read").decision == Allow("the request's proof is verified")


@pytest.mark.parametrize("stage", [stage for stage in get_args(Stage) if stage != "read"])
def test_a_reading_operation_goes_through_no_other_stage(stage: Stage) -> None:
    told = f"dirsrv.status cannot be taken through the stage {stage}; report this"
    assert authorize(reading(), stage).decision == Refuse("not-reading", told)


def test_the_stage_of_reading_runs_nothing_else() -> None:
    proof = Entries(request()).proof(ALICE, "request", 0)
    refused_with(authorize(facts(proof), "read").decision, "not-reading")


def test_without_a_proof_nothing_is_told_yet() -> None:
    answer = authorize(reading(memory={"verified": frozenset()}), "read").decision
    assert isinstance(answer, NotYet)
    assert answer.code == "proof-missing"


def test_what_was_shown_and_not_told_is_told_after_a_restart() -> None:
    answer = authorize(reading(Entries(asked()).preview()), "read").decision
    assert answer == Allow("the request's proof was verified, and nothing has to be approved")
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
