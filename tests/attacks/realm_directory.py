"""The realm's own directory server as root handles it: restarted, saved, put back to what was saved."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gssapi
import ldap
from straight import health
from world import EXECUTOR, HOST, LDAPI, REALM, SUFFIX, World, eventually, make_proof

DIRECTORY = "dirsrv@TPI-TEST.service"
_SLAPD = "/usr/sbin/ns-slapd"
_CONFIG = "/etc/dirsrv/slapd-TPI-TEST"


def restart_directory(world: World) -> None:
    """Restart it, and wait for all that live from it."""
    world.systemctl("restart", DIRECTORY)
    wait_for_directory(world)
    if world.show(EXECUTOR, "ActiveState") != "active":
        world.systemctl("restart", EXECUTOR)
    eventually(lambda: health().get("watching"))


def wait_for_directory(world: World) -> None:
    """Wait until it answers, and the KDC too, which has it for its database and reconnects when it is next asked."""
    eventually(lambda: _answers(world))
    eventually(lambda: world.kinit("alice").status == 0)
    eventually(lambda: _ticket(world, "alice"))


@contextmanager
def saved(world: World) -> Iterator[Path]:
    """Have all of its entries saved in a file for a while, by its own tool; operational attributes too."""
    folder = Path(tempfile.mkdtemp())
    shutil.chown(folder, "dirsrv")
    path = folder / "saved.ldif"
    try:
        _while_it_is_down(world, "db2ldif", "-s", SUFFIX, "-a", str(path))
        yield path
    finally:
        shutil.rmtree(folder)


def restore(world: World, path: Path) -> None:
    """Put it back, whole, to what was saved."""
    _while_it_is_down(world, "ldif2db", "-n", "userRoot", "-i", str(path))


def _while_it_is_down(world: World, verb: str, *options: str) -> None:
    world.systemctl("stop", DIRECTORY)
    try:
        subprocess.run([_SLAPD, verb, "-D", _CONFIG, *options], check=True, capture_output=True, timeout=60)
    finally:
        world.systemctl("start", DIRECTORY)
        wait_for_directory(world)


def _ticket(world: World, person: str) -> bool:
    try:
        make_proof(f"FILE:{world.ccache(person)}", b"", f"tpi/{HOST}@{REALM}")
    except gssapi.exceptions.GSSError:
        time.sleep(0.1)
        return False
    return True


def _answers(world: World) -> bool:
    try:
        ldap.initialize(LDAPI).simple_bind_s()
        world.root().search_s(f"cn=tpi,{SUFFIX}", ldap.SCOPE_BASE)
    except ldap.LDAPError:
        time.sleep(0.1)
        return False
    return True
