"""The verb ``consume``: the CA's validator uses up one approved request for exactly one certificate (DESIGN section 8).

In this order:

1. A request is looked for by the certificate request's digest, profile and CA, in the journal alone; its requester has to
   be the very principal who asks the CA, as he was when the preview was made: an alias or another letter case is not he.
2. One that the executor has submitted just now and that was not used up is taken, the oldest of several: one statement
   of the journal moves it to ``claimed``, or it was closed before.
3. Else those whose requester submits himself are tried, the oldest first: `dispatch.Dispatcher.release`.
4. The answer is given when the journal has it on the disk; then the request is ended.

Whoever asks has little time.  What is not claimed within `SECONDS` is not claimed at all, so that nobody's approval
is used up for an answer to which nobody listens any more.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from ipa_tpi.errors import BadInputError, JournalError, RefusedError, TpiError, UnavailableError
from ipa_tpi.executor.claims import Claims, Enrolment
from ipa_tpi.executor.dispatch import Ready
from ipa_tpi.executor.enrolment import EXECUTOR, REQUESTER
from ipa_tpi.executor.sessions import Session, Sessions
from ipa_tpi.executor.socket import Reply
from ipa_tpi.executor.turns import Turns
from ipa_tpi.model import Json
from ipa_tpi.ports import Audit
from ipa_tpi.wire import Consumption, SocketMessage

_LOG: Final = logging.getLogger(__name__)
SECONDS: Final = 4.0  # the validator waits for 5, from before it connects
_AT_ONCE: Final = 4
_OPEN: Final = frozenset({"", "intent", "submitted"})
_Rows = Sequence[tuple[Enrolment, str]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a consume may take until it is claimed.

    Attributes:
        most_seconds: So long.
        clock: Counts seconds and is never stepped.
    """

    most_seconds: float = SECONDS
    clock: Callable[[], float] = time.monotonic


