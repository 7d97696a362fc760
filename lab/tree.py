"""FreeIPA's layout below the suffix: the containers, and the entries that other parts look for."""

from __future__ import annotations

from collections.abc import Iterator

from lab.ca_directory import ca_entries
from lab.delegation import rule_entries
from lab.entries import Entry, entry
from lab.layout import Layout
from lab.suffix_acis import suffix_acis

_CONTAINERS = """
cn=accounts
cn=users,cn=accounts
cn=groups,cn=accounts
cn=services,cn=accounts
cn=computers,cn=accounts
cn=hostgroups,cn=accounts
cn=roles,cn=accounts
cn=pbac
cn=permissions,cn=pbac
cn=privileges,cn=pbac
cn=hbac
cn=hbacservices,cn=hbac
cn=hbacservicegroups,cn=hbac
cn=ca
cn=certprofiles,cn=ca
cn=caacls,cn=ca
cn=cas,cn=ca
cn=alt
cn=ng,cn=alt
cn=sudo
cn=selinux
cn=usermap,cn=selinux
cn=etc
cn=sysaccounts,cn=etc
cn=s4u2proxy,cn=etc
cn=virtual operations,cn=etc
cn=ipa,cn=etc
cn=masters,cn=ipa,cn=etc
cn=replicas,cn=ipa,cn=etc
cn=certificates,cn=ipa,cn=etc
cn=custodia,cn=ipa,cn=etc
"""


def tree_entries(layout: Layout) -> Iterator[Entry]:
    """Yield the suffix, the containers and FreeIPA's configuration entries, access rules included.

    Args:
        layout: the realm.
    """
    suffix = layout.suffix
    acis = suffix_acis(suffix)
    component = suffix.partition(",")[0].partition("=")[2]
    yield entry(suffix, "domain pilotObject", dc=component, info="IPA V2.0", aci=acis.pop(suffix))
    for line in _CONTAINERS.split("\n"):
        if line:
            yield _container(f"{line},{suffix}", acis)
    yield from _configuration(layout)
    yield from rule_entries(layout)
    yield from ca_entries(layout)


def _container(dn: str, acis: dict[str, list[str]]) -> Entry:
    """Return a container, with its access rules where it has some."""
    name = dn.partition(",")[0].partition("=")[2]
    # kdb5_ldap_util takes a subtree only if it knows the entry's class, and it does not know nsContainer.
    classes = "nsContainer krbContainer" if dn.startswith("cn=accounts,") else "nsContainer"
    return entry(dn, classes, cn=name, **({"aci": acis[dn]} if dn in acis else {}))


def _configuration(layout: Layout) -> Iterator[Entry]:
    suffix = layout.suffix
    yield entry(
        f"cn=ipaConfig,cn=etc,{suffix}",
        "nsContainer ipaGuiConfig ipaConfigObject",
        cn="ipaConfig",
        ipaDefaultPrimaryGroup="ipausers",
        ipaDefaultLoginShell="/bin/sh",
        ipaHomesRootDir="/home",
        ipaMaxUsernameLength="32",
        ipaSearchTimeLimit="2",
        ipaSearchRecordsLimit="100",
        ipaCertificateSubjectBase=f"O={layout.realm}",
    )
    yield entry(
        f"cn=Domain Level,cn=ipa,cn=etc,{suffix}",
        "nsContainer ipaDomainLevelConfig ipaConfigObject",
        cn="Domain Level",
        ipaDomainLevel="1",
    )
    master = f"cn={layout.host},cn=masters,cn=ipa,cn=etc,{suffix}"
    yield entry(
        master,
        "nsContainer ipaConfigObject ipaSupportedDomainLevelConfig",
        cn=layout.host,
        ipaMinDomainLevel="1",
        ipaMaxDomainLevel="1",
    )
    for service in ("KDC", "HTTP"):
        yield entry(
            f"cn={service},{master}",
            "nsContainer ipaConfigObject",
            cn=service,
            ipaConfigString=["enabledService", "startOrder 10"],
        )
