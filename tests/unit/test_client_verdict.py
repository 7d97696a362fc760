"""What is made of answers by the web server itself, as the configuration that ships words them, and by others."""

import json
import re
import shlex
from http import HTTPStatus
from http.client import HTTPMessage
from pathlib import Path

import pytest

from ipa_tpi import wire
from ipa_tpi.client.verdict import judge
from ipa_tpi.errors import (
    HTTP_STATUS,
    BadInputError,
    KerberosError,
    OutcomeUnknownError,
    TooManyRequestsError,
    TpiError,
    UnavailableError,
    exit_status,
)

SHIPPED = Path(__file__).resolve().parents[2] / "httpd" / "ipa-tpi.conf"
URL = "https://ipa1.tpi.test"
DOCUMENTS = {
    int(line.split()[1]): shlex.split(line.strip())[2]
    for line in SHIPPED.read_text(encoding="utf-8").splitlines()
    if line.startswith("    ErrorDocument ")
}


def told(status: int, data: bytes, kind: str = "application/problem+json", method: str = "POST") -> TpiError:
    headers = HTTPMessage()
    headers["Content-Type"] = kind
    with pytest.raises(TpiError) as caught:
        judge(method, status, headers, data, URL)
    return caught.value


@pytest.mark.parametrize("status", DOCUMENTS)
def test_r_e22_what_apache_refuses_is_a_problem_document(status: int) -> None:
    """Its `%{…}` is all that Apache fills in."""
    text = re.sub(r"%\{reqenv:GSS_ERROR_MAJ\}", "851968", DOCUMENTS[status])
    assert "%" not in text
    problem = wire.decode(text.encode(), wire.Problem)
    assert problem.status == status
    assert problem.title == HTTPStatus(status).phrase
    assert problem.type == f"urn:ipa-tpi:problem:{problem.code}"
    assert HTTP_STATUS[problem.code] == status or (status, problem.code) in {
        (411, "bad-input"),
        (504, "outcome-unknown"),
    }
    assert problem.gss_major == ("851968" if status == 401 else "")


@pytest.mark.parametrize(
    ("status", "kind", "code", "left"),
    [
        (400, BadInputError, "bad-input", 64),
        (401, KerberosError, "unauthenticated", 1),
        (405, UnavailableError, "method-not-allowed", 1),
        (408, UnavailableError, "too-slow", 1),
        (411, BadInputError, "bad-input", 64),
        (413, BadInputError, "too-large", 1),
        (500, OutcomeUnknownError, "outcome-unknown", 1),
        (503, UnavailableError, "unavailable", 1),
        (504, OutcomeUnknownError, "outcome-unknown", 1),
    ],
)
def test_each_of_them_is_told(status: int, kind: type[TpiError], code: str, left: int) -> None:
    error = told(status, DOCUMENTS[status].encode())
    assert (type(error), error.code, exit_status(error.code)) == (kind, code, left)
    assert error.message


@pytest.mark.parametrize(
    ("status", "kind", "code", "words"),
    [
        (400, BadInputError, "bad-input", "LimitRequestFieldSize"),
        (408, UnavailableError, "too-slow", "nothing was done"),
        (413, BadInputError, "too-large", "Shorten"),
        (414, BadInputError, "too-large", "Shorten"),
        (431, BadInputError, "too-large", "Shorten"),
        (429, UnavailableError, "unavailable", "nothing was done"),
        (503, OutcomeUnknownError, "outcome-unknown", "may have been recorded"),
        (404, UnavailableError, "unavailable", "is installed and running"),
        (500, OutcomeUnknownError, "outcome-unknown", "may have been recorded"),
        (502, OutcomeUnknownError, "outcome-unknown", "may have been recorded"),
    ],
)
def test_in_html_too(status: int, kind: type[TpiError], code: str, words: str) -> None:
    """Before Apache knows whom a request is for it answers in its own words."""
    error = told(status, b"<!DOCTYPE HTML><html>", "text/html")
    assert (type(error), error.code) == (kind, code)
    assert words in error.message
    assert URL in error.message


@pytest.mark.parametrize(("status", "kind"), [(500, "text/html"), (504, "application/problem+json")])
def test_who_only_asked_may_ask_again(status: int, kind: str) -> None:
    error = told(status, DOCUMENTS[status].encode(), kind, method="GET")
    assert (type(error), error.code) == (UnavailableError, "unavailable")


def test_a_server_without_a_ticket_of_its_own_says_so() -> None:
    text = DOCUMENTS[401].replace("%{reqenv:GSS_ERROR_MAJ}", "458752")
    error = told(401, text.encode())
    assert (type(error), error.code) == (KerberosError, "kerberos")
    for words in (
        "directory does not answer",
        "your ticket is not at fault",
        "krb5kdc",
        "dirsrv",
        "gssproxy",
    ):
        assert words in error.message


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xff", b"{}", b"[" * 100_000, b'{"gss_major": 458752}'])
def test_any_other_401_is_about_the_ticket(data: bytes) -> None:
    assert told(401, data).code == "unauthenticated"


def test_too_many_requests() -> None:
    data = json.dumps(
        {"type": "x", "title": "x", "status": 429, "detail": "wait", "code": "too-many-requests"}
    ).encode()
    error = told(429, data)
    assert (type(error), error.message) == (TooManyRequestsError, "wait")
    assert exit_status(error.code) == 1
