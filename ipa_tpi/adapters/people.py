"""Accounts and hosts by the search: one filter for many, and whose entry is whose among what it brings."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import ldap
import ldap.dn
import ldap.filter

Raw = Mapping[str, Sequence[bytes]]
Entry = tuple[str, Raw]

# 389-ds tests an entry against each term of an "or", so the cost of one search grows with its square.
AT_ONCE: Final = 16
# Single-valued in FreeIPA, indexed, readable by everybody who may bind, and compared without regard to case, as the
# normal form of a DN is: that of a service is not, for its RDN is a krbPrincipalName.
_NAMES: Final = frozenset({"uid", "fqdn"})
_FIRST: Final = re.compile(r"(?:\\.|[^\\,])*,", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sought:
    """What one search is for.

    Attributes:
        people: A term for each account; one that bears another name is not looked for by it.
        hosts: Names of hosts.
    """

    people: Sequence[str]
    hosts: Collection[str] = ()

    def accounts(self) -> str:
        """Give the filter of the accounts alone."""
        return f"(&{_any(self.people)}(objectClass=krbPrincipalAux))"

    def everything(self) -> str:
        """Give the filter of accounts and hosts."""
        parts = [self.accounts()] if self.people else []
        if self.hosts:
            named = [_term("fqdn", fqdn) for fqdn in sorted(self.hosts)]
            parts.append(f"(&{_any(named)}(objectClass=ipaHost))")
        return _any(parts)


def parent_of(dn: str) -> str:
    """Give what lies above a DN in normal form; empty for the last part alone."""
    first = _FIRST.match(dn)
    return dn[first.end() :] if first is not None else ""


def by_name(principal: str) -> str:
    """Give the term that finds the account of a principal name."""
    return _term("krbPrincipalName", principal)


def by_dn(dn: str, accounts_dn: str) -> str | None:
    """Give the term that finds an entry by its DN's first part.

    Args:
        dn: In normal form.
        accounts_dn: What is searched, in normal form.

    Returns:
        The term; None where the entry has to be read at its place.
    """
    if not dn.endswith("," + accounts_dn):
        return None
    try:
        first = ldap.dn.str2dn(dn)[0]
    except (ldap.DECODING_ERROR, UnicodeDecodeError):
        return None
    if len(first) != 1 or first[0][0] not in _NAMES:
        return None
    return _term(first[0][0], first[0][1])


def bearing(principal: str, found: Iterable[Entry]) -> list[Entry]:
    """Give the entries that bear exactly this principal name."""
    return [entry for entry in found if principal.encode() in entry[1].get("krbprincipalname", ())]


def hosts_named(fqdn: str, computers_dn: str, found: Iterable[Entry]) -> list[Entry]:
    """Give the entries of hosts of this name.

    Args:
        fqdn: In lower case.
        computers_dn: What they lie directly below, in normal form.
        found: What a search brought.

    Returns:
        Them.
    """
    return [
        (dn, raw)
        for dn, raw in found
        if parent_of(dn) == computers_dn
        and b"ipahost" in (value.lower() for value in raw.get("objectclass", ()))
        and fqdn.encode() in (value.lower() for value in raw.get("fqdn", ()))
    ]


def _term(name: str, value: str) -> str:
    return f"({name}={ldap.filter.escape_filter_chars(value)})"


def _any(terms: Sequence[str]) -> str:
    return terms[0] if len(terms) == 1 else f"(|{''.join(terms)})"
