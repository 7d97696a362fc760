"""What is missing: each function compares one part of a directory with what it has to be.

A Step says what has to be done in words and as an operation. Nothing here changes anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import ldap
import ldap.dn
import ldap.schema

from ipa_tpi.errors import ConfigError
from ipa_tpi_acls.aci import acis
from ipa_tpi_acls.connection import Directory, Modification
from ipa_tpi_acls.containers import (
    DATABASES,
    Entry,
    container_entries,
    index_entries,
    plugin_entry,
    right_entries,
)
from ipa_tpi_acls.layout import Layout
from ipa_tpi_acls.schema import ATTRIBUTES, CLASSES, Attribute, ObjectClass

# A search shows subentries, among them conflict entries, only to a filter that names them.
WITH_ACI = "(&(aci=*)(|(objectClass=*)(objectClass=ldapSubEntry)))"


@dataclass(frozen=True)
class Modify:
    """Change one entry."""

    dn: str
    changes: tuple[Modification, ...]


@dataclass(frozen=True)
class Reindex:
    """Rebuild indexes of a database."""

    backend: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One change: the part of the directory that it belongs to, what it is, and how it is made."""

    part: str
    dn: str
    what: str
    operation: Entry | Modify | Reindex


def schema_steps(directory: Directory) -> Iterator[Step]:
    """Compare the server's schema with ours.

    Raises:
        ConfigError: an OID or a name of ours is taken by something else.
    """
    read = directory.values("cn=schema", "attributeTypes", "objectClasses") or {}
    sides = (
        ("attributeTypes", ATTRIBUTES, ldap.schema.AttributeType),
        ("objectClasses", CLASSES, ldap.schema.ObjectClass),
    )
    for kind, wanted, parse in sides:
        present = _ours(read.get(kind.lower(), ()), parse)
        wrong = [one for one in wanted if not _same(one, present.get(one.oid), parse)]
        if wrong:
            values = [one.definition().encode() for one in wrong]
            names = ", ".join(one.name for one in wrong)
            operation = Modify("cn=schema", ((ldap.MOD_ADD, kind, values),))
            yield Step("schema", "cn=schema", f"define {kind} {names}", operation)


def entry_steps(directory: Directory, suffix: str) -> Iterator[Step]:
    """Look for containers, groups, roles, privileges and permissions that are missing.

    Entries that exist keep their members; a missing link between our own permission, privilege and role is
    added.

    Raises:
        ConfigError: the suffix or FreeIPA's own containers do not exist.
    """
    if directory.values(suffix, "objectClass") is None:
        raise ConfigError(f"the directory holds no {suffix}; give the suffix of the domain with --suffix")
    for entry in (*right_entries(suffix), *container_entries(suffix)):
        present = directory.values(entry.dn, "objectClass", "member")
        if present is None:
            yield Step("entries", entry.dn, "add the entry", entry)
            continue
        linked = {folded(dn) for dn in present.get("member", ())}
        for link in entry.attributes.get("member", ()):
            if folded(link) not in linked:
                change = (ldap.MOD_ADD, "member", [link.encode()])
                yield Step("entries", entry.dn, f"add the member {link}", Modify(entry.dn, (change,)))


def aci_steps(directory: Directory, suffix: str) -> Iterator[Step]:
    """Compare every ACI below cn=tpi with the sets of acis().

    R-K19: an ACI of another hand, wherever below cn=tpi it is, would open what the sets close. It is named
    and removed. An entry that is missing gets its set when it is added.
    """
    top = Layout(suffix).top
    wanted = {folded(dn): values for dn, values in acis(suffix).items()}
    found = [
        *directory.search(top, ldap.SCOPE_BASE, "(objectClass=*)", "aci"),
        *directory.search(top, ldap.SCOPE_ONELEVEL, "(objectClass=*)", "aci"),
        *directory.search(top, ldap.SCOPE_SUBTREE, WITH_ACI, "aci"),
    ]
    present = {folded(entry.dn): entry for entry in found}
    for key, entry in present.items():
        dn, ours, theirs = entry.dn, wanted.get(key, ()), entry.attributes.get("aci", ())
        if set(ours) == set(theirs):
            continue
        extra = [_title(aci) for aci in theirs if aci not in ours]
        missing = [_title(aci) for aci in ours if aci not in theirs]
        words = [f"remove the ACI {title}" for title in extra] + [f"add the ACI {title}" for title in missing]
        values = [aci.encode() for aci in ours] or None
        yield Step("acis", dn, "; ".join(words), Modify(dn, ((ldap.MOD_REPLACE, "aci", values),)))


def index_steps(directory: Directory, suffix: str) -> Iterator[Step]:
    """Look for equality indexes that are missing from the suffix's database.

    A new index answers no search until it is rebuilt, so the last step rebuilds all the new ones at once.
    """
    backend = _backend(directory, suffix)
    new = []
    for entry in index_entries(backend):
        attribute = entry.attributes["cn"][0]
        present = directory.values(entry.dn, "nsIndexType")
        if present is None:
            yield Step("indexes", entry.dn, "add the index", entry)
        elif "eq" not in map(str.lower, present.get("nsindextype", ())):
            change = (ldap.MOD_ADD, "nsIndexType", [b"eq"])
            yield Step("indexes", entry.dn, "index for equality", Modify(entry.dn, (change,)))
        else:
            continue
        new.append(attribute)
    if new:
        what = f"rebuild the index of {', '.join(new)}"
        yield Step("indexes", f"cn={backend},{DATABASES}", what, Reindex(backend, tuple(new)))


