"""One worker: takes a request, does what can be done for it now, and sees to it that it is looked at again.

What a failure means is told by its class alone: an `UnavailableError` decided nothing and is tried
again soon; any other error is audited as ``not-run`` and tried again ever more seldom.  A worker
that cannot reach the directory takes no other request until a pause is over, so that an outage costs
one attempt a pause and not one for each request that waits (E17).
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from ipa_tpi.errors import AuditError, TpiError, UnavailableError
from ipa_tpi.executor.schedule import Schedule
from ipa_tpi.executor.troubles import OUTAGE_SECONDS, REFUSED_SECONDS, Trouble, Troubles
from ipa_tpi.ports import Audit

_LOG: Final = logging.getLogger(__name__)
_EVERY_REQUEST: Final = ""


class Session(Protocol):
    """A bound connection, and the ten steps on it."""

    def process(self, request_id: str) -> datetime | None:
        """Take a request as far as it goes now; see `dispatch.Dispatcher.process`."""

    def close(self) -> None:
        """End the connection; never raises."""


class Worker:
    """Works until the schedule stops.

    Args:
        open_session: Opens a session bound as tpi/HOST.
        schedule: Where requests come from.
        audit: Where it is told that nothing was run.
        troubles: What failed lately; the workers share it.
        clock: Tells the time in UTC.
        rest: Waits for so many seconds, or until the executor stops.
    """

    def __init__(
        self,
        open_session: Callable[[], Session],
        schedule: Schedule,
        audit: Audit,
        troubles: Troubles,
        clock: Callable[[], datetime],
        rest: Callable[[float], object],
    ) -> None:
        self._open_session = open_session
        self._schedule = schedule
        self._audit = audit
        self._clock = clock
        self._rest = rest
        self._troubles = troubles
        self._session: Session | None = None

    def run(self) -> None:
        """Work; returns when the schedule has stopped and what was begun is done."""
        try:
            while (request_id := self._schedule.take()) is not None:
                try:
                    self._work(request_id)
                finally:
                    self._schedule.done(request_id)
        finally:
            self._drop()

    def _work(self, request_id: str) -> None:
        try:
            self._session = self._session or self._open_session()
        except Exception as error:  # noqa: BLE001 (the outermost loop: nothing is run, and it is seen)
            self._schedule.wake(request_id)
            trouble = self._meet(_EVERY_REQUEST, error)
            self._rest(min(trouble.pause_seconds, OUTAGE_SECONDS[-1]))
            return
        self._troubles.forget(_EVERY_REQUEST)
        try:
            moment = self._session.process(request_id)
        except Exception as error:  # noqa: BLE001 (as above)
            self._schedule.hold(request_id, self._meet(request_id, error).pause_seconds)
            if not isinstance(error, TpiError) or isinstance(error, UnavailableError):
                self._drop()
            return
        self._troubles.forget(request_id)
        if moment is not None:
            self._schedule.wake_in(request_id, (moment - self._clock()).total_seconds())

    def _meet(self, request_id: str, error: Exception) -> Trouble:
        """Log a failure, audit it where it is more than an outage, and tell how long to leave the request alone."""
        what = request_id or "no connection"
        code = error.code if isinstance(error, TpiError) else "error"
        if isinstance(error, UnavailableError):
            trouble = self._troubles.meet(request_id, code, OUTAGE_SECONDS, self._clock())
            level = logging.WARNING if trouble.is_news else logging.DEBUG
            _LOG.log(level, "%s: %s; next try in %.1f s", what, error, trouble.pause_seconds)
            return trouble
        trouble = self._troubles.meet(request_id, code, REFUSED_SECONDS, self._clock())
        if trouble.is_news and isinstance(error, TpiError):
            self._deny(request_id, code, error.message)
        elif trouble.is_news:
            _LOG.error("%s: an error that should not be", what, exc_info=error)
            self._deny(request_id, code, "internal error, nothing was done; see the log of the executor")
        return trouble

    def _deny(self, request_id: str, code: str, message: str) -> None:
        try:
            self._audit.record("not-run", request=request_id, code=code, message=message)
        except AuditError as error:
            _LOG.error("%s: %s; and the audit failed: %s", request_id, message, error)

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
