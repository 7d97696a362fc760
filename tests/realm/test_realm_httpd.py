"""The Apache configuration that ships, included as it is by a real Apache, before an application that only tells.

What is shown: who the application sees is who came with a ticket, by Kerberos, over TLS, for this one request.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import gssapi
import pytest

from lab import httpd_conf, processes
from lab.negotiate import Answer, ask, connect, negotiate, token
from lab.ports import ReservedPorts
from lab.session import Session

PREFIX = "/tpi/v1"
ENVIRON = Path(__file__).parent / "environ.wsgi"


@dataclass(frozen=True)
class Front:
    """A further Apache of the realm, with the telling application behind it."""

    realm: Session
    instance: httpd_conf.Instance

    def get(
        self, path: str = "/", *, as_: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a GET on a connection of its own, with a ticket of `as_`'s credentials cache."""
        return self.ask("GET", path, as_=as_, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        as_: str | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        ticket = negotiate(as_, self.realm.host) if as_ else {}
        connection = connect(self.realm.host, self.instance.https, self.realm.ca_file)
        try:
            return ask(connection, method, PREFIX + path, headers={**ticket, **(headers or {})}, body=body)
        finally:
            connection.close()

    def told(self, path: str = "/", *, as_: str, headers: dict[str, str] | None = None) -> dict[str, str]:
        """Return what the application was given."""
        answer = self.get(path, as_=as_, headers=headers)
        assert answer.status == 200, answer
        told: dict[str, str] = json.loads(answer.body)
        return told


@pytest.fixture(scope="module")
def front(realm: Session) -> Iterator[Front]:
    layout = realm.layout
    folder = realm.root / "httpd-environ"
    with ReservedPorts() as ports:
        instance = httpd_conf.Instance(folder, ports.https, ports.http, ENVIRON)
        main = httpd_conf.write_instance(layout, instance)
        log = realm.root / "log" / "httpd-environ.out"
        daemon = processes.start(
            httpd_conf.command(main), httpd_conf.environment(layout, instance), log, realm.root
        )
        watch = processes.Watch([daemon], [folder])
        try:
            processes.wait_until(lambda: processes.listens(instance.https), daemon, "apache", log, 20)
            yield Front(realm, instance)
        finally:
            processes.stop(daemon)
            watch.end()


@pytest.fixture(scope="module")
def alice(realm: Session) -> str:
    return realm.kinit("alice")


@pytest.fixture(scope="module")
def bob(realm: Session) -> str:
    return realm.kinit("bob")


def assert_asks_for_a_ticket(answer: Answer) -> None:
    assert answer.status == 401
    assert answer.headers.get_all("WWW-Authenticate") == ["Negotiate"]
    assert "Set-Cookie" not in answer.headers


def test_who_has_no_ticket_is_asked_for_one(front: Front) -> None:
    assert_asks_for_a_ticket(front.get())


def test_the_application_learns_the_whole_principal(front: Front, alice: str) -> None:
    told = front.told(as_=alice)
    assert told["REMOTE_USER"] == told["GSS_NAME"] == "alice@TPI.TEST"
    assert told["AUTH_TYPE"] == "Negotiate"
    assert told["wsgi.url_scheme"] == "https"


def test_the_key_and_the_token_do_not_reach_the_application(front: Front, alice: str) -> None:
    told = front.told(as_=alice)
    assert "HTTP_AUTHORIZATION" not in told
    assert "Negotiate " not in json.dumps(told)


def test_r_k01_the_directory_sees_the_caller_himself(
    front: Front, realm: Session, alice: str, bob: str
) -> None:
    for name, ccache in (("alice", alice), ("bob", bob)):
        assert front.told("/?whoami", as_=ccache)["_whoami"] == f"dn: {realm.people[name]['dn']}"


def test_r_k01_callers_at_the_same_time_are_not_mixed_up(
    front: Front, realm: Session, alice: str, bob: str
) -> None:
    wrong: list[object] = []

    def call(name: str, ccache: str) -> None:
        for _ in range(10):
            seen = front.told("/?whoami", as_=ccache)["_whoami"]
            if seen != f"dn: {realm.people[name]['dn']}":
                wrong.append((name, seen))

    threads = [threading.Thread(target=call, args=pair) for pair in (("alice", alice), ("bob", bob)) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_r_d19_the_proxy_ticket_is_good_for_the_directory_only(front: Front, alice: str) -> None:
    assert front.told("/?ticket=ldap", as_=alice)["_ticket"] == "issued"
    for service in ("tpi", "host"):
        assert "KDC can't fulfill requested option" in front.told(f"/?ticket={service}", as_=alice)["_ticket"]


def test_the_ccache_lives_as_long_as_the_request(front: Front, realm: Session, alice: str) -> None:
    answers: list[dict[str, str]] = []
    caller = threading.Thread(target=lambda: answers.append(front.told("/?slow", as_=alice)))
    caller.start()
    folder = realm.layout.httpd.ccaches
    seen: set[str] = set()
    while caller.is_alive():
        seen |= {found.name for found in folder.iterdir()}
        time.sleep(0.02)
    caller.join()
    ccache = Path(answers[0]["KRB5CCNAME"].removeprefix("FILE:"))
    # Group-writable, so that in the two-account set-up the application can keep the proxy ticket in it.
    assert answers[0]["_ccache_mode"] == "0o100660"
    assert ccache.parent == folder
    assert ccache.name in seen
    # Apache removes it when it has sent the answer, a moment after we have read it.
    deadline = time.monotonic() + 5
    while ccache.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not ccache.exists()


def test_each_request_has_a_ccache_of_its_own(front: Front, alice: str) -> None:
    names = [front.told(as_=alice)["KRB5CCNAME"] for _ in range(5)]
    assert len(set(names)) == 5


def test_the_folder_of_ccaches_is_closed_to_others(realm: Session) -> None:
    assert realm.layout.httpd.ccaches.stat().st_mode & 0o077 == 0


def test_a_ticket_that_may_not_be_forwarded_gives_no_proxy_ticket(front: Front, realm: Session) -> None:
    """He is authenticated, and his ccache is there; but the KDC gives nothing for it."""
    told = front.told("/?ticket=ldap", as_=realm.kinit("carol", arguments=["-F"]))
    assert told["REMOTE_USER"] == "carol@TPI.TEST"
    assert "KDC can't fulfill requested option" in told["_ticket"]


SPOOFED = {
    "Remote-User": "bob@TPI.TEST",
    "REMOTE_USER": "bob@TPI.TEST",
    "X-Remote-User": "bob@TPI.TEST",
    "X_REMOTE_USER": "bob@TPI.TEST",
    "X-Remote-Group": "admins",
    "X-Forwarded-User": "bob@TPI.TEST",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
    "X-Script-Name": "/evil",
    "Forwarded": "for=192.0.2.1;host=evil.example",
    "GSS-Name": "bob@TPI.TEST",
    "GSS_NAME": "bob@TPI.TEST",
    "KRB5CCNAME": "FILE:/tmp/krb5cc_0",
    "Proxy": "http://evil.example",
    "Cookie": "session=bob",
}


def test_headers_that_claim_an_identity_do_not_arrive(front: Front, alice: str) -> None:
    told = front.told(as_=alice, headers=SPOOFED)
    plain = front.told(as_=alice)
    assert told["REMOTE_USER"] == told["GSS_NAME"] == "alice@TPI.TEST"
    assert told["KRB5CCNAME"].startswith("FILE:" + str(front.realm.layout.httpd.ccaches))
    assert {name for name in told if name.startswith("HTTP_")} == {
        name for name in plain if name.startswith("HTTP_")
    }
    assert "evil" not in json.dumps(told)
    assert "bob" not in json.dumps(told)


@pytest.mark.parametrize("name", sorted(SPOOFED))
def test_a_header_is_no_ticket(front: Front, name: str) -> None:
    assert_asks_for_a_ticket(front.get(headers={name: SPOOFED[name]}))


def test_r_e14_a_replayed_token_is_refused(front: Front, realm: Session, alice: str) -> None:
    header = negotiate(alice, realm.host)
    assert front.get(headers=header).status == 200
    again = front.get(headers=header)
    assert again.status == 401
    assert b"REMOTE_USER" not in again.body


def test_a_ticket_lasts_for_one_request_and_not_for_the_connection(
    front: Front, realm: Session, alice: str, bob: str
) -> None:
    connection = connect(realm.host, front.instance.https, realm.ca_file)
    first = ask(connection, "GET", f"{PREFIX}/", headers=negotiate(alice, realm.host))
    socket_of_first = connection.sock
    second = ask(connection, "GET", f"{PREFIX}/")
    third = ask(connection, "GET", f"{PREFIX}/", headers=negotiate(bob, realm.host))
    assert connection.sock is socket_of_first
    connection.close()
    assert json.loads(first.body)["REMOTE_USER"] == "alice@TPI.TEST"
    assert_asks_for_a_ticket(second)
    assert json.loads(third.body)["REMOTE_USER"] == "bob@TPI.TEST"


def test_r_e24_no_cookie_in_either_direction(front: Front, alice: str) -> None:
    answer = front.get(as_=alice, headers={"Cookie": "session=alice"})
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers
    assert "HTTP_COOKIE" not in json.loads(answer.body)


def test_a_password_is_no_ticket(front: Front, realm: Session) -> None:
    pair = f"alice:{realm.people['alice']['password']}".encode()
    assert_asks_for_a_ticket(front.get(headers={"Authorization": "Basic " + base64.b64encode(pair).decode()}))


def wrapped(oid: bytes, inner: bytes) -> bytes:
    """Return an initial context token of RFC 2743 section 3.1 with short lengths."""
    body = bytes([6, len(oid)]) + oid + inner
    return bytes([0x60, len(body)]) + body


FOREIGN = {
    "ntlm": b"NTLMSSP\0\1\0\0\0\x07\x82\x08\xa2" + bytes(16),
    "ntlm within spnego": wrapped(
        bytes.fromhex("2b0601050502"), bytes.fromhex("a0123010a00e300c060a2b06010401823702020a")
    ),
    "iakerb": wrapped(bytes.fromhex("2b0601050205"), b"\5\1"),
    "nothing": b"",
    "noise": bytes(range(200)),
}


@pytest.mark.parametrize("kind", sorted(FOREIGN))
def test_r_k01_another_mechanism_is_refused(front: Front, kind: str) -> None:
    header = {"Authorization": "Negotiate " + base64.b64encode(FOREIGN[kind]).decode()}
    answer = front.get(headers=header)
    assert answer.status == 401
    assert b"REMOTE_USER" not in answer.body


def test_a_ticket_for_another_service_is_refused(front: Front, realm: Session, alice: str) -> None:
    for service in ("host", "ldap", "tpi"):
        other = token(alice, realm.host, service=service)
        header = {"Authorization": "Negotiate " + base64.b64encode(other).decode()}
        assert front.get(headers=header).status == 401


def test_a_ticket_for_another_key_of_the_same_keytab_is_refused(
    front: Front, realm: Session, alice: str
) -> None:
    """GssapiAcceptorName: what else lies in Apache's keytab is not good for us."""
    keytab = realm.layout.httpd.keytab
    before = keytab.read_bytes()
    # A keytab is a two-byte version and a list of entries (krb5's keytab_file_format), so files can be joined.
    keytab.write_bytes(before + realm.layout.host_keytab.read_bytes()[2:])
    try:
        other = token(alice, realm.host, service="host")
        header = {"Authorization": "Negotiate " + base64.b64encode(other).decode()}
        assert front.get(headers=header).status == 401
        assert front.get(as_=alice).status == 200
    finally:
        keytab.write_bytes(before)


def test_r_k01_bare_kerberos_in_the_header_is_kerberos_too(front: Front, realm: Session, alice: str) -> None:
    bare = token(alice, realm.host, mechanism=gssapi.MechType.kerberos)
    answer = front.get(headers={"Authorization": "Negotiate " + base64.b64encode(bare).decode()})
    assert answer.status == 200


def test_r_e07_nothing_is_accepted_without_tls(front: Front, realm: Session, alice: str) -> None:
    for headers in ({}, negotiate(alice, realm.host)):
        connection = HTTPConnection("127.0.0.1", front.instance.http, timeout=10)
        answer = ask(connection, "GET", f"{PREFIX}/", headers=headers)
        connection.close()
        assert answer.status in {401, 403}
        assert b"REMOTE_USER" not in answer.body


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_r_e07_old_tls_is_refused(front: Front, realm: Session, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=realm.ca_file)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", front.instance.https), timeout=10) as plain,
        pytest.raises(ssl.SSLError, match="protocol version"),
    ):
        context.wrap_socket(plain, server_hostname=realm.host)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_r_e07_present_tls_is_spoken(front: Front, realm: Session, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=realm.ca_file)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", front.instance.https), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=realm.host) as wrapped_socket,
    ):
        assert wrapped_socket.version() == version.name.replace("_", ".")


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": None,
    "Set-Cookie": None,
}


