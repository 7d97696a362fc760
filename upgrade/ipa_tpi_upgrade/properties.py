"""CS.cfg as Dogtag reads it, and lines added to it and taken out in place.

Dogtag reads ISO 8859-1 with a class of its own (pki: SimpleProperties.java), of Java's properties but without their
escapes:

- A line ends with LF, CR, or both. `#` or `!` in the first column begins a comment.
- An odd number of backslashes at a line's end joins the next one, without its leading blanks.
- A name goes up to `=`, `:` or a blank; a backslash hides the character behind it. The last line of a name counts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_BLANKS = b" \t\r\n\f"
_NAME = re.compile(rb"(?:\\.|[^=: \t\r\n\f\\])*\\?", re.DOTALL)
_SIGN = re.compile(rb"[ \t\r\n\f]*[=:]?[ \t\r\n\f]*")


@dataclass(frozen=True)
class Line:
    """One logical line: offsets of its start and of its content's end, its name and value, and its line end.

    Args:
        start: Of its first byte.
        end: Behind its last byte before the line's end.
        eol: Its line end; empty at the end of a file without one.
        name: Of its setting; None for comments and empty lines.
        value: Of its setting.
        is_unfinished: It ends with a backslash that joins a line which is not there.
    """

    start: int
    end: int
    eol: bytes
    name: str | None = None
    value: str = ""
    is_unfinished: bool = False


def lines(data: bytes) -> tuple[Line, ...]:
    """Read a file; every sequence of bytes is one that Dogtag reads."""
    return tuple(_lines(data))


def settings(data: bytes) -> dict[str, str]:
    """Return the settings as Dogtag sees them."""
    return {line.name: line.value for line in _lines(data) if line.name is not None}


def insert(data: bytes, after: Line, name: str, value: str) -> bytes:
    """Add a setting behind a line, with that line's line end."""
    eol = after.eol or _eol(data)
    return data[: after.end] + eol + f"{name}={value}".encode("latin-1") + data[after.end :]


def remove(data: bytes, name: str) -> bytes:
    """Take out the last line of a name, with the line end before it: what `insert` put there."""
    every = lines(data)
    found = [index for index, line in enumerate(every) if line.name == name]
    if not found:
        return data
    line = every[found[-1]]
    if found[-1] == 0:
        return data[line.end + len(line.eol) :]
    return data[: every[found[-1] - 1].end] + data[line.end :]


def _eol(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data else b"\n"


def _lines(data: bytes) -> Iterator[Line]:
    position = 0
    while position < len(data):
        start = position
        text, end, eol, position = _physical(data, position)
        if not text or text[:1] in {b"#", b"!"}:
            yield Line(start, end, eol)
            continue
        unfinished = False
        while _goes_on(text):
            unfinished = position >= len(data)
            more, end, eol, position = _physical(data, position)
            text = text[:-1] + more.lstrip(_BLANKS)
        yield _setting(text, Line(start, end, eol, is_unfinished=unfinished))


def _physical(data: bytes, position: int) -> tuple[bytes, int, bytes, int]:
    """Return one line as it stands: text, end of the text, line end, where the next one begins."""
    match = _LINE.match(data, position)
    if match is None:  # pragma: no cover (the expression matches everywhere)
        return b"", position, b"", len(data)
    return match[1], match.end(1), match[2], match.end()


def _goes_on(text: bytes) -> bool:
    return (len(text) - len(text.rstrip(b"\\"))) % 2 == 1


def _setting(text: bytes, line: Line) -> Line:
    content = text.lstrip(_BLANKS)
    match = _NAME.match(content)
    name = match[0] if match else b""
    sign = _SIGN.match(content, len(name))
    value = content[sign.end() if sign else len(name) :]
    return replace(line, name=name.decode("latin-1"), value=value.decode("latin-1"))
