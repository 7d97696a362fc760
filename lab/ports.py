"""Free ports for a realm, such that two realms that start at the same moment never get the same one."""

from __future__ import annotations

import random
import socket
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from lab.layout import Ports

# Below the range that the kernel takes for outgoing connections.
_FIRST, _LAST = 20000, 31999


class ReservedPorts(AbstractContextManager[Ports]):
    """Four ports that no other realm of this machine takes while the context is open.

    A reservation is an abstract Unix socket named for the port: no file, seen by all users, gone with the process.
    The ports themselves stay free for the daemons to bind.
    """

    def __init__(self) -> None:
        self._reservations: list[socket.socket] = []

    def __enter__(self) -> Ports:
        """Reserve the ports."""
        return Ports(ldap=self._take(), kdc=self._take(), https=self._take(), http=self._take())

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of the reservations; by now the daemons hold the ports."""
        for reservation in self._reservations:
            reservation.close()

    def _take(self) -> int:
        for _ in range(1000):
            port = random.SystemRandom().randint(_FIRST, _LAST)
            reservation = socket.socket(socket.AF_UNIX)
            try:
                reservation.bind(f"\0ipa-tpi-lab-port-{port}")
            except OSError:
                reservation.close()
                continue
            self._reservations.append(reservation)
            if _is_free(port):
                return port
        raise RuntimeError(f"no free port between {_FIRST} and {_LAST}")


def _is_free(port: int) -> bool:
    """Return whether the port can be bound on loopback, TCP and UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with suppress(OSError), socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", port))
            continue
        return False
    return True
