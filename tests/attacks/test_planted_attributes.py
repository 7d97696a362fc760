"""Attributes and classes that grant, hide or disable something are planted in entries that people may add.

An `aci` in a request of his own would let the requester's friend without a role approve it; a conflict
mark or another class would hide a veto from the executor.
"""

from __future__ import annotations

from collections.abc import Sequence

import ldap
import pytest
from straight import (
    EXECUTOR_DN,
    NOBODY,
    add_child,
    add_request,
    child_dn,
    draft,
    ended,
    never_intended,
    request_dn,
    runs_for,
    user_dn,
)
from world import SUFFIX, World

ACI = b'(targetattr = "*")(version 3.0; acl "planted"; allow (all) userdn = "ldap:///all";)'
ATTRIBUTES = {
    "aci": ACI,
    "nsRoleDN": f"cn=TPI Approver,cn=roles,cn=accounts,{SUFFIX}".encode(),
    "nsAccountLock": b"true",
    "nsds5ReplConflict": b"namingConflict",
    "krbPrincipalName": b"evil@TPI.TEST",
}
CLASSES = (
    "extensibleObject",
    "krbPrincipalAux",
    "inetUser",
    "person",
    "ldapSubEntry",
    "nsTombstone",
    "referral",
    "glue",
    "groupOfNames",
    "nsContainer",
    "ipaTpiOperation",
    "ipaTpiRule",
    "ipaTpiAnchor",
    "ipaTpiResult",
    "ipaTpiExecution",
)
# What a further class demands.
NEEDED: dict[str, dict[str, bytes]] = {
    "person": {"cn": b"x", "sn": b"x"},
    "referral": {"ref": b"ldap://localhost/"},
    "groupOfNames": {"cn": b"x"},
    "nsContainer": {"cn": b"x"},
    "ipaTpiOperation": {"cn": b"x"},
    "ipaTpiRule": {"ipaUniqueID": b"x", "cn": b"x", "ipaTpiRight": b"approve"},
    "ipaTpiAnchor": {"ipaTpiExecutor": EXECUTOR_DN.encode(), "ipaTpiSequence": b"1", "ipaTpiHead": b"x"},
    "ipaTpiResult": {"ipaTpiOutcome": b"executed"},
    "ipaTpiExecution": {"ipaTpiNonce": b"x"},
}
REFUSED = (
    ldap.INSUFFICIENT_ACCESS, ldap.OBJECT_CLASS_VIOLATION, ldap.UNWILLING_TO_PERFORM, ldap.CONSTRAINT_VIOLATION,
    ldap.OPERATIONS_ERROR, ldap.INVALID_SYNTAX,
)  # fmt: skip
ENTRIES: Sequence[tuple[str, str]] = (
    ("alice", "ipaTpiRequest"),
    ("alice", "ipaTpiCancellation"),
    ("alice", "ipaTpiProof"),
    ("bob", "ipaTpiApproval"),
    ("bob", "ipaTpiDenial"),
    ("bob", "ipaTpiProof"),
    ("erin-admin", "ipaTpiRequest"),
    ("erin-admin", "ipaTpiApproval"),
    ("erin-admin", "ipaTpiProof"),
)  # fmt: skip


def plant(
    world: World, person: str, kind: str, request_id: str, classes: Sequence[str], **extra: bytes
) -> str:
    """Let somebody add an entry of a kind that he may add, with more in it; return its DN."""
    connection = world.ldap(person)
    if kind == "ipaTpiRequest":
        return request_dn(add_request(connection, draft(world, person), classes, **extra))
    values: dict[str, bytes] = {"ipaTpiDigest": NOBODY.hex().encode()}
    if kind == "ipaTpiProof":
        values |= {
            "ipaTpiProofKind": b"gss",
            "ipaTpiPurpose": b"approve",
            "ipaTpiToken": b"x",
            "ipaTpiMic": b"x",
        }
    return child_dn(request_id, add_child(connection, request_id, [kind, *classes], **(values | extra)))


@pytest.mark.parametrize(("person", "kind"), ENTRIES)
def test_nobody_plants_an_attribute(world: World, person: str, kind: str) -> None:
    request_id = world.request("alice")
    for name, value in ATTRIBUTES.items():
        classes = ["krbPrincipalAux"] if name == "krbPrincipalName" else []
        with pytest.raises(REFUSED):
            plant(world, person, kind, request_id, classes, **{name: value})
    plant(world, person, kind, request_id, ())  # without it, it is taken


@pytest.mark.parametrize(("person", "kind"), [entry for entry in ENTRIES if entry[0] != "erin-admin"])
def test_nobody_plants_a_class(world: World, person: str, kind: str) -> None:
    request_id = world.request("alice")
    for name in CLASSES:
        with pytest.raises(REFUSED):
            plant(world, person, kind, request_id, [name], **NEEDED.get(name, {}))


@pytest.mark.parametrize("name", CLASSES)
def test_what_an_administrator_with_a_role_plants_denies(world: World, name: str) -> None:
    """The directory cannot refuse her every class (facts/directory-acis.md, fix 4); the executor takes none."""
    request_id = world.request("alice")
    try:
        plant(world, "erin-admin", "ipaTpiApproval", request_id, [name], **NEEDED.get(name, {}))
    except REFUSED:
        assert name not in {"inetUser", "krbPrincipalAux"}  # as measured: those two are taken
        return
    assert ended(world, request_id) == ("denied", "malformed-entry")
    never_intended(world, request_id)


@pytest.mark.parametrize("kind", ["ipaTpiRequest", "ipaTpiApproval", "ipaTpiProof"])
def test_she_hides_nothing_among_the_containers(world: World, kind: str) -> None:
    """Every administrator reads a container, and retention spares it."""
    request_id = world.request("alice")
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        plant(world, "erin-admin", kind, request_id, ["nsContainer"], cn=b"x")


@pytest.mark.parametrize("name", ["inetUser", "krbPrincipalAux"])
def test_her_request_with_a_foreign_class_is_none(world: World, name: str) -> None:
    dn = plant(world, "erin-admin", "ipaTpiRequest", "", [name])
    request_id = dn.partition(",")[0].partition("=")[2]
    assert ended(world, request_id) == ("denied", "malformed-request")


def test_nobody_hangs_an_entry_where_it_does_not_belong(world: World) -> None:
    request_id = world.request("alice")
    other = draft(world, "alice")
    values = {"ipaTpiDigest": NOBODY.hex().encode(), "ipaTpiEntryId": b"x"}
    approval = child_dn(
        request_id, add_child(world.ldap("bob"), request_id, "ipaTpiApproval", ipaTpiDigest=b"0" * 64)
    )
    for person, dn, kind in (
        ("alice", f"ipaTpiRequestId={other.id},{request_dn(request_id)}", "ipaTpiRequest"),
        ("bob", f"ipaTpiEntryId=x,{approval}", "ipaTpiDenial"),
        ("bob", f"ipaTpiEntryId=x,cn=requests,cn=tpi,{SUFFIX}", "ipaTpiDenial"),
        ("bob", f"cn=execution,{request_dn(request_id)}", "ipaTpiDenial"),
        ("bob", f"ipaTpiEntryId=x,{user_dn('bob')}", "ipaTpiDenial"),
    ):
        attributes = [
            ("objectClass", [b"top", kind.encode()]),
            *((name, [value]) for name, value in values.items()),
        ]
        with pytest.raises((ldap.INSUFFICIENT_ACCESS, ldap.OBJECT_CLASS_VIOLATION, ldap.NAMING_VIOLATION)):
            world.ldap(person).add_s(dn, attributes)
    runs_for(world, request_id, "carol")
