"""What is shown can neither hurt a terminal nor mislead its reader."""

import codecs
import io
import json
import os
import re
import termios
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipa_tpi.cli.layout import broken, columns_of, fields, outline, table, width
from ipa_tpi.cli.render import duration, exact, json_document, local_time, safe

ANY_TEXT = st.text(st.characters(exclude_categories=()))
TRICKY = st.text(
    st.sampled_from("ab \\u0\x00\x1b\x7f\x85\u200b\u202e\u2066\ufeff\u00ad\u3164\ufe0f\U000e0041\ud800é漢")
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKY, inner, max_size=3),
    max_leaves=12,
)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"}


def _harmless(text: str) -> bool:
    return all(
        unicodedata.category(character) not in HIDDEN
        and (character == " " or unicodedata.category(character) != "Zs")
        for character in text
    )


@given(ANY_TEXT | TRICKY)
@example("\x1b]0;title\x07")
@example("a\u202egnp.exe")
@example("\u2028\u2029\n\r\t")
def test_r_k11_nothing_hidden_is_left(text: str) -> None:
    assert _harmless(safe(text))


@given(ANY_TEXT | TRICKY)
def test_r_k11_different_texts_look_different(text: str) -> None:
    # What the escaping did can be undone, so no two texts are shown alike because of it.
    undone = re.sub(
        r"\\(?:\\|u[0-9a-f]{4}|U[0-9a-f]{8})",
        lambda match: "\\" if match[0] == "\\\\" else codecs.decode(match[0], "unicode_escape"),
        safe(text),
    )
    assert undone == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Ünïcode 漢字", "Ünïcode 漢字"),
        ("\x1b[2J", "\\u001b[2J"),
        ("a\nb", "a\\u000ab"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb", "a\\u200bb"),
        ("a\u00a0b", "a\\u00a0b"),
        ("\\u202e", "\\\\u202e"),
        ("\U000e0041", "\\U000e0041"),
        ("\ufe0f", "\\ufe0f"),
        ("\u3164", "\\u3164"),
        ("e\u0301", "e\u0301"),
        ("\u0301", "\\u0301"),
        ("e" + "\u0301" * 5, "e" + "\u0301" * 3 + "\\u0301\\u0301"),
    ],
)
def test_r_k11_escapes(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(JSON)
def test_r_k11_an_outline_is_harmless(value: Any) -> None:
    lines = outline(value).split("\n")
    assert lines[-1] == ""
    assert all(_harmless(line) and line.startswith("  ") for line in lines[:-1])


@given(JSON, JSON)
@example("5", 5)
@example("true", True)  # noqa: FBT003 - a JSON value
@example({"a": "b: c"}, {"a: b": "c"})
@example("x\ny", "| x\n| y")
@example([], "[]")
@example({}, "{}")
@example([["a"]], ["- a"])
@example(["a\nb"], [["| a", "| b"]])
@example("", [])
@example({"a": ""}, {"a": {}})
@example("a ", "a")
@example({"a\n": 1}, {"a\\n": 1})
def test_r_k11_different_values_have_different_outlines(one: Any, two: Any) -> None:
    same = json.dumps(one) == json.dumps(two)
    assert (outline(one) == outline(two)) == same


def test_a_deep_value_is_shown_too() -> None:
    deep: Any = "\x1b"
    for _ in range(200):
        deep = [deep]
    assert _harmless(outline(deep).replace("\n", ""))
    assert "\\u001b" in outline(deep)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("DS01", "DS01"), ("", '""'), ("DS01 ", '"DS01 "'), (" ", '" "'), ('"', '"""'), ("a  b", '"a  b"')],
)
def test_r_k11_values_whose_ends_cannot_be_seen_are_quoted(text: str, shown: str) -> None:
    assert exact(text) == shown


@given(JSON)
def test_json_for_programs_is_exact_and_harmless(value: Any) -> None:
    text = json_document(value)
    assert json.loads(text) == value
    assert _harmless(text.replace("\n", ""))
    assert text.isascii()


@given(st.lists(st.tuples(ANY_TEXT, TRICKY), max_size=5))
def test_tables_and_fields_have_one_line_each(rows: list[tuple[str, str]]) -> None:
    for text, count in ((table(("A", "B"), rows), len(rows) + 1), (fields(rows), len(rows))):
        assert len(text.split("\n")) == count + 1
        assert _harmless(text.replace("\n", ""))


def test_columns_line_up_with_wide_letters() -> None:
    assert (
        table(("A", "B"), [("漢", "x"), ("abc", "y"), ("e\u0301", "z")])
        == "A    B\n漢   x\nabc  y\ne\u0301    z\n"
    )


