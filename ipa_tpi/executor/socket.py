"""The local socket: one line of JSON, one verb, one uid per verb (E03, E04, E20).

``nudge`` (the web service's user) wakes the executor for a request and commands nothing.
``consume`` (the certificate validator's user) uses up an approved request (`consuming`).
``health`` (root) tells how it is.  Who calls is what the kernel says (SO_PEERCRED).  In this order:

1. a caller of another uid is refused before a byte is read (E04);
2. a uid that connects too often is refused (E01);
3. a uid whose share of the connections is used up is refused (E11);
4. one line is read, not longer than the limit, within the time (E03);
5. an unknown field, another form, another verb, another uid's verb is refused (E03, E04).

1 to 3 take microseconds in the accepting thread, so that who is refused keeps nobody waiting.  Each
refusal has a code and is audited, repetitions as a sum.
"""

import logging
import os
import pwd
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ipa_tpi import wire
from ipa_tpi.errors import AuditError, BadInputError, ConfigError, RefusedError, TpiError
from ipa_tpi.executor.limits import RateLimit, Refusals, Shares, SocketLimits
from ipa_tpi.model import Json
from ipa_tpi.ports import Audit

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 128
_PIECE_BYTES: Final = 65536
_LOOK_SECONDS: Final = 1.0
_UCRED: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Reply:
    """A yes after which something remains to be done.

    Attributes:
        afterwards: Called once, when the answer has been sent, or could not be sent.
    """

    afterwards: "Afterwards"


class Afterwards(Protocol):
    """What remains to be done."""

    def __call__(self, *, was_sent: bool) -> None:
        """Do it."""


Verb = Callable[[wire.SocketMessage], Mapping[str, Json] | Reply]


@dataclass(frozen=True, slots=True)
class _Peer:
    uid: int
    gid: int


