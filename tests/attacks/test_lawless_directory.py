"""The directory enforces nothing: somebody with Directory Manager's rights switched its guards off.

What access control and the uniqueness plugin refuse elsewhere is written here by whoever likes, and only
the executor stands in the way.  First it is shown that the guards really are off.
"""

from __future__ import annotations

import hashlib
from typing import Any

import ldap
import pytest
from ldap.controls.simple import ProxyAuthzControl
from straight import (
    NOBODY,
    OPERATION_DN,
    OTHER,
    OTHER_KEYTAB,
    add_child,
    add_request,
    add_voice,
    approve,
    changed,
    digests,
    draft,
    ended,
    never_intended,
    new_id,
    prove,
    receipt,
    refused_proof,
    request_dn,
    runs_for,
    settle,
    user_dn,
)
from world import EXECUTOR, HOST, REALM, SUFFIX, World, stopped

from ipa_tpi.client import Wish
from ipa_tpi.model import Purpose

pytestmark = pytest.mark.usefixtures("lawless")


def codes(world: World, request_id: str) -> dict[str, tuple[str, bool]]:
    """Give why each approval does not count, by its writer."""
    view = world.api("frank").show(request_id)
    return {voice.who.partition("@")[0]: (voice.code, voice.counts) for voice in view.approvals}


def test_the_guards_are_off(world: World) -> None:
    request_id = world.request("alice")
    dave = world.ldap("dave")
    base = request_dn(request_id)
    add_voice(
        dave,
        request_id,
        "ipaTpiProof",
        NOBODY,
        ipaTpiProofKind=b"x",
        ipaTpiPurpose=b"x",
        ipaTpiToken=b"x",
        ipaTpiMic=b"x",
    )
    dave.modify_s(
        base,
        [
            (
                ldap.MOD_REPLACE,
                "aci",
                [b'(targetattr="cn")(version 3.0; acl "x"; allow (read) userdn="ldap:///self";)'],
            )
        ],
    )
    dave.delete_s(
        f"ipaTpiEntryId={add_child(dave, request_id, 'ipaTpiReceipt', ipaTpiRefersTo=b'x', ipaTpiOutcome=b'x')},{base}"
    )
    other = world.service(OTHER_KEYTAB, f"tpi/{OTHER}@{REALM}")
    assert other.search_s(base, ldap.SCOPE_BASE)


# --- 1: oneself ---------------------------------------------------------------


def test_nobody_approves_his_own_request(world: World) -> None:
    request_id = world.request("alice")
    assert receipt(world, request_id, approve(world, "alice", request_id)) == "verified"
    settle(world, request_id, "alice")
    assert codes(world, request_id) == {"alice": ("self-approval", False)}
    runs_for(world, request_id)


def test_nobody_approves_twice(world: World) -> None:
    """Two approvals by bob where two people are needed."""
    with two_needed(world):
        request_id = world.request("alice")
        for _ in range(2):
            assert receipt(world, request_id, approve(world, "bob", request_id)) == "verified"
        settle(world, request_id, "alice")
        view = world.api("frank").show(request_id)
        assert [(one.code, one.counts) for one in view.approvals] == [("", True), ("self-approval", False)]
        runs_for(world, request_id, "carol")


def two_needed(world: World) -> Any:
    return changed(world.root(), OPERATION_DN, ipaTpiRequiredApprovals=[b"2"])


def test_a_second_account_is_no_second_person(world: World) -> None:
    request_id = world.request("erin")
    assert receipt(world, request_id, approve(world, "erin-admin", request_id)) == "verified"
    settle(world, request_id, "erin")
    assert codes(world, request_id) == {"erin-admin": ("same-person", False)}
    runs_for(world, request_id)


@pytest.mark.parametrize("person", ["dave", "grace", "adam", "frank"])
def test_who_has_no_right_to_approve_does_not_count(world: World, person: str) -> None:
    request_id = world.request("alice")
    assert receipt(world, request_id, approve(world, person, request_id)) == "verified"
    settle(world, request_id, "alice")
    assert codes(world, request_id) == {person: ("no-rule", False)}
    runs_for(world, request_id)


