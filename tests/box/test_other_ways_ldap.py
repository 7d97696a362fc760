"""Attack: restart DS01, or the directory that says who may, through LDAP alone (K18 for dirsrv.restart).

What an attacker would gain: the configuration and the tasks of a directory server, which need no second person.
"""

from __future__ import annotations

import ldap
import pytest
from world import LDAPI, World

PEOPLE = ("alice", "bob", "dave", "adam")
CONFIG_CHANGES = (
    ("cn=config", "nsslapd-port", b"1"),
    ("cn=config", "nsslapd-rootpw", b"mine-now-1"),
    ("cn=config", "nsslapd-maxdescriptors", b"4096"),
    ("cn=userRoot,cn=ldbm database,cn=plugins,cn=config", "nsslapd-readonly", b"on"),
    ("cn=ACL Plugin,cn=plugins,cn=config", "nsslapd-pluginEnabled", b"off"),
)
CONFIG_ENTRIES = (
    (
        "cn=evil,cn=plugins,cn=config",
        {
            "objectClass": [b"top", b"nsSlapdPlugin"],
            "cn": [b"evil"],
            "nsslapd-pluginPath": [b"libevil"],
            "nsslapd-pluginInitfunc": [b"evil_init"],
            "nsslapd-pluginType": [b"object"],
            "nsslapd-pluginEnabled": [b"off"],
            "nsslapd-pluginId": [b"evil"],
            "nsslapd-pluginVersion": [b"1"],
            "nsslapd-pluginVendor": [b"evil"],
            "nsslapd-pluginDescription": [b"evil"],
        },
    ),
    (
        "cn=evil,cn=schema reload task,cn=tasks,cn=config",
        {"objectClass": [b"top", b"extensibleObject"], "cn": [b"evil"]},
    ),
    (
        "cn=evil,cn=export,cn=tasks,cn=config",
        {
            "objectClass": [b"top", b"extensibleObject"],
            "cn": [b"evil"],
            "nsInstance": [b"userRoot"],
            "nsFilename": [b"/tmp/evil.ldif"],
        },
    ),
)


@pytest.mark.parametrize("person", PEOPLE)
def test_r_k18_ldap_gives_no_other_way(world: World, person: str) -> None:
    """cn=config and cn=tasks of the realm's directory, which also say where it runs."""
    connection = world.ldap(person)
    for dn, attribute, value in CONFIG_CHANGES:
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            connection.modify_s(dn, [(ldap.MOD_REPLACE, attribute, [value])])
    for dn, attributes in CONFIG_ENTRIES:
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            connection.add_s(dn, list(attributes.items()))
    assert connection.search_s("", ldap.SCOPE_BASE)  # the connection itself is good


def test_r_k18_the_same_changes_are_well_formed(world: World) -> None:
    """Directory Manager may make them, so that the refusals above are about the person."""
    connection = world.root()
    for dn, attribute, _ in CONFIG_CHANGES:
        old = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=[attribute])[0][1][attribute]
        if attribute != "nsslapd-rootpw":  # shown hashed, and it would be hashed again
            connection.modify_s(dn, [(ldap.MOD_REPLACE, attribute, old)])
    for dn, attributes in CONFIG_ENTRIES:
        if "nsslapd-pluginPath" not in attributes:  # the server would look for the library
            connection.add_s(dn, list(attributes.items()))


@pytest.mark.parametrize("account", [*PEOPLE, "ipatpi-exec", "ipatpi-web"])
def test_r_k18_ds01_itself_is_nobodys(world: World, account: str) -> None:
    """DS01 maps no unix account to its root, and has no password that people know."""
    for uri in ("ldapi://%2Frun%2Fslapd-DS01.socket", LDAPI):
        done = world.run(
            account,
            ["/usr/bin/ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", uri],
            "dn: cn=config\nchangetype: modify\nreplace: nsslapd-maxdescriptors\nnsslapd-maxdescriptors: 64\n",
        )
        assert done.status != 0, f"{account} at {uri}"
