"""How the program that Dogtag starts asks the service: variables, the caller's tickets, to the end of the stream.

::

    ipa-tpi-certval 1 LF
    NAME=VALUE NUL …      the variables of `environment.VARIABLES` that are set
    NUL
    the bytes of the credential cache

Answered with ``accepted`` and a newline, or with the one line of JSON of a refusal.  The program is
``validator/ipa-pki-validate-cert-request``; a test compares the two.
"""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

GREETING: Final = b"ipa-tpi-certval 1\n"
ACCEPTED: Final = b"accepted\n"
MAX_QUESTION_BYTES: Final = 256 * 1024
MAX_CCACHE_BYTES: Final = 128 * 1024
ASKING_SECONDS: Final = 2.0
_PIECE_BYTES: Final = 65536


class QuestionError(ValueError):
    """It is not asked as agreed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came over the socket.

    Attributes:
        variables: As they came; nothing of them is believed.
        ccache: The credential cache's bytes.
    """

    variables: Mapping[str, bytes]
    ccache: bytes


def receive(peer: socket.socket, seconds: float = ASKING_SECONDS) -> Asked:
    """Read a question to the end.

    Args:
        peer: The connection.
        seconds: For all of it.

    Returns:
        What is asked.

    Raises:
        QuestionError: It does not end, is too long, or is not of the form.
    """
    text = bytearray()
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise QuestionError("the question does not end")
        peer.settimeout(left)
        try:
            piece = peer.recv(_PIECE_BYTES)
        except TimeoutError:
            continue
        if not piece:
            return parse(bytes(text))
        text += piece
        if len(text) > MAX_QUESTION_BYTES:
            raise QuestionError("the question is too long")


def parse(text: bytes) -> Asked:
    """Take a question apart.

    Args:
        text: All that came.

    Returns:
        What is asked.

    Raises:
        QuestionError: It is not of the form.
    """
    head, mark, ccache = text.partition(b"\0\0")
    if not head.startswith(GREETING) or not mark:
        raise QuestionError("the question is not of the form that is agreed on")
    if not ccache or len(ccache) > MAX_CCACHE_BYTES:
        raise QuestionError("no tickets came with the question, or too many")
    variables: dict[str, bytes] = {}
    for one in head.removeprefix(GREETING).split(b"\0"):
        name, equals, value = one.partition(b"=")
        key = name.decode("ascii", "replace")
        if not equals or key in variables:
            raise QuestionError("the question is not of the form that is agreed on")
        variables[key] = value
    return Asked(variables, ccache)