@pytest.mark.parametrize("person", ["dave", "adam"])
def test_who_has_no_right_to_request_gets_nothing(world: World, person: str) -> None:
    wanted = draft(world, person)
    add_request(world.ldap(person), wanted)
    prove(world, person, wanted.id, Purpose.REQUEST, wanted.digest)
    assert ended(world, wanted.id) == ("denied", "no-rule")
    never_intended(world, wanted.id)


def test_a_service_is_no_person(world: World) -> None:
    """The other host's executor approves: no person, and nobody's word."""
    request_id = world.request("alice")
    other = world.service(OTHER_KEYTAB, f"tpi/{OTHER}@{REALM}")
    add_voice(other, request_id, "ipaTpiApproval", digests(world, request_id).approval)
    settle(world, request_id, "alice")
    (voice,) = world.api("frank").show(request_id).approvals
    assert (voice.code, voice.counts) == ("not-a-person", False)
    runs_for(world, request_id)


def test_directory_manager_is_nobody(world: World) -> None:
    """What root writes bears no person's name: his request is none's, his approval does not count."""
    request_id = world.request("alice")
    add_voice(world.root(), request_id, "ipaTpiApproval", digests(world, request_id).approval)
    settle(world, request_id, "alice")
    (voice,) = world.api("frank").show(request_id).approvals
    assert (voice.code, voice.counts) == ("unknown-principal", False)
    own = draft(world, "alice")
    add_request(world.root(), own)
    prove(world, "alice", own.id, Purpose.REQUEST, own.digest)
    assert ended(world, own.id)[0] == "denied"
    never_intended(world, own.id)
    runs_for(world, request_id)


def test_who_acts_as_another_signs_as_himself(world: World) -> None:
    """Dave adds an approval by proxied authorization as bob; there is no proof by bob."""
    request_id = world.request("alice")
    about, entry_id = digests(world, request_id).approval, new_id()
    attributes = [
        ("objectClass", [b"top", b"ipaTpiApproval"]),
        ("ipaTpiEntryId", [entry_id.encode()]),
        ("ipaTpiDigest", [about.hex().encode()]),
    ]
    control = ProxyAuthzControl(criticality=True, authzId=f"dn:{user_dn('bob')}".encode())
    dn = f"ipaTpiEntryId={entry_id},{request_dn(request_id)}"
    world.ldap("dave").add_ext_s(dn, attributes, serverctrls=[control])
    settle(world, request_id, "alice")
    (voice,) = world.api("frank").show(request_id).approvals
    assert not voice.counts
    assert voice.code in {"no-rule", "proof-missing"}
    runs_for(world, request_id, "carol")


# --- 3: something else --------------------------------------------------------


def test_an_approval_of_something_else_does_not_count(world: World) -> None:
    request_id, other = world.request("alice"), world.request("alice")
    proof = approve(world, "bob", request_id, digests(world, other).approval)
    refused_proof(world, request_id, proof, "proof-wrong-digest")
    settle(world, request_id, "alice")
    assert codes(world, request_id) == {"bob": ("digest-mismatch", False)}
    runs_for(world, request_id, "carol")


CHANGES = [
    ("ipaTpiParameters", b'{"instance":"DS02"}', "below-floor"),
    ("ipaTpiParameters", b'{"instance": "DS01"}', "malformed-request"),
    ("ipaTpiReason", b"another reason", "digest-mismatch"),
    ("ipaTpiDigest", b"0" * 64, "digest-mismatch"),
    ("ipaTpiOperationDigest", b"0" * 64, "operation-changed"),
    ("ipaTpiOperationName", b"dirsrv.stop", "unknown-operation"),
    ("ipaTpiTarget", OTHER.encode(), "wrong-target"),
    ("ipaTpiInterface", b"jacket", "interface-not-allowed"),
    ("ipaTpiInterface", b"web", "digest-mismatch"),
]


