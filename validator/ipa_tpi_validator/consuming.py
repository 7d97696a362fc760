"""Asking the executor of this host to use up an approved request for exactly one certificate (DESIGN section 8).

One line of JSON to its socket, verb ``consume``, and one line back.  Only its plain yes is a yes: no socket, no answer in
time, another form, a verb that it does not serve are all refusals.  It answers after it has written down, durably,
that the request is used up, so an answer that is lost costs the approval and issues nothing.
"""

import logging
import socket
import time
from typing import Final

from ipa_tpi.errors import BadInputError
from ipa_tpi.wire import Consumption, SocketAnswer, SocketMessage, decode, encode
from ipa_tpi_validator.decision import Consumer
from ipa_tpi_validator.refusal import Refusal, access, shown, undecided

_LOG: Final = logging.getLogger("ipa_tpi_validator")
SECONDS: Final = 5.0
_MAX_ANSWER_BYTES: Final = 64 * 1024


def consumer_of(path: str) -> Consumer:
    """Give the way to the executor.

    Args:
        path: Its socket; empty where there is none.
    """
    return SocketConsumer(path) if path else NoConsumer()


class NoConsumer:
    """Where no executor can be asked: nothing under control is issued."""

    def consume(self, digest: str, profile: str, ca: str, user: str) -> Refusal | None:
        """Refuse."""
        _LOG.warning("nobody to ask about %s by %s at %s for %s", digest, profile, ca, user)
        return access(
            f"certificates by the profile '{profile}' need a second person, and no executor is set up here that "
            "could tell; see ipa-tpi-certval(8)",
            "no-executor",
        )


class SocketConsumer:
    """Asks the executor's socket.

    Args:
        path: Where it is.
        seconds: For connecting, asking and the answer together.
    """

    def __init__(self, path: str, seconds: float = SECONDS) -> None:
        self._path = path
        self._seconds = seconds

    def consume(self, digest: str, profile: str, ca: str, user: str) -> Refusal | None:
        """Use up an approved request; see `ipa_tpi_validator.decision.Consumer`."""
        message = SocketMessage(
            verb="consume", consume=Consumption(csr=digest, profile=profile, ca=ca, user=user)
        )
        try:
            answer = decode(self._ask(encode(message) + b"\n"), SocketAnswer)
        except (OSError, BadInputError) as error:
            _LOG.warning("the executor was asked about %s and did not answer: %s", digest, error)
            return undecided(
                "it could not be found out whether a second person agreed, so nothing is issued; look at the request "
                "before you try again: ipa-tpi request list",
                "executor-unreachable",
            )
        _LOG.info("the executor says about %s: %s", digest, answer.code or answer.ok)
        if answer.ok and not answer.code:
            return None
        return access(
            f"certificates by the profile '{profile}' need a second person: {shown(answer.message or answer.code)}",
            answer.code or "executor",
        )

    def _ask(self, line: bytes) -> bytes:
        deadline = time.monotonic() + self._seconds
        answer = bytearray()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as executor:
            executor.settimeout(self._seconds)
            executor.connect(self._path)
            executor.sendall(line)
            while not answer.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0 or len(answer) > _MAX_ANSWER_BYTES:
                    raise TimeoutError("its answer does not end")
                executor.settimeout(left)
                piece = executor.recv(4096)
                if not piece:
                    raise ConnectionResetError("it ended without an answer")
                answer += piece
        return bytes(answer)
