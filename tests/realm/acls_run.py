"""Does what acls_deeds names, over somebody's connection, and tells how each deed ended."""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import ldap
from acls_deeds import Deed, Trial

# How many deeds are under way at a time on a connection.
AT_ONCE = 20


class Mark(Enum):
    """How a deed ended, as the table shows it."""

    YES = "yes"
    NO = "·"
    # FreeIPA shows class and name of its containers to everybody.
    NAME = "name"
    # It cannot be tried.
    NONE = ""


Outcome = Mark | str
Results = dict[Deed, Outcome]


def outcomes(connection: Any, trials: Iterable[Trial], at_once: int = AT_ONCE) -> Results:
    """Try everything, and undo what succeeded.

    Returns:
        How each ended: a mark, or the server's words for anything else than want of rights.
    """
    results: Results = {}
    waiting: list[tuple[Trial, int]] = []
    for trial in trials:
        if trial.alone:
            _gather(connection, waiting, results)
        waiting.append((trial, trial.send(connection)))
        if trial.alone or len(waiting) == at_once:
            _gather(connection, waiting, results)
    _gather(connection, waiting, results)
    return results


def _gather(connection: Any, waiting: list[tuple[Trial, int]], results: Results) -> None:
    done = [(trial, ended(lambda number=number: connection.result3(number))) for trial, number in waiting]
    waiting.clear()
    for trial, outcome in done:
        if outcome is Mark.YES:
            trial.undo()
        results[trial.deed] = outcome


def ended(answer: Callable[[], Any]) -> Outcome:
    """Wait for an answer, and say what it means."""
    try:
        kind, data, _, _ = answer()
    except (ldap.COMPARE_TRUE, ldap.COMPARE_FALSE):
        return Mark.YES
    except ldap.INSUFFICIENT_ACCESS:
        return Mark.NO
    except ldap.LDAPError as error:
        told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        return f"{type(error).__name__} {told.get('info', '')}".strip()
    # With many under way libldap may hand out the entry before the result, all=1 notwithstanding.
    if kind not in {ldap.RES_SEARCH_ENTRY, ldap.RES_SEARCH_RESULT}:
        return Mark.YES
    names = {name.lower() for _, attributes in data for name in attributes}
    if not names:
        return Mark.NO
    return Mark.NAME if names <= {"objectclass", "cn"} else Mark.YES
