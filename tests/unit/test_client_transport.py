"""Every way in which a server can be wrong, as the client tells it to a person."""

import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from client_fakes import Authority, Kdc, Service, free_port, operations, problem

from ipa_tpi import wire
from ipa_tpi.client import TpiClient, Wish
from ipa_tpi.client import transport as transport_module
from ipa_tpi.errors import (
    BadInputError,
    ConfigError,
    KerberosError,
    OutcomeUnknownError,
    TpiError,
    UnavailableError,
)

pytest_plugins = ("client_fakes",)


@pytest.fixture
def alice(service: Service, authority: Authority, ccaches: dict[str, str]) -> TpiClient:
    return TpiClient(service.url, str(authority.file), ccaches["alice"], 2)


def _error(client: TpiClient) -> TpiError:
    with pytest.raises(TpiError) as caught:
        client.operations()
    return caught.value


def test_no_server(authority: Authority, ccaches: dict[str, str]) -> None:
    error = _error(TpiClient(f"https://localhost:{free_port()}", str(authority.file), ccaches["alice"]))
    assert type(error) is UnavailableError
    assert error.code == "server-unreachable"
    assert "Connection refused" in error.message


def test_no_such_name(kdc: Kdc, authority: Authority, ccaches: dict[str, str]) -> None:
    kdc.run("kadmin.local", text="addprinc -randkey HTTP/nowhere.invalid\n")
    error = _error(TpiClient("https://nowhere.invalid", str(authority.file), ccaches["alice"], 2))
    assert error.code == "server-unreachable"


def test_r_e07_another_authority(
    service: Service,
    ccaches: dict[str, str],
    tmp_path: Path,
) -> None:
    error = _error(TpiClient(service.url, str(Authority(tmp_path).file), ccaches["alice"]))
    assert error.code == "server-untrusted"
    assert "not from the domain's certificate authority" in error.message
    assert service.seen == []


@pytest.fixture
def misnamed(kdc: Kdc, authority: Authority) -> Iterator[Service]:
    running = Service(kdc, authority.issue("other.tpi.test"))
    yield running
    running.stop()


def test_r_e07_another_name(misnamed: Service, authority: Authority, ccaches: dict[str, str]) -> None:
    error = _error(TpiClient(misnamed.url, str(authority.file), ccaches["alice"]))
    assert error.code == "server-untrusted"
    assert "for another name" in error.message


@pytest.fixture
def outdated(kdc: Kdc, authority: Authority) -> Iterator[Service]:
    running = Service(kdc, authority.issue("localhost", days=-1))
    yield running
    running.stop()


def test_r_e07_an_expired_certificate(
    outdated: Service, authority: Authority, ccaches: dict[str, str]
) -> None:
    error = _error(TpiClient(outdated.url, str(authority.file), ccaches["alice"]))
    assert error.code == "server-untrusted"
    assert "not valid at this time" in error.message


@pytest.fixture
def old(kdc: Kdc, authority: Authority) -> Iterator[Service]:
    running = Service(kdc, authority.issue("localhost"), ssl.TLSVersion.TLSv1_1)
    yield running
    running.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_r_e07_tls_1_1_is_refused(old: Service, authority: Authority, ccaches: dict[str, str]) -> None:
    error = _error(TpiClient(old.url, str(authority.file), ccaches["alice"]))
    assert error.code == "server-untrusted"
    assert "TLS 1.2" in error.message


def test_a_port_without_tls(authority: Authority, ccaches: dict[str, str]) -> None:
    plain = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=plain.handle_request, daemon=True)
    thread.start()
    url = f"https://localhost:{plain.server_address[1]}"
    error = _error(TpiClient(url, str(authority.file), ccaches["alice"], 2))
    thread.join(5)
    plain.server_close()
    assert error.code in {"server-untrusted", "server-unreachable"}


def test_a_ca_file_that_is_missing_or_none(service: Service, tmp_path: Path) -> None:
    for content in (None, "", "no certificate"):
        path = tmp_path / f"ca{content}"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError, match="cannot read the certificate authority"):
            TpiClient(service.url, str(path))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "localhost",
        "https://",
        "https://a:b@localhost",
        "https://localhost/x",
        "https://localhost?x",
        "https://localhost#x",
        "https://localhost:99999",
        "https://[::1",
        "https://höst",
        "",
    ],
)
def test_urls_that_are_refused(authority: Authority, url: str) -> None:
    with pytest.raises(BadInputError, match="not a server's URL"):
        TpiClient(url, str(authority.file))


def test_a_url_in_its_normal_form(authority: Authority) -> None:
    assert TpiClient("https://IPA1.tpi.test:443/", str(authority.file)).url == "https://ipa1.tpi.test"


def test_a_401_is_told(service: Service, alice: TpiClient) -> None:
    service.scripted.append((401, "text/html", b"<html>", {}))
    error = _error(alice)
    assert type(error) is KerberosError
    assert error.code == "unauthenticated"


