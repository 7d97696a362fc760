"""Attack: a validation program that reaches out of its place: to the network, to the executor's secrets, to others.

What an attacker would gain: with one program taken over, the key of tpi/HOST, the journal, the local sockets of directory
and D-Bus, or a way to send out what it sees.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from validators import ACCEPT, Watched, ask, watched
from world import JOURNAL, KEYTAB, SOCKET, World

SECRETS = (KEYTAB, JOURNAL, f"{JOURNAL}-wal", "/etc/ipa/tpi/executor.toml", "/etc/krb5.keytab", "/etc/shadow")
REACH = """\
#!/usr/bin/python3 -I
import json, socket, sys
reached = []
for family, address in (
    (socket.AF_INET, ("127.0.0.1", 389)),
    (socket.AF_INET6, ("::1", 389)),
    (socket.AF_UNIX, "/run/slapd-TPI-TEST.socket"),
    (socket.AF_UNIX, "/run/dbus/system_bus_socket"),
    (socket.AF_UNIX, "/run/ipa-tpi-executor/executor.sock"),
    (socket.AF_UNIX, "/run/systemd/journal/dev-log"),
    (socket.AF_UNIX, "\\0abstract"),
    (socket.AF_NETLINK, (0, 0)),
):
    try:
        with socket.socket(family) as peer:
            reached.append(f"made {family.name}")
            peer.connect(address)
            reached.append(f"reached {address}")
    except OSError:
        pass
if reached:
    print(json.dumps({"code": 1, "name": "Reached", "message": "; ".join(reached), "data": {}}))
    sys.exit(1)
"""
# Accepts only if each of the paths can be read, or (the first argument) none.
READ = """\
#!/usr/bin/python3 -I
import json, sys
got = []
for path in {paths!r}:
    try:
        open(path, "rb").read(1)
        got.append(path)
    except OSError:
        pass
if got:
    print(json.dumps(dict(code=1, name="Read", message=" ".join(got), data=dict())))
    sys.exit(1)
"""
WRITE = """\
#!/usr/bin/python3 -I
import json, os, sys
got = []
for folder, folders, _ in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/dev/pts")):
        folders.clear()
        continue
    try:
        with open(folder + "/tpi-evil", "x"):
            got.append(folder)
    except OSError:
        pass
    if folder.count("/") > 5:
        folders.clear()
if got:
    print(json.dumps(dict(code=1, name="Wrote", message=" ".join(got)[:400], data=dict())))
    sys.exit(1)
"""
MEDDLE = """\
#!/usr/bin/python3 -I
import ctypes, json, os, sys
got, parent = [], os.getppid()
for name in ("mem", "environ", "maps", "fd/0", "root/etc/hosts"):
    try:
        open(f"/proc/{parent}/{name}", "rb").read(1)
        got.append(name)
    except OSError:
        pass
libc = ctypes.CDLL(None)
if libc.ptrace(16, parent, 0, 0) == 0:
    got.append("ptrace")
if libc.unshare(0x10000000) == 0:
    got.append("unshare")
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0:
    got.append("mount")
for call in (os.setuid, os.setgid):
    try:
        call(0)
        got.append(call.__name__)
    except OSError:
        pass
if len([one for one in os.listdir("/proc") if one.isdigit()]) > 4:
    got.append("others")
if got:
    print(json.dumps(dict(code=1, name="Meddled", message=" ".join(got), data=dict())))
    sys.exit(1)
"""
EXPOSURE_LIMITS = {"ipa-tpi-validate@x.service": 1.0, "ipa-tpi-validate-network@x.service": 1.2}


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


def test_r_k05_a_program_that_is_not_declared_has_no_network_at_all(program: Watched) -> None:
    program.install(REACH)
    program.runs()


def test_r_k05_a_program_that_is_declared_has_the_network_and_no_local_socket(program: Watched) -> None:
    program.install(REACH, network=True)
    view = program.refused("validation-refused")
    assert (
        view.result.excerpt == "validation-refused: made AF_INET; reached ('127.0.0.1', 389); "
        "made AF_INET6; reached ('::1', 389)"
    )


def test_r_e09_it_reads_no_secret(program: Watched) -> None:
    program.install(READ.format(paths=("/etc/ipa/ca.crt",)))
    program.refused("validation-refused", "/etc/ipa/ca.crt")  # so that reading is seen at all
    for network in (False, True):
        program.install(READ.format(paths=SECRETS), network=network)
        program.runs()


def test_r_e19_it_writes_nowhere(program: Watched) -> None:
    for network in (False, True):
        program.install(WRITE, network=network)
        assert ask(seconds=30) is None


def test_r_e23_it_meddles_with_nobody(program: Watched) -> None:
    for network in (False, True):
        program.install(MEDDLE, network=network)
        assert ask() is None


def test_r_e20_neither_other_accounts_nor_itself_ask(world: World) -> None:
    """Nobody gets the answers of a program by running it himself under its account, or another's."""
    for account in ("alice", "ipatpi-web", "ipatpi-validator", "www-data", "nobody", "dirsrv"):
        command = ["/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_UNIX).connect('%s')"]
        for path in ("/run/ipa-tpi-validate/validate.sock", "/run/ipa-tpi-validate/validate-network.sock"):
            done = world.run(account, [*command[:2], command[2] % path])
            assert done.status == 1
            assert "PermissionError" in done.err
        done = world.run(account, [*command[:2], command[2] % SOCKET])
        assert done.status == 0  # it is not connecting as such that fails


@pytest.mark.parametrize("unit", EXPOSURE_LIMITS)
def test_r_e13_exposure_of_the_units(unit: str, record_property: pytest.RecordProperty) -> None:
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "security", "--no-pager", unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    last = next(line for line in done.stdout.splitlines() if "Overall exposure level" in line)
    exposure = float(last.partition(":")[2].split()[0])
    record_property(f"systemd-analyze security {unit}", exposure)
    assert exposure <= EXPOSURE_LIMITS[unit]
