"""Operations on certificate profiles: what is shown, compared, sent, and looked at afterwards (D16, R-D18, K18)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from profile_examples import GUARDED, NAME, FakeCa, FakeProfiles, changed, text_of, with_

from ipa_tpi.decide.digest import preview_body
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    NoTicketError,
    OutcomeUnknownError,
    RefusedError,
    TpiError,
)
from ipa_tpi.executor.operations import operation
from ipa_tpi.model import FloorOperation

LONGER = changed({"policyset.set1.1.default.params.range": "90"})
VERBS = ("import", "modify", "enable", "disable")
REFUSED = ActionFailedError("the CA refused it; ask an administrator")
AWAY = AuthorityUnavailableError("it cannot be reached; try again")
DOUBT = OutcomeUnknownError("no answer came; look at it")


def ca(enable: str = "", pairs: dict[str, str] | None = None) -> FakeCa:
    """A CA that has the profile, where `enable` tells its state."""
    had = {NAME: {**(pairs or GUARDED), "enable": enable}} if enable else {}
    return FakeCa(FakeProfiles(had={"caUserCert": {"enable": "true"}, **had}))


def words(verb: str, pairs: dict[str, str] | None = None) -> dict[str, str]:
    more = {"configuration": text_of(pairs or LONGER)} if verb in {"import", "modify"} else {}
    return {"profile": NAME, **more}


def run(verb: str, there: FakeCa, pairs: dict[str, str] | None = None) -> str:
    wanted, parameters = operation(f"dogtag.profile.{verb}"), words(verb, pairs)
    shown, precondition = wanted.preview(parameters, with_(there))
    assert preview_body(shown, precondition)
    assert wanted.precondition(parameters, with_(there)) == precondition
    told = wanted.act(parameters, with_(there), 60).excerpt
    with pytest.raises(ActionFailedError):  # nothing can be done twice
        wanted.preview(parameters, with_(there))
    return told


def test_a_profile_is_imported_as_it_was_shown_and_is_not_enabled() -> None:
    there = ca()
    shown, precondition = operation("dogtag.profile.import").preview(words("import"), with_(there))
    assert isinstance(shown, dict)
    assert (shown["action"], shown["profile"], precondition) == (
        "import",
        NAME,
        {"profile": NAME, "there": False},
    )
    assert shown["policies"] == [
        {"policy": "set1.1", "default": "userSubjectNameDefaultImpl", "constraint": "noConstraintImpl"},
        {"policy": "set1.2", "default": "noDefaultImpl", "constraint": "externalProcessConstraintImpl"},
    ]
    assert there.profiles.acts == []
    assert run("import", there) == f"imported {NAME}: it is disabled"
    assert there.profiles.acts == [f"create {NAME}"]
    assert text_of(dict(sorted(there.profiles.sent[0].items()))) == shown["configuration"]


def test_a_profile_that_is_enabled_is_disabled_while_it_is_modified() -> None:
    there = ca("true")
    shown, _ = operation("dogtag.profile.modify").preview(words("modify"), with_(there))
    assert isinstance(shown, dict)
    assert (shown["state"], shown["note"]) == ("enabled", "it is disabled while it is modified")
    assert "\n+policyset.set1.1.default.params.range=90\n" in str(shown["change"])
    assert "\n-" not in str(shown["change"])
    assert run("modify", there) == f"modified {NAME}: it is enabled"
    assert there.profiles.acts == [f"disable {NAME}", f"replace {NAME}", f"enable {NAME}"]
    assert dict(there.profiles.sent[0]) == LONGER


def test_one_that_is_disabled_stays_so() -> None:
    there = ca("false")
    shown, _ = operation("dogtag.profile.modify").preview(words("modify"), with_(there))
    assert isinstance(shown, dict)
    assert "note" not in shown
    assert run("modify", there) == f"modified {NAME}: it is disabled"
    assert there.profiles.acts == [f"replace {NAME}"]


def test_enabling_shows_what_is_enabled() -> None:
    there = ca("false")
    shown, precondition = operation("dogtag.profile.enable").preview(words("enable"), with_(there))
    assert isinstance(shown, dict)
    assert isinstance(precondition, dict)
    assert (shown["state"], shown["state afterwards"]) == ("disabled", "enabled")
    assert "auth.instance_id=SessionAuthentication\n" in str(shown["configuration"])
    assert precondition["enabled"] is False
    assert run("enable", there) == f"enabled {NAME}: it is enabled"
    assert there.profiles.acts == [f"enable {NAME}"]


def test_disabling_needs_no_guard_and_can_always_be_done() -> None:
    there = ca("true", {"profileId": NAME, "desc": "ü"})
    assert run("disable", there) == f"disabled {NAME}: it is disabled"
    assert there.profiles.acts == [f"disable {NAME}"]


@pytest.mark.parametrize(
    ("verb", "enable", "pairs"),
    [
        ("enable", "false", changed({"auth.instance_id": None})),
        ("enable", "false", changed({"auth.instance_id": "raCertAuth"})),
        ("import", "", changed({"policyset.set1.list": "1"})),
        ("modify", "false", changed({"policyset.set1.list": "1"})),
        ("modify", "true", changed({"policyset.set1.2.constraint.params.executable": "/bin/true"})),
    ],
)
def test_r_d18_what_is_open_gets_neither_into_the_ca_nor_enabled(
    verb: str, enable: str, pairs: dict[str, str]
) -> None:
    there = ca(enable, pairs if verb == "enable" else None)
    there.profiles.fails["names"] = there.profiles.fails["create"] = AWAY
    for attempt in attempts(verb, words(verb, pairs), there):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == "profile-unguarded"
    assert there.profiles.acts == []


def test_r_d18_nor_does_what_the_ca_has_in_a_form_that_can_be_read_otherwise() -> None:
    there = ca("false", {**GUARDED, "desc": "a\\nauth.instance_id=NoAuth"})
    for attempt in attempts("enable", words("enable"), there):
        with pytest.raises(RefusedError, match="backslash"):
            attempt()
    assert there.profiles.acts == []


def attempts(verb: str, parameters: dict[str, str], there: FakeCa | None) -> list[Callable[[], object]]:
    wanted, means = operation(f"dogtag.profile.{verb}"), with_(there)
    return [
        lambda: wanted.preview(parameters, means),
        lambda: wanted.precondition(parameters, means),
        lambda: wanted.act(parameters, means, 60),
    ]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "bad-parameters"),
        ("../x", "bad-parameters"),
        ("caServerCert", "profile-reserved"),
        ("CAUSERCERT", "profile-reserved"),
    ],
)
def test_no_other_name_reaches_the_ca(verb: str, name: str, code: str) -> None:
    there = ca("false")
    for attempt in attempts(verb, {**words(verb), "profile": name}, there):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == code
    assert there.profiles.acts == []


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_but_its_parameters_is_taken(verb: str) -> None:
    there = ca("false")
    right = words(verb)
    for wrong in ({}, {**right, "x": "y"}, {"configuration": "a=b"}, {"name": NAME}):
        for attempt in attempts(verb, wrong, there):
            with pytest.raises(RefusedError, match="expected exactly profile"):
                attempt()
    assert there.profiles.acts == []


@pytest.mark.parametrize("verb", ["import", "modify"])
def test_a_text_of_another_profile_or_form_is_refused(verb: str) -> None:
    there = ca("false")
    for pairs in ({**GUARDED, "profileId": "other"}, {**GUARDED, "a": "\\"}):
        for attempt in attempts(verb, words(verb, pairs), there):
            with pytest.raises(RefusedError) as caught:
                attempt()
            assert caught.value.code == "bad-parameters"
    assert there.profiles.acts == []


@pytest.mark.parametrize("name", [NAME, NAME.upper(), NAME.lower()])
def test_what_is_there_in_any_letter_case_is_not_imported(name: str) -> None:
    """Dogtag would write over the entry of the other one."""
    there = ca("true")
    pairs = changed({"profileId": name})
    with pytest.raises(ActionFailedError, match=f"there is a profile {NAME} already"):
        operation("dogtag.profile.import").preview({**words("import", pairs), "profile": name}, with_(there))


@pytest.mark.parametrize("verb", ["modify", "enable", "disable"])
def test_what_is_not_there_is_told(verb: str) -> None:
    with pytest.raises(RefusedError, match="shows no profile"):
        operation(f"dogtag.profile.{verb}").preview(words(verb), with_(ca()))


@pytest.mark.parametrize(
    ("verb", "enable", "pairs"),
    [("modify", "true", GUARDED), ("enable", "true", None), ("disable", "false", None)],
)
def test_what_is_so_already_is_not_done(verb: str, enable: str, pairs: dict[str, str] | None) -> None:
    with pytest.raises(ActionFailedError, match="already"):
        operation(f"dogtag.profile.{verb}").preview(words(verb, pairs), with_(ca(enable)))


@pytest.mark.parametrize("verb", ["modify", "enable", "disable"])
def test_r_k10_what_changes_after_it_was_shown_is_seen(verb: str) -> None:
    there = ca("false" if verb == "enable" else "true")
    wanted = operation(f"dogtag.profile.{verb}")
    _, shown = wanted.preview(words(verb), with_(there))
    there.profiles.had[NAME]["desc"] = "of another hand"
    assert wanted.precondition(words(verb), with_(there)) != shown
    del there.profiles.had[NAME]["desc"]
    assert wanted.precondition(words(verb), with_(there)) == shown
    if verb == "modify":
        there.profiles.had[NAME]["enable"] = "false"
        assert wanted.precondition(words(verb), with_(there)) != shown


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "answer", [REFUSED, AWAY, DOUBT, NoTicketError("it has run out; run: ipa-tpi prove ID")]
)
def test_the_cas_answer_to_the_first_call_is_the_end(verb: str, answer: TpiError) -> None:
    there = ca({"import": "", "enable": "false"}.get(verb, "true"))
    first = {"import": "create", "modify": "disable"}.get(verb, verb)
    there.profiles.fails[first] = answer
    with pytest.raises(type(answer)):
        operation(f"dogtag.profile.{verb}").act(words(verb), with_(there), 60)
    assert there.profiles.acts == []


@pytest.mark.parametrize("answer", [REFUSED, AWAY, NoTicketError("it has run out; run: ipa-tpi prove ID")])
def test_a_change_that_was_refused_leaves_the_profile_enabled(answer: TpiError) -> None:
    there = ca("true")
    there.profiles.fails["replace"] = answer
    with pytest.raises(ActionFailedError, match="was not modified; it is enabled as before"):
        operation("dogtag.profile.modify").act(words("modify"), with_(there), 60)
    assert there.profiles.acts == [f"disable {NAME}", f"enable {NAME}"]


def test_in_doubt_it_stays_disabled() -> None:
    there = ca("true")
    there.profiles.fails["replace"] = DOUBT
    with pytest.raises(OutcomeUnknownError, match="is disabled, and may have been modified"):
        operation("dogtag.profile.modify").act(words("modify"), with_(there), 60)
    assert there.profiles.acts == [f"disable {NAME}"]


@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("answer", [REFUSED, AWAY, DOUBT])
def test_what_cannot_be_enabled_again_is_told(answer: TpiError, *, replaced: bool) -> None:
    there = ca("true")
    there.profiles.fails |= {"enable": answer, **({} if replaced else {"replace": REFUSED})}
    with pytest.raises(OutcomeUnknownError, match=r"could not be enabled again: .*dogtag\.profile\.enable"):
        operation("dogtag.profile.modify").act(words("modify"), with_(there), 60)


def test_r_d18_nobody_enrols_by_what_was_not_approved() -> None:
    there = ca("true")
    there.profiles.forges = {"auth.instance_id": "NoAuth"}
    with pytest.raises(OutcomeUnknownError, match="not what was approved"):
        operation("dogtag.profile.modify").act(words("modify"), with_(there), 60)
    assert there.profiles.had[NAME]["enable"] == "false"
    there = ca()
    there.profiles.forges = {"auth.instance_id": "NoAuth"}
    with pytest.raises(OutcomeUnknownError, match="not what was approved"):
        operation("dogtag.profile.import").act(words("import"), with_(there), 60)


def test_what_cannot_be_read_is_not_enabled_again() -> None:
    there = ca("true")
    there.profiles.after["replace"] = AWAY
    with pytest.raises(OutcomeUnknownError, match="is disabled, since it cannot be read"):
        operation("dogtag.profile.modify").act(words("modify"), with_(there), 60)
    assert there.profiles.had[NAME]["enable"] == "false"


@pytest.mark.parametrize(
    ("verb", "enable", "last", "told"),
    [
        ("import", "", "create", "imported {}; it could not be read afterwards"),
        ("modify", "true", "enable", "modified {}; it could not be read afterwards"),
        ("modify", "false", "replace", "modified {}; it could not be read afterwards"),
        ("enable", "false", "enable", "enabled {}; its state could not be read afterwards"),
        ("disable", "true", "disable", "disabled {}; its state could not be read afterwards"),
    ],
)
def test_what_is_done_is_done_although_it_cannot_be_read_afterwards(
    verb: str, enable: str, last: str, told: str
) -> None:
    there = ca(enable)
    there.profiles.after[last] = AWAY
    act = operation(f"dogtag.profile.{verb}").act(words(verb), with_(there), 60)
    assert act.excerpt == told.format(NAME)


@pytest.mark.parametrize("verb", VERBS)
def test_without_a_way_to_a_ca_nothing_is_decided(verb: str) -> None:
    for attempt in attempts(verb, words(verb), None):
        with pytest.raises(AuthorityUnavailableError, match=r"executor\.toml"):
            attempt()


@pytest.mark.parametrize("verb", VERBS)
def test_r_k01_it_is_for_the_requesters_ticket_and_opens_no_unit(verb: str) -> None:
    wanted = operation(f"dogtag.profile.{verb}")
    assert wanted.needs_ticket
    assert wanted.units(FloorOperation(1, proof=True)) == {}
    with pytest.raises(RefusedError, match="neither"):
        wanted.units(FloorOperation(1, proof=True, units=frozenset({"a.service"})))