@pytest.mark.parametrize("name", SECURITY_HEADERS)
def test_r_e22_security_headers_are_on_every_answer_once(front: Front, alice: str, name: str) -> None:
    expected = SECURITY_HEADERS[name]
    for answer in (
        front.get(),
        front.get(as_=alice),
        front.get("/?missing", as_=alice),
        front.get("/healthz"),
    ):
        assert answer.headers.get_all(name) == ([expected] if expected else None)


def test_r_e03_a_request_of_one_mebibyte_is_taken_and_a_larger_one_is_not(front: Front, alice: str) -> None:
    largest = front.ask("POST", "/", as_=alice, body=bytes(1048576))
    assert largest.status == 200
    assert json.loads(largest.body)["_size"] == "1048576"
    assert front.ask("POST", "/", as_=alice, body=bytes(1048577)).status == 413


def test_trace_is_off(front: Front, alice: str) -> None:
    assert front.ask("TRACE", "/", as_=alice).status == 405


def test_r_e22_who_stops_in_the_middle_of_the_handshake_is_disconnected(front: Front) -> None:
    # A connection without a byte is not even accepted: Linux holds it back (TCP_DEFER_ACCEPT).
    with socket.create_connection(("127.0.0.1", front.instance.https), timeout=30) as slow:
        slow.sendall(b"\x16\x03\x01")
        begin = time.monotonic()
        assert slow.recv(1) == b""
    assert time.monotonic() - begin < 10


