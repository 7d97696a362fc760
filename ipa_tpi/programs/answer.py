"""How a validation program gets its question and says no: the contract from its side (K05)."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Final

# Numbers and names of FreeIPA's public errors.
ACCESS: Final = (2100, "ACIError")
INVALID: Final = (3009, "ValidationError")
SETTINGS: Final = (4000, "ExecutionError")
_MESSAGE_CHARACTERS: Final = 400


class RefusalError(Exception):
    """The program says no.

    Args:
        message: Why, for the people who asked; nothing internal.
        kind: One of the pairs above.
        data: What the message was made of.
    """

    def __init__(self, message: str, kind: tuple[int, str] = ACCESS, **data: str) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.data = data


def question() -> Mapping[str, str]:
    """Give the variables of the question."""
    return {name: value for name, value in os.environ.items() if name.startswith("TPI_")}


def refuse(error: RefusalError) -> int:
    """Write the one line that says why not.

    Args:
        error: Why not.

    Returns:
        The exit status to end with.
    """
    code, name = error.kind
    message = error.message[:_MESSAGE_CHARACTERS]
    line = {"code": code, "name": name, "message": message, "data": error.data}
    sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")
    return 1
