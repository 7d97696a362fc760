"""The local socket, with real connections and the kernel's word on who calls (E03, E04, E11, E20)."""

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from executor_fakes import DOWN, FakeAudit, Weather

from ipa_tpi.errors import ConfigError, JournalError
from ipa_tpi.executor.socket import LocalSocket, uid_of
from ipa_tpi.model import Json
from ipa_tpi.wire import SocketMessage

ME = os.geteuid()
ANOTHER = ME + 1
ID = "7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10"


class Peer:
    """A served socket, and what was said to it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path / "executor.sock")
        self.audit = FakeAudit(Weather())
        self.nudged: list[str | None] = []
        self.slow = threading.Event()
        verbs = {
            "nudge": (ME, self.nudge),
            "health": (ME, self.health),
            "consume": (ANOTHER, self.nudge),
            "wait": (ME, self.wait),
            "break": (ME, self.broken),
        }
        self.socket = LocalSocket(self.path, verbs, self.audit)

    def nudge(self, message: SocketMessage) -> dict[str, Json]:
        """Keep an id."""
        self.nudged.append(message.id)
        return {}

    def health(self, _message: SocketMessage) -> dict[str, Json]:
        """Tell something."""
        return {"watching": True}

    def wait(self, _message: SocketMessage) -> dict[str, Json]:
        """Answer late."""
        self.slow.wait(5)
        return {}

    def broken(self, _message: SocketMessage) -> dict[str, Json]:
        """Fail as a verb can."""
        raise JournalError("the disk is full")

    def connect(self) -> socket.socket:
        """Connect."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(5)
        connection.connect(self.path)
        return connection

    def say(self, data: bytes) -> Any:
        """Say one line and give the answer; None where there is none."""
        with self.connect() as connection:
            answer = b""
            try:
                connection.sendall(data)
                while piece := connection.recv(4096):
                    answer += piece
            except (ConnectionResetError, BrokenPipeError):
                return None
        return json.loads(answer) if answer else None


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    """A served socket."""
    made = Peer(tmp_path)
    made.socket.start()
    yield made
    made.slow.set()
    made.socket.stop()


def test_a_nudge_wakes(peer: Peer) -> None:
    assert peer.say(json.dumps({"verb": "nudge", "id": ID}).encode() + b"\n") == {"ok": True}
    assert peer.say(b'{"verb":"nudge"}\n') == {"ok": True}
    assert peer.nudged == [ID, None]


def test_health_is_told(peer: Peer) -> None:
    assert peer.say(b'{"verb":"health"}\n') == {"ok": True, "health": {"watching": True}}


def test_a_verb_of_another_uid_is_refused_and_audited(peer: Peer) -> None:
    answer = peer.say(b'{"verb":"consume"}\n')
    assert (answer["ok"], answer["code"]) == (False, "refused")
    assert peer.nudged == []
    assert peer.audit.records == [{"event": "socket-refused", "uid": ME, "verb": "consume"}]


def test_an_unknown_verb_is_refused_and_audited(peer: Peer) -> None:
    assert peer.say(b'{"verb":"run"}\n')["code"] == "refused"
    assert peer.audit.records[0]["verb"] == "run"


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"nonsense\n",
        b"{}\n",
        b'{"verb":1}\n',
        b'{"verb":""}\n',
        b'{"verb":"nudge","id":"x"}\n',
        b'{"verb":"nudge","id":"' + ID.upper().encode() + b'"}\n',
        b'{"verb":"nudge","more":1}\n',
        b'{"verb":"nudge"}\n{"verb":"nudge"}\n',
        b'{"verb":"nudge"}\nx',
        b"\xff\xfe\n",
        b"[" * 4000 + b"\n",
    ],
)
def test_another_form_is_refused(peer: Peer, data: bytes) -> None:
    answer = peer.say(data)
    assert (answer["ok"], answer["code"]) == (False, "bad-json")
    assert peer.nudged == []


def test_too_long_a_line_is_refused(peer: Peer) -> None:
    answer = peer.say(b'{"verb":"' + b"a" * 5000 + b'"}\n')
    assert answer is None or answer["code"] == "bad-json"


