"""The tree of errors and the tables from codes to people and programs (STYLE: Errors)."""

import inspect
import re
from pathlib import Path

import pytest

from ipa_tpi import errors
from ipa_tpi.errors import HTTP_STATUS, STATE_EXIT_STATUS, RefusedError, TpiError, exit_status
from ipa_tpi.model import State

PACKAGE = Path(errors.__file__).parent
CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, TpiError)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_every_error_has_a_stable_code_with_a_status(error: type[TpiError]) -> None:
    assert error.__name__.endswith("Error")
    assert error("what happened").code in HTTP_STATUS
    assert error("what happened").message == str(error("what happened")) == "what happened"


def test_classes_do_not_share_a_code() -> None:
    codes = [each.code for each in CLASSES]
    assert sorted(codes) == sorted(set(codes))


def test_a_code_can_be_given() -> None:
    assert RefusedError("no", code="no-rule").code == "no-rule"
    assert RefusedError("no").code == RefusedError.code == "refused"


@pytest.mark.parametrize("code", HTTP_STATUS)
def test_every_code_is_a_hyphenated_word_with_a_known_exit_status(code: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert 200 <= HTTP_STATUS[code] < 600
    assert exit_status(code) in {0, 1, 2, 4, 5, 8, 64}


def test_every_code_that_the_source_names_has_a_status() -> None:
    """The code is the first argument of a `Refuse`, or a keyword ``code=``."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        named = re.findall(r"Refuse\(\s*\"([a-z-]+)\"", source) + re.findall(r"\bcode=\"([a-z-]+)\"", source)
        missing = sorted(set(named) - HTTP_STATUS.keys())
        assert missing == [], path


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not-found", 2),
        ("no-rule", 4),
        ("digest-mismatch", 4),
        ("proof-invalid", 4),
        ("too-many-pending", 4),
        ("expired", 5),
        ("cancelled", 8),
        ("bad-input", 64),
        ("bad-json", 64),
        ("directory-unavailable", 1),
        ("error", 1),
        ("no such code", 1),
    ],
)
def test_exit_statuses(code: str, status: int) -> None:
    assert exit_status(code) == status


def test_every_state_has_its_exit_status() -> None:
    assert STATE_EXIT_STATUS == {
        State.AWAITING_PREVIEW: 3,
        State.PENDING: 3,
        State.APPROVED: 3,
        State.EXECUTING: 3,
        State.EXECUTED: 0,
        State.FAILED: 7,
        State.DENIED: 4,
        State.CANCELLED: 8,
        State.EXPIRED: 5,
        State.INDETERMINATE: 6,
    }
