"""Turns a tree with a CA and our code into a CA host of the realm; runs inside the tree, which is not booted.

What is different in every realm, keys and certificates, is not in the tree: a host gets it when it starts (`lab.ca`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ipa_tpi_upgrade.command import main as upgrade
from ipa_tpi_upgrade.sssd import DECLARATION
from lab import box_steps, box_system, ca_network, ca_settings, kdc, processes
from lab.box_state import REPORT, TROUBLE
from lab.ca_spawn import INSTANCE, LDAPI
from lab.files import make_folder, write
from lab.layout import Layout, system

SERVICES = (
    "apache2.service",
    "sssd.service",
    f"dirsrv@{INSTANCE}.service",
    "pki-tomcatd.target",
    "ipa-tpi-executor.service",
    "ipa-tpi-certval.socket",
)
# What FreeIPA's name for it has Dogtag start before it issues.
_ASKS = "ipa-pki-validate-cert-request"
_TOMCAT = Path("/etc/pki/pki-tomcat")
_SLAPD_SOCKET = Path(f"/run/slapd-{INSTANCE}.socket")
_PATIENCE_SECONDS = 30.0
# People are looked up over the network, which is there before the host starts.
_SSSD_DROP_IN = "[Unit]\nBefore=apache2.service\n"


def main() -> int:
    """Carry out all steps and return the exit status."""
    layout = system()
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("name", lambda: _name(layout)),
        ("accounts", _make_accounts),
        ("programs", _install_programs),
        ("units", _install_units),
        ("realm", lambda: _join_realm(layout)),
        ("apache", lambda: _configure_apache(layout)),
        ("executor", lambda: _configure_executor(layout)),
        ("connectors", _enable_connectors),
        ("parameters", _set_parameters),
        ("steps", lambda: _apply_steps(layout)),
        ("acls", lambda: _add_acls(layout)),
    )
    for name, step in steps:
        started = time.monotonic()
        step()
        print(f"{name}: {time.monotonic() - started:.2f} s", flush=True)
    trouble = os.environ.get(TROUBLE, "")
    write(REPORT, f"{trouble}\n" if trouble else "")
    return 0


def _name(layout: Layout) -> None:
    box_system.name_machine(layout.ca_host)
    write(Path("/etc/hosts"), ca_network.hosts_file())


def _make_accounts() -> None:
    shipped = box_system.SHIPPED
    box_system.install_file(shipped / "ipa-tpi-ca.sysusers.conf", Path("/usr/lib/sysusers.d/ipa-tpi-ca.conf"))
    box_system.install_file(shipped / "ipa-tpi-ca.tmpfiles.conf", Path("/usr/lib/tmpfiles.d/ipa-tpi-ca.conf"))
    box_system.make_service_accounts()


def _install_programs() -> None:
    box_system.link_programs()
    box_system.install_file(Path("/src/validator") / _ASKS, Path("/usr/libexec/ipa") / _ASKS, mode=0o755)


def _install_units() -> None:
    box_system.install_shipped_units()
    units = box_system.UNITS
    write(units / "dirsrv@.service.d" / "lab.conf", box_system.DIRSRV_DROP_IN)
    write(units / "sssd.service.d" / "lab.conf", _SSSD_DROP_IN)
    # sssd.conf names the services; their sockets would start them a second time.
    sockets = sorted(path.name for path in Path("/lib/systemd/system").glob("sssd-*.socket"))
    _run("systemctl", "mask", *sockets)
    _run("systemctl", "enable", *SERVICES)


def _join_realm(layout: Layout) -> None:
    """Write what a client of the domain has, but for its keys."""
    write(Path("/etc/krb5.conf"), kdc.krb5_conf(layout))
    write(Path("/etc/sssd/sssd.conf"), ca_settings.sssd_conf(layout), mode=0o600)
    domain = layout.realm.lower()
    lines = {
        "realm": layout.realm,
        "basedn": layout.suffix,
        "domain": domain,
        "server": layout.host,
        "host": layout.ca_host,
        "ldap_uri": f"ldaps://{layout.host}",
        "tls_ca_cert": str(layout.product.ca_file),
    }
    text = "".join(f"{name} = {value}\n" for name, value in lines.items())
    write(layout.product.default_conf, f"[global]\n{text}")


def _configure_apache(layout: Layout) -> None:
    _run("a2enmod", "-q", *ca_settings.APACHE_MODULES)
    _run("a2dissite", "-q", "000-default")
    # Whose certificate the RA agent has.
    database = [
        "certutil",
        "-L",
        "-d",
        str(_TOMCAT / "alias"),
        "-n",
        "caSigningCert cert-pki-tomcat CA",
        "-a",
    ]
    chain = subprocess.run(database, check=True, capture_output=True, text=True).stdout
    write(Path(ca_settings.AUTHORITY), chain)
    for path, content in ca_settings.apache_files(layout).items():
        # One holds the secret by which Dogtag believes whatever comes with it.
        write(path, content, mode=0o600 if path.parent.name == "tpi" else 0o644)


def _configure_executor(layout: Layout) -> None:
    """Write what our programs read, and make the executor's journal and the polkit rule of its floor.

    Raises:
        RuntimeError: one of the executor's commands failed.
    """
    for path, content in ca_settings.product_files(layout).items():
        write(path, content)
    # Its key comes when the host starts; owners then are as shipped.
    _run("systemd-tmpfiles", "--create", "ipa-tpi.conf")
    for attempt in (box_steps.make_journal, box_steps.render_polkit_rules):
        trouble = attempt(layout)
        if trouble:
            raise RuntimeError(trouble)


def _enable_connectors() -> None:
    """Take the AJP connectors out of their comment, as pkispawn does where FreeIPA asks for them (pki_enable_proxy)."""
    path = _TOMCAT / "server.xml"
    text = path.read_text(encoding="utf-8")
    before, mark, rest = text.partition(ca_settings.CONNECTORS_COMMENT)
    if not mark:
        raise RuntimeError(f"{path} has no AJP connectors in a comment: is this another Dogtag?")
    connectors, _, after = rest.partition("-->")
    path.write_text(f"{before}{mark.removesuffix('<!--')}{connectors}{after}", encoding="utf-8")


def _set_parameters() -> None:
    for subsystem in ca_settings.SUBSYSTEMS:
        parameters = ca_settings.parameters(subsystem)
        path = _TOMCAT / subsystem / "CS.cfg"
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in parameters]
        added = [f"{name}={value}" for name, value in parameters.items()]
        path.write_text("\n".join([*kept, *added]) + "\n", encoding="utf-8")


def _apply_steps(layout: Layout) -> None:
    """Let the product's own steps change what the site has, as an administrator does; nothing runs in this tree yet."""
    write(DECLARATION, ca_settings.DECLARATION.read_text(encoding="utf-8"))
    if upgrade(["--realm", layout.realm, "apply"], is_stopped=lambda: True) != 0:
        raise RuntimeError(
            "the steps of ipa_tpi_upgrade did not make this a CA host; what they said stands above"
        )


def _add_acls(layout: Layout) -> None:
    """Write the ACLs to Dogtag's directory, which is started for that and stopped in order."""
    make_folder(Path("/run/dirsrv"), owner="dirsrv", mode=0o770)
    make_folder(Path("/run/lock/dirsrv") / f"slapd-{INSTANCE}", owner="dirsrv", mode=0o770)
    logs = Path("/var/log/dirsrv") / f"slapd-{INSTANCE}"
    pid_file = f"/run/dirsrv/slapd-{INSTANCE}.pid"
    slapd = ["/usr/sbin/ns-slapd", "-D", f"/etc/dirsrv/slapd-{INSTANCE}", "-i", pid_file, "-d", "0"]
    log = logs / "provisioning"
    server = processes.start(slapd, os.environ, log, logs)
    try:
        answers = partial(processes.accepts, _SLAPD_SOCKET)
        processes.wait_until(answers, server, "Dogtag's directory", log, _PATIENCE_SECONDS)
        for command in ca_settings.acl_commands(layout, LDAPI):
            _run(*command)
    finally:
        processes.stop(server, patience_seconds=_PATIENCE_SECONDS)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
