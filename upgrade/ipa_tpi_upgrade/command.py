"""`python -m ipa_tpi_upgrade diff|apply|verify|rollback|apache`: for root on a host with Dogtag, until there is `ipa-tpi upgrade`."""

import argparse
import configparser
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ipa_tpi.errors import ConfigError, TpiError
from ipa_tpi_upgrade import ca_host, records
from ipa_tpi_upgrade.delegation import delegation
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.sssd import DECLARATION

_DEFAULT_CONF = Path("/etc/ipa/default.conf")
_NEXT = "read when they start: systemctl restart sssd; systemctl restart pki-tomcatd@pki-tomcat\n"


def main(
    arguments: Sequence[str] | None = None,
    is_stopped: Callable[[], bool] = ca_host.tomcat_is_stopped,
    settings: Path = _DEFAULT_CONF,
) -> int:
    """Carry out one command line.

    Args:
        arguments: What follows the program's name.
        is_stopped: Tells whether Dogtag's Tomcat is certainly not running.
        settings: FreeIPA's own, for what the command line leaves out.

    Returns:
        0; 1 where `diff` or `verify` found something, or on an error, which is told on standard error.
    """
    options = _parser().parse_args(arguments)
    try:
        realm = options.realm or _setting(settings, "realm")
        if options.deed == "apache":
            sys.stdout.write(apache(options.host or _setting(settings, "host"), realm))
            return 0
        steps = ca_host.steps(realm, is_stopped=is_stopped, declaration=options.declaration)
        if options.deed == "apply":
            return apply(steps, options.records)
        if options.deed == "rollback":
            return rollback(steps, options.records)
        return diff(steps) if options.deed == "diff" else verify(steps)
    except TpiError as error:
        sys.stderr.write(f"ipa_tpi_upgrade: ERROR: {error.message}\n")
        return 1


def diff(steps: tuple[FileStep, ...]) -> int:
    """Show what `apply` would change, and change nothing."""
    plans = [step.plan() for step in steps]
    for plan in plans:
        sys.stdout.write(plan.diff or f"{plan.step}: {plan.path}: nothing to change\n")
    return int(any(not plan.is_empty for plan in plans))


def apply(steps: tuple[FileStep, ...], folder: Path = records.FOLDER) -> int:
    """Make every step, each written down before; the first that is refused ends it."""
    changed = False
    for step in steps:
        plan = step.plan()
        if plan.is_empty:
            sys.stdout.write(f"{plan.step}: {plan.path}: nothing to change\n")
            continue
        record = records.keep(plan, folder)  # R-D15
        try:
            step.apply(plan)
        except TpiError:
            records.forget(record)  # the file is as it was
            raise
        changed = True
        sys.stdout.write(f"{plan.step}: {plan.path}: changed\n")
    sys.stdout.write(_NEXT * changed)
    return verify(steps)


def verify(steps: tuple[FileStep, ...]) -> int:
    """Tell what is not as it has to be."""
    wrong = [line for step in steps for line in step.verify()]
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    return int(bool(wrong))


def rollback(steps: tuple[FileStep, ...], folder: Path = records.FOLDER) -> int:
    """Take back everything that was written down, the last first."""
    known = {(step.id, str(step.path)): step for step in steps}
    changed = False
    for record, plan in records.kept(folder):
        step = known.get((plan.step, plan.path))
        if step is None:
            raise ConfigError(
                f"{record} is about {plan.path}, which no step of this host changes. Is the file gone? Move the record away."
            )
        step.rollback(plan)
        records.forget(record)
        changed = True
        sys.stdout.write(f"{plan.step}: {plan.path}: taken back\n")
    sys.stdout.write(_NEXT if changed else "nothing to take back\n")
    return 0


def apache(host: str, realm: str) -> str:
    """Return what a site sets for Apache, as far as it follows from the host's name."""
    found = delegation(f"HTTP/{host}", f"tpi/{host}@{realm}")  # R-D16
    return f"Define TPI_CA_HOST {host}\nDefine TPI_CA_DELEGATION {found}\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ipa_tpi_upgrade",
        description="Changes the configuration of SSSD, Tomcat and Dogtag on this host so that people are known there "
        "by their own tickets; shows it first, and takes it back.",
    )
    parser.add_argument(
        "--realm", metavar="REALM", help="Kerberos realm (default: that of /etc/ipa/default.conf)"
    )
    parser.add_argument("--host", metavar="HOST", help="this host's full name (default: likewise)")
    parser.add_argument(
        "--declaration",
        metavar="FILE",
        type=Path,
        default=DECLARATION,
        help=f"what SSSD has to give (default: {DECLARATION})",
    )
    parser.add_argument(
        "--records",
        metavar="FOLDER",
        type=Path,
        default=records.FOLDER,
        help=f"where the plans are kept (default: {records.FOLDER})",
    )
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="diff|apply|verify|rollback|apache")
    for name, text in (
        ("diff", "show what would be changed; exit status 1 where something would be"),
        ("apply", "change it; SSSD and Dogtag read it when they start"),
        ("verify", "tell what is not as it has to be; exit status 1 where something is not"),
        ("rollback", "take back everything that was changed"),
        ("apache", "print the lines of /etc/ipa/tpi/ca-httpd.conf that follow from this host's name"),
    ):
        deeds.add_parser(name, help=text, description=text)
    return parser


def _setting(path: Path, name: str) -> str:
    found = configparser.ConfigParser(interpolation=None)
    try:
        found.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigError(f"{path} cannot be read ({error}); give --{name}") from error
    value = found.get("global", name, fallback="")
    if not value:
        raise ConfigError(f"{path} lacks {name}; give --{name}")
    return value
