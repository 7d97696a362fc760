"""The values that every part speaks about."""

import dataclasses
import inspect
from datetime import timedelta

import pytest
from decide_builders import ALICE, BOB, Entries, at, request

from ipa_tpi import model
from ipa_tpi.model import Approval, Child, Denial, Outcome, Purpose, State, Subtree

VALUES = [each for _, each in inspect.getmembers(model, inspect.isclass) if dataclasses.is_dataclass(each)]


def test_the_states_are_those_of_k12() -> None:
    assert [state.value for state in State] == [
        "awaiting-preview", "pending", "approved", "executing", "executed", "failed", "denied", "cancelled",
        "expired", "indeterminate",
    ]  # fmt: skip


def test_every_outcome_is_a_state() -> None:
    assert {outcome.value for outcome in Outcome} < {state.value for state in State}
    assert {outcome.value for outcome in Outcome} == {
        "executed",
        "failed",
        "denied",
        "cancelled",
        "expired",
        "indeterminate",
    }


def test_the_purposes_are_those_of_design_section_5() -> None:
    assert [purpose.value for purpose in Purpose] == [
        "request",
        "approve",
        "deny",
        "withdraw",
        "cancel",
        "offline",
    ]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_every_value_is_frozen(value: type) -> None:
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_no_decision_is_taken_for_true_or_false(value: type) -> None:
    assert "__bool__" not in vars(value)


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        request().reason = "another"  # type: ignore[misc]


def test_children_of_exactly_one_class_oldest_first() -> None:
    made = Entries(request())
    second, first, third = made.approval(BOB, 20), made.approval(ALICE, 10), made.approval(BOB, 20)
    subtree = Subtree(request(), (third, made.denial(BOB, 1), second, first))
    assert subtree.of(Approval) == (first, second, third)
    assert len(subtree.of(Denial)) == 1
    assert subtree.of(Child) == ()


def test_times_are_aware() -> None:
    assert request().created.utcoffset() == timedelta(0)
    assert at(1).utcoffset() == timedelta(0)
