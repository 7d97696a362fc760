"""Waiting for a request's end, through gaps of the server, the directory and the Kerberos server.

The operation may well be a restart of the very directory that is asked, so an answer that does not
come is no end.  What cannot get better by itself (no ticket, a server that is not trusted, a
refusal) ends the waiting at once.
"""

import time
from collections.abc import Callable
from typing import Final

from ipa_tpi.client import TpiClient
from ipa_tpi.errors import NoTicketError, TpiError, UnavailableError
from ipa_tpi.wire import RequestView

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 2.0
_GROWTH: Final = 1.5
SETTLE_SECONDS: Final = 2.0
_SETTLE_PAUSE_SECONDS: Final = 0.05
_FINAL: Final = frozenset({"executed", "failed", "denied", "cancelled", "expired"})
_HOPELESS: Final = frozenset({"server-untrusted", "clock-skew", "too-large"})


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
) -> RequestView:
    """Ask again and again until a request's state is final or the time is over.

    Args:
        client: Whom to ask.
        request_id: Whole id.
        timeout_seconds: How long at most.
        tell: Receives a line for each change of state and each gap.
        known: The request as last seen, if it was.

    Returns:
        The request as last seen; `is_final` tells whether it ended.

    Raises:
        TpiError: The request was never seen, or there is no hope that asking again would help.
    """
    deadline = time.monotonic() + timeout_seconds
    pause = FIRST_PAUSE_SECONDS
    gap = False
    last = known
    while True:
        try:
            view = client.show(request_id)
        except UnavailableError as error:
            if not _may_pass(error, seen=last is not None):
                raise
            if not gap:
                tell(f"no answer about the request for now; still trying: {error.message}")
            gap = True
            if time.monotonic() >= deadline and last is None:
                raise
        else:
            if gap or last is None or view.state != last.state:
                tell(f"state: {view.state}")
                pause = FIRST_PAUSE_SECONDS
            gap, last = False, view
            if is_final(view):
                return view
        left = deadline - time.monotonic()
        if left <= 0 and last is not None:
            return last
        time.sleep(max(min(pause, left), 0))
        pause = min(pause * _GROWTH, LONGEST_PAUSE_SECONDS)


def _may_pass(error: UnavailableError, *, seen: bool) -> bool:
    if isinstance(error, NoTicketError) or error.code in _HOPELESS:
        return False
    # A server whose directory restarts may fail to use a ticket that it took a moment ago.
    return seen or error.code != "unauthenticated"
