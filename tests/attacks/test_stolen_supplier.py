"""Whoever has stolen a supplier's credential writes whatever creator and time he likes into the directory.

He forges requests in alice's name and approvals in bob's, and the executor's own entries.  He has no keys, so he has
nobody's proof, and nothing runs.  (Whoever writes keys, as a supplier may, can be anybody: limit 1.)
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ldap
import pytest
from straight import (
    EXECUTOR_DN,
    HTTP_DN,
    NOBODY,
    OPERATION_DN,
    approve,
    changed,
    child_dn,
    digests,
    draft,
    ended,
    never_intended,
    new_id,
    proofs,
    receipt,
    request_dn,
    request_values,
    runs_for,
    settle,
    subtree,
    user_dn,
)
from supplier import ReplicationSession
from world import CA, REALM, URL, World

from ipa_tpi.client import TpiClient
from ipa_tpi.decide.digest import canonical, sha256
from ipa_tpi.model import Preview

BOB = user_dn("bob")


def forge(
    supplier: ReplicationSession, request_id: str, kind: str, creator: str, created: str = "", **values: bytes
) -> str:
    """Write an entry below a request in anybody's name; give its id."""
    entry_id = new_id()
    voices = [b"ipaTpiVoice"] if kind in {"ipaTpiApproval", "ipaTpiDenial"} else []
    content = {"objectClass": [b"top", kind.encode(), *voices], "ipaTpiEntryId": [entry_id.encode()]}
    content |= {name: [value] for name, value in values.items()}
    supplier.add(child_dn(request_id, entry_id), content, creator, created)
    return entry_id


def forge_request(world: World, supplier: ReplicationSession, person: str) -> str:
    wanted = draft(world, person)
    classes = [b"top", b"ipaTpiRequest", b"ipaTpiVoice"]
    values = {
        name: [value] if isinstance(value, bytes) else list(value)
        for name, value in request_values(wanted).items()
    }
    supplier.add(request_dn(wanted.id), {"objectClass": classes, **values}, user_dn(person))
    return wanted.id


def stored(world: World, request_id: str, entry_id: str) -> dict[str, Any]:
    ((_, raw),) = world.root().search_s(
        child_dn(request_id, entry_id), ldap.SCOPE_BASE, attrlist=["creatorsName", "createTimestamp"]
    )
    return dict(raw)


def hexadecimal(digest: bytes) -> bytes:
    return digest.hex().encode()


def test_an_approval_in_bobs_name_is_his_in_all_but_the_proof(
    world: World, supplier: ReplicationSession
) -> None:
    request_id, before = world.request("alice"), world.starts()
    about = hexadecimal(digests(world, request_id).approval)
    approval = forge(supplier, request_id, "ipaTpiApproval", BOB, ipaTpiDigest=about)
    # The session is real: the directory says what it was told, of somebody who wrote nothing.
    assert stored(world, request_id, approval)["creatorsName"] == [BOB.encode()]
    settle(world, request_id, "alice")
    view = world.api("frank").show(request_id)
    (voice,) = view.approvals
    assert (voice.who, voice.counts, voice.code) == (f"bob@{REALM}", False, "proof-missing")
    assert view.state == "pending"
    never_intended(world, request_id)
    assert world.starts() == before
    # Only bob himself can make it his.
    world.api("bob").prove(world.api("bob").show(request_id))
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_a_request_in_alices_name_goes_no_further_and_neither_does_a_whole_story(
    world: World, supplier: ReplicationSession
) -> None:
    """Request, preview, receipts and approval, as if all had happened: the executor knows what it wrote itself."""
    before = world.starts()
    forged = forge_request(world, supplier, "alice")
    settle(world, forged, "alice")
    view = world.api("alice").show(forged)
    assert (view.mine, view.state, view.code) == (True, "awaiting-preview", "proof-missing")
    body = canonical({"shown": {"unit": "dirsrv@DS01.service"}, "precondition": {}})
    forge(
        supplier,
        forged,
        "ipaTpiPreview",
        EXECUTOR_DN,
        ipaTpiBody=body,
        ipaTpiDigest=hexadecimal(sha256(body)),
    )
    assert ended(world, forged) == ("denied", "forged-entry")
    never_intended(world, forged)
    assert world.starts() == before


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("ipaTpiReceipt", {"ipaTpiRefersTo": b"proof", "ipaTpiOutcome": b"verified"}),
        ("ipaTpiExecution", {"ipaTpiNonce": b"0" * 64}),
        ("ipaTpiResult", {"ipaTpiOutcome": b"executed"}),
    ],
)
def test_what_it_says_in_the_executors_name_the_executor_does_not_know(
    world: World, supplier: ReplicationSession, kind: str, values: dict[str, bytes]
) -> None:
    """A receipt for the proof that is not there would make the approval count; it ends the request."""
    request_id, before = world.request("alice"), world.starts()
    about = digests(world, request_id).approval
    forge(supplier, request_id, "ipaTpiApproval", BOB, ipaTpiDigest=hexadecimal(about))
    proof = forge(
        supplier,
        request_id,
        "ipaTpiProof",
        BOB,
        ipaTpiProofKind=b"gss",
        ipaTpiPurpose=b"approve",
        ipaTpiDigest=hexadecimal(about),
        ipaTpiToken=b"x" * 800,
        ipaTpiMic=b"x" * 28,
    )
    assert receipt(world, request_id, proof) == "proof-invalid"
    named = {name: proof.encode() if value == b"proof" else value for name, value in values.items()}
    forge(supplier, request_id, kind, EXECUTOR_DN, **named)
    assert ended(world, request_id)[0] == "denied"
    assert world.claims("SELECT 1 FROM claims WHERE request = ? AND intent_at IS NOT NULL", request_id) == []
    assert world.starts() == before


