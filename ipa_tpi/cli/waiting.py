"""Waiting for a request's end, through gaps of the server, the directory and the Kerberos server.

The operation may well be a restart of the very directory that is asked, and that the Kerberos server
reads from, so an answer that does not come is no end:

1. While nobody answers, it is asked again, ever more slowly, until nothing more can have happened to
   the request (its windows as last seen) or the time is over.  Then its state is not known.
2. A refusal that a directory may cause while it comes and goes (401, no ticket for it) is asked again
   too, once the request was seen, for a minute in a row.
3. What cannot get better by itself (a server that is not trusted, any other refusal) ends the waiting.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from ipa_tpi.cli.render import duration
from ipa_tpi.client import TpiClient
from ipa_tpi.errors import TpiError, UnavailableError
from ipa_tpi.wire import RequestView

_GROWTH: Final = 1.5
SETTLE_SECONDS: Final = 2.0
_SETTLE_PAUSE_SECONDS: Final = 0.05
_FINAL: Final = frozenset({"executed", "failed", "denied", "cancelled", "expired"})
_DECIDED: Final = frozenset({"approved", "executing"})
_HOPELESS: Final = frozenset({"server-untrusted", "clock-skew", "too-large"})
_PASSING: Final = frozenset({"unauthenticated", "no-ticket", "directory-refused"})


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to ask again.

    Attributes:
        first_pause_seconds: Between the first two questions after each news.
        longest_pause_seconds: What the pauses grow to.
        refused_seconds: How long a refusal may last that a directory may cause while it comes and goes.
        grace_seconds: How long to ask on after the request's windows have passed.
    """

    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 2.0
    refused_seconds: float = 60.0
    grace_seconds: float = 10.0


USUAL: Final = Patience()


def is_final(view: RequestView) -> bool:
    """Tell whether nothing more will happen to a request.

    Args:
        view: Untrusted.

    Returns:
        True for a final state.  ``indeterminate`` without a result may still become something else
        while a window is open.
    """
    if view.state == "indeterminate":
        return view.result is not None or view.seconds_left <= 0
    return view.state in _FINAL


def is_stuck(view: RequestView) -> bool:
    """Tell whether a request is approved and waits there for a new proof of its requester (R-K01).

    Args:
        view: Untrusted.

    Returns:
        True until the requester proves.
    """
    return view.state in _DECIDED and view.code == "proof-missing"


def news(view: RequestView) -> str:
    """Tell a request's state, and what it needs where it does not go on by itself.

    Args:
        view: Untrusted.

    Returns:
        It, untrusted too.
    """
    return f"{view.state} ({view.message})" if is_stuck(view) else view.state


def settle(client: TpiClient, view: RequestView, seconds: float = SETTLE_SECONDS) -> RequestView:
    """Give the target a moment to take note of what was just said, so that what is printed is what holds.

    Args:
        client: Whom to ask.
        view: The request as the server answered.
        seconds: How long at most.

    Returns:
        The request as last seen: once the target has verified the proof and shown its preview, or after
        `seconds`, or at the first failure.
    """
    deadline = time.monotonic() + seconds
    while (view.state == "awaiting-preview" or view.code == "proof-missing") and time.monotonic() < deadline:
        time.sleep(_SETTLE_PAUSE_SECONDS)
        try:
            view = client.show(view.id)
        except TpiError:
            return view
    return view


def wait(
    client: TpiClient,
    request_id: str,
    timeout_seconds: float,
    tell: Callable[[str], None],
    known: RequestView | None = None,
    patience: Patience = USUAL,
) -> RequestView:
    """Ask again and again until a request's state is final or the time is over.

    Args:
        client: Whom to ask.
        request_id: Whole id.
        timeout_seconds: How long at most.
        tell: Receives a line for each change of state and each gap.
        known: The request as last seen, if it was.
        patience: How often and how long to ask again.

    Returns:
        The request as last seen; `is_final` tells whether it ended.

    Raises:
        TpiError: The request was never seen, there is no hope that asking again would help, or nobody
            answered to the end.
    """
    course = _Course(client, request_id, time.monotonic() + timeout_seconds, tell, known, patience)
    while True:
        view = course.look()
        if view is not None and is_final(view):
            return view
        left = course.deadline - time.monotonic()
        if left <= 0 and course.gap_since is None and course.last is not None:
            return course.last
        time.sleep(max(min(course.pause, left), 0))
        course.pause = min(course.pause * _GROWTH, patience.longest_pause_seconds)


class _Course:
    """What is known in the course of the waiting."""

    def __init__(
        self,
        client: TpiClient,
        request_id: str,
        deadline: float,
        tell: Callable[[str], None],
        known: RequestView | None,
        patience: Patience,
    ) -> None:
        self._client = client
        self._request_id = request_id
        self._tell = tell
        self.deadline = deadline
        self.last = known
        self.gap_since: float | None = None
        self.pause = patience.first_pause_seconds
        self._patience = patience
        self._seen_at = time.monotonic()

    def look(self) -> RequestView | None:
        """Ask once; None while nobody answers and there is hope."""
        try:
            view = self._client.show(self._request_id)
        except TpiError as error:
            self._miss(error)
            return None
        now = time.monotonic()
        is_new = self.last is None or news(view) != news(self.last)
        if self.gap_since is not None:
            self._tell(f"answered again after {duration(round(now - self.gap_since))}; state: {news(view)}")
        elif is_new:
            self._tell(f"state: {news(view)}")
        if self.gap_since is not None or is_new:
            self.pause = self._patience.first_pause_seconds
        self.gap_since, self.last, self._seen_at = None, view, now
        return view

    def _miss(self, error: TpiError) -> None:
        end = self._end_of(error)
        if end is None:
            raise error
        now, end = time.monotonic(), min(end, self.deadline)
        if self.gap_since is None:
            self.gap_since = now
            until = duration(round(end - now))
            self._tell(
                f"no answer about the request for now; still trying for up to {until}: {error.message}"
            )
        if now >= end:
            self._give_up(error)

    def _end_of(self, error: TpiError) -> float | None:
        """Tell until when a failure may pass; None for one that will not."""
        if error.code in _PASSING:
            since = self.gap_since if self.gap_since is not None else time.monotonic()
            return since + self._patience.refused_seconds if self.last is not None else None
        if not isinstance(error, UnavailableError) or error.code in _HOPELESS:
            return None
        if self.last is None:
            return self.deadline
        return self._seen_at + self.last.seconds_to_end + self._patience.grace_seconds

    def _give_up(self, error: TpiError) -> NoReturn:
        if self.last is None:
            raise error
        raise UnavailableError(
            f"no answer about request {self.last.id} any more ({error.message}); it was {self.last.state} when "
            f"last seen, and goes on without you. Look later: ipa-tpi show {self.last.id}",
            code=error.code,
        ) from error
