"""Which requests a list shows, and in what order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from ipa_tpi.decide.definition import LONGEST_LIFE
from ipa_tpi.errors import DirectoryLimitError, NotFoundError, RefusedError
from ipa_tpi.flow.guards import LIVE, check_approvable
from ipa_tpi.flow.reading import Reading, Seen
from ipa_tpi.model import Account, Outcome, Result, State, Subtree
from ipa_tpi.ports import Directory, Heading, Query
from ipa_tpi.wire import MAX_LISTED

_AT_ONCE: Final = 50
_SECOND: Final = timedelta(seconds=1)
_RECENT: Final = timedelta(days=1)
_BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which requests to list.

    Attributes:
        state: Only those in this state.
        mine: Only the caller's own.
        approvable: Only those that the caller could approve now.
        prefix: Only those whose id begins so.
        before: The id of a request; only those that are older.
        limit: At most so many.
        operation: Only those for this operation, by its name.
        user: Only those that this account made, with or without the realm.
        since: Only those made at or after this time.
        until: Only those made at or before this time.
        approver: Only those that this account approved or denied, with or without the realm.
        host: Only those that are to run on this host.
        outcome: Only those that ended so, by the word of their executor.
    """

    state: State | None = None
    mine: bool = False
    approvable: bool = False
    prefix: str = ""
    before: str = ""
    limit: int = MAX_LISTED
    operation: str = ""
    user: str = ""
    since: datetime | None = None
    until: datetime | None = None
    approver: str = ""
    host: str = ""
    outcome: Outcome | None = None

    def takes(self, seen: Seen) -> bool:
        """Tell whether a request, as judged for the caller, is one of these."""
        in_state = self.state is None or seen.standing.state is self.state
        ended_so = self.outcome is None or self.outcome in _outcomes(seen.subtree)
        return in_state and ended_so and (not self.approvable or check_approvable(seen) is None)

    def alive(self) -> bool:
        """Tell whether only requests that could still come to something are wanted."""
        return self.approvable or self.state in LIVE


@dataclass(frozen=True, slots=True)
class Named:
    """The accounts that a selection names; None where it names none."""

    user: Account | None = None
    approver: Account | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Requests, newest first, and whether there are more that are older."""

    found: Sequence[Seen]
    more: bool


def turn_to(
    selection: Selection,
    who: Account,
    named: Named,
    reading: Reading,
    directory: Directory,
) -> Page:
    """Load requests, the newest first, until a page is full.

    Args:
        selection: Which.
        who: For whom.
        named: The accounts that `selection` names.
        reading: His reads of this moment.
        directory: Bound as him.

    Returns:
        The page.

    Raises:
        NotFoundError: There is no request `selection.before` that he may see.
    """
    creators = {one.dn for one in (named.user, who if selection.mine else None) if one is not None}
    if len(creators) > 1:
        return Page([], more=False)
    query = Query(
        creator="".join(creators),
        since=_later(selection.since, reading.window_start() if selection.alive() else None),
        prefix=selection.prefix,
        until=selection.until,
        operation=selection.operation,
        target=selection.host,
    )
    headings = newest(directory, query, reading.now)
    if named.approver is not None:
        # Nobody speaks about what is not there yet, nor when all its windows have passed.
        until = selection.until + LONGEST_LIFE if selection.until is not None else None
        spoken = directory.spoken(named.approver.dn, selection.since, until)
        headings = (one for one in headings if one.id in spoken)
    if selection.before:
        last = load(directory, selection.before).request
        age = (last.created, last.id)
        headings = (one for one in headings if (one.created, one.id) < age)
    fitting: list[Seen] = []
    while len(fitting) <= selection.limit:
        # One more than is shown tells whether there are more.
        some = list(islice(headings, min(_AT_ONCE, selection.limit + 1 - len(fitting))))
        if not some:
            break
        subtrees = [tree for one in some if (tree := _whole(directory, one.id)) is not None]
        reading.meet_all(subtrees)
        reading.policy_for({subtree.request.operation for subtree in subtrees})
        fitting += [seen for subtree in subtrees if selection.takes(seen := reading.judge(subtree, who))]
    return Page(fitting[: selection.limit], more=len(fitting) > selection.limit)


def newest(directory: Directory, query: Query, now: datetime) -> Iterator[Heading]:
    """List requests, the newest first; the further it is followed, the more is searched.

    Args:
        directory: Bound as the caller.
        query: Which.
        now: The time.

    Yields:
        Them: those of a day, then the others, in slices where the directory does not give all at once.

    Raises:
        DirectoryLimitError: It does not even give those of one second.
    """
    begin, end = query.since or _BEGINNING, (query.until or now).replace(microsecond=0)
    recent = end - _RECENT
    # With an end, or who plants createTimestamp;lang-en far ahead is in every search for ever; clocks may differ.
    until = query.until or end + _RECENT
    if begin >= recent:
        yield from _between(directory, query, begin, until)
        return
    yield from _between(directory, query, recent, until)
    try:
        older = _sorted(one for one in directory.headings(query) if one.created < recent)
    except DirectoryLimitError:
        span = _RECENT
        while recent > begin:
            span *= 4
            since = max(begin, end - span)
            yield from _between(directory, query, since, recent - _SECOND)
            recent = since
    else:
        yield from older


def load(directory: Directory, request_id: str) -> Subtree:
    """Load one request.

    Raises:
        NotFoundError: There is none, or none that the caller may see.
        RefusedError: It is malformed.
    """
    subtree = directory.load(request_id)
    if subtree is None:
        raise NotFoundError(f"there is no request {request_id} that you may see; look: ipa-tpi list")
    return subtree


def _outcomes(subtree: Subtree) -> set[str]:
    return {result.outcome for result in subtree.of(Result) if result.creator == subtree.request.executor}


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else one or other


def _between(directory: Directory, query: Query, since: datetime, until: datetime) -> Iterator[Heading]:
    try:
        found = _sorted(directory.headings(replace(query, since=since, until=until)))
    except DirectoryLimitError:
        # Stamps have whole seconds, so those of one second cannot be divided.
        seconds = 1 + (until - since) // _SECOND
        if seconds == 1:
            raise
        middle = since + seconds // 2 * _SECOND
        yield from _between(directory, query, middle, until)
        yield from _between(directory, query, since, middle - _SECOND)
    else:
        yield from found


def _sorted(headings: Iterable[Heading]) -> list[Heading]:
    return sorted(headings, key=lambda one: (one.created, one.id), reverse=True)


def _whole(directory: Directory, request_id: str) -> Subtree | None:
    # What is malformed is told to whoever asks for it by its id.
    try:
        return directory.load(request_id)
    except RefusedError:
        return None
