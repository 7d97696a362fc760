"""Who holds something of the CA host's, and what he can and cannot do with it alone (X14).

What can be done is pinned as well as what cannot: `docs/dogtag.md` tells people both.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import ca_operator
import gssapi
import pytest
import requests
from ca_host import SECONDS, TLS_AUTHORITY, CaHost, Profile, certificate_request
from cryptography.hazmat.primitives import serialization
from requests_gssapi import OPTIONAL, HTTPSPNEGOAuth

from lab.ca_settings import HTTP_KEYTAB
from lab.ca_spawn import ADMIN_PASSWORD, DATABASE_PASSWORD
from lab.layout import CA_HOST

DIRECT = f"https://{CA_HOST}:8443/ca/rest"
CONSOLE = Path("/root/.dogtag/pki-tomcat/ca_admin_cert.p12")
KERBEROS = gssapi.MechType.kerberos
REVOKE = {"Reason": "Unspecified", "Comments": "a test"}


@pytest.fixture(scope="module")
def authority(ca: CaHost, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The certificate by which port 8443 is known: Dogtag's own."""
    path: Path = tmp_path_factory.mktemp("dogtag") / "ca.pem"
    path.write_bytes(ca.authority().public_bytes(serialization.Encoding.PEM))
    return str(path)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Certificate and key of the CA's own administrator, as pkispawn leaves them to root."""
    path: Path = tmp_path_factory.mktemp("console") / "caadmin.pem"
    take = ["openssl", "pkcs12", "-in", str(CONSOLE), "-nodes", "-passin", f"pass:{DATABASE_PASSWORD}"]
    subprocess.run([*take, "-out", str(path)], check=True, capture_output=True)
    return str(path)


@pytest.fixture
def number(ca: CaHost, profile: Profile) -> str:
    """A certificate that was issued just now."""
    profile.say(0)
    answer = ca.enroll("alice", profile.name, certificate_request("positions.tpi.test"))
    return str(answer.json["entries"][0]["certId"])


def status(ca: CaHost, number: str) -> str:
    return str(ca.call("alice", "GET", f"/certs/{number}").json["Status"])


def own_credentials(principal: str, keytab: str) -> gssapi.Credentials:
    """Be the service whose keytab this is."""
    name = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
    store = {"keytab": keytab, "client_keytab": keytab, "ccache": f"MEMORY:{principal}"}
    return gssapi.Credentials(name=name, usage="both", store=store, mechs=[KERBEROS])


@pytest.mark.parametrize(
    ("principal", "keytab", "targets"),
    [
        ("tpi/ca1.tpi.test@TPI.TEST", ca_operator.KEYTAB, (f"HTTP@{CA_HOST}", "ldap@ipa1.tpi.test")),
        ("HTTP/ca1.tpi.test@TPI.TEST", HTTP_KEYTAB, ("ldap@ipa1.tpi.test", f"tpi@{CA_HOST}")),
    ],
)
def test_r_k01_with_a_services_key_nobody_becomes_a_person_who_did_not_come(
    principal: str, keytab: str, targets: tuple[str, ...]
) -> None:
    """Protocol transition: the KDC gives a ticket from alice to the service itself, which leads nowhere else."""
    alice = gssapi.Name("alice@TPI.TEST", gssapi.NameType.kerberos_principal)
    pretended = own_credentials(principal, keytab).impersonate(alice, mechs=[KERBEROS])
    for target in targets:
        name = gssapi.Name(target, gssapi.NameType.hostbased_service)
        with pytest.raises(gssapi.exceptions.GSSError, match="requested option"):
            gssapi.SecurityContext(name=name, creds=pretended, usage="initiate", mech=KERBEROS).step()