@pytest.mark.parametrize(("name", "value", "code"), CHANGES)
def test_a_request_that_was_changed_is_not_what_was_approved(
    world: World, name: str, value: bytes, code: str
) -> None:
    """After the preview, and before bob approves what he was shown: it is not what the executor saw first."""
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    world.ldap("dave").modify_s(request_dn(request_id), [(ldap.MOD_REPLACE, name, [value])])
    approve(world, "bob", request_id, about)
    earlier = {"malformed-request", "wrong-target"}
    assert ended(world, request_id) == ("denied", code if code in earlier else "seen-entry-changed")
    never_intended(world, request_id)


@pytest.mark.parametrize(("name", "value", "code"), CHANGES)
def test_a_request_that_was_changed_before_it_was_seen_is_refused(
    world: World, name: str, value: bytes, code: str
) -> None:
    """Before the executor saw it at all: what it asks for is not what its requester signed."""
    with stopped(world, EXECUTOR):
        request_id = world.api("alice").create(Wish("dirsrv.restart", HOST, {"instance": "DS01"})).id
        world.ldap("dave").modify_s(request_dn(request_id), [(ldap.MOD_REPLACE, name, [value])])
    assert ended(world, request_id) == ("denied", code)
    never_intended(world, request_id)


def test_a_preview_that_was_changed_is_not_the_one_that_was_made(world: World) -> None:
    request_id = world.request("alice")
    ((dn, raw),) = [
        found for found in world.children(request_id) if b"ipaTpiPreview" in found[1]["objectClass"]
    ]
    body = raw["ipaTpiBody"][0].replace(b"DS01", b"DS02")
    values = {"ipaTpiBody": body, "ipaTpiDigest": hashlib.sha256(body).hexdigest().encode()}
    world.ldap("dave").modify_s(dn, [(ldap.MOD_REPLACE, name, [value]) for name, value in values.items()])
    approve(world, "bob", request_id)
    assert ended(world, request_id) == ("denied", "seen-entry-changed")
    never_intended(world, request_id)


def test_an_approval_moved_here_from_elsewhere_does_not_count(world: World) -> None:
    """What bob approved and proved below one request is moved below another."""
    request_id, other = world.request("alice"), world.request("alice")
    with stopped(world, EXECUTOR):
        approve(world, "bob", other)
        for dn, raw in world.children(other):
            if raw["creatorsName"] == [user_dn("bob").encode()]:
                world.ldap("dave").rename_s(dn, dn.partition(",")[0], request_dn(request_id))
    settle(world, request_id, "alice")
    assert codes(world, request_id) == {"bob": ("digest-mismatch", False)}
    settle(world, other, "alice")
    runs_for(world, request_id, "carol")


# --- 10: planted --------------------------------------------------------------

PLANTED = {
    "extensibleObject": {},
    "krbPrincipalAux": {"krbPrincipalName": b"evil@TPI.TEST"},
    "inetUser": {},
    "ldapSubEntry": {},
    "ipaTpiDenial": {},
    "ipaTpiWithdrawal": {},
    "ipaTpiReceipt": {"ipaTpiRefersTo": b"x", "ipaTpiOutcome": b"verified"},
    "nsContainer": {"cn": b"x"},
}


@pytest.mark.parametrize("name", PLANTED)
def test_an_approval_with_a_foreign_class_denies(world: World, name: str) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval.hex().encode()
    try:
        add_child(
            world.ldap("bob"), request_id, ["ipaTpiApproval", name], ipaTpiDigest=about, **PLANTED[name]
        )
    except ldap.OBJECT_CLASS_VIOLATION:
        assert name in {
            "ipaTpiDenial",
            "ipaTpiWithdrawal",
            "ipaTpiReceipt",
            "nsContainer",
        }  # one structural class
        return
    assert ended(world, request_id) == ("denied", "malformed-entry")
    never_intended(world, request_id)


