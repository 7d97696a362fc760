"""What the CA's answers mean; tests/ca/test_adapter.py asks a real one."""

from __future__ import annotations

from typing import Any

import pytest

from ipa_tpi.adapters.dogtag import Dogtag
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    NoTicketError,
    OutcomeUnknownError,
    RefusedError,
    TpiError,
)
from ipa_tpi.ports import Issued

# As Dogtag 10.10.2 told it.
THERE = {
    "id": "0xa",
    "IssuerDN": "CN=Certificate Authority,O=TPI.TEST",
    "SubjectDN": "CN=a.tpi.test",
    "NotAfter": "Wed Nov 21 06:02:44 UTC 2046",
    "Status": "VALID",
    "RevocationReason": None,
}


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


@pytest.mark.parametrize(
    ("told", "reason"), [(None, ""), (1, "Key_Compromise"), (6, "Certificate_Hold"), (7, "7"), ("x", "x")]
)
def test_a_certificate_is_told(told: object, reason: str) -> None:
    line = Line((200, {**THERE, "RevocationReason": told}))
    found = Dogtag(line).certificate("0xa")
    assert (found.serial, found.subject, found.status) == ("0xa", "CN=a.tpi.test", "VALID")
    assert (found.issuer, found.reason) == ("CN=Certificate Authority,O=TPI.TEST", reason)
    assert found.not_after == "2046-11-21T06:02:44Z"
    assert line.calls == [("GET", "/certs/0xa", None)]


def test_a_time_of_another_form_is_shown_as_it_is() -> None:
    assert Dogtag(Line((200, {**THERE, "NotAfter": "soon"}))).certificate("0xa").not_after == "soon"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {"Message": "Certificate ID 0xa not found"}), RefusedError),
        ((200, None), AuthorityUnavailableError),
        ((200, []), AuthorityUnavailableError),
        ((302, None), AuthorityUnavailableError),
        ((403, None), AuthorityUnavailableError),
        ((503, None), AuthorityUnavailableError),
        (OutcomeUnknownError("no answer came; look at it"), AuthorityUnavailableError),
    ],
)
def test_what_cannot_be_read_decides_nothing(answer: Any, error: type[TpiError]) -> None:
    with pytest.raises(error):
        Dogtag(Line(answer)).certificate("0xa")


def test_it_is_done_only_where_the_ca_says_so() -> None:
    line = Line((200, {"operationResult": "success"}))
    Dogtag(line).revoke("0xa", "Superseded")
    Dogtag(line).release("0xa")
    assert line.calls == [
        ("POST", "/agent/certs/0xa/revoke", {"Reason": "Superseded"}),
        ("POST", "/agent/certs/0xa/unrevoke", {}),
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, None), ActionFailedError),
        ((403, {"Message": "Authorization Error"}), ActionFailedError),
        ((400, {"Message": "certificate #a has already been revoked"}), ActionFailedError),
        ((302, None), ActionFailedError),
        ((200, {"operationResult": "error"}), ActionFailedError),
        ((200, {}), ActionFailedError),
        ((200, None), OutcomeUnknownError),
        ((200, ["success"]), OutcomeUnknownError),
        ((500, {"Message": "Record not found"}), OutcomeUnknownError),
        ((503, None), OutcomeUnknownError),
        (OutcomeUnknownError("no answer came; look at it"), OutcomeUnknownError),
    ],
)
def test_in_doubt_nobody_knows_and_what_was_refused_failed(answer: Any, error: type[TpiError]) -> None:
    with pytest.raises(error):
        Dogtag(Line(answer)).revoke("0xa", "Superseded")


def test_the_cas_words_stay_on_one_line() -> None:
    with pytest.raises(ActionFailedError) as caught:
        Dogtag(Line((400, {"Message": "a\nb\x1b[2J" + "x" * 999}))).release("0xa")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


# --- enrolment ------------------------------------------------------------------------------------

ISSUED = {"requestStatus": "complete", "operationResult": "success", "certId": "0x1b", "errorMessage": None}


class Lines:
    """A transport that gives its answers in turn."""

    def __init__(self, *answers: tuple[int, Any] | TpiError) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str, Any]] = []

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        self.calls.append((method, path, body))
        answer = self.answers.pop(0)
        if isinstance(answer, TpiError):
            raise answer
        return answer


