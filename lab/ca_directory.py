"""What the realm's directory knows of its certificate authority: the host, profiles, CA ACLs, and the CA's own entry."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from lab.entries import Entry, add_all, add_values, entry
from lab.layout import Layout

# Profile, what it is for, and whether FreeIPA keeps the certificates in the subject's entry.
PROFILES = (
    ("caIPAserviceCert", "Standard profile for network services", True),
    ("IECUserRoles", "User profile that includes IECUserRoles extension from request", True),
    ("KDCs_PKINIT_Certs", "Profile for PKINIT support by KDCs", False),
)
# FreeIPA's privileges for certificates, with their permissions.
_IMPORT, _MODIFY = "System: Import Certificate Profile", "System: Modify Certificate Profile"
PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "Certificate Administrators": (
        "Certificate Remove Hold",
        "Get Certificates status from the CA",
        "Request Certificate",
        "Request Certificate with SubjectAltName",
        "Request Certificates from a different host",
        "Retrieve Certificates from the CA",
        "Revoke Certificate",
    ),
    "CA Administrator": (
        "System: Add CA",
        "System: Add CA ACL",
        "System: Delete CA",
        "System: Delete CA ACL",
        "System: Delete Certificate Profile",
        _IMPORT,
        "System: Manage CA ACL Membership",
        "System: Modify CA",
        "System: Modify CA ACL",
        _MODIFY,
    ),
}
# People who may do one thing alone, each by a role of his own.
SINGLE: Mapping[str, str] = {
    "erin": "Revoke Certificate",
    "erin-admin": "Certificate Remove Hold",
    "frank": _IMPORT,
    "grace": "System: Add CA",
    "Heidi": "System: Modify CA",
}
OPERATORS, ROLE = "ca-operators", "Certificate Operators"
_NAMESPACE = uuid.UUID("5f0f7a70-6d2e-4d0b-8b7b-0c5a3a8b9d11")


def profile_dn(suffix: str, name: str) -> str:
    """Return the name of a certificate profile's entry."""
    return f"cn={name},cn=certprofiles,cn=ca,{suffix}"


def ca_entries(layout: Layout) -> Iterator[Entry]:
    """Yield profiles, the CA ACL that FreeIPA starts with, and where there is one the CA host among the servers.

    Args:
        layout: the realm.
    """
    for name, description, stored in PROFILES:
        yield entry(
            profile_dn(layout.suffix, name),
            "ipaCertProfile",
            cn=name,
            description=description,
            ipaCertProfileStoreIssued=str(stored).upper(),
        )
    yield ca_acl(
        layout,
        "hosts_services_caIPAserviceCert",
        hostCategory="all",
        serviceCategory="all",
        ipaMemberCertProfile=profile_dn(layout.suffix, "caIPAserviceCert"),
    )
    if layout.ca_host:
        yield from _master(layout)


def ca_acl(layout: Layout, name: str, **who: str | list[str]) -> Entry:
    """Return a CA ACL.

    Args:
        layout: the realm.
        name: its name; its number is made from it.
        who: its categories and members, by attribute.
    """
    number = str(uuid.uuid5(_NAMESPACE, name))
    dn = f"ipaUniqueID={number},cn=caacls,cn=ca,{layout.suffix}"
    return entry(dn, "ipaAssociation ipaCaAcl", ipaUniqueID=number, cn=name, ipaEnabledFlag="TRUE", **who)


def add_rights(connection: Any, layout: Layout) -> None:  # noqa: ANN401 (python-ldap has no types)
    """Add permissions, privileges and roles for certificates to a running directory with people and groups in it.

    What the permissions allow in this directory itself is not here: Dogtag knows them by their names.

    Args:
        connection: an LDAPObject bound as Directory Manager.
        layout: the realm.
    """
    suffix = layout.suffix
    accounts = f"cn=accounts,{suffix}"
    roles = {ROLE: f"cn={OPERATORS},cn=groups,{accounts}"}
    roles |= {f"{right} alone": f"uid={uid},cn=users,{accounts}" for uid, right in SINGLE.items()}
    privileges = {name: (ROLE, rights) for name, rights in PRIVILEGES.items()}
    privileges |= {f"{right} alone": (f"{right} alone", (right,)) for right in SINGLE.values()}
    nested = "groupOfNames nestedGroup"
    add_all(connection, (entry(_role(name, suffix), nested, cn=name) for name in roles))
    for name, (role, _) in privileges.items():
        add_all(connection, [entry(_privilege(name, suffix), nested, cn=name, member=_role(role, suffix))])
    for right in dict.fromkeys(right for _, rights in privileges.values() for right in rights):
        members = [_privilege(name, suffix) for name, (_, rights) in privileges.items() if right in rights]
        kind = {
            "ipaPermissionType": ["SYSTEM", "V2", "MANAGED"] if right.startswith("System:") else ["SYSTEM"]
        }
        dn = f"cn={right},cn=permissions,cn=pbac,{suffix}"
        add_all(connection, [entry(dn, "groupOfNames ipaPermission", cn=right, member=members, **kind)])
    for name, member in roles.items():
        add_values(connection, _role(name, suffix), {"member": [member]})


def _role(name: str, suffix: str) -> str:
    return f"cn={name},cn=roles,cn=accounts,{suffix}"


def _privilege(name: str, suffix: str) -> str:
    return f"cn={name},cn=privileges,cn=pbac,{suffix}"


def authority_entry(layout: Layout, authority: Mapping[str, str]) -> Entry:
    """Return the entry of the CA itself, which has a number only once pkispawn has made it.

    Args:
        layout: the realm.
        authority: `id`, `subject` and `issuer`, as `lab.ca_spawn` wrote them down.
    """
    return entry(
        f"cn=ipa,cn=cas,cn=ca,{layout.suffix}",
        "ipaCa",
        cn="ipa",
        description="IPA CA",
        ipaCaId=authority["id"],
        ipaCaSubjectDN=authority["subject"],
        ipaCaIssuerDN=authority["issuer"],
    )


def _master(layout: Layout) -> Iterator[Entry]:
    dn = f"cn={layout.ca_host},cn=masters,cn=ipa,cn=etc,{layout.suffix}"
    yield entry(
        dn,
        "nsContainer ipaConfigObject ipaSupportedDomainLevelConfig",
        cn=layout.ca_host,
        ipaMinDomainLevel="1",
        ipaMaxDomainLevel="1",
    )
    for service, values in (
        ("CA", ["enabledService", "startOrder 50", "caRenewalMaster"]),
        ("HTTP", ["enabledService", "startOrder 40"]),
    ):
        yield entry(f"cn={service},{dn}", "nsContainer ipaConfigObject", cn=service, ipaConfigString=values)
