r"""How anything that came from outside is shown to a person.

Every text of the server goes through `safe` before it reaches a terminal (R-K11): what could move
the cursor, reverse the direction of reading, or not show at all becomes a visible ``\u`` escape,
and so does the backslash itself as ``\\``, so that two different texts never look the same because
of the escaping.
"""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from ipa_tpi.model import Json

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"})
# Letters and marks without a glyph of their own (Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt, beyond the categories above), and the empty Braille pattern.
_INVISIBLE: Final = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0],
)
_VARIATION_SELECTORS: Final = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_BMP: Final = 0xFFFF
_MOST_MARKS: Final = 3
_MAX_DEPTH: Final = 16
_ASCII_SPACE: Final = " "
_MINUTE: Final = 60
_HOUR: Final = 3600


def safe(text: str) -> str:
    r"""Make a text harmless and unambiguous to look at (R-K11).

    Args:
        text: Anything, from anywhere.

    Returns:
        One line of visible characters: all control, formatting (bidirectional, zero-width),
        line-break, surrogate, private-use, unassigned and invisible ones, and every space but
        U+0020, as ``\uXXXX`` or ``\UXXXXXXXX``; a backslash as ``\\``.  So are marks that would join a
        letter where there is none before them or there are more than three.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        # Marks are piled up without end by some terminals, over the lines above.
        marks = marks + 1 if unicodedata.category(character) == "Mn" else 0
        lone = marks > _MOST_MARKS or (marks and not shown)
        shown.append(_escape(character) if lone else _safe_character(character))
    return "".join(shown)


def exact(text: str) -> str:
    """Quote a text whose ends, or whose emptiness, could not be seen.

    Args:
        text: Raw; `safe` is still to come.

    Returns:
        The same, or the same between quotation marks.
    """
    visible = text and text == text.strip(_ASCII_SPACE) and "  " not in text and not text.startswith('"')
    return text if visible else f'"{text}"'


def aware(moment: datetime) -> datetime:
    """Give a time with its zone; one without counts as UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def local_time(moment: datetime) -> str:
    """Show a time in the reader's zone, with its offset from UTC.

    Args:
        moment: A time of the server; one without a zone counts as UTC.

    Returns:
        It, as ``2026-11-20 23:05:12 +01:00``.
    """
    local = aware(moment)
    with suppress(OverflowError, ValueError):
        local = local.astimezone()
    text = local.isoformat(sep=" ", timespec="seconds")
    return f"{text[:19]} {text[19:]}"


def proof_demands(fresh_seconds: int, indicators: Sequence[str]) -> list[tuple[str, str]]:
    """Tell what the ticket behind a proof must be (R-A12, R-X11).

    Args:
        fresh_seconds: How old its authentication may be; 0 for any age.
        indicators: One of which it must bear; empty for any.

    Returns:
        Pairs of name and value; none where any ticket will do.
    """
    pairs = []
    if fresh_seconds > 0:
        pairs.append(
            ("ticket", f"got for this alone, at most {duration(fresh_seconds)} old; kinit asks for it")
        )
    if indicators:
        pairs.append(("factor", f"a ticket with {' or '.join(indicators)}"))
    return pairs


def duration(seconds: int) -> str:
    """Show a length of time.

    Args:
        seconds: It; a negative one counts as none.

    Returns:
        It, as ``45 s``, ``3 min 20 s``, ``5 min`` or ``2 h 5 min``.
    """
    left = max(seconds, 0)
    if left < _MINUTE:
        return f"{left} s"
    if left < _HOUR:
        return f"{left // _MINUTE} min" + (f" {left % _MINUTE} s" if left % _MINUTE else "")
    minutes = left % _HOUR // _MINUTE
    return f"{left // _HOUR} h" + (f" {minutes} min" if minutes else "")


def json_document(value: Json) -> str:
    """Show a value as JSON for programs, in which no terminal can be hurt either.

    Args:
        value: Untrusted.

    Returns:
        Indented ASCII with a newline at its end.
    """
    return json.dumps(value, indent=2).replace("\x7f", "\\u007f") + "\n"


def outline_lines(value: Json) -> Iterator[str]:
    """Show any JSON as an indented outline; a text of several lines, such as a diff, line by line.

    Args:
        value: Untrusted.

    Returns:
        Lines; different values never give the same ones.
    """
    return _outline(value, 0)


def _safe_character(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    category = unicodedata.category(character)
    hidden = (
        category in _HIDDEN_CATEGORIES
        or (category == "Zs" and character != _ASCII_SPACE)
        or code in _INVISIBLE
        or any(code in selectors for selectors in _VARIATION_SELECTORS)
    )
    if not hidden:
        return character
    return _escape(character)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= _BMP else f"\\U{code:08x}"


def _outline(value: Json, depth: int) -> Iterator[str]:
    if depth >= _MAX_DEPTH:
        yield json.dumps(value).replace("\x7f", "\\u007f")
    elif isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{_key(key)}:", item, depth)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _entry("-", item, depth)
    elif isinstance(value, str) and "\n" in value:
        yield from (f"| {safe(line)}" for line in value.split("\n"))
    else:
        yield _scalar(value)


def _entry(head: str, item: Json, depth: int) -> Iterator[str]:
    nested = (isinstance(item, dict | list) and item) or (isinstance(item, str) and "\n" in item)
    if not nested:
        yield f"{head} {_scalar(item)}"
        return
    yield head
    for line in _outline(item, depth + 1):
        yield f"  {line}"


def _scalar(value: Json) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    # A text that reads as another kind of value, or whose ends cannot be seen, is quoted.
    plain = value and value == value.strip(" ") and value[0] not in '"[{-|' and not _reads_as_json(value)
    return safe(value) if plain else f'"{safe(value)}"'


def _key(key: str) -> str:
    plain = key and key == key.strip(" ") and ":" not in key and key[0] not in '"-|'
    return safe(key) if plain else f'"{safe(key)}"'


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
