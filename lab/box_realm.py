"""Provisioning of the realm inside a box's tree, with the code that the realm on loopback uses too.

Runs as root inside the tree, which is not booted: the directory is started by hand, filled, and stopped.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import ldap

from lab import directory, kdc, pki
from lab.files import write
from lab.layout import DirectoryPaths, Layout, Ports

START_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
SECOND_INSTANCE = "DS01"
SECOND_PORT = 1389


def provision(layout: Layout) -> None:
    """Write and fill the realm: certificates, directory, principals, keytabs, policy, and a second directory.

    Raises:
        TimeoutError: the directory does not answer.
        RuntimeError: one of the KDC's tools failed.
    """
    pki.write_certificates(layout)
    kdc.write_configuration(layout)
    for each in (layout, second_layout(layout)):
        directory.write_instance(each)
        _write_environment(each)
    with _running_directory(layout):
        directory.populate(layout)
        kdc.create_database(layout)
        directory.finish(layout)


def second_layout(layout: Layout) -> Layout:
    """Return the layout of a directory server that nothing depends on, to be restarted at will."""
    name = f"slapd-{SECOND_INSTANCE}"
    state = Path("/var/lib/dirsrv") / name
    paths = DirectoryPaths(
        config=Path("/etc/dirsrv") / name,
        data=state,
        logs=Path("/var/log/dirsrv") / name,
        run=layout.directory.run,
        db_home=state / "db",
        pid_file=Path("/run/dirsrv") / f"{name}.pid",
        socket=Path(f"/run/{name}.socket"),
        keytab=layout.directory.keytab,
        user=layout.directory.user,
    )
    return replace(layout, directory=paths, ports=Ports(ldap=SECOND_PORT, kdc=0, https=0, http=0))


def _write_environment(layout: Layout) -> None:
    """Write what dirsrv@.service reads for an instance."""
    instance = layout.directory.config.name.removeprefix("slapd-")
    settings = f"KRB5_KTNAME={layout.directory.keytab}\nKRB5RCACHENAME=none:\n"
    write(Path(f"/etc/default/dirsrv-{instance}"), settings)


@contextmanager
def _running_directory(layout: Layout) -> Iterator[None]:
    server = subprocess.Popen(directory.command(layout), env=directory.environment(layout))
    try:
        _await_answer(layout, server)
        yield
    finally:
        # Stopped in order, so that no box has to recover the database at its start.
        server.terminate()
        server.wait(STOP_SECONDS)


def _await_answer(layout: Layout, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            directory.connect(layout).unbind_s()
        except ldap.SERVER_DOWN:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise TimeoutError(f"the directory server does not answer; see {layout.directory.logs}/errors")