def plugin_steps(directory: Directory) -> Iterator[Step]:
    """Compare the uniqueness plugin's entry with plugin_entry().

    Arguments that are not ours are removed: they would widen or narrow what is unique.
    """
    entry = plugin_entry()
    present = directory.values(entry.dn)
    if present is None:
        yield Step("plugin", entry.dn, "add the plugin", entry)
        return
    wanted = {name.lower(): (name, values) for name, values in entry.attributes.items()}
    changes: list[Modification] = [
        (ldap.MOD_REPLACE, name, [value.encode() for value in values])
        for key, (name, values) in wanted.items()
        if _settings(present.get(key, ())) != _settings(values) and key not in _COSMETIC
    ]
    foreign = [key for key in present if key.startswith(_ARGUMENTS) and key not in wanted]
    changes += [(ldap.MOD_DELETE, key, None) for key in foreign]
    if changes:
        names = ", ".join(change[1] for change in changes)
        yield Step("plugin", entry.dn, f"set {names}", Modify(entry.dn, tuple(changes)))


def plugin_waits(directory: Directory) -> bool:
    """Tell whether the plugin's entry is younger than the running server, which then has not loaded it.

    With dynamic plugins on the server loads it at once.
    """
    config = directory.values("cn=config", "nsslapd-dynamic-plugins") or {}
    if config.get("nsslapd-dynamic-plugins", ("off",))[0].lower() == "on":
        return False
    entry = directory.values(plugin_entry().dn, "modifyTimestamp") or {}
    server = directory.values("cn=monitor", "startTime") or {}
    changed, started = entry.get("modifytimestamp"), server.get("starttime")
    return bool(changed and started and changed[0] >= started[0])


# What the server shows of the plugin without using it to decide.
_COSMETIC = (
    "cn",
    "objectclass",
    "nsslapd-pluginid",
    "nsslapd-pluginversion",
    "nsslapd-pluginvendor",
    "nsslapd-plugindescription",
)
# What a schema definition means, without its description and origin.
_FIELDS = (
    "names",
    "sup",
    "must",
    "may",
    "kind",
    "equality",
    "ordering",
    "substr",
    "syntax",
    "single_value",
)
_ARGUMENTS = ("uniqueness-", "nsslapd-pluginarg")


def _settings(values: tuple[str, ...]) -> set[str]:
    """Return values as the server compares them."""
    return {value.lower() for value in values}


def _ours(definitions: tuple[str, ...], parse: type) -> dict[str, object]:
    """Parse the definitions that mention a name or an OID of ours; by OID.

    Raises:
        ConfigError: one bears our name under a foreign OID.
    """
    names = {one.name.lower(): one.oid for one in (*ATTRIBUTES, *CLASSES)}
    oids = set(names.values())
    found: dict[str, object] = {}
    for definition in definitions:
        if "ipatpi" not in definition.lower() and not any(oid in definition for oid in oids):
            continue
        parsed = parse(definition)
        for name in parsed.names:
            if names.get(name.lower(), parsed.oid) != parsed.oid:
                raise ConfigError(
                    f"the schema defines {name} with the foreign OID {parsed.oid}; remove that one first"
                )
        found[parsed.oid] = parsed
    return found


def _same(wanted: Attribute | ObjectClass, present: object, parse: type) -> bool:
    """Tell whether the server's definition says the same as ours; description and origin do not matter."""
    return present is not None and _gist(parse(wanted.definition())) == _gist(present)


def _gist(definition: object) -> tuple[object, ...]:
    """Return what a definition means, without regard to case and order."""
    return tuple(_folded_field(getattr(definition, field, None)) for field in _FIELDS)


def _folded_field(value: object) -> object:
    """Return a schema field without regard to case and order."""
    if isinstance(value, tuple):
        return frozenset(name.lower() for name in value)
    return value.lower() if isinstance(value, str) else value


def _backend(directory: Directory, suffix: str) -> str:
    """Return the name of the database that holds the suffix.

    Raises:
        ConfigError: there is none.
    """
    for entry in directory.search(
        DATABASES, ldap.SCOPE_ONELEVEL, "(objectClass=nsBackendInstance)", "cn", "nsslapd-suffix"
    ):
        if folded(entry.attributes.get("nsslapd-suffix", ("",))[0]) == folded(suffix):
            return entry.attributes["cn"][0]
    raise ConfigError(
        f"no database of this server holds {suffix}; give the suffix of the domain with --suffix"
    )


def folded(dn: str) -> str:
    """Return a DN as the server compares it."""
    return str(ldap.dn.dn2str(ldap.dn.str2dn(dn.lower())))


def _title(aci: str) -> str:
    """Return the name of an ACI, or its text if it has none."""
    _, found, rest = aci.partition('acl "')
    return f'"{rest.partition(chr(34))[0]}"' if found else aci
