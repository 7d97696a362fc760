"""Asking the executor of this host to use up an approved request for exactly one certificate (DESIGN section 8).

One line of JSON to its socket, verb ``consume``, and one line back.  Only its plain yes is a yes: no socket, no answer in
time, another form, a verb that it does not serve are all refusals.  It answers after it has written down, durably,
that the request is used up, so an answer that is lost costs the approval and issues nothing.

The executor answers this service so many times a second and no more, and its socket has a queue that any account of
the host can fill.  So each caller has a share of his own (`Pace`), and where nothing was heard yet it is tried again
for `PATIENCE_SECONDS`: else one person, alone, would have others' approved requests refused.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ipa_tpi.errors import BadInputError
from ipa_tpi.wire import Consumption, SocketAnswer, SocketMessage, decode, encode
from ipa_tpi_validator.decision import Consumer
from ipa_tpi_validator.refusal import Refusal, access, shown, undecided

_LOG: Final = logging.getLogger("ipa_tpi_validator")
SECONDS: Final = 5.0
# With `SECONDS` it is less than the asking program has; the executor gives up sooner than that after it has heard.
PATIENCE_SECONDS: Final = 0.8
_AGAIN_SECONDS: Final = 0.05
_MAX_ANSWER_BYTES: Final = 64 * 1024
_PER_SECOND: Final = 3.0
_AT_ONCE: Final = 8.0
_MOST_KEPT: Final = 1024
_UNREAD: Final = frozenset({"rate-limited", "busy"})


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


class Pace:
    """How often the executor is asked for one caller: less than it answers for all of them.

    Args:
        clock: Counts seconds and is never stepped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, user: str) -> bool:
        """Count one question of a caller's; False where he has to wait.

        Args:
            user: His principal, which was verified.
        """
        with self._lock:
            now = self._clock()
            if len(self._left) >= _MOST_KEPT:  # whose share is whole again need not be remembered
                self._left = {who: one for who, one in self._left.items() if _grown(one, now) < _AT_ONCE}
            left = _grown(self._left.get(user, (_AT_ONCE, now)), now)
            self._left[user] = (left - 1 if left >= 1 else left, now)
            return left >= 1


def _grown(share: tuple[float, float], now: float) -> float:
    left, then = share
    return min(_AT_ONCE, left + (now - then) * _PER_SECOND)


class SocketConsumer:
    """Asks the executor's socket.

    Args:
        path: Where it is.
        seconds: For connecting, asking and the answer together.
        pace: How often for one caller.
    """

    def __init__(self, path: str, seconds: float = SECONDS, pace: Pace | None = None) -> None:
        self._path = path
        self._seconds = seconds
        self._pace = pace or Pace()

    def consume(self, digest: str, profile: str, ca: str, user: str) -> Refusal | None:
        """Use up an approved request; see `ipa_tpi_validator.decision.Consumer`."""
        if not self._pace.allows(user):
            return access("you ask for certificates too often; wait a second and try again", "rate-limited")
        message = SocketMessage(
            verb="consume", consume=Consumption(csr=digest, profile=profile, ca=ca, user=user)
        )
        try:
            answer = self._heard(encode(message) + b"\n")
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

    def _heard(self, line: bytes) -> SocketAnswer:
        """Ask, and again where it is certain that nobody has read it."""
        end = time.monotonic() + min(PATIENCE_SECONDS, self._seconds)
        while True:
            try:
                answer = decode(self._ask(line), SocketAnswer)
            except BlockingIOError:  # connect(2): its queue is full
                if time.monotonic() >= end:
                    raise
            else:
                if answer.ok or answer.code not in _UNREAD or time.monotonic() >= end:
                    return answer
            time.sleep(_AGAIN_SECONDS)

    def _ask(self, line: bytes) -> bytes:
        deadline = time.monotonic() + self._seconds
        answer = bytearray()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as executor:
            executor.settimeout(self._seconds)
            executor.connect(self._path)
            with suppress(BrokenPipeError):  # it refused unread, and has said so
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
