"""Operations on certificates, as the requester, at most once, and only as long as his ticket is held (D16, K01)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from decide_builders import FLOOR, OPERATION_DN, REQUEST_ID, definition, policy, rule
from executor_fakes import Box, FakeAuthority, FakeSystemd, Weather

from ipa_tpi.decide.definition import load_operation
from ipa_tpi.decide.proof import TICKET_MISSING, is_unticketed
from ipa_tpi.errors import (
    ActionFailedError,
    AuditError,
    AuthorityUnavailableError,
    DirectoryUnavailableError,
    NoTicketError,
    OutcomeUnknownError,
    RefusedError,
    TpiError,
)
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.certificates import REASONS
from ipa_tpi.executor.operations import operation as operation_of
from ipa_tpi.model import FloorOperation, Json, Operation, Receipt, Request, Right
from ipa_tpi.ports import Certificate

SERIAL = {"serial": "0x1a"}
REVOKE = {**SERIAL, "reason": "Key_Compromise"}


def ca(status: str = "VALID", reason: str = "") -> FakeAuthority:
    made = FakeAuthority(Weather())
    made.status, made.reason, made.person = status, reason, "alice"
    return made


def told(box: Box, event: str) -> list[dict[str, Json]]:
    return [record for record in box.audit.records if record["event"] == event]


def means(authority: FakeAuthority | None) -> Means:
    return Means(FakeSystemd(Weather()), authority)


@pytest.mark.parametrize(
    ("verb", "parameters", "status", "reason", "act", "told"),
    [
        ("revoke", REVOKE, "VALID", "", "revoke 0x1a Key_Compromise", "0x1a: REVOKED (Key_Compromise)"),
        ("hold", SERIAL, "VALID", "", "revoke 0x1a Certificate_Hold", "0x1a: REVOKED (Certificate_Hold)"),
        ("release", SERIAL, "REVOKED", "Certificate_Hold", "release 0x1a", "0x1a: VALID"),
    ],
)
def test_what_is_shown_is_what_is_done(
    verb: str, parameters: dict[str, str], status: str, reason: str, act: str, told: str
) -> None:
    authority, wanted = ca(status, reason), operation_of(f"dogtag.cert.{verb}")
    shown, precondition = wanted.preview(parameters, means(authority))
    assert isinstance(shown, dict)
    assert (shown["action"], shown["serial"], shown["subject"]) == (verb, "0x1a", "CN=a.tpi.test")
    assert shown.get("reason") == (parameters["reason"] if verb == "revoke" else None)
    assert wanted.precondition(parameters, means(authority)) == precondition
    assert wanted.act(parameters, means(authority), 60).excerpt == told
    assert authority.acts == [f"alice: {act}"]
    # Once it is done, it is no longer as it was shown.
    with suppress(ActionFailedError):
        assert wanted.precondition(parameters, means(authority)) != precondition


@pytest.mark.parametrize(
    ("verb", "status", "reason"),
    [
        ("revoke", "REVOKED", "Key_Compromise"),
        ("revoke", "REVOKED", "Certificate_Hold"),
        ("revoke", "EXPIRED", ""),
        ("revoke", "INVALID", ""),
        ("hold", "REVOKED", "Certificate_Hold"),
        ("hold", "REVOKED_EXPIRED", ""),
        ("release", "VALID", ""),
        ("release", "REVOKED", "Key_Compromise"),
    ],
)
def test_what_cannot_be_done_is_not_shown(verb: str, status: str, reason: str) -> None:
    authority = ca(status, reason)
    with pytest.raises(ActionFailedError, match=f"there is nothing to {verb}"):
        operation_of(f"dogtag.cert.{verb}").preview(REVOKE if verb == "revoke" else SERIAL, means(authority))
    assert authority.acts == []


@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        ("revoke", {}),
        ("revoke", SERIAL),
        ("hold", REVOKE),
        ("release", {**SERIAL, "x": "y"}),
        *(
            ("hold", {"serial": bad})
            for bad in (
                "",
                "1a",
                "0x",
                "0x0",
                "0X1A",
                "0x1A",
                "0x01",
                "0x1a/revoke",
                "0x1a\n",
                "0x" + "1" * 41,
                "../x",
            )
        ),
        *(
            ("revoke", {**SERIAL, "reason": bad})
            for bad in ("", "key_compromise", "Certificate_Hold", "Remove_from_CRL")
        ),
    ],
)
def test_nothing_but_a_number_and_a_reason_reaches_the_ca(verb: str, parameters: dict[str, str]) -> None:
    authority = ca()
    wanted = operation_of(f"dogtag.cert.{verb}")
    for attempt in (
        lambda: wanted.preview(parameters, means(authority)),
        lambda: wanted.precondition(parameters, means(authority)),
        lambda: wanted.act(parameters, means(authority), 60),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == "bad-parameters"
    assert (authority.acts, authority.weather.calls) == ([], [])


def test_hold_is_no_reason_to_revoke() -> None:
    assert not REASONS & {"Certificate_Hold", "Remove_from_CRL", "AA_Compromise"}


def test_without_a_way_to_a_ca_nothing_is_decided() -> None:
    with pytest.raises(AuthorityUnavailableError, match=r"executor\.toml"):
        operation_of("dogtag.cert.hold").preview(SERIAL, means(None))


def test_a_floor_opens_no_unit_for_it() -> None:
    wanted = operation_of("dogtag.cert.hold")
    assert wanted.units(FloorOperation(1, proof=True)) == {}
    for entry in (
        FloorOperation(1, proof=True, units=frozenset({"a.service"})),
        FloorOperation(1, proof=True, instances=frozenset({"DS01"})),
    ):
        with pytest.raises(RefusedError, match="neither"):
            wanted.units(entry)


def test_what_is_done_is_done_although_it_cannot_be_read_afterwards() -> None:
    class Blind(FakeAuthority):
        def certificate(self, serial: str) -> Any:
            raise AuthorityUnavailableError(f"no answer about {serial}; try again")

    told = operation_of("dogtag.cert.hold").act(SERIAL, means(Blind(Weather())), 60)
    assert told.excerpt == "0x1a: done; its status could not be read afterwards"


HOLD_DN = OPERATION_DN.replace("dirsrv.restart", "dogtag.cert.hold")
SCHEMA = b'{"serial":{"pattern":"0x[0-9a-f]{1,40}"}}'


def hold() -> Operation:
    loaded = load_operation(HOLD_DN, definition(cn=[b"dogtag.cert.hold"], ipatpiparameterschema=[SCHEMA]))
    assert isinstance(loaded, Operation), loaded
    return loaded


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    floor = replace(FLOOR, operations={**FLOOR.operations, "dogtag.cert.hold": FloorOperation(1, proof=True)})
    made = Box(tmp_path, floor)
    rules = (
        rule("ask", Right.REQUEST, operations=frozenset({HOLD_DN})),
        rule("approve", operations=frozenset({HOLD_DN})),
    )
    made.directory.rules = policy(*rules, operations={"dogtag.cert.hold": hold()})
    yield made
    made.close()


def ask(box: Box) -> Request:
    asked = box.ask(operation="dogtag.cert.hold", operation_digest=hold().digest, parameters=SERIAL)
    box.settle()
    return asked


def test_r_k01_it_is_done_as_the_requester(box: Box) -> None:
    ask(box)
    assert box.ca.acts == []
    box.approve()
    box.settle()
    assert (box.outcomes(), box.excerpt()) == (["executed"], "0x1a: REVOKED (Certificate_Hold)")
    assert box.ca.acts == ["alice@TPI.TEST: revoke 0x1a Certificate_Hold"]
    assert box.evidence.of(REQUEST_ID, box.clock()) is None  # nobody's ticket is kept longer than needed


def shown(box: Box) -> tuple[bool, list[str]]:
    """Tell what the directory says of the requester's ticket: whether it is missing, and of which proofs it was said."""
    tree = box.directory.load(REQUEST_ID)
    assert tree is not None
    told = [one.refers_to for one in tree.of(Receipt) if one.outcome == TICKET_MISSING]
    assert len(set(told)) == len(told)
    return is_unticketed(tree), sorted(told)


