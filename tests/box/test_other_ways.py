"""Attack: restart DS01 without a second person, by any way that is not ipa-tpi (K18 for dirsrv.restart).

What an attacker would gain: everything that the two persons are there to prevent, without touching ipa-tpi.
The ways are those that `ipa_tpi.executor.operations.DirsrvRestart.other_ways` names, tried on the real
components, by people with and without roles, by the domain's administrator, and by the product's own accounts.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from world import EXECUTOR, UNIT, Done, World

from ipa_tpi.executor.operations import OPERATIONS

PEOPLE = ("alice", "bob", "dave", "adam")
ACCOUNTS = (*PEOPLE, "ipatpi-web", "www-data", "nobody")
MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
BUSCTL = (
    "/usr/bin/busctl",
    "--system",
    "--allow-interactive-authorization=no",
    "--timeout=10",
    "call",
    *MANAGER,
)
DROP_INS = Path("/etc/systemd/system")
# Programs with the set-user-id bit that Debian brings and that start no unit and no process of another user
# without that user's password or a rule that is not there.
HARMLESS_SETUID = frozenset(
    {
        "chfn",
        "chsh",
        "gpasswd",
        "mount",
        "newgrp",
        "passwd",
        "su",
        "umount",
        "dbus-daemon-launch-helper",
        "polkit-agent-helper-1",
        "ssh-keysign",
        "ksu",
        "suexec",
    }
)
WAYS: dict[str, Sequence[str]] = {
    "systemctl restart": ("/usr/bin/systemctl", "--no-ask-password", "restart", UNIT),
    "systemctl stop": ("/usr/bin/systemctl", "--no-ask-password", "stop", UNIT),
    "systemctl kill": ("/usr/bin/systemctl", "--no-ask-password", "kill", UNIT),
    "systemctl edit": ("/usr/bin/systemctl", "--no-ask-password", "set-property", UNIT, "TasksMax=1"),
    "systemctl reload": ("/usr/bin/systemctl", "--no-ask-password", "daemon-reload"),
    "systemctl mask": ("/usr/bin/systemctl", "--no-ask-password", "mask", "--now", UNIT),
    "systemctl isolate": ("/usr/bin/systemctl", "--no-ask-password", "isolate", "rescue.target"),
    "systemctl reboot": ("/usr/bin/systemctl", "--no-ask-password", "reboot"),
    "RestartUnit": (*BUSCTL, "RestartUnit", "ss", UNIT, "replace"),
    "TryRestartUnit": (*BUSCTL, "TryRestartUnit", "ss", UNIT, "replace"),
    "StopUnit": (*BUSCTL, "StopUnit", "ss", UNIT, "replace"),
    "KillUnit": (*BUSCTL, "KillUnit", "ssi", UNIT, "all", "15"),
    "StartTransientUnit": (
        *BUSCTL,
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        "evil.service",
        "replace",
        "1",
        "ExecStart",
        "a(sasb)",
        "1",
        "/usr/bin/systemctl",
        "3",
        "systemctl",
        "restart",
        UNIT,
        "false",
        "0",
    ),
    "systemd-run": ("/usr/bin/systemd-run", "--no-ask-password", "/usr/bin/systemctl", "restart", UNIT),
    "dsctl": ("/usr/sbin/dsctl", "DS01", "restart"),
    "sudo": ("/usr/bin/sudo", "-n", "/usr/bin/systemctl", "restart", UNIT),
    "pkexec": ("/usr/bin/pkexec", "/usr/bin/systemctl", "restart", UNIT),
}


@pytest.mark.parametrize("way", WAYS)
def test_r_k18_no_account_restarts_it_alone(world: World, way: str) -> None:
    before = _standing(world)
    for account in ("alice", "adam") if way == "dsctl" else ACCOUNTS:  # dsctl takes its time to start
        done = _attempt(world, account, WAYS[way])
        assert done.status != 0, f"{account} may: {way}"
        # sudo and pkexec are no part of the box; where they are, a rule would have to let people in (R-A10).
        missing = way in {"sudo", "pkexec"} and not Path(WAYS[way][0]).exists()
        assert missing or _is_refusal(done), f"{account}: {way}: {done}"
    assert _standing(world) == before


def test_r_k18_root_can_so_the_refusals_mean_something(world: World) -> None:
    before = world.invocation()
    assert subprocess.run(WAYS["RestartUnit"], timeout=60, check=False, capture_output=True).returncode == 0
    world.systemctl("start", UNIT)  # which waits for the job
    assert world.invocation() != before


def test_r_k18_su_needs_roots_password(world: World) -> None:
    before = world.invocation()
    done = world.run(
        "adam",
        ["/usr/bin/su", "-c", f"systemctl restart {UNIT}"],
        text=world.people["adam"]["password"] + "\n",
    )
    assert done.status != 0
    assert "authentication failure" in done.err.lower()
    assert world.invocation() == before


def test_r_k18_nobody_signals_the_process(world: World) -> None:
    pid = world.pid(UNIT)
    for account in (*ACCOUNTS, "ipatpi-exec"):
        for name in ("TERM", "HUP", "KILL", "STOP"):
            done = world.run(account, ["/usr/bin/kill", f"-{name}", str(pid)])
            assert done.status != 0
            assert "not permitted" in done.err.lower(), f"{account}: {done}"
    assert world.pid(UNIT) == pid


def test_r_k18_nobody_writes_what_the_unit_is_made_of(world: World) -> None:
    for account in (*ACCOUNTS, "ipatpi-exec"):
        for target in _unit_material(world):
            done = world.run(account, ["/usr/bin/test", "-w", str(target)])
            assert done.status == 1, f"{account} may write {target}"
        for folder in (
            DROP_INS,
            Path("/run/systemd/system"),
            Path("/etc/polkit-1/rules.d"),
            Path("/etc/dbus-1/system.d"),
        ):
            done = world.run(account, ["/usr/bin/mkdir", str(folder / "dirsrv@DS01.service.d")])
            assert done.status != 0, f"{account} may write below {folder}"


def test_r_k18_no_setuid_program_helps(world: World) -> None:
    assert world.invocation()
    found = set()
    for folder in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/local", "/opt"):
        for top, _, names in os.walk(folder):
            for name in names:
                path = Path(top, name)
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_ISUID:
                    found.add(path.name)
    assert found <= HARMLESS_SETUID, found - HARMLESS_SETUID


@pytest.mark.parametrize(
    ("verb", "unit"),
    [
        ("stop", UNIT),
        ("start", UNIT),
        ("kill", UNIT),
        ("reload", UNIT),
        ("mask", UNIT),
        ("try-restart", UNIT),
        ("restart", "krb5-kdc.service"),
        ("stop", "dirsrv@TPI-TEST.service"),
        ("restart", "apache2.service"),
        ("restart", EXECUTOR),
        ("restart", "dbus.service"),
        ("restart", "systemd-journald.service"),
        ("restart", "dirsrv@DS01.service.d"),
        ("restart", "dirsrv@DS01.socket"),
        ("restart", "dirsrv.target"),
    ],
)
def test_r_k18_the_executors_uid_may_only_restart_ds01(world: World, verb: str, unit: str) -> None:
    done = world.run("ipatpi-exec", ["/usr/bin/systemctl", "--no-ask-password", verb, unit])
    assert done.status != 0
    assert _is_refusal(done), done


def test_r_k18_the_executors_uid_may_restart_ds01(world: World) -> None:
    """The counterpart of the refusals above: with the rule, and only by it."""
    before = world.invocation()
    done = world.run("ipatpi-exec", ["/usr/bin/systemctl", "--no-ask-password", "restart", UNIT])
    assert done.status == 0, done
    assert world.invocation() != before


def test_r_k18_the_executors_uid_starts_nothing_of_its_own(world: World) -> None:
    for way in (
        "StartTransientUnit",
        "systemd-run",
        "KillUnit",
        "systemctl reboot",
        "systemctl reload",
        "systemctl edit",
    ):
        done = _attempt(world, "ipatpi-exec", WAYS[way])
        assert done.status != 0, way
        assert _is_refusal(done), f"{way}: {done}"


def test_r_k18_the_operation_names_its_other_ways() -> None:
    named = " ".join(OPERATIONS["dirsrv.restart"].other_ways)
    for word in ("polkit", "sudo", "unit file", "signals", "cn=config"):
        assert word in named


def _attempt(world: World, account: str, command: Sequence[str]) -> Done:
    if account in PEOPLE:
        world.ccache(account)
    return world.run(account, command, text="\n")


def _is_refusal(done: Done) -> bool:
    """Tell a refusal from a mistake in the command line."""
    words = (
        "access denied",
        "interactive authentication required",
        "permission denied",
        "not permitted",
        "authentication failure",
        "no such file",
        "not installed",
        "not authorized",
        "operation not permitted",
        "interactive authorization",
        "unable to access instance information",
    )
    text = (done.err + done.out).lower()
    return any(word in text for word in words)


def _standing(world: World) -> tuple[str, int, str, str]:
    names = ("ActiveState", "DropInPaths")
    return (world.invocation(), world.pid(UNIT), *(world.show(UNIT, name) for name in names))


def _unit_material(world: World) -> list[Path]:
    named = [world.show(UNIT, "FragmentPath"), *world.show(UNIT, "DropInPaths").split()]
    folders = (
        "/etc/dirsrv",
        "/etc/dirsrv/slapd-DS01",
        "/etc/dirsrv/slapd-DS01/dse.ldif",
        "/var/lib/dirsrv/slapd-DS01",
    )
    fixed = (
        "/usr/sbin/ns-slapd",
        "/etc/polkit-1/rules.d/50-ipa-tpi.rules",
        "/etc/default/dirsrv",
        "/run/slapd-DS01.pid",
    )
    found = [Path(one) for one in (*named, *folders, *fixed)]
    assert pwd.getpwnam("dirsrv")
    return [path for path in (*found, *(one.parent for one in found)) if path.exists()]
