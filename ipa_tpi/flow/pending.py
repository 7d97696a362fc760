"""How many requests of one person wait, without reading the many that do not (K20)."""

from collections.abc import Sequence
from typing import Final

from ipa_tpi.errors import RefusedError
from ipa_tpi.flow.guards import check_limits
from ipa_tpi.flow.reading import Reading
from ipa_tpi.model import Account, Floor, Operation, Refuse, State
from ipa_tpi.ports import Directory, Heading, Query

_WAITING: Final = frozenset({State.AWAITING_PREVIEW, State.PENDING, State.APPROVED})


def check_pending(
    who: Account, operation: Operation, floor: Floor, reading: Reading, directory: Directory
) -> Refuse | None:
    """May somebody have one more request waiting (K20)?

    Args:
        who: Who asks.
        operation: What is asked for.
        floor: Holds the limits.
        reading: The caller's reads of this moment.
        directory: Bound as the caller.

    Returns:
        None, or a refusal ``too-many-pending``.
    """
    since = reading.window_start()
    own = directory.headings(Query(creator=who.dn, since=since))
    # What does not exceed the limits even if all of it waited needs no look.
    if check_limits([one.operation for one in own], operation, floor) is None:
        return None
    ended: frozenset[str] = frozenset()
    for executor in {one.executor for one in own}:
        ended |= directory.answered(executor, since, reading.now)
    waiting = _waiting([one for one in own if one.id not in ended], who, reading, directory)
    return check_limits(waiting, operation, floor)


def _waiting(headings: Sequence[Heading], who: Account, reading: Reading, directory: Directory) -> list[str]:
    subtrees = []
    for one in headings:
        try:
            subtree = directory.load(one.id)
        except RefusedError:  # malformed; it waits for nothing
            continue
        subtrees += [subtree] if subtree is not None else []
    reading.meet_all(subtrees)
    judged = [reading.judge(subtree, who) for subtree in subtrees]
    return [seen.subtree.request.operation for seen in judged if seen.standing.state in _WAITING]
