"""The program around the steps: it shows, does, tells, takes back, and keeps what it needs for that."""

import os
from pathlib import Path

import pytest
from upgrade_scene import DATA, DECLARATION, copied

from ipa_tpi.errors import ConfigError, RefusedError, UnavailableError
from ipa_tpi_upgrade import ca_host, command, records
from ipa_tpi_upgrade.authz import Instance, authz_step
from ipa_tpi_upgrade.file_step import FileStep

FILES = ("sssd/freeipa-4.12.conf", "connectors/pki-10.10.xml", "authz/ca-10.10.cfg", "contexts/kra-10.10.xml")


@pytest.fixture
def steps(tmp_path: Path) -> tuple[FileStep, ...]:
    return tuple(copied(DATA / name, tmp_path) for name in FILES)


def contents(steps: tuple[FileStep, ...]) -> list[bytes]:
    return [step.path.read_bytes() for step in steps]


def test_r_d15_there_and_back(
    steps: tuple[FileStep, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(steps)
    assert command.diff(steps) == 1
    assert "+user_attributes = +mail, +roles" in capsys.readouterr().out
    assert contents(steps) == before
    assert command.verify(steps) == 1
    assert command.apply(steps, tmp_path / "records") == 0
    assert "systemctl restart sssd" in capsys.readouterr().out
    assert (command.verify(steps), command.diff(steps)) == (0, 0)
    assert command.apply(steps, tmp_path / "records") == 0
    assert "restart" not in capsys.readouterr().out
    assert command.rollback(steps, tmp_path / "records") == 0
    assert contents(steps) == before
    assert command.rollback(steps, tmp_path / "records") == 0
    assert "nothing to take back" in capsys.readouterr().out


def test_r_d15_what_was_done_twice_is_taken_back_twice(steps: tuple[FileStep, ...], tmp_path: Path) -> None:
    """Somebody damaged the file in between."""
    before = contents(steps)
    command.apply(steps, tmp_path / "records")
    steps[0].path.write_text(steps[0].path.read_text().replace(", +roles", ""))
    assert command.apply(steps, tmp_path / "records") == 0
    assert len(list((tmp_path / "records").iterdir())) == len(FILES) + 1
    assert command.rollback(steps, tmp_path / "records") == 0
    assert contents(steps) == before


def test_r_d15_a_step_that_is_refused_leaves_no_record(tmp_path: Path) -> None:
    path = tmp_path / "CS.cfg"
    path.write_bytes((DATA / FILES[2]).read_bytes())
    running = authz_step("ca", Instance("TPI.TEST"), is_stopped=lambda: False, path=path)
    with pytest.raises(RefusedError, match="the CA is running"):
        command.apply((running,), tmp_path / "records")
    assert list((tmp_path / "records").iterdir()) == []


def test_r_d15_a_kill_before_the_deed_leaves_a_record_that_does_no_harm(
    steps: tuple[FileStep, ...], tmp_path: Path
) -> None:
    before = contents(steps)
    records.keep(steps[0].plan(), tmp_path / "records")
    assert command.rollback(steps, tmp_path / "records") == 0
    assert contents(steps) == before


def test_records_are_roots_and_numbered(steps: tuple[FileStep, ...], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    plans = [step.plan() for step in steps[:2]]
    paths = [records.keep(plan, folder) for plan in plans]
    assert [path.name for path in paths] == ["0001-sssd.infopipe.json", "0002-dogtag.ajp.json"]
    assert [plan for _, plan in records.kept(folder)] == plans[::-1]
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, paths[0])] == ["0o700", "0o600"]
    assert "Secret-" not in paths[1].read_text()


@pytest.mark.parametrize("content", ["", "{}", '{"step": 1}', "[]"])
def test_a_record_that_is_none_stops_it(content: str, tmp_path: Path) -> None:
    (tmp_path / "0001-sssd.infopipe.json").write_text(content)
    with pytest.raises(ConfigError, match="is no record of a step"):
        command.rollback((), tmp_path)


def test_a_record_of_a_file_that_no_step_changes_stops_it(
    steps: tuple[FileStep, ...], tmp_path: Path
) -> None:
    command.apply(steps, tmp_path / "records")
    with pytest.raises(ConfigError, match="which no step of this host changes"):
        command.rollback(steps[1:], tmp_path / "records")


def test_without_a_place_for_records_nothing_is_changed(steps: tuple[FileStep, ...], tmp_path: Path) -> None:
    before = contents(steps)
    (tmp_path / "records").touch()
    with pytest.raises(UnavailableError, match="Nothing was changed"):
        command.apply(steps, tmp_path / "records")
    assert contents(steps) == before


@pytest.mark.skipif(Path("/etc/pki/pki-tomcat").exists(), reason="this host has a Dogtag of its own")
@pytest.mark.parametrize("deed", ["diff", "apply", "verify"])
def test_where_there_is_no_dogtag_there_is_nothing_to_do(deed: str, tmp_path: Path) -> None:
    """A server without a CA: every step is none."""
    words = [
        "--realm",
        "TPI.TEST",
        "--declaration",
        str(DECLARATION),
        "--records",
        str(tmp_path / "no"),
        deed,
    ]
    assert command.main(words) == 0
    assert not (tmp_path / "no").exists()


def test_an_error_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "0001-x.json").write_text("no")
    words = ["--realm", "TPI.TEST", "--declaration", str(DECLARATION), "--records", str(tmp_path), "rollback"]
    assert command.main(words) == 1
    assert capsys.readouterr().err.startswith(f"ipa_tpi_upgrade: ERROR: {tmp_path}/0001-x.json is no record")