def test_after_a_restart_it_waits_for_a_new_proof_and_is_not_lost(box: Box) -> None:
    asked = ask(box)
    box.weather.calm()
    box.reboot()
    box.approve()
    box.settle()
    assert (box.outcomes(), box.ca.acts, box.claims.claim(REQUEST_ID)) == ([], [], None)
    assert box.process() is not None  # it is looked at again
    (waiting,) = told(box, "waiting")
    assert (waiting["code"], waiting["requester"]) == ("proof-missing", asked.creator)
    assert "ipa-tpi prove ID" in str(waiting["message"])
    assert not told(box, "intent")
    is_missing, of = shown(box)
    assert (is_missing, len(of)) == (True, 1)
    box.prove("alice", "request", asked.digest)
    box.settle()
    assert shown(box) == (False, of)
    assert (box.outcomes(), len(box.ca.acts)) == (["executed"], 1)
    assert (len(told(box, "waiting")), len(told(box, "intent"))) == (1, 1)


def test_each_restart_is_told_to_people_and_each_proof_once(box: Box) -> None:
    asked = ask(box)
    box.approve()
    for number in (1, 2):
        for _ in range(2):
            box.reboot()
            box.process()
            is_missing, of = shown(box)
            assert (is_missing, len(of)) == (True, number)
        box.weather.fails["authority.certificate"] = AuthorityUnavailableError("the CA is down; start it")
        box.prove("alice", "request", asked.digest)
        with pytest.raises(AuthorityUnavailableError):
            box.process()
        assert not shown(box)[0]
        box.weather.calm()


