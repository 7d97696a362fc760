"""What Apache refuses by itself, before the application sees it: limits, methods, and what it says to that.

Each answer bears the security headers, and is a problem document wherever Apache knows whom the request was for.
"""

from __future__ import annotations

import json
import socket
import ssl
from http.client import HTTPMessage, parse_headers
from io import BytesIO

import pytest
from web_service import Service

from ipa_tpi.client import TpiClient
from ipa_tpi.errors import BadInputError, TpiError
from ipa_tpi.web.problems import HEADERS
from lab.negotiate import negotiate
from lab.session import Session

HOST = "Host: localhost\r\nConnection: close\r\n"
PATH = "/tpi/v1/requests"


@pytest.fixture(scope="module")
def service(realm: Session) -> Service:
    return Service(realm)


class Raw:
    """An answer to bytes as they were sent."""

    def __init__(self, service: Service, data: bytes) -> None:
        context = ssl.create_default_context(cafile=service.realm.ca_file)
        with (
            socket.create_connection(("127.0.0.1", service.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=service.realm.host) as wrapped,
        ):
            wrapped.sendall(data)
            stream = BytesIO(b"".join(iter(lambda: wrapped.recv(65536), b"")))
        self.status = int(stream.readline().split()[1])
        self.headers: HTTPMessage = parse_headers(stream)
        self.body = stream.read()

    @property
    def code(self) -> str:
        """The code of the problem document, or nothing where it is none."""
        if self.headers["Content-Type"] != "application/problem+json":
            return ""
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        return str(problem["code"])


def ticket(service: Service) -> str:
    return f"Authorization: {negotiate(service.ccache('alice'), service.realm.host)['Authorization']}\r\n"


CHUNKS = "10000\r\n" + " " * 65536 + "\r\n"
WITH_TICKET = {
    "a body that is too large, as declared": (
        f"POST {PATH} HTTP/1.1\r\n{HOST}TICKETContent-Length: 1048577\r\n\r\n",
        413,
        "too-large",
    ),
    "a body of unknown length": (
        f"POST {PATH} HTTP/1.1\r\n{HOST}TICKETTransfer-Encoding: chunked\r\n\r\n{CHUNKS * 20}0\r\n\r\n",
        411,
        "bad-input",
    ),
    "another method": (f"DELETE {PATH} HTTP/1.1\r\n{HOST}TICKET\r\n", 405, "method-not-allowed"),
}
WITHOUT = {
    "no ticket": (f"GET {PATH} HTTP/1.1\r\n{HOST}\r\n", 401, "unauthenticated"),
    "no ticket, no such path": (f"GET /tpi/v1/nothing HTTP/1.1\r\n{HOST}\r\n", 401, "unauthenticated"),
    "a preflight": (
        f"OPTIONS {PATH} HTTP/1.1\r\n{HOST}Origin: https://evil.test\r\nAccess-Control-Request-Method: POST\r\n\r\n",
        405,
        "method-not-allowed",
    ),
    "a method that there is not": (f"BREW {PATH} HTTP/1.1\r\n{HOST}\r\n", 405, "method-not-allowed"),
    "health by another method": (
        f"POST /tpi/v1/healthz HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n",
        405,
        "method-not-allowed",
    ),
    "trace": (f"TRACE {PATH} HTTP/1.1\r\n{HOST}\r\n", 405, ""),
    "a header that is too long": (f"GET {PATH} HTTP/1.1\r\n{HOST}X: {'x' * 9000}\r\n\r\n", 400, ""),
    "headers that are too many": (
        f"GET {PATH} HTTP/1.1\r\n{HOST}{''.join(f'X{number}: x' + chr(13) + chr(10) for number in range(101))}\r\n",
        400,
        "",
    ),
    "a path that is too long": (f"GET /tpi/v1/{'x' * 9000} HTTP/1.1\r\n{HOST}\r\n", 414, ""),
    "an encoded slash": (f"GET {PATH}/a%2fb HTTP/1.1\r\n{HOST}\r\n", 404, ""),
    "a length that is none": (f"POST {PATH} HTTP/1.1\r\n{HOST}Content-Length: x\r\n\r\n", 400, ""),
    "two lengths": (
        f"POST {PATH} HTTP/1.1\r\n{HOST}Content-Length: 0\r\nTransfer-Encoding: x\r\n\r\n",
        400,
        "",
    ),
    "an expectation": (f"GET {PATH} HTTP/1.1\r\n{HOST}Expect: x\r\n\r\n", 417, ""),
    "no host": (f"GET {PATH} HTTP/1.1\r\nConnection: close\r\n\r\n", 400, ""),
}


@pytest.mark.parametrize("name", WITHOUT | WITH_TICKET)
def test_r_e22_what_apache_itself_refuses(service: Service, name: str) -> None:
    data, status, code = (WITHOUT | WITH_TICKET)[name]
    answer = Raw(service, data.replace("TICKET", ticket(service)).encode())
    assert (answer.status, answer.code) == (status, code)
    for header, value in HEADERS.items():
        assert answer.headers.get_all(header) == [value], header
    assert answer.headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
    assert not [header for header in answer.headers if header.lower().startswith("access-control")]
    assert "Set-Cookie" not in answer.headers
    if status == 401:
        assert answer.headers.get_all("WWW-Authenticate") == ["Negotiate"]
        assert json.loads(answer.body)["gss_major"] == "0"
    if status == 405 and code:
        assert "GET" in answer.headers["Allow"]


def test_it_says_what_it_made_of_a_token(service: Service) -> None:
    """By this number the client tells a ticket that was refused from a server that could look at none."""
    token = ticket(service)
    assert Raw(service, f"GET {PATH} HTTP/1.1\r\n{HOST}{token}\r\n".encode()).status == 200
    replayed = Raw(service, f"GET {PATH} HTTP/1.1\r\n{HOST}{token}\r\n".encode())
    assert (replayed.status, json.loads(replayed.body)["gss_major"]) == (401, str(13 << 16))
    garbage = Raw(service, f"GET {PATH} HTTP/1.1\r\n{HOST}Authorization: Negotiate YWJj\r\n\r\n".encode())
    assert (garbage.status, json.loads(garbage.body)["gss_major"]) == (401, str(9 << 16))


def test_other_paths_are_not_ours(service: Service) -> None:
    """What else the server serves gets none of our headers and none of our documents."""
    for path in ("/", "/nothing", "/tpi/v10", "/tpi/v1x", "/tpi", "/ipa/tpi/v1"):
        answer = Raw(service, f"GET {path} HTTP/1.1\r\n{HOST}\r\n".encode())
        assert answer.status in {200, 403, 404}
        assert answer.code == ""
        assert "Content-Security-Policy" not in answer.headers
        assert "Strict-Transport-Security" not in answer.headers


def test_the_client_tells_a_person(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no command of ours sends, sent by its own transport."""
    client = TpiClient(service.origin, service.realm.ca_file, f"FILE:{service.ccache('alice')}")
    transport = client._transport
    with pytest.raises(BadInputError) as caught:
        transport.ask("POST", PATH, b" " * 1048577)
    assert (caught.value.code, caught.value.message) == (
        "too-large",
        "the message is larger than 1048576 bytes",
    )
    with pytest.raises(BadInputError, match="Shorten") as caught:
        transport.ask("GET", f"{PATH}?state={'x' * 9000}")
    assert caught.value.code == "too-large"
    with pytest.raises(TpiError) as refused:
        transport.ask("DELETE", PATH)
    assert refused.value.code == "method-not-allowed"
    monkeypatch.setattr("ipa_tpi.client.transport.__version__", "x" * 9000)
    with pytest.raises(BadInputError, match="LimitRequestFieldSize"):
        transport.ask("GET", PATH)
