"""The resident service: one question, one answer a connection; started by systemd when the first one comes (D09).

::

    1  who asks (SO_PEERCRED): the user that Dogtag runs as, nobody else, before a byte is read
    2  the question, to its end, within its time
    3  the decision, with the caller's tickets (`decision`)
    4  one line back

It runs as ipatpi-certval, which has no key and no right of its own anywhere.  What goes wrong is a
refusal; what is never answered is one too, since the program that asks has a time of its own.
"""

import argparse
import logging
import os
import pwd
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ipa_tpi import __version__
from ipa_tpi.adapters.gss import caller_credentials
from ipa_tpi.errors import TpiError
from ipa_tpi_validator.consuming import consumer_of
from ipa_tpi_validator.decision import Consumer, Open, answer
from ipa_tpi_validator.question import ACCEPTED, QuestionError, receive
from ipa_tpi_validator.reading import Reader, opened
from ipa_tpi_validator.refusal import Refusal, undecided
from ipa_tpi_validator.settings import Settings, read_settings
from ipa_tpi_validator.tickets import held

SETTINGS: Final = "/etc/ipa/tpi/certval.toml"
_LOG: Final = logging.getLogger("ipa_tpi_validator")
_UCRED: Final = struct.Struct("3i")
_ANSWERING_SECONDS: Final = 1.0
_FIRST_DESCRIPTOR: Final = 3  # sd_listen_fds(3)
_BUSY: Final = undecided("too many certificates are asked for at once; try again", "busy")
_BROKEN: Final = undecided("it could not be found out whether this may be issued; try again later", "broken")


@dataclass(frozen=True, slots=True)
class Service:
    """What serves.

    Attributes:
        asker: The uid that may ask.
        settings: Where we stand.
        opened: The directory.
        consumer: The executor.
        places: One for each decision at a time.
    """

    asker: int
    settings: Settings
    opened: Open
    consumer: Consumer
    places: threading.BoundedSemaphore

    def serve(self, listener: socket.socket) -> None:
        """Serve until the listener is closed.

        Args:
            listener: The socket.
        """
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            if not self._is_asker(peer):
                peer.close()
                continue
            if not self.places.acquire(blocking=False):
                _tell(peer, _BUSY)
                continue
            threading.Thread(target=self._serve_one, args=(peer,), name="decision", daemon=True).start()

    def _is_asker(self, peer: socket.socket) -> bool:
        _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if uid != self.asker:  # R-E04
            _LOG.warning("uid %d may not ask here", uid)
        return bool(uid == self.asker)

    def _serve_one(self, peer: socket.socket) -> None:
        try:
            refusal = self._answer(peer)
        except QuestionError as error:
            _LOG.warning("refused: %s", error)
            refusal = _BROKEN
        except Exception:  # noqa: BLE001 (the outermost loop: what is not understood is refused, and seen)
            _LOG.exception("an error that should not be")
            refusal = _BROKEN
        finally:
            self.places.release()
        _tell(peer, refusal)

    def _answer(self, peer: socket.socket) -> Refusal | None:
        return answer(receive(peer), self.settings, self.opened, self.consumer)


def directory(settings: Settings) -> Open:
    """Give the way to the directory, as the owner of tickets.

    Args:
        settings: Where it is.
    """

    @contextmanager
    def as_caller(ccache: bytes, principal: str) -> Iterator[Reader]:
        with held(ccache) as name, opened(settings, caller_credentials(name, principal)) as reader:
            yield reader

    return as_caller


def _tell(peer: socket.socket, refusal: Refusal | None) -> None:
    try:
        with peer:
            peer.settimeout(_ANSWERING_SECONDS)
            peer.sendall(ACCEPTED if refusal is None else refusal.line())
    except OSError:
        _LOG.warning("whoever asked did not wait for the answer")


def _listener() -> socket.socket:
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise OSError("systemd gave no socket; start ipa-tpi-certval.socket")
    return socket.socket(fileno=_FIRST_DESCRIPTOR)


def main(argv: list[str] | None = None) -> int:
    """Serve at the socket that systemd listens at.

    Args:
        argv: Arguments; those of the process when left out.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="ipa-tpi-certval", description="Decides which certificates Dogtag may issue; started by systemd."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config", default=SETTINGS, help=f"the settings; {SETTINGS} when left out")
    arguments = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        settings = read_settings(arguments.config)
        asker = pwd.getpwnam(settings.asker).pw_uid
        listener = _listener()
    except (TpiError, KeyError, OSError) as error:
        _LOG.error("%s", error)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: listener.close())
    service = Service(
        asker,
        settings,
        directory(settings),
        consumer_of(settings.executor_socket),
        threading.BoundedSemaphore(settings.decisions),
    )
    service.serve(listener)
    return 0
