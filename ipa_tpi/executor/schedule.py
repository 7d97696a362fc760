"""Which request is looked at next: woken ones, and those whose time has come.

Thread-safe.  A request is never given to two takers at once; one that is woken while it is being
worked on is given again afterwards.
"""

import heapq
import threading
import time
from collections import OrderedDict


class Schedule:
    """A queue of request ids without doubles, with deadlines."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._later: list[tuple[float, str]] = []
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._stopped = False

    def wake(self, request_id: str) -> None:
        """Look at a request as soon as somebody is free."""
        with self._condition:
            if request_id in self._busy:
                self._again.add(request_id)
            else:
                self._ready[request_id] = None
            self._condition.notify()

    def wake_in(self, request_id: str, seconds: float) -> None:
        """Look at a request after a while.

        Args:
            request_id: The request.
            seconds: From now; counted by a clock that is never stepped.
        """
        with self._condition:
            heapq.heappush(self._later, (time.monotonic() + max(0.0, seconds), request_id))
            self._condition.notify()

    def take(self) -> str | None:
        """Wait for a request to look at; None when there will be none any more."""
        with self._condition:
            while not self._stopped:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    request_id = heapq.heappop(self._later)[1]
                    if request_id in self._busy:
                        self._again.add(request_id)
                    else:
                        self._ready[request_id] = None
                if self._ready:
                    request_id, _ = self._ready.popitem(last=False)
                    self._busy.add(request_id)
                    return request_id
                self._condition.wait(self._later[0][0] - now if self._later else None)
            return None

    def done(self, request_id: str) -> None:
        """Give a request back."""
        with self._condition:
            self._busy.discard(request_id)
            if request_id in self._again:
                self._again.discard(request_id)
                self._ready[request_id] = None
                self._condition.notify()

    def stop(self) -> None:
        """Let all takers go."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def depth(self) -> int:
        """Tell how many requests wait to be looked at."""
        with self._condition:
            return len(self._ready)
