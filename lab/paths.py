"""The ports and paths of each server of a realm, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ports:
    """The four ports of a realm; 0 stands for the well-known one."""

    ldap: int
    kdc: int
    https: int
    http: int


@dataclass(frozen=True)
class DirectoryPaths:
    """A 389-ds instance.

    Args:
        config: folder with dse.ldif and the instance's schema.
        data: folder of database, LDIF exports and backups.
        logs: folder of the logs.
        run: folder of pid and lock files.
        db_home: folder for the database's memory-mapped region files.
        pid_file: pid file that `ns-slapd -i` writes.
        socket: LDAPI socket.
        keytab: keytab of ldap/HOST.
        user: account the server changes to when it was started by root.
        secure_port: port with TLS, and then it listens on the network; 0 for none.
    """

    config: Path
    data: Path
    logs: Path
    run: Path
    db_home: Path
    pid_file: Path
    socket: Path
    keytab: Path
    user: str
    secure_port: int = 0


@dataclass(frozen=True)
class KdcPaths:
    """A KDC and the Kerberos configuration of its clients."""

    krb5_conf: Path
    kdc_conf: Path
    stash: Path
    pid_file: Path
    log: str


@dataclass(frozen=True)
class HttpdPaths:
    """An Apache with our configuration.

    Args:
        config: folder for the files that we render.
        run: folder of pid file and daemon sockets.
        logs: folder of the logs.
        ccaches: folder of the callers' proxy tickets.
        keytab: keytab of HTTP/HOST.
        certificate: TLS certificate, PEM.
        key: its private key, PEM.
        wsgi: the script that mod_wsgi runs.
        venv: virtual environment that the script runs in.
        user: account of Apache's children when it was started by root.
    """

    config: Path
    run: Path
    logs: Path
    ccaches: Path
    keytab: Path
    certificate: Path
    key: Path
    wsgi: Path
    venv: Path
    user: str


@dataclass(frozen=True)
class ProductPaths:
    """Configuration and state of ipa-tpi itself."""

    default_conf: Path
    ca_file: Path
    web_toml: Path
    executor_toml: Path
    floor_toml: Path
    journal: Path
    executor_socket: Path
    web_audit: str
    executor_audit: str
    web_user: str
    executor_user: str
    health_user: str
    tpi_keytab: Path
