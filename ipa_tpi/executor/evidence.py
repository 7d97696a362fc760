"""With what to act as a requester: what his proof yielded, in memory only (K01, DESIGN section 5).

After a restart nothing is held, and the requester proves again; nothing of it is ever written.
"""

import threading
from typing import Final

MOST: Final = 1000


class Evidence:
    """Holds, for requests that are waiting, what `ports.AcceptedProof.evidence` is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, object] = {}

    def keep(self, request_id: str, evidence: object) -> None:
        """Hold what a new proof of the requester yielded, in the place of what was held.

        Args:
            request_id: The request.
            evidence: None is not held.
        """
        if evidence is None:
            return
        with self._lock:
            self._held.pop(request_id, None)
            while len(self._held) >= MOST:  # who waits longest proves again
                del self._held[next(iter(self._held))]
            self._held[request_id] = evidence

    def of(self, request_id: str) -> object:
        """Give what is held; None where nothing is."""
        with self._lock:
            return self._held.get(request_id)

    def drop(self, request_id: str) -> None:
        """Forget what is held; a request that has ended needs it no more."""
        with self._lock:
            self._held.pop(request_id, None)
