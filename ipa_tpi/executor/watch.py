"""What wakes the executor: a persistent search with reconnection, and a poll beside it.

Nothing that arrives here is believed; it names a request to look at, and everything about it is
read anew.
"""

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

from ipa_tpi.decide.definition import LONGEST_LIFE
from ipa_tpi.errors import DirectoryLimitError, TpiError
from ipa_tpi.executor.schedule import Schedule
from ipa_tpi.ports import Heading, Query

_LOG: Final = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
_AHEAD: Final = timedelta(days=1)  # what is stamped ahead of our clock is refused, so it has to be found
_HISTORY: Final = LONGEST_LIFE + _AHEAD  # what is older can come to nothing
_SHORTEST: Final = timedelta(seconds=1)  # stamps have whole seconds

T = TypeVar("T")


class Stop(Protocol):
    """Tells that the executor ends; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Tell whether it ends."""

    def wait(self, timeout: float) -> object:
        """Wait until it ends, but not longer than so many seconds."""


class Watched(Protocol):
    """The part of the directory that is needed here."""

    def watch(self, stop: Callable[[], bool]) -> Iterator[str]:
        """Give the id of each request that something is added to; ``""`` once additions are seen."""

    def headings(self, query: Query) -> Sequence[Heading]:
        """List requests, with what can be told of them without reading them."""

    def answered(self, executor: str, since: datetime, until: datetime) -> frozenset[str]:
        """List the ids of requests that bear a result."""

    def close(self) -> None:
        """End the connection; never raises."""


class Finished(Protocol):
    """The part of the journal that is needed here."""

    def finished(self, requests: Sequence[str]) -> frozenset[str]:
        """Tell which of these requests need nothing more."""

    def unfinished(self) -> frozenset[str]:
        """Give the ids of requests that were promised or ended, and not published."""

    def answered(self) -> frozenset[str]:
        """Give the ids of all requests whose result we have put into the directory."""


class Watch:
    """Puts ids into the schedule; `listen` and `poll` each want a thread.

    Args:
        connect: Opens a directory bound as tpi/HOST.
        schedule: Where the ids go.
        claims: Tells what is finished.
        me: The executor's normal DN.
        poll_seconds: How often to search.
        clock: Tells the time in UTC.
        stop: Ends both.
    """

    def __init__(
        self,
        connect: Callable[[], Watched],
        schedule: Schedule,
        claims: Finished,
        me: str,
        poll_seconds: int,
        clock: Callable[[], datetime],
        *,
        stop: Stop,
    ) -> None:
        self._connect = connect
        self._schedule = schedule
        self._claims = claims
        self._me = me
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._stop = stop
        self._is_connected = False

    def is_connected(self) -> bool:
        """Tell whether the persistent search stands."""
        return self._is_connected

    def listen(self) -> None:
        """Follow the persistent search, and open it again whenever it ends."""
        self._again_and_again("watch", self._listen)

    def poll(self) -> None:
        """Search every `poll_seconds`, more or less a fifth."""
        self._again_and_again("poll", self._poll)

    def _again_and_again(self, name: str, step: Callable[["_Pauses"], None]) -> None:
        pauses = _Pauses()
        while not self._stop.is_set():
            try:
                step(pauses)
            except TpiError as error:
                pause = pauses.take()
                _LOG.warning("%s: %s; next try in %.1f s", name, error, pause)
                self._rest(pause)
            except Exception:  # noqa: BLE001 (an outermost loop: what is not foreseen must not end the watch for good)
                pause = pauses.take()
                _LOG.exception("%s: an error that should not be; next try in %.1f s", name, pause)
                self._rest(pause)

    def _listen(self, pauses: "_Pauses") -> None:
        directory = self._connect()
        try:
            for request_id in directory.watch(self._stop.is_set):
                if request_id:
                    self._schedule.wake_soon(request_id)
                else:  # from here on nothing is missed, so look once for what was
                    self._is_connected = True
                    pauses.start_anew()
                    self._try_to_sweep()
        finally:
            self._is_connected = False
            directory.close()

    def _poll(self, pauses: "_Pauses") -> None:
        self._sweep()
        pauses.start_anew()
        self._rest(self._poll_seconds)

    def _rest(self, seconds: float) -> None:
        self._stop.wait(seconds * random.uniform(0.8, 1.2))  # noqa: S311 (jitter, no secret)

    def _try_to_sweep(self) -> None:
        # What cannot be listed (a flood beyond the size limit) must not cost the watch.
        try:
            self._sweep()
        except TpiError as error:
            _LOG.warning("watch: %s; what is new is still seen", error)

    def _sweep(self) -> None:
        for request_id in self._claims.unfinished():
            self._schedule.remind(request_id)
        directory = self._connect()
        try:
            since, until = self._clock() - _HISTORY, self._clock() + _AHEAD
            there: set[str] = set()
            for found in slices(partial(_headings, directory, self._me), since, until):
                below = {heading.id: heading.below for heading in found}
                there.update(below)
                for request_id in below.keys() - self._claims.finished(list(below)):
                    self._schedule.remind(request_id, below[request_id])
            # R-X12: a restored directory may have lost the result of what had ended.
            lost = there & self._claims.answered()
            for answered in slices(partial(directory.answered, self._me), since, until):
                lost.difference_update(answered)
            for request_id in lost:
                self._schedule.remind(request_id)
        finally:
            directory.close()


class _Pauses:
    """Pauses that double from one failure to the next, up to a longest one."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE_SECONDS

    def take(self) -> float:
        """Give the pause after a failure."""
        pause, self._next = self._next, min(2 * self._next, LONGEST_PAUSE_SECONDS)
        return pause

    def start_anew(self) -> None:
        """Note that it went well."""
        self._next = FIRST_PAUSE_SECONDS


def _headings(directory: Watched, me: str, since: datetime, until: datetime) -> Sequence[Heading]:
    return directory.headings(Query(executor=me, since=since, until=until))


def slices(
    search: Callable[[datetime, datetime], Iterable[T]], since: datetime, until: datetime
) -> Iterator[Sequence[T]]:
    """Search a span of time, in parts where it holds more than the directory gives at once; the newest first.

    Args:
        search: Gives what was made from one time to another, both included.
        since: The first of them.
        until: The last.

    Yields:
        What it gave, part by part; what is on an edge can come twice.

    Raises:
        DirectoryLimitError: It does not even give what was made in one second.
    """
    try:
        yield list(search(since, until))
    except DirectoryLimitError:
        middle = since + (until - since) / 2
        if until - since < _SHORTEST:
            raise
        yield from slices(search, middle, until)
        yield from slices(search, since, middle)
