"""What each verb of the command line does, once it is known whom to ask."""

import argparse
import sys
from collections.abc import Callable
from typing import Final, TextIO

import msgspec

from ipa_tpi.cli import sheets
from ipa_tpi.cli.answers import (
    ask_operation_find,
    ask_operation_show,
    ask_policy_test,
    ask_rule_find,
    ask_rule_show,
    one_each,
)
from ipa_tpi.cli.ids import is_whole_id, resolve
from ipa_tpi.cli.layout import columns_of
from ipa_tpi.cli.problem import problem_document
from ipa_tpi.cli.prompts import confirm, demand_terminal
from ipa_tpi.cli.questions import ask_approvers, ask_hosts, ask_list, ask_operations, ask_whoami
from ipa_tpi.cli.render import json_document, safe
from ipa_tpi.cli.settings import Settings
from ipa_tpi.cli.waiting import is_final, settle, wait
from ipa_tpi.client import TpiClient, Wish
from ipa_tpi.client.examination import examine, read_preview
from ipa_tpi.client.transport import DEFAULT_TIMEOUT_SECONDS
from ipa_tpi.errors import (
    EXIT_ERROR,
    EXIT_OK,
    EXIT_PENDING,
    STATE_EXIT_STATUS,
    BadInputError,
    RefusedError,
)
from ipa_tpi.wire import RequestView