class LocalSocket:
    """Serves the socket.

    Args:
        path: Where.
        verbs: For each verb, the uid that may say it, and what it does.
        audit: Where refusals go.
        limits: What a caller may take.
        clock: Counts seconds and is never stepped.

    Raises:
        ConfigError: The socket cannot be made there.
    """

    def __init__(
        self,
        path: str,
        verbs: Mapping[str, tuple[int, Verb]],
        audit: Audit,
        limits: SocketLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._verbs = verbs
        self._limits = limits
        self._clock = clock
        self._uids = frozenset(uid for uid, _ in verbs.values())
        self._rate = RateLimit(self._uids, limits.connections_per_second, clock)
        self._shares = Shares(self._uids, limits.connections)
        self._refusals = Refusals(audit, limits.audit_seconds, clock)
        self._stopping = threading.Event()
        self._listener = _listen(path)

    def serve(self) -> None:
        """Serve in this thread until `stop`; each connection that is let in has a thread of its own."""
        while not self._stopping.is_set():
            self._refusals.sum_up()
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if not self._stopping.is_set():  # such as no file descriptor left; it passes
                    _LOG.warning("a local connection could not be taken: %s", error)
                    self._stopping.wait(_LOOK_SECONDS)
                continue
            self._admit(connection)
        self._refusals.sum_up(everything=True)

    def stop(self) -> None:
        """Stop serving and take the socket away."""
        self._stopping.set()
        Path(self._path).unlink(missing_ok=True)
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept(2); close(2) does not
        except OSError:
            _LOG.debug("the local socket was not open any more")
        self._listener.close()

    def depth(self) -> int:
        """Tell how many connections are being served (E11)."""
        return self._shares.depth()

    def refused(self) -> int:
        """Tell how many connections and messages were refused since the start."""
        return self._refusals.total()

    def _admit(self, connection: socket.socket) -> None:
        try:
            _, uid, gid = _UCRED.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            )
            peer = _Peer(uid, gid)
            refusal = self._refusal(peer)
            if refusal is None:
                threading.Thread(
                    target=self._answer, args=(connection, peer), name="peer", daemon=True
                ).start()
                return
            with connection:
                connection.setblocking(False)  # noqa: FBT003 (its one argument)
                connection.sendall(wire.encode(self._refuse(peer, "", refusal)) + b"\n")
        except (OSError, AuditError) as error:
            connection.close()
            _LOG.debug("a refused local connection ended early: %s", error)

    def _refusal(self, peer: _Peer) -> RefusedError | None:
        if peer.uid not in self._uids:  # R-E04: before a byte is read
            return RefusedError("this account may say nothing here; ask root of this host")
        if not self._rate.allows(peer.uid):  # R-E01
            return RefusedError(
                "this account connects too often; wait a second and try again", code="rate-limited"
            )
        if not self._shares.take(peer.uid):  # R-E11
            return RefusedError(
                "this account has too many connections here already; end one, or try again later", code="busy"
            )
        return None

    def _answer(self, connection: socket.socket, peer: _Peer) -> None:
        afterwards: list[Afterwards] = []
        was_sent = False
        try:
            with connection:
                answer = self._encode(self._decide(peer, connection, afterwards))
                connection.settimeout(self._limits.timeout_seconds)
                connection.sendall(answer + b"\n")
                was_sent = True
        except BrokenPipeError:
            return  # who only says something need not wait for the answer
        except (OSError, AuditError) as error:
            _LOG.warning("a local connection ended early: %s", error)
        finally:
            self._shares.give(peer.uid)
            for remaining in afterwards:
                remaining(was_sent=was_sent)

    def _decide(
        self, peer: _Peer, connection: socket.socket, afterwards: list[Afterwards]
    ) -> wire.SocketAnswer:
        try:
            line = self._read_line(connection)
            message = wire.decode(line, wire.SocketMessage)  # R-E03
        except BadInputError as error:
            return self._refuse(peer, "", error)
        allowed, verb = self._verbs.get(message.verb, (None, None))
        if verb is None or allowed != peer.uid:  # R-E04
            refusal = RefusedError("this account may not say this here; see ipa-tpi-executor(8)")
            return self._refuse(peer, message.verb, refusal)
        try:
            told = verb(message)
            if isinstance(told, Reply):
                afterwards.append(told.afterwards)
                return wire.SocketAnswer(ok=True)
            return wire.SocketAnswer(ok=True, health=dict(told))
        except TpiError as error:
            return wire.SocketAnswer(ok=False, code=error.code, message=error.message)

    def _refuse(self, peer: _Peer, verb: str, error: TpiError) -> wire.SocketAnswer:
        self._refusals.note(peer.uid, peer.gid, verb, error.code)
        return wire.SocketAnswer(ok=False, code=error.code, message=error.message)

    def _encode(self, answer: wire.SocketAnswer) -> bytes:
        encoded = wire.encode(answer)
        if len(encoded) <= self._limits.answer_bytes:
            return encoded
        message = f"the answer has more than {self._limits.answer_bytes} bytes; ask for less"  # R-E12
        return wire.encode(wire.SocketAnswer(ok=False, code="answer-too-large", message=message))

    def _read_line(self, connection: socket.socket) -> bytes:
        # One deadline for the whole line: a byte now and then does not keep a connection (R-E11).
        deadline = self._clock() + self._limits.timeout_seconds
        data = bytearray()
        piece = b""
        while b"\n" not in piece and len(data) <= self._limits.message_bytes:
            left = deadline - self._clock()
            if left <= 0:
                raise TimeoutError("its line did not end in time")
            connection.settimeout(left)
            piece = connection.recv(_PIECE_BYTES)
            data += piece
            if not piece:
                break
        line, newline, rest = data.partition(b"\n")
        if len(line) > self._limits.message_bytes:
            raise BadInputError(
                f"the line has more than {self._limits.message_bytes} bytes; say less", code="too-large"
            )
        if not newline or rest:
            raise BadInputError("expected one line of JSON; end it with a newline", code="bad-json")
        return bytes(line)


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
        _remove_stale(Path(path))
        listener.bind(path)
        os.chmod(path, 0o666)  # noqa: S103, PTH101 (anybody may connect; SO_PEERCRED decides)
        listener.listen(_BACKLOG)
        listener.settimeout(_LOOK_SECONDS)
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen at {path}: {error}; correct executor.toml or the folder") from error
    return listener


def _remove_stale(path: Path) -> None:
    # R-C05: a socket that a dead executor has left; anything else there is not ours to remove.
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError("something else than a socket lies there")
    except FileNotFoundError:
        return
    path.unlink()
