"""What a change looks like to people: a unified diff in which no secret is shown.

Secrets are taken out before lines are compared, in changed lines and in those around them alike. Control characters
are escaped: the file is another product's, and the diff goes to a terminal.
"""

import difflib
import re
from collections.abc import Callable

Redaction = Callable[[str], str]
NOT_SHOWN = "(not shown)"
_WORDS = r"(?:pass|passwd|password|pwd|(?<![a-z])pin(?![a-z])|secret|authtok|token|credential)"
# A setting whose name says that it is a secret; not `secretRequired`, nor `passwordFile`, whose values are none.
_LINE = re.compile(
    rf"^(?P<name>[^=\n]*{_WORDS}[^=\n]*?)(?P<sign>[ \t]*=[ \t]*)(?P<value>[^\n]*\S[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_ATTRIBUTE = re.compile(
    rf"(?P<name>\b\w*{_WORDS})(?P<sign>\s*=\s*)(?P<value>\"[^\"]*\"|'[^']*')", re.IGNORECASE
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def redact_lines(text: str) -> str:
    """Hide the value of every `name = value` line whose name says that it is a secret."""
    return _LINE.sub(rf"\g<name>\g<sign>{NOT_SHOWN}", text)


def redact_attributes(text: str) -> str:
    """Hide the value of every XML attribute whose name ends in the word for a secret, in comments too."""
    return _ATTRIBUTE.sub(rf'\g<name>\g<sign>"{NOT_SHOWN}"', text)


def unified(path: str, before: bytes, after: bytes, redact: Redaction) -> str:
    """Compare two states of a file.

    Args:
        path: The file, for the heading.
        before: What it holds.
        after: What it would hold.
        redact: Takes secrets out of the whole text.

    Returns:
        The diff; empty if nothing differs.
    """
    old, new = (redact(data.decode("utf-8", "backslashreplace")).split("\n") for data in (before, after))
    lines = difflib.unified_diff(old, new, path, f"{path} (planned)", lineterm="")
    return "".join(f"{_CONTROL.sub(_escaped, line)}\n" for line in lines)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