def test_a_line_without_an_end_is_refused(peer: Peer) -> None:
    with peer.connect() as connection:
        connection.sendall(b'{"verb":"nudge"}')
        connection.shutdown(socket.SHUT_WR)
        assert b"bad-json" in connection.recv(4096)


def test_a_line_in_pieces_is_one_line(peer: Peer) -> None:
    with peer.connect() as connection:
        for byte in b'{"verb":"health"}\n':
            connection.sendall(bytes([byte]))
        assert b"watching" in connection.recv(4096)


def test_who_says_nothing_is_let_go(peer: Peer) -> None:
    with peer.connect() as connection:
        started = time.monotonic()
        assert connection.recv(4096) == b""
        assert time.monotonic() - started < 4
    assert peer.say(b'{"verb":"health"}\n')["ok"]


def test_who_goes_away_does_no_harm(peer: Peer) -> None:
    for _ in range(3):
        peer.connect().close()
    assert peer.say(b'{"verb":"health"}\n')["ok"]


def test_no_more_than_ten_at_once(peer: Peer) -> None:
    waiting = [peer.connect() for _ in range(10)]
    for connection in waiting:
        connection.sendall(b'{"verb":"wait"}\n')
    time.sleep(0.1)
    assert peer.say(b'{"verb":"health"}\n') is None
    peer.slow.set()
    assert all(connection.recv(4096) for connection in waiting)
    for connection in waiting:
        connection.close()
    assert eventually(lambda: peer.say(b'{"verb":"health"}\n'))


def eventually(ask: Any) -> Any:
    """Ask until there is an answer."""
    end = time.monotonic() + 5
    while (answer := ask()) is None and time.monotonic() < end:
        time.sleep(0.01)
    return answer


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_verb_that_fails_is_answered_and_does_no_harm(peer: Peer) -> None:
    """STYLE: a foreign state is told as an error, never as a broken connection without a word."""
    answer = peer.say(b'{"verb":"break"}\n')
    for _ in range(12):
        peer.say(b'{"verb":"break"}\n')
    assert peer.say(b'{"verb":"health"}\n')["ok"]
    assert answer is not None
    assert (answer["ok"], answer["code"]) == (False, "journal-unavailable")


def test_another_uid_is_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    peer.socket.stop()
    audit = FakeAudit(Weather())
    refusing = LocalSocket(peer.path, {"nudge": (ANOTHER, peer.nudge)}, audit)
    refusing.start()
    with peer.connect() as connection:
        answer = json.loads(connection.recv(4096))  # without having said anything
    assert (answer["ok"], answer["code"]) == (False, "refused")
    assert audit.records == [{"event": "socket-refused", "uid": ME, "verb": ""}]
    assert peer.nudged == []
    refusing.stop()


def test_a_refusal_that_cannot_be_audited_is_no_answer(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    peer.socket.start()
    peer.audit.weather.fails["audit"] = DOWN["audit"]
    assert peer.say(b'{"verb":"consume"}\n') is None
    assert peer.say(b'{"verb":"health"}\n')["ok"]
    peer.socket.stop()


def test_anybody_may_connect_and_the_kernel_says_who(peer: Peer) -> None:
    mode = Path(peer.path).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o666


def test_a_stale_socket_is_replaced_and_a_stopped_one_is_gone(tmp_path: Path) -> None:
    first = Peer(tmp_path)
    second = Peer(tmp_path)
    second.socket.start()
    assert second.say(b'{"verb":"health"}\n')["ok"]
    second.socket.stop()
    assert not Path(second.path).exists()
    with pytest.raises(FileNotFoundError):
        second.connect()
    first.socket.stop()


def test_a_socket_that_was_stopped_serves_nobody(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    peer.socket.stop()
    peer.socket.start()
    peer.socket._thread.join(timeout=5)
    assert not peer.socket._thread.is_alive()


def test_a_socket_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot listen at"):
        LocalSocket(str(tmp_path / "missing" / "socket"), {}, FakeAudit(Weather()))


def test_users_are_looked_up() -> None:
    assert uid_of("root") == 0
    with pytest.raises(ConfigError, match="there is no user"):
        uid_of("no-such-user-here")
