"""A directory of FreeIPA's layout that has never heard of ipa-tpi."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap

from ipa_tpi_acls.containers import index_entries, plugin_entry
from ipa_tpi_acls.converge import Report, converge
from lab import directory
from lab.entries import Entry, add_all
from lab.layout import Layout, Ports, loopback
from lab.tree import tree_entries

START_SECONDS = 20


@dataclass
class Server:
    """A directory of FreeIPA's layout that has never heard of ipa-tpi."""

    layout: Layout
    process: subprocess.Popen[bytes]
    connection: ldap.ldapobject.LDAPObject

    def restart(self) -> None:
        self.stop()
        self.process, self.connection = start(self.layout)

    def stop(self) -> None:
        self.connection.unbind_s()
        self.process.terminate()
        self.process.wait(30)

    def converge(self, *, dry_run: bool = False) -> Report:
        return converge(self.connection, self.layout.suffix, dry_run=dry_run)

    def values(self, dn: str, attribute: str) -> list[str]:
        ((_, found),) = self.connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", [attribute])
        return [value.decode() for values in found.values() for value in values]

    def put(self, dn: str, attribute: str, *values: str, how: int = ldap.MOD_ADD) -> None:
        encoded = [value.encode() for value in values]
        self.connection.modify_s(dn, [(how, attribute, encoded or None)])


def start(layout: Layout) -> tuple[subprocess.Popen[bytes], ldap.ldapobject.LDAPObject]:
    process = subprocess.Popen(
        directory.command(layout),
        env=directory.environment(layout),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            return process, directory.connect(layout)
        except ldap.LDAPError:
            if process.poll() is not None or time.monotonic() > give_up:
                process.kill()
                raise
            time.sleep(0.02)


def without_ours(layout: Layout) -> None:
    """Take out of a new instance what the laboratory puts there for ipa-tpi."""
    (schema,) = (layout.directory.config / "schema").glob("*ipa*tpi.ldif")
    schema.unlink()
    ours = {entry.dn.lower() for entry in (plugin_entry(), *index_entries("userRoot"))}
    dse = layout.directory.config / "dse.ldif"
    records = dse.read_text(encoding="utf-8").split("\n\n")
    kept = [one for one in records if one.partition("\n")[0].removeprefix("dn: ").lower() not in ours]
    assert len(records) - len(kept) == len(ours)
    dse.write_text("\n\n".join(kept), encoding="utf-8")


@contextmanager
def new_server() -> Iterator[Server]:
    root = Path(tempfile.mkdtemp(prefix="acls-"))
    root.chmod(0o755)
    # Port 0 turns LDAP over TCP off: the socket is enough here.
    layout = loopback(root, Ports(0, 0, 0, 0), Path(sys.prefix))
    layout.directory.socket.parent.mkdir(parents=True)
    directory.write_instance(layout)
    without_ours(layout)
    made = Server(layout, *start(layout))
    try:
        # FreeIPA's ACIs do not matter here, and nobody but Directory Manager comes in.
        add_all(made.connection, [without_acis(entry) for entry in tree_entries(layout)])
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        shutil.rmtree(root)


def without_acis(entry: Entry) -> Entry:
    return Entry(entry.dn, {name: values for name, values in entry.attributes.items() if name != "aci"})
