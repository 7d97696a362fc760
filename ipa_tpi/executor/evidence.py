"""With what to act as a requester: what his proof yielded, in memory only (K01, DESIGN section 5).

After a restart, and once the ticket has run out, nothing is held, and the requester proves again;
nothing of it is ever written.
"""

import threading
from datetime import datetime, timedelta
from typing import Final

MOST: Final = 1000
# What is begun with a ticket has to end before the ticket does.
SPARE: Final = timedelta(seconds=10)


class Evidence:
    """Holds, for requests that are waiting, what `ports.AcceptedProof.evidence` is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[object, datetime]] = {}
        self._missed: set[str] = set()

    def keep(self, request_id: str, evidence: object, until: datetime) -> None:
        """Hold what a new proof of the requester yielded, in the place of what was held.

        Args:
            request_id: The request.
            evidence: None is not held.
            until: When the ticket runs out.
        """
        if evidence is None:
            return
        with self._lock:
            self._held.pop(request_id, None)
            while len(self._held) >= MOST:  # who waits longest proves again
                del self._held[next(iter(self._held))]
            self._held[request_id] = evidence, until
            self._missed.discard(request_id)

    def of(self, request_id: str, now: datetime) -> object:
        """Give what is held; None where nothing is that is still good."""
        with self._lock:
            evidence, until = self._held.get(request_id, (None, now))
            return evidence if now < until else None

    def is_good(self, request_id: str, now: datetime) -> bool:
        """Tell whether something can be begun with what is held: it is still good for `SPARE` (R-K01)."""
        return self.of(request_id, now + SPARE) is not None

    def drop(self, request_id: str) -> None:
        """Forget what is held; a request that has ended needs it no more."""
        with self._lock:
            self._held.pop(request_id, None)
            self._missed.discard(request_id)

    def miss(self, request_id: str) -> None:
        """Note that it was told that a request waits for a new proof."""
        with self._lock:
            if len(self._missed) >= MOST:  # better told twice than memory without end
                self._missed.clear()
            self._missed.add(request_id)

    def is_missed(self, request_id: str) -> bool:
        """Tell whether it was told, and no proof came since."""
        with self._lock:
            return request_id in self._missed
