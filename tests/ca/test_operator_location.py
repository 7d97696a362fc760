"""Two persons' work goes by the operator location, and nobody but the executor of the CA host gets to it.

A revocation stands for every resource of a controlled operation: Dogtag's ACLs for the realm demand the person's own
group and tpi-dispatch. An attacker with every role would revoke, issue and change profiles alone.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ca_operator
import ldap
import pytest
import requests
from apache import weakened
from ca_host import CaHost, Profile, certificate_request

from ipa_tpi.adapters.directory import open_directory
from ipa_tpi.adapters.gss import caller_credentials
from lab import ca_settings
from lab.ca_network import ADDRESSES
from lab.layout import CA_HOST

SITE = ca_settings.SITE
DELEGATED = "Require expr \"%{REMOTE_USER} != '' && %{reqenv:TPI_DELEGATION} == '${TPI_CA_DELEGATION}'\""
GROUP = "cn=tpi-dispatch,cn=groups,cn=accounts,dc=tpi,dc=test"
REVOKE = {"Reason": "Unspecified", "Comments": "a test"}
# Longer than SSSD keeps what it knows (entry_cache_timeout).
FORGOTTEN_SECONDS = 7.0


@pytest.fixture
def certificate(ca: CaHost, profile: Profile) -> str:
    """The number of a certificate that was issued just now."""
    profile.say(0)
    answer = ca.enroll("alice", profile.name, certificate_request("revoke.tpi.test"))
    return str(answer.json["entries"][0]["certId"])


def status(ca: CaHost, number: str) -> str:
    return str(ca.call("alice", "GET", f"/certs/{number}").json["Status"])


def revoke_publicly(ca: CaHost, person: str, number: str) -> int:
    return ca.call(person, "POST", f"/agent/certs/{number}/revoke", body=REVOKE).status


def test_nobody_revokes_alone(ca: CaHost, certificate: str) -> None:
    for person in ("alice", "bob", "carol"):
        assert revoke_publicly(ca, person, certificate) == 403
    assert status(ca, certificate) == "VALID"


def test_the_executor_revokes_for_a_requester_with_what_the_proof_gave_it(
    ca: CaHost, certificate: str
) -> None:
    credentials = ca_operator.evidence(ca.ccache("alice"))
    assert str(credentials.name) == "alice@TPI.TEST"
    path = f"/agent/certs/{certificate}/revoke"
    answer = ca_operator.ask("POST", path, credentials=credentials, body=REVOKE)
    assert answer.status == 200, answer
    assert status(ca, certificate) == "REVOKED"


def test_the_executor_alone_is_nobody(ca: CaHost, certificate: str) -> None:
    path = f"/agent/certs/{certificate}/revoke"
    assert ca_operator.ask("POST", path, credentials=None, body=REVOKE).status == 401
    carol = ca_operator.evidence(ca.ccache("carol"))
    assert ca_operator.ask("POST", path, credentials=carol, body=REVOKE).status == 403
    assert status(ca, certificate) == "VALID"


def test_with_a_ticket_of_ones_own_nobody_gets_through(ca: CaHost, certificate: str) -> None:
    """alice, who may log in to the CA host, speaks to the operator location herself."""
    path, alice = f"/agent/certs/{certificate}/revoke", ca_operator.tickets(ca.ccache("alice"))
    assert ca_operator.ask("POST", path, credentials=alice, body=REVOKE).status == 401
    assert status(ca, certificate) == "VALID"
    with weakened({DELEGATED: ""}, SITE):
        answer = ca_operator.ask("POST", path, credentials=alice, body=REVOKE)
        assert answer.status == 200, answer
    assert status(ca, certificate) == "REVOKED"


def test_what_another_service_was_given_does_not_get_through(ca: CaHost, certificate: str) -> None:
    """The proxy tickets of this host's own web server bear another name than the executor's."""
    required = {
        DELEGATED: DELEGATED.replace(
            "${TPI_CA_DELEGATION}", ca_settings.delegation("HTTP/ca1.tpi.test", "HTTP/ipa1.tpi.test@TPI.TEST")
        )
    }
    path = f"/agent/certs/{certificate}/revoke"
    with weakened(required, SITE):
        credentials = ca_operator.evidence(ca.ccache("alice"))
        assert ca_operator.ask("POST", path, credentials=credentials, body=REVOKE).status == 401
    assert status(ca, certificate) == "VALID"


def test_a_client_certificate_would_be_taken_for_the_requesters(
    ca: CaHost, certificate: str, profile: Profile
) -> None:
    """Why the executor does not show one, and nobody may (Dogtag looks for its number among those that it issued)."""
    # Not below /tmp: Apache has one of its own.
    shown = (str(profile.program.with_suffix(".crt")), str(profile.program.with_suffix(".key")))
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=executor"]
    subprocess.run([*make, "-out", shown[0], "-keyout", shown[1]], check=True, capture_output=True)
    asks = f"SSLEngine on\nSSLVerifyClient require\nSSLCACertificateFile {shown[0]}"
    path, credentials = f"/agent/certs/{certificate}/revoke", ca_operator.evidence(ca.ccache("alice"))
    none = "Require expr \"%{SSL_CLIENT_VERIFY} == 'NONE'\""
    with weakened({"SSLEngine on": asks}, SITE):
        answer = ca_operator.ask("POST", path, credentials=credentials, certificate=shown, body=REVOKE)
        assert (answer.status, "Record not found" in answer.text) == (403, False)
    with weakened({"SSLEngine on": asks, none: ""}, SITE):
        answer = ca_operator.ask("POST", path, credentials=credentials, certificate=shown, body=REVOKE)
    assert answer.status == 500
    assert "Record not found" in answer.text


def test_from_the_network_there_is_no_such_port() -> None:
    with socket.create_connection(("127.0.0.1", ca_operator.PORT), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESSES[CA_HOST], ca_operator.PORT), timeout=5)


def test_its_path_is_nothing_on_the_public_port(ca: CaHost) -> None:
    assert ca.call("alice", "GET", "/account/login", prefix="/tpi-dispatch").status == 404


def test_a_group_of_that_name_is_of_no_use(ca: CaHost, certificate: str) -> None:
    """adam, who administers groups, makes one named tpi-dispatch with alice in it."""
    with group_of_that_name(ca):
        time.sleep(FORGOTTEN_SECONDS)
        assert revoke_publicly(ca, "alice", certificate) == 403
        line = "LookupUserAttrIter roles AJP_REMOTE_USER_GROUP"
        with_names = f"LookupUserGroupsIter AJP_REMOTE_USER_GROUP\n{line.replace('AJP', '+AJP')}"
        with weakened({line: with_names}, SITE):
            assert revoke_publicly(ca, "alice", certificate) == 200
    assert status(ca, certificate) == "REVOKED"


def test_no_path_leads_out_of_the_interface(ca: CaHost) -> None:
    """Tomcat reads `..;` as a step up where Apache sees a name."""
    path = "/..;/admin/ca/getStatus"
    assert ca.call("alice", "GET", path).status == 403
    assert ca.call("alice", "GET", path.replace(";", "%3b")).status == 403
    guard = 'Require expr "%{REQUEST_URI} !~ /;/ && %{THE_REQUEST} !~ /%3b/i"'
    with weakened({guard: ""}, SITE):
        assert "<Status>running</Status>" in ca.call("alice", "GET", path).text


def test_a_password_that_only_dogtag_knows_is_of_no_use() -> None:
    answer = requests.get(
        f"https://{CA_HOST}/tpi/ca/rest/account/login",
        auth=("caadmin", "caadmin-Secret.1"),
        verify="/etc/ipa/ca.crt",
        timeout=30,
    )
    assert answer.status_code == 401


@contextmanager
def group_of_that_name(ca: CaHost) -> Iterator[None]:
    credentials = caller_credentials(ca.ccache("adam"), "adam@TPI.TEST")
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, "/etc/ipa/ca.crt")
    uri, host = "ldaps://ipa1.tpi.test", "ipa1.tpi.test"
    connection = open_directory(uri, host, "dc=tpi,dc=test", credentials, "employeeNumber")._connection
    values = {
        "objectClass": [b"top", b"groupOfNames", b"nestedGroup", b"ipaUserGroup", b"posixGroup"],
        "cn": [b"tpi-dispatch"],
        "gidNumber": [b"20099"],
        "member": [b"uid=alice,cn=users,cn=accounts,dc=tpi,dc=test"],
    }
    connection.add_ext_s(GROUP, list(values.items()))
    try:
        yield
    finally:
        connection.delete_ext_s(GROUP)
