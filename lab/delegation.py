"""Who may act for people who came to it, and towards whom: FreeIPA's rules for S4U2Proxy, and their translation.

FreeIPA's KDC reads the rules below cn=s4u2proxy. The laboratory's, of MIT's own kind, reads krbAllowedToDelegateTo on
the service's entry, so that is written from the rules, by the only function that writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ldap

from lab.entries import Entry, add_values, entry
from lab.layout import Layout


@dataclass(frozen=True)
class Rule:
    """One rule, with one group of targets.

    Args:
        name: of the rule's entry; that of its targets is made from it.
        targets: name of the targets' entry.
        members: service and host of those who may.
        towards: service and host of those whom they may ask.
    """

    name: str
    targets: str
    members: tuple[tuple[str, str], ...]
    towards: tuple[tuple[str, str], ...]


def rules(layout: Layout) -> tuple[Rule, ...]:
    """Return the realm's rules.

    A web server may go to the directory and to nothing else, and only for callers who came with a ticket of their
    own (R-K01). The executor on a CA host may go to that host's web server, as the requester.

    Args:
        layout: the realm.
    """
    hosts = (layout.host, layout.ca_host) if layout.ca_host else (layout.host,)
    found = [
        Rule(
            "ipa-http-delegation",
            "ipa-ldap-delegation-targets",
            tuple(("HTTP", host) for host in hosts),
            (("ldap", layout.host),),
        )
    ]
    if layout.ca_host:
        targets = (("HTTP", layout.ca_host),)
        found.append(
            Rule("tpi-ca-delegation", "tpi-ca-delegation-targets", (("tpi", layout.ca_host),), targets)
        )
    return tuple(found)


def rule_entries(layout: Layout) -> Iterator[Entry]:
    """Yield the rules as FreeIPA keeps them, targets before the rules that name them."""
    base = f"cn=s4u2proxy,cn=etc,{layout.suffix}"
    for rule in rules(layout):
        yield entry(
            f"cn={rule.targets},{base}",
            "groupOfPrincipals",
            cn=rule.targets,
            memberPrincipal=[layout.principal(*towards) for towards in rule.towards],
        )
        yield entry(
            f"cn={rule.name},{base}",
            "ipaKrb5DelegationACL groupOfPrincipals",
            cn=rule.name,
            memberPrincipal=[layout.principal(*member) for member in rule.members],
            ipaAllowedTarget=[f"cn={rule.targets},{base}"],
        )


def translate(connection: Any, layout: Layout) -> None:  # noqa: ANN401 (python-ldap has no types)
    """Write the directory's rules onto the services' entries, where this KDC looks for them.

    Args:
        connection: an LDAPObject bound as Directory Manager.
        layout: the realm.
    """
    base = f"cn=s4u2proxy,cn=etc,{layout.suffix}"
    found = connection.search_ext_s(base, ldap.SCOPE_ONELEVEL, "(objectClass=ipaKrb5DelegationACL)")
    for _, rule in found:
        towards = [
            principal.decode()
            for target in rule["ipaAllowedTarget"]
            for _, group in connection.search_ext_s(target.decode(), ldap.SCOPE_BASE)
            for principal in group["memberPrincipal"]
        ]
        for member in rule["memberPrincipal"]:
            dn = f"krbprincipalname={member.decode()},cn=services,cn=accounts,{layout.suffix}"
            add_values(connection, dn, {"krbAllowedToDelegateTo": towards})
