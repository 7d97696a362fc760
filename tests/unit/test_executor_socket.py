"""The local socket, with real connections and the kernel's word on who calls (E01, E03, E04, E11, E12, E20)."""

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from executor_fakes import DOWN, FakeAudit, Weather

from ipa_tpi.errors import ConfigError, JournalError
from ipa_tpi.executor.limits import SocketLimits
from ipa_tpi.executor.socket import LocalSocket, Reply, uid_of
from ipa_tpi.model import Json
from ipa_tpi.wire import SocketMessage

ME = os.geteuid()
ANOTHER = ME + 1
ID = "7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10"


LIMITS = SocketLimits(
    connections=10,
    connections_per_second=1000,
    message_bytes=100_000,
    answer_bytes=4096,
    timeout_seconds=2,
    audit_seconds=3600,
)
REFUSED = {"event": "socket-refused", "uid": ME, "gid": os.getegid()}


class Peer:
    """A served socket, and what was said to it."""

    def __init__(self, path: Path, **limits: int) -> None:
        self.path = str(path / "executor.sock")
        self.audit = FakeAudit(Weather())
        self.nudged: list[str | None] = []
        self.slow = threading.Event()
        self.ends: list[bool] = []
        self.ahead = 0.0
        verbs = {
            "nudge": (ME, self.nudge),
            "health": (ME, self.health),
            "consume": (ANOTHER, self.nudge),
            "wait": (ME, self.wait),
            "break": (ME, self.broken),
            "talk": (ME, self.talk),
            "release": (ME, self.release),
        }
        self.socket = LocalSocket(self.path, verbs, self.audit, replace(LIMITS, **limits), self.clock)
        self.thread = threading.Thread(target=self.socket.serve, daemon=True)

    def clock(self) -> float:
        """Tell the seconds, and how far a test has moved them."""
        return time.monotonic() + self.ahead

    def start(self) -> "Peer":
        """Serve."""
        self.thread.start()
        return self

    def stop(self) -> None:
        """Stop, and wait for it."""
        self.slow.set()
        self.socket.stop()
        if self.thread.is_alive():
            self.thread.join(5)

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

    def talk(self, _message: SocketMessage) -> dict[str, Json]:
        """Say more than may be said."""
        return {"words": "a" * 4096}

    def release(self, _message: SocketMessage) -> Reply:
        """Say yes, with something that remains to be done."""
        self.slow.wait(5)
        return Reply(self.afterwards)

    def afterwards(self, *, was_sent: bool) -> None:
        """Keep whether the yes went."""
        self.ends.append(was_sent)

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
        answer = b""
        with self.connect() as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # who is refused at once may still read why
                connection.sendall(data)
            with suppress(ConnectionResetError):
                while piece := connection.recv(4096):
                    answer += piece
        return json.loads(answer) if answer else None


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    """A served socket."""
    made = Peer(tmp_path).start()
    yield made
    made.stop()


def test_who_comes_after_a_while_in_which_nobody_came_is_served(tmp_path: Path) -> None:
    made = Peer(tmp_path)
    made.socket._listener.settimeout(0.02)
    made.start()
    time.sleep(0.2)
    assert made.say(b'{"verb":"nudge"}\n') == {"ok": True}
    made.stop()


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
    assert peer.audit.records == [{**REFUSED, "verb": "consume", "code": "refused"}]


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
    assert peer.audit.records == [{**REFUSED, "verb": "", "code": "bad-json"}]


@pytest.mark.parametrize("ending", [b'"}\n', b""], ids=["ended", "endless"])
def test_too_long_a_line_is_refused(peer: Peer, ending: bytes) -> None:
    answer = peer.say(b'{"verb":"' + b"a" * 100_000 + ending)
    assert answer["code"] == "too-large"
    assert peer.audit.records == [{**REFUSED, "verb": "", "code": "too-large"}]


def test_a_line_of_exactly_the_limit_is_read(peer: Peer) -> None:
    line = b'{"verb":"health"}'
    assert peer.say(b" " * (100_000 - len(line)) + line + b"\n")["ok"]
    assert peer.say(b" " * (100_001 - len(line)) + line + b"\n")["code"] == "too-large"


