"""Each line in front of Dogtag that protects something: with it an attack is refused, without it the same succeeds.

A row takes out one line, or lines that cover each other: there the attack needs all of them gone, and what is left of
them alone refuses it still (`test_what_covers_another_line_refuses_alone`). `test_location` and `test_operator_location`
show the same of sessions, of groups' names, of paths at the public location and of who asked the KDC.

Not here, because nothing was found that they alone stop: GssapiAllowedMech (the host has no other mechanism that could
be trusted less), GssapiLocalName (Dogtag knows nobody without a realm, shown at the end), AuthName.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import ca_agent
import pytest
from apache import Changes, changed, weakened
from ca_agent import Identity
from ca_host import PASSWORDS, CaHost, Profile, certificate_request
from ca_line import delegated, line, own
from ca_operator import PORT
from requests.auth import _basic_auth_str

from lab.ca_network import ADDRESSES
from lab.ca_settings import CCACHES, HTTP_KEYTAB, LEGACY, LOCATION, SITE
from lab.ca_spawn import ADMIN_PASSWORD
from lab.layout import CA_HOST

SETTINGS = Path("/etc/ipa/tpi/ca-httpd.conf")
CALLERS = Path(CCACHES) / "callers"
LOGIN, INFO = "/tpi/ca/rest/account/login", "/tpi-legacy/ca/rest/info"
LEGACY_LOGIN = "/tpi-legacy/ca/rest/account/login"
JSON = {"Content-Type": "application/json"}
FORGED = {
    "SSL_CLIENT_VERIFY": "SUCCESS",
    "SSL_CLIENT_S_DN": "CN=IPA RA,O=TPI.TEST",
    "SSL_CLIENT_I_DN": "CN=Certificate Authority,O=TPI.TEST",
}
# The lines.
ONLY_TLS = "Require expr \"%{HTTPS} == 'on' && %{SSL_PROTOCOL} =~ /^TLSv1\\.[23]$/\""
NO_CERTIFICATE = "Require expr \"%{SSL_CLIENT_VERIFY} == 'NONE'\""
CERTIFICATE = "Require expr \"%{SSL_CLIENT_VERIFY} == 'SUCCESS'\""
WHOSE = "Require expr \"%{SSL_CLIENT_S_DN} == '${TPI_CA_AGENT}' && %{SSL_CLIENT_I_DN} == '${TPI_CA_AGENT_ISSUER}'\""
WITHOUT_CERTIFICATE = {"SSLVerifyClient require": "", CERTIFICATE: "", WHOSE: ""}
ONCE = "Require expr \"%{HTTP:Authorization} == ''\""
PLAIN_PATH = 'Require expr "%{REQUEST_URI} !~ /;/ && %{THE_REQUEST} !~ /%3b/i"'
SIZE = (
    "Require expr \"%{HTTP:Transfer-Encoding} == '' && "
    "(%{HTTP:Content-Length} == '' || %{HTTP:Content-Length} -le 1048576)\""
)
METHOD = "Require method GET HEAD POST PUT DELETE"
VERSIONS = "SSLProtocol -all +TLSv1.2 +TLSv1.3"
OLD_VERSIONS = "SSLProtocol all -SSLv3\nSSLCipherSuite ALL:@SECLEVEL=0"
LISTEN, HOST = "Listen 127.0.0.1:${TPI_CA_PORT} https", "<VirtualHost 127.0.0.1:${TPI_CA_PORT}>"
TRACE = "TraceEnable off"
DEBIANS = Path("/etc/apache2/conf-enabled/security.conf")


@dataclass(frozen=True)
class Scene:
    """Who attacks, and with what."""

    ca: CaHost
    profile: Profile
    agent: Identity
    administrator: Identity
    pretended: Identity
    folder: Path


Attack = Callable[[Scene], object]


@dataclass(frozen=True)
class Row:
    """Lines, and what an attack brings with them and without.

    Attributes:
        name: What is protected.
        out: The lines that are taken out, or what stands in their place.
        attack: Returns what the attacker sees.
        refused: That with the lines.
        succeeds: That without.
        given: What is changed in both cases: the circumstance in which the line counts.
    """

    name: str
    out: Changes
    attack: Attack
    refused: object
    succeeds: object
    given: Changes = field(default_factory=dict)


def without_tls(scene: Scene) -> int:
    """Whoever listens sees what Dogtag answers, and sends other requests in the place of alice's."""
    with line(port=80, plain=True) as http:
        return http.ask("/tpi/ca/rest/info", own(scene.ca, "alice")).status


