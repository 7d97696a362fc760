"""How much one caller may ask of this process: at a time, and in a while (E22).

Without it one person with a ticket could occupy every thread, the directory, and the audit trail, from
which the system's journal drops what comes too fast.  Each process counts for itself and forgets all when it
ends; nobody is shut out for longer than his own requests take to drain.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ipa_tpi.errors import TooManyRequestsError

AT_ONCE: Final = 6  # of the threads that a process has (httpd/ipa-tpi.conf)
BURST: Final = 500
PER_SECOND: Final = 20.0
_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class _Account:
    """What a caller has asked for: now open, not drained yet at a time, and whether he was told to wait."""

    open: int = 0
    level: float = 0.0
    at: float = 0.0
    told: bool = False


class CallerLimits:
    """Counts the requests of each caller; for all threads of a process.

    Args:
        at_once: How many of a caller's requests may be open.
        burst: How many a caller may send without a pause.
        per_second: How many of these drain in a second.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        at_once: int = AT_ONCE,
        burst: int = BURST,
        per_second: float = PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}

    def enter(self, caller: str) -> None:
        """Count a request that begins; `leave` must follow when it ends, unless this raises.

        Args:
            caller: As Apache authenticated him.

        Raises:
            TooManyRequestsError: He has too many open, or has sent too many; nothing was counted.
        """
        with self._lock:
            account = self._drained(caller)
            if account.open < self._at_once and account.level + 1 <= self._burst:
                self._accounts[caller] = _Account(account.open + 1, account.level + 1, account.at)
                return
            self._accounts[caller] = _Account(account.open, account.level, account.at, told=True)
        raise TooManyRequestsError(
            "you ask for too much at a time, or too fast; nothing was done. Wait a few seconds and try again",
            repeated=account.told,
        )

    def leave(self, caller: str) -> None:
        """Count a request that has ended.

        Args:
            caller: Who had entered.
        """
        with self._lock:
            account = self._drained(caller)
            self._accounts[caller] = _Account(
                max(0, account.open - 1), account.level, account.at, account.told
            )
            if len(self._accounts) > _REMEMBERED:
                self._forget()

    def _drained(self, caller: str) -> _Account:
        now = self._clock()
        known = self._accounts.get(caller, _Account(at=now))
        level = max(0.0, known.level - (now - known.at) * self._per_second)
        return _Account(known.open, level, now, known.told)

    def _forget(self) -> None:
        whole = {caller: self._drained(caller) for caller in self._accounts}
        self._accounts = {
            caller: account for caller, account in whole.items() if account.open or account.level > 0
        }
