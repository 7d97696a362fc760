"""Where everything of a realm lies: names, paths, ports and owners.

The same provisioning code serves the realm on loopback (`loopback`, all below one folder, ports of its own) and the
system in a container (`system`, the paths of the distribution and of FreeIPA). It only ever asks a `Layout`.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lab.paths import DirectoryPaths, HttpdPaths, KdcPaths, Ports, ProductPaths

__all__ = [
    "DirectoryPaths",
    "HttpdPaths",
    "KdcPaths",
    "Layout",
    "Ports",
    "ProductPaths",
    "loopback",
    "system",
]

REALM = "TPI.TEST"
SUFFIX = "dc=tpi,dc=test"
INSTANCE = "TPI-TEST"
OTHER_HOST = "other.tpi.test"
CA_HOST = "ca1.tpi.test"
# What a system keeps for its CA host until that gets it: keytabs, a certificate.
CA_FOLDER = Path("/var/lib/ipa-tpi-lab/ca1")
REPOSITORY = Path(__file__).resolve().parent.parent
UNIX_SOCKET_PATH_LIMIT = 107
HTTPS_PORT = 443


@dataclass(frozen=True)
class Layout:
    """One realm, whole.

    `ca_host` is the host of the certificate authority Dogtag; empty where there is none (on loopback).
    """

    root: Path
    host: str
    ports: Ports
    directory: DirectoryPaths
    kdc: KdcPaths
    httpd: HttpdPaths
    product: ProductPaths
    host_keytab: Path
    other_keytab: Path
    ca_key: Path
    ca_host: str = ""
    realm: str = REALM
    suffix: str = SUFFIX

    @property
    def statistics(self) -> Path:
        """Return the semaphore that the directory server leaves behind if it is killed."""
        return Path("/dev/shm") / f"sem.{self.directory.config.name}.stats"

    @property
    def ldapi_uri(self) -> str:
        """Return the URI of the LDAPI socket."""
        return "ldapi://" + quote(str(self.directory.socket), safe="")

    @property
    def ldap_uri(self) -> str:
        """Return the URI of the directory over TCP."""
        return f"ldap://{self.host}:{self.ports.ldap}"

    @property
    def origin(self) -> str:
        """Return the web service's origin as a browser writes it."""
        port = "" if self.ports.https == HTTPS_PORT else f":{self.ports.https}"
        return f"https://{self.host}{port}"

    @property
    def url(self) -> str:
        """Return the URL prefix of the web service."""
        return f"{self.origin}/tpi/v1/"

    def principal(self, service: str, host: str | None = None) -> str:
        """Return a service's principal name, realm included.

        Args:
            service: the first component, as `HTTP`.
            host: the second one; default: this host.
        """
        return f"{service}/{host or self.host}@{self.realm}"


def loopback(root: Path, ports: Ports, venv: Path) -> Layout:
    """Return the layout of a realm on loopback, everything below one folder.

    Args:
        root: the folder; its path must be short, since it ends in names of Unix sockets.
        ports: free ports.
        venv: virtual environment for the web service.

    Raises:
        ValueError: `root` is so long that the LDAPI socket's path would not fit.
    """
    socket = root / "run" / "slapd.sock"
    if len(os.fsencode(socket)) > UNIX_SOCKET_PATH_LIMIT:
        raise ValueError(f"{root} is too long for Unix sockets below it; choose a shorter --dir")
    is_root = os.geteuid() == 0
    me = _own_name()
    httpd_user = "www-data" if is_root else me
    return Layout(
        root=root,
        host="localhost",
        ports=ports,
        directory=DirectoryPaths(
            config=root / "dirsrv" / f"slapd-{_instance_name(root)}",
            data=root / "db",
            logs=root / "log" / "dirsrv",
            run=root / "run" / "dirsrv",
            db_home=root / "db" / "home",
            pid_file=root / "run" / "dirsrv" / "slapd.pid",
            socket=socket,
            keytab=root / "dirsrv" / "ldap.keytab",
            user="dirsrv" if is_root else me,
        ),
        kdc=KdcPaths(
            krb5_conf=root / "krb5.conf",
            kdc_conf=root / "kdc" / "kdc.conf",
            stash=root / "kdc" / "stash",
            pid_file=root / "kdc" / "krb5kdc.pid",
            log=f"FILE:{root / 'log' / 'krb5kdc.log'}",
        ),
        httpd=HttpdPaths(
            config=root / "httpd",
            run=root / "run" / "httpd",
            logs=root / "log" / "httpd",
            ccaches=root / "run" / "ccaches",
            keytab=root / "httpd" / "http.keytab",
            certificate=root / "httpd" / "server.crt",
            key=root / "httpd" / "server.key",
            wsgi=root / "httpd" / "tpi.wsgi",
            venv=venv,
            user=httpd_user,
        ),
        product=ProductPaths(
            default_conf=root / "ipa" / "default.conf",
            ca_file=root / "ipa" / "ca.crt",
            web_toml=root / "ipa" / "tpi" / "web.toml",
            executor_toml=root / "ipa" / "tpi" / "executor.toml",
            floor_toml=root / "ipa" / "tpi" / "floor.toml",
            journal=root / "executor" / "journal.sqlite",
            executor_socket=root / "run" / "executor.sock",
            web_audit=f"file:{root / 'log' / 'httpd' / 'audit-web.jsonl'}",
            executor_audit=f"file:{root / 'log' / 'audit-executor.jsonl'}",
            web_user=httpd_user,
            executor_user=me,
            health_user=me,
            tpi_keytab=root / "ipa" / "tpi" / "tpi.keytab",
        ),
        host_keytab=root / "keytabs" / "host.keytab",
        other_keytab=root / "keytabs" / "tpi-other.keytab",
        ca_key=root / "ca" / "ca.key",
    )


