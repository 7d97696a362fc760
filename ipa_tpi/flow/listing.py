"""Which requests a list shows, and in what order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ipa_tpi.flow.guards import LIVE, check_approvable
from ipa_tpi.flow.reading import Seen
from ipa_tpi.model import State
from ipa_tpi.wire import MAX_LISTED


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
    """

    state: State | None = None
    mine: bool = False
    approvable: bool = False
    prefix: str = ""
    before: str = ""
    limit: int = MAX_LISTED

    def alive(self) -> bool:
        """Tell whether only requests that could still come to something are wanted."""
        return self.approvable or self.state in LIVE


@dataclass(frozen=True, slots=True)
class Page:
    """Requests, newest first, and whether there are more that are older."""

    found: Sequence[Seen]
    more: bool


def turn_to(found: Iterable[Seen], selection: Selection, before: Seen | None) -> Page:
    """Choose what is shown.

    Args:
        found: Requests as judged for the caller.
        selection: Which of them.
        before: The request that `selection.before` names.

    Returns:
        The page.
    """
    fitting = [
        seen
        for seen in found
        if (selection.state is None or seen.standing.state is selection.state)
        and (not selection.approvable or check_approvable(seen) is None)
        and (before is None or _age(seen) < _age(before))
    ]
    fitting.sort(key=_age, reverse=True)
    return Page(fitting[: selection.limit], more=len(fitting) > selection.limit)


def _age(seen: Seen) -> tuple[datetime, str]:
    return seen.subtree.request.created, seen.subtree.request.id
