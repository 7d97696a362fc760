"""The configuration of a 389-ds instance, made from the template that 389-ds ships.

`dscreate` wants systemd and takes seconds; the server itself needs no more than this file. What differs from the
template: FreeIPA's plugins, SASL mappings and indexes, limits that suit a throwaway server, and ipa-tpi's own plugin and
indexes, so that no restart is needed after them.
"""

from __future__ import annotations

import base64
import re
import secrets
from pathlib import Path

from ipa_tpi_acls.containers import index_entries, plugin_entry
from lab.entries import Entry, entry, to_ldif
from lab.layout import Layout
from lab.suffix_acis import config_acis

TEMPLATE = Path("/usr/share/dirsrv/data/template-dse.ldif")
BACKEND_TEMPLATE = Path("/usr/share/dirsrv/data/template-suffix-db.ldif")
BACKEND = "userRoot"

_CACHE_BYTES = 16 * 1024 * 1024

_PLUGINS = "cn=plugins,cn=config"
_MAPPINGS = "cn=mapping,cn=sasl,cn=config"
_REFERENCES = (
    "memberUser memberHost memberManager managedBy manager secretary sourceHost memberService ipaMemberCa"
    " ipaMemberCertProfile ipaAllowedTarget"
)
_INDEXES = {
    "cn": "pres eq sub",
    "displayName": "eq sub",
    "employeeNumber": "eq",
    "fqdn": "pres eq sub",
    "givenName": "pres eq sub",
    "ipaUniqueID": "eq",
    "krbCanonicalName": "eq sub",
    "krbPrincipalName": "eq sub",
    "mail": "pres eq sub",
    "managedBy": "pres eq",
    "manager": "pres eq",
    "member": "pres eq",
    "memberManager": "pres eq",
    "memberOf": "pres eq",
    "memberService": "pres eq",
    "nsAccountLock": "pres eq",
    "owner": "eq",
    "secretary": "pres eq",
    "seeAlso": "eq",
    "sn": "pres eq sub",
    "sourceHost": "pres eq",
    "uid": "pres eq sub",
    "uidNumber": "pres eq",
    "uniqueMember": "eq",
    "ipaMemberCa": "pres eq",
    "ipaMemberCertProfile": "pres eq",
    "ipaAllowedTarget": "eq",
}


def dse_ldif(layout: Layout, *, durable: bool) -> str:
    """Return dse.ldif for a realm's directory.

    Args:
        layout: the realm.
        durable: whether the directory is to last: transactions are synced to disk, passwords hashed as usual.
    """
    records = _records(_fill(TEMPLATE.read_text(encoding="utf-8"), _keys(layout)))
    # FreeIPA maps whole principals, these two take the first component for a uid.
    for name in ("Kerberos uid mapping", "rfc 2829 dn syntax"):
        del records[f"cn={name},{_MAPPINGS}".lower()]
    for dn, name, values in _changes(layout, durable=durable):
        lines = records[dn.lower()]
        lines[:] = [line for line in lines if not line.lower().startswith(f"{name.lower()}:")]
        lines += [f"{name}: {value}" for value in values]
    for dn, acis in config_acis(layout.suffix).items():
        records[dn.lower()] += [f"aci: {aci}" for aci in acis]
    text = "".join("\n".join(lines) + "\n\n" for lines in records.values())
    backend = _records(_fill(BACKEND_TEMPLATE.read_text(encoding="utf-8"), _keys(layout)))
    # A write that is refused walks through the whole table of the entry cache: 4.6 ms with the default of 4 GiB.
    backend[f"cn={BACKEND},cn=ldbm database,{_PLUGINS}".lower()] += [f"nsslapd-cachememsize: {_CACHE_BYTES}"]
    text += "".join("\n".join(lines) + "\n\n" for lines in backend.values())
    return text + "".join(to_ldif(item) for item in _additions(layout))


def _keys(layout: Layout) -> dict[str, str]:
    paths = layout.directory
    return {
        "schema_dir": str(paths.config / "schema"),
        "lock_dir": str(paths.run / "lock"),
        "tmp_dir": "/tmp",
        "cert_dir": str(paths.config),
        "ldif_dir": str(paths.data / "ldif"),
        "bak_dir": str(paths.data / "bak"),
        "run_dir": str(paths.run),
        "inst_dir": str(paths.data / "instance"),
        "log_dir": str(paths.logs),
        "fqdn": layout.host,
        "ds_port": str(layout.ports.ldap),
        "ds_user": paths.user,
        "rootdn": "cn=Directory Manager",
        # A digest of nothing: no password fits. Root and the server's own account come in over LDAPI.
        "ds_passwd": "{SSHA512}" + base64.b64encode(secrets.token_bytes(72)).decode(),
        "ldapi_enabled": "on",
        "ldapi": str(paths.socket),
        "ldapi_autobind": "on",
        "config_dir": str(paths.config),
        "db_dir": str(paths.data / "db"),
        "db_home_dir": str(paths.db_home),
        "db_lib": "bdb",
        "ds_suffix": layout.suffix,
        "ds_bename": BACKEND,
    }


def _fill(template: str, keys: dict[str, str]) -> str:
    return re.sub(r"%(\w+)%", lambda match: keys[match[1]], template)


def _records(ldif: str) -> dict[str, list[str]]:
    """Return the records of an LDIF text by DN, letter case and blanks after commas left out."""
    records: dict[str, list[str]] = {}
    for block in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", ldif)):
        lines = block.strip("\n").split("\n")
        if lines[0].lower().startswith("dn:"):
            records[re.sub(r",\s+", ",", lines[0][3:].strip()).lower()] = lines
    return records


