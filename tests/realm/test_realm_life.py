"""Realms start beside each other, as anybody, and end without a trace."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from readable import REPOSITORY, readable

from lab import processes
from lab.ports import ReservedPorts
from lab.processes import Daemon

NOBODY = pwd.getpwnam("nobody")


def lab(*arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the laboratory's command line, as another user where one is given."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "lab.realm", *arguments],
        cwd=REPOSITORY if user is None else readable(),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        user=user,
        group=NOBODY.pw_gid if user is not None else None,
        extra_groups=[] if user is not None else None,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="tpi-life-"))
    parent.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(parent, NOBODY.pw_uid, NOBODY.pw_gid)
    yield parent / "realm"
    lab("down", "--dir", str(parent / "realm"))
    shutil.rmtree(parent, ignore_errors=True)


def members(root: Path) -> list[int]:
    """Return the processes that mention a folder in their command line or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(root) in told and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def described(folder: Path, user: int | None = None) -> dict[str, object]:
    facts: dict[str, object] = json.loads(lab("env", "--json", "--dir", str(folder), user=user).stdout)
    return facts


def test_up_status_env_down(folder: Path) -> None:
    started = lab("up", "--dir", str(folder))
    assert started.returncode == 0, started.stderr
    assert "ready after" in started.stdout
    status = lab("status", "--dir", str(folder))
    assert status.returncode == 0
    assert status.stdout == "dirsrv: running\napache: running\nkrb5kdc: running\n"
    facts = described(folder)
    assert set(facts) >= {
        *("realm", "suffix", "host", "ldap_uri", "ldapi_uri", "url", "ca_file", "krb5_config", "people"),
        *("keytabs", "pids", "root", "config", "default_conf"),
    }
    assert facts["realm"] == "TPI.TEST"
    ended = lab("down", "--dir", str(folder))
    assert ended.returncode == 0, ended.stderr
    assert not folder.exists()
    assert members(folder) == []


def test_a_terminal_becomes_a_client(folder: Path) -> None:
    assert lab("up", "--dir", str(folder)).returncode == 0
    exports = lab("env", "--dir", str(folder)).stdout
    script = (
        'printf "%s\\n" "$TPI_PASSWORD_ERIN_ADMIN" | kinit erin-admin >/dev/null && ldapwhoami -Q -Y GSSAPI'
        ' && curl -s -o /dev/null -w "%{http_code}\\n" "${TPI_URL}operations"'
    )
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", exports + script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["dn: uid=erin-admin,cn=users,cn=accounts,dc=tpi,dc=test", "401"], (
        done.stderr
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user is what we are")
def test_an_ordinary_user_has_a_realm_too(folder: Path) -> None:
    user = NOBODY.pw_uid
    started = lab("up", "--dir", str(folder), "--wsgi", str(readable() / "environ.wsgi"), user=user)
    assert started.returncode == 0, started.stderr
    facts = described(folder, user)
    pids = facts["pids"]
    assert isinstance(pids, dict)
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids.values()} == {user}
    exports = lab("env", "--dir", str(folder), user=user).stdout
    script = (
        'printf "%s\\n" "$TPI_PASSWORD_ALICE" | kinit alice >/dev/null'
        ' && curl -s --negotiate -u : "${TPI_URL}?whoami"'
    )
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", exports + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        user=user,
        group=NOBODY.pw_gid,
        extra_groups=[],
    )
    assert json.loads(done.stdout)["_whoami"] == "dn: uid=alice,cn=users,cn=accounts,dc=tpi,dc=test"
    assert lab("down", "--dir", str(folder), user=user).returncode == 0
    assert members(folder) == []


def test_three_realms_at_the_same_time(folder: Path) -> None:
    folders = [folder.with_name(f"realm{number}") for number in range(3)]
    commands = [[sys.executable, "-m", "lab.realm", "up", "--dir", str(path)] for path in folders]
    starting = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) for command in commands]
    try:
        assert [process.wait(60) for process in starting] == [0, 0, 0]
        assert {lab("status", "--dir", str(path)).returncode for path in folders} == {0}
        assert len({described(path)["url"] for path in folders}) == 3
        assert lab("down", "--dir", str(folders[0])).returncode == 0
        assert {lab("status", "--dir", str(path)).returncode for path in folders[1:]} == {0}
    finally:
        for path in folders:
            lab("down", "--dir", str(path))


def test_ports_reserved_by_one_are_not_given_to_another() -> None:
    with ReservedPorts() as first, ReservedPorts() as second:
        ports = [
            getattr(ports, name) for ports in (first, second) for name in ("ldap", "kdc", "https", "http")
        ]
    assert len(set(ports)) == 8
    assert all(20000 <= port < 32000 for port in ports)


def test_a_folder_in_use_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine").write_text("precious")
    done = lab("up", "--dir", str(folder))
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert (folder / "mine").read_text() == "precious"


def test_a_folder_without_a_realm_is_not_removed(folder: Path) -> None:
    folder.mkdir()
    done = lab("down", "--dir", str(folder))
    assert done.returncode == 1
    assert "no realm in" in done.stderr
    assert folder.exists()


def test_a_folder_whose_name_is_too_long_is_refused_at_once(folder: Path) -> None:
    done = lab("up", "--dir", str(folder / ("x" * 100)))
    assert done.returncode == 1
    assert "too long" in done.stderr


def test_status_tells_what_has_died(folder: Path) -> None:
    assert lab("up", "--dir", str(folder)).returncode == 0
    pids = described(folder)["pids"]
    assert isinstance(pids, dict)
    os.kill(pids["krb5kdc"], signal.SIGKILL)
    deadline = time.monotonic() + 5
    while lab("status", "--dir", str(folder)).returncode == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    status = lab("status", "--dir", str(folder))
    assert status.returncode == 3
    assert "krb5kdc: not running" in status.stdout


def test_a_pid_that_was_used_again_is_not_killed() -> None:
    other = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        processes.stop(Daemon(other.pid, started=1))
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_daemon_is_ended_with_its_children(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "sleep 60 & wait"]
    daemon = processes.start(
        command, {"PATH": os.environ["PATH"], "MARK": str(tmp_path)}, tmp_path / "log", tmp_path
    )
    deadline = time.monotonic() + 5
    while len(members(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    processes.stop(daemon)
    assert members(tmp_path) == []


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    daemon = processes.start(["/bin/sh", "-c", "echo no such luck; exit 1"], {}, log, tmp_path)
    with pytest.raises(processes.DaemonError, match="no such luck"):
        processes.wait_until(lambda: False, daemon, "a daemon", log, 5)


def test_daemons_of_a_killed_test_run_are_ended_and_their_files_removed(tmp_path: Path) -> None:
    litter = tmp_path / "litter"
    litter.mkdir()
    script = f"""
import os, signal
from pathlib import Path
from lab import processes
daemon = processes.start(["/bin/sleep", "60"], {{"MARK": {str(tmp_path)!r}}}, Path({str(tmp_path / "log")!r}), Path("/"))
watch = processes.Watch([daemon], [Path({str(litter)!r})])
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=False, timeout=30)
    deadline = time.monotonic() + 10
    while (members(tmp_path) or litter.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(tmp_path) == []
    assert not litter.exists()