_SHORTEST_TIMEOUT_SECONDS: Final = 1.0
_BEGUN: Final = frozenset({"executing", "executed", "failed", "indeterminate"})
_ENDED: Final = frozenset({"executed", "failed", "denied", "cancelled", "expired", "indeterminate"})


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Do what a command line says.

    Args:
        options: As parsed.
        settings: Whom to ask.

    Returns:
        The exit status.

    Raises:
        TpiError: It could not be done; the message says why and what to do.
    """
    timeout_seconds = min(DEFAULT_TIMEOUT_SECONDS, getattr(options, "timeout", DEFAULT_TIMEOUT_SECONDS))
    with TpiClient(
        settings.server_url,
        settings.ca_file,
        timeout_seconds=max(timeout_seconds, _SHORTEST_TIMEOUT_SECONDS),
    ) as client:
        return _VERBS[options.verb](client, options, settings)


def _create(client: TpiClient, options: argparse.Namespace, settings: Settings) -> int:
    parameters = one_each(options.parameters)
    view = client.create(
        Wish(
            operation=options.operation,
            target=(options.host or settings.server_host).lower(),
            parameters=parameters,
            reason=options.reason,
            ticket=options.ticket,
        ),
    )
    view = settle(client, view)
    # R-K02: what only reads waits for nobody, and its end is what was asked for.
    if not options.wait and view.required_approvals:
        _print_view(view, options, sheets.created_note(view, settings))
        return EXIT_OK
    _screen(options).write(sheets.created_note(view, settings))
    _screen(options).flush()
    return _wait_for(client, view.id, options, settings, view)


def _show(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    view = client.show(resolve(client, options.id))
    _print_view(view, options, _sheet(view, sys.stdout) if options.output == "table" else "")
    return _status(view)


def _approve(client: TpiClient, options: argparse.Namespace, settings: Settings) -> int:
    view = _look_and_ask(client, options, "Approve? [y/N]")
    if view is None:
        return EXIT_ERROR
    after = settle(client, client.approve(view, options.comment))
    note = sheets.approved_note(after, client.tickets.principal(), settings)
    _print_view(after, options, note + sheets.state_line(after))
    return EXIT_OK


def _prove(client: TpiClient, options: argparse.Namespace, _settings: Settings) -> int:
    # A proof is what counts, whoever recorded the request or the approval, so it is shown and asked too.
    view = _look_and_ask(client, options, "Make your proof for this? [y/N]")
    if view is None:
        return EXIT_ERROR
    after = settle(client, client.prove(view))
    _print_view(after, options, "Proof recorded.\n" + sheets.state_line(after))
    return EXIT_OK


def _deny(client: TpiClient, options: argparse.Namespace, settings: Settings) -> int:
    return _voice(client, options, settings, client.deny, "Denied.")


def _withdraw(client: TpiClient, options: argparse.Namespace, settings: Settings) -> int:
    return _voice(client, options, settings, client.withdraw, "Withdrawn.")


def _cancel(client: TpiClient, options: argparse.Namespace, settings: Settings) -> int:
    return _voice(client, options, settings, client.cancel, "Cancelled.")


def _voice(
    client: TpiClient,
    options: argparse.Namespace,
    settings: Settings,
    say: Callable[[RequestView, str], RequestView],
    note: str,
) -> int:
    after = say(client.show(resolve(client, options.id)), options.comment)
    if (
        after.state in _BEGUN
    ):  # R-K15: what comes after the last look of the target is recorded, and changes nothing
        note = f"Recorded, but the target has begun already; see what became of it: {sheets.command(settings, 'wait', after.id)}"
    _print_view(after, options, f"{note}\n{sheets.state_line(after)}")
    return EXIT_PENDING if after.state in _BEGUN else EXIT_OK


def _wait(client: TpiClient, options: argparse.Namespace, settings: Settings) -> int:
    return _wait_for(client, resolve(client, options.id), options, settings)


def _wait_for(
    client: TpiClient,
    request_id: str,
    options: argparse.Namespace,
    settings: Settings,
    known: RequestView | None = None,
) -> int:
    view = wait(client, request_id, options.timeout, _tell, known)
    if not is_final(view):
        _tell(
            f"still {view.state} after {options.timeout:g} s; it goes on without you. "
            f"See: {sheets.command(settings, 'show', view.id)}"
        )
    _print_view(view, options, sheets.state_line(view))
    return _status(view)


def _look_and_ask(client: TpiClient, options: argparse.Namespace, question: str) -> RequestView | None:
    # R-K11: everything is on the screen before the question, and the digests come from what is there.
    if options.yes and not is_whole_id(options.id.lower()):
        raise BadInputError("--yes needs the whole id, so that nothing else can be meant. Give all of it.")
    if not options.yes:
        demand_terminal(_screen(options), options.verb)
    view = client.show(resolve(client, options.id))
    if options.verb == "approve":
        _demand_open(view)
        read_preview(view)
    _screen(options).write(_sheet(view, _screen(options)))
    if options.yes or confirm(question, _screen(options)):
        return view
    _tell("nothing was done.")
    if options.output == "json":
        message = "the question was not answered with yes, so nothing was done."
        sys.stdout.write(problem_document("not-confirmed", message, EXIT_ERROR))
    return None


def _demand_open(view: RequestView) -> None:
    if view.state in _ENDED:
        code = view.state if view.state in {"expired", "cancelled"} else "not-pending"
        raise RefusedError(
            f"request {view.id} is {view.state} already, so there is nothing to approve. See what became of it: ipa-tpi show {view.id}",
            code=code,
        )


def _sheet(view: RequestView, screen: TextIO) -> str:
    shown = read_preview(view) if view.preview is not None else None
    return sheets.request_sheet(view, examine(view), shown, columns_of(screen))


def _status(view: RequestView) -> int:
    return STATE_EXIT_STATUS.get(view.state, EXIT_ERROR)


def _print_view(view: RequestView, options: argparse.Namespace, note: str) -> None:
    if options.output == "json":
        sys.stdout.write(json_document(msgspec.to_builtins(view)))
    elif options.output == "name":
        sys.stdout.write(f"{safe(view.id)}\n")
    else:
        sys.stdout.write(note)


def _screen(options: argparse.Namespace) -> TextIO:
    # Programs read standard output; what is for people goes beside it then.
    return sys.stdout if options.output == "table" else sys.stderr


def _tell(message: str) -> None:
    sys.stderr.write(f"ipa-tpi: {safe(message)}\n")
    sys.stderr.flush()


_VERBS: Final[dict[str, Callable[[TpiClient, argparse.Namespace, Settings], int]]] = {
    "create": _create,
    "list": ask_list,
    "show": _show,
    "approve": _approve,
    "deny": _deny,
    "withdraw": _withdraw,
    "cancel": _cancel,
    "wait": _wait,
    "prove": _prove,
    "approvers": ask_approvers,
    "whoami": ask_whoami,
    "operations": ask_operations,
    "hosts": ask_hosts,
    "policy test": ask_policy_test,
    "rule find": ask_rule_find,
    "rule show": ask_rule_show,
    "operation find": ask_operation_find,
    "operation show": ask_operation_show,
}
