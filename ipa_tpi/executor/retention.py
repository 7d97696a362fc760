"""Retention: requests whose end is long past leave the directory whole (K17).

Rules:

1. A request goes only if it names this executor, the directory stamped it more than `retention_days`
   ago, and our journal says that it ended, was published, and that this too is so long ago.  Both
   clocks have to say so.  One that is as old and has not ended is handed to the ten steps, which end
   it; it goes when that is long past.
2. Journal and audit tell of it before the first entry is deleted: who asked for what, who spoke, how
   it ended, and a digest of all that lay there.
3. What lies below goes first, the result last of it, then the request: until the end it shows
   the state that it had, and no part of it is left alone.
4. What was begun is ended, before anything else and whatever the setting says by then.
5. It is done a few at a time, on a connection and in a thread of its own; nothing waits for it.  As long as
   a removal that was begun cannot be ended, no other is begun.
6. It is done where the executor is in cn=policy-executors, whom alone the directory lets delete.
7. Nothing goes by a clock that may have jumped ahead: the directory has to have stamped a request for this host
   in the last 30 days, by our clock.  So nothing goes that is younger than `retention_days` less 30.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

from ipa_tpi.decide.intake import RawEntry
from ipa_tpi.errors import DirectoryLimitError, TpiError
from ipa_tpi.executor.claims import Claims
from ipa_tpi.executor.removals import Removal, Removals, Rows, claimed, classes_of, describe, over
from ipa_tpi.executor.watch import Stop, slices
from ipa_tpi.ports import Audit, Heading, Query

_LOG: Final = logging.getLogger(__name__)
PER_ROUND: Final = 20
ROUND_SECONDS: Final = 600
_BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)
_RESULT: Final = "ipatpiresult"
TRUSTED_SPANS: Final = (
    timedelta(days=1),
    timedelta(days=30),
)  # the first is what mostly holds, and costs less


class Removable(Protocol):
    """The part of the directory that is needed here."""

    def headings(self, query: Query) -> Sequence[Heading]:
        """List requests, with what can be told of them without reading them."""

    def whole(self, request_id: str) -> Sequence[RawEntry]:
        """Read a request and all below it as it lies there; nothing where it is not there."""

    def remove(self, dn: str) -> None:
        """Delete one entry."""

    def maintains(self, executor: str) -> bool:
        """Tell whether the directory lets an executor delete."""

    def close(self) -> None:
        """End the connection; never raises."""


class Waking(Protocol):
    """The part of the schedule that is needed here."""

    def remind(self, request_id: str, below: int | None = None) -> None:
        """Look at a request when somebody is free."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests go.

    Attributes:
        executor: Normal DN of the executor that they name.
        days: For how many days they have to be over.
    """

    executor: str
    days: int


@dataclass(frozen=True, slots=True)
class Due:
    """A request whose time has come.

    Attributes:
        heading: What the directory says of it.
        outcome: How it ended, by the journal; empty where that has not come to an end.
    """

    heading: Heading
    outcome: str


def due(directory: Removable, rows: Rows, rule: Rule, now: datetime) -> Iterator[Due]:
    """List the requests that were made and ended so long ago, and those that were made then and never ended.

    Args:
        directory: Bound as this executor.
        rows: Reads the journal.
        rule: Which requests go.
        now: The time.

    Yields:
        Them, each once.
    """
    moment = now - timedelta(days=rule.days)
    told: set[str] = set()
    for found in slices(partial(_headings, directory, rule.executor), _BEGINNING, moment):
        known = {one.id: one for one in found if one.id not in told and one.created < moment}
        told.update(known)
        ended, promised = over(rows, list(known), moment), claimed(rows, list(known))
        for heading in sorted(known.values(), key=lambda one: (one.created, one.id)):
            if heading.id in ended or heading.id not in promised:
                yield Due(heading, ended.get(heading.id, ""))


def foresee(connect: Callable[[], Removable], rows: Rows, rule: Rule, now: datetime) -> Iterator[str]:
    """Tell in lines what retention would do now; nothing is changed.

    Args:
        connect: Opens a directory bound as this executor.
        rows: Reads the journal.
        rule: Which requests go.
        now: The time.

    Yields:
        A line for each request, and one of the sums.
    """
    directory = connect()
    try:
        counts = {True: 0, False: 0}
        for one in due(directory, rows, rule, now):
            counts[bool(one.outcome)] += 1
            made = f"{one.heading.created:%Y-%m-%d %H:%M:%S} UTC"
            # R-K11: whoever writes straight to the directory chooses the name.
            yield f"{one.heading.id}  {made}  {one.outcome or 'not ended':13}  {ascii(one.heading.operation)[1:-1]}\n"
        why_not = _obstacle(directory, rule, now)
        if why_not:
            yield f"{why_not}\n"
        yield f"to be removed: {counts[True]}; to be ended first: {counts[False]}; kept for {rule.days} days\n"
    finally:
        directory.close()


class Retention:
    """Removes requests; `run` wants a thread.

    Args:
        connect: Opens a directory bound as tpi/HOST.
        claims: The journal.
        schedule: Where requests are told of that have not ended.
        audit: The audit trail.
        rule: Which requests go.
        clock: Tells the time in UTC.
        stop: Ends it.
    """

    def __init__(
        self,
        connect: Callable[[], Removable],
        claims: Claims,
        schedule: Waking,
        audit: Audit,
        rule: Rule,
        clock: Callable[[], datetime],
        *,
        stop: Stop,
    ) -> None:
        self._connect = connect
        self._claims = claims
        self._removals = Removals(claims)
        self._schedule = schedule
        self._audit = audit
        self._rule = rule
        self._clock = clock
        self._stop = stop
        self._told = ""

    def run(self) -> None:
        """Do a round now and then, until it is told to end."""
        while not self._stop.is_set():
            try:
                self._connected_round()
            except TpiError as error:
                _LOG.warning("retention: %s; next try in %d s", error, ROUND_SECONDS)
            except Exception:  # noqa: BLE001 (an outermost loop: what is not foreseen must not end the executor)
                _LOG.exception("retention: an error that should not be; next try in %d s", ROUND_SECONDS)
            self._stop.wait(ROUND_SECONDS)

    def _connected_round(self) -> None:
        directory = self._connect()
        try:
            self._round(directory)
        finally:
            directory.close()

    def _round(self, directory: Removable) -> None:
        why_not = _obstacle(directory, self._rule, self._clock())
        if why_not and why_not != self._told:
            _LOG.warning("retention: %s", why_not)
        self._told = why_not
        if why_not:
            return
        # An error ends the round: as long as one removal cannot be ended, none is begun.
        for removal in self._removals.begun():
            self._go_on(directory, removal)
        removed = woken = 0
        for one in due(directory, self._claims.rows, self._rule, self._clock()):
            if removed == PER_ROUND or self._stop.is_set():
                return
            if one.outcome:
                removed += 1
                self._begin(directory, one)
            elif woken < PER_ROUND:
                woken += 1
                self._schedule.remind(one.heading.id)

    def _begin(self, directory: Removable, one: Due) -> None:
        entries = directory.whole(one.heading.id)
        if not entries:
            return
        removal = describe(one.heading, one.outcome, entries)
        self._removals.begin(removal, self._clock())
        self._go_on(directory, removal)

    def _go_on(self, directory: Removable, removal: Removal) -> None:
        # A failed audit stops it here, at every try.
        self._audit.record("removal", **asdict(removal))
        entries = directory.whole(removal.request)
        # What was made under the same id since then is another request.
        if entries and entries[0].created.isoformat() == removal.created:
            for entry in sorted(entries, key=_turn):
                directory.remove(entry.dn)
        self._audit.record("removed", request=removal.request, content=removal.content)
        self._removals.end(removal.request, self._clock())


def _obstacle(directory: Removable, rule: Rule, now: datetime) -> str:
    if not directory.maintains(rule.executor):
        return "this executor is not in cn=policy-executors, so nothing is removed here"
    for span in TRUSTED_SPANS:
        try:
            if directory.headings(Query(executor=rule.executor, since=now - span)):
                return ""
        except DirectoryLimitError:  # there are too many to be listed
            return ""
    return (
        f"there is no request for this host in the last {TRUSTED_SPANS[-1].days} days by this host's clock, "
        "so nothing is removed; it goes on after the next request, or when the clock is right"
    )


def _headings(directory: Removable, me: str, since: datetime, until: datetime) -> Sequence[Heading]:
    return directory.headings(Query(executor=me, since=since, until=until))


def _turn(entry: RawEntry) -> tuple[int, bool, str]:
    # The deepest first, and a result after all that lies beside it.
    return -entry.dn.count(","), _RESULT in classes_of(entry), entry.dn
