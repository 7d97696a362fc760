"""sssd.conf as SSSD reads it, and single settings of it changed in place.

SSSD reads with libini_config, flags INI_PARSE_NOWRAP and its defaults (sssd: src/util/sss_ini.c; ding-libs:
ini/ini_parse.c), so:

- A line that begins with blanks is a setting of its own: there are no continuation lines.
- `#` and `;` begin a comment in the first column only, and never behind a value; so do `//` and `/* … */`.
- Names of sections and settings do not mind case. Sections of one name are one section.
- Names are of printable ASCII without `!`, a setting's of at most 1023 characters, a section's of one more.
- Of several settings with one name the last one counts.
- A line that is none of this is an error, and SSSD does not start.

`tests/unit/test_upgrade_ini.py` compares all of this with the library itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ipa_tpi.errors import ConfigError

_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(rb"[ \x22-\x7f]+")
_NAME_LIMIT = 1023
_BLANK_THAT_IS_NONE = b"\r\x0b\x0c"


@dataclass(frozen=True)
class Line:
    """One line: offsets of its start and of its content's end, and what it says.

    Args:
        start: Of its first byte.
        end: Behind its last byte before the line's end.
        section: Name of the section that it stands in or begins, in lower case.
        key: Name of its setting, in lower case; None if it is none.
        value: Offsets of the value's start and end.
        begins: It is a section's header.
    """

    start: int
    end: int
    section: str
    key: str | None = None
    value: tuple[int, int] = (0, 0)
    begins: bool = False


def lines(data: bytes) -> tuple[Line, ...]:
    """Read a file.

    Raises:
        ConfigError: SSSD would not read it.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("it is not UTF-8, so SSSD cannot read it. Correct it first.") from error
    if b"\x00" in data:
        raise ConfigError(
            "it holds a NUL byte, behind which SSSD reads otherwise than it looks. Remove it first."
        )
    return tuple(_lines(data))


def settings(data: bytes) -> dict[str, dict[str, str]]:
    """Return every section's settings as SSSD sees them; names in lower case.

    Raises:
        ConfigError: SSSD would not read it.
    """
    found: dict[str, dict[str, str]] = {}
    for line in lines(data):
        if line.begins:
            found.setdefault(line.section, {})
        elif line.key is not None:
            found.setdefault(line.section, {})[line.key] = data[slice(*line.value)].decode("utf-8")
    return found


def put(data: bytes, section: str, key: str, value: str | None) -> bytes:
    """Change, add or remove one setting; the section must be there.

    Args:
        data: The file.
        section: Its section.
        key: Its name.
        value: None to remove it wherever it stands in the section last.

    Returns:
        The file with nothing else changed.
    """
    every = [line for line in lines(data) if line.section == section.lower()]
    found = [line for line in every if line.key == key.lower()]
    if not found:
        return data if value is None else _insert(data, every, f"{key} = {value}")
    start, end = found[-1].value
    if value is None:
        return _cut(data, found[-1])
    blank = b" " if start == end and value and data[start - 1 : start] == b"=" else b""
    return data[:start] + blank + value.encode() + data[end:]


def begin(data: bytes, section: str) -> bytes:
    """Add an empty section at the end; nothing if there is one of that name."""
    read = lines(data)
    header = f"[{section}]".encode()
    if any(line.begins and line.section == section.lower() for line in read):
        return data
    if not read:
        return data + header + b"\n"
    position = read[-1].end
    return data[:position] + 2 * _eol(data, position) + header + data[position:]


def end(data: bytes, section: str) -> bytes:
    """Remove a section that holds nothing but its header; otherwise nothing."""
    inside = [line for line in lines(data) if line.section == section.lower()]
    if any(not line.begins and data[line.start : line.end].strip() for line in inside):
        return data
    for line in reversed([line for line in inside if line.begins]):
        gap = 2 * _eol(data, line.end)
        ours = data[: line.start].endswith(gap)  # the empty line that `begin` put before it
        data = data[: line.start - len(gap)] + data[line.end :] if ours else _cut(data, line)
    return data