def test_what_could_not_be_told_to_people_is_told_later(box: Box) -> None:
    ask(box)
    box.weather.calm()
    box.reboot()
    box.approve()
    # The receipt of bob's proof still arrives.
    error = DirectoryUnavailableError("it does not answer; start it")
    box.weather.then["directory.add ipaTpiReceipt"] = lambda: box.weather.fails.update(
        {"directory.add": error}
    )
    for _ in range(2):
        with pytest.raises(DirectoryUnavailableError):
            box.process()
    assert (shown(box), len(told(box, "waiting"))) == ((False, []), 1)
    box.weather.calm()
    box.process()
    is_missing, of = shown(box)
    assert (is_missing, len(of), len(told(box, "waiting"))) == (True, 1, 1)
    box.process()
    assert shown(box) == (True, of)


def test_r_k01_who_never_gave_a_ticket_is_asked_for_one_too(box: Box) -> None:
    floor = {**box.floor.operations, "dogtag.cert.hold": FloorOperation(1, proof=False)}
    box.floor = replace(box.floor, operations=floor)
    box.reboot()
    asked = box.ask(
        proof=False, operation="dogtag.cert.hold", operation_digest=hold().digest, parameters=SERIAL
    )
    box.settle()
    assert shown(box) == (True, [asked.id])
    box.prove("alice", "request", asked.digest)
    box.settle()
    assert shown(box) == (False, [asked.id])
    assert box.directory.of("ipaTpiPreview")


def test_r_k01_what_takes_too_long_is_not_begun(box: Box) -> None:
    """The ticket ends while it is judged for the last time: then it waits, and has claimed nothing."""
    box.ticket_seconds = 100
    box.reboot()
    asked = ask(box)
    read, reads = box.ca.certificate, []

    def slowly(serial: str) -> Certificate:
        reads.append(serial)
        if len(reads) == 2:
            box.clock.go(95)
        return read(serial)

    box.ca.certificate = slowly  # type: ignore[method-assign]
    box.approve()
    box.settle()
    claim = box.claims.claim(REQUEST_ID)
    assert claim is not None
    assert (claim.state, box.outcomes(), box.ca.acts, shown(box)[0]) == ("intent", [], [], True)
    box.prove("alice", "request", asked.digest)
    box.settle()
    assert (box.outcomes(), len(box.ca.acts), shown(box)[0]) == (["executed"], 1, False)


def test_r_k01_a_ticket_that_has_run_out_is_waited_for_too(box: Box) -> None:
    box.ticket_seconds = 100
    box.reboot()
    asked = ask(box)
    box.clock.go(100)
    box.approve()
    box.settle()
    assert (box.outcomes(), box.ca.acts, len(told(box, "waiting"))) == ([], [], 1)
    box.prove("alice", "request", asked.digest)
    box.settle()
    assert (box.outcomes(), len(box.ca.acts)) == (["executed"], 1)


