"""The local socket: one line of JSON, one verb, one uid per verb (E03, E04, E20).

``nudge`` (the web service's user) wakes the executor for a request and commands nothing.
``health`` (root) tells how it is.  Who calls is what the kernel says (SO_PEERCRED); a caller of
another uid is refused, and the refusal is audited.
"""

import logging
import os
import pwd
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ipa_tpi import wire
from ipa_tpi.errors import AuditError, BadInputError, ConfigError, TpiError
from ipa_tpi.model import Json
from ipa_tpi.ports import Audit

_LOG = logging.getLogger(__name__)
_MAX_LINE_BYTES: Final = 4096
_TIMEOUT_SECONDS: Final = 2.0
_MAX_CONNECTIONS: Final = 10
_UCRED: Final = struct.Struct("3i")

Verb = Callable[[wire.SocketMessage], Mapping[str, Json]]


class LocalSocket:
    """Serves the socket in threads of its own, at most ten at once.

    Args:
        path: Where.
        verbs: For each verb, the uid that may say it, and what it does.
        audit: Where refusals go.
    """

    def __init__(self, path: str, verbs: Mapping[str, tuple[int, Verb]], audit: Audit) -> None:
        self._path = path
        self._verbs = verbs
        self._audit = audit
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._listener = _listen(path)
        self._thread = threading.Thread(target=self._serve, name="socket", daemon=True)

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and take the socket away."""
        self._listener.close()
        Path(self._path).unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._answer, args=(connection,), name="peer", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(_TIMEOUT_SECONDS)
                _, uid, _ = _UCRED.unpack(
                    connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
                )
                connection.sendall(wire.encode(self._decide(uid, connection)) + b"\n")
        except BrokenPipeError:
            return  # who only says something need not wait for the answer
        except (OSError, AuditError) as error:
            _LOG.warning("a local connection ended early: %s", error)
        finally:
            self._slots.release()

    def _decide(self, uid: int, connection: socket.socket) -> wire.SocketAnswer:
        if uid not in {allowed for allowed, _ in self._verbs.values()}:  # R-E04: before a byte is read
            return self._refuse(uid, "")
        try:
            message = wire.decode(_read_line(connection), wire.SocketMessage)
        except BadInputError as error:
            return wire.SocketAnswer(ok=False, code=error.code, message=error.message)
        allowed, verb = self._verbs.get(message.verb, (None, None))
        if verb is None or allowed != uid:
            return self._refuse(uid, message.verb)
        try:
            return wire.SocketAnswer(ok=True, health=dict(verb(message)))
        except TpiError as error:
            return wire.SocketAnswer(ok=False, code=error.code, message=error.message)

    def _refuse(self, uid: int, verb: str) -> wire.SocketAnswer:
        self._audit.record("socket-refused", uid=uid, verb=verb)
        return wire.SocketAnswer(ok=False, code="refused", message="this user may not say this here")


def uid_of(user: str) -> int:
    """Look up a user's uid.

    Args:
        user: The name.

    Returns:
        The uid.

    Raises:
        ConfigError: There is no such user.
    """
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise ConfigError(
            f"there is no user {user}; create it (systemd-sysusers), or correct executor.toml"
        ) from error


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        Path(path).unlink(missing_ok=True)
        listener.bind(path)
        os.chmod(path, 0o666)  # noqa: S103, PTH101 (anybody may connect; SO_PEERCRED decides)
        listener.listen(_MAX_CONNECTIONS)
    except OSError as error:
        raise ConfigError(f"cannot listen at {path}: {error}") from error
    return listener


def _read_line(connection: socket.socket) -> bytes:
    data = b""
    while b"\n" not in data:
        piece = connection.recv(_MAX_LINE_BYTES)
        data += piece
        if not piece or len(data) > _MAX_LINE_BYTES:
            break
    line, newline, rest = data.partition(b"\n")
    if not newline or rest:
        raise BadInputError("expected one line of JSON", code="bad-json")
    return line
