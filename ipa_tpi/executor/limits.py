"""How much of the local socket one account may take, and how much of the audit trail its refusals may take.

Both are counted by uid, as the kernel names it; nothing that a caller says is a key of a table here,
and no table grows without bound.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ipa_tpi.errors import AuditError
from ipa_tpi.ports import Audit

_LOG: Final = logging.getLogger(__name__)
MOST_SUMS: Final = 64
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """The limits of the local socket; see `ipa_tpi.config.ExecutorConfig`.

    Attributes:
        connections: How many are served at once.
        connections_per_second: How many one account may open, on the average and at once.
        message_bytes: The longest line that is read.
        answer_bytes: The longest line that is sent.
        timeout_seconds: From the connection to the last byte of its line, and again for the answer.
        audit_seconds: How long repeated refusals of one account are summed up.
    """

    connections: int
    connections_per_second: int
    message_bytes: int
    answer_bytes: int
    timeout_seconds: int
    audit_seconds: int


class RateLimit:
    """A bucket of tokens for each uid that may speak (E01).

    Args:
        uids: Them; nobody else has a bucket.
        per_second: How many tokens a second, and how many at most.
        clock: Counts seconds and is never stepped.
    """

    def __init__(self, uids: frozenset[int], per_second: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self._buckets = dict.fromkeys(uids, (float(per_second), clock()))

    def allows(self, uid: int) -> bool:
        """Take a token; False where there is none left."""
        tokens, then = self._buckets[uid]
        now = self._clock()
        tokens = min(float(self._per_second), tokens + (now - then) * self._per_second)
        self._buckets[uid] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1


class Shares:
    """An equal share of the connections for each uid that may speak, so that none starves another (E11).

    Args:
        uids: Them.
        connections: How many there are for all.
    """

    def __init__(self, uids: frozenset[int], connections: int) -> None:
        self._share = max(1, connections // max(1, len(uids)))
        self._taken = dict.fromkeys(uids, 0)
        self._lock = threading.Lock()

    def take(self, uid: int) -> bool:
        """Take a connection; False where the share is used up."""
        with self._lock:
            if self._taken[uid] >= self._share:
                return False
            self._taken[uid] += 1
            return True

    def give(self, uid: int) -> None:
        """Give a connection back."""
        with self._lock:
            self._taken[uid] -= 1

    def depth(self) -> int:
        """Tell how many are taken."""
        with self._lock:
            return sum(self._taken.values())


@dataclass(frozen=True, slots=True)
class _Sum:
    since: float
    repeated: int = 0


class Refusals:
    """Audits refusals at the socket: the first of a kind at once, its repetitions as a sum (E01, E04).

    A kind is a uid and a code.  Beyond `MOST_SUMS` kinds the rest is summed up without a uid.

    Args:
        audit: The audit trail.
        seconds: How long to sum up.
        clock: Counts seconds and is never stepped.
    """

    def __init__(self, audit: Audit, seconds: int, clock: Callable[[], float]) -> None:
        self._audit = audit
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._sums: dict[tuple[int | None, str], _Sum] = {}
        self._total = 0
        self._next_look = clock()

    def note(self, uid: int, gid: int, verb: str, code: str) -> None:
        """Note a refusal.

        Args:
            uid: Whose, as the kernel says.
            gid: Likewise.
            verb: What was said; empty where nothing was read.
            code: Why.

        Raises:
            AuditError: It is the first of its kind and could not be recorded; it stays counted.
        """
        with self._lock:
            self._total += 1
            known: tuple[int | None, str] = (uid, code)
            kind = known if known in self._sums or len(self._sums) < MOST_SUMS else (None, code)
            found = self._sums.get(kind)
            if found is not None:
                self._sums[kind] = replace(found, repeated=found.repeated + 1)
                return
            first_is_told = kind[0] is not None
            self._sums[kind] = _Sum(self._clock(), 1)
            if first_is_told:
                self._audit.record("socket-refused", uid=uid, gid=gid, verb=verb, code=code)
                self._sums[kind] = _Sum(self._clock())

    def sum_up(self, *, everything: bool = False) -> None:
        """Record the sums whose time has come.

        Args:
            everything: Also those whose time has not; for the end.
        """
        with self._lock:
            now = self._clock()
            if now < self._next_look and not everything:
                return
            self._next_look = now + _LOOK_SECONDS
            for kind, found in list(self._sums.items()):
                if not everything and now - found.since < self._seconds:
                    continue
                if found.repeated and not self._told(kind, found, now):
                    continue
                if found.repeated and not everything:
                    self._sums[kind] = _Sum(now)
                else:
                    del self._sums[kind]

    def total(self) -> int:
        """Tell how many refusals there were since the start."""
        with self._lock:
            return self._total

    def _told(self, kind: tuple[int | None, str], found: _Sum, now: float) -> bool:
        uid, code = kind
        try:
            self._audit.record(
                "socket-refused",
                uid=uid,
                code=code,
                repeated=found.repeated,
                seconds=round(now - found.since),
            )
        except AuditError as error:
            _LOG.warning("%d refusals of uid %s are not recorded yet: %s", found.repeated, uid, error)
            return False
        return True
