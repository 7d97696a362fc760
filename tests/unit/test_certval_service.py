"""The service and the program that asks it: who may ask, what is believed, and that both end (D09)."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from certval_examples import some
from certval_requests import dns, pem, request, simple
from certval_scene import ALICE, Scene, of_user
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.decide.csr import Csr
from ipa_tpi.errors import DirectoryUnavailableError, RefusedError, TpiError
from ipa_tpi_validator import environment as env
from ipa_tpi_validator import question as wire
from ipa_tpi_validator import service
from ipa_tpi_validator.consuming import NoConsumer, SocketConsumer, consumer_of
from ipa_tpi_validator.decision import Consumer, Reader, answer
from ipa_tpi_validator.environment import Question
from ipa_tpi_validator.principals import Principal
from ipa_tpi_validator.question import Asked, QuestionError, parse, receive
from ipa_tpi_validator.refusal import MAX_LINE_BYTES, Refusal, access
from ipa_tpi_validator.service import Service, main
from ipa_tpi_validator.settings import Settings
from ipa_tpi_validator.snapshot import Snapshot
from ipa_tpi_validator.tickets import held

PROGRAM = Path(__file__).parents[2] / "validator" / "ipa-pki-validate-cert-request"
SETTINGS = Settings(
    realm="TPI.TEST",
    domain="tpi.test",
    suffix="dc=tpi,dc=test",
    host="ca1.tpi.test",
    ldap_uri="ldapi://%2Fx",
    ldap_host="ca1.tpi.test",
    controlled_profiles=["underControl"],
)


@dataclass
class Directory:
    """A directory that knows one scene."""

    scene: Scene
    error: BaseException | None = None
    opened: list[tuple[bytes, str]] = field(default_factory=list)

    @contextmanager
    def open(self, ccache: bytes, principal: str) -> Iterator[Reader]:
        self.opened.append((ccache, principal))
        if self.error is not None:
            raise self.error
        yield self

    def snapshot(self, question: Question, csr: Csr, subject: Principal) -> Snapshot:
        assert str(subject) == ALICE.canonical
        assert csr.common_name
        return replace(self.scene, profile=question.profile).case().snapshot


@dataclass
class Consuming:
    """An executor that says what it is told."""

    said: Refusal | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def consume(self, digest: str, profile: str, ca: str, user: str) -> Refusal | None:
        self.asked.append((digest, profile, ca, user))
        return self.said


def variables(
    text: str = pem(simple("alice")), profile: str = "caIPAserviceCert", **more: str
) -> dict[str, bytes]:
    told = {
        env.REQUEST: text,
        env.USER: "alice@TPI.TEST",
        env.PROFILE: profile,
        env.TYPE: "pkcs10",
        env.MANAGER: "external",
        **more,
    }
    return {name: value.encode() for name, value in told.items()}


def asked(text: str = pem(simple("alice")), profile: str = "caIPAserviceCert", **more: str) -> Asked:
    return Asked(variables(text, profile, **more), b"\5\4tickets")


def decided(directory: Directory, question: Asked, consumer: Consumer | None = None) -> tuple[int, str]:
    refusal = answer(question, SETTINGS, directory.open, consumer or NoConsumer())
    return (0, "") if refusal is None else (refusal.code, refusal.reason)


def test_a_decision_is_made_with_the_callers_tickets_and_name() -> None:
    directory = Directory(of_user())
    assert decided(directory, asked()) == (0, "")
    assert directory.opened == [(b"\5\4tickets", "alice@TPI.TEST")]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (asked(**{env.TYPE: "crmf"}), (3009, "type")),
        (asked("not_base64"), (3009, "not-base64")),
        (asked(pem(simple("alice", dns("*.tpi.test")))), (4001, "wildcard")),
        (asked(pem(request([]))), (3009, "no-cn")),
    ],
)
def test_nothing_is_opened_for_what_is_malformed(question: Asked, expected: tuple[int, str]) -> None:
    directory = Directory(of_user())
    assert decided(directory, question) == expected
    assert directory.opened == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DirectoryUnavailableError("cn=secret is down"), (4000, "directory-unavailable")),
        (RefusedError("not his", code="caller-mismatch"), (2100, "caller-mismatch")),
        (TpiError("something"), (4000, "error")),
    ],
)
def test_what_cannot_be_found_out_is_refused_and_tells_nothing(
    error: TpiError, expected: tuple[int, str]
) -> None:
    refusal = answer(asked(), SETTINGS, Directory(of_user(), error).open, NoConsumer())
    assert refusal is not None
    assert (refusal.code, refusal.reason) == expected
    assert error.message.encode() not in refusal.line()


@pytest.mark.parametrize("profile", ["underControl", "UNDERcontrol"])
def test_a_profile_under_control_asks_the_executor_last(profile: str) -> None:
    everything = Directory(of_user())
    consumer = Consuming()
    question = asked(profile=profile)
    assert decided(everything, question, consumer) == (0, "")
    (used,) = consumer.asked
    assert used[1:] == (profile, "ipa", "alice@TPI.TEST")
    assert len(used[0]) == 64
    assert decided(everything, question, Consuming(access("no", "used-up"))) == (2100, "used-up")
    # Nothing is used up for what is refused anyway.
    refused = Consuming()
    assert decided(Directory(replace(of_user(), acls=())), question, refused) == (2100, "ca-acl")
    assert refused.asked == []
    # Nobody to ask: nothing is issued.
    assert decided(everything, question) == (2100, "no-executor")
    free = Consuming()
    assert decided(everything, asked(), free) == (0, "")
    assert free.asked == []


def encoded(question: Asked) -> bytes:
    told = b"".join(name.encode() + b"=" + value + b"\0" for name, value in question.variables.items())
    return wire.GREETING + told + b"\0" + question.ccache


def test_a_question_is_read_as_it_was_written() -> None:
    assert parse(encoded(asked())) == asked()
    assert parse(encoded(Asked({"A": b"", "B": b"x=y\n"}, b"\0\0c"))).variables == {"A": b"", "B": b"x=y\n"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        encoded(asked())[1:],
        wire.GREETING,
        wire.GREETING + b"\0\0",
        wire.GREETING + b"A=b\0\0",
        wire.GREETING + b"A\0\0ccache",
        wire.GREETING + b"A=b\0A=c\0\0ccache",
        wire.GREETING + b"A=b\0\0" + b"x" * (wire.MAX_CCACHE_BYTES + 1),
    ],
)
def test_another_question_is_none(text: bytes) -> None:
    with pytest.raises(QuestionError):
        parse(text)


@some
@given(st.binary() | st.binary().map(lambda more: wire.GREETING + more))
def test_any_bytes_are_a_question_or_none(text: bytes) -> None:
    try:
        found = parse(text)
    except QuestionError:
        return
    assert found.ccache


def test_a_question_that_does_not_end_or_is_too_long_is_none() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(encoded(asked()))
        with pytest.raises(QuestionError, match="does not end"):
            receive(ours, 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=_pour, args=(theirs,), daemon=True)
        sender.start()
        with pytest.raises(QuestionError, match="too long"):
            receive(ours, 10)
    sender.join(5)


def _pour(into: socket.socket) -> None:
    try:
        into.sendall(bytes(2 * wire.MAX_QUESTION_BYTES))
    except OSError:
        return


def test_tickets_are_in_memory_only_and_gone_afterwards() -> None:
    with held(b"tickets") as name:
        path = name.removeprefix("FILE:")
        assert Path(path).read_bytes() == b"tickets"
        assert str(Path(path).readlink()).startswith("/memfd:")
        with Path(path).open("ab") as file:
            file.write(b" and more")
        assert Path(path).read_bytes() == b"tickets and more"
    assert not os.path.lexists(path) or not str(Path(path).readlink()).startswith("/memfd:ccache")


@contextmanager
def listening(place: Path) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(place))
    listener.listen()
    yield listener
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        listener.close()


@contextmanager
def serving(place: Path, directory: Directory, uid: int | None = None, places: int = 2) -> Iterator[None]:
    with listening(place) as listener:
        service = Service(
            os.getuid() if uid is None else uid,
            SETTINGS,
            directory.open,
            NoConsumer(),
            threading.BoundedSemaphore(places),
        )
        threading.Thread(target=service.serve, args=(listener,), daemon=True).start()
        yield


def ask(place: Path, text: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect(str(place))
        try:
            peer.sendall(text)
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            return b""
        said = b""
        try:
            while piece := peer.recv(4096):
                said += piece
        except ConnectionResetError:
            return b""
        return said


def test_one_question_is_answered_with_one_line(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with serving(place, Directory(of_user())):
        assert ask(place, encoded(asked())) == wire.ACCEPTED
        said = ask(place, encoded(asked(pem(simple("bob")), **{env.SUBJECT: "alice@TPI.TEST"})))
        assert said.startswith(b'{"code":3009,"name":"ValidationError"')
        assert said.count(b"\n") == 1
        assert b'"code":4000' in ask(place, b"nonsense")


def test_another_user_is_not_answered(tmp_path: Path) -> None:
    directory = Directory(of_user())
    with serving(tmp_path / "s", directory, uid=os.getuid() + 1):
        assert ask(tmp_path / "s", encoded(asked())) == b""
    assert directory.opened == []


def test_an_error_that_should_not_be_is_a_refusal(tmp_path: Path) -> None:
    directory = Directory(of_user(), ZeroDivisionError("secret"))
    with serving(tmp_path / "s", directory, places=1):
        for _ in range(3):
            said = ask(tmp_path / "s", encoded(asked()))
            assert b'"code":4000' in said
            assert b"secret" not in said


def test_too_many_at_once_are_refused_and_the_others_are_served(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with (
        serving(place, Directory(of_user()), places=1),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow,
    ):
        slow.connect(str(place))
        slow.sendall(b"x")
        deadline = time.monotonic() + 5
        while b"at once" not in (said := ask(place, b"")) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert b"too many certificates" in said
        slow.close()
        # Who is refused may still be writing, and then sees the connection end instead.
        while (said := ask(place, encoded(asked()))) != wire.ACCEPTED and time.monotonic() < deadline:
            time.sleep(0.01)
        assert said == wire.ACCEPTED


def test_it_does_not_start_without_systemds_socket_or_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "certval.toml"
    assert main(["--config", str(path)]) == 1
    lines = [
        'realm = "TPI.TEST"',
        'domain = "tpi.test"',
        'suffix = "dc=tpi,dc=test"',
        'host = "ca1.tpi.test"',
    ]
    lines += ['ldap_uri = "ldaps://ca1.tpi.test"', 'ldap_host = "ca1.tpi.test"', 'asker = "root"']
    path.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert main(["--config", str(path)]) == 1
    path.write_text("\n".join([*lines, 'ldap = "x"']), encoding="utf-8")
    assert main(["--config", str(path)]) == 1


def test_it_serves_at_systemds_socket_with_the_callers_tickets_until_it_is_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "certval.toml"
    lines = [
        'realm = "TPI.TEST"',
        'domain = "tpi.test"',
        'suffix = "dc=tpi,dc=test"',
        'host = "ca1.tpi.test"',
    ]
    lines += ['ldap_uri = "ldaps://ca1.tpi.test"', 'ldap_host = "ca1.tpi.test"', 'asker = "root"']
    path.write_text("\n".join(lines), encoding="utf-8")
    opened_as: list[str] = []

    def credentials(ccache: str, principal: str) -> str:
        opened_as.append(principal)
        assert Path(ccache.removeprefix("FILE:")).read_bytes() == b"\5\4tickets"
        return "his"

    @contextmanager
    def opened(_: Settings, credentials: str) -> Iterator[Reader]:
        assert credentials == "his"
        yield Directory(of_user())

    handlers: list[Callable[[], None]] = []
    monkeypatch.setattr(service, "caller_credentials", credentials)
    monkeypatch.setattr(service, "opened", opened)
    monkeypatch.setattr(service.signal, "signal", lambda _, handler: handlers.append(handler))
    monkeypatch.setattr(service.pwd, "getpwnam", lambda _: type("Entry", (), {"pw_uid": os.getuid()}))
    with listening(tmp_path / "s") as listener:
        monkeypatch.setattr(service, "_FIRST_DESCRIPTOR", os.dup(listener.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        ended: list[int] = []
        serving_thread = threading.Thread(
            target=lambda: ended.append(main(["--config", str(path)])), daemon=True
        )
        serving_thread.start()
        assert ask(tmp_path / "s", encoded(asked())) == wire.ACCEPTED
        assert opened_as == ["alice@TPI.TEST"]
        listener.shutdown(socket.SHUT_RDWR)
        serving_thread.join(5)
        handlers[0]()
    assert ended == [0]


@dataclass
class Program:
    """A copy of the program that asks, for another socket."""

    folder: Path
    seconds: float = 8.0

    @property
    def place(self) -> Path:
        return self.folder / "s"

    def run(
        self, more: dict[str, bytes] | None = None, *, listener: int | None = None
    ) -> tuple[int, bytes, bytes]:
        text = PROGRAM.read_text(encoding="utf-8")
        uid = os.getuid() if listener is None else listener
        for old, new in (
            ('"/run/ipa-tpi-certval/certval.sock"', repr(str(self.place))),
            ("LISTENER = 0", f"LISTENER = {uid}"),
            ("SECONDS = 8.0", f"SECONDS = {self.seconds}"),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        copy = self.folder / "program"
        copy.write_text(text, encoding="utf-8")
        copy.chmod(0o755)
        cache = self.folder / "cache"
        if not cache.exists():
            cache.write_bytes(b"\5\4tickets")
        environment = {**variables(), env.CCACHE: f"FILE:{cache}".encode(), **(more or {})}
        # As Dogtag starts it: a pipe that is never written to and never closed.
        process = subprocess.Popen(
            [copy], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdin is not None
        status = process.wait(20)
        out, err = process.stdout.read(), process.stderr.read()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        return status, out, err


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def is_refusal(told: tuple[int, bytes, bytes], code: int) -> bool:
    status, out, err = told
    return (
        status == 1
        and err == b""
        and out.startswith(b'{"code":%d,' % code)
        and out.endswith(b"}\n")
        and out.count(b"\n") == 1
    )


def test_yes_is_silence_and_no_is_one_line(program: Program) -> None:
    directory = Directory(of_user())
    with serving(program.place, directory):
        assert program.run() == (0, b"", b"")
        assert is_refusal(program.run({env.TYPE: b"crmf"}), 3009)
    assert directory.opened == [(b"\5\4tickets", "alice@TPI.TEST")]


def poisons(folder: Path) -> dict[str, bytes]:
    for name in ("time", "sys", "_socket", "os", "sitecustomize", "usercustomize", "encodings"):
        (folder / f"{name}.py").write_text("import posix; posix._exit(0)", encoding="utf-8")
    (folder / "python3").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    (folder / "python3").chmod(0o755)
    here = str(folder).encode()
    return {
        "PATH": here,
        "PYTHONPATH": here,
        "PYTHONHOME": here,
        "PYTHONSTARTUP": here + b"/time.py",
        "PYTHONUSERBASE": here,
        "PYTHONINSPECT": b"1",
        "PYTHONWARNINGS": b"error",
        "PYTHONVERBOSE": b"1",
        "PYTHONDEVMODE": b"1",
        "LC_ALL": b"../../../../etc",
        "LANG": b"\xff\xfe",
        "KRB5_CONFIG": b"/nonexistent",
        "KRB5_TRACE": b"/dev/stdout",
        "HOME": here,
        "TMPDIR": here,
        "DOGTAG_X": b"\xff" * 4096,
    }


def test_a_poisoned_environment_changes_nothing(program: Program, tmp_path: Path) -> None:
    poison = poisons(tmp_path)
    with serving(program.place, Directory(of_user())):
        assert program.run(poison) == (0, b"", b"")
        assert is_refusal(program.run({**poison, env.TYPE: b"cmc"}), 3009)


def close(peer: socket.socket) -> None:
    peer.close()


def hang(peer: socket.socket) -> None:
    time.sleep(1.5)
    peer.close()


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def say(peer: socket.socket) -> None:
        try:
            while peer.recv(65536):
                pass
            peer.sendall(text)
        except OSError:
            return
        finally:
            peer.close()

    return say


@pytest.mark.parametrize(
    "behave",
    [
        close,
        hang,
        saying(b""),
        saying(b"accepted"),
        saying(b"accepted\n\n"),
        saying(b"Accepted\n"),
        saying(b'{"code":1}\n{"code":2}\n'),
        saying(b'{"code":1}'),
        saying(b'{"code":"\xc3\xa9"}\n'),
        saying(b'{"code":"\x1b[2J"}\n'),
        saying(b"[1]\n"),
        saying(b"{" + b"x" * 200_000 + b"}\n"),
    ],
    ids=[
        "closes",
        "hangs",
        "nothing",
        "cut",
        "more",
        "case",
        "two",
        "no-end",
        "utf-8",
        "escape",
        "list",
        "flood",
    ],
)
def test_whatever_the_service_does_the_program_refuses_and_ends(
    program: Program, behave: Callable[[socket.socket], None]
) -> None:
    program.seconds = 0.5
    with listening(program.place) as listener:
        threading.Thread(target=lambda: behave(listener.accept()[0]), daemon=True).start()
        told = program.run()
    assert is_refusal(told, 4000), told
    assert len(told[1]) <= MAX_LINE_BYTES


def test_without_a_service_or_with_anothers_it_refuses(program: Program) -> None:
    assert is_refusal(program.run(), 4000)
    with serving(program.place, Directory(of_user())):
        assert is_refusal(program.run(listener=os.getuid() + 1), 4000)


@pytest.mark.parametrize("cache", [b"", b"MEMORY:x", b"FILE:relative", b"KEYRING:x", b"/tmp/x"])
def test_without_tickets_it_refuses(program: Program, cache: bytes) -> None:
    assert is_refusal(program.run({env.CCACHE: cache}), 2100)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "large", "gone"])
def test_tickets_are_a_plain_file(program: Program, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "other"
    if kind == "link":
        (tmp_path / "real").write_bytes(b"\5\4")
        path.symlink_to(tmp_path / "real")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        path.write_bytes(bytes(wire.MAX_CCACHE_BYTES + 1))
    told = program.run({env.CCACHE: f"FILE:{path}".encode()})
    assert is_refusal(told, 2100), told


def test_the_program_says_what_the_service_reads_and_imports_nothing_from_files() -> None:
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    assert PROGRAM.read_text(encoding="utf-8").startswith("#!/usr/bin/python3 -IS\n")
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    # _socket is a file of the interpreter's own in some distributions, and is found in its own folder only (-I -S).
    assert imported - {"_socket"} <= set(sys.builtin_module_names)
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and not isinstance(node.value, ast.BinOp)
    }
    assert {name.decode() for name in values["NAMES"]} == env.VARIABLES
    assert values["GREETING"] == wire.GREETING
    assert values["ACCEPTED"] == wire.ACCEPTED
    assert values["MAX_ANSWER_BYTES"] == MAX_LINE_BYTES
    assert PROGRAM.stat().st_mode & 0o777 == 0o755


def executor_says(place: Path, said: bytes, heard: list[bytes]) -> threading.Thread:
    """Let something answer at the executor's socket, once."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(place))
    listener.listen()

    def answer_once() -> None:
        with listener, listener.accept()[0] as peer:
            heard.append(peer.recv(65536))
            try:
                peer.sendall(said)
            except OSError:
                return

    thread = threading.Thread(target=answer_once, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b'{"ok":true}\n', None),
        (
            b'{"ok":false,"code":"approvals-missing","message":"nobody agreed yet; ask somebody"}\n',
            (2100, "approvals-missing"),
        ),
        (b'{"ok":false}\n', (2100, "executor")),
        (b'{"ok":true,"code":"odd"}\n', (2100, "odd")),
        (b'{"ok":1}\n', (4000, "executor-unreachable")),
        (b'{"ok":true}', (4000, "executor-unreachable")),
        (b"", (4000, "executor-unreachable")),
        (b"yes\n", (4000, "executor-unreachable")),
        (b"x" * 200_000, (4000, "executor-unreachable")),
    ],
)
def test_only_the_executors_plain_yes_is_a_yes(
    tmp_path: Path, said: bytes, expected: tuple[int, str] | None
) -> None:
    heard: list[bytes] = []
    thread = executor_says(tmp_path / "s", said, heard)
    found = consumer_of(str(tmp_path / "s")).consume("ab" * 32, "p", "ipa", "alice@TPI.TEST")
    thread.join(5)
    assert (None if found is None else (found.code, found.reason)) == expected
    message = {"csr": "ab" * 32, "profile": "p", "ca": "ipa", "user": "alice@TPI.TEST"}
    assert json.loads(heard[0]) == {"verb": "consume", "consume": message}
    assert heard[0].endswith(b"\n")


def test_an_executor_that_is_not_there_or_says_nothing_refuses(tmp_path: Path) -> None:
    found = SocketConsumer(str(tmp_path / "s")).consume("ab" * 32, "p", "ipa", "alice@TPI.TEST")
    assert found is not None
    assert found.reason == "executor-unreachable"
    with listening(tmp_path / "s"):
        started = time.monotonic()
        found = SocketConsumer(str(tmp_path / "s"), 0.2).consume("ab" * 32, "p", "ipa", "alice@TPI.TEST")
        assert found is not None
        assert found.reason == "executor-unreachable"
        assert time.monotonic() - started < 3
    assert isinstance(consumer_of(""), NoConsumer)
