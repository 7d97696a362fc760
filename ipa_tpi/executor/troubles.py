"""What goes wrong with a request again and again: how long to leave it alone, and whether to say so again.

A request whose step fails is tried again for as long as it is owed something, since an outage is no
decision (K13).  What this bounds is the rate: pauses grow, and a trouble that repeats itself before
its pause is over (somebody woke the request) leaves no second record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

OUTAGE_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
REFUSED_SECONDS: Final = (30.0, 60.0, 120.0, 240.0, 480.0, 600.0)
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Trouble:
    """What to do about a failure.

    Attributes:
        pause_seconds: How long to leave the request alone.
        is_news: It is to be recorded: another failure than the last one, or its pause had passed.
    """

    pause_seconds: float
    is_news: bool


@dataclass(frozen=True, slots=True)
class _Last:
    count: int
    code: str
    until: datetime


class Troubles:
    """The failures of requests since they last went well; in memory only."""

    def __init__(self) -> None:
        self._last: dict[str, _Last] = {}

    def meet(self, request_id: str, code: str, pauses_seconds: Sequence[float], now: datetime) -> Trouble:
        """Count a failure.

        Args:
            request_id: The request; no two threads have the same one at once.
            code: The failure's code.
            pauses_seconds: The pause after the first failure with this code, the second, and so on;
                the last one for all that follow.
            now: The time.

        Returns:
            What to do about it.
        """
        last = self._last.get(request_id)
        if last is not None and last.code == code and now < last.until:
            return Trouble(pauses_seconds[min(last.count, len(pauses_seconds)) - 1], is_news=False)
        count = last.count + 1 if last is not None and last.code == code else 1
        pause = pauses_seconds[min(count, len(pauses_seconds)) - 1]
        if len(self._last) >= _MOST and last is None:
            self._last.clear()  # better too many records than memory without end
        self._last[request_id] = _Last(count, code, now + timedelta(seconds=pause))
        return Trouble(pause, is_news=True)

    def forget(self, request_id: str) -> None:
        """Note that a request went well."""
        self._last.pop(request_id, None)
