"""The attacker's hands at the web server: every byte and header of a request as he likes it."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from world import CA, HOST, World

from lab.negotiate import negotiate

PREFIX = "/tpi/v1"
CCACHES = Path("/run/ipa-tpi/ccaches")
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """An answer, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def cors(self) -> list[str]:
        """Name what would let another origin's page read it."""
        return [name for name in self.headers if name.lower().startswith("access-control")]


def ticket(world: World, person: str) -> dict[str, str]:
    """Make the header that authenticates one request."""
    return negotiate(world.ccache(person), HOST)


def ask(
    world: World,
    method: str,
    path: str,
    person: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPSConnection(HOST, context=ssl.create_default_context(cafile=CA), timeout=40)
    try:
        own = ticket(world, person) if person else {}
        connection.request(method, PREFIX + path, body=body, headers={**own, **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Slow:
    """A request of which only the beginning is sent.

    Args:
        begin: Its bytes so far.
    """

    def __init__(self, begin: str) -> None:
        plain = socket.create_connection((HOST, 443), timeout=60)
        self._socket = ssl.create_default_context(cafile=CA).wrap_socket(plain, server_hostname=HOST)
        self._socket.sendall(begin.encode("ascii"))

    def answered(self) -> bool:
        """Tell whether the server has said anything, or has closed; takes no time."""
        self._socket.settimeout(0.001)
        try:
            self._got = self._socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            self._got = b""
        return True

    def status(self, seconds: float) -> int:
        """Wait for the status of the answer; 0 where the server only closed."""
        if not hasattr(self, "_got"):
            self._socket.settimeout(seconds)
            self._got = self._socket.recv(65536)
        return int(self._got.split()[1]) if self._got else 0

    def close(self) -> None:
        """Give it up."""
        with suppress(OSError):
            self._socket.close()
