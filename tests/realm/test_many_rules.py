"""More rules than the directory gives at once: all of them count, and what one operation costs does not grow (K03)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import ldap
import pytest
from acls_world import World, new_world

from ipa_tpi.adapters.directory import LdapDirectory

pytestmark = pytest.mark.realm

MANY = 2600  # one search gives 2000
_NAMESPACE = uuid.UUID("1d8b6c32-6a0f-4a53-b3c5-5e8e8f0d7a11")
# What FreeIPA sets; a stock directory looks through 5000 entries.
DATABASE = "cn=config,cn=ldbm database,cn=plugins,cn=config"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with new_world() as made:
        base, rules = f"cn=tpioperations,{made.top}", f"cn=tpirules,{made.top}"
        restart, status = f"cn=dirsrv.restart,{base}", f"cn=dirsrv.status,{base}"
        group = f"cn=group,cn=tpioperationgroups,{made.top}"
        classes = [b"top", b"groupOfNames", b"ipaTpiOperationGroup"]
        member = [("cn", [b"group"]), ("member", [restart.encode()])]
        made.root.add_s(group, [("objectClass", classes), *member])
        named = {0: restart, 1: group}
        for number in range(MANY):
            rule = str(uuid.uuid5(_NAMESPACE, str(number)))
            values = {
                "objectClass": ("top", "ipaAssociation", "ipaTpiRule"),
                "ipaUniqueID": (rule,),
                "cn": (f"many {number}",),
                "ipaEnabledFlag": ("TRUE",),
                "ipaTpiRight": ("request",),
                "ipaTpiMemberOperation": (named.get(number, status),),
            }
            content = [(name, [one.encode() for one in given]) for name, given in values.items()]
            made.root.add_s(f"ipaUniqueID={rule},{rules}", content)
        yield made


def directory(world: World) -> LdapDirectory:
    return LdapDirectory(world.bound("alice"), world.layout.suffix)


def test_r_k03_every_rule_that_names_the_operation_counts(world: World) -> None:
    # One search would not have been enough.
    with pytest.raises(ldap.SIZELIMIT_EXCEEDED):
        world.bound("alice").search_s(f"cn=tpirules,{world.top}", ldap.SCOPE_SUBTREE)
    policy = directory(world).policy(frozenset({"dirsrv.restart"}))
    assert not policy.whole
    names = {rule.name for rule in policy.rules_for(policy.operations["dirsrv.restart"].dn)}
    assert {"many 0", "many 1", "operators ask", "operators approve"} <= names
    assert "many 2" not in names


def test_r_k03_all_rules_are_read_however_many(world: World) -> None:
    policy = directory(world).policy()
    assert policy.whole
    assert {f"many {number}" for number in range(MANY)} <= {rule.name for rule in policy.rules}
    named = policy.rules_for(policy.operations["dirsrv.status"].dn)
    assert len([rule for rule in named if rule.name.startswith("many")]) == MANY - 2


def test_more_rules_of_one_operation_than_one_search_gives_are_all_read(world: World) -> None:
    policy = directory(world).policy(frozenset({"dirsrv.status"}))
    named = policy.rules_for(policy.operations["dirsrv.status"].dn)
    assert len([rule for rule in named if rule.name.startswith("many")]) == MANY - 2


@pytest.fixture
def _stingy(world: World) -> Iterator[None]:
    """Make the directory look through less than there is, as a stock one does with 10 000 rules."""
    limits = {
        "cn=config": {"nsslapd-sizelimit": b"500"},
        DATABASE: {
            "nsslapd-lookthroughlimit": b"500",
            "nsslapd-rangelookthroughlimit": b"500",
            "nsslapd-idlistscanlimit": b"500",
        },
    }
    before = {
        dn: world.root.search_s(dn, ldap.SCOPE_BASE, attrlist=list(names))[0][1]
        for dn, names in limits.items()
    }
    for dn, names in limits.items():
        world.root.modify_s(dn, [(ldap.MOD_REPLACE, name, [value]) for name, value in names.items()])
    time.sleep(0.2)
    world.connections.pop("alice", None)
    yield
    for dn, values in before.items():
        world.root.modify_s(dn, [(ldap.MOD_REPLACE, name, value) for name, value in values.items()])
    time.sleep(0.2)
    world.connections.pop("alice", None)


@pytest.mark.usefixtures("_stingy")
def test_a_directory_that_looks_through_few_at_once_gives_all_the_same(world: World) -> None:
    with pytest.raises((ldap.SIZELIMIT_EXCEEDED, ldap.ADMINLIMIT_EXCEEDED)):
        world.bound("alice").search_s(world.top, ldap.SCOPE_SUBTREE, "(objectClass=ipaTpiRule)")
    about = directory(world).policy(frozenset({"dirsrv.restart"}))
    assert {"many 0", "many 1"} <= {rule.name for rule in about.rules}
    assert set(directory(world).operations().operations) >= {"dirsrv.restart", "dirsrv.status"}
    found = [rule.name for rule in directory(world).policy().rules]
    assert {f"many {number}" for number in range(MANY)} <= set(found)
    assert len(found) == len(set(found))
