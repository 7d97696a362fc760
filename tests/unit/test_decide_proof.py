"""Which proofs count (DESIGN section 5; X01, X02)."""

from dataclasses import replace
from typing import Any

import pytest
from decide_builders import ALICE, BOB, REALM, Entries, about, refused_with, request

from ipa_tpi.decide.digest import mic_text
from ipa_tpi.decide.proof import KINDS, MAX_PROOFS, expected_text, judge
from ipa_tpi.model import Proof, Purpose, Refuse
from ipa_tpi.ports import AcceptedProof

ASKED = request()
OVER_REQUEST, OVER_APPROVAL = ASKED.digest, about(ASKED)


def proof(purpose: str, digest: bytes, **changes: Any) -> Proof:
    """Give a proof entry."""
    return Entries(ASKED).proof(BOB, purpose, digest=digest, **changes)


@pytest.mark.parametrize(
    ("purpose", "digest"),
    [
        (Purpose.REQUEST, OVER_REQUEST),
        (Purpose.CANCEL, OVER_REQUEST),
        (Purpose.APPROVE, OVER_APPROVAL),
        (Purpose.DENY, OVER_APPROVAL),
        (Purpose.WITHDRAW, OVER_APPROVAL),
    ],
)
def test_each_purpose_signs_its_digest_and_no_other(purpose: Purpose, digest: bytes) -> None:
    other = OVER_APPROVAL if digest == OVER_REQUEST else OVER_REQUEST
    assert expected_text(proof(purpose.value, digest), OVER_REQUEST, OVER_APPROVAL) == mic_text(
        purpose, digest
    )
    refused_with(
        expected_text(proof(purpose.value, other), OVER_REQUEST, OVER_APPROVAL),
        "proof-wrong-digest",
        "look again",
    )
    refused_with(expected_text(proof(purpose.value, b""), OVER_REQUEST, OVER_APPROVAL), "proof-wrong-digest")


def test_before_the_preview_a_denial_signs_the_request() -> None:
    text = expected_text(proof("deny", OVER_REQUEST), OVER_REQUEST, b"")
    assert text == mic_text(Purpose.DENY, OVER_REQUEST)
    refused_with(expected_text(proof("deny", OVER_APPROVAL), OVER_REQUEST, b""), "proof-wrong-digest")


@pytest.mark.parametrize("purpose", ["approve", "withdraw"])
@pytest.mark.parametrize("digest", [b"", OVER_REQUEST, OVER_APPROVAL])
def test_nobody_can_approve_before_the_preview(purpose: str, digest: bytes) -> None:
    refused_with(expected_text(proof(purpose, digest), OVER_REQUEST, b""), "proof-wrong-digest")


@pytest.mark.parametrize("purpose", ["", "Approve", "approve ", "consume", "approve\0", "\u202e"])
def test_an_unknown_purpose_is_refused(purpose: str) -> None:
    answer = expected_text(proof(purpose, OVER_APPROVAL), OVER_REQUEST, OVER_APPROVAL)
    refused_with(answer, "proof-wrong-purpose", "no purpose")
    assert isinstance(answer, Refuse)
    assert answer.message.isascii()


def test_an_offline_proof_is_of_no_use_here() -> None:
    refused_with(
        expected_text(proof("offline", OVER_APPROVAL), OVER_REQUEST, OVER_APPROVAL),
        "proof-wrong-purpose",
        "offline",
    )


@pytest.mark.parametrize("kind", ["", "GSS", "sshsig", "gss "])
def test_only_known_kinds_of_proof_count(kind: str) -> None:
    answer = expected_text(proof("approve", OVER_APPROVAL, kind=kind), OVER_REQUEST, OVER_APPROVAL)
    refused_with(answer, "proof-kind-unknown", repr(kind))
    assert frozenset({"gss"}) == KINDS


GOOD = AcceptedProof(
    initiator="bob@TPI.TEST",
    delegated=False,
    auth_time=None,
    initial=False,
    indicators=frozenset(),
    mic_valid=True,
)


def test_a_proof_by_who_wrote_it_counts() -> None:
    assert judge(GOOD, BOB, REALM) is None


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"mic_valid": False}, "proof-wrong-digest", "signature"),
        ({"delegated": True}, "proof-delegated", "ipa-tpi prove"),
        ({"initiator": "bob@AD.TEST"}, "proof-foreign-realm", "TPI.TEST"),
        ({"initiator": "bob"}, "proof-foreign-realm", "bob"),
        ({"initiator": "bob\\@AD.TEST@TPI.TEST"}, "proof-foreign-realm", "bob"),
        ({"initiator": "alice@TPI.TEST"}, "proof-other-principal", "alice@TPI.TEST"),
        ({"initiator": "Bob@TPI.TEST"}, "proof-other-principal", "Bob"),
        ({"initiator": ""}, "proof-foreign-realm", ""),
    ],
)
def test_any_other_proof_does_not(changes: dict[str, Any], code: str, word: str) -> None:
    refused_with(judge(replace(GOOD, **changes), BOB, REALM), code, word)


def test_a_proof_by_nobody_we_know_does_not_count() -> None:
    refused_with(judge(GOOD, None, REALM), "proof-other-principal")


def test_a_proof_that_another_account_carried_here_does_not_count() -> None:
    refused_with(judge(GOOD, ALICE, REALM), "proof-other-principal", "bob@TPI.TEST")


def test_the_number_of_proofs_is_limited() -> None:
    assert MAX_PROOFS == 64
