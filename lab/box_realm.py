"""Provisioning of the realm inside a box's tree, with the code that the realm on loopback uses too.

Runs as root inside the tree, which is not booted: the directory is started by hand, filled, and stopped.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab import directory, processes, provision
from lab.box_state import ENVIRONMENT
from lab.files import give_to, write
from lab.layout import DirectoryPaths, Layout, Ports
from lab.realm import Realm, describe

START_SECONDS = 30.0
STOP_SECONDS = 30.0
SECOND_INSTANCE = "DS01"
SECOND_PORT = 1389


def build(layout: Layout) -> None:
    """Write and fill the realm, and write a second directory server.

    Raises:
        DaemonError: the directory does not answer.
        RuntimeError: one of the KDC's tools failed.
    """
    provision.write_system_files(layout)
    directory.write_instance(second_layout(layout))
    with _running_directory(layout):
        provision.populate(layout)
    # gssproxy, which is root, holds this key; Apache and the application do not (R-K01).
    give_to(layout.httpd.keytab, "root")
    write(ENVIRONMENT, json.dumps(describe(Realm(layout, {})), indent=2) + "\n")


def second_layout(layout: Layout) -> Layout:
    """Return the layout of a directory server that nothing depends on, to be restarted at will."""
    name = f"slapd-{SECOND_INSTANCE}"
    state = Path("/var/lib/dirsrv") / name
    paths = DirectoryPaths(
        config=Path("/etc/dirsrv") / name,
        data=state,
        logs=Path("/var/log/dirsrv") / name,
        run=layout.directory.run / SECOND_INSTANCE,
        db_home=state / "db",
        pid_file=Path("/run/dirsrv") / f"{name}.pid",
        socket=Path(f"/run/{name}.socket"),
        keytab=layout.directory.keytab,
        user=layout.directory.user,
        # Nobody needs it from elsewhere.
        secure_port=0,
    )
    return replace(layout, directory=paths, ports=Ports(ldap=SECOND_PORT, kdc=0, https=0, http=0))


@contextmanager
def _running_directory(layout: Layout) -> Iterator[None]:
    log = layout.directory.logs / "provisioning"
    command, settings = directory.command(layout), directory.environment(layout)
    server = processes.start(command, settings, log, layout.directory.logs)
    try:
        answers = partial(processes.accepts, layout.directory.socket)
        processes.wait_until(answers, server, "the directory server", log, START_SECONDS)
        yield
    finally:
        # Stopped in order, so that no box has to recover the database at its start.
        processes.stop(server, patience_seconds=STOP_SECONDS)
