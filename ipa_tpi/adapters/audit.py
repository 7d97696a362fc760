"""The audit trail: one JSON object per event, to the journal or to a file (A08, E02).

A record is one line of ASCII whatever its fields hold, so that nothing which came over the
network can begin a second one.  A record that could not be written is an `AuditError`: what it
would have told about must not happen.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from ipa_tpi.errors import AuditError, ConfigError
from ipa_tpi.model import Json
from ipa_tpi.ports import Audit

JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
MAX_TEXT: Final = 1024
_FILE: Final = "file:"
_FILE_MODE: Final = 0o600
_JOURNAL_TIMEOUT_SECONDS: Final = 2.0
_PRIORITY_INFO: Final = b"6"
_OURS: Final = frozenset({"time", "component", "event"})


class Sink(Protocol):
    """Where lines go."""

    def write(self, line: bytes, event: str, request: str) -> None:
        """Write one line as far as the medium makes it durable; OSError when that fails."""


def open_audit(
    where: str,
    component: str,
    *,
    clock: Callable[[], datetime] | None = None,
    journal_socket: str = JOURNAL_SOCKET,
) -> Audit:
    """Open the trail.

    Args:
        where: ``journald``, or ``file:`` and an absolute path.
        component: Which program writes: ``web``, ``executor``.
        clock: Tells the time; this host's by default.
        journal_socket: Where journald listens.

    Returns:
        The trail, safe to share between threads.

    Raises:
        ConfigError: `where` is neither.
    """
    if where == "journald":
        sink: Sink = _Journal(journal_socket, component)
    elif where.startswith(_FILE + "/"):
        sink = _File(where.removeprefix(_FILE))
    else:
        raise ConfigError(f"audit is {where!a}; set it to journald or file:/path")
    return AuditTrail(sink, component, clock or _now)


class AuditTrail:
    """Writes records to one sink; see `ipa_tpi.ports.Audit`.

    Args:
        sink: Where lines go.
        component: Stands in each record.
        clock: Tells the time.
    """

    def __init__(self, sink: Sink, component: str, clock: Callable[[], datetime]) -> None:
        self._sink = sink
        self._component = component
        self._clock = clock

    def record(self, event: str, **fields: Json) -> None:
        """Write one record.

        Args:
            event: Its name.
            **fields: What it tells; long texts are cut, and none may be called time or component.

        Raises:
            AuditError: It could not be written.
        """
        if fields.keys() & _OURS:
            raise AuditError("a field of the audit record has a name that the trail itself uses; report this")
        time = self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            line = _line({"time": time, "component": self._component, "event": event, **_cut(fields)})
            self._sink.write(line, event, str(fields.get("request", "")))
        except (OSError, ValueError, TypeError) as error:
            raise AuditError(
                f"the audit record {event!a} could not be written ({error}), so nothing is done; ask an administrator",
            ) from error


class _File:
    def __init__(self, path: str) -> None:
        self._path = path

    def write(self, line: bytes, _event: str, _request: str) -> None:
        # Opened for each record, so that a rotated file is left alone and a missing folder is noticed.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        number = os.open(self._path, flags, _FILE_MODE)
        try:
            written = os.write(number, line + b"\n")
            if written != len(line) + 1:
                raise OSError("the disk took only a part of it")
            os.fsync(number)
        finally:
            os.close(number)


class _Journal:
    def __init__(self, path: str, component: str) -> None:
        self._path = path
        self._identifier = f"ipa-tpi-{component}".encode()

    def write(self, line: bytes, event: str, request: str) -> None:
        fields = {
            b"MESSAGE": line,
            b"PRIORITY": _PRIORITY_INFO,
            b"SYSLOG_IDENTIFIER": self._identifier,
            b"IPA_TPI_EVENT": event.encode(),
            b"IPA_TPI_REQUEST": request.encode("utf-8", "backslashreplace")[:MAX_TEXT],
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.settimeout(_JOURNAL_TIMEOUT_SECONDS)
            journal.sendto(b"".join(_native(name, value) for name, value in fields.items()), self._path)


def _native(name: bytes, value: bytes) -> bytes:
    # systemd's native protocol; the form with a length, in which a newline in a value ends nothing.
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


def _line(record: Mapping[str, Json]) -> bytes:
    text = json.dumps(record, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("\x7f", "\\u007f").encode("ascii")


def _cut(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {
        name: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in fields.items()
        if value != ""
    }


def _now() -> datetime:
    return datetime.now(tz=UTC)
