"""What the realm's directory knows of its certificate authority: the host, profiles, CA ACLs, and the CA's own entry."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

from lab.entries import Entry, entry
from lab.layout import Layout

# Profile, what it is for, and whether FreeIPA keeps the certificates in the subject's entry.
PROFILES = (
    ("caIPAserviceCert", "Standard profile for network services", True),
    ("IECUserRoles", "User profile that includes IECUserRoles extension from request", True),
    ("KDCs_PKINIT_Certs", "Profile for PKINIT support by KDCs", False),
)
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
