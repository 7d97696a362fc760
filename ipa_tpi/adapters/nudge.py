"""Wakes the executor of this host through its socket; the directory tells it what there is to do.

A nudge is a courtesy: the executor also watches the directory, so a nudge that fails is logged
and forgotten.
"""

import logging
import socket
from typing import Final

from ipa_tpi.ports import Nudger
from ipa_tpi.wire import SocketMessage, encode

TIMEOUT_SECONDS: Final = 0.2
_LOG: Final = logging.getLogger(__name__)


def open_nudger(path: str) -> Nudger:
    """Give what wakes the executor.

    Args:
        path: Its socket; empty where this host has none.

    Returns:
        The nudger, safe to share between threads.
    """
    return SocketNudger(path) if path else Silence()


class SocketNudger:
    """Says ``nudge`` to the executor's socket.

    Args:
        path: The socket.
        timeout_seconds: For connecting, and for sending.
    """

    def __init__(self, path: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds

    def nudge(self, request_id: str) -> None:
        """Say that there is something new below a request; never raises.

        Args:
            request_id: Its id.
        """
        message = encode(SocketMessage(verb="nudge", id=request_id)) + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as executor:
                executor.settimeout(self._timeout_seconds)
                executor.connect(self._path)
                executor.sendall(message)
        except OSError as error:
            _LOG.warning("the executor at %s was not woken (%s); it looks by itself later", self._path, error)


class Silence:
    """Wakes nobody, where this host has no executor."""

    def nudge(self, request_id: str) -> None:
        """Do nothing.

        Args:
            request_id: Ignored.
        """
