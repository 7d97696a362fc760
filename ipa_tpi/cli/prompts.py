"""Asking a person yes or no, and never taking anything else for a yes."""

import sys
import termios
from typing import TextIO

from ipa_tpi.errors import BadInputError


def demand_terminal(screen: TextIO, verb: str) -> None:
    """Refuse to go on where nobody can be asked.

    Args:
        screen: Where the question will be shown.
        verb: What would be asked about.

    Raises:
        BadInputError: Input or screen is no terminal.
    """
    if not (sys.stdin.isatty() and screen.isatty()):
        raise BadInputError(
            f"there is no terminal to ask on, so nothing was done. Run it on a terminal, "
            f"or look with 'ipa-tpi show ID' first and then give the whole id: 'ipa-tpi {verb} --yes ID'.",
        )


def confirm(question: str, screen: TextIO) -> bool:
    """Ask once.

    What was typed before the question was on the screen is thrown away: nobody can have meant it
    as an answer to what had not been shown (R-K11).

    Args:
        question: With its choices, such as ``Approve? [y/N]``.
        screen: Where to show it.

    Returns:
        True for ``y`` or ``yes`` in any letter case; False for everything else, the end of input included.
    """
    screen.flush()
    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    screen.write(f"{question} ")
    screen.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
