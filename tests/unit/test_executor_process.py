"""The executor as a whole, with all that is outside it faked: how it starts, what it answers, how it ends (K13, E17, E21)."""

import json
import os
import pwd
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from decide_builders import FLOOR, HOST, REALM, REQUEST_ID, SUFFIX
from executor_fakes import DOWN, Box, FakeVerifier

from ipa_tpi.config import ExecutorConfig
from ipa_tpi.errors import AuditError, ConfigError, TpiError
from ipa_tpi.executor.process import DIED, SIGNALS, WORKERS, Executor, Outside

ME = pwd.getpwuid(os.geteuid()).pw_name
PATIENCE_SECONDS = 10


class Host:
    """A host whose executor runs in a thread of the test."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.box = Box(folder)
        self.told: list[str] = []
        self.ready = threading.Event()
        self.signals = SimpleQueue[int]()
        self.path = str(folder / "executor.sock")
        values = {
            "realm": REALM,
            "suffix": SUFFIX,
            "host": HOST,
            "ldap_uri": "ldapi://%2Fnowhere",
            "ldap_host": HOST,
            "keytab": "/nowhere",
            "journal": self.box.path,
            "socket": self.path,
            "floor": "/nowhere",
            "nudge_user": ME,
            "health_user": ME,
            "poll_seconds": 600,
            "stop_seconds": 5,
            **settings,
        }
        self.executor = Executor(ExecutorConfig(**values), FLOOR, self.box.claims, self.outside())  # type: ignore[arg-type]
        self.result: bool | Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def outside(self) -> Outside:
        """Give all that the executor reaches."""
        box = self.box
        return Outside(
            connect=lambda: box.directory,
            services=box.systemd,
            authority=box.authority,
            validators=box.validators,
            verifier=FakeVerifier(box.weather),
            audit=box.audit,
            clock=box.clock,
            notify=self.notify,
            signals=self.signals,
        )

    def notify(self, state: str) -> None:
        """Take what systemd is told."""
        self.told.append(state)
        self.ready.set()

    def start(self) -> None:
        """Start, and wait until systemd is told."""
        self.thread.start()
        assert self.ready.wait(PATIENCE_SECONDS)

    def end(self, number: int = signal.SIGTERM) -> bool | Exception | None:
        """Tell it to end; give what `run` gave."""
        self.signals.put(number)
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()
        return self.result

    def say(self, **message: object) -> dict[str, object]:
        """Say something at its socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(PATIENCE_SECONDS)
            peer.connect(self.path)
            peer.sendall(json.dumps(message).encode() + b"\n")
            answer: dict[str, object] = json.loads(peer.makefile("rb").readline())
            return answer

    def _run(self) -> None:
        try:
            self.result = self.executor.run()
        except TpiError as error:
            self.result = error


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host."""
    made = Host(tmp_path)
    yield made
    if made.thread.is_alive():
        made.end()


class Gate:
    """Something that is called, and goes on when it is told to."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def pass_through(self) -> None:
        """Arrive, and wait to be let through."""
        self.reached.set()
        self.open.wait(PATIENCE_SECONDS)


def hold(host: Host, call: str) -> Gate:
    """Have the executor stand still after its next call of this name."""
    gate = Gate()
    host.box.weather.then[call] = gate.pass_through
    return gate


def approved(host: Host) -> None:
    """Alice has asked, bob has approved; nobody has looked since."""
    host.box.ask()
    host.box.process()
    host.box.clock.go(10)
    host.box.approve()


def test_a_request_goes_its_way(host: Host) -> None:
    approved(host)
    done = hold(host, "journal.publish")
    host.box.weather.then["audit.outcome"] = done.pass_through
    host.start()
    assert done.reached.wait(PATIENCE_SECONDS)
    done.open.set()
    assert host.end() is True
    assert host.box.outcomes() == ["executed"]
    assert host.told[0] == "READY=1"
    events = host.box.audit.events()
    assert events.index("executor-started") < events.index("outcome") < events.index("executor-stopped")
    assert "unfinished" not in {key for key, value in host.box.audit.records[-1].items() if value}
    assert not Path(host.path).exists()
    assert host.box.directory.closed >= 1


def test_a_nudge_wakes_it(host: Host) -> None:
    looked = hold(host, "directory.load")
    host.start()
    assert host.say(verb="nudge", id=REQUEST_ID) == {"ok": True}
    assert looked.reached.wait(PATIENCE_SECONDS)
    looked.open.set()
    assert host.say(verb="nudge") == {"ok": True}
    assert host.end() is True


def test_the_validator_uses_a_request_up(tmp_path: Path) -> None:
    made = Host(tmp_path, consume_user=ME)
    try:
        made.start()
        digest = "0" * 64
        wanted = {"csr": digest, "profile": "p", "ca": "ipa", "user": "alice@TPI.TEST"}
        answer = made.say(verb="consume", consume=wanted)
        assert (answer["ok"], answer["code"]) == (False, "nothing-approved")
        assert made.say(verb="consume")["code"] == "bad-json"
    finally:
        made.end()


