"""The audit trail: one line a record whatever is in it, and an error where it is not written."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.adapters.audit import MAX_TEXT, AuditTrail, open_audit
from ipa_tpi.errors import AuditError, ConfigError
from ipa_tpi.ports import Audit

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def test_a_file_gets_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    audit = open_audit(f"file:{path}", "web", clock=lambda: NOW)
    audit.record(
        "refused", caller="alice@TPI.TEST", request="r", code="no-rule", detail="a\nb\x1b[0m\u202e\x7f"
    )
    audit.record("attempt", caller="bob@TPI.TEST", request="")
    first, second = path.read_bytes().splitlines()
    assert json.loads(first) == {
        "time": "2026-01-02T03:04:05.678Z",
        "component": "web",
        "event": "refused",
        "caller": "alice@TPI.TEST",
        "request": "r",
        "code": "no-rule",
        "detail": "a\nb\x1b[0m\u202e\x7f",
    }
    assert json.loads(second)["event"] == "attempt"
    assert first.isascii()
    assert all(32 <= byte < 127 for byte in first + second)
    assert path.stat().st_mode & 0o777 == 0o600


@given(st.text(), st.text())
def test_no_text_begins_a_line(event: str, text: str) -> None:
    class Sink:
        def write(self, line: bytes, _event: str, _request: str) -> None:
            assert all(32 <= byte < 127 for byte in line)
            assert json.loads(line)["text"] == text[:MAX_TEXT] if text else "text" not in json.loads(line)

    AuditTrail(Sink(), "web", lambda: NOW).record(event, text=text)


def test_long_texts_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    open_audit(f"file:{path}", "web").record("refused", detail="x" * 10_000)
    assert len(json.loads(path.read_bytes())["detail"]) == MAX_TEXT


def test_threads_do_not_mix_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    audit = open_audit(f"file:{path}", "web")

    def write(number: int) -> None:
        for _ in range(25):
            audit.record("attempt", number=number, detail="y" * 500)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in path.read_bytes().splitlines()]) == 100


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "missing" / "audit", tmp_path, tmp_path / "link", Path("/dev/full")):
        with pytest.raises(AuditError, match="could not be written"):
            open_audit(f"file:{path}", "web").record("attempt")


@pytest.mark.parametrize(
    "fields", [{"time": "x"}, {"component": "x"}, {"number": float("nan")}, {"raw": b"x"}]
)
def test_a_record_that_would_lie_is_an_error(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(AuditError):
        open_audit(f"file:{tmp_path / 'audit'}", "web").record("attempt", **fields)  # type: ignore[arg-type]
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("where", ["", "syslog", "file:relative", "file:", "journald:"])
def test_an_unknown_place_stops_the_start(where: str) -> None:
    with pytest.raises(ConfigError):
        open_audit(where, "web")


class TestJournal:
    def test_the_native_protocol(self, tmp_path: Path) -> None:
        path = str(tmp_path / "journal")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(path)
            journal.settimeout(2)
            audit = open_audit("journald", "web", clock=lambda: NOW, journal_socket=path)
            audit.record("refused", request="r\nPRIORITY=0", code="no-rule")
            fields = _parse(journal.recv(65536))
        assert fields["SYSLOG_IDENTIFIER"] == b"ipa-tpi-web"
        assert fields["IPA_TPI_EVENT"] == b"refused"
        assert fields["IPA_TPI_REQUEST"] == b"r\nPRIORITY=0"
        assert fields["PRIORITY"] == b"6"
        assert json.loads(fields["MESSAGE"])["code"] == "no-rule"

    def test_nobody_listens(self, tmp_path: Path) -> None:
        with pytest.raises(AuditError):
            open_audit("journald", "web", journal_socket=str(tmp_path / "none")).record("attempt")

    def test_a_journal_that_does_not_read(self, tmp_path: Path) -> None:
        path = str(tmp_path / "journal")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(path)
            audit = open_audit("journald", "web", journal_socket=path)
            with pytest.raises(AuditError):
                _flood(audit)


def _flood(audit: Audit) -> None:
    for _ in range(10_000):
        audit.record("attempt")


def _parse(data: bytes) -> dict[str, bytes]:
    fields = {}
    while data:
        name, _, rest = data.partition(b"\n")
        length = int.from_bytes(rest[:8], "little")
        fields[name.decode()] = rest[8 : 8 + length]
        assert rest[8 + length : 9 + length] == b"\n"
        data = rest[9 + length :]
    return fields


def test_a_rotated_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    audit = open_audit(f"file:{path}", "web")
    audit.record("attempt")
    path.rename(tmp_path / "audit.1")
    audit.record("attempt")
    assert len(path.read_bytes().splitlines()) == 1
