"""Which request is looked at next: woken ones, and those whose time has come.

Thread-safe.  A request is never given to two takers at once; one that is woken while it is being
worked on is given again afterwards.  Each request has at most one time, the newest one that was
set, so that waking a request a thousand times costs no more than waking it once.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST: Final = 10_000
TOGETHER_SECONDS: Final = 0.02


class Schedule:
    """A queue of request ids without doubles, with one deadline for each.

    Args:
        clock: Counts seconds and is never stepped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._condition = threading.Condition()
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._due: dict[str, float] = {}
        self._held: set[str] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._stopped = False

    def wake(self, request_id: str) -> None:
        """Look at a request as soon as somebody is free: there is something new below it.

        Args:
            request_id: The request.  Beyond `MOST` of them a new one is dropped (R-E11): whoever
                can name ids without end fills no memory, and the search finds it again later.
        """
        with self._condition:
            self._give(request_id)

    def wake_soon(self, request_id: str) -> None:
        """Look at a request in a moment: what belongs together, as a voice and its proof, is seen together.

        Args:
            request_id: The request.  More of it meanwhile delays it no further, and `wake` does not wait.
        """
        with self._condition:
            soon = self._clock() + TOGETHER_SECONDS
            if request_id in self._busy:
                self._give(request_id)
            elif self._due.get(request_id, soon + 1) > soon:
                self._set(request_id, TOGETHER_SECONDS)

    def remind(self, request_id: str) -> None:
        """Look at a request as soon as somebody is free, unless it was put on hold.

        Args:
            request_id: The request; a search found it, and nothing says that it is new.
        """
        with self._condition:
            if request_id not in self._held:
                self._give(request_id)

    def wake_in(self, request_id: str, seconds: float) -> None:
        """Look at a request after a while, and not at the time that was set for it before.

        Args:
            request_id: The request.
            seconds: From now.
        """
        with self._condition:
            self._set(request_id, seconds)

    def hold(self, request_id: str, seconds: float) -> None:
        """Look at a request after a while, and before that only if something new wakes it.

        Args:
            request_id: The request.
            seconds: From now.
        """
        with self._condition:
            if self._set(request_id, seconds):
                self._held.add(request_id)

    def take(self) -> str | None:
        """Wait for a request to look at; None when there will be none any more."""
        with self._condition:
            while not self._stopped:
                now = self._clock()
                for _, request_id in sorted((at, one) for one, at in self._due.items() if at <= now):
                    del self._due[request_id]
                    self._give(request_id)
                if self._ready:
                    request_id, _ = self._ready.popitem(last=False)
                    self._due.pop(request_id, None)
                    self._held.discard(request_id)
                    self._busy.add(request_id)
                    return request_id
                self._condition.wait(min(self._due.values()) - now if self._due else None)
            return None

    def done(self, request_id: str) -> None:
        """Give a request back."""
        with self._condition:
            self._busy.discard(request_id)
            if request_id in self._again:
                self._again.discard(request_id)
                self._give(request_id)

    def stop(self) -> None:
        """Let all takers go."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def depth(self) -> int:
        """Tell how many requests wait to be looked at."""
        with self._condition:
            return len(self._ready)

    def busy(self) -> frozenset[str]:
        """Tell which requests are being worked on."""
        with self._condition:
            return frozenset(self._busy)

    def _set(self, request_id: str, seconds: float) -> bool:
        if request_id not in self._due and len(self._due) >= MOST:
            return False
        self._due[request_id] = self._clock() + max(0.0, seconds)
        self._condition.notify()
        return True

    def _give(self, request_id: str) -> None:
        if request_id in self._busy:
            self._again.add(request_id)
        elif request_id in self._ready or len(self._ready) < MOST:
            self._ready[request_id] = None
        self._condition.notify()