def test_too_long_an_answer_is_not_sent(peer: Peer) -> None:
    answer = peer.say(b'{"verb":"talk"}\n')
    assert (answer["ok"], answer["code"]) == (False, "answer-too-large")


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


def test_who_says_nothing_is_let_go(tmp_path: Path) -> None:
    peer = Peer(tmp_path, timeout_seconds=0).start()
    with peer.connect() as connection:
        assert connection.recv(4096) == b""
    peer.stop()


def test_a_byte_now_and_then_does_not_keep_a_connection(peer: Peer) -> None:
    """The time is for the whole line, not for each byte of it."""
    with peer.connect() as connection:
        connection.sendall(b'{"verb"')
        assert eventually(lambda: peer.socket.depth() or None) == 1
        peer.ahead += 3
        connection.sendall(b":")
        assert connection.recv(4096) == b""


def test_who_goes_away_does_no_harm(peer: Peer) -> None:
    for _ in range(3):
        peer.connect().close()
    assert peer.say(b'{"verb":"health"}\n')["ok"]


def test_no_more_at_once_than_a_share_of_the_connections(peer: Peer) -> None:
    """Two accounts may speak here, so that each has five of ten."""
    waiting = [peer.connect() for _ in range(5)]
    for connection in waiting:
        connection.sendall(b'{"verb":"wait"}\n')
    assert eventually(lambda: True if peer.socket.depth() == 5 else None)
    assert peer.say(b'{"verb":"health"}\n')["code"] == "busy"
    assert peer.audit.records == [{**REFUSED, "verb": "", "code": "busy"}]
    assert peer.socket.refused() == 1
    peer.slow.set()
    assert all(connection.recv(4096) for connection in waiting)
    for connection in waiting:
        connection.close()
    assert eventually(lambda: True if peer.socket.depth() == 0 else None)
    assert peer.say(b'{"verb":"health"}\n')["ok"]


def test_who_connects_too_often_is_refused_and_told_so(tmp_path: Path) -> None:
    peer = Peer(tmp_path, connections_per_second=3)
    frozen = time.monotonic()
    peer.socket._rate._clock = lambda: frozen
    peer.start()
    answers = [peer.say(b'{"verb":"health"}\n') for _ in range(20)]
    assert [answer["ok"] for answer in answers[:3]] == [True] * 3
    assert {answer["code"] for answer in answers[3:]} == {"rate-limited"}
    # A flood leaves one record now, and a sum later.
    assert peer.audit.records == [{**REFUSED, "verb": "", "code": "rate-limited"}]
    peer.stop()
    assert [one.get("repeated") for one in peer.audit.records] == [None, 16]


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


def refusing(path: Path, audit: FakeAudit) -> LocalSocket:
    """Serve a socket at which only another account may speak."""
    verbs = {"nudge": (ANOTHER, lambda _: {})}
    made = LocalSocket(str(path / "executor.sock"), verbs, audit, LIMITS)
    threading.Thread(target=made.serve, daemon=True).start()
    return made


def test_another_uid_is_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    audit = FakeAudit(Weather())
    served = refusing(tmp_path, audit)
    for _ in range(100):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(tmp_path / "executor.sock"))
            answer = json.loads(connection.recv(4096))  # without having said anything
            assert (answer["ok"], answer["code"]) == (False, "refused")
    served.stop()
    assert audit.records[0] == {**REFUSED, "verb": "", "code": "refused"}
    assert eventually(lambda: audit.records[1:] or None)[0]["repeated"] == 99


def test_who_is_refused_and_gone_does_no_harm(tmp_path: Path) -> None:
    audit = FakeAudit(Weather())
    served = refusing(tmp_path, audit)
    for _ in range(20):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(tmp_path / "executor.sock"))
    assert eventually(lambda: True if served.refused() == 20 else None)
    served.stop()