def _changes(layout: Layout, *, durable: bool) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return DN, attribute and new values of what differs from the template."""
    memberof, referint = (
        f"cn=MemberOf Plugin,{_PLUGINS}",
        f"cn=referential integrity postoperation,{_PLUGINS}",
    )
    database = f"cn=config,cn=ldbm database,{_PLUGINS}"
    # At its start this plugin measures for a quarter of a second how fast it is; nobody here binds with a password.
    pbkdf2 = f"cn=PBKDF2_SHA256,cn=Password Storage Schemes,{_PLUGINS}"
    quick = (
        []
        if durable
        else [
            (pbkdf2, "nsslapd-pluginenabled", ("off",)),
            ("cn=config", "passwordStorageScheme", ("SSHA512",)),
        ]
    )
    return [
        *quick,
        *_reach(layout),
        ("cn=config", "nsslapd-allow-anonymous-access", ("rootdse",)),
        ("cn=config", "nsslapd-syntaxcheck", ("on",)),
        ("cn=config", "nsslapd-schemacheck", ("on",)),
        ("cn=config", "nsslapd-enquote-sup-oc", ("off",)),
        ("cn=config", "nsslapd-groupevalnestlevel", ("0",)),
        ("cn=config", "nsslapd-ldapientrysearchbase", (layout.suffix,)),
        ("cn=config", "nsslapd-accesslog-logbuffering", ("off",)),
        ("cn=config", "nsslapd-securitylog-logbuffering", ("off",)),
        (database, "nsslapd-cache-autosize", ("0",)),
        (database, "nsslapd-dbcachesize", ("16777216",)),
        (database, "nsslapd-db-durable-transaction", ("on" if durable else "off",)),
        (database, "nsslapd-db-home-directory", (str(layout.directory.db_home),)),
        (memberof, "nsslapd-pluginenabled", ("on",)),
        (memberof, "memberOfGroupAttr", ("member", "uniqueMember", "memberUser", "memberHost")),
        (memberof, "memberOfAutoAddOC", ("nsMemberOf",)),
        (memberof, "memberOfEntryScope", (layout.suffix,)),
        (referint, "nsslapd-pluginenabled", ("on",)),
        (
            referint,
            "referint-membership-attr",
            ("member", "uniqueMember", "owner", "seeAlso", *_REFERENCES.split()),
        ),
    ]


def _reach(layout: Layout) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return what says where the server listens: on loopback, or where others need it with TLS as well."""
    if not layout.directory.secure_port:
        return [("cn=config", "nsslapd-listenhost", ("127.0.0.1",))]
    return [
        ("cn=config", "nsslapd-security", ("on",)),
        ("cn=config", "nsslapd-secureport", (str(layout.directory.secure_port),)),
        # By its own name alone: tests stand other servers beside it on other addresses of the host.
        ("cn=config", "nsslapd-securelistenhost", (layout.host,)),
        ("cn=encryption,cn=config", "sslVersionMin", ("TLS1.2",)),
    ]


def _additions(layout: Layout) -> list[Entry]:
    """Return the entries that the template lacks."""
    index = f"cn=index,cn={BACKEND},cn=ldbm database,{_PLUGINS}"
    own = [Entry(item.dn, item.attributes) for item in (plugin_entry(), *index_entries(BACKEND))]
    named = {item.dn.partition(",")[0].partition("=")[2].lower() for item in own}
    return [
        entry(index, "extensibleObject", cn="index"),
        *(
            entry(f"cn={name},{index}", "nsIndex", cn=name, nsSystemIndex="false", nsIndexType=kinds.split())
            for name, kinds in _INDEXES.items()
            if name.lower() not in named
        ),
        *_sasl_mappings(layout),
        *(_unique(name, layout.suffix) for name in ("krbPrincipalName", "krbCanonicalName", "ipaUniqueID")),
        *own,
    ]


def _sasl_mappings(layout: Layout) -> list[Entry]:
    """Return FreeIPA's two mappings: a whole principal, and a name of this realm."""
    rules = (
        ("Full Principal", r"\(.*\)@\(.*\)", r"(krbPrincipalName=\1@\2)"),
        ("Name Only", "^[^:@]+$", f"(krbPrincipalName=&@{layout.realm})"),
    )
    return [
        entry(
            f"cn={name},{_MAPPINGS}",
            "nsSaslMapping",
            cn=name,
            nsSaslMapRegexString=regex,
            nsSaslMapBaseDNTemplate=f"cn=accounts,{layout.suffix}",
            nsSaslMapFilterTemplate=filter_,
            nsSaslMapPriority="10",
        )
        for name, regex, filter_ in rules
    ]


def _unique(attribute: str, suffix: str) -> Entry:
    """Return FreeIPA's uniqueness plugin of one attribute."""
    name = f"{attribute} uniqueness"
    values = {
        "cn": name,
        "nsslapd-pluginPath": "libattr-unique-plugin",
        "nsslapd-pluginInitfunc": "NSUniqueAttr_Init",
        "nsslapd-pluginType": "betxnpreoperation",
        "nsslapd-pluginEnabled": "on",
        "nsslapd-plugin-depends-on-type": "database",
        "uniqueness-attribute-name": attribute,
        "uniqueness-subtrees": suffix,
        "uniqueness-across-all-subtrees": "on",
    }
    return entry(f"cn={name},{_PLUGINS}", "nsSlapdPlugin extensibleObject", **values)
