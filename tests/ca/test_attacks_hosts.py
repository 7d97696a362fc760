"""Hosts and services, which SSSD does not know: they get what they manage on the real CA, and nothing else (D10, D20).

A host that somebody has taken over asks for certificates of others: by one it would be that other host, service or person
to everybody who believes this CA.
"""

from __future__ import annotations

from collections.abc import Iterator

import certval_requests as req
import pytest
from ca_host import HOST, SERVICE, CaHost
from certval_ca import Scene, nothing_issued, outcome, scene
from certval_requests import dns, pem, simple
from cryptography import x509

from lab.ca_network import CA_HOST
from lab.layout import REALM

MANAGED, OTHER = "web.tpi.test", "lone.tpi.test"


@pytest.fixture(scope="module")
def attacked(ca: CaHost) -> Iterator[Scene]:
    with scene(ca) as found:
        yield found


def of_service(service: str, host: str) -> str:
    """Make a request for a service: its principal stands among the alternative names."""
    return pem(simple(host, dns(host), req.krb5(REALM, service, host)))


@pytest.mark.parametrize(
    "request_text",
    [
        pem(simple(CA_HOST)),
        pem(simple(CA_HOST.upper(), dns(CA_HOST))),
        pem(simple(MANAGED)),
        pem(simple(CA_HOST, dns(MANAGED))),
        of_service("HTTP", CA_HOST),
        of_service("HTTP", MANAGED),
    ],
    ids=["itself", "itself in capitals", "a host", "a host beside itself", "its service", "a host's service"],
)
def test_r_d20_a_host_gets_what_it_manages(attacked: Scene, request_text: str) -> None:
    status, number = outcome(attacked.ca.enroll(HOST, attacked.profile, request_text))
    assert status == "complete", number
    asked = x509.load_pem_x509_csr(request_text.encode())
    issued = attacked.ca.certificate(number)
    assert issued.public_key() == asked.public_key()
    assert issued.subject == asked.subject


@pytest.mark.parametrize(
    ("request_text", "code", "says"),
    [
        (pem(simple(OTHER)), 2100, "Insufficient 'write' privilege to the 'userCertificate' attribute"),
        (pem(simple(CA_HOST, dns(OTHER))), 2100, f"subject alt name '{OTHER}'"),
        (of_service("HTTP", OTHER), 2100, "Insufficient 'write' privilege"),
        (pem(simple(CA_HOST, req.krb5(REALM, "HTTP", OTHER))), 3009, "does not match name or aliases"),
        (of_service("krbtgt", REALM), 2100, "KDCs_PKINIT_Certs"),
        (pem(simple("alice")), 2100, "Insufficient 'write' privilege"),
        (pem(simple("adam")), 2100, "is not permitted to use CA"),
        (pem(simple("ipa1.tpi.test")), 2100, "Insufficient 'write' privilege"),
    ],
    ids=[
        "a host",
        "a host beside itself",
        "a service",
        "a service under its own name",
        "the realm's own key",
        "a person",
        "an administrator",
        "the server",
    ],
)
def test_r_d20_a_host_gets_nothing_that_is_anothers(
    attacked: Scene, request_text: str, code: int, says: str
) -> None:
    status, number = outcome(attacked.ca.enroll(HOST, attacked.lenient, request_text))
    assert status == "complete", number
    with nothing_issued():
        assert says in attacked.refused(attacked.ca.enroll(HOST, attacked.profile, request_text), code)


def test_r_d20_a_service_gets_its_own_and_no_other(attacked: Scene) -> None:
    ca, other = attacked.ca, of_service("HTTP", MANAGED)
    assert outcome(ca.enroll(SERVICE, attacked.profile, of_service("HTTP", CA_HOST)))[0] == "complete"
    assert outcome(ca.enroll(SERVICE, attacked.lenient, other))[0] == "complete"
    with nothing_issued():
        # It has not the right to ask for others at all, which hosts need not have.
        assert "not allowed to perform" in attacked.refused(ca.enroll(SERVICE, attacked.profile, other), 2100)


def test_r_d20_a_host_has_no_groups_and_none_of_an_operators_rights(attacked: Scene) -> None:
    assert attacked.ca.call(HOST, "GET", "/account/login").json["Roles"] == {"Role": []}
    path = f"/profiles/{attacked.profile}?action="
    assert attacked.ca.call(HOST, "POST", f"{path}disable").status == 403
    assert [attacked.ca.call("alice", "POST", f"{path}{act}").status for act in ("disable", "enable")] == [
        204
    ] * 2
