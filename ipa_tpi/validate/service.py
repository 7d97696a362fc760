"""One question, one program, one answer; systemd starts this for each connection (K05).

::

    1  who asks (SO_PEERCRED): the executor's account, nobody else
    2  the question: one line, exactly of the form, exactly the variables of the contract
    3  the program: a plain name, in a folder and a file that only root can change
    4  say that it is begun, and run it
    5  answer

What goes wrong before 4 is a refusal too, since the next try would end alike.  The connection is
descriptor 0; the program does not get it.
"""

import argparse
import logging
import os
import pwd
import socket
import struct
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from ipa_tpi import __version__, contract
from ipa_tpi.contract import Answer, Question
from ipa_tpi.validate.folder import Folders, UnsafeProgramError, open_program
from ipa_tpi.validate.run import Ended, StartError, prepare, run
from ipa_tpi.validate.verdict import judge, shown

_LOG = logging.getLogger("ipa_tpi.validate")
_EXECUTOR: Final = "ipatpi-exec"
_ASKING_SECONDS: Final = 5.0
_LOGGED_LINES: Final = 200
_UCRED: Final = struct.Struct("3i")


class _RefusedError(Exception):
    """Raised and caught in this module only."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this service stands.

    Attributes:
        executor: The uid that may ask.
        folders: Where its programs lie.
    """

    executor: int
    folders: Folders


def serve(peer: socket.socket, place: Place) -> None:
    """Answer one connection.

    Args:
        peer: The connection; nothing that comes over it is trusted.
        place: Where this service stands.
    """
    try:
        answer = _answer(peer, place)
    except (_RefusedError, UnsafeProgramError, StartError) as error:
        _LOG.warning("refused: %s", error)
        answer = Answer(
            accepted=False, code="validation-failed", message=str(error)[: contract.MAX_MESSAGE_CHARACTERS]
        )
    peer.sendall(msgspec.json.encode(answer) + b"\n")


def _answer(peer: socket.socket, place: Place) -> Answer:
    _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    if uid != place.executor:  # R-E04: before a byte is read
        raise _RefusedError(f"uid {uid} may not ask for a validation program")
    question = _read_question(peer)
    _check_environment(question.environment)
    program = open_program(place.folders, question.program)
    try:
        peer.sendall(contract.BEGUN)
        environment = {**contract.SURROUNDINGS, **question.environment}
        ended = run(program, question.program, environment, question.timeout_seconds)
    finally:
        os.close(program)
    answer = judge(question.program, ended, question.timeout_seconds)
    _tell(question, ended, answer)
    return answer


def _read_question(peer: socket.socket) -> Question:
    text = b""
    deadline = time.monotonic() + _ASKING_SECONDS
    while not text.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or len(text) > contract.MAX_QUESTION_BYTES:
            raise _RefusedError("the question is too long, or does not end")
        peer.settimeout(left)
        try:
            piece = peer.recv(65536)
        except TimeoutError:
            continue
        if not piece:
            raise _RefusedError("the question ended early")
        text += piece
    peer.settimeout(_ASKING_SECONDS)
    try:
        return msgspec.json.decode(text, type=Question)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _RefusedError(f"the question is not of the form that is agreed on: {error}") from error


def _check_environment(environment: Mapping[str, str]) -> None:
    if environment.keys() != contract.VARIABLES:  # R-K05: nobody adds LD_PRELOAD, or leaves out who asks
        raise _RefusedError("the variables are not exactly those of the contract")
    for name, value in environment.items():
        if any(one < " " or one == "\x7f" for one in value):
            raise _RefusedError(f"{name} holds a control character")


def _tell(question: Question, ended: Ended, answer: Answer) -> None:
    """Log what the program wrote to standard error, and how it ended; each line bears whose it is."""
    who = f"{question.program} {shown(question.environment['TPI_REQUEST_ID'])}"
    for line in ended.err.decode("utf-8", "backslashreplace").splitlines()[:_LOGGED_LINES]:
        _LOG.info("%s: stderr: %s", who, shown(line))
    if answer.code == "validation-refused":
        _LOG.info("%s: stdout: %s", who, shown(ended.out.decode("ascii", "backslashreplace").rstrip("\n")))
    _LOG.info("%s: %s", who, "accepted" if answer.accepted else f"{answer.code}: {answer.message}")


def main(argv: list[str] | None = None) -> int:
    """Serve the connection that systemd has put on descriptor 0.

    Args:
        argv: Arguments; those of the process when left out.

    Returns:
        The exit status: 0 once an answer was given, 1 otherwise.
    """
    parser = argparse.ArgumentParser(
        prog="ipa-tpi-validate", description="Runs one validation program of ipa-tpi; started by systemd."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "kind",
        choices=("offline", "network"),
        help="which folder's programs: those without network, or those with it",
    )
    kind = parser.parse_args(argv).kind
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    own, other = contract.FOLDER, contract.NETWORK_FOLDER
    folders = Folders(own, other) if kind == "offline" else Folders(other, own)
    try:
        with socket.socket(fileno=os.dup(0)) as peer:
            prepare()
            serve(peer, Place(pwd.getpwnam(_EXECUTOR).pw_uid, folders))
    except BrokenPipeError:
        _LOG.warning("whoever asked did not wait for the answer")
        return 1
    except Exception:  # noqa: BLE001 (the outermost loop: no answer is a refusal, and it is seen)
        _LOG.exception("an error that should not be")
        return 1
    return 0
