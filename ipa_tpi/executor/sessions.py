"""Sessions that are open and that nobody uses now.

There are many workers and mostly one works, so they share: the session that was used last comes
first, and no more are ever open than were needed at once.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from ipa_tpi.executor.dispatch import Ready


class Session(Protocol):
    """A bound connection, and the ten steps on it."""

    def process(self, request_id: str) -> datetime | None:
        """Take a request as far as it goes now; see `dispatch.Dispatcher.process`."""

    def release(self, request_id: str, left: Callable[[], float]) -> Ready:
        """Use up a request whose requester asks the CA himself; see `dispatch.Dispatcher.release`."""

    def conclude(self, ready: Ready, *, answered: bool) -> None:
        """End it; see `dispatch.Dispatcher.conclude`."""

    def close(self) -> None:
        """End the connection; never raises."""


class Sessions:
    """Lends sessions, each to one borrower at a time.

    Args:
        open_session: Opens a session bound as tpi/HOST.
    """

    def __init__(self, open_session: Callable[[], Session]) -> None:
        self._open = open_session
        self._lock = threading.Lock()
        self._free: list[Session] = []

    def take(self) -> Session:
        """Give the session that was used last, or a new one; raises as opening does."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._open()

    def give_back(self, session: Session) -> None:
        """Take a session that can be used again."""
        with self._lock:
            self._free.append(session)

    def close(self) -> None:
        """Close all that nobody uses: what broke one of them has mostly broken all."""
        with self._lock:
            free, self._free = self._free, []
        for session in free:
            session.close()
