"""Provisioning of a box that has nothing to do with the realm: accounts, names, units.

Runs inside the golden tree while nothing in it is started yet.
"""

import shutil
import subprocess
from pathlib import Path

from lab.box_state import SERVICES, SOCKETS
from lab.files import write
from lab.layout import INSTANCE
from lab.people import PEOPLE

SHIPPED = Path("/src/systemd")
PROGRAMS = Path("/src/libexec")
LIBEXEC = Path("/usr/libexec/ipa-tpi")
UNITS = Path("/etc/systemd/system")
# Units that a box has no use for, or that would fail in it.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "krb5-admin-server.service",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
)
APACHE_MODULES = ("allowmethods", "auth_gssapi", "authz_user", "headers", "reqtimeout", "ssl", "wsgi")
# The laboratory restarts a directory server far oftener than a site would; systemd's limit is 5 in 10 s.
DIRSRV_DROP_IN = """\
[Unit]
StartLimitIntervalSec=0

[Service]
TimeoutStartSec=60
TimeoutStopSec=30
"""
# The KDC's database is the directory: it cannot start before it.
KDC_DROP_IN = f"""\
[Unit]
Wants=dirsrv@{INSTANCE}.service
After=dirsrv@{INSTANCE}.service
StartLimitIntervalSec=0
"""
# Something to start, stop, restart and reload: it notes in its own folder when it was told to reload.
SAMPLE_UNIT = """\
[Unit]
Description=a service that does nothing, for the operations on units
StartLimitIntervalSec=0

[Service]
DynamicUser=yes
RuntimeDirectory=sample
ExecStart=/usr/bin/sleep infinity
ExecReload=/usr/bin/touch /run/sample/reloaded
"""
# Something that takes its time.
SLOW_UNIT = """\
[Unit]
Description=a service that starts slowly, for what must not wait for it
StartLimitIntervalSec=0

[Service]
DynamicUser=yes
ExecStartPre=/usr/bin/sleep 6
ExecStart=/usr/bin/sleep infinity
"""
RUN_FOLDERS = """\
d /run/dirsrv 0770 dirsrv dirsrv -
d /run/dirsrv/lock 0770 dirsrv dirsrv -
d /run/dirsrv/DS01 0770 dirsrv dirsrv -
d /run/dirsrv/DS01/lock 0770 dirsrv dirsrv -
"""


def name_machine(host: str) -> None:
    """Give the system its name and let it find itself without DNS."""
    short = host.partition(".")[0]
    write(Path("/etc/hostname"), f"{host}\n")
    write(Path("/etc/hosts"), f"127.0.0.1 localhost\n127.0.0.1 {host} {short}\n::1 localhost\n")
    # An empty machine id: each box makes its own at its first start.
    write(Path("/etc/machine-id"), "", mode=0o444)


def make_accounts() -> None:
    """Make the service's accounts and those of the people, as on a client of the domain."""
    make_service_accounts()
    for number, person in enumerate(PEOPLE, start=10001):
        # Debian's own names end up in lower case; Heidi exists in the directory only.
        if person.uid.islower():
            _run("groupadd", "--gid", str(number), person.uid)
            _run("useradd", "-m", "-u", str(number), "-g", str(number), "-s", "/bin/bash", person.uid)


def make_service_accounts() -> None:
    """Make the accounts that our programs run under."""
    install_file(SHIPPED / "ipa-tpi.sysusers.conf", Path("/usr/lib/sysusers.d/ipa-tpi.conf"))
    _run("systemd-sysusers")


def install_units() -> None:
    """Install the units that ship, the laboratory's drop-ins, and enable what a server runs."""
    install_shipped_units()
    write(UNITS / "dirsrv@.service.d" / "lab.conf", DIRSRV_DROP_IN)
    write(UNITS / "sample.service", SAMPLE_UNIT)
    write(UNITS / "slow@.service", SLOW_UNIT)
    write(UNITS / "krb5-kdc.service.d" / "lab.conf", KDC_DROP_IN)
    write(Path("/etc/tmpfiles.d/ipa-tpi-lab.conf"), RUN_FOLDERS)
    _run("systemctl", "mask", *MASKED)
    _run("systemctl", "enable", *SERVICES, *SOCKETS)


def install_shipped_units() -> None:
    """Install the units that ship, and enable none of them."""
    install_file(SHIPPED / "ipa-tpi.tmpfiles.conf", Path("/usr/lib/tmpfiles.d/ipa-tpi.conf"))
    for unit in (*SHIPPED.glob("*.service"), *SHIPPED.glob("*.socket"), *SHIPPED.glob("*.timer")):
        install_file(unit, Path("/usr/lib/systemd/system") / unit.name)
    for drop_in in SHIPPED.glob("*.d/*.conf"):
        install_file(drop_in, UNITS / drop_in.parent.name / drop_in.name)


def configure_apache() -> None:
    """Let Debian's Apache load what our configuration needs, and serve nothing else."""
    _run("a2enmod", "-q", *APACHE_MODULES)
    _run("a2dissite", "-q", "000-default")


def apply_tmpfiles() -> None:
    """Make the folders and set the owners that tmpfiles.d names."""
    for shown in ("ipa-tpi.conf", "ipa-tpi-lab.conf"):
        _run("systemd-tmpfiles", "--create", shown)


def link_programs() -> None:
    """Put our programs where they are installed."""
    venv = Path("/usr/lib/ipa-tpi/venv/bin")
    for place, program in (
        (Path("/usr/bin/ipa-tpi"), "ipa-tpi"),
        (LIBEXEC / "ipa-tpi-executor", "ipa-tpi-executor"),
        (LIBEXEC / "ipa-tpi-validate", "ipa-tpi-validate"),
        (LIBEXEC / "ipa-tpi-certval", "ipa-tpi-certval"),
        (LIBEXEC / "ipa-tpi-expiry", "ipa-tpi-expiry"),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(venv / program)
    for source in PROGRAMS.glob("*/*"):
        install_file(source, LIBEXEC / source.parent.name / source.name, mode=0o755)


def install_file(source: Path, target: Path, mode: int = 0o644) -> None:
    """Install one file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