def test_health_can_be_asked_by_anybody(front: Front) -> None:
    answer = front.get("/healthz", headers=SPOOFED)
    told = json.loads(answer.body)
    assert answer.status == 200
    assert not {"REMOTE_USER", "GSS_NAME", "KRB5CCNAME", "AUTH_TYPE"} & set(told)


def test_health_takes_no_ticket(front: Front, alice: str) -> None:
    told = json.loads(front.get("/healthz", as_=alice).body)
    assert "REMOTE_USER" not in told
    assert "KRB5CCNAME" not in told


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_health_is_only_read(front: Front, method: str) -> None:
    assert front.ask(method, "/healthz").status in {401, 405}


NOT_HEALTH = (
    "",
    "/",
    "/requests",
    "/healthz/",
    "/healthz/requests",
    "/healthzz",
    "/HEALTHZ",
    "/xhealthz",
    "/healthz%0a",
    "/healthz%0d%0a",
    "/healthz%20",
    "/healthz%3f",
    "/healthz;x",
    "/healthz/../requests",
    "/healthz/..",
    "/healthz/%2e%2e/requests",
    "/healthz%2f..%2frequests",
    "/healthz/.%2e/requests",
    "//requests",
    "/./requests",
    "/%72equests",
    "/requests?x=/healthz",
    "/requests/healthz",
    "/requests%00/healthz",
)


