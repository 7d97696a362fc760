"""What the ticket behind a proof must be, as far as a client can know (R-A12, R-X11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ipa_tpi.wire import OperationView, RequestView

# How long a ticket may take to arrive that a target's floor wants fresh without telling this server how fresh.
_UNKNOWN_FLOOR_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a ticket must be.

    Attributes:
        seconds: How long ago it may have been got, for the proof alone; 0 where any will do.
        factors: Authentication indicators, one of which it must bear; empty for any.
    """

    seconds: int = 0
    factors: Sequence[str] = ()


ANY: Final = Wanted()


def wanted_of(said: OperationView | RequestView) -> Wanted:
    """Give what the server says that a ticket must be.

    Args:
        said: The operation, or a request for it.

    Returns:
        It.
    """
    return Wanted(said.fresh_seconds, said.indicators)


def wanted_again(view: RequestView, who: str) -> Wanted:
    """Give what somebody's ticket must be who proves again.

    A target's floor can be stricter than the server that was asked knows: its refusal says so.

    Args:
        view: The request.
        who: The principal of its requester, or of one of its approvers.

    Returns:
        What the server says; and a fresh ticket wherever the last one was refused as stale.
    """
    wanted = wanted_of(view)
    codes = {voice.code for voice in view.approvals if voice.who == who}
    if view.requester == who:
        codes = {view.code}
    if "proof-stale" in codes and not wanted.seconds:
        return Wanted(_UNKNOWN_FLOOR_SECONDS, wanted.factors)
    return wanted