def test_r_x14_with_the_key_of_apache_on_the_ca_host_he_is_anybody_at_dogtag() -> None:
    """Pinned: a ticket to oneself in anybody's name is the KDC's to give, and could be forged with the key too."""
    alice = gssapi.Name("alice@TPI.TEST", gssapi.NameType.kerberos_principal)
    as_alice = own_credentials("HTTP/ca1.tpi.test@TPI.TEST", HTTP_KEYTAB).impersonate(alice, mechs=[KERBEROS])
    target = gssapi.Name(f"HTTP@{CA_HOST}", gssapi.NameType.hostbased_service)
    auth = HTTPSPNEGOAuth(
        creds=as_alice,
        target_name=target,
        mech=KERBEROS,
        opportunistic_auth=True,
        mutual_authentication=OPTIONAL,
    )
    url, json = f"https://{CA_HOST}/tpi/ca/rest/account/login", {"Accept": "application/json"}
    told = requests.get(url, auth=auth, verify=TLS_AUTHORITY, headers=json, timeout=SECONDS).json()
    assert told["id"] == "alice@TPI.TEST"
    assert "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test" in told["Roles"]["Role"]


def test_r_x14_with_the_executors_key_and_a_proof_he_is_that_person_at_dogtag(
    ca: CaHost, number: str
) -> None:
    """Pinned: the executor is trusted with this. It holds no ticket of its own that Dogtag's ACLs name."""
    path = f"/agent/certs/{number}/revoke"
    itself = own_credentials("tpi/ca1.tpi.test@TPI.TEST", ca_operator.KEYTAB)
    assert ca_operator.ask("POST", path, credentials=itself, body=REVOKE).status in {401, 403}
    assert status(ca, number) == "VALID"
    proof = ca_operator.evidence(ca.ccache("alice"))
    assert ca_operator.ask("POST", path, credentials=proof, body=REVOKE).status == 200


def test_r_x14_with_the_consoles_certificate_one_person_is_enough(
    ca: CaHost, profile: Profile, number: str, authority: str, console: str
) -> None:
    """Pinned: Dogtag's own users are judged by its main ACLs, in which nothing takes two persons."""
    with requests.Session() as session:
        session.verify, session.cert = authority, console
        login = session.get(
            f"{DIRECT}/account/login", headers={"Accept": "application/json"}, timeout=SECONDS
        )
        assert (login.status_code, login.json()["id"]) == (200, "caadmin")
        revoked = session.post(f"{DIRECT}/agent/certs/{number}/revoke", json=REVOKE, timeout=SECONDS)
        assert revoked.status_code == 200, revoked.text
        for deed in ("disable", "enable"):
            done = session.post(f"{DIRECT}/profiles/{profile.name}?action={deed}", timeout=SECONDS)
            assert done.status_code == 204, done.text
    assert status(ca, number) == "REVOKED"


def test_r_x14_the_consoles_password_is_as_good(ca: CaHost, number: str, authority: str) -> None:
    """Pinned: on port 8443 alone; through Apache no password is taken (`test_operator_location`)."""
    with requests.Session() as session:
        session.verify, session.auth = authority, ("caadmin", ADMIN_PASSWORD)
        revoked = session.post(f"{DIRECT}/agent/certs/{number}/revoke", json=REVOKE, timeout=SECONDS)
    assert revoked.status_code == 200, revoked.text
    assert status(ca, number) == "REVOKED"


def test_port_8443_knows_no_tickets(ca: CaHost, authority: str) -> None:
    credentials = gssapi.Credentials(usage="initiate", store={"ccache": ca.ccache("alice")})
    auth = HTTPSPNEGOAuth(creds=credentials, opportunistic_auth=True, mutual_authentication=OPTIONAL)
    answer = requests.get(f"{DIRECT}/account/login", auth=auth, verify=authority, timeout=SECONDS)
    assert answer.status_code == 401


def test_r_x14_port_8443_tells_anybody_of_certificates_and_refusals(
    ca: CaHost, profile: Profile, authority: str
) -> None:
    """Pinned: Dogtag answers these without authentication."""
    profile.say(1, "REFUSED: a reason")
    answer = ca.enroll("alice", profile.name, certificate_request("told.tpi.test"))
    number = str(answer.json["entries"][0]["requestURL"]).rpartition("/")[2]
    for path in ("/certs/0x1", f"/certrequests/{number}"):
        found = requests.get(
            f"{DIRECT}{path}", headers={"Accept": "application/json"}, verify=authority, timeout=SECONDS
        )
        assert found.status_code == 200, path
    assert "REFUSED: a reason" in found.text
    hidden = requests.get(f"{DIRECT}/agent/certrequests/{number}", verify=authority, timeout=SECONDS)
    assert hidden.status_code in {401, 403}