@pytest.mark.parametrize("path", NOT_HEALTH)
def test_nothing_but_health_is_open(front: Front, path: str) -> None:
    answer = front.get(path)
    assert answer.status in {400, 401, 403, 404}
    assert b"PATH_INFO" not in answer.body


@pytest.mark.parametrize(
    "path",
    ["//tpi/v1/requests", "/tpi//v1/requests", "/./tpi/v1/requests", "/x/../tpi/v1/requests", "/tpi/%76%31/"],
)
def test_no_other_spelling_of_the_prefix_reaches_the_application(
    front: Front, realm: Session, path: str
) -> None:
    connection = connect(realm.host, front.instance.https, realm.ca_file)
    answer = ask(connection, "GET", path)
    connection.close()
    assert answer.status in {400, 401, 403, 404}
    assert b"PATH_INFO" not in answer.body


def test_the_application_survives_many_callers(front: Front, alice: str, bob: str) -> None:
    callers = itertools.islice(itertools.cycle((alice, bob)), 40)
    assert {front.get(as_=ccache).status for ccache in callers} == {200}


def test_without_a_host_name_apache_does_not_start(realm: Session) -> None:
    """What a site forgets is said, and stops the start."""
    main = realm.root / "httpd-nameless.conf"
    modules = "\n".join(
        f"LoadModule {name}_module {httpd_conf.MODULES}/mod_{name}.so"
        for name in ("mpm_event", "authn_core", "authz_core", "ssl", "socache_shmcb")
    )
    main.write_text(f"{modules}\nServerName localhost\nInclude {httpd_conf.SHIPPED}/ipa-tpi.conf\n")
    done = realm.run(["/usr/sbin/apache2", "-t", "-f", str(main)])
    assert done.returncode != 0
    assert "Define TPI_HOST" in done.stderr
