"""A refusal as FreeIPA's clients know it: code, name, message and data, one line of ASCII JSON.

The numbers, names and texts are those of FreeIPA's errors, so that a client sees what the framework would have
told it (D17).  ``data`` holds what the error's class takes there; of what does not fit the line, less is said.
"""

import json
from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 1024
MAX_MESSAGE_CHARACTERS: Final = 400
_SHOWN_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a certificate is not issued.

    Attributes:
        code: The number of an error of FreeIPA.
        name: Its name.
        message: For people; whoever asked reads it, and anybody can read it later at Dogtag.
        data: What FreeIPA's client makes the error of.
        reason: A stable word for the log and for tests; not in the line.
    """

    code: int
    name: str
    message: str
    data: tuple[tuple[str, str], ...]
    reason: str

    def line(self) -> bytes:
        """Give the one line, at most `MAX_LINE_BYTES` with its newline, printable ASCII before it."""
        line = self._line(dict(self.data))
        return line if len(line) <= MAX_LINE_BYTES else self._line({})

    def _line(self, data: dict[str, str]) -> bytes:
        # Each character is one of ASCII before it is counted, and at most two once it is quoted.
        message = plain(self.message)
        if len(message) > MAX_MESSAGE_CHARACTERS:
            message = message[: MAX_MESSAGE_CHARACTERS - 3] + "..."
        told = {"code": self.code, "name": self.name, "message": message, "data": data}
        return json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def access(info: str, reason: str = "access") -> Refusal:
    """Make FreeIPA's 2100, ACIError: this caller may not.

    Args:
        info: What he may not.
        reason: As in `Refusal`.
    """
    return Refusal(2100, "ACIError", f"Insufficient access: {info}", (("info", info),), reason)


def invalid(error: str, reason: str, name: str = "csr") -> Refusal:
    """Make FreeIPA's 3009, ValidationError: what was asked is not good.

    Args:
        error: What is wrong with it.
        reason: As in `Refusal`.
        name: What it is wrong with.
    """
    return Refusal(
        3009, "ValidationError", f"invalid '{name}': {error}", (("name", name), ("error", error)), reason
    )


def missing(text: str, reason: str) -> Refusal:
    """Make FreeIPA's 4001, NotFound.

    Args:
        text: What there is not.
        reason: As in `Refusal`.
    """
    return Refusal(4001, "NotFound", text, (("reason", text),), reason)


def undecided(text: str, reason: str) -> Refusal:
    """Make FreeIPA's 4000, ExecutionError: nothing could be found out, so nothing is issued.

    Args:
        text: For people; nothing internal.
        reason: As in `Refusal`.
    """
    return Refusal(4000, "ExecutionError", text, (), reason)


def shown(text: str) -> str:
    """Give a text that somebody else chose as it may stand in a message: printable ASCII, not too long.

    Args:
        text: Any text.
    """
    said = plain(text[: _SHOWN_CHARACTERS + 1])
    return said if len(said) <= _SHOWN_CHARACTERS else said[: _SHOWN_CHARACTERS - 3] + "..."


def plain(text: str) -> str:
    """Give a text in printable ASCII, with escapes for everything else.

    Args:
        text: Any text.
    """
    return "".join(
        one if " " <= one <= "~" else one.encode("unicode_escape", "backslashreplace").decode("ascii")
        for one in text
    )
