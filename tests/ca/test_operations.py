"""Certificates are revoked, held and released when two people have agreed, on the real CA, in the name of who asked (K01, D16).

The whole way: the web service and the directory on ipa1, the executor and Dogtag on ca1. That nobody gets there alone is
shown by `test_operator_location`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from apache import weakened
from ca_host import CaHost, Profile
from ca_requests import CaWorld, issued, status, without_dogtag
from world import EXECUTOR, eventually

from ipa_tpi.errors import RefusedError
from ipa_tpi.executor.evidence import SPARE
from lab.ca_settings import SITE

VALID, HELD, REVOKED = "VALID", "REVOKED 6", "REVOKED 1"
REASON = "Key_Compromise"
# Dogtag's own record of what it did, and for whom.
TRAIL = Path("/var/log/pki/pki-tomcat/ca/signedAudit/ca_audit")
# Of the operator location: what is read there works, and what changes something breaks.
HERE = "ServerName ${TPI_CA_HOST}"
BROKEN = "<Location /tpi-dispatch/ca/rest/agent>\nRedirect 503 /\n</Location>"
# Dogtag writes it every five.
TRAIL_SECONDS = 20.0
SHORT_SECONDS = 45.0


@pytest.fixture(autouse=True)
def _tidy(world: CaWorld) -> Iterator[None]:
    """Leave the executor running and no request open, whatever happened."""
    yield
    if world.show(EXECUTOR, "ActiveState") != "active":
        world.halt()
        world.systemctl("start", EXECUTOR)
    world.tidy("alice", "carol")


@pytest.fixture
def serial(ca: CaHost, profile: Profile) -> str:
    """The number of a certificate that was issued to alice just now."""
    return issued(ca, profile)


@dataclass(frozen=True)
class ShortLived:
    """What bob asks for with a ticket that soon runs out.

    Attributes:
        serial: the certificate to put on hold.
        request: the request.
        end: when the ticket has run out, by the clock that is never stepped.
        executor: which start of the executor holds what the proof yielded.
    """

    serial: str
    request: str
    end: float
    executor: str


@pytest.fixture(scope="module", autouse=True)
def short_lived(ca: CaHost, profile: Profile, world: CaWorld) -> ShortLived:
    """Made before all others, so that the ticket runs out while they go on."""
    number = issued(ca, profile)
    world.kinit("bob", "-l", f"{SHORT_SECONDS:.0f}s")
    world.tickets.add("bob")
    end = time.monotonic() + SHORT_SECONDS
    request_id = world.ask("bob", "dogtag.cert.hold", serial=number)
    world.kinit("bob")
    return ShortLived(number, request_id, end, world.invocation(EXECUTOR))


def waits_for_proof(world: CaWorld, person: str, request_id: str) -> bool:
    """Tell whether the directory soon tells a person that an approved request waits for its requester."""
    view = world.wait_for(person, request_id, lambda now: now.code == "proof-missing")
    return bool(view.state == "approved")


def changed(serial: str) -> list[str]:
    """Give who changed a certificate's status, by Dogtag's own audit trail."""
    done = "[AuditEvent=CERT_STATUS_CHANGE_REQUEST_PROCESSED]"
    return [
        line.partition("[SubjectID=")[2].partition("]")[0]
        for line in TRAIL.read_text(encoding="utf-8").splitlines()
        if done in line and f"[CertSerialNum={serial}]" in line
    ]


def test_r_d16_a_certificate_is_revoked_once_another_person_agrees(
    ca: CaHost, world: CaWorld, serial: str
) -> None:
    request_id = world.ask("alice", "dogtag.cert.revoke", serial=serial, reason=REASON)
    with pytest.raises(RefusedError):  # R-K01, R-K02
        world.approve("alice", request_id)
    seen = world.api("bob").show(request_id)
    assert (seen.state, seen.code, status(ca, serial)) == ("pending", "approvals-missing", VALID)
    assert not world.audit(request_id, "intent")
    world.approve("bob", request_id)
    assert world.ended(request_id, "executed").message == f"{serial}: REVOKED ({REASON})"
    assert status(ca, serial) == REVOKED
    # The requester's own ticket, by Dogtag's word, and by ours.
    assert eventually(lambda: changed(serial), TRAIL_SECONDS) == ["alice@TPI.TEST"]
    (claim,) = world.audit(request_id, "claim")
    assert claim["requester"].startswith("uid=alice,")
    assert "uid=bob," in claim["by"]
    (outcome,) = world.audit(request_id, "outcome")
    assert (outcome["operation"], outcome["outcome"]) == ("dogtag.cert.revoke", "executed")


def test_r_d16_a_certificate_is_held_and_released(ca: CaHost, world: CaWorld, serial: str) -> None:
    for verb, then in (("hold", HELD), ("release", VALID)):
        request_id = world.ask("alice", f"dogtag.cert.{verb}", serial=serial)
        world.approve("bob", request_id)
        world.ended(request_id, "executed")
        assert status(ca, serial) == then
    assert eventually(lambda: changed(serial)[1:], TRAIL_SECONDS) == ["alice@TPI.TEST"]


def test_a_denial_ends_it(ca: CaHost, world: CaWorld, serial: str) -> None:
    request_id = world.ask("alice", "dogtag.cert.revoke", serial=serial, reason=REASON)
    api = world.api("bob")
    api.deny(api.show(request_id), "no")
    world.ended(request_id, "denied")
    (outcome,) = world.noted(request_id, "outcome")
    assert outcome["outcome"] == "denied"
    with pytest.raises(RefusedError):
        world.approve("carol", request_id)
    assert (status(ca, serial), changed(serial)) == (VALID, [])


def test_r_k01_who_may_not_at_the_ca_may_not_with_an_approval_either(
    ca: CaHost, world: CaWorld, serial: str
) -> None:
    """Carol may ask for it, and bob, who may do it, approves: it is still carol who does it, and Dogtag does not know her."""
    with pytest.raises(RefusedError):
        world.ask("dave", "dogtag.cert.hold", serial=serial)
    request_id = world.ask("carol", "dogtag.cert.hold", serial=serial)
    world.approve("bob", request_id)
    ended = world.ended(request_id, "failed")
    assert "the CA refused it for the requester" in ended.message
    assert "ask an administrator for the permission" in ended.message
    assert (status(ca, serial), changed(serial)) == (VALID, [])


def test_r_k13_while_the_ca_is_down_nothing_is_done_and_nothing_is_lost(
    ca: CaHost, world: CaWorld, serial: str
) -> None:
    request_id = world.ask("alice", "dogtag.cert.revoke", serial=serial, reason=REASON)
    with without_dogtag(world, ca):
        world.approve("bob", request_id)
        eventually(lambda: f"{request_id}: the CA " in world.log(EXECUTOR))
        assert world.api("bob").show(request_id).state == "approved"
        assert not world.audit(request_id, "intent")
        assert not world.claims("SELECT 1 FROM claims WHERE request = ?", request_id)
    world.ended(request_id, "executed")
    assert status(ca, serial) == REVOKED
    assert eventually(lambda: changed(serial), TRAIL_SECONDS) == ["alice@TPI.TEST"]


def test_r_k13_an_answer_that_leaves_it_open_is_told_and_it_is_never_tried_again(
    ca: CaHost, world: CaWorld, serial: str
) -> None:
    request_id = world.ask("alice", "dogtag.cert.revoke", serial=serial, reason=REASON)
    with weakened({HERE: f"{HERE}\n{BROKEN}"}, SITE):
        world.approve("bob", request_id)
        ended = world.ended(request_id, "indeterminate")
        assert "the CA answered 503" in ended.message
        assert "look at the certificate" in ended.message
    api = world.api("alice")
    seen = api.show(request_id)
    with pytest.raises(RefusedError):
        api.prove(seen)
    # Another one goes through, so whatever the executor still had to do here it has done.
    another = world.ask("alice", "dogtag.cert.hold", serial=serial)
    world.approve("bob", another)
    world.ended(another, "executed")
    assert status(ca, serial) == HELD
    assert eventually(lambda: changed(serial), TRAIL_SECONDS) == ["alice@TPI.TEST"]
    assert len(world.audit(request_id, "claim")) == 1


def test_r_k01_a_ticket_that_ran_out_is_of_no_use_until_the_requester_proves_again(
    ca: CaHost, world: CaWorld, short_lived: ShortLived
) -> None:
    serial, request_id = short_lived.serial, short_lived.request
    # It is still good for a while, and that is not enough.
    time.sleep(max(0.0, short_lived.end - SPARE.total_seconds() + 1 - time.monotonic()))
    assert world.invocation(EXECUTOR) == short_lived.executor
    world.approve("alice", request_id)
    (waiting,) = world.noted(request_id, "waiting")
    assert waiting["code"] == "proof-missing"
    assert waiting["requester"].startswith("uid=bob,")
    assert waits_for_proof(world, "alice", request_id)
    assert status(ca, serial) == VALID
    proven = world.cli("bob", "prove", "--yes", request_id)
    assert proven.status == 0, proven
    world.ended(request_id, "executed")
    assert status(ca, serial) == HELD
    assert len(world.audit(request_id, "waiting")) == 1


def test_r_k13_after_a_restart_it_waits_for_a_new_proof_and_is_done_once(
    ca: CaHost, world: CaWorld, serial: str
) -> None:
    """What alice's proof yielded is in memory only; nothing that outlives the executor could act as her."""
    request_id = world.ask("alice", "dogtag.cert.revoke", serial=serial, reason=REASON)
    world.halt()
    world.approve("bob", request_id)
    world.systemctl("start", EXECUTOR)
    (waiting,) = world.noted(request_id, "waiting")
    assert waiting["code"] == "proof-missing"
    assert "ipa-tpi prove ID" in waiting["message"]
    assert waits_for_proof(world, "bob", request_id)
    assert status(ca, serial) == VALID
    told = world.cli("alice", "show", request_id)
    assert f"Request {request_id}: approved (" in told.out
    assert f"the requester runs: ipa-tpi prove {request_id}" in " ".join(told.out.split())
    assert "approved (proof-missing)" in world.cli("bob", "list").out
    assert not world.audit(request_id, "intent")
    proven = world.cli("alice", "prove", "--yes", request_id)
    assert proven.status == 0, proven
    world.ended(request_id, "executed")
    assert status(ca, serial) == REVOKED
    assert eventually(lambda: changed(serial), TRAIL_SECONDS) == ["alice@TPI.TEST"]
    assert [len(world.audit(request_id, event)) for event in ("waiting", "intent", "claim")] == [1, 1, 1]
