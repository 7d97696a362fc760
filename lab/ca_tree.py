"""The layer with the CA itself: made once by pkispawn in a container that is booted, then only copied over.

Takes a minute; depends on Dogtag's packages and on `lab.ca_spawn`, and on nothing else of ours.
"""

import ast
import shutil
import subprocess
from pathlib import Path

from lab import base, box_container, box_enter, ca_base, ca_spawn
from lab.base import CACHE, build_once, checked
from lab.box_container import Plan
from lab.box_system import MASKED
from lab.files import write

# Raise it when what this file does changes.
VERSION = 1
# No name that a box could have: it starts with a digit, but here one is needed that the laboratory takes.
CONTAINER = "pkispawn"
SCRIPT = Path("root/ca_spawn.py")
# What packages enable and the CA does not need; a host of the laboratory enables what it runs.
_NOT_YET = ("apache2", "gssproxy", "krb5-kdc", "krb5-admin-server", "sssd")


def ca_layers() -> tuple[Path, ...]:
    """Return the layers (upper first) of Debian with a CA and the service's virtual environment.

    Raises:
        BuildError: pkispawn failed; what it prints says where the log is.
    """
    runtime, pki, tree = ca_base.pki_layers()
    made = build_once(CACHE / ca_name(), lambda target: _spawn((pki, tree), target))
    return made, runtime, pki, tree


def ca_name() -> str:
    """Return the name of the layer with the CA, which need not exist."""
    # What it does, whatever is said about it in comments.
    script = ast.dump(ast.parse(Path(ca_spawn.__file__).read_text(encoding="utf-8")))
    return f"ca-{base.digest([str(VERSION), ca_base.pki_name(), script])}"


def _spawn(lower: tuple[Path, ...], target: Path) -> None:
    box_container.clear(CONTAINER)
    plan = Plan(CONTAINER, lower, binds=(), host=ca_spawn.HOST, prepare=_prepare, kept=target)
    box = box_container.start(plan)
    try:
        command = ["/usr/bin/python3", "-I", f"/{SCRIPT}"]
        checked(box_enter.command_line(box, command), log=CACHE / "ca.log", env=base.CLEAN_ENVIRONMENT)
    finally:
        box_container.stop(box, poweroff=True)
    shutil.rmtree(target.with_suffix(".work"))
    for journal in (target / "var/log/journal", target / "run"):
        shutil.rmtree(journal, ignore_errors=True)


def _prepare(root: Path) -> None:
    """Give the tree its name, and keep what is not needed from starting."""
    short = ca_spawn.HOST.partition(".")[0]
    write(root / "etc/hostname", f"{ca_spawn.HOST}\n")
    write(root / "etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n127.0.0.1 {ca_spawn.HOST} {short}\n")
    shutil.copyfile(ca_spawn.__file__, root / SCRIPT)
    systemctl = ["systemctl", f"--root={root}", "--quiet"]
    subprocess.run([*systemctl, "mask", *MASKED], check=True)
    subprocess.run([*systemctl, "disable", *_NOT_YET], check=True)
