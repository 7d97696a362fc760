"""The thin way through: a person's own ticket, Apache, Dogtag's ACLs, and the program that Dogtag asks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ca_host import CaHost, Profile, certificate_request
from cryptography import x509

OPERATORS = "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test"
ALICE = "alice@TPI.TEST"


def test_a_person_is_known_by_the_ticket_and_has_groups_and_roles(ca: CaHost) -> None:
    answer = ca.call("alice", "GET", "/account/login")
    assert (answer.status, answer.json["id"]) == (200, ALICE)
    roles = answer.json["Roles"]["Role"]
    assert OPERATORS in roles
    # Through two groups, one in the other, to a role: as the directory's memberOf has it.
    assert "cn=TPI Approver,cn=roles,cn=accounts,dc=tpi,dc=test" in roles
    assert OPERATORS not in ca.roles("carol")


def test_without_a_ticket_nothing_reaches_dogtag(ca: CaHost) -> None:
    answer = ca.call("", "GET", "/account/login")
    assert answer.status == 401
    assert "Tomcat" not in answer.text
    forged = {"REMOTE_USER": ALICE, "AJP_REMOTE_USER_GROUP_1": "ca-operators", "Remote-User": ALICE}
    assert ca.call("", "GET", "/account/login", headers=forged).status == 401


def test_sessions_are_neither_given_nor_taken(ca: CaHost) -> None:
    answer = ca.call("alice", "GET", "/account/login")
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers


def test_acls_of_the_realm_decide(ca: CaHost, profile: Profile) -> None:
    path = f"/profiles/{profile.name}"
    # She may read it, as everybody may in FreeIPA, and not change it.
    assert ca.call("carol", "GET", f"{path}/raw").status == 200
    refused = ca.call("carol", "POST", f"{path}?action=disable")
    assert refused.status == 403
    assert "Authorization Error" in refused.text


def test_a_certificate_is_issued_when_the_program_accepts(ca: CaHost, profile: Profile) -> None:
    profile.say(0)
    request = certificate_request("ok.tpi.test")
    answer = ca.enroll("alice", profile.name, request)
    assert answer.status == 200, answer
    (entry,) = answer.json["entries"]
    assert entry["requestStatus"] == "complete", entry
    issued = ca.certificate(entry["certId"])
    asked = x509.load_pem_x509_csr(request.encode())
    assert issued.public_key() == asked.public_key()
    assert issued.subject.rfc4514_string() == "CN=ok.tpi.test"
    issued.verify_directly_issued_by(ca.authority())


def test_the_program_is_told_who_and_what(ca: CaHost, profile: Profile) -> None:
    profile.say(0)
    request = certificate_request("told.tpi.test")
    ca.enroll("bob", profile.name, request)
    told = profile.environment()
    assert told["DOGTAG_USER"] == "bob@TPI.TEST"
    assert told["DOGTAG_PROFILE_ID"] == profile.name
    assert told["DOGTAG_CERT_REQUEST"].split() == request.split()
    assert (told["REQUEST_TYPE"], told["AUTH_MANAGER"]) == ("pkcs10", "external")
    assert told["KRB5CCNAME"].startswith("FILE:/run/ipa-tpi-ca/callers/bob@TPI.TEST-")


@pytest.mark.parametrize("status", [1, 77])
def test_nothing_is_issued_when_the_program_refuses(ca: CaHost, profile: Profile, status: int) -> None:
    profile.say(status, '{"code":2100,"message":"two persons are needed"}')
    answer = ca.enroll("alice", profile.name, certificate_request("refused.tpi.test"))
    assert profile.was_asked()
    assert answer.status == 200, answer
    (entry,) = answer.json["entries"]
    assert entry["requestStatus"] == "rejected"
    assert entry["errorMessage"] == '{"code":2100,"message":"two persons are needed"}'
    assert not entry.get("certId")


def test_who_is_not_in_the_group_does_not_even_get_to_the_program(ca: CaHost, profile: Profile) -> None:
    profile.say(0)
    answer = ca.enroll("carol", profile.name, certificate_request("carol.tpi.test"))
    assert answer.status == 401, answer
    assert not profile.was_asked()


def test_the_program_is_the_caller_at_the_directory(ca: CaHost, profile: Profile) -> None:
    """The caller's own ticket for the directory is there while the request runs, and gone when it has ended."""
    kept = profile.seen.parent / "whoami"
    whoami = "ldapwhoami -Q -N -O maxssf=0 -Y GSSAPI -H ldaps://ipa1.tpi.test"
    profile.do(f"LDAPTLS_CACERT=/etc/ipa/ca.crt {whoami} >{kept} 2>&1; exit 0")
    answer = ca.enroll("bob", profile.name, certificate_request("whoami.tpi.test"))
    assert answer.json["entries"][0]["requestStatus"] == "complete", answer
    assert kept.read_text().strip() == "dn: uid=bob,cn=users,cn=accounts,dc=tpi,dc=test"
    ccache = Path(profile.environment()["KRB5CCNAME"].removeprefix("FILE:"))
    # Apache removes it when it is done with the request, which may be after its answer came.
    for _ in range(50):
        if not ccache.exists():
            break
        time.sleep(0.1)
    assert not ccache.exists()
