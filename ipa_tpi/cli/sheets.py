"""A request as people read it: the line, the whole sheet, and what the second person has to do."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ipa_tpi.cli.layout import broken, fields, outline, table, width
from ipa_tpi.cli.render import aware, duration, exact, local_time, proof_demands, safe
from ipa_tpi.cli.settings import Settings
from ipa_tpi.cli.waiting import is_stuck
from ipa_tpi.client.examination import Examination, Shown
from ipa_tpi.wire import RequestView, VoiceView

_LINE_FEED: Final = "\n"
_OPEN: Final = frozenset({"awaiting-preview", "pending"})


def requests_list(views: Sequence[RequestView], columns: int | None) -> str:
    """List requests: one a line where that fits, else each in two.

    Args:
        views: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    heads = ("ID", "STATE", "OPERATION", "HOST", "PARAMETERS", "REQUESTER", "LEFT")
    rows = [
        (
            view.id,
            _state(view),
            view.operation,
            view.target,
            _parameters(view),
            view.requester,
            _left(view) or "-",
        )
        for view in views
    ]
    whole = table(heads, rows)
    if columns is None or max(map(width, whole.splitlines())) <= columns:
        return whole
    return "".join(_short(view, columns) for view in views)


def request_sheet(
    view: RequestView, examination: Examination, shown: Shown | None, columns: int | None
) -> str:
    """Show everything about a request (R-K11).

    Args:
        view: Untrusted.
        examination: Its digests as computed here.
        shown: What the target showed, parsed from the very bytes that are approved.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    parameters = sorted(view.parameters.items())
    parts = [
        broken(f"Request {safe(view.id)}: ", f"{safe(view.state)}{_because(view)}", columns, 4),
        "What will run\n",
        fields(
            [
                ("operation", view.operation),
                ("host", view.target),
                *((f"parameter {exact(name)}", _short_value(value)) for name, value in parameters),
            ],
            columns,
        ),
        *(
            f"  parameter {safe(exact(name))}, line by line:\n{outline(value, columns, '    ')}"
            for name, value in parameters
            if _LINE_FEED in value
        ),
        *_preview(view, shown, columns),
        "Who asked, and why\n",
        fields(
            [
                ("requester", view.requester),
                ("reason", view.reason or "(none given)"),
                ("ticket", view.ticket or "(none given)"),
                ("through", view.interface),
                ("when", local_time(view.created)),
            ],
            columns,
        ),
        "Where it stands\n",
        fields(_standing(view), columns),
        "What happened\n",
        *(broken(f"  {local_time(moment)}  ", safe(event), columns, 8) for moment, event in _history(view)),
        *_result(view, columns),
        "Digests, computed here from the above\n",
        fields(_digests(examination), columns),
    ]
    return "".join(parts)


def created_note(view: RequestView, settings: Settings) -> str:
    """Tell the requester what happens next, with the second person's exact command (R-A01).

    Args:
        view: As the server recorded it.
        settings: Which server it was.

    Returns:
        Lines.
    """
    parameters = _parameters(view)
    about = f"{view.operation} on {view.target}" + (f" ({parameters})" if parameters != "-" else "")
    # The proof went with the request just now, so that the target has not seen it yet is no news.
    waiting = view.state == "awaiting-preview" and view.code in {"", "proof-missing", "awaiting-preview"}
    next_step = (
        f"; {safe(view.target)} looks at it first and shows what it would do (if that takes more than a few "
        "seconds, check that ipa-tpi-executor runs there)"
        if waiting
        else _because(view)
    )
    recorded = (
        f"Request {safe(view.id)} recorded at {local_time(view.created)}: {safe(about)}\n"
        f"State: {safe(view.state)}{next_step}\n"
    )
    if not view.required_approvals:
        return f"{recorded}It only reads, so nobody has to approve it.\n"
    return (
        f"{recorded}It needs {approvals(view.required_approvals)}; {_window(view)}.\n"
        f"Who could approve it is told by:\n  {command(settings, 'approvers', view.id)}\n"
        f"The second person runs:\n  {command(settings, 'approve', view.id)}\n"
    )


def approvals(number: int, more: str = "") -> str:
    """Write a number of approvals, as ``1 more approval`` or ``2 approvals``."""
    return f"{number} {more}approval{'' if number == 1 else 's'}"


def command(settings: Settings, verb: str, request_id: str) -> str:
    """Write a command line that can be copied to a shell.

    Args:
        settings: Which server it is for.
        verb: What to do.
        request_id: With which request.

    Returns:
        The line.
    """
    return safe(shlex.join(("ipa-tpi", verb, *settings.given, request_id)))


def state_line(view: RequestView) -> str:
    """Tell a request's state in one line.

    Args:
        view: Untrusted.

    Returns:
        The line, with a newline.
    """
    ending = f": {safe(view.result.excerpt)}" if view.result is not None and view.result.excerpt else ""
    return f"Request {safe(view.id)}: {safe(view.state)}{ending or _because(view)}\n"


def approved_note(view: RequestView, principal: str, settings: Settings) -> str:
    """Tell what became of an approval that was just given.

    Args:
        view: As the server answered last.
        principal: Who approved.
        settings: Which server it was.

    Returns:
        A line, with a newline.
    """
    mine = [voice for voice in view.approvals if voice.who == principal]
    if mine and not mine[-1].counts and view.state == "pending":
        if mine[-1].code == "proof-missing":
            return "Recorded; the target has not taken note of it yet.\n"
        return f"Recorded, but it does not count: {safe(mine[-1].message or mine[-1].code)}\n"
    missing = missing_approvals(view)
    if missing:
        are = "is" if missing == 1 else "are"
        return f"Approved; {approvals(missing, 'more ')} {are} needed.\n"
    return f"Approved. See the end of it: {command(settings, 'wait', view.id)}\n"


def missing_approvals(view: RequestView) -> int:
    """Count the approvals that are still needed.

    Args:
        view: Untrusted; this is the server's word.

    Returns:
        How many.
    """
    return max(view.required_approvals - sum(voice.counts for voice in view.approvals), 0)


def _short(view: RequestView, columns: int) -> str:
    left = _left(view)
    state = f"{view.state}, {left} left" if left else _state(view)
    parameters = f" ({_parameters(view)})" if view.parameters else ""
    about = f"{view.operation} on {view.target}{parameters}, asked for by {view.requester}"
    return broken(f"{safe(view.id)}  ", safe(state), columns, 8) + broken("    ", safe(about), columns, 8)


def _state(view: RequestView) -> str:
    return f"{view.state} ({view.code})" if is_stuck(view) else view.state


def _left(view: RequestView) -> str:
    return duration(view.seconds_left) if view.state in _OPEN else ""


def _because(view: RequestView) -> str:
    return f" ({safe(view.message or view.code)})" if view.message or view.code else ""


def _parameters(view: RequestView) -> str:
    return (
        " ".join(f"{exact(name)}={_short_value(value)}" for name, value in sorted(view.parameters.items()))
        or "-"
    )


def _short_value(value: str) -> str:
    """Give a value, or how much of it there is where it has several lines; a value cannot look like that."""
    if _LINE_FEED not in value:
        return exact(value) if not value.startswith("(") else f'"{value}"'
    return f"({len(value)} characters in {len(value.removesuffix(_LINE_FEED).split(_LINE_FEED))} lines)"


def _window(view: RequestView) -> str:
    if view.expires is None:
        return "no window is open"
    if view.seconds_left <= 0:
        return f"its window ended at {local_time(view.expires)}"
    return f"{duration(view.seconds_left)} left, until {local_time(view.expires)}"


def _preview(view: RequestView, shown: Shown | None, columns: int | None) -> list[str]:
    if shown is None:
        return ["What the target showed\n", "  (nothing yet)\n"]
    when = local_time(view.preview.at) if view.preview is not None else "?"
    lines = [f"What the target showed at {when}\n", outline(shown.shown, columns)]
    if shown.precondition:
        lines += ["It runs only if this is still so\n", outline(shown.precondition, columns)]
    return lines


def _standing(view: RequestView) -> list[tuple[str, str]]:
    missing = missing_approvals(view)
    more = f"; {approvals(missing, 'more ')} needed" if missing else ""
    pairs = [("state", view.state)]
    if view.expires is not None:
        pairs.append(("window", _window(view)))
    if view.required_approvals:
        pairs.append(("approvals", f"{view.required_approvals - missing} of {view.required_approvals}{more}"))
    else:
        pairs.append(("approvals", "none needed, since it only reads"))
    if view.state in _OPEN:
        pairs += proof_demands(view.fresh_seconds, view.indicators)
    if view.why_not and view.state in _OPEN:
        pairs.append(("your approval", f"would be refused: {view.why_not}"))
    return pairs


def _history(view: RequestView) -> list[tuple[datetime, str]]:
    """Tell who did what and when, in order; what is of one second stays as it usually happens."""
    events = [(view.created, f"{view.requester} asked for it")]
    if view.preview is not None:
        events.append((view.preview.at, f"{view.target} showed what it would do"))
    for did, voices in (
        ("approved", view.approvals),
        ("denied it", view.denials),
        ("withdrew the approval", view.withdrawals),
        ("cancelled it", view.cancellations),
    ):
        events += [(voice.at, _voice(voice, did)) for voice in voices]
    if view.begun is not None:
        events.append((view.begun, f"{view.target} took it to run it"))
    if view.result is not None:
        events.append((view.result.at, f"{view.target} ended it: {view.result.outcome}"))
    return sorted(events, key=lambda event: aware(event[0]))


def _voice(voice: VoiceView, did: str) -> str:
    effect = "" if voice.counts else f" (does not count: {voice.message or voice.code or 'no reason told'})"
    return f"{voice.who} {did}{effect}" + (f", saying: {voice.comment}" if voice.comment else "")


def _result(view: RequestView, columns: int | None) -> list[str]:
    if view.result is None:
        return []
    pairs = [("outcome", view.result.outcome), ("at", local_time(view.result.at))]
    if view.result.exit_status is not None:
        pairs.append(("exit status", str(view.result.exit_status)))
    excerpt = ["  excerpt:\n", outline(view.result.excerpt, columns, "    ")] if view.result.excerpt else []
    return ["How it ended\n", fields(pairs, columns), *excerpt]


def _digests(examination: Examination) -> list[tuple[str, str]]:
    return [
        ("request", examination.request.hex()),
        ("preview", examination.preview.hex() or "(none yet)"),
        ("approval", examination.approval.hex() or "(none yet)"),
    ]
