"""Whose turn it is with a certificate's request: the worker's, or that of the CA's validator, who asks on the socket.

Where the requester submits, both would take the same steps, so one waits for the other.  Where the executor
submits, the validator asks while the worker waits for the CA, so the one statement of the journal decides
(`Claims.consume`), and nothing may be used up but what this very process has submitted.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Kept in memory; after a restart nothing was submitted and nobody has a turn."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._taken: set[str] = set()
        self._submitted: set[str] = set()

    def take(self, request_id: str, seconds: float) -> bool:
        """Wait for the turn with a request.

        Args:
            request_id: It.
            seconds: How long to wait; 0 does not.

        Returns:
            Whether it is the caller's now; then he gives it back.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: request_id not in self._taken, max(seconds, 0)):
                return False
            self._taken.add(request_id)
            return True

    def give(self, request_id: str) -> None:
        """Give a turn back."""
        with self._condition:
            self._taken.discard(request_id)
            self._condition.notify_all()

    @contextmanager
    def one(self, request_id: str, seconds: float) -> Iterator[bool]:
        """Have the turn with a request, or not; see `take`."""
        if not self.take(request_id, seconds):
            yield False
            return
        try:
            yield True
        finally:
            self.give(request_id)

    @contextmanager
    def submission(self, request_id: str) -> Iterator[None]:
        """Let the CA's validator use up a request while in here: it is being submitted."""
        with self._condition:
            self._submitted.add(request_id)
        try:
            yield
        finally:
            with self._condition:
                self._submitted.discard(request_id)

    def is_submitted(self, request_id: str) -> bool:
        """Tell whether this process waits for the CA's answer about a request just now."""
        with self._condition:
            return request_id in self._submitted
