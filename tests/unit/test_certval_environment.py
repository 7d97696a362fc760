"""Dogtag's variables are hostile; what is not exactly as agreed is refused, each with its own reason (D09)."""

from __future__ import annotations

import json

import pytest
from certval_examples import some
from certval_requests import bare, simple
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi_validator import environment as env
from ipa_tpi_validator.environment import Question, read_question
from ipa_tpi_validator.principals import Principal, PrincipalError, read, same_name
from ipa_tpi_validator.refusal import MAX_LINE_BYTES, Refusal, access, invalid, missing, shown, undecided

GOOD = {
    env.REQUEST: bare(simple("web.tpi.test")).encode(),
    env.USER: b"alice@TPI.TEST",
    env.PROFILE: b"caIPAserviceCert",
    env.TYPE: b"pkcs10",
    env.MANAGER: b"external",
}


def test_what_is_agreed_is_taken() -> None:
    found = read_question(GOOD, "TPI.TEST")
    assert found == Question(
        GOOD[env.REQUEST].decode(), Principal("alice", "", "TPI.TEST"), "caIPAserviceCert", "", None
    )
    more = {
        env.AUTHORITY: b"5F0A1B2C-0000-4000-8000-00000000ABCD",
        env.SUBJECT: b"HTTP/web.tpi.test@TPI.TEST",
        env.USER_DATA: b"HTTP/web.tpi.test@TPI.TEST",
    }
    found = read_question(GOOD | more, "TPI.TEST")
    assert isinstance(found, Question)
    assert found.authority == "5f0a1b2c-0000-4000-8000-00000000abcd"
    assert found.subject == Principal("HTTP", "web.tpi.test", "TPI.TEST")


@pytest.mark.parametrize(
    ("name", "value", "code", "why"),
    [
        (env.TYPE, None, 3009, "type"),
        (env.TYPE, b"crmf", 3009, "type"),
        (env.TYPE, b"cmc", 3009, "type"),
        (env.TYPE, b"keygen", 3009, "type"),
        (env.TYPE, b"PKCS10", 3009, "type"),
        (env.TYPE, b"pkcs10\n", 3009, "type"),
        (env.MANAGER, None, 2100, "not-external"),
        (env.MANAGER, b"raCertAuth", 2100, "not-external"),
        (env.MANAGER, b"", 2100, "not-external"),
        (env.USER, None, 2100, "user"),
        (env.USER, b"", 2100, "user"),
        (env.USER, b"caadmin", 2100, "user"),
        (env.USER, b"ipara", 2100, "user"),
        (env.USER, b"alice@OTHER.TEST", 2100, "user"),
        (env.USER, b"alice@tpi.test", 2100, "user"),
        (env.USER, b"alice@TPI.TEST@TPI.TEST", 2100, "user"),
        (env.USER, b"alice\\@OTHER.TEST@TPI.TEST", 2100, "user"),
        (env.USER, b"alice@TPI.TEST\n", 2100, "user"),
        (env.USER, b"a/b/c@TPI.TEST", 2100, "user"),
        (env.USER, b"/web@TPI.TEST", 2100, "user"),
        (env.USER, b"host/@TPI.TEST", 2100, "user"),
        (env.USER, b"al ice@TPI.TEST", 2100, "user"),
        (env.USER, b"alice@@TPI.TEST", 2100, "user"),
        (env.USER, b"al*ce@TPI.TEST", 2100, "user"),
        (env.PROFILE, None, 4001, "profile"),
        (env.PROFILE, b"../x", 4001, "profile"),
        (env.PROFILE, b"a b", 4001, "profile"),
        (env.PROFILE, b"x" * 101, 4001, "profile"),
        (env.PROFILE, b"caServerCert", 4001, "system-profile"),
        (env.PROFILE, b"caCACert", 4001, "system-profile"),
        (env.AUTHORITY, b"", 4001, "authority"),
        (env.AUTHORITY, b"ipa", 4001, "authority"),
        (env.AUTHORITY, b"host-authority", 4001, "authority"),
        (env.REQUEST, None, 3009, "no-request"),
        (env.REQUEST, b"", 3009, "no-request"),
        (env.REQUEST, b"\xff", 3009, "not-ascii"),
        (env.SUBJECT, b"web", 4001, "subject"),
        (env.SUBJECT, b"web@OTHER.TEST", 4001, "subject"),
        ("LD_PRELOAD", b"/x.so", 3009, "variables"),
    ],
)
def test_anything_else_is_refused(name: str, value: bytes | None, code: int, why: str) -> None:
    changed = dict(GOOD)
    if value is None:
        del changed[name]
    else:
        changed[name] = value
    found = read_question(changed, "TPI.TEST")
    assert isinstance(found, Refusal)
    assert (found.code, found.reason) == (code, why)


