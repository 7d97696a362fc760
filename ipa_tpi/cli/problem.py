"""An error of the command line: a line for people, and for programs the document of RFC 9457."""

from collections.abc import Sequence
from http import HTTPStatus

from ipa_tpi.cli.render import json_document
from ipa_tpi.errors import HTTP_STATUS


def wants_json(argv: Sequence[str]) -> bool:
    """Tell whether a command line asks for JSON, even one that is not understood otherwise.

    Args:
        argv: Without the program's name.

    Returns:
        The last word on the form of the output.
    """
    wanted = False
    for before, word in zip(["", *argv], argv, strict=False):
        if word == "--":
            break
        if word == "--json":
            wanted = True
        elif before in {"-o", "--output"}:
            wanted = word == "json"
        elif word.startswith(("-o", "--output=")) and word != "-o":
            wanted = word in {"-ojson", "--output=json"}
    return wanted


def problem_document(code: str, message: str, exit_status: int) -> str:
    """Write an error as the web service writes its own (RFC 9457), and the exit status beside it.

    Args:
        code: The stable code.
        message: What happened and what to do next.
        exit_status: That of the command.

    Returns:
        JSON with a newline at its end.
    """
    status = HTTPStatus(HTTP_STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR))
    if status < HTTPStatus.BAD_REQUEST:
        status = HTTPStatus.CONFLICT  # as the web service does where a state refuses
    return json_document(
        {
            "type": f"urn:ipa-tpi:problem:{code}",
            "title": status.phrase,
            "status": status.value,
            "detail": message,
            "code": code,
            "exit_status": exit_status,
        }
    )