def test_an_approval_from_before_its_request_ends_it(world: World, supplier: ReplicationSession) -> None:
    request_id, before = world.request("alice"), world.starts()
    about, long_ago = hexadecimal(digests(world, request_id).approval), "20200101000000Z"
    forged = forge(supplier, request_id, "ipaTpiApproval", BOB, long_ago, ipaTpiDigest=about)
    assert stored(world, request_id, forged)["createTimestamp"] == [long_ago.encode()]
    assert ended(world, request_id) == ("denied", "clock")
    never_intended(world, request_id)
    assert world.starts() == before


def test_a_proof_that_bob_made_for_something_else_is_of_no_use(
    world: World, supplier: ReplicationSession
) -> None:
    other = world.request("alice")
    world.approve("bob", other)
    world.wait_state(other, "executed")
    (real,) = proofs(world, other, "bob")
    request_id, before = world.request("alice"), world.starts()
    about = digests(world, request_id).approval
    forge(supplier, request_id, "ipaTpiApproval", BOB, ipaTpiDigest=hexadecimal(about))
    copied = forge(
        supplier,
        request_id,
        "ipaTpiProof",
        BOB,
        ipaTpiProofKind=b"gss",
        ipaTpiPurpose=b"approve",
        ipaTpiDigest=hexadecimal(about),
        ipaTpiToken=real.token,
        ipaTpiMic=real.mic,
    )
    assert receipt(world, request_id, copied) == "proof-replayed"
    settle(world, request_id, "alice")
    never_intended(world, request_id)
    assert world.starts() == before
    runs_for(world, request_id, "carol")


def test_a_request_whose_time_is_up_is_not_made_young_again(
    world: World, supplier: ReplicationSession
) -> None:
    """With bob's own proof, too late, and the request's time set to now: the executor knows when it saw it first."""
    with changed(world.root(), OPERATION_DN, ipaTpiApprovalSeconds=[b"4"]):
        request_id, before = world.request("alice"), world.starts()
        world.wait_state(request_id, "expired", person="frank")
        now = time.strftime("%Y%m%d%H%M%SZ", time.gmtime()).encode()
        supplier.modify(request_dn(request_id), [(ldap.MOD_REPLACE, "createTimestamp", [now])])
        ((_, raw),) = world.root().search_s(
            request_dn(request_id), ldap.SCOPE_BASE, attrlist=["createTimestamp"]
        )
        assert raw["createTimestamp"] == [now]
        approve(world, "bob", request_id)
        assert ended(world, request_id) == ("denied", "clock")  # older entries lie below it
        never_intended(world, request_id)
        assert world.starts() == before


