"""The certificate validator on the real CA: what Dogtag issues is what FreeIPA's framework would have asked for (D09, D10)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ca_host import CaHost, certificate_request
from certval_ca import SERVICE, SOCKET, Scene, outcome, scene, systemctl


@pytest.fixture(scope="module")
def made(ca: CaHost) -> Iterator[Scene]:
    with scene(ca) as found:
        yield found


@pytest.fixture
def profile(made: Scene) -> str:
    """A profile of our own with the constraint as docs/validation-contract.md has it."""
    return made.profile


def test_r_d09_a_person_gets_a_certificate_of_his_own_and_nobody_elses(
    made: Scene, ca: CaHost, profile: str
) -> None:
    status, number = outcome(ca.enroll("alice", profile, certificate_request("alice")))
    assert status == "complete", number
    issued = ca.certificate(number)
    assert issued.subject.rfc4514_string() == "CN=alice"
    assert "not allowed to perform" in made.refused(
        ca.enroll("alice", profile, certificate_request("web.tpi.test")), 2100
    )
    assert "doesn't exist" in made.refused(
        ca.enroll("alice", profile, certificate_request("nobody.tpi.test")), 4001
    )


def test_r_d10_what_dogtag_reads_otherwise_is_refused(made: Scene, ca: CaHost, profile: str) -> None:
    own, other = certificate_request("alice"), certificate_request("web.tpi.test")
    bare = "".join(line for line in other.splitlines() if not line.startswith("-"))
    new = other.replace("BEGIN CERT", "BEGIN NEW CERT").replace("END CERT", "END NEW CERT")
    for text in (own + new, new, own + other, f"{bare}\n{own}"):
        answer = ca.enroll("alice", profile, text)
        if answer.status == 200:
            made.refused(answer, 3009)
        else:
            assert answer.status in {400, 500}, answer
    assert outcome(ca.enroll("alice", profile, own))[0] == "complete"


def test_r_d09_without_the_service_nothing_is_issued(made: Scene, ca: CaHost, profile: str) -> None:
    systemctl("stop", SOCKET, SERVICE)
    try:
        assert "did not answer" in made.refused(
            ca.enroll("alice", profile, certificate_request("alice")), 4000
        )
    finally:
        systemctl("start", SOCKET)
    assert outcome(ca.enroll("alice", profile, certificate_request("alice")))[0] == "complete"
