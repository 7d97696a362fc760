"""What the directory's entries mean: raw attributes into the values that decisions are made of."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import ldap
import ldap.dn
import ldap.filter

from ipa_tpi_validator.snapshot import Address, CaAcl, Entry, Kind, Records

Raw = Mapping[str, Sequence[bytes]]

_PLACES: Final = {
    "cn=users,cn=accounts": (Kind.USER, "uid"),
    "cn=computers,cn=accounts": (Kind.HOST, "fqdn"),
    "cn=services,cn=accounts": (Kind.SERVICE, "krbprincipalname"),
}
_GROUPS: Final = {Kind.USER: "cn=groups,cn=accounts", Kind.HOST: "cn=hostgroups,cn=accounts"}
_CAS: Final = "cn=cas,cn=ca"
_MEMBERS: Final = {Kind.USER: "memberuser", Kind.HOST: "memberhost", Kind.SERVICE: "memberservice"}
_CATEGORIES: Final = {
    Kind.USER: "usercategory",
    Kind.HOST: "hostcategory",
    Kind.SERVICE: "servicecategory",
}
_CERTIFICATE: Final = "usercertificate"
# What stands for names that were given and are no longer to be resolved: it matches nothing.
_NOTHING: Final = frozenset({""})


def texts(raw: Raw, name: str) -> list[str]:
    """Give the values of an attribute as text; one that is none is left out.

    Args:
        raw: An entry, with attribute names in lower case.
        name: In lower case.
    """
    found = []
    for value in raw.get(name, ()):
        try:
            found.append(value.decode("utf-8"))
        except UnicodeDecodeError:
            continue
    return found


def first_text(raw: Raw, name: str) -> str:
    """Give an attribute's one value; empty where there is none, or several.

    Args:
        raw: As in `texts`.
        name: Likewise.
    """
    found = texts(raw, name)
    return found[0] if len(found) == 1 else ""


def read_cas(found: Iterable[tuple[str, Raw]], suffix: str) -> Mapping[str, str]:
    """Read the names of CAs, by their ids in lower case.

    A name is what approvals and CA ACLs are about, so it must not be had by an entry below another one's, which FreeIPA's
    permission to add CAs allows; and an id that two of them bear is no CA's.

    Args:
        found: Entries of CAs.
        suffix: The realm's.

    Returns:
        What lies in the one place of CAs, each by the name that its DN has.
    """
    cas: dict[str, str] = {}
    doubled: set[str] = set()
    for dn, raw in found:
        place, _, named = _placed(dn, suffix)
        name, number = first_text(raw, "cn"), first_text(raw, "ipacaid").lower()
        if place != _CAS or not number or not name or name.lower() != named.lower():
            continue
        if number in cas:
            doubled.add(number)
        cas[number] = name
    return {number: name for number, name in cas.items() if number not in doubled}


def read_entry(dn: str, raw: Raw, suffix: str) -> Entry | None:
    """Read an entry of somebody who can have certificates.

    Args:
        dn: In normal form.
        raw: With attributeLevelRights.
        suffix: The suffix, in normal form.

    Returns:
        The entry; None where it lies elsewhere, or has no one canonical name.
    """
    place, _, name = _placed(dn, suffix)
    if place not in _PLACES:
        return None
    kind, named_by = _PLACES[place]
    names = texts(raw, "krbprincipalname")
    canonical = first_text(raw, "krbcanonicalname")
    if not canonical and "krbcanonicalname" not in raw and len(names) == 1:
        canonical = names[0]
    if not canonical:
        return None
    own = first_text(raw, named_by) if kind is not Kind.SERVICE else name
    return Entry(
        dn,
        kind,
        own,
        canonical,
        frozenset({canonical, *names}),
        tuple(texts(raw, "mail")),
        _named(texts(raw, "memberof"), _GROUPS[kind], suffix) if kind in _GROUPS else frozenset(),
        may_write(raw, _CERTIFICATE),
    )


def may_write(raw: Raw, attribute: str) -> bool:
    """Tell whether the caller may write an attribute, by the answer to get-effective-rights.

    Args:
        raw: An entry that came with it.
        attribute: In lower case, without options.
    """
    for line in texts(raw, "attributelevelrights"):
        for one in line.split(","):
            name, _, rights = one.strip().partition(":")
            if name.lower() == attribute and "w" in rights:
                return True
    return False


def read_acl(raw: Raw, suffix: str) -> CaAcl:
    """Read a CA ACL.

    Args:
        raw: Its entry.
        suffix: The suffix, in normal form.
    """
    return CaAcl(
        first_text(raw, "cn"),
        first_text(raw, "ipaenabledflag").upper() == "TRUE",
        _is_all(raw, "ipacacategory"),
        _members(raw, "ipamemberca", "cn=cas,cn=ca", suffix),
        _is_all(raw, "ipacertprofilecategory"),
        _members(raw, "ipamembercertprofile", "cn=certprofiles,cn=ca", suffix),
        frozenset(kind for kind, name in _CATEGORIES.items() if _is_all(raw, name)),
        {kind: _named(texts(raw, _MEMBERS[kind]), place, suffix) for place, (kind, _) in _PLACES.items()},
        {kind: _named(texts(raw, _MEMBERS[kind]), place, suffix) for kind, place in _GROUPS.items()},
    )


def acl_filter(profile: str, entries: Iterable[Entry], suffix: str) -> str:
    """Give the filter of every CA ACL that can permit anything here; what it leaves out is about somebody else.

    Args:
        profile: The profile.
        entries: Those for whom something is asked.
        suffix: The suffix, in normal form.
    """
    member = ldap.filter.escape_filter_chars(f"cn={profile},cn=certprofiles,cn=ca,{suffix}")
    terms: dict[str, None] = {}
    for entry in entries:
        terms[f"({_CATEGORIES[entry.kind]}=all)"] = None
        for dn in (entry.dn, *_group_dns(entry, suffix)):
            terms[f"({_MEMBERS[entry.kind]}={ldap.filter.escape_filter_chars(dn)})"] = None
    about = f"(|(ipaCertProfileCategory=all)(ipaMemberCertProfile={member}))"
    return f"(&(objectClass=ipaCaAcl)(ipaEnabledFlag=TRUE){about}(|{''.join(terms)}))" if terms else ""


def _group_dns(entry: Entry, suffix: str) -> Iterable[str]:
    for group in sorted(entry.groups):
        yield f"cn={ldap.dn.escape_dn_chars(group)},{_GROUPS[entry.kind]},{suffix}"


def read_records(raw: Raw, zone: str) -> Records:
    """Read the DNS records of a name.

    Args:
        raw: Its entry.
        zone: The zone's name, without the last dot.
    """
    addresses: set[Address] = set()
    for text in (*texts(raw, "arecord"), *texts(raw, "aaaarecord")):
        try:
            addresses.add(ipaddress.ip_address(text))
        except ValueError:
            continue
    aliases = tuple(_absolute(name, zone) for name in texts(raw, "cnamerecord"))
    return Records(
        frozenset(addresses), aliases, frozenset(_absolute(name, zone) for name in texts(raw, "ptrrecord"))
    )


def _absolute(name: str, zone: str) -> str:
    return name.removesuffix(".") if name.endswith(".") else f"{name}.{zone}"


def _members(raw: Raw, attribute: str, place: str, suffix: str) -> frozenset[str]:
    values = texts(raw, attribute)
    found = _named(values, place, suffix)
    return found if found or not values else _NOTHING


def _is_all(raw: Raw, attribute: str) -> bool:
    return first_text(raw, attribute).lower() == "all"


def _named(dns: Iterable[str], place: str, suffix: str) -> frozenset[str]:
    """Give the values that name the entries right below a place."""
    found = set()
    for dn in dns:
        where, _, name = _placed(dn, suffix)
        if where == place and name:
            found.add(name)
    return frozenset(found)


def _placed(dn: str, suffix: str) -> tuple[str, str, str]:
    """Give the place of an entry below the suffix, the attribute and the value that name it there."""
    head, above = _parent(dn)
    lower = above.lower()
    if not lower.endswith(f",{suffix.lower()}"):
        return "", "", ""
    try:
        parts = ldap.dn.str2dn(head)
    except (ldap.DECODING_ERROR, UnicodeDecodeError):
        return "", "", ""
    if len(parts) != 1 or len(parts[0]) != 1:
        return "", "", ""
    name, value, _ = parts[0][0]
    return lower[: -len(suffix) - 1], name.lower(), value


def _parent(dn: str) -> tuple[str, str]:
    """Split a DN at its first comma that is not escaped."""
    at = 0
    while at < len(dn):
        if dn[at] == "\\":
            at += 1
        elif dn[at] == ",":
            return dn[:at], dn[at + 1 :]
        at += 1
    return dn, ""
