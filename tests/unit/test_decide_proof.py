"""Which proofs count (DESIGN section 5; X01, X02)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from decide_builders import ALICE, BOB, FLOOR, REALM, RESTART, T0, Entries, about, refused_with, request

from ipa_tpi.decide.digest import mic_text
from ipa_tpi.decide.proof import (
    KINDS,
    MAX_PROOFS,
    TICKET_MISSING,
    Demands,
    demands_of,
    expected_text,
    is_unticketed,
    judge,
    lacking,
)
from ipa_tpi.errors import HTTP_STATUS
from ipa_tpi.model import Account, Child, Proof, Purpose, Refuse, Subtree
from ipa_tpi.ports import AcceptedProof

NOW = T0
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


NOTHING = Demands()


def judged(writer: Account | None = BOB, demands: Demands = NOTHING, **changes: Any) -> Refuse | None:
    """Judge the good proof, or one that differs."""
    return judge(replace(GOOD, **changes), writer, REALM, demands, NOW)


def test_a_proof_by_who_wrote_it_counts() -> None:
    assert judged() is None


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
    refused_with(judged(**changes), code, word)


def test_a_proof_by_nobody_we_know_does_not_count() -> None:
    refused_with(judged(writer=None), "proof-other-principal")


def test_a_proof_that_another_account_carried_here_does_not_count() -> None:
    refused_with(judged(writer=ALICE), "proof-other-principal", "bob@TPI.TEST")


OTP = Demands(indicators=frozenset({"otp", "pkinit"}))
RUN = ("kinit -T ARMOR (otp)", "kinit -X X509_user_identity=PKCS11:MODULE (pkinit)")
FRESH = Demands(fresh_seconds=60, skew_seconds=5)


@pytest.mark.parametrize(
    ("had", "enough"),
    [({"otp"}, True), ({"pkinit", "x"}, True), ({"hardened"}, False), (set(), False), ({"OTP"}, False)],
)
def test_one_of_the_indicators_is_enough(had: set[str], enough: bool) -> None:
    """R-A12."""
    answer = judged(demands=OTP, indicators=frozenset(had))
    if enough:
        assert answer is None
    else:
        refused_with(answer, "proof-indicator-missing", "otp or pkinit", *RUN, "ipa-tpi prove")


@pytest.mark.parametrize(
    ("indicators", "told"),
    [
        (
            {"pkinit"},
            ("the proof's ticket lacks the factor pkinit", f"{RUN[1]}"),
        ),
        (
            {"of-this-site"},
            ("the proof's ticket lacks the factor of-this-site", "kinit with that factor (of-this-site)"),
        ),
        (set(), ("the proof's ticket lacks the factor that was demanded", "kinit with that factor")),
    ],
)
def test_who_lacks_a_factor_is_told_which_and_how_to_get_it(
    indicators: set[str], told: tuple[str, str]
) -> None:
    """R-A12: one of FreeIPA's, one of the site's own, and one that the definition no longer names."""
    assert lacking(indicators) == told


@pytest.mark.parametrize(
    ("age", "initial", "enough"),
    [
        (0, True, True),
        (65, True, True),
        (66, True, False),
        (0, False, False),
        (-5, True, True),
        (-6, True, False),
    ],
)
def test_a_fresh_proof_has_an_initial_ticket_of_just_now(age: int, initial: bool, enough: bool) -> None:
    """R-X11: got for nothing else, with the factor, within the seconds and the skew."""
    answer = judged(demands=FRESH, initial=initial, auth_time=NOW - timedelta(seconds=age))
    if enough:
        assert answer is None
    else:
        refused_with(answer, "proof-stale", "60 s", "ipa-tpi prove")


def test_a_ticket_that_does_not_tell_its_time_is_not_fresh() -> None:
    refused_with(judged(demands=FRESH, initial=True, auth_time=None), "proof-stale")


def test_where_nothing_is_demanded_any_ticket_will_do() -> None:
    assert judged(initial=False, auth_time=NOW - timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("definition", "floor", "together"), [(0, 0, 0), (60, 0, 60), (0, 60, 60), (60, 30, 30), (30, 60, 30)]
)
def test_the_stricter_of_definition_and_floor_holds(definition: int, floor: int, together: int) -> None:
    """R-X13."""
    wanted = replace(RESTART, fresh_seconds=definition, indicators=frozenset({"otp"}))
    entry = replace(FLOOR.operations[RESTART.name], fresh_seconds=floor)
    assert demands_of(wanted, replace(FLOOR, operations={RESTART.name: entry})) == Demands(
        frozenset({"otp"}), together, FLOOR.clock_skew_seconds
    )


def test_an_operation_that_the_floor_does_not_know_keeps_its_own_demands() -> None:
    wanted = replace(RESTART, fresh_seconds=60)
    assert demands_of(wanted, replace(FLOOR, operations={})) == Demands(
        frozenset(), 60, FLOOR.clock_skew_seconds
    )


def test_the_number_of_proofs_is_limited() -> None:
    assert MAX_PROOFS == 64


def test_a_ticket_is_missing_once_the_executor_has_said_so_of_all_that_could_have_yielded_one() -> None:
    made = Entries(ASKED)
    first, second, approval = made.proof(ALICE, "request"), made.proof(ALICE, "request"), made.proof(BOB)
    foreign = made.proof(BOB, "request")
    words: list[Child] = [first, second, approval, foreign]

    def say(about: str, outcome: str = TICKET_MISSING, **more: Any) -> bool:
        words.append(made.receipt(about, outcome=outcome, **more))
        assert is_unticketed(Subtree(ASKED, tuple(reversed(words)))) is is_unticketed(
            Subtree(ASKED, tuple(words))
        )
        return is_unticketed(Subtree(ASKED, tuple(words)))

    assert not is_unticketed(Subtree(ASKED, ()))
    assert not say(first.entry_id)
    assert say(ASKED.id)  # none of his is verified
    assert say(approval.entry_id, "verified")
    assert say(foreign.entry_id, "verified")
    assert say(second.entry_id, "proof-stale")
    assert say(first.entry_id, "verified")
    assert not say(second.entry_id, "verified")
    assert not say(second.entry_id, who=BOB.dn)
    assert say(second.entry_id)


def test_no_refusal_is_called_like_a_missing_ticket() -> None:
    """What a receipt says of a ticket is never taken for the refusal of its proof."""
    assert TICKET_MISSING not in HTTP_STATUS
