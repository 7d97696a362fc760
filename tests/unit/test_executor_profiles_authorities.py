"""Operations on sub-CAs: what is shown, compared, sent, and looked at afterwards (D16, K18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from profile_examples import HOST_CA, MADE, SUB_CA, FakeAuthorities, FakeCa, with_

from ipa_tpi.decide.authority_name import check_label, check_subject, comparable
from ipa_tpi.decide.digest import preview_body
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    TpiError,
)
from ipa_tpi.executor.operations import operation
from ipa_tpi.model import FloorOperation
from ipa_tpi.ports import IssuingAuthority

CREATE = {"name": "vpn", "subject": "CN=VPN CA, O=TPI.TEST"}
SWITCH = {"authority": SUB_CA.id}
VERBS = ("create", "enable", "disable")
AWAY = AuthorityUnavailableError("it cannot be reached; try again")


def ca(*there: IssuingAuthority) -> FakeCa:
    return FakeCa(authorities=FakeAuthorities(there=list(there or (HOST_CA, SUB_CA))))


def words(verb: str) -> dict[str, str]:
    return CREATE if verb == "create" else SWITCH


def attempts(verb: str, parameters: dict[str, str], there: FakeCa | None) -> list[Callable[[], object]]:
    wanted, means = operation(f"dogtag.ca.{verb}"), with_(there)
    return [
        lambda: wanted.preview(parameters, means),
        lambda: wanted.precondition(parameters, means),
        lambda: wanted.act(parameters, means, 60),
    ]


def test_a_sub_ca_is_made_below_the_ca_itself() -> None:
    there, wanted = ca(), operation("dogtag.ca.create")
    shown, precondition = wanted.preview(CREATE, with_(there))
    assert shown == {
        "action": "create",
        "name": "vpn",
        "subject": "CN=VPN CA, O=TPI.TEST",
        "parent": HOST_CA.id,
        "issuer": "CN=CA,O=TPI.TEST",
    }
    assert preview_body(shown, precondition)
    assert wanted.precondition(CREATE, with_(there)) == precondition
    assert there.authorities.acts == []
    assert (
        wanted.act(CREATE, with_(there), 60).excerpt
        == f"created vpn, CN=VPN CA,O=TPI.TEST: enabled; its id is {MADE}"
    )
    assert there.authorities.acts == [f"create {HOST_CA.id} CN=VPN CA, O=TPI.TEST vpn"]
    with pytest.raises(ActionFailedError, match="already"):
        wanted.preview(CREATE, with_(there))


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_a_sub_ca_is_enabled_and_disabled(verb: str) -> None:
    there, wanted = ca(HOST_CA, replace(SUB_CA, enabled=verb == "disable")), operation(f"dogtag.ca.{verb}")
    before = "enabled" if verb == "disable" else "disabled"
    shown, precondition = wanted.preview(SWITCH, with_(there))
    assert shown == {
        "action": verb,
        "authority": SUB_CA.id,
        "name": "sub",
        "subject": "CN=Sub,O=TPI.TEST",
        "issuer": "CN=CA,O=TPI.TEST",
        "serial": "0xa",
        "state": before,
        "state afterwards": f"{verb}d",
    }
    assert preview_body(shown, precondition)
    assert wanted.precondition(SWITCH, with_(there)) == precondition
    told = f"{verb}d {SUB_CA.id}, CN=Sub,O=TPI.TEST: it is {verb}d"
    assert wanted.act(SWITCH, with_(there), 60).excerpt == told
    assert there.authorities.acts == [f"{verb} {SUB_CA.id}"]
    with pytest.raises(ActionFailedError, match=f"is {verb}d already"):
        wanted.preview(SWITCH, with_(there))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"name": "vpn"},
        {**CREATE, "parent": HOST_CA.id},
        *({**CREATE, "name": bad} for bad in ("", "a b", "-a", "a" * 65, "a\n", "ä")),
        *(
            {**CREATE, "subject": bad}
            for bad in (
                "",
                "vpn",
                "CN=",
                "CN= ",
                "OU=only",
                "XX=a,CN=b",
                "CN=a+O=b",
                "CN=a\\,b",
                'CN="a"',
                "CN=#04",
                "CN=a,,O=b",
                "CN=a;O=b",
                "CN=a\u202eb",
                "CN=" + "a" * 260,
            )
        ),
    ],
)
def test_nothing_but_a_name_and_a_plain_subject_reaches_the_ca(parameters: dict[str, str]) -> None:
    there = ca()
    for attempt in attempts("create", parameters, there):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == "bad-parameters"
    assert there.authorities.acts == []


@pytest.mark.parametrize("verb", ["enable", "disable"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        CREATE,
        *({"authority": bad} for bad in ("", "ipa", "host-authority", SUB_CA.id.upper(), f"{SUB_CA.id}/x")),
    ],
)
def test_nothing_but_an_id_reaches_the_ca(verb: str, parameters: dict[str, str]) -> None:
    there = ca()
    for attempt in attempts(verb, parameters, there):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == "bad-parameters"
    assert there.authorities.acts == []


@pytest.mark.parametrize("subject", ["CN=CA,O=TPI.TEST", "cn=sub, o=tpi.test", "CN=Sub ,O=TPI.TEST"])
def test_a_subject_that_is_there_is_not_made_again(subject: str) -> None:
    with pytest.raises(ActionFailedError, match="already"):
        operation("dogtag.ca.create").preview({**CREATE, "subject": subject}, with_(ca()))


def test_nor_is_a_name() -> None:
    with pytest.raises(ActionFailedError, match="take another name"):
        operation("dogtag.ca.create").preview({**CREATE, "name": "SUB"}, with_(ca()))


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_the_ca_itself_is_not_touched(verb: str) -> None:
    there = ca(replace(HOST_CA, enabled=verb == "disable"), SUB_CA)
    for attempt in attempts(verb, {"authority": HOST_CA.id}, there)[:2]:
        with pytest.raises(ActionFailedError, match="the CA itself"):
            attempt()


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_what_is_not_there_is_told(verb: str) -> None:
    with pytest.raises(RefusedError, match="has no sub-CA"):
        operation(f"dogtag.ca.{verb}").preview({"authority": MADE}, with_(ca()))


@pytest.mark.parametrize("there", [[SUB_CA], [HOST_CA, replace(HOST_CA, id=MADE), SUB_CA]])
def test_a_ca_that_does_not_say_which_it_is_decides_nothing(there: list[IssuingAuthority]) -> None:
    for verb in VERBS:
        with pytest.raises(AuthorityUnavailableError, match="which one it is"):
            operation(f"dogtag.ca.{verb}").preview(words(verb), with_(ca(*there)))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "answer", [ActionFailedError("refused; ask"), AWAY, OutcomeUnknownError("no answer came; look at it")]
)
def test_the_cas_answer_is_the_end(verb: str, answer: TpiError) -> None:
    there = ca()
    there.authorities.fails[verb] = answer
    with pytest.raises(type(answer)):
        operation(f"dogtag.ca.{verb}").act(words(verb), with_(there), 60)


@pytest.mark.parametrize("forged", [{"subject": "CN=Other"}, {"parent": SUB_CA.id}])
def test_what_was_made_otherwise_is_told(forged: dict[str, str]) -> None:
    there = ca()
    there.authorities.forged = forged
    with pytest.raises(OutcomeUnknownError, match=f"the CA made {MADE}.*not what was approved"):
        operation("dogtag.ca.create").act(CREATE, with_(there), 60)


@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_what_is_done_is_done_although_it_cannot_be_read_afterwards(verb: str) -> None:
    there = ca()
    there.authorities.after[verb] = AWAY
    told = operation(f"dogtag.ca.{verb}").act(SWITCH, with_(there), 60)
    assert told.excerpt == f"{verb}d {SUB_CA.id}; its state could not be read afterwards"


@pytest.mark.parametrize(
    ("subject", "told"),
    [("CN=Größe", "CN=Größe"), ("CN=a\u202eb\n", "'CN=a\\u202eb\\n'"), ("x" * 2000, "'x")],
)
def test_r_k11_a_subject_of_another_hand_deceives_nobody(subject: str, told: str) -> None:
    there = ca(HOST_CA, replace(SUB_CA, subject=subject))
    excerpt = operation("dogtag.ca.disable").act(SWITCH, with_(there), 60).excerpt
    assert excerpt.startswith(f"disabled {SUB_CA.id}, {told}")


def test_one_without_its_key_is_told_as_such() -> None:
    there = ca(HOST_CA, replace(SUB_CA, ready=False))
    shown, _ = operation("dogtag.ca.disable").preview(SWITCH, with_(there))
    assert isinstance(shown, dict)
    assert shown["state"] == "enabled, without its key yet"


def test_r_k10_what_changes_after_it_was_shown_is_seen() -> None:
    there, wanted = ca(), operation("dogtag.ca.disable")
    _, shown = wanted.preview(SWITCH, with_(there))
    there.authorities.there[1] = replace(SUB_CA, serial="0xb")
    assert wanted.precondition(SWITCH, with_(there)) != shown
    there, wanted = ca(), operation("dogtag.ca.create")
    _, shown = wanted.preview(CREATE, with_(there))
    there.authorities.there[0] = replace(HOST_CA, enabled=False)
    assert wanted.precondition(CREATE, with_(there)) != shown


@pytest.mark.parametrize("verb", VERBS)
def test_r_k01_it_is_for_the_requesters_ticket_and_opens_no_unit(verb: str) -> None:
    wanted = operation(f"dogtag.ca.{verb}")
    assert wanted.needs_ticket
    assert wanted.units(FloorOperation(1, proof=True)) == {}
    with pytest.raises(RefusedError, match="neither"):
        wanted.units(FloorOperation(1, proof=True, instances=frozenset({"DS01"})))
    for attempt in attempts(verb, words(verb), None):
        with pytest.raises(AuthorityUnavailableError, match=r"executor\.toml"):
            attempt()


def test_names_and_subjects_that_are_good() -> None:
    for subject in ("CN=Sub CA", "O=Größe AG,C=DE", "cn=a.b (2)/c: @x'&, ou=x ,DC=tpi,DC=test, O=y"):
        assert check_subject(subject) is None
    for name in ("vpn", "a" * 64, "1.a_b-c"):
        assert check_label(name) is None
    assert comparable("CN=a  b, O=C") == comparable("cn= A b,o=c") != comparable("CN=ab,O=c")
