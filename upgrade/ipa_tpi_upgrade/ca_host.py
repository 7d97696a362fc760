"""All steps that a host with Dogtag needs, in the order in which they are made."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from ipa_tpi_upgrade.authz import Instance, authz_step
from ipa_tpi_upgrade.connectors import ajp_step
from ipa_tpi_upgrade.contexts import context_step
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.sssd import DECLARATION, infopipe_step, read_wishes

UNIT = "pki-tomcatd@pki-tomcat.service"
_SUBSYSTEMS = ("ca", "kra")
_SECONDS = 30.0


def tomcat_is_stopped() -> bool:
    """Ask systemd; whatever is no clear answer means no."""
    command = ["systemctl", "show", "--property=ActiveState", "--value", UNIT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() in {"inactive", "failed"}


def steps(
    realm: str, *, is_stopped: Callable[[], bool] = tomcat_is_stopped, declaration: Path = DECLARATION
) -> tuple[FileStep, ...]:
    """Return the steps that apply to this host.

    Args:
        realm: Kerberos realm.
        is_stopped: Tells whether Dogtag's Tomcat is certainly not running.
        declaration: What SSSD has to give.

    Returns:
        None where there is no Dogtag. A KRA need not be there.

    Raises:
        ConfigError: the declaration is not the one that ships.
        UnavailableError: it cannot be read.
    """
    connectors = ajp_step()
    if not connectors.applies():
        return ()
    dogtag = [
        step
        for subsystem in _SUBSYSTEMS
        for step in (
            context_step(subsystem, is_stopped=is_stopped),
            authz_step(subsystem, Instance(realm), is_stopped=is_stopped),
        )
    ]
    found = (infopipe_step(read_wishes(realm, declaration)), connectors, *dogtag)
    return tuple(step for step in found if step.applies())