def test_two_subjects_are_refused() -> None:
    found = read_question(GOOD | {env.SUBJECT: b"a@TPI.TEST", env.USER_DATA: b"b@TPI.TEST"}, "TPI.TEST")
    assert isinstance(found, Refusal)
    assert found.reason == "two-subjects"


@some
@given(
    st.dictionaries(st.sampled_from(sorted(env.VARIABLES)), st.binary() | st.sampled_from([*GOOD.values()]))
)
def test_any_variables_are_a_question_or_a_refusal(variables: dict[str, bytes]) -> None:
    found = read_question(variables, "TPI.TEST")
    if isinstance(found, Question):
        assert variables[env.TYPE] == b"pkcs10"
        assert variables[env.MANAGER] == b"external"
        assert str(found.user).encode() == variables[env.USER]
        assert found.user.realm == "TPI.TEST"
    else:
        check(found)


def check(refusal: Refusal) -> None:
    line = refusal.line()
    assert len(line) <= MAX_LINE_BYTES
    assert line.isascii()
    assert line.endswith(b"\n")
    assert all(32 <= byte < 127 for byte in line[:-1])
    told = json.loads(line)
    assert list(told) == ["code", "name", "message", "data"]
    assert told["code"] == refusal.code
    assert 1 <= len(told["message"]) <= 500


@some
@given(st.text(min_size=1, max_size=3000) | st.sampled_from(["\U0001f600" * 900, "\\" * 900, '"' * 900]))
def test_a_refusal_is_one_short_line_of_ascii_whatever_stands_in_it(text: str) -> None:
    for refusal in (access(text), invalid(text, "x"), missing(text, "x"), undecided(text, "x")):
        check(refusal)
    said = shown(text)
    assert said.isascii()
    assert said.isprintable()
    assert len(said) <= 200


@some
@given(st.text())
def test_a_principal_is_read_in_one_spelling_only(text: str) -> None:
    try:
        found = read(text, "TPI.TEST")
    except PrincipalError:
        return
    assert str(found) == text


@some
@given(st.from_regex(r"[A-Za-z0-9]{1,3}(/[a-z.]{1,5})?@TPI\.TEST", fullmatch=True))
def test_a_principal_is_written_as_it_was_read(text: str) -> None:
    try:
        found = read(text, "TPI.TEST")
    except PrincipalError:
        assert "/." in text
        return
    assert str(found) == text
    assert found.is_user == ("/" not in text)


def test_a_user_is_no_host_whatever_he_is_called() -> None:
    for name in ("host", "krbtgt"):
        found = read(f"{name}@TPI.TEST", "TPI.TEST")
        assert found.is_user
        assert not found.is_host
        assert not found.is_krbtgt
    assert not read("HTTP/web@TPI.TEST", "TPI.TEST").is_krbtgt
    assert not read("hosts/web@TPI.TEST", "TPI.TEST").is_host


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("web", "WEB", True),
        ("web", "wob", False),
        ("k", "\u212a", False),
        ("\u212a", "k", False),
        ("\u00e9", "\u00e9", False),
    ],
)
def test_names_of_hosts_are_ascii(one: str, other: str, expected: bool) -> None:
    assert same_name(one, other) is expected