def system(host: str = "ipa1.tpi.test") -> Layout:
    """Return the layout of a Debian system: FreeIPA's paths, ipa-tpi's installed paths, well-known ports.

    Args:
        host: the system's full name.
    """
    state = Path("/var/lib/dirsrv") / f"slapd-{INSTANCE}"
    ipa = Path("/etc/ipa")
    return Layout(
        root=Path("/"),
        host=host,
        ports=Ports(ldap=389, kdc=88, https=443, http=80),
        directory=DirectoryPaths(
            config=Path("/etc/dirsrv") / f"slapd-{INSTANCE}",
            data=state,
            logs=Path("/var/log/dirsrv") / f"slapd-{INSTANCE}",
            run=Path("/run/dirsrv"),
            db_home=state / "db",
            pid_file=Path("/run/dirsrv") / f"slapd-{INSTANCE}.pid",
            socket=Path(f"/run/slapd-{INSTANCE}.socket"),
            keytab=Path("/etc/dirsrv/ds.keytab"),
            user="dirsrv",
            secure_port=636,
        ),
        kdc=KdcPaths(
            krb5_conf=Path("/etc/krb5.conf"),
            kdc_conf=Path("/etc/krb5kdc/kdc.conf"),
            stash=Path("/etc/krb5kdc/stash"),
            pid_file=Path("/run/krb5-kdc.pid"),
            log="SYSLOG:INFO:DAEMON",
        ),
        httpd=HttpdPaths(
            config=Path("/etc/apache2/conf-enabled"),
            run=Path("/run/apache2"),
            logs=Path("/var/log/apache2"),
            ccaches=Path("/run/ipa-tpi/ccaches"),
            keytab=Path("/var/lib/ipa/gssproxy/http.keytab"),
            certificate=Path("/var/lib/ipa/certs/httpd.crt"),
            key=Path("/var/lib/ipa/private/httpd.key"),
            wsgi=Path("/usr/share/ipa-tpi/tpi.wsgi"),
            venv=Path("/usr/lib/ipa-tpi/venv"),
            user="www-data",
        ),
        product=ProductPaths(
            default_conf=ipa / "default.conf",
            ca_file=ipa / "ca.crt",
            web_toml=ipa / "tpi" / "web.toml",
            executor_toml=ipa / "tpi" / "executor.toml",
            floor_toml=ipa / "tpi" / "floor.toml",
            journal=Path("/var/lib/ipa-tpi-executor/journal.sqlite"),
            executor_socket=Path("/run/ipa-tpi-executor/executor.sock"),
            web_audit="journald",
            executor_audit="journald",
            web_user="ipatpi-web",
            executor_user="ipatpi-exec",
            health_user="root",
            tpi_keytab=ipa / "tpi" / "tpi.keytab",
        ),
        host_keytab=Path("/etc/krb5.keytab"),
        other_keytab=Path("/var/lib/ipa-tpi-lab/tpi-other.keytab"),
        ca_key=Path("/var/lib/ipa-tpi-lab/ca.key"),
        ca_host=CA_HOST,
    )


def _instance_name(root: Path) -> str:
    """Return a name of its own for each user and folder: the server names a semaphore of the machine after it."""
    return hashlib.sha256(f"{os.geteuid()}:{root}".encode()).hexdigest()[:16]


def _own_name() -> str:
    """Return the name of the effective user; its number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
