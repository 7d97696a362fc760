"""The command line's grammar: verbs, options, and what ``--help`` says of them."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from ipa_tpi import __version__
from ipa_tpi.cli.deeds import ADD_DEED, GROUPS, parameter
from ipa_tpi.cli.moments import moment_since, moment_until
from ipa_tpi.errors import STATE_EXIT_STATUS, BadInputError
from ipa_tpi.model import Outcome

PROGRAM: Final = "ipa-tpi"
DEFAULT_WAIT_SECONDS: Final = 900
DEFAULT_LISTED: Final = 100
MAX_LISTED: Final = 500
_ID: Final = "the request's id, or at least its first 8 characters"
_REQUEST_VERBS: Final = {
    "create": "ask for an operation",
    "list": "list requests",
    "show": "show one request; the exit status is that of its state",
    "approve": "look at another person's request, and approve it",
    "deny": "veto a request",
    "withdraw": "take back your own approval; it cannot be given again",
    "cancel": "cancel your own request",
    "wait": "wait for a request's end; the exit status is that of its state",
    "prove": "make your proof for a request or an approval again",
    "approvers": "tell who could still approve a request, and why others could not",
}
_OTHER_VERBS: Final = {
    "whoami": "say who you are to ipa-tpi",
    "operations": "list what can be asked for, and what each needs",
    "hosts": "list the hosts that an operation can run on",
    "converge": "bring the directory's schema and access control up to date (root)",
    "dogtag": "keep Dogtag's ACLs for people who come by Kerberos (root, on a CA's host)",
    "completion": "print what completes this command line in a shell",
}
_SHELLS: Final = ("bash", "zsh")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise BadInputError(f"{message}. See '{self.prog} --help'.")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line.

    Args:
        argv: Without the program's name.

    Returns:
        The options; ``verb`` names what to do.

    Raises:
        BadInputError: It is not understood; what can be given was written to standard error.
        SystemExit: 0 after ``--help`` and ``--version``.
    """
    return _make_parser(frozenset(argv)).parse_args(argv)


def grammar() -> argparse.ArgumentParser:
    """Give the whole grammar, with the options of every verb."""
    return _make_parser(frozenset({*_REQUEST_VERBS, *_OTHER_VERBS, *GROUPS}))