def test_a_request_that_was_changed_by_it_is_not_what_was_asked_for(
    world: World, supplier: ReplicationSession
) -> None:
    request_id, before = world.request("alice"), world.starts()
    about = digests(world, request_id).approval
    assert subtree(world, request_id).of(Preview)
    other = b'{"instance":"TPI-TEST"}'
    supplier.modify(request_dn(request_id), [(ldap.MOD_REPLACE, "ipaTpiParameters", [other])])
    ((_, raw),) = world.root().search_s(request_dn(request_id), ldap.SCOPE_BASE)
    assert raw["ipaTpiParameters"] == [other]
    approve(world, "bob", request_id, about)
    assert ended(world, request_id) == ("denied", "seen-entry-changed")
    never_intended(world, request_id)
    assert world.starts() == before


def test_a_veto_that_was_seen_is_not_taken_back(world: World, supplier: ReplicationSession) -> None:
    """Bob withdrew, the executor saw it, and it is gone: carol's approval, which would be enough, ends it."""
    request_id, before = world.request("alice"), world.starts()
    about = hexadecimal(digests(world, request_id).approval)
    withdrawal = forge(supplier, request_id, "ipaTpiWithdrawal", BOB, ipaTpiDigest=about)
    settle(world, request_id, "alice")
    supplier.delete(child_dn(request_id, withdrawal))
    approve(world, "carol", request_id)
    assert ended(world, request_id) == ("denied", "seen-entry-missing")
    never_intended(world, request_id)
    assert world.starts() == before


def test_the_same_credential_outside_such_a_session_forges_nothing(
    world: World, supplier: ReplicationSession
) -> None:
    """Directory Manager's own write bears Directory Manager's name, whatever creator it names."""
    request_id = world.request("alice")
    entry_id = new_id()
    content = {
        "objectClass": [b"top", b"ipaTpiApproval"],
        "ipaTpiEntryId": [entry_id.encode()],
        "ipaTpiDigest": [hexadecimal(NOBODY)],
        "creatorsName": [HTTP_DN.encode()],
    }
    world.root().add_s(child_dn(request_id, entry_id), list(content.items()))
    assert stored(world, request_id, entry_id)["creatorsName"] == [b"cn=Directory Manager"]
    assert supplier
    settle(world, request_id, "alice")
    runs_for(world, request_id)


def test_whoever_writes_keys_is_anybody_which_is_limit_1(
    world: World, supplier: ReplicationSession, tmp_path: Path
) -> None:
    """Alice has the credential, lays her own key over bob's without knowing either, and is bob: two people in one."""
    root, name = world.root(), "krbPrincipalKey"
    keys = {
        who: root.search_s(user_dn(who), ldap.SCOPE_BASE, attrlist=[name])[0][1] for who in ("alice", "bob")
    }
    request_id = world.request("alice")
    keytab, ccache = tmp_path / "bob.keytab", tmp_path / "ccache"
    password = world.people["alice"]["password"]
    add = f"addent -password -p bob@{REALM} -k 1 -e aes256-cts-hmac-sha1-96 -s {REALM}alice"
    done = world.run("root", ["/usr/bin/ktutil"], text=f"{add}\n{password}\nwkt {keytab}\n")
    assert keytab.exists(), done
    kinit = ["/usr/bin/kinit", "-c", str(ccache), "-k", "-t", str(keytab), f"bob@{REALM}"]
    assert world.run("root", kinit).status != 0
    supplier.modify(user_dn("bob"), [(ldap.MOD_REPLACE, name, keys["alice"][name])])
    try:
        assert world.run("root", kinit).status == 0
        false_bob = TpiClient(URL, CA, f"FILE:{ccache}")
        false_bob.approve(false_bob.show(request_id))
        world.wait_state(request_id, "executed", person="frank")
    finally:
        supplier.modify(user_dn("bob"), [(ldap.MOD_REPLACE, name, keys["bob"][name])])
    assert world.kinit("bob").status == 0
