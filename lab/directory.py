"""The realm's directory: a 389-ds instance as files, and its contents once it runs."""

from __future__ import annotations

import os
from typing import Any

import ldap
import ldap.sasl

from ipa_tpi_acls.converge import converge
from ipa_tpi_acls.schema import schema_ldif
from lab.ca_directory import add_rights
from lab.dse import dse_ldif
from lab.entries import add_all
from lab.files import make_folder, write
from lab.freeipa_schema import freeipa_schema_ldif, kerberos_schema_ldif
from lab.layout import Layout
from lab.people import group_entries, host_entries, person_entries
from lab.policy import add_policy
from lab.tree import tree_entries

# Readable by root and dirsrv only on Debian, and the server does not start without it: this one knows the
# default collation, which is all that we need.
_COLLATIONS = 'collation "" "" "" 1 3 2.16.840.1.113730.3.3.2.0.1 default\n'
_TIMEOUT_SECONDS = 20.0


def write_instance(layout: Layout, *, durable: bool = False) -> None:
    """Write the instance's folders, schema and configuration.

    Args:
        layout: the realm.
        durable: whether the database syncs every transaction.
    """
    paths = layout.directory
    schema = paths.config / "schema"
    for folder in (paths.config, schema, paths.logs):
        make_folder(folder, owner=paths.user, mode=0o750)
    for folder in (paths.run, paths.run / "lock"):
        make_folder(folder, owner=paths.user, mode=0o755)
    for folder in (
        paths.data,
        paths.db_home,
        *(paths.data / name for name in ("db", "ldif", "bak", "instance")),
    ):
        make_folder(folder, owner=paths.user, mode=0o750)
    for name, content in (
        ("60kerberos.ldif", kerberos_schema_ldif()),
        ("61freeipa.ldif", freeipa_schema_ldif()),
        ("65ipa-tpi.ldif", schema_ldif()),
    ):
        write(schema / name, content, owner=paths.user, mode=0o640)
    # The server writes what clients add to the schema here, and does not start without it.
    write(schema / "99user.ldif", "dn: cn=schema\n", owner=paths.user, mode=0o640)
    write(paths.config / "slapd-collations.conf", _COLLATIONS, owner=paths.user, mode=0o640)
    write(paths.config / "dse.ldif", dse_ldif(layout, durable=durable), owner=paths.user, mode=0o600)


def connect(layout: Layout) -> Any:  # noqa: ANN401 (python-ldap has no types)
    """Return a connection as Directory Manager, over LDAPI, by the uid of this process.

    Raises:
        ldap.SERVER_DOWN: the server does not answer.
        ldap.INVALID_CREDENTIALS: this uid is neither root nor the server's own.
    """
    connection = ldap.initialize(layout.ldapi_uri)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _TIMEOUT_SECONDS)
    connection.set_option(ldap.OPT_TIMEOUT, _TIMEOUT_SECONDS)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    return connection


def populate(layout: Layout) -> None:
    """Fill a running, empty directory: FreeIPA's layout, people, and everything of ipa-tpi.

    Principals and keys are the KDC's business, and policy that names services comes after them
    (`finish`).

    Args:
        layout: the realm.
    """
    connection = connect(layout)
    try:
        add_all(connection, tree_entries(layout))
        add_all(connection, person_entries(layout))
        add_all(connection, host_entries(layout))
        add_all(connection, group_entries(layout))
        converge(connection, layout.suffix)
        if layout.ca_host:
            add_rights(connection, layout)
    finally:
        connection.unbind_s()


def finish(layout: Layout) -> None:
    """Write what needs the KDC's principals: the executors' group, roles, rules and operations.

    Args:
        layout: the realm.
    """
    connection = connect(layout)
    try:
        add_policy(connection, layout)
    finally:
        connection.unbind_s()


def environment(layout: Layout) -> dict[str, str]:
    """Return the environment that the server needs beside its own configuration."""
    return {
        **os.environ,
        "KRB5_CONFIG": str(layout.kdc.krb5_conf),
        "KRB5_KTNAME": str(layout.directory.keytab),
        # The directory's own connections are protected by TLS or a Unix socket.
        "KRB5RCACHENAME": "none:",
    }


def command(layout: Layout) -> list[str]:
    """Return the command line that runs the server in the foreground."""
    paths = layout.directory
    return ["/usr/sbin/ns-slapd", "-D", str(paths.config), "-i", str(paths.pid_file), "-d", "0"]
