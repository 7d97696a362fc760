"""The sockets behind which validation programs run, each in a service of its own (K05).

One connection is one program; systemd starts ``ipa-tpi-validate@.service`` for it, or
``ipa-tpi-validate-network@.service`` for one that lies in the folder of those that need the network.
What lies behind the socket holds nothing; an answer that is not exactly of the form refuses.  A
connection that ends before the service says that it has begun has started nothing: that is an outage.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from ipa_tpi import contract
from ipa_tpi.contract import Answer, Question
from ipa_tpi.decide.intake import check_text
from ipa_tpi.errors import ValidatorUnavailableError
from ipa_tpi.model import Refuse

_STARTING_SECONDS: Final = 15.0
_GRACE_SECONDS: Final = 5.0
_CODES: Final = frozenset({"validation-refused", "validation-failed", "validation-timeout"})


class ValidationSocket:
    """Asks over the sockets; see `ipa_tpi.ports.Validators`.

    Args:
        path: Of the socket for programs without network.
        network_path: Of the socket for programs with it.
        network_folder: Where the latter lie; the service looks for itself, this only finds the right door.
    """

    def __init__(self, path: str, network_path: str, network_folder: str = contract.NETWORK_FOLDER) -> None:
        self._path = path
        self._network_path = network_path
        self._network_folder = network_folder

    def ask(self, program: str, question: Mapping[str, str], timeout_seconds: int) -> Refuse | None:
        """Run a program and wait for its answer."""
        seconds = min(timeout_seconds, contract.MAX_TIMEOUT_SECONDS)
        line = msgspec.json.encode(Question(program, dict(question), seconds)) + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            first, rest = self._begin(peer, self._door(program), line)
            if first != contract.BEGUN:
                return _judge(program, first)
            try:
                text, _ = _read_line(peer, rest, time.monotonic() + seconds + _GRACE_SECONDS)
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

    def _door(self, program: str) -> str:
        lies_there = os.path.lexists(f"{self._network_folder}/{program}")
        return self._network_path if lies_there else self._path

    def _begin(self, peer: socket.socket, path: str, line: bytes) -> tuple[bytes, bytes]:
        try:
            peer.settimeout(_STARTING_SECONDS)
            peer.connect(path)
            peer.sendall(line)
            first, rest = _read_line(peer, b"", time.monotonic() + _STARTING_SECONDS)
        except OSError as error:
            raise _unavailable(str(error) or "no answer in time") from error
        if not first:
            raise _unavailable("the connection was closed")
        return first, rest


def _unavailable(why: str) -> ValidatorUnavailableError:
    return ValidatorUnavailableError(
        f"validation programs cannot be run: {why}; see: systemctl status 'ipa-tpi-validate*.socket'"
    )


def _read_line(peer: socket.socket, text: bytes, deadline: float) -> tuple[bytes, bytes]:
    """Read up to the end of a line; give it, and what came after it."""
    while b"\n" not in text and len(text) <= contract.MAX_ANSWER_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        peer.settimeout(left)
        part = peer.recv(4096)
        if not part:
            break
        text += part
    line, end, rest = text.partition(b"\n")
    return line + end, rest


def _judge(program: str, text: bytes) -> Refuse | None:
    try:
        answer = msgspec.json.decode(text, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refuse(
            "validation-failed",
            f"the validation program {program} gave no answer; see: journalctl -t ipa-tpi-validate",
        )
    if answer == Answer(accepted=True):
        return None
    told = answer.message if check_text(answer.message, "message") is None else ascii(answer.message)
    code = answer.code if answer.code in _CODES else "validation-failed"
    told = told[: contract.MAX_MESSAGE_CHARACTERS]
    message = told or f"the validation program {program} refused; see: journalctl -t ipa-tpi-validate"
    return Refuse(code, message)
