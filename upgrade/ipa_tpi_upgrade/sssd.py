"""sssd.conf for mod_lookup_identity: InfoPipe on, Apache let in, people's roles readable (D03).

What has to be, and what is left alone:

1. `[sssd] services` holds ifp. Where it is missing or empty, responders are started by their sockets: left alone.
2. `[ifp] allowed_uids` holds root, Apache's user, and ipaapi where there is one, by name or number.
3. `[ifp] user_attributes` holds +roles. `-roles` is a prohibition, and is refused.
4. `ldap_user_extra_attrs` of the one active domain of our realm holds roles:memberOf. Another mapping of `roles`
   is refused: Dogtag's ACLs would see groups that are none.

These values are declared in `sssd/ipa-tpi.conf`, which ships.

Files in conf.d win over sssd.conf. Where one of them sets such an option to less, the step refuses and names it.
"""

import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade import files, ini, items
from ipa_tpi_upgrade.difference import redact_lines
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.step import Change, Kind

STEP = "sssd.infopipe"
DECLARATION = Path("/usr/share/ipa-tpi/sssd.conf")
_DECLARED = {
    "sssd": {"services"},
    "ifp": {"allowed_uids", "user_attributes"},
    "domain": {"ldap_user_extra_attrs"},
}
_PROVIDERS = frozenset({"ipa", "ldap"})


@dataclass(frozen=True)
class Wishes:
    """What InfoPipe has to give, and to whom.

    Args:
        realm: Kerberos realm of the domain.
        services: SSSD's services.
        accounts: Who may ask, with their uids.
        attributes: Names under which people's attributes are given, with the directory's attribute of each.
    """

    realm: str
    services: tuple[str, ...]
    accounts: Mapping[str, int]
    attributes: tuple[tuple[str, str], ...]


def read_wishes(realm: str, path: Path = DECLARATION) -> Wishes:
    """Read what has to be, as it ships in `sssd/ipa-tpi.conf`.

    Args:
        realm: Kerberos realm of the domain.
        path: The declaration.

    Returns:
        That, with those of the accounts that this host has.

    Raises:
        ConfigError: it says something else, or less, than such a file does.
        UnavailableError: it cannot be read.
    """
    found = {section: lines for section, lines in ini.settings(files.read(path).data).items() if lines}
    if {section: set(lines) for section, lines in found.items()} != _DECLARED:
        known = "; ".join(f"[{section}] {', '.join(sorted(keys))}" for section, keys in _DECLARED.items())
        raise ConfigError(f"{path} has to set these and nothing else: {known}. Install it again.")
    given = items.parts(found["ifp"]["user_attributes"], Kind.LIST)
    pairs = (item.partition(":") for item in items.parts(found["domain"]["ldap_user_extra_attrs"], Kind.LIST))
    attributes = tuple((name.strip(), attribute.strip()) for name, _, attribute in pairs)
    if tuple(f"+{name}" for name, _ in attributes) != given or not all(each for _, each in attributes):
        raise ConfigError(
            f"{path} maps other attributes ([domain] ldap_user_extra_attrs) than it gives ([ifp] user_attributes). "
            "Install it again."
        )
    services = items.parts(found["sssd"]["services"], Kind.LIST)
    accounts = accounts_here(items.parts(found["ifp"]["allowed_uids"], Kind.LIST))
    return Wishes(realm, services, accounts, attributes)


def accounts_here(names: tuple[str, ...]) -> dict[str, int]:
    """Return those of some accounts that this host has, with their uids."""
    found: dict[str, int] = {}
    for name in names:
        try:
            found[name] = pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return found


def infopipe_step(
    wishes: Wishes, path: Path = Path("/etc/sssd/sssd.conf"), snippets: Path = Path("/etc/sssd/conf.d")
) -> FileStep:
    """Return the step.

    Args:
        wishes: What has to be.
        path: sssd.conf.
        snippets: The folder whose files win over it; need not be there.
    """
    return FileStep(STEP, path, _InfoPipe(wishes, snippets))


