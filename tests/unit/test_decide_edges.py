"""Single places of the decision core that a change would go through unseen, found by `make mutation`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    BOB,
    CAROL,
    T0,
    Entries,
    case,
    definition,
    operation,
    proven,
    refused_with,
    request,
    terms,
    voices,
)
from reading_builders import loaded

from ipa_tpi.decide.approval import standing
from ipa_tpi.decide.authorization import terms_of
from ipa_tpi.decide.definition import LONGEST_LIFE, LONGEST_SECONDS, load_operation
from ipa_tpi.decide.digest import canonical, operation_digest
from ipa_tpi.decide.intake import RawEntry, read_child, read_request
from ipa_tpi.decide.proof import lacking
from ipa_tpi.model import Operation, Refuse, State

ASKED = request()


def test_a_late_denial_does_not_hide_the_next_one() -> None:
    made = Entries(ASKED)
    found = standing(case(made.preview(), made.denial(BOB, 400), made.denial(CAROL, 10)))
    assert (found.state, found.code) == (State.DENIED, "denied-by-approver")
    assert "carol@TPI.TEST" in found.message


def test_nor_does_it_hide_one_that_was_seen_in_time_and_bears_a_later_stamp() -> None:
    made = Entries(ASKED)
    late, seen = made.denial(BOB, 400), made.denial(CAROL, 450)
    there = (made.preview(), late, seen)
    assert standing(case(*there, now=500)).state is State.EXPIRED
    found = standing(case(*there, now=500, first_seen={seen.entry_id: T0 + timedelta(seconds=10)}))
    assert (found.state, found.code) == (State.DENIED, "denied-by-approver")


def test_a_denial_by_nobody_that_is_known_says_so() -> None:
    made = Entries(ASKED)
    found = standing(case(made.preview(), made.denial("uid=ghost,cn=users"), voices=voices(BOB)))
    assert (found.state, found.code) == (State.DENIED, "unknown-principal")
    assert (
        found.message == "a denial lies below the request, and the account of the writer cannot be used; "
        "ask an administrator. Make a new request."
    )


def test_an_approval_by_nobody_that_is_known_does_not_count() -> None:
    made = Entries(ASKED)
    approval = made.approval("uid=ghost,cn=users")
    found = standing(case(made.preview(), approval, voices=voices(BOB), verified=proven(ASKED)))
    told = Refuse("unknown-principal", "the account of the writer cannot be used; ask an administrator")
    assert (found.state, found.why[approval.entry_id]) == (State.PENDING, told)


def test_who_withdrew_is_told_that_somebody_else_has_to_approve() -> None:
    made = Entries(ASKED)
    approval = made.approval()
    found = standing(case(made.preview(), approval, made.withdrawal()))
    told = Refuse("withdrawn", "the approval was withdrawn; another person has to approve")
    assert found.why[approval.entry_id] == told


def test_the_demanded_factors_are_among_the_terms() -> None:
    wanted = operation(ipatpiauthindicator=["otp", "pkinit"])
    assert terms_of(wanted, None, ALICE).indicators == {"otp", "pkinit"}
    assert terms().indicators == frozenset()


def test_a_reading_operation_needs_no_approval() -> None:
    assert loaded().required_approvals == 0


def test_the_longest_life_is_four_times_the_longest_window() -> None:
    assert LONGEST_SECONDS == 56 * 86400
    assert timedelta(days=56) == LONGEST_LIFE


def test_an_indicator_may_have_capital_letters() -> None:
    assert operation(ipatpiauthindicator=["MyFactor_1"]).indicators == {"MyFactor_1"}


@pytest.mark.parametrize("value", [1.5, {"a": [0.0]}])
def test_a_number_with_a_point_has_no_canonical_form(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^canonical JSON here has no floats$"):
        canonical(value)


def test_what_the_directory_adds_to_an_operation_by_itself_is_not_digested() -> None:
    """A group that names an operation must not make its requests void; memberOf comes by the plugin."""
    there = {name: list(values) for name, values in definition().items()}
    for extra in ({"memberOf": [b"cn=group"]}, {"MEMBEROF": [b"cn=group"]}, {"description": [b"words"]}):
        assert operation_digest({**there, **extra}) == operation_digest(there)
    for name in (b"nsMemberOf", b"NSMEMBEROF", b"nsmemberof"):
        classes = [*there["objectclass"], name]
        assert operation_digest({**there, "objectclass": classes}) == operation_digest(there)
    assert operation_digest({**there, "memberURL": [b"x"]}) != operation_digest(there)


def test_an_entry_without_a_class_is_malformed() -> None:
    refused_with(read_child(RawEntry("cn=x", "cn=y", T0, {})), "malformed-entry", "unknown set of classes ''")
    refused_with(read_request(RawEntry("cn=x", "cn=y", T0, {})), "malformed-request", "its classes are ")


def test_classes_are_told_with_commas_between() -> None:
    classes = {"objectclass": [b"top", b"Alien", b"other"]}
    refused_with(
        read_child(RawEntry("cn=x", "cn=y", T0, classes)),
        "malformed-entry",
        "unknown set of classes 'alien, other, top'",
    )
    refused_with(
        read_request(RawEntry("cn=x", "cn=y", T0, classes)),
        "malformed-request",
        "its classes are alien, other, top.",
    )


@pytest.mark.parametrize(
    ("factor", "way"),
    [
        ("hardened", "kinit with SPAKE or FAST"),
        ("idp", "kinit -T ARMOR"),
        ("otp", "kinit -T ARMOR"),
        ("passkey", "kinit -T ARMOR"),
        ("pkinit", "kinit -X X509_user_identity=PKCS11:MODULE"),
        ("radius", "kinit -T ARMOR"),
        ("ours", "kinit with that factor"),
    ],
)
def test_each_factor_has_its_way(factor: str, way: str) -> None:
    assert lacking({factor}) == (f"the proof's ticket lacks the factor {factor}", f"{way} ({factor})")


def test_of_several_factors_one_is_enough() -> None:
    told, ways = lacking({"otp", "ours"})
    assert told == "the proof's ticket lacks the factor otp or ours"
    assert ways == "kinit -T ARMOR (otp) or kinit with that factor (ours)"
    assert lacking(set()) == (
        "the proof's ticket lacks the factor that was demanded",
        "kinit with that factor",
    )


def test_a_definition_that_is_not_destructive_by_default() -> None:
    found = load_operation(operation().dn, definition(ipatpidestructive=None))
    assert isinstance(found, Operation)
    assert (found.destructive, found.fresh_seconds) == (False, 0)