def test_nobody_uses_anything_up_where_no_validator_is(host: Host) -> None:
    host.start()
    assert host.say(verb="consume")["code"] == "refused"


def test_it_tells_how_it_is(host: Host) -> None:
    stood = hold(host, "directory.headings")
    host.start()
    assert stood.reached.wait(PATIENCE_SECONDS)
    answer = host.say(verb="health")
    stood.open.set()
    health = answer["health"]
    assert isinstance(health, dict)
    assert {name: type(value) for name, value in health.items()} == {
        "version": str,
        "watching": bool,
        "waiting": int,
        "working": int,
        "connections": int,
        "refused": int,
        "journal_started": str,
    }
    assert (health["connections"], health["refused"], health["working"]) == (1, 0, 0)
    host.say(verb="dance")
    health = host.say(verb="health")["health"]
    assert isinstance(health, dict)
    assert health["refused"] == 1


def test_what_is_being_done_is_finished_before_it_ends(host: Host) -> None:
    approved(host)
    act = hold(host, "systemd.run_job")
    host.start()
    assert act.reached.wait(PATIENCE_SECONDS)
    host.signals.put(signal.SIGTERM)
    while len(host.told) < 2:
        host.thread.join(0.005)
    assert host.told[1] == "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000"
    assert host.thread.is_alive()
    act.open.set()
    assert host.end() is True
    assert host.box.outcomes() == ["executed"]


def test_what_does_not_end_in_time_is_told_and_left_to_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(tmp_path, stop_seconds=0)
    approved(host)
    act = hold(host, "systemd.run_job")
    host.start()
    assert act.reached.wait(PATIENCE_SECONDS)
    assert host.end() is False
    claim = host.box.claims.claim(REQUEST_ID)
    assert claim is not None
    assert claim.state == "claimed"
    assert host.box.audit.records[-1] == {
        "event": "executor-stopped",
        "host": HOST,
        "unfinished": REQUEST_ID,
    }
    assert "it will show as indeterminate" in caplog.text
    act.open.set()


def test_only_the_first_thread_takes_signals(host: Host) -> None:
    """Python runs handlers there; a signal that another thread took would not wake it."""
    host.start()
    blocked = {
        thread.name: int(re.search(r"SigBlk:\s*(\w+)", status_of(thread))[1], 16)  # type: ignore[index]
        for thread in (*host.executor._workers, *host.executor._others)
    }
    assert len(blocked) == WORKERS + 4
    wanted = sum(1 << (number - 1) for number in SIGNALS)
    assert {name for name, mask in blocked.items() if mask & wanted == wanted} == set(blocked)
    assert host.end() is True


def status_of(thread: threading.Thread) -> str:
    """Give what the kernel says of a thread."""
    return Path(f"/proc/self/task/{thread.native_id}/status").read_text()


def test_sighup_is_refused_and_changes_nothing(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.start()
    host.signals.put(signal.SIGHUP)
    assert host.end() is True
    assert "systemctl restart ipa-tpi-executor" in caplog.text
    assert {"event": "reload-refused", "host": HOST, "code": "restart-needed"} in host.box.audit.records


def test_sighup_does_not_end_it_even_without_an_audit_trail(host: Host) -> None:
    host.start()
    host.box.weather.fails["audit.reload-refused"] = DOWN["audit"]
    host.signals.put(signal.SIGHUP)
    assert host.say(verb="health")["ok"]
    assert host.end(signal.SIGINT) is True


def test_without_an_audit_trail_it_does_not_start(host: Host) -> None:
    host.box.weather.fails["audit.executor-started"] = DOWN["audit"]
    host.thread.start()
    host.thread.join(PATIENCE_SECONDS)
    assert isinstance(host.result, AuditError)
    assert host.told == []


def test_an_end_that_cannot_be_audited_is_an_error(host: Host) -> None:
    host.start()
    host.box.weather.fails["audit.executor-stopped"] = DOWN["audit"]
    assert isinstance(host.end(), AuditError)


def _break() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("part", [lambda: None, _break], ids=["returns", "raises"])
def test_a_part_that_ends_by_itself_ends_the_whole(host: Host, part: Callable[[], None]) -> None:
    """Half an executor would look alive and do nothing; systemd starts a whole one."""
    host.executor._others += host.executor._named({"part": part})
    host.thread.start()
    host.thread.join(PATIENCE_SECONDS)
    assert isinstance(host.result, TpiError)
    assert "ended by itself" in host.result.message
    assert host.box.audit.events()[-1] == "executor-stopped"


def test_a_user_who_does_not_exist_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no user nobody-of-that-name"):
        Host(tmp_path, nudge_user="nobody-of-that-name")


def test_no_signal_has_the_number_of_a_death() -> None:
    assert DIED not in {int(number) for number in signal.Signals}
