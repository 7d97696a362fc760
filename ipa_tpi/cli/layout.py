r"""How lines fit a terminal, without a text being able to look like a line of ours (R-K11).

A terminal breaks a long line by itself and goes on at its left edge, where a text from outside, padded
with spaces, could pass for the next line of what is shown.  So on a terminal lines are broken here: what
goes on stands further right than any line that begins there, and the broken line ends in a single
backslash, which no shown text can (`safe` doubles it).  Where nobody looks, lines stay whole, for programs.

Tables are put together here, without a library: importing ``rich`` would add 15 to 30 ms to the 150 ms
of processor time that a cold ``ipa-tpi list`` takes (measured on Debian 12, 2 cores).
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from ipa_tpi.cli.render import outline_lines, safe
from ipa_tpi.model import Json

NARROWEST_COLUMNS: Final = 40
_GOES_ON: Final = "\\"
_DEEPER: Final = 4
# An escape of `safe` is one piece; a mark takes no room, and stays with its letter.
_PIECE: Final = re.compile(r"\\U[0-9a-f]{8}|\\u[0-9a-f]{4}|\\.|.", re.DOTALL)
_JUNGSEONG: Final = range(0x1160, 0x1200)  # Hangul vowels and finals join the letter before them


def columns_of(stream: TextIO) -> int | None:
    """Tell how wide a terminal is.

    Args:
        stream: Standard output or standard error.

    Returns:
        The number of its columns, at least `NARROWEST_COLUMNS`; None where it is no terminal.
    """
    try:
        if not stream.isatty():
            return None
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return None
    return max(columns, NARROWEST_COLUMNS) if columns else None


def width(text: str) -> int:
    """Tell how many columns a text takes.

    Args:
        text: As `safe` made it.

    Returns:
        Their number; wide letters take two, marks that join a letter none.
    """
    return len(text) if text.isascii() else sum(map(_width_of, text))


def broken(head: str, text: str, columns: int | None, hang: int | None = None) -> str:
    """Write a line, in several lines where it does not fit.

    Args:
        head: Its beginning, which is never broken.
        text: What follows, as `safe` made it.
        columns: Those of the terminal; None breaks nothing.
        hang: At which column it goes on; that of `text` where it is left out.

    Returns:
        Lines, each ended by a newline.
    """
    if columns is None or width(head) + width(text) <= columns:
        return f"{head}{text}".rstrip(" ") + "\n"
    margin = width(head) if hang is None else hang
    lines: list[str] = []
    line, room = head, columns - width(head) - 1
    if room < NARROWEST_COLUMNS // 4:
        # A head that leaves no room stands alone.
        margin = min(margin, _DEEPER * 2)
        lines, line, room = [head.rstrip(" ")], " " * margin, columns - margin - 1
    for piece, last in _chunks(text, room, columns - margin - 1):
        lines.append(f"{line}{piece}{'' if last else _GOES_ON}")
        line = " " * margin
    return "".join(f"{one}\n" for one in lines)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows below their heads.

    Args:
        heads: One for each column.
        rows: Raw texts, untrusted; each as many as there are heads.

    Returns:
        Lines, each ended by a newline.
    """
    lines = [list(heads), *([safe(cell) for cell in row] for row in rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(heads))]
    return "".join(
        "  ".join(cell + " " * (most - width(cell)) for cell, most in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def fits(lines: str, columns: int | None) -> bool:
    """Tell whether lines, as `table` gives them, fit a terminal.

    Args:
        lines: Each ended by a newline.
        columns: Those of the terminal; None for no terminal, which everything fits.

    Returns:
        Whether they do.
    """
    return columns is None or all(width(line) <= columns for line in lines.splitlines())


def fields(pairs: Sequence[tuple[str, str]], columns: int | None = None, indent: str = "  ") -> str:
    """Lay out names and what they stand for.

    Args:
        pairs: Raw names and texts, untrusted.
        columns: Those of the terminal; None breaks nothing.
        indent: Before each line.

    Returns:
        Lines, each ended by a newline.
    """
    shown = [(f"{safe(name)}:", safe(text)) for name, text in pairs]
    most = max((width(name) for name, _ in shown), default=0)
    return "".join(
        broken(f"{indent}{name}{' ' * (most - width(name))}  ", text, columns) for name, text in shown
    )


def outline(value: Json, columns: int | None = None, indent: str = "  ") -> str:
    """Show any JSON as an indented outline; a text of several lines, such as a diff, line by line.

    Args:
        value: Untrusted.
        columns: Those of the terminal; None breaks nothing.
        indent: Before each line.

    Returns:
        Lines, each ended by a newline; different values never give the same lines.
    """
    lines = [(len(line) - len(line.lstrip(" ")), line) for line in outline_lines(value)]
    deepest = max((depth for depth, _ in lines), default=0) + len(indent) + _DEEPER
    hang = min(deepest, NARROWEST_COLUMNS // 2)
    return "".join(broken(indent + " " * depth, line[depth:], columns, hang) for depth, line in lines)


def _width_of(character: str) -> int:
    if unicodedata.category(character) == "Mn" or ord(character) in _JUNGSEONG:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _chunks(text: str, room: int, room_after: int) -> Iterator[tuple[str, bool]]:
    """Cut a text into pieces that fit, after a space where one is near; nothing is left out."""
    chunk: list[str] = []
    taken = 0
    for piece in _PIECE.findall(text):
        if taken + width(piece) > room:
            cut = _cut_of(chunk)
            yield "".join(chunk[:cut]), False
            chunk = chunk[cut:]
            taken, room = sum(map(width, chunk)), room_after
        chunk.append(piece)
        taken += width(piece)
    yield "".join(chunk), True


def _cut_of(chunk: Sequence[str]) -> int:
    near = range(len(chunk) - 1, max(len(chunk) * 2 // 3, 1) - 1, -1)
    return next((place + 1 for place in near if chunk[place] == " "), len(chunk))
