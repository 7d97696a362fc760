"""The bytes in the text of a certificate request: one block of canonical PEM, or canonical base64 alone.

RFC 7468, with the marks of section 7 only, and nothing before, between or after.  Dogtag takes all marks
out of a text, wherever they stand, and decodes what is left up to the end of the first DER.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

MAX_TEXT_BYTES: Final = 64 * 1024
_BEGIN: Final = "-----BEGIN CERTIFICATE REQUEST-----"
_END: Final = "-----END CERTIFICATE REQUEST-----"
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_WIDTHS: Final = (64, 76)
_PARTS: Final = 3


class CsrError(ValueError):
    """The request is not taken.

    Args:
        message: What is wrong with it, for people.
        reason: A stable word for it.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


def dearmour(text: str) -> bytes:
    """Give the bytes that a text stands for.

    Args:
        text: What the client sent, unchanged.

    Returns:
        The bytes; they are not looked at.

    Raises:
        CsrError: It is not in one of the canonical forms.
    """
    return _decode(_armoured(text))


def _armoured(text: str) -> str:
    """Give the base64 without marks and line ends."""
    if len(text) > MAX_TEXT_BYTES:
        raise CsrError(f"it has more than {MAX_TEXT_BYTES} bytes; ask for fewer names", "too-long")
    if not text.isascii() or "\0" in text:
        raise CsrError("its text is not plain ASCII; send PEM", "not-ascii")
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.removesuffix(newline).split(newline)
    if any(any(one <= " " or one == "\x7f" for one in line) for line in lines if not line.startswith("-")):
        raise CsrError(
            "its text holds blanks, or lines of several kinds; send one block of PEM", "not-canonical"
        )
    if any(line.startswith("-") for line in lines):
        lines = _without_marks(lines)
        widths: tuple[int, ...] = _WIDTHS[:1]
    else:
        widths = (len(lines[0]),) if len(lines) == 1 else _WIDTHS
    if not any(
        all(len(line) == width for line in lines[:-1]) and 0 < len(lines[-1]) <= width for width in widths
    ):
        raise CsrError("its lines are not all of the one length; send one block of PEM", "not-canonical")
    return "".join(lines)


def _without_marks(lines: Sequence[str]) -> list[str]:
    if any("NEW CERTIFICATE REQUEST" in line for line in lines):
        raise CsrError(
            "its header says NEW CERTIFICATE REQUEST; send it with BEGIN CERTIFICATE REQUEST", "new-header"
        )
    marks = [line for line in lines if "-" in line]
    if len(marks) > 2:  # noqa: PLR2004 (a beginning and an end)
        raise CsrError("there are several blocks in it; send one", "several-blocks")
    if len(lines) < _PARTS or lines[0] != _BEGIN or lines[-1] != _END or marks != [_BEGIN, _END]:
        raise CsrError(
            "something stands before, after or instead of the one block of PEM; send that alone",
            "not-one-block",
        )
    return list(lines[1:-1])


def _decode(text: str) -> bytes:
    try:
        if _BASE64.fullmatch(text) is None:
            raise CsrError("it is not base64; send PEM", "not-base64")
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise CsrError("its base64 is cut off; send it whole", "not-base64") from error
    if base64.b64encode(decoded).decode("ascii") != text:
        raise CsrError("its base64 can be read in two ways; send what openssl req writes", "not-canonical")
    return decoded
