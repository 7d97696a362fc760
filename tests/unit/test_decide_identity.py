"""Who is who, and when two are two (DESIGN section 4; K02, A04, X09)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from decide_builders import ALICE, BOB, OLD, REALM, T0, machine, person, refused_with

from ipa_tpi.decide.identity import (
    Identity,
    check_account,
    check_distinct,
    check_principal,
    check_unchanged,
    identity_of,
)
from ipa_tpi.model import Account, Kind

ATTRIBUTE = "employeeNumber"


@pytest.mark.parametrize(
    "principal", ["alice@TPI.TEST", "host/a.tpi.test@TPI.TEST", "tpi/a.tpi.test@TPI.TEST"]
)
def test_a_principal_of_this_realm_passes(principal: str) -> None:
    assert check_principal(principal, REALM) is None


@pytest.mark.parametrize(
    ("principal", "code"),
    [
        ("alice", "unknown-principal"),
        ("", "unknown-principal"),
        ("@TPI.TEST", "unknown-principal"),
        ("alice@", "unknown-principal"),
        ("@", "unknown-principal"),
        ("alice\\@X@TPI.TEST", "unknown-principal"),  # an enterprise name
        ("alice\\@TPI.TEST", "unknown-principal"),
        ("alice@X@TPI.TEST", "foreign-realm"),
        ("@X@TPI.TEST", "foreign-realm"),
        ("alice@tpi.test", "foreign-realm"),  # realms are case-sensitive
        ("alice@AD.TEST", "foreign-realm"),
        ("alice@TPI.TEST@AD.TEST", "foreign-realm"),
        ("alice@TPI.TEST.", "foreign-realm"),
        ("alice@TPI.TEST\0", "foreign-realm"),
    ],
)
def test_any_other_principal_is_refused(principal: str, code: str) -> None:
    refused_with(check_principal(principal, REALM), code)


def test_refusals_of_principals_say_what_to_do() -> None:
    refused_with(check_principal("alice", REALM), "unknown-principal", "run kinit again")
    refused_with(
        check_principal("a@AD.TEST", REALM), "foreign-realm", "AD.TEST", "Use an account of TPI.TEST"
    )


def test_hostile_principals_are_escaped_in_messages() -> None:
    refused_with(check_principal("a\u202e\x1b@X", REALM), "foreign-realm", "\\u202e", "\\x1b")


@pytest.mark.parametrize("account", [ALICE, person("Heidi"), machine(), machine(Kind.SERVICE)])
def test_a_plain_account_passes(account: Account) -> None:
    assert check_account(account, account.principal, T0, ATTRIBUTE) is None
    assert check_account(account, "", T0, ATTRIBUTE) is None


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("alice.smith@TPI.TEST", "alice@TPI.TEST"),  # an alias
        ("ALICE@TPI.TEST", "alice@TPI.TEST"),
        ("Alice@TPI.TEST", "alice@TPI.TEST"),
        ("heidi@TPI.TEST", "Heidi@TPI.TEST"),
        ("alice", "alice@TPI.TEST"),
        ("alice@TPI.TEST", "alice"),
    ],
)
def test_only_the_canonical_name_counts(asked: str, canonical: str) -> None:
    account = replace(ALICE, principal=canonical)
    refused_with(check_account(account, asked, T0, ATTRIBUTE), "not-canonical", f"kinit {canonical}")


@pytest.mark.parametrize(
    ("changes", "code", "hint"),
    [
        ({"disabled": True}, "disabled", "disabled"),
        ({"expires": T0}, "expired-principal", "expired"),
        ({"expires": T0 - timedelta(seconds=1)}, "expired-principal", "expired"),
        ({"unique_id": ""}, "unknown-principal", "no unique id"),
        ({"principal": ""}, "unknown-principal", "no canonical principal"),
        ({"persons": ()}, "no-person-attribute", "has 0 values of employeeNumber"),
        ({"persons": ("",)}, "no-person-attribute", "exactly one"),
        ({"persons": (" ",)}, "no-person-attribute", "exactly one"),
        ({"persons": ("1", "2")}, "no-person-attribute", "has 2 values"),
    ],
)
def test_an_unusable_account_is_refused(changes: dict[str, Any], code: str, hint: str) -> None:
    refused_with(check_account(replace(ALICE, **changes), "", T0, ATTRIBUTE), code, hint)


def test_an_account_that_does_not_exist_is_refused() -> None:
    refused_with(
        check_account(None, "zoe@TPI.TEST", T0, ""), "unknown-principal", "zoe@TPI.TEST", "administrator"
    )


def test_an_account_lives_until_it_expires() -> None:
    assert check_account(replace(ALICE, expires=T0 + timedelta(seconds=1)), "", T0, ATTRIBUTE) is None


def test_without_a_configured_attribute_nobody_needs_one() -> None:
    assert check_account(replace(ALICE, persons=()), "", T0, "") is None
    assert identity_of(replace(ALICE, persons=())).person == ""


def test_a_machine_needs_no_person() -> None:
    assert check_account(machine(), "", T0, ATTRIBUTE) is None


def test_what_is_remembered_of_an_account() -> None:
    account = replace(ALICE, persons=(" AB 12 ",))
    assert identity_of(account) == Identity(ALICE.dn, ALICE.unique_id, "alice@TPI.TEST", "ab 12")


@pytest.mark.parametrize(
    "changes",
    [
        {"unique_id": "1e0f1c3a-0000-4000-8000-000000000001"},
        {"principal": "mallory@TPI.TEST"},
        {"principal": "ALICE@TPI.TEST"},
        {"persons": ("other",)},
        {"persons": ()},
    ],
)
def test_a_changed_identity_is_refused(changes: dict[str, Any]) -> None:
    then = identity_of(ALICE)
    refused_with(check_unchanged(then, replace(ALICE, **changes)), "identity-changed", "make a new request")


def test_an_identity_that_is_gone_is_refused() -> None:
    refused_with(check_unchanged(identity_of(ALICE), None), "identity-changed", "alice@TPI.TEST")


def test_the_same_identity_is_unchanged() -> None:
    later = replace(ALICE, display_name="Alice Married", member_of=frozenset(), created=OLD)
    assert check_unchanged(identity_of(ALICE), later) is None


def test_two_people_are_two() -> None:
    assert check_distinct(identity_of(ALICE), identity_of(BOB)) is None


ONE = Identity("uid=a,cn=users", "aa-1", "a@TPI.TEST", "7")
TWO = Identity("uid=b,cn=users", "bb-2", "b@TPI.TEST", "8")


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (ONE, "self-approval"),
        (replace(TWO, dn=ONE.dn), "self-approval"),
        (replace(TWO, unique_id="aa-1"), "self-approval"),  # a rename
        (replace(TWO, unique_id="AA-1"), "self-approval"),
        (replace(TWO, principal="a@TPI.TEST"), "self-approval"),
        (replace(TWO, principal="A@TPI.TEST"), "self-approval"),  # letter case never makes two
        (replace(TWO, person="7"), "same-person"),
    ],
)
def test_anything_in_common_makes_one_of_two(other: Identity, code: str) -> None:
    refused_with(check_distinct(ONE, other), code, "ask another person")
    refused_with(check_distinct(other, ONE), code)


def test_the_words_of_self_approval_are_the_required_ones() -> None:
    refused_with(check_distinct(ONE, ONE), "self-approval", "same user cannot self-approve")  # R-A04


def test_two_without_a_person_are_not_one_person() -> None:
    assert check_distinct(replace(ONE, person=""), replace(TWO, person="")) is None


@pytest.mark.parametrize("spelling", ["ab 12", "AB 12", " ab 12 ", "ab  12", "\uff41\uff42 12"])
def test_one_person_in_another_spelling_is_one_person(spelling: str) -> None:
    """What the directory's matching (RFC 4518) takes for equal must not make two people."""
    erin, admin = person("erin", "ab 12"), person("erin-admin", spelling)
    refused_with(
        check_distinct(identity_of(erin), identity_of(admin)), "same-person", "accounts of the same person"
    )