def test_what_a_terminal_takes() -> None:
    assert width("DS01") == 4
    assert width("漢字") == 4
    assert width("e\u0301") == 1
    assert width("\u1112\u1161\u11ab") == 2  # one syllable of three letters


@given(
    TRICKY | ANY_TEXT, st.integers(40, 90), st.sampled_from(["", "  ", "  a name:  ", "x" * 60, "  漢字:  "])
)
@example("a" * 300, 40, "  name:  ")
@example("\\" * 100, 40, "  ")
@example("\\" * 100, 41, "  ")
@example("漢" * 100, 41, "  ")
@example("e\u0301" * 100, 41, "  ")
@example("ok" + " " * 60 + "parameter instance:  DS02", 80, "  reason:  ")
def test_r_k11_a_line_that_is_broken_loses_nothing_and_looks_like_no_other(
    text: str, columns: int, head: str
) -> None:
    shown = safe(text)
    whole = broken(head, shown, None)
    lines = broken(head, shown, columns).split("\n")[:-1]
    assert all(width(line) <= max(columns, width(head)) for line in lines)
    margin = len(head) if width(head) <= columns - 11 else 8
    joined = lines[0] if lines[0] != head.rstrip(" ") or len(lines) == 1 else head
    for line in lines[1:]:
        # What goes on stands below the text, never where a line of ours begins.
        assert line.startswith(" " * min(margin, 8)), lines
        assert joined is head or joined.endswith("\\")
        continued = line[_margin_of(head, columns) :]
        joined = (joined if joined is head else joined[:-1]) + continued
    assert joined.rstrip(" ") == whole[:-1]
    for number, line in enumerate(lines):
        # A single backslash ends a line that goes on, and no other: `safe` doubles those of a text.
        trailing = len(line) - len(line.rstrip("\\"))
        goes_on = number < len(lines) - 1 and line != head.rstrip(" ")
        assert (trailing % 2 == 1) is goes_on


def _margin_of(head: str, columns: int) -> int:
    own = width(head)
    return own if columns - own - 1 >= 10 else min(own, 8)


def test_a_line_is_broken_after_a_space() -> None:
    text = "the quick brown fox jumps over the lazy dog"
    assert broken("  reason:  ", text, 40) == (
        "  reason:  the quick brown fox jumps \\\n           over the lazy dog\n"
    )
    marked = broken("  ", "a" * 36 + "e\u0301" * 4, 40)
    assert marked == "  " + "a" * 36 + "e\u0301\\\n  " + "e\u0301" * 3 + "\n"
    assert broken("  ", "a" * 38, 40) == f"  {'a' * 38}\n"
    assert broken("  ", "a" * 39, 40) == f"  {'a' * 37}\\\n  aa\n"


def test_no_value_passes_for_a_field_of_ours() -> None:
    """A reason that is padded so that a terminal of 80 columns would go on with a line like ours."""
    reason = "harmless" + " " * 58 + "  parameter instance:  DS02"
    lines = fields([("operation", "dirsrv.restart"), ("reason", reason)], 80).splitlines()
    assert [line for line in lines if line.lstrip().startswith("parameter") and line.startswith("  p")] == []
    assert lines[1].endswith("\\")
    pieces = outline({"diff": "-a\n+" + "b" * 90 + "  | +c"}, 80).splitlines()
    assert sum(line.startswith("    | ") for line in pieces) == 2


def test_only_a_terminal_has_columns() -> None:
    ours, theirs = os.openpty()
    try:
        termios.tcsetwinsize(theirs, (24, 100))
        with os.fdopen(theirs, "w") as stream:
            assert columns_of(stream) == 100
            termios.tcsetwinsize(theirs, (24, 3))
            assert columns_of(stream) == 40
            termios.tcsetwinsize(theirs, (0, 0))
            assert columns_of(stream) is None
    finally:
        os.close(ours)
    assert columns_of(io.StringIO()) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (7230, "2 h"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_times_are_local_with_their_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415 - tzset below

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert local_time(datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC)) == "2026-07-01 14:00:00 +02:00"
        assert local_time(datetime(2026, 7, 1, 12, 0, 0)) == "2026-07-01 14:00:00 +02:00"  # noqa: DTZ001
        eastern = timezone(timedelta(hours=5, minutes=30))
        assert local_time(datetime(2026, 1, 1, 5, 30, tzinfo=eastern)) == "2026-01-01 01:00:00 +01:00"
        assert local_time(datetime.max.replace(tzinfo=UTC)).startswith("9999-12-31")
        assert local_time(datetime.min.replace(tzinfo=eastern)).startswith("0001-01-01")
    finally:
        monkeypatch.undo()
        time.tzset()
