"""What wakes the executor: a persistent search with reconnection, and a poll beside it.

Nothing that arrives here is believed; it names a request to look at, and everything about it is
read anew.
"""

import logging
import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ipa_tpi.adapters.directory import LdapDirectory
from ipa_tpi.errors import TpiError
from ipa_tpi.executor.claims import Claims
from ipa_tpi.executor.schedule import Schedule
from ipa_tpi.ports import Query

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_RECENT = timedelta(minutes=10)
_HISTORY = timedelta(days=15)  # longer than any window can be, see decide.policy


class Watch:
    """Two threads that put ids into the schedule.

    Args:
        connect: Opens a directory bound as tpi/HOST.
        schedule: Where the ids go.
        claims: Tells what is finished.
        me: The executor's normal DN.
        poll_seconds: How often to search.
        clock: Tells the time in UTC.
    """

    def __init__(
        self,
        connect: Callable[[], LdapDirectory],
        schedule: Schedule,
        claims: Claims,
        me: str,
        poll_seconds: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._connect = connect
        self._schedule = schedule
        self._claims = claims
        self._me = me
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._stop = threading.Event()
        self.connected = threading.Event()
        self._threads = [
            threading.Thread(target=self._forever, args=(self._listen,), name="watch", daemon=True),
            threading.Thread(target=self._forever, args=(self._poll,), name="poll", daemon=True),
        ]

    def start(self) -> None:
        """Start watching."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop, and wait a little for the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=3)

    def _forever(self, step: Callable[[], None]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                step()
                pause = _FIRST_PAUSE_SECONDS
            except TpiError as error:
                self.connected.clear()
                _LOG.warning("%s: %s; next try in %.1f s", threading.current_thread().name, error, pause)
                self._stop.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 (jitter, no secret)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _listen(self) -> None:
        directory = self._connect()
        try:
            for request_id in directory.watch(self._stop.is_set):
                if request_id:
                    self._schedule.wake(request_id)
                else:  # from here on nothing is missed, so look once for what was
                    self.connected.set()
                    self._try_to_sweep()
        finally:
            directory.close()

    def _poll(self) -> None:
        self._sweep()
        self._stop.wait(self._poll_seconds * random.uniform(0.8, 1.2))  # noqa: S311 (jitter, no secret)

    def _try_to_sweep(self) -> None:
        # What cannot be listed (a flood beyond the size limit) must not cost the watch.
        try:
            self._sweep()
        except TpiError as error:
            _LOG.warning("watch: %s; what is new is still seen", error)

    def _sweep(self) -> None:
        for request_id in self._claims.unfinished():
            self._schedule.wake(request_id)
        directory = self._connect()
        try:
            # The newest first: an older flood beyond the server's size limit hides nothing new.
            for age in (_RECENT, _HISTORY):
                found = directory.ids(Query(executor=self._me, since=self._clock() - age))
                for request_id in frozenset(found) - self._claims.finished():
                    self._schedule.wake(request_id)
            # R-X12: a restored directory may have lost the result of what had ended.
            answered = directory.answered(self._me, self._clock() - _HISTORY)
            for request_id in (frozenset(found) & self._claims.answered()) - answered:
                self._schedule.wake(request_id)
        finally:
            directory.close()
