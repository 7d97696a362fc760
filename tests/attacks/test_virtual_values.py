"""An administrator without a role lays other values over policy and requests by Class of Service.

He adds a definition above cn=tpi, where FreeIPA lets him; no entry and no ACI of ours is touched.  He would
gain rules that name whom he likes, vetoes that belong to nobody, and a smaller number of approvals.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import ldap
from straight import add_voice, digests, ended, never_intended
from world import HOST, KEYTAB, REALM, SUFFIX, World


@contextmanager
def laid_over(world: World, attribute: str, value: str, specifier: str, name: str) -> Iterator[None]:
    """Have adam lay one value over every entry below the suffix whose `specifier` is `name`."""
    adam = world.ldap("adam")
    base, definition = f"cn=cos-values,{SUFFIX}", f"cn=cos-definition,{SUFFIX}"
    template = f"cn={name},{base}"
    adam.add_s(base, [("objectClass", [b"top", b"nsContainer"]), ("cn", [b"cos-values"])])
    classes = [b"top", b"ldapsubentry", b"cosTemplate", b"extensibleObject"]
    adam.add_s(template, [("objectClass", classes), ("cn", [name.encode()]), (attribute, [value.encode()])])
    content = [
        ("objectClass", [b"top", b"ldapsubentry", b"cosSuperDefinition", b"cosClassicDefinition"]),
        ("cn", [b"cos-definition"]),
        ("cosTemplateDn", [base.encode()]),
        ("cosSpecifier", [specifier.encode()]),
        ("cosAttribute", [f"{attribute} override".encode()]),
    ]
    adam.add_s(definition, content)
    time.sleep(1)  # the plugin builds its cache anew
    try:
        yield
    finally:
        root = world.root()
        for dn in (definition, template, base):
            root.delete_s(dn)
        time.sleep(1)


def seen_by_executor(world: World, wanted: str, attribute: str) -> list[bytes]:
    """Read an attribute below cn=tpi as tpi/HOST, the ordinary way, with what is laid over it."""
    connection = world.service(KEYTAB, f"tpi/{HOST}@{REALM}")
    found = connection.search_s(f"cn=tpi,{SUFFIX}", ldap.SCOPE_SUBTREE, wanted, [attribute])
    return list(found[0][1].get(attribute, []))


def test_a_rule_cannot_be_laid_over_to_silence_a_veto(world: World) -> None:
    bob = f"uid=bob,cn=users,cn=accounts,{SUFFIX}"
    before = world.starts()
    with laid_over(world, "memberUser", bob, "cn", "operators approve"):
        # The attack works as such: whoever reads the ordinary way sees the rule name bob alone.
        assert seen_by_executor(world, "(cn=operators approve)", "memberUser") == [bob.encode()]
        request_id = world.request("alice")
        add_voice(world.ldap("carol"), request_id, "ipaTpiDenial", digests(world, request_id).approval)
        assert ended(world, request_id) == ("denied", "denied-by-approver")
        never_intended(world, request_id)
    assert world.starts() == before


def test_the_number_of_approvals_cannot_be_laid_over(world: World) -> None:
    operation = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
    root = world.root()
    root.modify_s(operation, [(ldap.MOD_REPLACE, "ipaTpiRequiredApprovals", [b"2"])])
    try:
        with laid_over(world, "ipaTpiRequiredApprovals", "1", "cn", "dirsrv.restart"):
            assert seen_by_executor(world, "(cn=dirsrv.restart)", "ipaTpiRequiredApprovals") == [b"1"]
            request_id = world.request("alice")
            world.approve("bob", request_id)
            view = world.wait_for("carol", request_id, lambda now: any(one.counts for one in now.approvals))
            assert (view.state, view.required_approvals) == ("pending", 2)
            never_intended(world, request_id)
    finally:
        root.modify_s(operation, [(ldap.MOD_REPLACE, "ipaTpiRequiredApprovals", [b"1"])])


def test_the_person_attribute_cannot_silence_a_veto(world: World) -> None:
    """Adam makes carol's account look like another account of alice, so that her denial would not count."""
    carol = f"uid=carol,cn=users,cn=accounts,{SUFFIX}"
    adam = world.ldap("adam")
    before = world.starts()
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    adam.modify_s(carol, [(ldap.MOD_REPLACE, "employeeNumber", [b"1001"])])
    try:
        add_voice(world.ldap("carol"), request_id, "ipaTpiDenial", about)
        assert ended(world, request_id) == ("denied", "same-person")
    finally:
        world.root().modify_s(carol, [(ldap.MOD_REPLACE, "employeeNumber", [b"1003"])])
    assert world.starts() == before
