"""``ipa-tpi dogtag acls show|diff|apply``: for root on a CA's host."""

import argparse
import configparser
import json
import sys
from pathlib import Path
from typing import Final, NoReturn

from ipa_tpi.config import read_floor
from ipa_tpi.errors import BadInputError, ConfigError
from ipa_tpi_acls.connection import connect
from ipa_tpi_acls.dogtag.declaration import OPERATIONS
from ipa_tpi_acls.dogtag.entry import apply, compare
from ipa_tpi_acls.dogtag.generate import acl_values
from ipa_tpi_acls.dogtag.resources import compare as compare_resources
from ipa_tpi_acls.dogtag.resources import read_properties
from ipa_tpi_acls.dogtag.subsystems import SUBSYSTEMS, Subsystem, demand_searched

_DEFAULT_CONF: Final = Path("/etc/ipa/default.conf")
_FLOOR: Final = "/etc/ipa/tpi/floor.toml"
_DIFFERENT: Final = 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise BadInputError(f"{message}. See 'ipa-tpi dogtag acls --help'.")


def command(arguments: list[str]) -> int:
    """Run it.

    Args:
        arguments: What follows ``ipa-tpi dogtag``.

    Returns:
        0; 1 where ``diff`` found a difference.

    Raises:
        ConfigError: A setting is missing, this Dogtag has resources that the declaration does not know, or it
            judges people of the realm by another entry.
        DirectoryUnavailableError: The directory did not answer.
    """
    options = _parser().parse_args(arguments)
    suffix = options.suffix or _setting("basedn", "--suffix")
    controlled = _controlled(options.controlled)
    subsystem = SUBSYSTEMS[options.subsystem]
    _demand_known(subsystem, options.acl_properties or subsystem.properties())
    wanted = acl_values(subsystem.grants, suffix, controlled)
    if options.deed == "show":
        sys.stdout.write(_shown(wanted, controlled, as_json=options.json))
        return 0
    demand_searched(subsystem.configuration)
    with connect(options.ldap_uri or _setting("ldap_uri", "--ldap-uri")) as directory:
        difference = compare(directory, options.base or subsystem.base, wanted)
        written = options.deed == "apply" and apply(directory, difference)
    if options.json:
        told = {
            "dn": difference.dn,
            "add": sorted(set(wanted) - set(difference.present or ())),
            "remove": sorted(set(difference.present or ()) - set(wanted)),
            "written": written,
            "restart_needed": written,
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write(difference.text() or f"{difference.dn}: nothing to change\n")
        if written:
            sys.stdout.write(
                "written; Dogtag reads it when it starts: systemctl restart pki-tomcatd@pki-tomcat\n"
            )
    return _DIFFERENT if options.deed == "diff" and not difference.same else 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ipa-tpi dogtag",
        description="Keeps the ACLs by which Dogtag judges people who come by Kerberos.",
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="acls")
    deeds = parts.add_parser("acls", help="the ACLs for the realm").add_subparsers(
        dest="deed", required=True, metavar="show|diff|apply"
    )
    for name, text in (
        ("show", "print what the ACLs should be"),
        ("diff", "compare them with the directory; exit status 1 where they differ"),
        ("apply", "write them; Dogtag has to be restarted afterwards"),
    ):
        deed = deeds.add_parser(name, help=text, description=text)
        deed.add_argument("--ldap-uri", metavar="URI", help="ldapi:// URI of Dogtag's database")
        deed.add_argument(
            "--suffix", metavar="DN", help="suffix of the domain, for example dc=example,dc=test"
        )
        deed.add_argument(
            "--subsystem",
            metavar="NAME",
            choices=sorted(SUBSYSTEMS),
            default="ca",
            help="of Dogtag: ca or kra (default: ca)",
        )
        deed.add_argument(
            "--base", metavar="DN", help="the subsystem's base DN (default: o=ipaca, o=kra,o=ipaca)"
        )
        deed.add_argument(
            "--controlled",
            metavar="OPERATIONS",
            help="operations under two-person control, with commas between, or none or all (default: the floor's)",
        )
        deed.add_argument(
            "--acl-properties",
            metavar="FILE",
            type=Path,
            help="the subsystem's own list of resources (default: Dogtag's)",
        )
        deed.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _setting(name: str, option: str) -> str:
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read_string(_DEFAULT_CONF.read_text(encoding="utf-8"), source=str(_DEFAULT_CONF))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigError(f"{_DEFAULT_CONF} cannot be read ({error}); give {option}") from error
    value = settings.get("global", name, fallback="")
    if not value:
        raise ConfigError(f"{_DEFAULT_CONF} lacks {name}; give {option}")
    return value


def _controlled(text: str | None) -> frozenset[str]:
    if text is None:
        return _on_floor(frozenset(read_floor(_FLOOR).operations))
    if text in {"none", "all"}:
        return OPERATIONS if text == "all" else frozenset()
    names = frozenset(text.split(","))
    unknown = sorted(names - OPERATIONS)
    if unknown:
        raise BadInputError(
            f"there is no operation {unknown[0]!a} of Dogtag; there are: {', '.join(sorted(OPERATIONS))}"
        )
    return names


def _on_floor(names: frozenset[str]) -> frozenset[str]:
    """Give those of Dogtag; what only looks like one of them would leave its resource to one person alone."""
    unknown = sorted(name for name in names - OPERATIONS if "dogtag" in name.lower())
    if unknown:
        raise ConfigError(
            f"{_FLOOR} has {unknown[0]!a}, which is no operation of Dogtag; correct it. "
            f"There are: {', '.join(sorted(OPERATIONS))}"
        )
    return names & OPERATIONS


def _demand_known(subsystem: Subsystem, path: Path) -> None:
    differences = list(compare_resources(subsystem.grants, read_properties(path)))
    if differences:
        raise ConfigError(
            f"{path} and ipa-tpi's declaration differ: {'; '.join(differences)}. "
            "Nothing is written; update ipa-tpi or report it."
        )


def _shown(wanted: tuple[str, ...], controlled: frozenset[str], *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"controlled": sorted(controlled), "acls": list(wanted)}, indent=2) + "\n"
    return "".join(f"{value}\n" for value in wanted)