def _insert(data: bytes, section: list[Line], text: str) -> bytes:
    """Put a line behind the last setting of a section, or behind its header."""
    anchor = [line for line in section if line.begins or line.key is not None][-1]
    return data[: anchor.end] + _eol(data, anchor.end) + text.encode() + data[anchor.end :]


def _cut(data: bytes, line: Line) -> bytes:
    """Remove a line, together with the line end before it: what `_insert` put there."""
    start = line.start
    if start:
        start -= 1
        while start and data[start - 1 : start] == b"\r":
            start -= 1
        return data[:start] + data[line.end :]
    return data[line.end :].lstrip(b"\r").removeprefix(b"\n")


def _eol(data: bytes, position: int) -> bytes:
    """Return the line end that is used at a position, or in the file."""
    if data[position : position + 1] in {b"\r", b"\n"}:
        return b"\r\n" if data[position : position + 2] == b"\r\n" else b"\n"
    return b"\r\n" if b"\r\n" in data else b"\n"


def _lines(data: bytes) -> Iterator[Line]:
    position = len(_BOM) if data.startswith(_BOM) else 0
    section, comment, number = "default", False, 0
    while position < len(data):
        number += 1
        found = data.find(b"\n", position)
        stop = len(data) if found < 0 else found
        raw = data[position:stop].rstrip(b"\r")
        line = Line(position, position + len(raw), section)
        if comment or _is_comment(raw):
            comment = _stays_open(raw, inside=comment)
        elif raw.strip() and raw.startswith(b"["):
            section = _section(raw, number)
            line = Line(line.start, line.end, section, begins=True)
        elif raw.strip():
            line = _setting(raw, line, number)
        yield line
        position = stop + 1
    if comment:
        raise ConfigError(
            "a comment that begins with '/*' does not end, so SSSD does not start. End it first."
        )


def _is_comment(raw: bytes) -> bool:
    return raw[:1] in {b"#", b";"} or raw[:2] in {b"//", b"/*"}


def _stays_open(raw: bytes, *, inside: bool) -> bool:
    """Tell whether a `/*` comment goes on behind this line; the library looks for its end at a line's end only."""
    if not inside and not raw.startswith(b"/*"):
        return False
    content = raw.rstrip()
    return not (content.endswith(b"*/") and len(content) >= (3 if inside else 4))


def _section(raw: bytes, number: int) -> str:
    content = raw.rstrip()
    name = content[1:-1].strip()
    if not content.endswith(b"]") or not name:
        raise _unreadable(number, "begins with '[' and names no section")
    if _NAME.fullmatch(name) is None or len(name) > _NAME_LIMIT + 1:
        raise _unreadable(number, "names a section in characters, or at a length, that is not allowed")
    return name.lower().decode("ascii")


def _setting(raw: bytes, line: Line, number: int) -> Line:
    lead = len(raw) - len(raw.lstrip())
    if any(byte in _BLANK_THAT_IS_NONE for byte in raw[:lead]):
        raise _unreadable(number, "begins with a control character")
    key, sign, value = raw.partition(b"=")
    if not sign or not key.strip():
        raise _unreadable(number, "is neither a setting, nor a section, nor a comment in the first column")
    name = key.strip()
    if _NAME.fullmatch(name) is None or len(name) > _NAME_LIMIT:
        raise _unreadable(number, "names a setting in characters, or at a length, that is not allowed")
    start = line.start + len(key) + 1 + len(value) - len(value.lstrip())
    stop = start + len(value.strip())
    if start == stop:
        start = stop = line.start + len(key) + 1
    return Line(line.start, line.end, line.section, name.lower().decode("ascii"), (start, stop))


def _unreadable(number: int, why: str) -> ConfigError:
    return ConfigError(f"line {number} {why}, so SSSD does not start. Correct it first.")