class Consuming:
    """Serves the verb, in the threads of the socket.

    Args:
        claims: The journal.
        sessions: What to work with; the workers share them.
        turns: Whose turn it is; the workers share them.
        audit: Where it is told what was used up, and what was not.
        wake: Has a worker look at a request.
        clock: Tells the time in UTC.
        patience: How long a consume may take.
    """

    def __init__(
        self,
        claims: Claims,
        sessions: Sessions,
        turns: Turns,
        audit: Audit,
        wake: Callable[[str], None],
        clock: Callable[[], datetime],
        patience: Patience,
    ) -> None:
        self._claims = claims
        self._sessions = sessions
        self._turns = turns
        self._audit = audit
        self._wake = wake
        self._clock = clock
        self._patience = patience
        # A session's tickets lie under the name of the thread that opened it, so these are few, and never two the same.
        self._names = SimpleQueue[str]()
        for number in range(_AT_ONCE):
            self._names.put(f"consume-{number}")

    def consume(self, message: SocketMessage) -> Mapping[str, Json] | Reply:
        """Use up a request.

        Args:
            message: With what it is for.

        Returns:
            What a yes is made of: only after it has been written down.

        Raises:
            TpiError: The answer is no; with the reason.
        """
        wanted = message.consume
        if wanted is None:
            raise BadInputError("it does not say what is to be used up; give consume", code="bad-json")
        seconds = self._patience.clock
        end = seconds() + self._patience.most_seconds
        try:
            return self._consume(wanted, lambda: end - seconds())
        except TpiError as error:
            self._audit.record("consume-refused", code=error.code, message=error.message, **_told(wanted))
            raise

    def _consume(self, wanted: Consumption, left: Callable[[], float]) -> Mapping[str, Json] | Reply:
        rows = _mine(wanted, self._claims.enrolments(wanted.csr))
        for enrolment, state in rows:
            if state == "submitted" and self._turns.is_submitted(enrolment.request):
                return self._take(enrolment.request, wanted, left)
        refusal: TpiError | None = None
        for enrolment, _ in rows:
            if enrolment.way == REQUESTER:
                try:
                    return self._release(enrolment.request, wanted, left)
                except UnavailableError:
                    raise
                except RefusedError as error:
                    refusal = refusal or error
        raise refusal or RefusedError(
            f"the request {rows[0][0].request} is to be submitted by the executor, with submit={EXECUTOR}, and is not "
            f"just now; wait for it: ipa-tpi wait {rows[0][0].request}",
            code="other-way",
        )

    def _take(self, request_id: str, wanted: Consumption, left: Callable[[], float]) -> Mapping[str, Json]:
        self._audit.record("consume", request=request_id, **_told(wanted))
        if left() <= 0:
            raise _too_late()
        try:
            self._claims.consume(request_id, self._clock())
        except JournalError as error:
            if self._is_open(request_id):  # then it is the disk
                raise
            raise _used(request_id) from error
        return {}

    def _is_open(self, request_id: str) -> bool:
        claim = self._claims.claim(request_id)
        return claim is None or claim.state in _OPEN

    def _release(self, request_id: str, wanted: Consumption, left: Callable[[], float]) -> Reply:
        if not self._turns.take(request_id, left()):
            raise RefusedError(
                f"the request {request_id} is being used by another enrolment; wait for its end",
                code="being-used",
            )
        try:
            name = self._name(left())
            try:
                return self._release_as(name, request_id, wanted, left)
            except BaseException:
                self._names.put(name)
                raise
        except BaseException:
            self._turns.give(request_id)
            self._wake(request_id)  # it may have ended
            raise

    def _name(self, seconds: float) -> str:
        try:
            return self._names.get(timeout=max(seconds, 0.001))
        except Empty:
            raise _too_late() from None

    def _release_as(
        self, name: str, request_id: str, wanted: Consumption, left: Callable[[], float]
    ) -> Reply:
        threading.current_thread().name = name
        self._audit.record("consume", request=request_id, **_told(wanted))
        session = self._sessions.take()
        try:
            ready = session.release(request_id, left)
        except BaseException as error:
            self._end(session, error)
            raise
        return Reply(partial(self._conclude, name, session, ready))

    def _conclude(self, name: str, session: Session, ready: Ready, *, was_sent: bool) -> None:
        request_id = ready.subtree.request.id
        try:
            session.conclude(ready, answered=was_sent)
        except Exception as error:  # noqa: BLE001 (the outermost frame of the socket's thread: what is left to do is done by a worker)
            _LOG.warning("%s: it was used up, and its end is not told yet: %s", request_id, error)
            self._end(session, error)
        else:
            self._sessions.give_back(session)
        finally:
            self._names.put(name)
            self._turns.give(request_id)
            self._wake(request_id)

    def _end(self, session: Session, error: BaseException) -> None:
        if isinstance(error, TpiError) and not isinstance(error, UnavailableError):
            self._sessions.give_back(session)
        else:
            session.close()
            self._sessions.close()


def _mine(wanted: Consumption, rows: _Rows) -> _Rows:
    """Give what the caller could use up, the oldest first.

    Raises:
        RefusedError: There is nothing; with the nearest miss.
    """
    fitting = [row for row in rows if (row[0].profile, row[0].ca) == (wanted.profile, wanted.ca)]
    mine = [row for row in fitting if row[0].requester == wanted.user]
    usable = [row for row in mine if row[1] in _OPEN]
    if usable:
        return usable
    if mine:
        raise _used(mine[-1][0].request)
    if any(row[0].requester.casefold() == wanted.user.casefold() for row in fitting):
        raise RefusedError(
            "the request was made under another spelling of this principal; run kinit with the account's own name",
            code="not-canonical",
        )
    if fitting:
        raise RefusedError(
            "the request for this certificate was made by another account; only its requester can have it",
            code="not-requester",
        )
    if rows:
        told = rows[-1][0]
        raise RefusedError(
            f"the request {told.request} is for this certificate request by the profile {told.profile} at the CA "
            f"{told.ca}, and not for this; make another one",
            code="other-certificate",
        )
    raise RefusedError(
        f"nobody asked for a certificate for just this request (SHA-256 {wanted.csr[:16]}…) here; run: "
        "ipa-tpi create dogtag.cert.request",
        code="nothing-approved",
    )


def _used(request_id: str) -> RefusedError:
    return RefusedError(
        f"the request {request_id} was used up, or has ended; make a new one", code="already-used"
    )


def _too_late() -> RefusedError:
    return RefusedError(
        "it took too long to look at the request, and it is not used up; try again", code="consume-too-late"
    )


def _told(wanted: Consumption) -> dict[str, Json]:
    return {"csr": wanted.csr, "profile": wanted.profile, "ca": wanted.ca, "user": wanted.user}
