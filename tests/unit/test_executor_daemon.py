"""The executor's command line, and the wiring of what is real (A13, X12)."""

import os
import pwd
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipa_tpi import __version__
from ipa_tpi.config import read_executor_config, read_floor
from ipa_tpi.errors import AuthorityUnavailableError, KerberosError, NoTicketError
from ipa_tpi.executor import daemon
from ipa_tpi.executor.process import SIGNALS, Executor

ME = pwd.getpwuid(os.geteuid()).pw_name
FLOOR = 'version = 1\n[operations."dirsrv.restart"]\ninstances = ["DS01"]\n'


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration of an executor that reaches nobody."""
    (tmp_path / "floor.toml").write_text(FLOOR)
    (tmp_path / "executor.toml").write_text(f"""
realm = "TPI.TEST"
suffix = "dc=tpi,dc=test"
host = "ipa1.tpi.test"
ldap_uri = "ldapi://%2Fnowhere"
ldap_host = "ipa1.tpi.test"
keytab = "{tmp_path}/none.keytab"
journal = "{tmp_path}/journal.sqlite"
socket = "{tmp_path}/executor.sock"
floor = "{tmp_path}/floor.toml"
audit = "file:{tmp_path}/audit"
nudge_user = "{ME}"
health_user = "{ME}"
stop_seconds = 5
""")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    return str(tmp_path / "executor.toml")


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_init_makes_the_journal_once(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert daemon.main(["--config", config, "init"]) == 0
    assert "requests made before now will be refused" in capsys.readouterr().out
    assert daemon.main(["--config", config, "init"]) == 1
    assert "ipa-tpi-executor: ERROR: there is a journal" in capsys.readouterr().err


def test_the_rule_of_the_floor_is_printed(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert daemon.main(["--config", config, "polkit-rules"]) == 0
    assert "dirsrv@DS01.service" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["run", "init", "polkit-rules"])
def test_a_floor_that_opens_what_may_never_be_opened_stops_everything(
    config: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    floor = '[operations."systemd.unit.stop"]\nunits = ["krb5-kdc.service"]\n'
    (Path(config).parent / "floor.toml").write_text("version = 1\n" + floor)
    assert daemon.main(["--config", config, verb]) == 1
    said = capsys.readouterr()
    assert "the floor's entry systemd.unit.stop cannot be used" in said.err
    assert said.out == ""
    assert not (Path(config).parent / "journal.sqlite").exists()


def test_what_would_be_removed_is_not_told_without_the_directory(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert daemon.main(["--config", config, "init"]) == 0
    capsys.readouterr()
    assert daemon.main(["--config", config, "retention"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("ipa-tpi-executor: ERROR: ")) == ("", 1)


def test_a_retention_that_is_shorter_than_what_can_still_happen_stops_the_start(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(config).open("a") as file:
        file.write("retention_days = 89\n")
    assert daemon.main(["--config", config]) == 1
    assert "Expected `int` >= 90 - at `$.retention_days`" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["journal", "configuration", "floor"])
def test_without_one_of_its_files_it_does_not_start(
    config: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(config).parent
    if what != "journal":
        daemon.main(["--config", config, "init"])
        (folder / {"configuration": "executor.toml", "floor": "floor.toml"}[what]).unlink()
    capsys.readouterr()
    assert daemon.main(["--config", config]) == 1
    assert capsys.readouterr().err.startswith("ipa-tpi-executor: ERROR: ")
    assert not (folder / "executor.sock").exists()


def test_it_runs_until_it_is_told_to_end(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systemd's socket is a real one here; the signals are real ones, to this process."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.settimeout(20)
    told.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    assert daemon.main(["--config", config, "init"]) == 0

    def steer() -> None:
        assert told.recv(100) == b"READY=1"
        os.kill(os.getpid(), signal.SIGHUP)
        while "reload-refused" not in (tmp_path / "audit").read_text():
            steered.wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        steered.set()

    steered = threading.Event()
    threading.Thread(target=steer, daemon=True).start()
    assert daemon.main(["--config", config, "run"]) == 0
    assert steered.is_set()
    assert told.recv(100).startswith(b"STOPPING=1\nEXTEND_TIMEOUT_USEC=")
    told.close()
    audit = (tmp_path / "audit").read_text()
    assert [event for event in ("executor-started", "executor-stopped") if event in audit] == [
        "executor-started",
        "executor-stopped",
    ]
    assert not (tmp_path / "executor.sock").exists()
    assert daemon.main(["--config", config, "init"]) == 1


def test_a_journal_that_is_still_used_is_not_closed(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.main(["--config", config, "init"])
    monkeypatch.setattr(Executor, "run", lambda _: False)
    closed: list[object] = []
    monkeypatch.setattr("ipa_tpi.executor.claims.Claims.close", closed.append)
    assert daemon.main(["--config", config]) == 0
    assert closed == []


def test_without_a_key_there_is_no_connection(config: str) -> None:
    settings = read_executor_config(config)
    with pytest.raises(KerberosError, match=r"no ticket for tpi/ipa1\.tpi\.test@TPI\.TEST"):
        daemon._connect(settings, read_floor(settings.floor), "tpi/ipa1.tpi.test@TPI.TEST")


@pytest.mark.parametrize("name", ["\0ipa-tpi-test", "@ipa-tpi-test"])
def test_systemd_is_told_at_an_abstract_address_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{name}-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.settimeout(5)
        told.bind("\0" + address[1:])
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + address[1:])
        daemon._notify("READY=1")
        assert told.recv(100) == b"READY=1"


def test_systemd_that_cannot_be_told_is_no_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nowhere"))
    daemon._notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=1")
    assert "could not be told STOPPING=1:" in caplog.text
    monkeypatch.delenv("NOTIFY_SOCKET")
    daemon._notify("READY=1")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        daemon.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_without_a_way_to_a_ca_its_operations_are_not_begun(config: str) -> None:
    with pytest.raises(AuthorityUnavailableError, match=r"executor\.toml has no \[dogtag\]"):
        daemon._authority(read_executor_config(config), None)


def test_a_ca_is_reached_with_the_requesters_ticket_alone(config: str) -> None:
    path = Path(config)
    path.write_text(path.read_text() + "[dogtag]\n")
    with pytest.raises(NoTicketError, match="ipa-tpi prove ID"):
        daemon._authority(read_executor_config(config), None).certificate("0x1")


@pytest.mark.parametrize(("more", "status"), [("", 1), ("[dogtag]\n", 0)])
def test_an_operation_that_would_wait_for_ever_stops_the_start(
    config: str, more: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(config).parent / "floor.toml").write_text(f'{FLOOR}[operations."dogtag.cert.hold"]\n')
    Path(config).write_text(Path(config).read_text() + more)
    assert daemon.main(["--config", config, "polkit-rules"]) == status
    assert ("add [dogtag] to executor.toml" in capsys.readouterr().err) is (status == 1)