def _make_parser(words: frozenset[str]) -> argparse.ArgumentParser:
    # The grammar of a verb that is not on the command line is left empty: all of them cost 7 ms.
    parser = _Parser(
        prog=PROGRAM,
        description="Two-person integrity: ask for a critical operation, and approve what somebody else asked for.",
        epilog="Every verb below 'request' is also a verb of its own: 'ipa-tpi approve ID'.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.set_defaults(server=None, config=None, output="table")
    _add_common(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    request = verbs.add_parser(
        "request", help="the verbs below, as in the IPA command line", allow_abbrev=False
    )
    _add_common(request)
    nested = request.add_subparsers(dest="verb", metavar="VERB", required=True)
    for subparsers in (verbs, nested):
        for verb, text in _REQUEST_VERBS.items():
            _add_verb(subparsers, verb, text, known=verb in words)
    for verb, text in _OTHER_VERBS.items():
        _add_verb(verbs, verb, text, known=verb in words)
    for group, (text, deeds) in GROUPS.items():
        _add_group(verbs, group, text, deeds if group in words else {})
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    # Accepted before and after the verb; SUPPRESS keeps a later parser from undoing an earlier one.
    group = parser.add_argument_group("general options")
    suppress = argparse.SUPPRESS
    group.add_argument("--server", metavar="HOST[:PORT]", default=suppress, help="the IPA server to ask")
    group.add_argument(
        "--config",
        metavar="FOLDER",
        default=suppress,
        help="folder of default.conf and ca.crt (default: $IPA_CONFDIR or /etc/ipa)",
    )
    form = group.add_mutually_exclusive_group()
    form.add_argument(
        "-o",
        "--output",
        choices=("table", "json", "name"),
        default=suppress,
        help="for people, for programs, or ids alone",
    )
    form.add_argument(
        "--json",
        dest="output",
        action="store_const",
        const="json",
        default=suppress,
        help="the same as -o json",
    )


def _add_verb(
    subparsers: "argparse._SubParsersAction[_Parser]", verb: str, text: str, *, known: bool
) -> None:
    parser = subparsers.add_parser(verb, help=text, description=_sentence(text), allow_abbrev=False)
    if not known:
        return
    _add_common(parser)
    if verb == "create":
        _add_create(parser)
    elif verb == "list":
        _add_list(parser)
    elif verb in _REQUEST_VERBS:
        parser.add_argument("id", metavar="ID", help=_ID)
    elif verb == "completion":
        parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help="bash or zsh")
    if verb == "approvers":
        parser.add_argument(
            "--user", metavar="NAME", default="", help="only about this person, with or without the role"
        )
    if verb in {"approve", "deny", "withdraw", "cancel"}:
        parser.add_argument("--comment", default="", help="for others to read")
    if verb in {"approve", "prove"}:
        parser.add_argument("--yes", action="store_true", help="do not ask; the id must be given in full")
    if verb in {"wait", "create"}:
        parser.add_argument(
            "--timeout",
            type=_seconds,
            metavar="S",
            default=DEFAULT_WAIT_SECONDS,
            help=f"how many seconds to wait at most (default: {DEFAULT_WAIT_SECONDS})",
        )


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", choices=tuple(STATE_EXIT_STATUS), default="", help="only those in this state"
    )
    parser.add_argument("--mine", action="store_true", help="only your own")
    parser.add_argument("--approvable", action="store_true", help="only those that you could approve now")
    parser.add_argument(
        "--limit",
        type=_limit,
        metavar="N",
        default=DEFAULT_LISTED,
        help=f"at most so many, the newest (default: {DEFAULT_LISTED})",
    )
    parser.add_argument("--before", metavar="ID", default="", help="only those older than this request")
    parser.add_argument("--operation", metavar="NAME", default="", help="only those for this operation")
    parser.add_argument("--user", metavar="NAME", default="", help="only those that this person made")
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=moment_since,
        help="only those made at or after TIME: a date, or 2h, 3d",
    )
    parser.add_argument(
        "--until",
        metavar="TIME",
        type=moment_until,
        help="only those made at or before TIME: a date, or 2h, 3d",
    )
    parser.add_argument(
        "--approver", metavar="NAME", default="", help="only those that this person approved or denied"
    )
    parser.add_argument("--host", default="", help="only those that are to run on this host")
    parser.add_argument(
        "--outcome",
        choices=tuple(outcome.value for outcome in Outcome),
        default="",
        help="only those that ended so, by the word of the host",
    )


def _add_group(
    subparsers: "argparse._SubParsersAction[_Parser]", group: str, text: str, deeds: Mapping[str, str]
) -> None:
    parser = subparsers.add_parser(group, help=text, description=_sentence(text), allow_abbrev=False)
    if not deeds:
        return
    _add_common(parser)
    nested = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for deed, about in deeds.items():
        below = nested.add_parser(deed, help=about, description=_sentence(about), allow_abbrev=False)
        # Which is not the verb of the same name for requests.
        below.set_defaults(verb=f"{group} {deed}")
        _add_common(below)
        ADD_DEED[group, deed](below)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("operation", metavar="OPERATION", help="its name; see 'ipa-tpi operations'")
    parser.add_argument(
        "parameters",
        metavar="NAME=VALUE",
        nargs="*",
        type=parameter,
        help="its parameters; NAME=@FILE takes one from a file",
    )
    parser.add_argument(
        "--host", help="the host that it shall run on (default: the server); see 'ipa-tpi hosts'"
    )
    parser.add_argument("--reason", default="", help="why; the second person sees it")
    parser.add_argument("--ticket", default="", help="number of the ticket that it belongs to")
    parser.add_argument(
        "--wait", action="store_true", help="wait for the end; the exit status is that of the state"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and 604800")
    return seconds


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_LISTED):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number between 1 and {MAX_LISTED}")
    return int(text[:9])
