"""An administrator of the whole domain goes straight to the directory.

FreeIPA's "Admin can manage any entry" would give him everything: requests, approvals, results, the
rules, and the access control itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ldap
import pytest
from ldap.controls import RequestControl
from ldap.controls.simple import ProxyAuthzControl
from straight import (
    EXECUTOR_DN,
    OPERATION_DN,
    add,
    add_child,
    add_proof,
    add_request,
    add_voice,
    digests,
    directory_refuses,
    draft,
    new_id,
    refused_by_directory,
    refused_by_web,
    request_dn,
    user_dn,
)
from world import REQUESTS, SUFFIX, World

TOP = f"cn=tpi,{SUFFIX}"
ALLOW = b'(targetattr = "*")(version 3.0; acl "adam"; allow (all, moddn, proxy) userdn = "ldap:///all";)'
VOICES = ("ipaTpiApproval", "ipaTpiDenial", "ipaTpiWithdrawal", "ipaTpiCancellation")
EXECUTORS = {
    "ipaTpiPreview": {"ipaTpiBody": b"{}", "ipaTpiDigest": b"0" * 64},
    "ipaTpiReceipt": {"ipaTpiRefersTo": b"x", "ipaTpiOutcome": b"verified"},
    "ipaTpiExecution": {"ipaTpiNonce": b"x"},
    "ipaTpiResult": {"ipaTpiOutcome": b"executed"},
}


@pytest.fixture(scope="module", params=["adam", "erin-admin"])
def admin(world: World, request: pytest.FixtureRequest) -> Any:
    """An administrator without a role, and one who may also approve: neither may change what lies there."""
    return world.ldap(request.param)


@pytest.fixture
def request_id(world: World) -> str:
    return world.request("alice")


def test_he_really_is_an_administrator(world: World, admin: Any) -> None:
    """What is refused below he can do everywhere else."""
    admin.modify_s(user_dn("dave"), [(ldap.MOD_REPLACE, "title", [b"changed by adam"])])
    world.root().modify_s(user_dn("dave"), [(ldap.MOD_REPLACE, "title", None)])


def test_he_adds_nothing(world: World, request_id: str) -> None:
    adam = world.ldap("adam")
    directory_refuses(add_request, adam, draft(world, "adam"))
    about = digests(world, request_id).approval
    for kind in VOICES:
        directory_refuses(add_voice, adam, request_id, kind, about)
    directory_refuses(add_proof, adam, request_id, "approve", about, (b"x", b"x"))
    for kind, values in EXECUTORS.items():
        directory_refuses(add_child, adam, request_id, kind, **values)
    # The same hands, another person: it was not the form that was refused.
    add_voice(world.ldap("bob"), request_id, "ipaTpiApproval", about)


def test_the_web_service_does_not_let_him_either(world: World, request_id: str) -> None:
    view = world.api("bob").show(request_id)
    with refused_by_web("not-found"):
        world.api("adam").approve(view)


def test_he_changes_and_removes_nothing(world: World, admin: Any, request_id: str) -> None:
    approval = add_voice(world.ldap("bob"), request_id, "ipaTpiApproval", digests(world, request_id).request)
    base = request_dn(request_id)
    for dn, name, value in (
        (base, "ipaTpiParameters", b'{"instance":"DS02"}'),
        (base, "ipaTpiExecutor", user_dn("adam").encode()),
        (base, "objectClass", b"extensibleObject"),
        (base, "nsAccountLock", b"true"),
        (base, "creatorsName", user_dn("adam").encode()),
        (
            f"ipaTpiEntryId={approval},{base}",
            "ipaTpiDigest",
            digests(world, request_id).approval.hex().encode(),
        ),
    ):
        with refused_by_directory(
            ldap.INSUFFICIENT_ACCESS, ldap.CONSTRAINT_VIOLATION, ldap.UNWILLING_TO_PERFORM
        ):
            admin.modify_s(dn, [(ldap.MOD_REPLACE, name, [value])])
    for dn in (f"ipaTpiEntryId={approval},{base}", base, OPERATION_DN):
        directory_refuses(admin.delete_s, dn)


@pytest.mark.parametrize(
    "container", ["", "cn=requests,", "cn=tpirules,", "cn=tpioperations,", "cn=executors,"]
)
def test_he_does_not_touch_access_control(admin: Any, container: str) -> None:
    dn = container + TOP
    for change in (
        (ldap.MOD_DELETE, "aci", None),
        (ldap.MOD_REPLACE, "aci", [ALLOW]),
        (ldap.MOD_ADD, "aci", [ALLOW]),
    ):
        directory_refuses(admin.modify_s, dn, [change])


def test_he_puts_no_access_control_on_an_entry(admin: Any, request_id: str) -> None:
    directory_refuses(admin.modify_s, request_dn(request_id), [(ldap.MOD_ADD, "aci", [ALLOW])])


@pytest.mark.parametrize("group", ["executors", "policy-executors"])
def test_he_does_not_join_the_executors(admin: Any, group: str) -> None:
    for who in (
        user_dn("adam"),
        user_dn("erin-admin"),
        user_dn("dave"),
    ):  # his own DN would be selfwrite, a right of its own
        directory_refuses(admin.modify_s, f"cn={group},{TOP}", [(ldap.MOD_ADD, "member", [who.encode()])])
    directory_refuses(admin.modify_s, f"cn={group},{TOP}", [(ldap.MOD_DELETE, "member", None)])


def test_he_changes_no_policy(world: World, admin: Any) -> None:
    directory_refuses(admin.modify_s, OPERATION_DN, [(ldap.MOD_REPLACE, "ipaTpiRequiredApprovals", [b"1"])])
    rules = world.root().search_s(f"cn=tpirules,{TOP}", ldap.SCOPE_ONELEVEL, "(objectClass=ipaTpiRule)")
    for dn, _ in rules:
        directory_refuses(admin.modify_s, dn, [(ldap.MOD_ADD, "memberUser", [user_dn("adam").encode()])])
    number = new_id()
    rule = dict(rules[0][1]) | {"ipaUniqueID": [number.encode()], "memberUser": [user_dn("adam").encode()]}
    rule = {name: values for name, values in rule.items() if name not in {"objectClass", "memberOf"}}
    directory_refuses(
        add, admin, f"ipaUniqueID={number},cn=tpirules,{TOP}", ["ipaAssociation", "ipaTpiRule"], rule
    )


def test_he_moves_and_renames_nothing(world: World, admin: Any, request_id: str) -> None:
    base = request_dn(request_id)
    directory_refuses(admin.rename_s, base, f"ipaTpiRequestId={new_id()}")
    directory_refuses(admin.rename_s, base, f"ipaTpiRequestId={request_id}", SUFFIX)
    directory_refuses(admin.rename_s, REQUESTS, "cn=requests", SUFFIX)
    directory_refuses(admin.rename_s, TOP, "cn=old")
    # A request that he prepared elsewhere, where nobody hinders him.
    dn = f"cn=prepared,{SUFFIX}"
    add(admin, dn, ["nsContainer"], {"cn": b"prepared"})
    try:
        directory_refuses(admin.rename_s, dn, "cn=prepared", REQUESTS)
    finally:
        world.root().delete_s(dn)


CONTROLS: dict[str, Callable[[str], RequestControl]] = {
    "v2": lambda dn: ProxyAuthzControl(criticality=True, authzId=f"dn:{dn}".encode()),
    "v1": lambda dn: RequestControl("2.16.840.1.113730.3.4.12", True, _v1(dn)),  # noqa: FBT003
}


def _v1(dn: str) -> bytes:
    """Encode a proxied-authorization control of the first version: SEQUENCE { OCTET STRING }."""
    octets = b"\x04" + bytes([len(dn)]) + dn.encode()
    return b"\x30" + bytes([len(octets)]) + octets


@pytest.mark.parametrize("version", CONTROLS)
@pytest.mark.parametrize(
    "granted", [False, True], ids=["as he is", "with proxy granted to himself at the suffix"]
)
def test_he_does_not_act_as_bob(
    world: World, admin: Any, request_id: str, version: str, granted: bool
) -> None:
    """Proxied authorization, which "all" does not hold, but which he can grant himself above cn=tpi."""
    about = digests(world, request_id).approval.hex().encode()
    entry = [("objectClass", [b"top", b"ipaTpiApproval"]), ("ipaTpiDigest", [about])]
    if granted:
        admin.modify_s(SUFFIX, [(ldap.MOD_ADD, "aci", [ALLOW])])
    try:
        for who in (user_dn("bob"), EXECUTOR_DN):
            entry_id = new_id()
            dn = f"ipaTpiEntryId={entry_id},{request_dn(request_id)}"
            with refused_by_directory():
                admin.add_ext_s(
                    dn, [*entry, ("ipaTpiEntryId", [entry_id.encode()])], serverctrls=[CONTROLS[version](who)]
                )
    finally:
        if granted:
            world.root().modify_s(SUFFIX, [(ldap.MOD_DELETE, "aci", [ALLOW])])


def test_what_he_grants_himself_above_gives_him_nothing_below(
    world: World, admin: Any, request_id: str
) -> None:
    admin.modify_s(SUFFIX, [(ldap.MOD_ADD, "aci", [ALLOW])])
    try:
        test_he_changes_and_removes_nothing(world, admin, request_id)
        test_he_moves_and_renames_nothing(world, admin, request_id)
        test_he_changes_no_policy(world, admin)
    finally:
        world.root().modify_s(SUFFIX, [(ldap.MOD_DELETE, "aci", [ALLOW])])