def entry(**changes: Any) -> tuple[int, Any]:
    return 200, {"total": None, "entries": [{**ISSUED, **changes}], "Link": []}


def test_what_was_issued_is_fetched() -> None:
    line = Lines(entry(), (200, {"Encoded": "PEM"}))
    assert Dogtag(line).enroll("caTpi", "CSR") == Issued("0x1b", "PEM")
    (method, path, body), fetched = line.calls
    assert (method, path, body["ProfileID"], body["Renewal"]) == ("POST", "/certrequests", "caTpi", False)
    assert body["Input"] == [
        {
            "id": "i1",
            "ClassID": "certReqInputImpl",
            "Name": "certReqInputImpl",
            "Attribute": [
                {"name": "cert_request_type", "Value": "pkcs10"},
                {"name": "cert_request", "Value": "CSR"},
            ],
        }
    ]
    assert fetched == ("GET", "/certs/0x1b", None)


@pytest.mark.parametrize(
    "answer",
    [
        (404, None),
        (500, {"Encoded": "PEM"}),
        (200, []),
        (200, {"Encoded": 1}),
        AuthorityUnavailableError("down; try again"),
        OutcomeUnknownError("no answer; look"),
        NoTicketError("it ran out; run kinit"),
    ],
)
def test_what_cannot_be_fetched_is_issued_nevertheless(answer: Any) -> None:
    assert Dogtag(Lines(entry(), answer)).enroll("caTpi", "CSR") == Issued("0x1b", "")


NO = {"requestStatus": "rejected", "certId": None}


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (
            entry(**NO, errorMessage='{"code":2100,"name":"ACIError","message":"not you","data":{}}\n'),
            ActionFailedError,
            "'not you'",
        ),
        (entry(**NO, errorMessage="REFUSED: \x1b[2J two"), ActionFailedError, "REFUSED: \\x1b[2J two"),
        (entry(**NO, errorMessage="x" * 5000), ActionFailedError, "x" * 600 + "'"),
        (entry(**NO, errorMessage='{"message": 1}'), ActionFailedError, "message"),
        (entry(**NO, errorMessage=None), ActionFailedError, "without a word"),
        ((400, {"Message": "Invalid Request"}), ActionFailedError, "answered 400: 'Invalid Request'"),
        ((404, None), ActionFailedError, "answered 404"),
        ((302, None), ActionFailedError, "answered 302"),
        ((401, None), ActionFailedError, "refused it for the requester"),
        ((403, {"Message": "Authorization Error"}), ActionFailedError, "refused it for the requester"),
        ((500, {"Message": "Invalid Request"}), OutcomeUnknownError, "look whether"),
        ((503, None), OutcomeUnknownError, "look whether"),
        ((200, None), OutcomeUnknownError, "look whether"),
        ((200, {"entries": None}), OutcomeUnknownError, "look whether"),
        ((200, {"entries": []}), OutcomeUnknownError, "look whether"),
        ((200, {"entries": ["x"]}), OutcomeUnknownError, "look whether"),
        ((200, {"entries": [ISSUED, ISSUED]}), OutcomeUnknownError, "look whether"),
        (entry(requestStatus="pending", certId=None), OutcomeUnknownError, "'pending'"),
        (entry(requestStatus=None), OutcomeUnknownError, "'None'"),
        (entry(certId=None), OutcomeUnknownError, "'complete'"),
        (entry(certId="27"), OutcomeUnknownError, "'complete'"),
        (entry(certId="0x1b/../x"), OutcomeUnknownError, "'complete'"),
        (entry(requestStatus="rejected"), OutcomeUnknownError, "'rejected'"),
        (AuthorityUnavailableError("down; try again"), AuthorityUnavailableError, "down"),
        (OutcomeUnknownError("no answer; look"), OutcomeUnknownError, "no answer"),
    ],
)
def test_r_k13_only_a_plain_answer_is_certain(answer: Any, error: type[TpiError], said: str) -> None:
    with pytest.raises(error) as caught:
        Dogtag(Lines(answer)).enroll("caTpi", "CSR")
    assert said in caught.value.message
    assert caught.value.message.isprintable()