class _InfoPipe:
    """The editor: sssd.conf is written, the files of conf.d are only read."""

    def __init__(self, wishes: Wishes, snippets: Path) -> None:
        self._wishes = wishes
        self._snippets = snippets

    def wanted(self, data: bytes) -> tuple[Change, ...]:
        """Compare; see `Editor.wanted`."""
        main = ini.settings(data)
        view = _View(main, tuple(self._read_snippets()))
        return tuple(dict.fromkeys(self._wanted(view)))  # a section is begun once

    def value(self, data: bytes, place: tuple[str, ...]) -> str | None:
        """Return a setting, or `""` for a section that is there."""
        section = ini.settings(data).get(place[0].lower())
        if section is None or len(place) == 1:
            return None if section is None else ""
        return section.get(place[1].lower())

    def put(self, data: bytes, place: tuple[str, ...], value: str | None) -> bytes:
        """Change a setting, or a section as a whole."""
        if len(place) == 1:
            return ini.end(data, place[0]) if value is None else ini.begin(data, place[0])
        return ini.put(data, place[0], place[1], value)

    def redact(self, text: str) -> str:
        """Hide `ldap_default_authtok` and the like."""
        return redact_lines(text)

    def _wanted(self, view: "_View") -> Iterator[Change]:
        # R-D03
        domain = _domain(view, self._wishes.realm)  # before anything is found to be missing: no half plan
        if items.parts(view.value("sssd", "services") or "", Kind.LIST):
            yield from view.missing("sssd", "services", self._wishes.services)
        allowed = items.parts(view.value("ifp", "allowed_uids") or "", Kind.LIST)
        people = tuple(
            name for name, uid in self._wishes.accounts.items() if not {name, str(uid)} & set(allowed)
        )
        yield from view.missing("ifp", "allowed_uids", people)
        given = items.parts(view.value("ifp", "user_attributes") or "", Kind.LIST)
        names = [name for name, _ in self._wishes.attributes]
        if forbidden := [name for name in names if f"-{name}" in given]:
            raise RefusedError(
                f"[ifp] user_attributes forbids {', '.join(forbidden)} by a minus sign, and Dogtag's access control "
                "needs it. Take that item out, if nobody needs it."
            )
        yield from view.missing("ifp", "user_attributes", tuple(f"+{name}" for name in names))
        yield from view.missing(domain, "ldap_user_extra_attrs", self._mappings(view, domain))

    def _mappings(self, view: "_View", domain: str) -> tuple[str, ...]:
        """Return the attribute mappings that are to be added to the domain's."""
        there: dict[str, str] = {}
        for item in items.parts(view.value(domain, "ldap_user_extra_attrs") or "", Kind.LIST):
            name, colon, attribute = item.partition(":")
            there[name.strip().lower()] = attribute.strip() if colon else name.strip()
        for name, attribute in self._wishes.attributes:
            found = there.get(name.lower())
            if found is not None and found.lower() != attribute.lower():
                raise RefusedError(
                    f"[{domain}] ldap_user_extra_attrs takes {name} from {found}, and Dogtag's access control needs "
                    f"{name}:{attribute}. Change that item, if nobody needs it."
                )
        return tuple(
            f"{name}:{value}" for name, value in self._wishes.attributes if name.lower() not in there
        )

    def _read_snippets(self) -> Iterator[tuple[Path, dict[str, dict[str, str]]]]:
        """Read conf.d in SSSD's order."""
        if not self._snippets.is_dir():
            return
        for path in sorted(self._snippets.iterdir(), key=lambda each: each.name):
            if path.name.endswith(".conf") and not path.name.startswith("."):
                try:
                    yield path, ini.settings(files.read(path).data)
                except ConfigError as error:
                    raise ConfigError(
                        f"{path}, which wins over it, cannot be read; {error.message}"
                    ) from error


@dataclass(frozen=True)
class _View:
    """What SSSD sees: sssd.conf with the files of conf.d laid over it."""

    main: dict[str, dict[str, str]]
    snippets: tuple[tuple[Path, dict[str, dict[str, str]]], ...]

    def value(self, section: str, key: str) -> str | None:
        for _, found in reversed(self.snippets):
            if key in found.get(section, {}):
                return found[section][key]
        return self.main.get(section, {}).get(key)

    def sections(self) -> tuple[str, ...]:
        every = (self.main, *(found for _, found in self.snippets))
        return tuple(dict.fromkeys(name for found in every for name in found))

    def missing(self, section: str, key: str, wished: tuple[str, ...]) -> Iterator[Change]:
        """Yield the change that adds what a list lacks; items are compared without regard to case."""
        there = {item.lower() for item in items.parts(self.value(section, key) or "", Kind.LIST)}
        lacking = tuple(item for item in wished if item.lower() not in there)
        if not lacking:
            return
        for path, found in reversed(self.snippets):
            if key in found.get(section, {}):
                raise RefusedError(
                    f"[{section}] {key} lacks {', '.join(lacking)}, and {path} sets it, which wins over sssd.conf. "
                    "Add them there, or move that setting to sssd.conf."
                )
        if section not in self.main:
            yield Change((section,), None, "")
        before = self.main.get(section, {}).get(key)
        yield Change((section, key), before, items.with_items(before or "", lacking, Kind.LIST), Kind.LIST)


def _domain(view: _View, realm: str) -> str:
    """Return the section of the one active domain of a realm."""
    listed = {name.lower() for name in items.parts(view.value("sssd", "domains") or "", Kind.LIST)}
    found: dict[str, str] = {}
    for section in view.sections():
        name = section.removeprefix("domain/")
        if name == section or "/" in name:  # domain/IPA/AD is a trusted domain's own section
            continue
        enabled = (view.value(section, "enabled") or "").lower()
        provider = (view.value(section, "id_provider") or "").lower()
        active = enabled == "true" or (enabled != "false" and name in listed)
        if active and provider in _PROVIDERS and _realm(view, section, name) == realm:
            found[section] = provider
    ours = [section for section, provider in found.items() if provider == "ipa"] or list(found)
    if len(ours) != 1:
        seen = ", ".join(f"[{section}]" for section in ours) or "none"
        raise ConfigError(
            f"it has to have one active domain of the realm {realm} with id_provider ipa or ldap, and has {seen}. "
            "Correct `domains` and `krb5_realm`; is this host enrolled?"
        )
    return ours[0]


def _realm(view: _View, section: str, name: str) -> str:
    """Tell a domain's realm: as it is set, or SSSD's default for it."""
    return view.value(section, "krb5_realm") or (view.value(section, "ipa_domain") or name).upper()
