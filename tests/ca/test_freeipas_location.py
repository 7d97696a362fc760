"""FreeIPA's own location in front of Dogtag, beside ours and by the same connectors (D17).

FreeIPA lets everything below /ca/rest through (`ipa-pki-proxy.conf`): Dogtag itself asks for a certificate, a password or
a session. Since the steps the connectors believe a name that Apache gives, so what counts is that Apache gives none there.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache import weakened
from ca_host import TLS_AUTHORITY, CaHost, Profile
from cryptography.hazmat.primitives import serialization

from lab.ca_spawn import ADMIN_PASSWORD, AJP_SECRET, DATABASE_PASSWORD
from lab.layout import CA_HOST

SITE = Path("/etc/apache2/conf-enabled/zz-ipa-pki-proxy.conf")
CONSOLE = Path("/root/.dogtag/pki-tomcat/ca_admin_cert.p12")
LOGIN = f"https://{CA_HOST}/ca/rest/account/login"
# What FreeIPA's says of the REST interfaces.
LOCATION = """\
SSLCACertificateFile {authority}
<LocationMatch "^/(ca|kra|pki)/(rest|v1|v2)/">
    SSLVerifyClient optional
    ProxyPassMatch ajp://localhost:8009 secret={secret}
    ProxyPassReverse ajp://localhost:8009
</LocationMatch>
"""
WIDENED = """\
<LocationMatch "^/(ca|kra|pki)/(rest|v1|v2)/">
    AuthType GSSAPI
    AuthName "a site's own"
    GssapiCredStore keytab:/etc/ipa/tpi/http.keytab
    Require valid-user
</LocationMatch>
"""


def reload_apache() -> None:
    for command in (
        ["apachectl", "configtest"],
        ["systemctl", "reset-failed", "apache2"],
        ["systemctl", "restart", "apache2"],
    ):
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module", autouse=True)
def location(ca: CaHost) -> Iterator[None]:
    # Not below /tmp: Apache has one of its own.
    authority = Path("/etc/apache2/dogtag.pem")
    authority.write_bytes(ca.authority().public_bytes(serialization.Encoding.PEM))
    SITE.write_text(LOCATION.format(authority=authority, secret=AJP_SECRET))
    reload_apache()
    yield
    SITE.unlink()
    authority.unlink()
    reload_apache()


def ask(*options: str, url: str = LOGIN) -> tuple[int, str]:
    # 1.2: with 1.3 the certificate would be asked for after the handshake, which curl refuses.
    head = ["curl", "--silent", "--tls-max", "1.2", "--cacert", TLS_AUTHORITY, "--max-time", "30"]
    tail = ["-H", "Accept: application/json", "-w", "\n%{http_code}", url]
    text = subprocess.run([*head, *options, *tail], check=True, capture_output=True, text=True).stdout
    body, _, code = text.rpartition("\n")
    return int(code), body


def test_r_d17_what_freeipas_framework_does_with_a_certificate_it_does_still(tmp_path: Path) -> None:
    pem = tmp_path / "caadmin.pem"
    take = ["openssl", "pkcs12", "-in", str(CONSOLE), "-nodes", "-passin", f"pass:{DATABASE_PASSWORD}"]
    subprocess.run([*take, "-out", str(pem)], check=True, capture_output=True)
    status, text = ask("--cert", str(pem))
    assert (status, '"id":"caadmin"' in text) == (200, True), text


def test_r_d01_nobody_says_there_who_he_is_by_a_ticket_or_a_header(ca: CaHost) -> None:
    alice, groups = "alice@TPI.TEST", "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test"
    headers = {
        "REMOTE_USER": alice,
        "AJP_REMOTE_USER": alice,
        "AJP_REMOTE_USER_GROUP_N": "1",
        "AJP_REMOTE_USER_GROUP_1": groups,
        "REMOTE_USER_GROUP_1": groups,
    }
    forged = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    assert ask(*forged)[0] == 401
    assert ca.call("alice", "GET", "/account/login", prefix="").status == 401


def test_r_x14_a_password_and_a_session_are_taken_there(ca: CaHost, profile: Profile) -> None:
    """Pinned: as on port 8443. ipa-tpi does not change FreeIPA's locations."""
    status, text = ask("-u", f"caadmin:{ADMIN_PASSWORD}")
    assert (status, '"id":"caadmin"' in text) == (200, True), text
    with weakened({"Header onsuccess unset Set-Cookie": "", "Header always unset Set-Cookie": ""}):
        given = ca.call("alice", "GET", "/account/login").headers["Set-Cookie"]
    session = given.partition("JSESSIONID=")[2].partition(";")[0]
    url = f"https://{CA_HOST}/ca/rest/profiles/{profile.name}/raw"
    assert ask(url=url)[0] in {401, 403}
    assert ask("-b", f"JSESSIONID={session}", url=url)[0] == 200


def test_r_x14_an_authentication_that_a_site_adds_there_makes_people_known_to_dogtag(ca: CaHost) -> None:
    """Pinned: why nothing of the kind may be put there. No groups, no channel; and no caches, cookies unstripped."""
    whole = SITE.read_text()
    SITE.write_text(whole + WIDENED)
    reload_apache()
    try:
        answer = ca.call("alice", "GET", "/account/login", prefix="")
        assert (answer.status, answer.json["id"]) == (200, "alice@TPI.TEST")
        assert "Set-Cookie" in answer.headers
    finally:
        SITE.write_text(whole)
        reload_apache()
