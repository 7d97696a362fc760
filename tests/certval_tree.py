"""A directory with a CA in it as FreeIPA lays it out: CAs, profiles, CA ACLs, managed hosts, virtual operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ldap

from lab.entries import Entry, entry

SUFFIX = "dc=tpi,dc=test"
CA = f"cn=ca,{SUFFIX}"
ACLS = f"cn=caacls,{CA}"
PROFILES = f"cn=certprofiles,{CA}"
HOSTS = f"cn=computers,cn=accounts,{SUFFIX}"
OPERATIONS = f"cn=virtual operations,cn=etc,{SUFFIX}"
DNS_TREE = f"cn=dns,{SUFFIX}"
ALICE = f"uid=alice,cn=users,cn=accounts,{SUFFIX}"
BOB = f"uid=bob,cn=users,cn=accounts,{SUFFIX}"
MANY = 700
PROFILE = "caIPAserviceCert"
REQUEST, IGNORE = "request certificate", "request certificate ignore caacl"


def acl(number: int, **attributes: Any) -> Entry:
    name = f"certval-acl{number}"
    dn = f"ipaUniqueID={name},{ACLS}"
    return entry(
        dn, "ipaAssociation ipaCaAcl", cn=name, ipaUniqueID=name, ipaEnabledFlag="TRUE", **attributes
    )


def tree(host: str, realm: str, many: int = MANY, profile: str = PROFILE) -> Sequence[Entry]:
    masters = f"cn=masters,cn=ipa,cn=etc,{SUFFIX}"
    named = f"cn={profile},{PROFILES}"
    managed = [("web.tpi.test", f"fqdn={host},{HOSTS}"), ("lone.tpi.test", f"fqdn=lone.tpi.test,{HOSTS}")]
    return [
        entry(f"cn={host},{masters}", "nsContainer", cn=host),
        entry(
            f"cn=CA,cn={host},{masters}",
            "nsContainer ipaConfigObject",
            cn="CA",
            ipaConfigString=["enabledService"],
        ),
        entry(
            f"cn=ipa,cn=cas,{CA}",
            "ipaCa",
            cn="ipa",
            ipaCaId="5f0a1b2c-0000-4000-8000-00000000abcd",
            ipaCaSubjectDN="cn=x",
            ipaCaIssuerDN="cn=x",
        ),
        entry(
            named,
            "ipaCertProfile",
            cn=profile,
            description="x",
            ipaCertProfileStoreIssued="TRUE",
        ),
        *(
            entry(
                f"fqdn={name},{HOSTS}",
                "nsHost ipaObject ipaHost ipaService pkiUser krbPrincipalAux",
                cn=name,
                fqdn=name,
                ipaUniqueID=f"id-{name}",
                krbPrincipalName=f"host/{name}@{realm}",
                krbCanonicalName=f"host/{name}@{realm}",
                managedBy=manager,
            )
            for name, manager in managed
        ),
        *(entry(f"cn={name},{OPERATIONS}", "nsContainer", cn=name) for name in (REQUEST, IGNORE)),
        *(
            acl(n, memberHost=[f"fqdn=h{n}.tpi.test,{HOSTS}"], ipaMemberCertProfile=[named])
            for n in range(many)
        ),
        acl(MANY, hostCategory="all", serviceCategory="all", ipaMemberCertProfile=[named]),
        acl(
            MANY + 1,
            memberUser=[f"cn=tpi-operators,cn=groups,cn=accounts,{SUFFIX}"],
            ipaMemberCertProfile=[named],
        ),
        entry(DNS_TREE, "nsContainer", cn="dns"),
    ]


def acis() -> dict[str, bytes]:
    everybody = 'allow (read, search, compare) userdn = "ldap:///all";)'
    managers = 'allow (write) userattr = "managedBy#USERDN";)'
    return {
        CA: f'(targetattr = "*")(version 3.0; acl "read CAs"; {everybody}'.encode(),
        f"cn=masters,cn=ipa,cn=etc,{SUFFIX}": (
            f'(targetattr = "objectClass || cn || ipaConfigString")(version 3.0; acl "read masters"; {everybody}'
        ).encode(),
        HOSTS: f'(targetattr = "userCertificate")(version 3.0; acl "managed hosts"; {managers}'.encode(),
        OPERATIONS: (
            f'(targetattr = "objectClass")(target = "ldap:///cn={REQUEST},{OPERATIONS}")(version 3.0; acl "request";'
            f' allow (write) userdn = "ldap:///{BOB}";)'
        ).encode(),
    }


@contextmanager
def planted(root: Any, host: str, realm: str, many: int = MANY, profile: str = PROFILE) -> Iterator[None]:
    """Add it all, and take it away again."""
    made = []
    for one in tree(host, realm, many, profile):
        # What the laboratory has already stays, and is not taken away.
        with suppress(ldap.ALREADY_EXISTS):
            root.add_s(
                one.dn,
                [(name, [value.encode() for value in values]) for name, values in one.attributes.items()],
            )
            made.append(one)
    rules = acis()
    for dn, rule in rules.items():
        root.modify_s(dn, [(ldap.MOD_ADD, "aci", [rule])])
    try:
        yield
    finally:
        for dn, rule in rules.items():
            root.modify_s(dn, [(ldap.MOD_DELETE, "aci", [rule])])
        for one in reversed(made):
            root.delete_s(one.dn)