def test_a_refusal_that_cannot_be_audited_is_no_answer(peer: Peer) -> None:
    peer.audit.weather.fails["audit"] = DOWN["audit"]
    assert peer.say(b'{"verb":"consume"}\n') is None
    assert peer.say(b'{"verb":"health"}\n')["ok"]


def test_a_refusal_before_a_byte_that_cannot_be_audited_is_no_answer(tmp_path: Path) -> None:
    audit = FakeAudit(Weather())
    audit.weather.fails["audit"] = DOWN["audit"]
    served = refusing(tmp_path, audit)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(str(tmp_path / "executor.sock"))
        assert connection.recv(4096) == b""
    served.stop()


def test_anybody_may_connect_and_the_kernel_says_who(peer: Peer) -> None:
    mode = Path(peer.path).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o666


def test_a_stale_socket_is_replaced_and_a_stopped_one_is_gone(tmp_path: Path) -> None:
    first = Peer(tmp_path)
    second = Peer(tmp_path).start()
    assert second.say(b'{"verb":"health"}\n')["ok"]
    second.stop()
    assert not Path(second.path).exists()
    with pytest.raises(FileNotFoundError):
        second.connect()
    first.socket.stop()


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    """R-C05: a wrong path in the configuration costs nobody his file."""
    (tmp_path / "executor.sock").write_text("somebody's")
    with pytest.raises(ConfigError, match="something else than a socket"):
        Peer(tmp_path)
    assert (tmp_path / "executor.sock").read_text() == "somebody's"


def test_a_socket_that_was_stopped_serves_nobody(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    peer.socket.stop()
    peer.socket.stop()
    peer.socket.serve()
    assert not Path(peer.path).exists()


def test_a_stop_wakes_who_waits_for_connections(peer: Peer) -> None:
    assert peer.say(b'{"verb":"health"}\n')["ok"]
    started = time.monotonic()
    peer.stop()
    assert not peer.thread.is_alive()
    assert time.monotonic() - started < 0.9  # less than it waits by itself


class Broken:
    """A listener whose accept fails, as where no file descriptor is left."""

    def __init__(self, real: socket.socket, failures: int) -> None:
        self.real = real
        self.left = failures

    def accept(self) -> Any:
        """Fail, then be as before."""
        if self.left:
            self.left -= 1
            raise OSError(24, "Too many open files")
        return self.real.accept()

    def __getattr__(self, name: str) -> Any:
        """Be as the real one."""
        return getattr(self.real, name)


def test_running_out_of_descriptors_is_not_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipa_tpi.executor.socket._LOOK_SECONDS", 0)
    peer = Peer(tmp_path)
    peer.socket._listener = Broken(peer.socket._listener, 2)  # type: ignore[assignment]
    peer.start()
    assert peer.say(b'{"verb":"health"}\n')["ok"]
    assert caplog.text.count("could not be taken: [Errno 24]") == 2
    peer.stop()


def test_it_sums_up_while_nobody_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipa_tpi.executor.socket._LOOK_SECONDS", 0.01)
    peer = Peer(tmp_path).start()
    for _ in range(3):
        peer.say(b'{"verb":"run"}\n')
    peer.ahead += 3601
    assert eventually(lambda: peer.audit.records[1:] or None)[0]["repeated"] == 2
    peer.stop()


def test_a_socket_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot listen at"):
        LocalSocket(str(tmp_path / "missing" / "socket"), {}, FakeAudit(Weather()), LIMITS)


def test_users_are_looked_up() -> None:
    assert uid_of("root") == 0
    with pytest.raises(ConfigError, match="there is no user"):
        uid_of("no-such-user-here")


def test_what_remains_is_done_after_the_answer(peer: Peer) -> None:
    peer.slow.set()
    assert peer.say(b'{"verb":"release"}\n') == {"ok": True}
    assert eventually(lambda: peer.ends or None) == [True]


def test_what_remains_is_told_that_nobody_heard_the_answer(peer: Peer) -> None:
    with peer.connect() as connection:
        connection.sendall(b'{"verb":"release"}\n')
    peer.slow.set()
    assert eventually(lambda: peer.ends or None) == [False]
