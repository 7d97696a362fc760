"""A certificate profile's configuration: what was written, what Dogtag reads in it, and what is sent to it.

Dogtag reads such a text with a reader of its own (``SimpleProperties``), and takes blanks off some values and
not off others; Java's own reader differs from it.  So that all of them, and people, read the same, a text is
refused unless there is only one way to read it, and what is sent is never that text but one that is written
anew from its pairs.

Rules:

1. Every character is printable ASCII or the end of a line; there are at most `MAX_CHARACTERS`.
2. A line is empty, or a comment that begins with ``#`` in its first column, or ``key=value``.  A key is letters,
   digits, ``_``, ``-`` and dots.  Blanks around ``=`` and at a line's end mean nothing, and are not sent.  There
   are none before a key: Dogtag would take ``"  #x=1"`` for the key ``#x``.
3. No backslash: to one reader it escapes, to another it does not, and at a line's end it joins two lines.
4. No key is there twice, in whatever letter case.
5. ``profileId``, where it is there, is the profile's own, and ``classId`` is `CLASS`.
6. ``enable``, ``enableBy`` and ``lastModified`` are what the CA keeps of a profile's state; they are no part of
   its configuration, and what a text says of them is not sent.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ipa_tpi.decide.digest import sha256
from ipa_tpi.model import Refuse

MAX_CHARACTERS: Final = 48 * 1024
CLASS: Final = "caEnrollImpl"
# FreeIPA's own form of it.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PAIR: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,255}) *=(.*)")
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_STATE: Final = frozenset({"enable", "enableBy", "lastModified"})


@dataclass(frozen=True, slots=True)
class Configuration:
    """A profile's configuration.

    Attributes:
        pairs: What it says, without the profile's state; ``profileId`` and ``classId`` are among them.
        enabled: Whether people can enrol by it; what somebody only wrote never is.
    """

    pairs: Mapping[str, str]
    enabled: bool = False

    @property
    def text(self) -> str:
        """The one text that is shown and sent for these pairs."""
        return "".join(f"{key}={self.pairs[key]}\n" for key in sorted(self.pairs))

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal digits."""
        return sha256(self.text.encode("utf-8", "backslashreplace")).hex()


def check_name(name: str) -> Refuse | None:
    """Refuse what is no name of a profile.

    Args:
        name: As given.

    Returns:
        None, or a refusal ``bad-parameters``.
    """
    if _NAME.fullmatch(name) is None:
        return Refuse(
            "bad-parameters",
            f"{name!a} is no name of a profile; give a letter, then letters, digits and _, at most 64 in all",
        )
    return None


def read_configuration(text: str, name: str) -> Configuration | Refuse:
    """Read what somebody wrote.

    Args:
        text: The text, of any form.
        name: The profile that it is for.

    Returns:
        The configuration, not enabled; or a refusal ``bad-parameters`` that names the line.
    """
    if len(text) > MAX_CHARACTERS:
        return _bad(f"it has more than {MAX_CHARACTERS} characters", "take out what has no effect")
    pairs: dict[str, str] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        pair = _pair(line, number)
        if isinstance(pair, Refuse):
            return pair
        if pair is None:
            continue
        key, value = pair
        first = seen.setdefault(key.lower(), number)
        if first != number:
            return _bad(f"lines {first} and {number} give the same key {key}", "keep one of them")
        if key not in _STATE:
            pairs[key] = value
    return _named(pairs, name)


def told_configuration(text: str) -> Configuration:
    """Take in what the CA tells of a profile that it has, whatever is in it.

    Args:
        text: The answer of its raw interface: ``key=value`` lines.

    Returns:
        The configuration, as the CA has it; lines that are no pairs are not in it.
    """
    pairs = {}
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            pairs[key.strip()] = value.strip()
    enabled = pairs.get("enable", "").lower() == "true"
    return Configuration({key: value for key, value in pairs.items() if key not in _STATE}, enabled)


def difference(old: Configuration, new: Configuration) -> str:
    """Show a change, as a unified diff.

    Args:
        old: As it is; characters that are not printable ASCII are shown as escapes.
        new: As it will be.

    Returns:
        The diff without headings; empty where nothing changes.
    """
    before, after = ([_plain(line) for line in each.text.splitlines()] for each in (old, new))
    lines = list(difflib.unified_diff(before, after, n=2, lineterm=""))
    return "".join(f"{line}\n" for line in lines[2:])


def _pair(line: str, number: int) -> tuple[str, str] | Refuse | None:
    strange = _UNPRINTABLE.search(line)
    if strange is not None:
        return _bad(
            f"line {number} holds U+{ord(strange[0]):04X}, and Dogtag's readers differ on all but printable ASCII",
            "write it without",
        )
    if not line.strip() or line.startswith("#"):
        return None
    if "\\" in line:
        return _bad(
            f"line {number} holds a backslash, on which Dogtag's readers differ",
            "write it without, in a pattern for example [.]",
        )
    found = _PAIR.fullmatch(line)
    if found is None:
        return _bad(
            f"line {number} is not of the form key=value", "begin it with the key, or with # for a comment"
        )
    return found[1], found[2].strip()


def _named(pairs: dict[str, str], name: str) -> Configuration | Refuse:
    own = {"profileId": name, "classId": CLASS}
    for key, value in own.items():
        if pairs.setdefault(key, value) != value:
            return _bad(f"its {key} is {pairs[key]!a}", f"write {key}={value}, or leave the line out")
    known = {right.lower(): right for right in (*own, *_STATE)}
    for key in pairs:
        right = known.get(key.lower(), key)
        if key != right:
            return _bad(f"it gives {key}, which Dogtag does not know in this letter case", f"write {right}")
    return Configuration(pairs)


def _bad(what: str, remedy: str) -> Refuse:
    return Refuse("bad-parameters", f"the configuration cannot be used: {what}; {remedy}")


def _plain(line: str) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
