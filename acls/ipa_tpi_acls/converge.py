"""Bring a running directory to what ipa-tpi needs; a second run changes nothing.

The order is that of need: schema, entries (each new container together with its ACIs), ACIs, indexes, plugins.
Every part is read, then changed, before the next is read. What fails stops the run; the next one goes on
there.
"""

import argparse
import configparser
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import ldap.ldapobject

from ipa_tpi.errors import BadInputError, ConfigError, TpiError
from ipa_tpi_acls.connection import Directory, connect, root
from ipa_tpi_acls.containers import Entry
from ipa_tpi_acls.memberof import memberof_steps
from ipa_tpi_acls.plan import (
    Modify,
    Step,
    aci_steps,
    entry_steps,
    index_steps,
    plugin_steps,
    plugin_waits,
    schema_steps,
)

DEFAULT_CONF = Path("/etc/ipa/default.conf")

EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_USAGE = 64


@dataclass(frozen=True)
class Change:
    """One change that was made, or would be: part of the directory, entry, and what it is in words."""

    part: str
    dn: str
    what: str


@dataclass(frozen=True)
class Report:
    """What a run did.

    Args:
        changes: the changes in their order; empty if everything was as it has to be.
        restart_needed: the directory server has to be restarted before one voice a person is enforced.
        dry_run: nothing was changed.
    """

    changes: tuple[Change, ...]
    restart_needed: bool
    dry_run: bool


def converge(where: str | ldap.ldapobject.LDAPObject, suffix: str, *, dry_run: bool = False) -> Report:
    """Apply schema, containers, ACIs, indexes and the uniqueness plugin to a running directory.

    Members of groups, roles, privileges and permissions that exist are never removed.

    Args:
        where: an ldapi:// URI, opened with SASL EXTERNAL; or a connection that is bound as Directory Manager.
        suffix: DN of the domain.
        dry_run: only say what would be changed.

    Returns:
        What was changed.

    Raises:
        ConfigError: the directory is not one that this can be applied to, or the caller is not root.
        DirectoryUnavailableError: it does not answer.
        TpiError: it refused a change.
    """
    if not isinstance(where, str):
        return _converge(root(where), suffix, dry_run=dry_run)
    with connect(where) as directory:
        return _converge(directory, suffix, dry_run=dry_run)


def run(argv: Sequence[str]) -> int:
    """Run the command `ipa-tpi converge` by itself.

    Args:
        argv: the arguments after the verb.

    Returns:
        The exit status: 0 done, 1 error, 64 usage.
    """
    try:
        return command(argv)
    except TpiError as error:
        sys.stderr.write(f"ipa-tpi: ERROR: {error}\n")
        return EXIT_USAGE if isinstance(error, BadInputError) else EXIT_ERROR


def command(argv: Sequence[str]) -> int:
    """Run the command `ipa-tpi converge` below a program that tells its errors.

    Args:
        argv: the arguments after the verb.

    Returns:
        The exit status: 0.

    Raises:
        BadInputError: the arguments are not understood.
        TpiError: as `converge`.
    """
    try:
        options = _parser().parse_args(argv)
    except SystemExit:  # after --help
        return EXIT_DONE
    uri, suffix = _place(options.ldap_uri, options.suffix)
    try:
        report = converge(uri, suffix, dry_run=options.dry_run)
    except TpiError as error:
        if os.geteuid() == 0:
            raise
        raise ConfigError(
            "only root on a server of the domain can do this, and you are not root. Log in there and "
            f"run: sudo ipa-tpi converge (here: {error.message})"
        ) from error
    sys.stdout.write(_as_json(report) if options.json else _as_text(report))
    return EXIT_DONE


def _converge(directory: Directory, suffix: str, *, dry_run: bool) -> Report:
    """Compare part by part, and apply."""
    parts: tuple[Callable[[], Iterable[Step]], ...] = (
        lambda: schema_steps(directory),
        lambda: entry_steps(directory, suffix),
        lambda: aci_steps(directory, suffix),
        lambda: index_steps(directory, suffix),
        lambda: memberof_steps(directory, suffix),
        lambda: plugin_steps(directory),
    )
    made: list[Step] = []
    for part in parts:
        steps = tuple(part())
        if not dry_run:
            for step in steps:
                _apply(directory, step)
        made += steps
    return Report(
        changes=tuple(Change(step.part, step.dn, step.what) for step in made),
        restart_needed=plugin_waits(directory),
        dry_run=dry_run,
    )


def _apply(directory: Directory, step: Step) -> None:
    """Make one change."""
    operation = step.operation
    if isinstance(operation, Entry):
        directory.add(operation)
    elif isinstance(operation, Modify):
        directory.modify(operation.dn, list(operation.changes))
    else:
        directory.reindex(operation.backend, operation.attributes)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise BadInputError(f"{message}. See 'ipa-tpi converge --help'.")


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="ipa-tpi converge",
        description="Apply ipa-tpi's schema, containers, ACIs, indexes and plugin to the local directory.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be changed")
    parser.add_argument("--ldap-uri", metavar="URI", help="ldapi:// URI of the local directory server")
    parser.add_argument("--suffix", metavar="DN", help="suffix of the domain, for example dc=example,dc=test")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _place(uri: str | None, suffix: str | None) -> tuple[str, str]:
    """Fill what was not given from /etc/ipa/default.conf.

    Raises:
        ConfigError: it is not there either.
    """
    if uri and suffix:
        return uri, suffix
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read_string(DEFAULT_CONF.read_text(encoding="utf-8"), source=str(DEFAULT_CONF))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigError(f"{DEFAULT_CONF} cannot be read ({error}); give --ldap-uri and --suffix") from error
    uri = uri or settings.get("global", "ldap_uri", fallback="")
    suffix = suffix or settings.get("global", "basedn", fallback="")
    if not uri or not suffix:
        raise ConfigError(f"{DEFAULT_CONF} lacks ldap_uri or basedn; give --ldap-uri and --suffix")
    return uri, suffix


def _as_text(report: Report) -> str:
    """Return the report for people."""
    verb = "would: " if report.dry_run else ""
    lines = [f"{verb}{change.part}: {change.dn}: {change.what}" for change in report.changes]
    if not lines:
        lines = ["nothing to change"]
    if report.restart_needed:
        lines.append("restart the directory server: it has not loaded the plugin that counts voices yet")
    return "\n".join(lines) + "\n"


def _as_json(report: Report) -> str:
    """Return the report for programs."""
    changes = [{"part": one.part, "dn": one.dn, "what": one.what} for one in report.changes]
    body = {"changes": changes, "restart_needed": report.restart_needed, "dry_run": report.dry_run}
    return json.dumps(body, indent=2) + "\n"
