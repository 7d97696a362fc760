"""A ticket got for one proof alone, just now, with the person's factor (R-X11).

The person's own kinit asks for password, one-time password or PIN, on the person's terminal: nothing
secret passes through this program.  What it gives is a ticket for the executor of one target and
for nothing else (it is INITIAL, cannot be forwarded, and ends soon), in a cache that nobody else can
read, which lives as long as the proof takes.  It is never shown to the web service.
"""

import signal
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ipa_tpi.client.tickets import GssTickets, Tickets
from ipa_tpi.client.wanted import Wanted
from ipa_tpi.errors import KerberosError

KINIT: Final = "/usr/bin/kinit"
TERMINAL: Final = "/dev/tty"
# The proof is verified in seconds; a ticket that was left behind by SIGKILL is soon worth nothing.
_SHORTEST_LIFE_SECONDS: Final = 60


class Freshness(Protocol):
    """Where tickets come from that are for one proof alone."""

    def __call__(self, tickets: Tickets, target: str, wanted: Wanted) -> AbstractContextManager[Tickets]:
        """Get a ticket for the executor of a target now, and forget it at the end of the block."""


@contextmanager
def fresh_tickets(tickets: Tickets, target: str, wanted: Wanted) -> Iterator[Tickets]:
    """Have kinit get a ticket for the executor of a target, for the time of a ``with`` block.

    A copy of the person's own tickets is FAST armor (RFC 6113): one-time passwords are asked for in no other way.

    Args:
        tickets: The person's own, which say whose ticket it is.
        target: A host name that `decide.intake.check_target` lets pass.
        wanted: What it must be.

    Yields:
        Tickets that can make a proof for that target, and do nothing else.

    Raises:
        KerberosError: Code ``fresh-needed``: there is no terminal to ask on; ``kerberos``: kinit could
            not be run, or gave no ticket.
    """
    principal = tickets.principal()
    service = f"tpi/{target}@{principal.rpartition('@')[2]}"
    with ExitStack() as stack:
        terminal = stack.enter_context(_terminal(service))
        stack.enter_context(_ended_in_order())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ipa-tpi-"))  # of mode 0700
        ccache, armor = (f"FILE:{Path(folder) / name}" for name in ("ccache", "armor"))
        tickets.copy(armor)
        factor = f" ({' or '.join(wanted.factors)})" if wanted.factors else ""
        terminal.write(
            f"{service} demands a ticket that was got just now; kinit asks for your factor{factor}.\n".encode()
        )
        _ask(command(principal, service, ccache, armor, wanted.seconds), terminal, service)
        yield GssTickets(ccache)


def command(principal: str, service: str, ccache: str, armor: str, seconds: int) -> Sequence[str]:
    """Give kinit's command line; nothing secret is in it.

    Args:
        principal: Whose ticket; never taken for an option, whatever it begins with (CVE-2024-1481).
        service: For whom.
        ccache: Where to put it.
        armor: A cache with a ticket to speak with the KDC under.
        seconds: How long it has to be of use.

    Returns:
        The words.
    """
    life = f"{max(seconds, _SHORTEST_LIFE_SECONDS)}s"
    return [KINIT, "-F", "-P", "-l", life, "-S", service, "-T", armor, "-c", ccache, "--", principal]


def _ask(words: Sequence[str], terminal: BinaryIO, service: str) -> None:
    before = termios.tcgetattr(terminal)
    try:
        # No time limit: a person has to find a token or a card. Ctrl-C ends both.
        status = subprocess.run(
            words, stdin=terminal, stdout=terminal, stderr=terminal, check=False
        ).returncode
    except OSError as error:
        raise KerberosError(
            f"{words[0]} cannot be run ({error.strerror}), and a ticket for {service} has to be got just now. "
            "Install the Kerberos client programs and try again.",
        ) from error
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)  # kinit hides what is typed
    if status != 0:
        raise KerberosError(
            f"kinit gave no ticket for {service} (see above), so there is no proof and nothing was sent. "
            "Try again with the right password or factor.",
        )


@contextmanager
def _terminal(service: str) -> Iterator[BinaryIO]:
    try:
        # The person's terminal, wherever standard input and output lead.
        terminal = Path(TERMINAL).open("r+b", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise KerberosError(
            f"this operation demands a ticket for {service} that was got just now with your factor, and there is no "
            "terminal to ask for it on. Nothing was sent. Run the same command in a terminal.",
            code="fresh-needed",
        ) from error
    with terminal:
        sys.stdout.flush()  # what was shown stands before kinit's question
        yield terminal


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Make the end of the session, or of this program, an exception: what is to be deleted is deleted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = {number: signal.signal(number, _leave) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
