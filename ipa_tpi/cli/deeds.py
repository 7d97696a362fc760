"""The grammar of the verbs that ask about the policy: ``policy test``, ``rule find`` and their like."""

import argparse
from pathlib import Path
from typing import Final

from ipa_tpi.wire import MAX_BODY_BYTES

GROUPS: Final = {
    "policy": (
        "try what the rules say",
        {"test": "tell whether somebody could ask for an operation or approve it, and why not"},
    ),
    "rule": ("look at the rules", {"find": "list rules", "show": "show one rule"}),
    "operation": (
        "look at the operations",
        {
            "find": "list operations",
            "show": "show one operation, and how many could ask for it and approve it",
        },
    ),
}
_RIGHTS: Final = ("request", "approve")


def parameter(text: str) -> tuple[str, str]:
    """Read a parameter of an operation.

    Args:
        text: ``NAME=VALUE``; ``NAME=@FILE`` takes what is in a file, and ``NAME=@@VALUE`` a value that begins with @.

    Returns:
        Name and value.

    Raises:
        argparse.ArgumentTypeError: It is not of that form, or the file cannot be read as a text.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    if not value.startswith("@"):
        return name, value
    return name, value[1:] if value.startswith("@@") else _content(value[1:])


def _content(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BODY_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{path!r} cannot be read as a text: {error}") from error
    if len(data) > MAX_BODY_BYTES:
        raise argparse.ArgumentTypeError(f"{path!r} has more than {MAX_BODY_BYTES} bytes")
    return text


def _add_policy_test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", metavar="NAME", required=True, help="of whom, with or without the realm")
    parser.add_argument("--operation", metavar="NAME", required=True, help="of which operation")
    parser.add_argument("--host", required=True, help="on which host")
    _add_right(parser, "only about this right (default: both)")
    parser.add_argument(
        "--parameter",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        type=parameter,
        default=[],
        help="a parameter that it would be asked for with",
    )
    parser.add_argument(
        "--member-of",
        metavar="GROUP",
        action="append",
        default=[],
        help="as though that person were a member of this group or role too",
    )


def _add_rule_find(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--operation", metavar="NAME", default="", help="only those for this operation")
    parser.add_argument("--user", metavar="NAME", default="", help="only those that name this person")
    _add_right(parser, "only those that give this right")


def _add_rule_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="RULE", help="its name; see 'ipa-tpi rule find'")


def _add_operation_find(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="?", default="", help="in its name or its description")


def _add_operation_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="OPERATION", help="its name; see 'ipa-tpi operation find'")
    parser.add_argument("--host", help="on which host (default: the server)")


def _add_right(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--right", choices=_RIGHTS, default="", help=text)


ADD_DEED: Final = {
    ("policy", "test"): _add_policy_test,
    ("rule", "find"): _add_rule_find,
    ("rule", "show"): _add_rule_show,
    ("operation", "find"): _add_operation_find,
    ("operation", "show"): _add_operation_show,
}
