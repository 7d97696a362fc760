"""The socket behind which validation programs run, each in a service of its own (K05).

One connection is one program: the question goes out as one line of JSON, the answer comes back as
one line, and systemd has started ``ipa-tpi-validate@.service`` for it in between.  What lies behind
the socket holds nothing; an answer that is not exactly of the form refuses.
"""

import socket
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from ipa_tpi.decide.intake import check_text
from ipa_tpi.errors import ValidatorUnavailableError
from ipa_tpi.model import Refuse

MAX_ANSWER_BYTES: Final = 64 * 1024
_GRACE_SECONDS: Final = 5.0


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service is asked.

    Attributes:
        program: A plain file name.
        environment: The variables of the contract.
        timeout_seconds: For the program.
    """

    program: str
    environment: dict[str, str]
    timeout_seconds: int


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service answers.

    Attributes:
        accepted: The program ended with status 0 and said nothing else.
        code: ``validation-refused``, ``validation-failed`` or ``validation-timeout``; empty for yes.
        message: For people.
    """

    accepted: bool
    code: str = ""
    message: str = ""


_CODES: Final = frozenset({"validation-refused", "validation-failed", "validation-timeout"})


class ValidationSocket:
    """Asks over the socket; see `ipa_tpi.ports.Validators`.

    Args:
        path: Of the socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def ask(self, program: str, question: Mapping[str, str], timeout_seconds: int) -> Refuse | None:
        """Run a program and wait for its answer."""
        line = msgspec.json.encode(Question(program, dict(question), timeout_seconds)) + b"\n"
        deadline = time.monotonic() + timeout_seconds + _GRACE_SECONDS
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            try:
                peer.settimeout(_GRACE_SECONDS)
                peer.connect(self._path)
                peer.sendall(line)
            except OSError as error:
                raise ValidatorUnavailableError(
                    f"validation programs cannot be run: {error}; see: systemctl status ipa-tpi-validate.socket"
                ) from error
            try:
                text = _read(peer, deadline)
            except TimeoutError:  # R-K05: too late is a refusal
                return Refuse(
                    "validation-timeout",
                    f"the validation program {program} did not answer in time; make a new request when it does",
                )
            except OSError as error:
                return Refuse(
                    "validation-failed",
                    f"the answer of {program} was lost: {error}; see its journal, then make a new request",
                )
        return _judge(program, text)


def _read(peer: socket.socket, deadline: float) -> bytes:
    text = b""
    while not text.endswith(b"\n") and len(text) <= MAX_ANSWER_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        peer.settimeout(left)
        part = peer.recv(4096)
        if not part:
            break
        text += part
    return text


def _judge(program: str, text: bytes) -> Refuse | None:
    try:
        answer = msgspec.json.decode(text, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refuse(
            "validation-failed", f"the validation program {program} gave no answer; see its journal"
        )
    if answer.accepted and not answer.code:
        return None
    told = answer.message if check_text(answer.message, "message") is None else ascii(answer.message)
    code = answer.code if answer.code in _CODES else "validation-failed"
    message = told or f"the validation program {program} refused; see its journal"
    return Refuse(code, message)