def by_tls_1_1(scene: Scene) -> int:
    with line(version=ssl.TLSVersion.TLSv1_1) as tls:
        return tls.ask(LOGIN, own(scene.ca, "alice")).status


def by_password(_scene: Scene) -> int:
    with line() as tls:
        return tls.ask(LOGIN, {"Authorization": _basic_auth_str("alice", PASSWORDS["alice"])}).status


def on_somebody_elses_connection(scene: Scene) -> int:
    """A proxy in between keeps connections and lends them to the next client."""
    with line() as tls:
        assert tls.ask(LOGIN, own(scene.ca, "alice")).status == 200
        return tls.ask(LOGIN).status


def with_a_ticket_for_the_host(scene: Scene) -> int:
    """Whoever has the host's key, or got a ticket of alice's for the host, is alice at Dogtag."""
    with line() as tls:
        return tls.ask(LOGIN, own(scene.ca, "alice", "host")).status


def tickets_left_behind(scene: Scene) -> list[str]:
    """A process of Dogtag's takes tickets of people who were here before."""
    for path in CALLERS.iterdir():
        path.unlink()
    assert scene.ca.call("alice", "GET", "/account/login").status == 200
    # Apache removes it once the answer is sent.
    deadline = time.monotonic() + 2.0
    while (found := sorted(path.name for path in CALLERS.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    for name in found:
        listed = ["runuser", "-u", "pkiuser", "--", "klist", "-c", f"FILE:{CALLERS / name}"]
        subprocess.run(listed, check=True, capture_output=True)
        (CALLERS / name).unlink()
    return found


def another_method(scene: Scene) -> int:
    """Dogtag's ACLs are about methods that it knows rights for."""
    assert scene.ca.call("carol", "GET", "/agent/certrequests").status == 403
    return scene.ca.call("carol", "OPTIONS", "/agent/certrequests").status


def a_huge_body(scene: Scene) -> int:
    """Dogtag reads all of it before it looks at who asks, and parses it."""
    return scene.ca.call("dave", "POST", "/certs/search", body={"x": "y" * 3_000_000}).status


def a_body_without_an_end(scene: Scene) -> int:
    chunked = {**own(scene.ca, "dave"), **JSON, "Transfer-Encoding": "chunked"}
    with line() as tls:
        return tls.ask(
            "/tpi/ca/rest/certs/search", chunked, method="POST", body=b"2\r\n{}\r\n0\r\n\r\n"
        ).status


def a_mirror(_scene: Scene) -> bool:
    """A script in a browser reads what it is not shown: cookies, tickets."""
    with line() as tls:
        return "secret=of-alice" in tls.ask("/", {"Cookie": "secret=of-alice"}, method="TRACE").text


def operator_from_the_network(scene: Scene) -> int:
    with line(port=PORT, address=ADDRESSES[CA_HOST]) as tls:
        return tls.ask("/tpi-dispatch/ca/rest/account/login", delegated(scene.ca, "alice")).status


def operator_on_the_public_port(scene: Scene) -> int:
    with line() as tls:
        return tls.ask("/tpi-dispatch/ca/rest/account/login", delegated(scene.ca, "alice")).status


def a_group_by_the_sites_own_line(scene: Scene) -> int:
    """Somewhere else in the site's configuration a variable is set from what clients send."""
    asked = scene.ca.call(
        "alice",
        "POST",
        _revocation(scene),
        body={"Reason": "Superseded"},
        headers={"X-Group": "tpi-dispatch"},
    )
    return asked.status


def nobody(_scene: Scene) -> int:
    with line() as tls:
        return tls.ask(INFO, FORGED).status


def pretended_agent(scene: Scene) -> int:
    with line(identity=scene.pretended) as tls:
        return tls.ask(INFO).status


def another_user_of_dogtags(scene: Scene) -> tuple[int, bool]:
    with line(identity=scene.administrator) as tls:
        answer = tls.ask(LEGACY_LOGIN)
        return answer.status, '"id":"caadmin"' in answer.text


def dogtags_own_password(_scene: Scene) -> tuple[int, bool]:
    """Dogtag knows users of its own by passwords too."""
    with line() as tls:
        answer = tls.ask(LEGACY_LOGIN, {"Authorization": _basic_auth_str("caadmin", ADMIN_PASSWORD)})
        return answer.status, '"id":"caadmin"' in answer.text


def out_of_the_interface_as_agent(scene: Scene) -> bool:
    with line(identity=scene.agent) as tls:
        answer = tls.ask("/tpi-legacy/ca/rest/..;/admin/ca/getStatus")
        return "<Status>running</Status>" in answer.text


def _revocation(scene: Scene) -> str:
    scene.profile.say(0)
    issued = scene.ca.enroll("alice", scene.profile.name, certificate_request("directives.tpi.test"))
    return f"/agent/certs/{issued.json['entries'][0]['certId']}/revoke"


ROLES = "LookupUserAttrIter roles AJP_REMOTE_USER_GROUP"
FROM_HEADER = "SetEnvIf X-Group (.+) AJP_REMOTE_USER_GROUP_1=$1 AJP_REMOTE_USER_GROUP_N=1"
BOTH_KEYS = Path(HTTP_KEYTAB).with_name("both.keytab")
ROWS = (
    Row(
        "TLS alone",
        {LOCATION: {"GssapiSSLonly On": ""}, SITE: {ONLY_TLS: "", NO_CERTIFICATE: ""}},
        without_tls,
        403,
        200,
    ),
    Row("TLS 1.2", {SITE: {VERSIONS: OLD_VERSIONS, ONLY_TLS: ""}}, by_tls_1_1, 0, 200),
    Row("no passwords", {LOCATION: {"GssapiBasicAuth Off": "GssapiBasicAuth On"}}, by_password, 401, 200),
    Row(
        "a ticket with each request",
        {LOCATION: {"GssapiConnectionBound Off": "GssapiConnectionBound On"}},
        on_somebody_elses_connection,
        401,
        200,
    ),
    Row(
        "a ticket for HTTP",
        {LOCATION: {"GssapiAcceptorName HTTP@${TPI_CA_HOST}": ""}},
        with_a_ticket_for_the_host,
        401,
        200,
        given={SITE: {"# R-E07": f"UnDefine TPI_CA_KEYTAB\nDefine TPI_CA_KEYTAB {BOTH_KEYS}"}},
    ),
    Row(
        "no ticket outlives its request",
        {LOCATION: {"GssapiDelegCcacheUnique On": ""}},
        tickets_left_behind,
        [],
        ["alice@TPI.TEST"],
    ),
    Row("methods", {SITE: {METHOD: ""}}, another_method, 403, 200),
    Row("size", {SITE: {SIZE: ""}}, a_huge_body, 403, 400),
    Row("size without a length", {SITE: {SIZE: ""}}, a_body_without_an_end, 403, 200),
    Row(
        "no mirror",
        {SITE: {TRACE: "TraceEnable on"}, DEBIANS: {"TraceEnable Off": "TraceEnable on"}},
        a_mirror,
        False,  # noqa: FBT003
        True,  # noqa: FBT003
    ),
    Row(
        "loopback",
        {SITE: {LISTEN: LISTEN.replace("127.0.0.1:", ""), HOST: HOST.replace("127.0.0.1", "*")}},
        operator_from_the_network,
        0,
        200,
    ),
    Row(
        "a virtual host of its own",
        {SITE: {HOST: "", "</VirtualHost>": "", "SSLEngine on": ""}},
        operator_on_the_public_port,
        404,
        200,
    ),
    Row(
        "groups from the directory alone",
        {SITE: {ROLES: ROLES.replace("AJP", "+AJP")}},
        a_group_by_the_sites_own_line,
        403,
        200,
        given={LOCATION: {'AuthName "ipa-tpi"': f'AuthName "ipa-tpi"\n{FROM_HEADER}'}},
    ),
    Row(
        "the agent's certificate",
        {LEGACY: WITHOUT_CERTIFICATE},
        nobody,
        0,
        200,
    ),
    Row(
        "who signed the agent's certificate",
        {LEGACY: {"SSLVerifyClient require": "SSLVerifyClient optional_no_ca", CERTIFICATE: ""}},
        pretended_agent,
        0,
        200,
    ),
    Row("whose certificate", {LEGACY: {WHOSE: ""}}, another_user_of_dogtags, (403, False), (200, True)),
    Row(
        "no passwords at the agent's paths",
        {LEGACY: {ONCE: "", **WITHOUT_CERTIFICATE}},
        dogtags_own_password,
        (0, False),
        (200, True),
    ),
    Row(
        "the agent's paths",
        {LEGACY: {PLAIN_PATH: ""}},
        out_of_the_interface_as_agent,
        False,  # noqa: FBT003
        True,  # noqa: FBT003
    ),
)


@pytest.fixture(scope="module")
def scene(ca: CaHost, profile: Profile, agent: Identity, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("identities")
    names = "/O=TPI.TEST/CN=IPA RA", "/O=TPI.TEST/CN=Certificate Authority"
    return Scene(
        ca,
        profile,
        agent,
        ca_agent.administrator(folder),
        ca_agent.pretended(folder, "pretended", *names),
        folder,
    )


@pytest.fixture(scope="module", autouse=True)
def both_keys() -> Iterator[None]:
    """A keytab with the host's key beside that of HTTP: entries follow each other after two bytes."""
    whole = Path(HTTP_KEYTAB).read_bytes() + Path("/etc/krb5.keytab").read_bytes()[2:]
    BOTH_KEYS.touch(0o600)
    BOTH_KEYS.write_bytes(whole)
    owner = Path(HTTP_KEYTAB).stat()
    os.chown(BOTH_KEYS, owner.st_uid, owner.st_gid)
    yield
    BOTH_KEYS.unlink()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_r_d01_without_the_line_the_attack_succeeds(scene: Scene, row: Row) -> None:
    with ExitStack() as circumstance:
        if row.given:
            circumstance.enter_context(changed(row.given))
        assert row.attack(scene) == row.refused
        with changed(row.out):
            assert row.attack(scene) == row.succeeds


@pytest.mark.parametrize(
    ("left", "out", "attack", "refused"),
    [
        ("GssapiSSLonly", {SITE: {ONLY_TLS: "", NO_CERTIFICATE: ""}}, without_tls, 401),
        ("HTTPS", {LOCATION: {"GssapiSSLonly On": ""}, SITE: {NO_CERTIFICATE: ""}}, without_tls, 403),
        ("SSL_PROTOCOL", {SITE: {VERSIONS: OLD_VERSIONS}}, by_tls_1_1, 403),
        ("SSLProtocol", {SITE: {ONLY_TLS: ""}}, by_tls_1_1, 0),
        ("SSL_CLIENT_VERIFY", {LEGACY: {"SSLVerifyClient require": "", WHOSE: ""}}, nobody, 403),
        ("SSL_CLIENT_S_DN", {LEGACY: {"SSLVerifyClient require": "", CERTIFICATE: ""}}, nobody, 403),
        ("Authorization", {LEGACY: WITHOUT_CERTIFICATE}, dogtags_own_password, (403, False)),
        ("SSLVerifyClient", {LEGACY: {CERTIFICATE: "", WHOSE: ""}}, nobody, 0),
        (
            "SUCCESS",
            {LEGACY: {"SSLVerifyClient require": "SSLVerifyClient optional_no_ca"}},
            pretended_agent,
            403,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_r_e07_what_covers_another_line_refuses_alone(
    scene: Scene, left: str, out: Changes, attack: Attack, refused: object
) -> None:
    del left
    with changed(out):
        assert attack(scene) == refused


def test_r_e09_callers_tickets_are_for_apache_and_dogtag_alone(ca: CaHost) -> None:
    """Folder and file cover each other: a stranger on the host needs both open."""
    open_file = {"GssapiDelegCcachePerms mode:0640 gid:${TPI_CA_GROUP}": "GssapiDelegCcachePerms mode:0644"}

    def stranger_reads(changes: dict[str, str], folder_mode: int) -> bool:
        with weakened({"GssapiDelegCcacheUnique On": "", **changes}):
            assert ca.call("alice", "GET", "/account/login").status == 200
        (held,) = CALLERS.iterdir()
        mode = CALLERS.stat().st_mode
        CALLERS.chmod(folder_mode)
        try:
            read = ["runuser", "-u", "nobody", "--", "cat", str(held)]
            return subprocess.run(read, check=False, capture_output=True).returncode == 0
        finally:
            CALLERS.chmod(mode)
            held.unlink()

    assert CALLERS.stat().st_mode & 0o7777 == 0o2750
    assert not stranger_reads({}, 0o2750)
    assert not stranger_reads({}, 0o755)
    assert not stranger_reads(open_file, 0o2750)
    assert stranger_reads(open_file, 0o755)


def test_r_d01_no_header_is_taken_for_a_group_or_a_name(scene: Scene) -> None:
    roles = sorted(scene.ca.roles("carol"))
    names = (
        "REMOTE_USER",
        "REMOTE_USER_GROUP_N",
        "REMOTE_USER_GROUP_1",
        "AJP_REMOTE_USER_GROUP_1",
        "KRB5CCNAME",
    )
    forged = dict.fromkeys(names, "tpi-dispatch") | {"Remote-User-Group-1": "tpi-dispatch"} | FORGED
    answer = scene.ca.call("carol", "GET", "/account/login", headers=forged)
    assert (answer.json["id"], sorted(answer.json["Roles"]["Role"])) == ("carol@TPI.TEST", roles)


@pytest.mark.parametrize("prefix", ["/tpi/ca/rest", "/tpi/kra/rest", "/tpi-legacy/ca/rest"])
def test_r_d01_no_other_spelling_of_a_path_leads_out(scene: Scene, prefix: str) -> None:
    legacy = prefix.startswith("/tpi-legacy")
    subsystem = prefix.split("/")[2]
    for step in (
        "/../admin",
        "/%2e%2e/admin",
        "/.%2e/admin",
        "/%252e%252e/admin",
        "/..%2fadmin",
        "/..%5cadmin",
        "/..\\admin",
        "//../admin",
        "/./../admin",
        "/x/../../admin",
        "/..%00/admin",
        "/..;x=y/admin",
        "/..%3bx/admin",
        "/..%3Bx/admin",
        "/%c0%ae%c0%ae/admin",
        "/%u002e%u002e/admin",
    ):
        with line(identity=scene.agent if legacy else None) as tls:
            headers = {} if legacy else own(scene.ca, "alice")
            answer = tls.ask(f"{prefix}{step}/{subsystem}/getStatus", headers)
        assert "<Status>" not in answer.text, (step, answer)
        assert answer.status in {0, 400, 403, 404}, (step, answer)


def test_a_name_without_a_realm_is_nobody_to_dogtag(scene: Scene) -> None:
    """Pinned: why GssapiLocalName protects nothing that Dogtag would not refuse."""
    with weakened({"GssapiLocalName Off": "GssapiLocalName On"}):
        answer = scene.ca.call("alice", "GET", "/account/login")
    assert (answer.status, "Cannot find AuthzManager" in answer.text) == (403, True)


def test_the_configuration_is_whole_afterwards() -> None:
    found = subprocess.run(["apachectl", "configtest"], check=True, capture_output=True, text=True)
    assert "Syntax OK" in found.stderr + found.stdout
    for file, shipped in (
        (SITE, "ipa-tpi-ca.conf"),
        (LOCATION, "ca-location.conf"),
        (LEGACY, "ca-legacy-location.conf"),
    ):
        assert file.read_bytes() == Path("/src/httpd", shipped).read_bytes()
