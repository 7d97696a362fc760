"""The certificate validator under its own units: started by its socket, confined, asked as Dogtag's user (D09)."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from certval_requests import pem, simple
from certval_tree import planted
from world import HOST, REALM, SUFFIX, World

from ipa_tpi_validator import environment as env

PROGRAM = Path("/usr/libexec/ipa/ipa-pki-validate-cert-request")
SETTINGS = Path("/etc/ipa/tpi/certval.toml")
SOCKET = "ipa-tpi-certval.socket"
SERVICE = "ipa-tpi-certval.service"
ASKER = "pkiuser"


@dataclass
class Dogtag:
    """Asks as Dogtag does."""

    cache: Path

    def ask(
        self, person: str, common_name: str, *, user: str = ASKER, **more: str
    ) -> tuple[int, bytes, bytes]:
        told = {
            env.REQUEST: pem(simple(common_name)),
            env.USER: f"{person}@{REALM}",
            env.PROFILE: "caIPAserviceCert",
            env.TYPE: "pkcs10",
            env.MANAGER: "external",
            env.CCACHE: f"FILE:{self.cache}",
            **more,
        }
        done = subprocess.run(
            [PROGRAM],
            env=told,
            user=user,
            group=user,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


def systemctl(*arguments: str) -> str:
    return subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def dogtag(world: World) -> Iterator[Dogtag]:
    made = ASKER not in {one.pw_name for one in pwd.getpwall()}
    if made:
        subprocess.run(
            ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", ASKER], check=True
        )
    PROGRAM.parent.mkdir(exist_ok=True)
    shutil.copyfile("/src/validator/ipa-pki-validate-cert-request", PROGRAM)
    PROGRAM.chmod(0o755)
    uri = next(
        line.partition("=")[2].strip()
        for line in Path("/etc/ipa/tpi/executor.toml").read_text(encoding="utf-8").splitlines()
        if line.startswith("ldap_uri")
    )
    SETTINGS.write_text(
        f'realm = "{REALM}"\ndomain = "tpi.test"\nsuffix = "{SUFFIX}"\nhost = "{HOST}"\nldap_uri = {uri}\nldap_host = "{HOST}"\n'
        'controlled_profiles = ["underControl"]\nexecutor_socket = "/run/ipa-tpi-executor/executor.sock"\n',
        encoding="utf-8",
    )
    SETTINGS.chmod(0o644)
    systemctl("start", SOCKET)
    cache = Path("/tmp/certval-cache")
    with planted(world.root(), HOST, REALM):
        yield Dogtag(cache)
    systemctl("stop", SOCKET, SERVICE)
    SETTINGS.unlink()
    cache.unlink(missing_ok=True)


@pytest.fixture
def alice(world: World, dogtag: Dogtag) -> Dogtag:
    """Put alice's tickets where Apache would have."""
    world.kinit("alice")
    shutil.copyfile(world.ccache("alice").removeprefix("FILE:"), dogtag.cache)
    entry = pwd.getpwnam(ASKER)
    os.chown(dogtag.cache, 0, entry.pw_gid)
    dogtag.cache.chmod(0o640)
    return dogtag


def test_r_d09_it_is_started_by_its_socket_and_decides(world: World, alice: Dogtag) -> None:
    systemctl("stop", SERVICE)
    assert world.show(SERVICE, "ActiveState") == "inactive"
    assert alice.ask("alice", "alice") == (0, b"", b"")
    assert world.show(SERVICE, "ActiveState") == "active"
    assert world.show(SERVICE, "User") == "ipatpi-certval"
    status, out, err = alice.ask("alice", "bob", IPA_SUBJECT=f"alice@{REALM}")
    assert (status, err) == (1, b"")
    assert out.startswith(b'{"code":3009,"name":"ValidationError"')
    status, out, _ = alice.ask("bob", "bob")
    assert status == 1
    assert b"not the caller's" in out


def test_r_d09_nobody_but_dogtags_user_is_answered(alice: Dogtag) -> None:
    assert alice.ask("alice", "alice") == (0, b"", b"")
    alice.cache.chmod(0o644)
    for user in ("ipatpi-web", "ipatpi-validator"):
        status, out, _ = alice.ask("alice", "alice", user=user)
        assert status == 1
        assert b'"code":4000' in out
    # Who may connect is asked again by the service: root may connect, and is not answered.
    status, out, _ = alice.ask("alice", "alice", user="root")
    assert status == 1
    assert b'"code":4000' in out


def test_a_profile_under_control_is_refused_while_the_executor_does_not_agree(alice: Dogtag) -> None:
    status, out, _ = alice.ask("alice", "alice", DOGTAG_PROFILE_ID="other")
    assert (status, out[:12]) == (1, b'{"code":2100')
    status, out, _ = alice.ask("alice", "alice", DOGTAG_PROFILE_ID="underControl")
    assert status == 1


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_killed_it_is_there_again_for_the_next(world: World, alice: Dogtag, signal: str) -> None:
    assert alice.ask("alice", "alice") == (0, b"", b"")
    before = world.pid(SERVICE)
    systemctl("kill", f"--signal={signal}", SERVICE)
    deadline = time.monotonic() + 20
    while (told := alice.ask("alice", "alice")) != (0, b"", b"") and time.monotonic() < deadline:
        assert told[0] == 1
        time.sleep(0.2)
    assert told == (0, b"", b"")
    assert world.pid(SERVICE) != before


def test_hung_the_program_refuses_within_its_time(world: World, alice: Dogtag) -> None:
    assert alice.ask("alice", "alice") == (0, b"", b"")
    systemctl("kill", "--signal=SIGSTOP", SERVICE)
    started = time.monotonic()
    status, out, _ = alice.ask("alice", "alice")
    took = time.monotonic() - started
    systemctl("kill", "--signal=SIGCONT", SERVICE)
    assert status == 1
    assert b"did not answer" in out
    assert 7 < took < 10
    assert world.show(SERVICE, "ActiveState") == "active"


def test_it_holds_no_capability_and_the_tickets_in_memory_only(world: World, alice: Dogtag) -> None:
    assert alice.ask("alice", "alice") == (0, b"", b"")
    pid = world.pid(SERVICE)
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    opened = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(one)]
    assert not [one for one in opened if one.startswith("/memfd")]
    spent = time.perf_counter()
    for _ in range(20):
        assert alice.ask("alice", "alice") == (0, b"", b"")
    print(f"{(time.perf_counter() - spent) * 50:.1f} ms each")  # noqa: T201 (a figure for whoever asks for it, -s)
