"""The legacy location: FreeIPA's RA agent, and nobody else, by its certificate (D12, D13).

The agent is allowed everything for everybody, so an attacker who passes for it issues and revokes alone. What each line
of the location stops is in `test_directives`; here is who comes, on TLS 1.3 and 1.2, and what Dogtag itself still asks.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import ca_agent
import pytest
from ca_agent import Identity
from ca_host import PASSWORDS, CaHost, Profile
from ca_line import line, own
from requests.auth import _basic_auth_str

from lab.ca_spawn import ADMIN_PASSWORD

PATHS = (
    "/tpi-legacy/ca/rest/account/login",
    "/tpi-legacy/ca/rest/agent/certrequests",
    "/tpi-legacy/ca/agent/ca/updateCRL?xml=true",
    "/tpi-legacy/kra/rest/agent/keys",
)
LOGIN = PATHS[0]
VERSIONS = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)
FORGED = {
    "SSL_CLIENT_VERIFY": "SUCCESS",
    "SSL_CLIENT_S_DN": "CN=IPA RA,O=TPI.TEST",
    "SSL_CLIENT_I_DN": "CN=Certificate Authority,O=TPI.TEST",
    "REMOTE_USER": "ipara",
    "X-Forwarded-User": "ipara",
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", PATHS)
def test_r_d12_the_agent_comes_by_its_certificate(
    agent: Identity, path: str, version: ssl.TLSVersion
) -> None:
    with line(identity=agent, version=version) as tls:
        answer = tls.ask(path)
    assert answer.status == 200, answer
    assert "unexpectedError" not in answer.text


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", PATHS)
def test_r_d12_without_its_certificate_nobody_does(
    tmp_path: Path, path: str, version: ssl.TLSVersion
) -> None:
    names = "/O=TPI.TEST/CN=IPA RA", "/O=TPI.TEST/CN=Certificate Authority"
    pretended = ca_agent.pretended(tmp_path, "pretended", *names)
    certificate = pretended.certificate.read_text().replace("\n", "\t")
    headers = {**FORGED, "SSL_CLIENT_CERT": certificate}
    for identity in (None, pretended):
        with line(identity=identity, version=version) as tls:
            assert tls.ask(path, headers).status == 0


def test_r_d12_another_certificate_of_the_same_ca_is_refused(
    ca: CaHost, profile: Profile, tmp_path: Path
) -> None:
    others = [ca_agent.administrator(tmp_path)]
    for number, name in enumerate(("ca1.tpi.test", "IPA RA\\,O=TPI.TEST", "ipa ra", "IPA RA 2")):
        others.append(ca_agent.issue(ca, profile, tmp_path, f"other{number}", name))
    for other in others:
        with line(identity=other) as tls:
            for path in PATHS:
                answer = tls.ask(path, FORGED)
                assert (answer.status, "Apache" in answer.text) == (403, True), (other, path, answer)


def test_r_d12_a_second_certificate_of_the_agents_name_is_nobody_to_dogtag(
    ca: CaHost, profile: Profile, agent: Identity, tmp_path: Path
) -> None:
    """Apache compares names; Dogtag the whole certificate, as its own entry holds it."""
    twin = ca_agent.issue(ca, profile, tmp_path, "twin", "IPA RA")
    assert twin.number() != agent.number()
    with line(identity=twin) as tls:
        assert [tls.ask(path).status for path in (PATHS[0], PATHS[1], PATHS[3])] == [401, 401, 401]
        assert "Invalid Credential" in tls.ask(PATHS[2]).text


@pytest.mark.parametrize("who", ["negotiate", "password", "dogtag's password", "nonsense"])
def test_r_d12_who_says_it_in_another_way_too_is_refused(ca: CaHost, agent: Identity, who: str) -> None:
    headers = {
        "negotiate": own(ca, "alice"),
        "password": {"Authorization": _basic_auth_str("alice", PASSWORDS["alice"])},
        "dogtag's password": {"Authorization": _basic_auth_str("caadmin", ADMIN_PASSWORD)},
        "nonsense": {"Authorization": "x"},
    }[who]
    with line(identity=agent) as tls:
        assert tls.ask(LOGIN, headers).status == 403
        assert tls.ask(LOGIN).status == 200


def test_r_d12_no_query_changes_the_way(ca: CaHost, agent: Identity) -> None:
    """The path alone says as whom: neither does a ticket help at the agent's, nor the certificate at people's."""
    for query in ("?gssapi=1", "?gssapi=", "?legacy=0&gssapi=1"):
        with line() as tls:
            assert tls.ask(LOGIN + query, own(ca, "alice")).status == 0
        with line(identity=agent) as tls:
            assert tls.ask("/tpi/ca/rest/account/login" + query).status == 401
        with line() as tls:
            assert (
                '"id":"alice@TPI.TEST"'
                in tls.ask("/tpi/ca/rest/account/login" + query, own(ca, "alice")).text
            )


def test_r_d12_who_has_shown_a_certificate_is_not_let_in_by_a_ticket(ca: CaHost, agent: Identity) -> None:
    """On one connection: Apache would tell Dogtag of both."""
    with line(identity=agent) as tls:
        assert tls.ask(LOGIN).status == 200
        assert tls.ask("/tpi/ca/rest/account/login", own(ca, "alice")).status == 403
