"""What the CA's answers about profiles and sub-CAs mean; tests/ca/test_configuration.py asks a real one (D12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from profile_examples import GUARDED, HOST_CA, NAME, SUB_CA, text_of

from ipa_tpi.adapters.dogtag import Dogtag
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    OutcomeUnknownError,
    RefusedError,
    TpiError,
)

SENT = text_of(dict(sorted(GUARDED.items())))
# As Dogtag 10.10.2 told it.
HOST_TOLD = {
    "isHostAuthority": True,
    "id": HOST_CA.id,
    "parentID": None,
    "issuerDN": HOST_CA.issuer,
    "serial": 1,
    "dn": HOST_CA.subject,
    "enabled": True,
    "description": "Host authority",
    "ready": True,
    "link": None,
}
SUB_TOLD = {
    "isHostAuthority": False,
    "id": SUB_CA.id,
    "parentID": HOST_CA.id,
    "issuerDN": SUB_CA.issuer,
    "serial": 10,
    "dn": SUB_CA.subject,
    "enabled": True,
    "description": "sub",
    "ready": True,
    "link": None,
}
LISTED = {
    "total": 2,
    "entries": [
        {"profileId": "acmeServerCert", "profileName": "ACME", "profileURL": "https://ca1/x"},
        {"profileId": NAME, "profileName": None, "profileURL": "https://ca1/y"},
    ],
    "Link": [],
}


def error(code: int, kind: str, message: str) -> tuple[int, Any]:
    name = f"com.netscape.certsrv.{kind}"
    return code, {"Attributes": {"Attribute": []}, "ClassName": name, "Code": code, "Message": message}


FORBIDDEN = error(403, "base.ForbiddenException", "Authorization Error")
GONE = error(404, "profile.ProfileNotFoundException", f"Profile ID {NAME} not found")
PAGE = (
    500,
    "<!doctype html><html><head><title>HTTP Status 500 - Internal Server Error</title></head></html>",
)


class Line:
    """A transport that gives one answer, or fails."""

    def __init__(self, answer: tuple[int, Any] | TpiError) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, object]] = []

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        self.calls.append((method, path, body))
        if isinstance(self.answer, TpiError):
            raise self.answer
        return self.answer


ACTS: dict[str, tuple[Callable[[Dogtag], object], tuple[str, str, object], tuple[int, Any]]] = {
    "import": (lambda ca: ca.profiles.create(GUARDED), ("POST", "/profiles/raw", SENT), (201, "#Sat\na=b\n")),
    "modify": (
        lambda ca: ca.profiles.replace(NAME, GUARDED),
        ("PUT", f"/profiles/{NAME}/raw", SENT),
        (200, "#Sat\na=b\n"),
    ),
    "enable": (
        lambda ca: ca.profiles.enable(NAME),
        ("POST", f"/profiles/{NAME}?action=enable", None),
        (204, None),
    ),
    "disable": (
        lambda ca: ca.profiles.disable(NAME),
        ("POST", f"/profiles/{NAME}?action=disable", None),
        (204, None),
    ),
    "ca.create": (
        lambda ca: ca.authorities.create(HOST_CA.id, SUB_CA.subject, "sub"),
        ("POST", "/authorities", {"parentID": HOST_CA.id, "dn": SUB_CA.subject, "description": "sub"}),
        (200, SUB_TOLD),
    ),
    "ca.enable": (
        lambda ca: ca.authorities.enable(SUB_CA.id),
        ("POST", f"/authorities/{SUB_CA.id}/enable", None),
        (200, SUB_TOLD),
    ),
    "ca.disable": (
        lambda ca: ca.authorities.disable(SUB_CA.id),
        ("POST", f"/authorities/{SUB_CA.id}/disable", None),
        (200, {**SUB_TOLD, "enabled": False}),
    ),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_is_sent_and_done(name: str) -> None:
    act, call, answer = ACTS[name]
    line = Line(answer)
    act(Dogtag(line))
    assert line.calls == [call]


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (FORBIDDEN, ActionFailedError, "refused it for the requester.*ask an administrator"),
        ((403, None), ActionFailedError, "refused it for the requester.*without a word"),
        ((401, "<html>Unauthorized</html>"), ActionFailedError, "refused it for the requester"),
        (
            error(400, "base.BadRequestException", "Unable to create profile: Cannot find xx"),
            ActionFailedError,
            "Cannot find xx.*correct what it names",
        ),
        (GONE, ActionFailedError, "not found.*make a new request"),
        (
            error(409, "base.ConflictingOperationException", "Profile already enabled"),
            ActionFailedError,
            "already enabled.*in another state",
        ),
        ((302, None), ActionFailedError, "did not do it \\(302\\)"),
        ((413, "<html>too large</html>"), ActionFailedError, "did not do it \\(413\\)"),
        (
            error(500, "base.PKIException", "Error creating CA: Unknown AVA keyword 'XX'."),
            OutcomeUnknownError,
            "Unknown AVA keyword.*look at the",
        ),
        (PAGE, OutcomeUnknownError, "answered 500: without a word; look at the"),
        ((503, None), OutcomeUnknownError, "answered 503"),
        (OutcomeUnknownError("no answer came; look at it"), OutcomeUnknownError, "no answer"),
        (AuthorityUnavailableError("not reached; try again"), AuthorityUnavailableError, "not reached"),
    ],
)
def test_what_was_refused_failed_and_in_doubt_nobody_knows(
    name: str, answer: Any, kind: type[TpiError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        ACTS[name][0](Dogtag(Line(answer)))
    assert type(caught.value) is kind


READS: dict[str, Callable[[Dogtag], object]] = {
    "names": lambda ca: ca.profiles.names(),
    "read": lambda ca: ca.profiles.read(NAME),
    "known": lambda ca: ca.authorities.known(),
}


def test_what_is_read() -> None:
    line = Line((200, LISTED))
    assert set(Dogtag(line).profiles.names()) == {"acmeServerCert", NAME}
    assert line.calls == [("GET", "/profiles?size=10000", None)]
    line = Line((200, "a=b\nenable=true\n"))
    assert Dogtag(line).profiles.read(NAME) == "a=b\nenable=true\n"
    assert line.calls == [("GET", f"/profiles/{NAME}/raw", None)]
    assert list(Dogtag(Line((200, [HOST_TOLD, SUB_TOLD]))).authorities.known()) == [HOST_CA, SUB_CA]
    assert Dogtag(Line((200, [{**SUB_TOLD, "description": None}]))).authorities.known()[0].description == ""


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (FORBIDDEN, ActionFailedError),
        ((401, None), ActionFailedError),
        (PAGE, AuthorityUnavailableError),
        ((503, None), AuthorityUnavailableError),
        ((302, None), AuthorityUnavailableError),
        ((200, None), AuthorityUnavailableError),
        ((200, []), AuthorityUnavailableError),
        ((200, {}), AuthorityUnavailableError),
        ((200, 7), AuthorityUnavailableError),
        (OutcomeUnknownError("no answer came; look at it"), AuthorityUnavailableError),
        (AuthorityUnavailableError("not reached; try again"), AuthorityUnavailableError),
    ],
)
def test_what_cannot_be_read_decides_nothing(name: str, answer: Any, kind: type[TpiError]) -> None:
    with pytest.raises(kind):
        READS[name](Dogtag(Line(answer)))


def test_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(RefusedError, match="shows no profile") as caught:
        Dogtag(Line(GONE)).profiles.read(NAME)
    assert caught.value.code == "bad-parameters"


@pytest.mark.parametrize(
    "wrong",
    [
        {**LISTED, "total": 3},
        {**LISTED, "total": None},
        {**LISTED, "entries": {}},
        {**LISTED, "entries": []},
        {**LISTED, "entries": ["x", "y"]},
        {**LISTED, "entries": [{"profileId": None}, {"profileId": 1}]},
    ],
)
def test_a_list_that_is_not_whole_is_none(wrong: object) -> None:
    with pytest.raises(AuthorityUnavailableError, match="did not list its profiles"):
        Dogtag(Line((200, wrong))).profiles.names()


WRONG = [
    {"id": "ipa"},
    {"id": None},
    {"id": SUB_CA.id.upper()},
    {"parentID": "x"},
    {"parentID": 1},
    {"serial": "10"},
    {"serial": True},
    {"enabled": None},
    {"enabled": "true"},
    {"ready": 1},
    {"dn": None},
    {"description": 1},
]


@pytest.mark.parametrize("change", WRONG)
def test_a_sub_ca_of_another_form_is_none(change: dict[str, object]) -> None:
    with pytest.raises(AuthorityUnavailableError, match="did not list its sub-CAs"):
        Dogtag(Line((200, [HOST_TOLD, {**SUB_TOLD, **change}]))).authorities.known()
    with pytest.raises(AuthorityUnavailableError, match="did not list its sub-CAs"):
        Dogtag(Line((200, [HOST_TOLD, change.get("id", [])]))).authorities.known()
    with pytest.raises(OutcomeUnknownError, match="did not tell what it made"):
        Dogtag(Line((200, {**SUB_TOLD, **change}))).authorities.create(HOST_CA.id, "CN=x", "x")


def test_the_cas_words_stay_on_one_line() -> None:
    with pytest.raises(ActionFailedError) as caught:
        Dogtag(Line((400, {"Message": "a\nb\x1b[2J" + "x" * 999}))).profiles.enable(NAME)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
