"""What the end of a program means: one way to accept, one way to refuse with reasons, everything else refuses."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.contract import MAX_MESSAGE_CHARACTERS, MAX_OUTPUT_BYTES
from ipa_tpi.decide.intake import check_text
from ipa_tpi.validate.run import Ended
from ipa_tpi.validate.verdict import judge, read_refusal, shown

GOOD = {"code": 2100, "name": "ACIError", "message": "no", "data": {"host": "ipa1"}}


def ended(status: int = 0, out: bytes = b"", *, timed_out: bool = False, left: bool = False) -> Ended:
    return Ended(status, out, b"", timed_out, left)


@pytest.mark.parametrize("status", [0, 1, 255, -1, -9, -64])
@pytest.mark.parametrize("out", [b"", b"\n", b"\0", b"\xff", json.dumps(GOOD).encode()])
def test_there_is_one_way_to_accept(status: int, out: bytes) -> None:
    for timed_out, left in product((False, True), (False, True)):
        answer = judge("probe", ended(status, out, timed_out=timed_out, left=left), 5)
        assert answer.accepted == (status == 0 and out == b"" and not timed_out and not left)
        assert bool(answer.code) == bool(answer.message) == (not answer.accepted)
        assert (answer.code == "validation-timeout") == timed_out
        assert check_text(answer.message, "message") is None


@given(out=st.binary(max_size=200))
def test_nothing_that_it_writes_is_a_yes(out: bytes) -> None:
    answer = judge("probe", ended(0, out), 5)
    assert answer.accepted == (out == b"")
    assert check_text(answer.message, "message") is None


@pytest.mark.parametrize("end", ["", "\n"])
def test_one_line_of_json_is_a_refusal(end: str) -> None:
    answer = judge("probe", ended(1, (json.dumps(GOOD) + end).encode()), 5)
    assert (answer.accepted, answer.code, answer.message) == (False, "validation-refused", "no")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "{}",
        "[]",
        "no",
        json.dumps(GOOD) + "\n\n",
        "\n" + json.dumps(GOOD),
        json.dumps(GOOD, indent=1),
        json.dumps(GOOD) + "\r\n",
        json.dumps({**GOOD, "more": 1}),
        json.dumps({**GOOD, "code": "2100"}),
        json.dumps({**GOOD, "message": ""}),
        json.dumps({**GOOD, "message": "x" * (MAX_MESSAGE_CHARACTERS + 1)}),
        json.dumps({**GOOD, "data": []}),
        *(json.dumps({key: value for key, value in GOOD.items() if key != gone}) for gone in GOOD),
        json.dumps({**GOOD, "message": "ä"}, ensure_ascii=False),
        '{"a":' * 5000,
        json.dumps({**GOOD, "message": "\ud800"}),
    ],
)
def test_what_is_not_of_the_form_is_no_refusal_with_reasons(text: str) -> None:
    assert read_refusal(text.encode()) is None
    assert judge("probe", ended(1, text.encode()), 5).code == "validation-failed"


def test_what_it_says_is_shown_as_printable_ascii() -> None:
    out = json.dumps({**GOOD, "message": "a\u202eb\nc\x1b[2Jä"}).encode()
    assert judge("probe", ended(1, out), 5).message == r"a\u202eb\nc\x1b[2J\xe4"
    assert len(shown("\u202e" * 1000)) == MAX_MESSAGE_CHARACTERS


def test_a_flood_is_not_read_for_its_meaning() -> None:
    answer = judge("probe", ended(1, json.dumps(GOOD).encode() + b" " * MAX_OUTPUT_BYTES), 5)
    assert (answer.code, f"more than {MAX_OUTPUT_BYTES} bytes" in answer.message) == (
        "validation-failed",
        True,
    )


def test_a_long_excerpt_does_not_hide_what_to_do() -> None:
    message = judge("p" * 64, ended(0, b"\x00" * 1000), 5).message
    assert message.endswith("; see: journalctl -t ipa-tpi-validate")
    assert len(message) <= MAX_MESSAGE_CHARACTERS


def test_a_signal_without_a_name() -> None:
    assert judge("probe", ended(-40), 5).message.startswith(
        "the validation program probe was ended by signal 40; "
    )