@pytest.mark.parametrize(
    ("script", "stopped"),
    [
        ("echo inactive", True),
        ("echo failed", True),
        ("echo active", False),
        ("echo activating", False),
        ("echo deactivating", False),
        ("echo inactive; exit 1", False),
        ("true", False),
    ],
)
def test_r_d06_only_a_clear_answer_means_stopped(
    script: str, stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert ca_host.tomcat_is_stopped() is stopped


def test_r_d06_no_systemd_does_not_mean_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not ca_host.tomcat_is_stopped()


def test_r_d16_what_apache_has_to_see_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """As MIT's KDC wrote it into a ticket that tpi/ca1 got for somebody."""
    assert command.main(["--realm", "TPI.TEST", "--host", "ca1.tpi.test", "apache"]) == 0
    seen = (
        "ARAIAMzMzMyQAAAAAAAAAAAAAgAiACQABAACAAEAAAAIAAIAEgAAAAAAAAARAAAASABUAFQAUAAv"
        "AGMAYQAxAC4AdABwAGkALgB0AGUAcwB0AAAAAQAAADIANAAMAAIAGgAAAAAAAAAZAAAAdABwAGkA"
        "LwBjAGEAMQAuAHQAcABpAC4AdABlAHMAdABAAFQAUABJAC4AVABFAFMAVAAAAA=="
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Define TPI_CA_HOST ca1.tpi.test"
    assert lines[1] == f"Define TPI_CA_DELEGATION {seen}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("realm = TPI.TEST\n", "cannot be read"),
        ("[global]\nhost = ca1.tpi.test\n", "lacks realm; give --realm"),
        ("[global]\nrealm = TPI.TEST\n", "lacks host; give --host"),
    ],
)
def test_what_the_host_does_not_say_has_to_be_given(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "default.conf").write_text(text)
    assert command.main(["apache"], settings=tmp_path / "default.conf") == 1
    assert said in capsys.readouterr().err


def test_a_record_that_cannot_be_read_stops_it(tmp_path: Path) -> None:
    (tmp_path / "0001-sssd.infopipe.json").mkdir()
    with pytest.raises(UnavailableError, match="Run this as root"):
        command.rollback((), tmp_path)