@pytest.mark.parametrize("name", ["nsds5ReplConflict", "aci", "nsRoleDN", "nsAccountLock"])
def test_a_planted_attribute_gives_nobody_anything(world: World, name: str) -> None:
    request_id = world.request("alice")
    value = {
        "nsds5ReplConflict": b"namingConflict",
        "aci": b'(targetattr = "*")(version 3.0; acl "x"; allow (all) userdn = "ldap:///all";)',
        "nsRoleDN": f"cn=TPI Approver,cn=roles,cn=accounts,{SUFFIX}".encode(),
        "nsAccountLock": b"true",
    }[name]
    about = digests(world, request_id).approval
    add_voice(world.ldap("dave"), request_id, "ipaTpiApproval", about, **{name: value})
    prove(world, "dave", request_id, Purpose.APPROVE, about)
    if name == "nsds5ReplConflict":
        assert ended(world, request_id) == ("denied", "malformed-entry")
        never_intended(world, request_id)
        return
    settle(world, request_id, "alice")
    assert codes(world, request_id) == {"dave": ("no-rule", False)}
    runs_for(world, request_id)


def test_a_receipt_by_somebody_else_verifies_nothing(world: World) -> None:
    """Bob's approval with a proof that he never made, and a receipt for it by dave."""
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    add_voice(world.ldap("bob"), request_id, "ipaTpiApproval", about)
    add_child(
        world.ldap("dave"),
        request_id,
        "ipaTpiReceipt",
        ipaTpiRefersTo=new_id().encode(),
        ipaTpiOutcome=b"verified",
    )
    assert ended(world, request_id) == ("denied", "forged-entry")
    never_intended(world, request_id)


# --- 14: vetoes ---------------------------------------------------------------


def test_a_withdrawn_approval_is_not_given_again(world: World) -> None:
    request_id = world.request("alice")
    with stopped(world, EXECUTOR):
        approve(world, "bob", request_id)
        add_voice(world.ldap("bob"), request_id, "ipaTpiWithdrawal", digests(world, request_id).approval)
        approve(world, "bob", request_id)
    settle(world, request_id, "alice")
    view = world.api("frank").show(request_id)
    assert {one.code for one in view.approvals} == {"withdrawn"}
    runs_for(world, request_id, "carol")


@pytest.mark.parametrize("kind", ["ipaTpiDenial", "ipaTpiCancellation"])
@pytest.mark.parametrize("person", ["dave", "adam"])
def test_a_veto_that_the_directory_should_have_refused_denies(world: World, person: str, kind: str) -> None:
    """It is an alarm: somebody can write where nobody should."""
    request_id = world.request("alice")
    add_voice(world.ldap(person), request_id, kind, digests(world, request_id).approval)
    assert ended(world, request_id) == ("denied", "forged-veto")
    never_intended(world, request_id)


def test_a_veto_that_was_deleted_still_counts(world: World) -> None:
    request_id = world.request("alice")
    with stopped(world, EXECUTOR):
        approve(world, "bob", request_id)
        entry = add_voice(
            world.ldap("bob"), request_id, "ipaTpiWithdrawal", digests(world, request_id).approval
        )
    settle(world, request_id, "alice")
    world.ldap("dave").delete_s(f"ipaTpiEntryId={entry},{request_dn(request_id)}")
    approve(world, "carol", request_id)
    assert ended(world, request_id) == ("denied", "seen-entry-missing")
    never_intended(world, request_id)


def test_nobody_joins_the_executors_and_speaks_for_ours(world: World) -> None:
    """Dave makes himself a member of cn=executors, and the executor of alice's request."""
    request_id = world.request("alice")
    dave = world.ldap("dave")
    dave.modify_s(f"cn=executors,cn=tpi,{SUFFIX}", [(ldap.MOD_ADD, "member", [user_dn("dave").encode()])])
    try:
        add_child(dave, request_id, "ipaTpiResult", ipaTpiOutcome=b"executed")
        assert ended(world, request_id) == ("denied", "forged-entry")
    finally:
        world.root().modify_s(
            f"cn=executors,cn=tpi,{SUFFIX}", [(ldap.MOD_DELETE, "member", [user_dn("dave").encode()])]
        )
