"""The certificate validator on the real CA: what Dogtag issues is what FreeIPA's framework would have asked for (D09, D10)."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import ldap
import pytest
from ca_host import Answer, CaHost, certificate_request
from ca_profile import profile_text
from certval_tree import planted

from lab.gss_bind import bind
from lab.layout import CA_HOST, REALM

PROGRAM = Path("/usr/libexec/ipa/ipa-pki-validate-cert-request")
SERVER = "ipa1.tpi.test"
AUTHORITY = "/etc/ipa/ca.crt"
NAME = f"certval{uuid.uuid4().hex[:8]}"
SOCKET, SERVICE = "ipa-tpi-certval.socket", "ipa-tpi-certval.service"


def systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def service(ca: CaHost) -> Iterator[None]:
    systemctl("restart", SOCKET)
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, AUTHORITY)
    root = bind(f"ldaps://{SERVER}", ca.ccache("adam").removeprefix("FILE:"), SERVER)
    with planted(root, CA_HOST, REALM, 5, NAME):
        yield
    root.unbind_s()
    systemctl("stop", SERVICE)


@pytest.fixture(scope="module")
def profile(ca: CaHost, service: None) -> str:
    """A profile of our own with the constraint as docs/validation-contract.md has it."""
    del service
    text = profile_text(NAME, PROGRAM)
    text = text.replace("env.REQUEST_TYPE=", "env.IPA_REQUEST_TYPE=").replace(
        "env.AUTH_MANAGER=", "env.IPA_AUTH_MANAGER="
    )
    made = ca.call("alice", "POST", "/profiles/raw", raw=text)
    assert made.status == 201, made
    enabled = ca.call("alice", "POST", f"/profiles/{NAME}?action=enable")
    assert enabled.status == 204, enabled
    return NAME


def outcome(answer: Answer) -> tuple[str, str]:
    assert answer.status == 200, answer
    (entry,) = answer.json["entries"]
    return entry["requestStatus"], entry.get("errorMessage") or entry.get("certId")


def refused(answer: Answer, code: int) -> str:
    status, said = outcome(answer)
    assert status == "rejected", said
    told = json.loads(said)
    assert told["code"] == code, told
    return str(told["message"])


def test_r_d09_a_person_gets_a_certificate_of_his_own_and_nobody_elses(ca: CaHost, profile: str) -> None:
    status, number = outcome(ca.enroll("alice", profile, certificate_request("alice")))
    assert status == "complete", number
    issued = ca.certificate(number)
    assert issued.subject.rfc4514_string() == "CN=alice"
    assert "not allowed to perform" in refused(
        ca.enroll("alice", profile, certificate_request("web.tpi.test")), 2100
    )
    assert "doesn't exist" in refused(
        ca.enroll("alice", profile, certificate_request("nobody.tpi.test")), 4001
    )


def test_r_d10_what_dogtag_reads_otherwise_is_refused(ca: CaHost, profile: str) -> None:
    own, other = certificate_request("alice"), certificate_request("web.tpi.test")
    bare = "".join(line for line in other.splitlines() if not line.startswith("-"))
    new = other.replace("BEGIN CERT", "BEGIN NEW CERT").replace("END CERT", "END NEW CERT")
    for text in (own + new, new, own + other, f"{bare}\n{own}"):
        answer = ca.enroll("alice", profile, text)
        if answer.status == 200:
            refused(answer, 3009)
        else:
            assert answer.status in {400, 500}, answer
    assert outcome(ca.enroll("alice", profile, own))[0] == "complete"


def test_r_d09_without_the_service_nothing_is_issued(ca: CaHost, profile: str) -> None:
    systemctl("stop", SOCKET, SERVICE)
    try:
        assert "did not answer" in refused(ca.enroll("alice", profile, certificate_request("alice")), 4000)
    finally:
        systemctl("start", SOCKET)
    assert outcome(ca.enroll("alice", profile, certificate_request("alice")))[0] == "complete"
