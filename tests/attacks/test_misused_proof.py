"""A proof that was made for something else is put in for an approval.

Who carries proofs (web tier, directory, anybody who reads them) would turn a denial into an approval, or
an approval of one request on one host into that of another.
"""

from __future__ import annotations

from straight import (
    NOBODY,
    OTHER,
    Digests,
    add_proof,
    add_voice,
    digests,
    ended,
    prove,
    receipt,
    refused_by_web,
    refused_proof,
    settle,
)
from world import REALM, World

from ipa_tpi.model import Purpose
from ipa_tpi.wire import ProofBody, VoiceBody


def misuses(
    world: World, own: Digests, other: Digests
) -> dict[str, tuple[str, bytes, tuple[bytes, bytes], str]]:
    """Give what the proof entry says (purpose, digest), what lies in it, and the executor's code."""
    approve = Purpose.APPROVE
    about, made = own.approval, world.proof
    token, mic = made("bob", approve, about)
    return {
        "his denial": ("approve", about, made("bob", Purpose.DENY, about), "proof-wrong-digest"),
        "his own request's proof": (
            "approve",
            about,
            made("bob", Purpose.REQUEST, about),
            "proof-wrong-digest",
        ),
        "offline": ("offline", about, made("bob", Purpose.OFFLINE, about), "proof-wrong-purpose"),
        "no purpose": ("grant", about, (token, mic), "proof-wrong-purpose"),
        "of another request": ("approve", about, made("bob", approve, other.approval), "proof-wrong-digest"),
        "and says so": (
            "approve",
            other.approval,
            made("bob", approve, other.approval),
            "proof-wrong-digest",
        ),
        "without the preview": (
            "approve",
            own.request,
            made("bob", approve, own.request),
            "proof-wrong-digest",
        ),
        "of nothing": ("approve", NOBODY, made("bob", approve, NOBODY), "proof-wrong-digest"),
        "for another host": (
            "approve",
            about,
            made("bob", approve, about, f"tpi/{OTHER}@{REALM}"),
            "proof-invalid",
        ),
        "by somebody else": ("approve", about, made("carol", approve, about), "proof-other-principal"),
        "by the requester": ("approve", about, made("alice", approve, about), "proof-other-principal"),
        "another's signature": (
            "approve",
            about,
            (token, made("bob", approve, about)[1]),
            "proof-wrong-digest",
        ),
        "broken": ("approve", about, (token[:-1] + bytes([token[-1] ^ 1]), mic), "proof-invalid"),
        "cut": ("approve", about, (token[:100], mic), "proof-invalid"),
        "no token": ("approve", about, (b"x", mic), "proof-invalid"),
    }


def test_no_other_proof_is_that_of_an_approval(world: World) -> None:
    request_id, other = world.request("alice"), world.request("alice")
    own = digests(world, request_id)
    connection = world.ldap("bob")
    add_voice(connection, request_id, "ipaTpiApproval", own.approval)
    for purpose, digest, made, code in misuses(world, own, digests(world, other)).values():
        refused_proof(world, request_id, add_proof(connection, request_id, purpose, digest, made), code)
    signed = add_proof(
        connection, request_id, "approve", own.approval, (b"x", b"x"), ipaTpiProofKind=b"sshsig"
    )
    refused_proof(world, request_id, signed, "proof-kind-unknown")
    # Right proofs, of something else than an approval.
    for purpose, about in (
        (Purpose.DENY, own.approval),
        (Purpose.REQUEST, own.request),
        (Purpose.CANCEL, own.request),
    ):
        assert receipt(world, request_id, prove(world, "bob", request_id, purpose, about)) == "verified"
    settle(world, request_id, "alice")
    view = world.api("bob").show(request_id)
    assert (view.state, view.code) == ("pending", "proof-missing")
    before = world.starts()
    prove(world, "bob", request_id, Purpose.APPROVE, own.approval)
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_a_request_is_not_shown_without_its_own_proof(world: World) -> None:
    """Bob cannot lend alice's request a proof, and a proof for an approval is none for a request."""
    request_id = world.request("alice")
    own = digests(world, request_id)
    for person in ("bob", "alice"):
        wrong = add_proof(
            world.ldap(person),
            request_id,
            "request",
            own.request,
            world.proof("carol", Purpose.REQUEST, own.request),
        )
        refused_proof(world, request_id, wrong, "proof-other-principal")


def test_a_proof_without_a_signature_denies(world: World) -> None:
    """The schema lets it pass; the executor takes an entry only if it is whole."""
    request_id = world.request("alice")
    token, _ = world.proof("bob", Purpose.APPROVE, digests(world, request_id).approval)
    add_proof(world.ldap("bob"), request_id, "approve", digests(world, request_id).approval, (token, b""))
    assert ended(world, request_id) == ("denied", "malformed-entry")


def test_the_web_service_takes_no_proof_of_something_else(world: World) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    token, mic = world.proof("bob", Purpose.DENY, about)
    path = f"/requests/{request_id}/approvals"
    cases = {
        "proof-missing": None,
        "proof-unexpected-purpose": ProofBody(purpose="deny", digest=about.hex(), token=token, mic=mic),
        "proof-wrong-digest": ProofBody(purpose="approve", digest=NOBODY.hex(), token=token, mic=mic),
        "proof-kind-unknown": ProofBody(
            purpose="approve", digest=about.hex(), token=token, mic=mic, kind="sshsig"
        ),
        "proof-invalid": ProofBody(purpose="approve", digest=about.hex(), token=b"", mic=b""),
    }
    for code, proof in cases.items():
        with refused_by_web(code):
            world.api("bob")._post(path, VoiceBody(digest=about.hex(), proof=proof))