def test_a_401_of_a_server_with_another_clock(service: Service, alice: TpiClient) -> None:
    def far_away(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(
            b"HTTP/1.1 401 No\r\nDate: Fri, 20 Nov 2020 20:00:00 GMT\r\nContent-Type: text/html\r\n"
            b"WWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
        )

    service.scripted.append(far_away)
    error = _error(alice)
    assert error.code == "clock-skew"
    assert "chronyc" in error.message


@pytest.mark.parametrize("date", [b"nonsense", b"Fri, 20 Nov 2020 20:00:00 -0000"])
def test_a_401_with_a_date_that_says_nothing(service: Service, alice: TpiClient, date: bytes) -> None:
    head = b"HTTP/1.1 401 No\r\nDate: " + date + b"\r\nContent-Length: 0\r\n\r\n"
    service.scripted.append(lambda handler: handler.wfile.write(head) and None)
    assert _error(alice).code == "unauthenticated"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_a_redirect_is_never_followed(service: Service, alice: TpiClient, status: int) -> None:
    service.scripted.append((status, "application/json", b"", {"Location": "https://localhost:1/"}))
    error = _error(alice)
    assert error.code == "server-untrusted"
    assert "never follows" in error.message
    assert len(service.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/html", b"<html>", {}),
        (404, "text/html", b"<html>", {}),
        (500, "application/json", b"{}", {}),
        (200, "application/json", b"{", {}),
        (200, "application/json", b"\xff", {}),
        (200, "application/json", b'{"operations": 1}', {}),
        (200, "application/json", b"[" * 100000, {}),
        (403, "application/problem+json", b"{}", {}),
    ],
)
def test_an_answer_of_another_form(
    service: Service,
    alice: TpiClient,
    answer: tuple[int, str, bytes, dict[str, str]],
) -> None:
    service.scripted.append(answer)
    error = _error(alice)
    assert type(error) is UnavailableError
    assert error.code == "unavailable"


def test_r_e12_an_answer_that_is_too_large(service: Service, alice: TpiClient) -> None:
    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(transport_module.MAX_ANSWER_BYTES // 65536 + 2):
            handler.wfile.write(b" " * 65536)

    service.scripted.append(flood)
    assert _error(alice).code == "too-large"
    assert alice.operations().operations


def test_a_server_that_stops_answering(
    service: Service, authority: Authority, ccaches: dict[str, str]
) -> None:
    client = TpiClient(service.url, str(authority.file), ccaches["alice"], 0.3)
    service.scripted.append(lambda _handler: time.sleep(0.6))
    error = _error(client)
    assert error.code == "server-unreachable"
    assert "too long" in error.message
    assert client.operations().operations


def test_a_server_that_drips(service: Service, authority: Authority, ccaches: dict[str, str]) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        for _ in range(40):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    service.scripted.append(drip)
    begun = time.monotonic()
    error = _error(TpiClient(service.url, str(authority.file), ccaches["alice"], 0.5))
    assert time.monotonic() - begun < 1.5
    assert error.code == "server-unreachable"


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
    ],
)
def test_a_connection_that_breaks(service: Service, alice: TpiClient, wrong: bytes) -> None:
    service.scripted.append(lambda handler: handler.wfile.write(wrong) and None)
    error = _error(alice)
    assert error.code == "server-unreachable"
    assert "Try again" in error.message
    assert alice.operations().operations


def test_a_post_whose_answer_is_lost_is_not_sent_again(service: Service, alice: TpiClient) -> None:
    service.scripted = [(200, "application/json", _operations(), {}), lambda _handler: None]
    with pytest.raises(OutcomeUnknownError, match="may have been recorded"):
        alice.create(Wish(operation="dirsrv.restart", target="localhost"))
    assert [method for method, _, _ in service.seen] == ["GET", "POST"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_post_that_apache_answers_for_a_dead_service(
    service: Service, alice: TpiClient, status: int
) -> None:
    """The process died amid the request: nobody can tell whether it had recorded it."""
    service.scripted = [(200, "application/json", _operations(), {}), (status, "text/html", b"<html>", {})]
    with pytest.raises(OutcomeUnknownError, match=f"HTTP {status}.*may have been recorded"):
        alice.create(Wish(operation="dirsrv.restart", target="localhost"))
    service.scripted = [(status, "text/html", b"<html>", {})]
    assert _error(alice).code == "unavailable"


@pytest.mark.parametrize("token", [b"nonsense", b"\x60\x03abc"])
def test_a_server_that_cannot_prove_itself(service: Service, alice: TpiClient, token: bytes) -> None:
    service.mutual = token
    error = _error(alice)
    assert error.code == "server-untrusted"
    assert "could not prove" in error.message


def test_a_server_that_proves_nothing_is_known_by_tls(service: Service, alice: TpiClient) -> None:
    service.mutual = b""
    assert alice.operations().operations


def test_a_token_that_is_no_base64(service: Service, alice: TpiClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nWWW-Authenticate: Negotiate !!\r\nContent-Type: application/json\r\n"
    service.scripted.append(
        lambda handler: handler.wfile.write(head + b"Content-Length: 2\r\n\r\n{}") and None
    )
    assert _error(alice).code == "server-untrusted"


def test_each_request_bears_a_token_of_its_own_and_nothing_is_delegated(
    service: Service, alice: TpiClient
) -> None:
    with alice:
        alice.operations()
        alice.operations()
    tokens = [headers["Authorization"] for _, _, headers in service.seen]
    assert len(set(tokens)) == 2
    assert all(token.startswith("Negotiate ") for token in tokens)
    assert all("Cookie" not in headers and "Origin" not in headers for _, _, headers in service.seen)


def test_the_environments_proxy_is_not_used(
    service: Service,
    alice: TpiClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    assert alice.operations().operations
    assert len(service.seen) == 1


def test_the_servers_own_words_are_kept_for_the_person(service: Service, alice: TpiClient) -> None:
    service.scripted.append(problem(503, "directory-unavailable", "the directory \x1b[2J is down"))
    assert _error(alice).message == "the directory \x1b[2J is down"


def _operations() -> bytes:
    return wire.encode(operations())