def test_each_wait_is_told_and_a_failed_audit_leaves_none_out(box: Box) -> None:
    asked = ask(box)
    box.weather.calm()
    box.reboot()
    box.approve()
    box.weather.fails["audit.waiting"] = AuditError("the disk is full; mend it")
    with pytest.raises(AuditError):
        box.process()
    box.weather.calm()
    box.process()
    box.process()
    assert len(told(box, "waiting")) == 1
    box.weather.fails["authority.certificate"] = NoTicketError("it cannot be forwarded; run: kinit -f")
    box.prove("alice", "request", asked.digest)
    assert box.process() is not None
    box.process()
    assert [record["message"] for record in told(box, "waiting")][1:] == [
        "it cannot be forwarded; run: kinit -f"
    ]
    assert box.claims.claim(REQUEST_ID) is None
    box.weather.calm()
    box.prove("alice", "request", asked.digest)
    box.settle()
    assert (box.outcomes(), len(box.ca.acts)) == (["executed"], 1)


def test_before_the_preview_it_waits_too(box: Box) -> None:
    asked = box.ask(operation="dogtag.cert.hold", operation_digest=hold().digest, parameters=SERIAL)
    box.weather.fails["authority.certificate"] = AuthorityUnavailableError("the CA is down; try again")
    with pytest.raises(AuthorityUnavailableError):
        box.process()
    box.weather.calm()
    box.reboot()
    box.settle()
    assert not list(box.directory.of("ipaTpiPreview", REQUEST_ID))
    box.prove("alice", "request", asked.digest)
    box.settle()
    assert list(box.directory.of("ipaTpiPreview", REQUEST_ID))


def test_with_an_intent_it_waits_and_ends_with_its_window(box: Box) -> None:
    asked = ask(box)
    box.approve()
    box.weather.fails["audit.claim"] = AuditError("the disk is full; mend it")
    with pytest.raises(AuditError):
        box.process()
    box.weather.calm()
    box.reboot()
    assert box.process() is not None
    claim = box.claims.claim(REQUEST_ID)
    assert claim is not None
    assert (claim.state, box.ca.acts) == ("intent", [])
    box.process()
    assert (len(told(box, "waiting")), len(told(box, "intent"))) == (1, 1)
    box.prove("alice", "request", asked.digest)
    box.settle()
    assert (box.outcomes(), len(box.ca.acts)) == (["executed"], 1)


def test_who_does_not_prove_again_lets_it_expire(box: Box) -> None:
    ask(box)
    box.approve()
    box.weather.fails["audit.claim"] = AuditError("the disk is full; mend it")
    with pytest.raises(AuditError):
        box.process()
    box.weather.calm()
    box.reboot()
    box.process()
    box.clock.now += timedelta(days=1)
    box.settle()
    assert (box.outcomes(), box.ca.acts) == (["expired"], [])


def test_a_veto_ends_the_wait_of_an_intent(box: Box) -> None:
    asked = ask(box)
    box.approve()
    box.weather.fails["audit.intent"] = AuditError("the disk is full; mend it")
    with pytest.raises(AuditError):
        box.process()
    box.weather.calm()
    box.reboot()
    box.process()
    assert not list(box.directory.of("ipaTpiExecution", REQUEST_ID))  # while it waits nothing is added
    box.say("alice", "ipaTpiCancellation", asked.digest)
    box.settle()
    assert (box.outcomes(), box.ca.acts) == (["cancelled"], [])


def test_another_persons_proof_yields_nothing(box: Box) -> None:
    asked = ask(box)
    box.weather.calm()
    box.reboot()
    box.approve()
    box.prove("bob", "request", asked.digest)
    box.settle()
    assert (box.evidence.of(REQUEST_ID, box.clock()), box.ca.acts) == (None, [])


def test_a_certificate_that_changed_since_is_not_touched(box: Box) -> None:
    ask(box)
    box.ca.status, box.ca.reason = "REVOKED", "Superseded"
    box.approve()
    box.settle()
    assert (box.outcomes(), box.ca.acts) == (["denied"], [])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ActionFailedError("the CA refused it; ask an administrator"), "failed"),
        (OutcomeUnknownError("no answer came; look at it"), "indeterminate"),
        (AuthorityUnavailableError("it cannot be reached; try again"), "failed"),
    ],
)
def test_the_cas_answer_is_the_outcome_and_nothing_is_repeated(
    box: Box, answer: TpiError, outcome: str
) -> None:
    ask(box)
    box.ca.answer = answer
    box.approve()
    box.settle()
    box.ca.answer = None
    box.weather.calm()
    box.reboot()
    box.settle()
    assert (box.outcomes(), box.ca.acts) == ([outcome], [])
