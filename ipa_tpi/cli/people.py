"""Who could still approve a request, as people read it (K16)."""

from typing import Final

from ipa_tpi.cli.layout import broken
from ipa_tpi.cli.render import safe
from ipa_tpi.cli.sheets import approvals
from ipa_tpi.wire import ApproversView, CandidateView

_GROUPS: Final = (
    ("recorded", "Approved already; the target has not verified the proof yet"),
    ("can", "Could approve"),
    ("counted", "Approved already"),
    ("cannot", "Cannot approve"),
)
_ENDED: Final = frozenset({"executed", "failed", "denied", "cancelled", "expired", "indeterminate"})


def approvers_sheet(view: ApproversView, columns: int | None) -> str:
    """Show who could still approve, and why others could not.

    Args:
        view: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    known = {chance for chance, _ in _GROUPS}
    # Where nobody is needed, that is why everybody else cannot: it is said once, or to who asks about one person.
    over = (view.state in _ENDED or view.missing == 0) and len(view.candidates) > 1
    groups = [
        (head, [one for one in view.candidates if one.chance == chance])
        for chance, head in _GROUPS
        if chance != "cannot" or not over
    ]
    groups.append(("Others", [one for one in view.candidates if one.chance not in known]))
    because = f" ({safe(view.message)})" if view.message else ""
    return (
        broken(f"Request {safe(view.id)}: ", f"{safe(view.state)}{because}", columns, 4)
        + broken("", _sum(view), columns, 4)
        + "".join(
            f"{head}\n" + "".join(_line(one, columns) for one in people) for head, people in groups if people
        )
    )


def _sum(view: ApproversView) -> str:
    if view.state in _ENDED:
        return "Nobody can approve it any more."
    if view.required_approvals == 0:
        return "It only reads, so nobody has to approve it."
    if view.missing == 0:
        return "It has all the approvals that it needs."
    needed = approvals(view.missing, "more ")
    could = {0: "nobody", 1: "1 person"}.get(view.available, f"{view.available} people")
    if view.enough:
        return f"It needs {needed}, and {could} could still give one."
    return (
        f"WARNING: it needs {needed}, and {could} could still give one: it cannot be approved as things are. "
        "Below is why; an administrator can change roles, rules and accounts."
    )


def _line(one: CandidateView, columns: int | None) -> str:
    name = f" ({safe(one.name)})" if one.name else ""
    why = f": {safe(one.message)}" if one.message else ""
    code = f" [{safe(one.code)}]" if one.code else ""
    return broken(f"  {safe(one.principal)}", f"{name}{why}{code}", columns, 6)
