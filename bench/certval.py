"""The certificate validator, measured: one decision as Dogtag asks for it, beside what a start costs anyway.

Runs as root inside a box (`lab/bench.sh bench/certval.py`) and prints one table.  Beside each time stands the
processor time that it took: that changes little with what else runs on the machine.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import ldap
from certval_requests import pem, simple
from certval_tree import planted
from world import HOST, REALM, SUFFIX

from bench import programs
from bench.machine import machine
from bench.table import Row, render, timing
from ipa_tpi_validator import environment as env
from lab.people import PEOPLE

_PROGRAM: Final = Path("/usr/libexec/ipa/ipa-pki-validate-cert-request")
_SETTINGS: Final = Path("/etc/ipa/tpi/certval.toml")
_CACHE: Final = Path("/tmp/certval-cache")  # noqa: S108 (a box)
_ASKER: Final = "pkiuser"
_FEW: Final = 5
_MANY: Final = 700

METHOD: Final = """\
One box, everything in it on this machine. A time is that of one program from its start to its end, as Dogtag starts it.
The decision: the program's start, the socket, the caller's evidence read, a ticket for the directory from the KDC, the
bind, five searches one after the other, all checks. The kinds are interleaved, so that all see the same machine. Processor
time in ms: of the program with its start + of the service + of KDC and directory; what the machine needs to start any
program at all is in the row of the C program, too."""


def _asked(common_name: str) -> dict[str, str]:
    return {
        env.REQUEST: pem(simple(common_name)),
        env.USER: f"alice@{REALM}",
        env.SUBJECT: f"alice@{REALM}",
        env.PROFILE: "caIPAserviceCert",
        env.TYPE: "pkcs10",
        env.MANAGER: "external",
        env.CCACHE: f"FILE:{_CACHE}",
    }


def _uri() -> str:
    lines = Path("/etc/ipa/tpi/executor.toml").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith("ldap_uri"))


@contextmanager
def _installed(uri: str) -> Iterator[None]:
    if _ASKER not in {one.pw_name for one in pwd.getpwall()}:
        subprocess.run(
            ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", _ASKER], check=True
        )
    _PROGRAM.parent.mkdir(exist_ok=True)
    shutil.copyfile("/src/validator/ipa-pki-validate-cert-request", _PROGRAM)
    _PROGRAM.chmod(0o755)
    _SETTINGS.write_text(
        f'realm = "{REALM}"\ndomain = "tpi.test"\nsuffix = "{SUFFIX}"\nhost = "{HOST}"\nldap_uri = {uri}\nldap_host = "{HOST}"\n',
        encoding="utf-8",
    )
    _SETTINGS.chmod(0o644)
    subprocess.run(["systemctl", "restart", "ipa-tpi-certval.socket"], check=True)
    try:
        yield
    finally:
        subprocess.run(["systemctl", "stop", "ipa-tpi-certval.socket", "ipa-tpi-certval.service"], check=True)
        _SETTINGS.unlink()


def rows() -> list[Row]:
    """Measure all."""
    uri = _uri()
    made: list[Row] = []
    root = ldap.initialize(uri.strip('"'))
    root.sasl_non_interactive_bind_s("EXTERNAL")
    for many in (_FEW, _MANY):
        with _installed(uri), programs.echo(), planted(root, HOST, REALM, many):
            timed = {
                f"decision: yes, {many + 2} CA ACLs": programs.run([_PROGRAM], 0, _asked("alice"), _ASKER),
                f"decision: no, {many + 2} CA ACLs": programs.run([_PROGRAM], 1, _asked("bob"), _ASKER),
                **(programs.peers(uri.strip('"')) if many == _FEW else {}),
            }
            programs.run([_PROGRAM], 0, _asked("alice"), _ASKER)()
            made += [
                timing(
                    name, took.wall, took.cpu(), target="p50 20" if name.startswith("decision: yes") else ""
                )
                for name, took in programs.interleaved(timed).items()
            ]
    root.unbind_s()
    return made


def main() -> int:
    """Measure, and print."""
    cache = f"FILE:{_CACHE}"
    password = next(one.password for one in PEOPLE if one.uid == "alice")
    subprocess.run(
        ["/usr/bin/kinit", "-c", cache, f"alice@{REALM}"],
        input=f"{password}\n".encode(),
        capture_output=True,
        check=True,
    )
    os.chown(_CACHE, 0, 0)
    _CACHE.chmod(0o644)
    began = machine()
    print(render(rows()))
    print(f"\n{METHOD}\n{began}")
    _CACHE.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
