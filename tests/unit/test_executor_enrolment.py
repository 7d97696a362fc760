"""A certificate for a request that two people saw: what is shown, both ways, every end (DESIGN section 8; D10, K13)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from decide_builders import REQUEST_ID, T0
from enrolment_scene import ALICE, CSR, DIGEST, PARAMETERS, PROFILE, Desk, certificate_for
from executor_fakes import CrashError, FakeAuthority, FakeSystemd, Weather

from ipa_tpi.errors import (
    ActionFailedError,
    AuditError,
    AuthorityUnavailableError,
    JournalError,
    OutcomeUnknownError,
    RefusedError,
    TpiError,
)
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.enrolment import enrolment_of, way_of
from ipa_tpi.executor.operations import operation as operation_of
from ipa_tpi.model import FloorOperation, Refuse

JOB = operation_of("dogtag.cert.request")


def means(authority: FakeAuthority | None = None) -> Means:
    return Means(FakeSystemd(Weather()), authority)


def ca(**changes: Any) -> FakeAuthority:
    made = FakeAuthority(Weather())
    made.person = "alice"
    for name, value in changes.items():
        setattr(made, name, value)
    return made


# --- what is shown --------------------------------------------------------------------------------


def test_what_is_asked_for_is_shown_decoded() -> None:
    shown, precondition = JOB.preview(PARAMETERS, means())
    assert isinstance(shown, dict)
    assert (shown["profile"], shown["ca"]) == (PROFILE, "ipa")
    assert shown["submitted by"] == "the executor, as the requester"
    decoded = shown["certificate request"]
    assert isinstance(decoded, dict)
    assert (decoded["subject"], decoded["key"], decoded["sha256 of the DER"]) == (
        "CN=alice",
        "EC secp256r1, 256 bits",
        DIGEST,
    )
    assert precondition == {} == JOB.precondition(PARAMETERS, means())
    shown, _ = JOB.preview({**PARAMETERS, "submit": "requester", "ca": "sub"}, means())
    assert isinstance(shown, dict)
    assert shown["submitted by"] == "the requester, once, within the execution window"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"csr": CSR},
        {**PARAMETERS, "more": "x"},
        {**PARAMETERS, "profile": "../x"},
        {**PARAMETERS, "profile": "x\n"},
        {**PARAMETERS, "ca": ""},
        {**PARAMETERS, "ca": "sub"},
        {**PARAMETERS, "submit": ""},
        {**PARAMETERS, "submit": "Executor"},
        {**PARAMETERS, "csr": CSR + CSR},
        {**PARAMETERS, "csr": CSR.replace("BEGIN CERT", "BEGIN NEW CERT")},
        {**PARAMETERS, "csr": " " + CSR},
        {**PARAMETERS, "csr": ""},
    ],
)
def test_r_d10_what_the_validator_would_refuse_for_its_form_is_never_shown(
    parameters: dict[str, str],
) -> None:
    authority = ca()
    for attempt in (
        lambda: JOB.preview(parameters, means(authority)),
        lambda: JOB.precondition(parameters, means(authority)),
        lambda: JOB.act(parameters, means(authority), 60),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == "bad-parameters"
    assert authority.weather.calls == []


def test_a_floor_opens_no_unit_for_it() -> None:
    assert JOB.units(FloorOperation(1, proof=True)) == {}
    with pytest.raises(RefusedError, match="neither"):
        JOB.units(FloorOperation(1, proof=True, units=frozenset({"a.service"})))


def test_the_answer_tells_number_and_where_to_fetch_it() -> None:
    authority = ca(issues=certificate_for)
    told = JOB.act(PARAMETERS, means(authority), 60).excerpt
    assert told == "0x1b: issued by caTpi; fetch it: ipa cert-show 0x1b --out=FILE (subject: CN=alice)"
    assert authority.acts == ["alice: enroll caTpi"]
    # What could not be fetched is issued nevertheless.
    assert "subject" not in JOB.act(PARAMETERS, means(ca()), 60).excerpt


def test_what_is_no_certificate_for_this_key_is_in_doubt() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    for issued in ("no certificate", certificate_for(CSR, other)):
        with pytest.raises(OutcomeUnknownError, match="look at it"):
            JOB.act(PARAMETERS, means(ca(issues=lambda _, issued=issued: issued)), 60)


def test_without_a_way_to_a_ca_nothing_is_asked() -> None:
    with pytest.raises(AuthorityUnavailableError, match=r"executor\.toml"):
        JOB.act(PARAMETERS, means(), 60)


# --- submitted by the executor --------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    made.ca.issues = certificate_for
    yield made
    made.close()


def test_a_request_of_another_kind_is_for_no_certificate(desk: Desk) -> None:
    asked = desk.directory.ask()
    assert (enrolment_of(asked, ALICE), way_of(asked), desk.claims.way(asked.id)) == (None, "", "")


def test_the_executor_submits_what_the_validator_claims(desk: Desk) -> None:
    desk.ask_for()
    assert (desk.state(), desk.consume()) == ("", "other-way")
    answers: list[str] = []
    desk.ca.asks = lambda _: answers.append(
        f"{desk.state()} {desk.consume()} {desk.state()} {desk.consume()}"
    )
    desk.approve()
    desk.settle()
    assert answers == ["submitted ok claimed already-used"]
    assert (desk.outcomes(), desk.ca.acts) == (["executed"], [f"{ALICE}: enroll {PROFILE}"])
    assert desk.excerpt().startswith("0x1b: issued")
    assert "under control" not in desk.excerpt()
    claim = desk.claims.claim(REQUEST_ID)
    assert claim is not None
    assert (claim.started, claim.exit_status, claim.published) == (T0, 0, True)
    assert desk.consume() == "already-used"
    assert desk.audit.events().count("consume") == 1
    assert desk.evidence.of(REQUEST_ID, T0) is None


def test_the_preview_is_what_the_approval_is_about(desk: Desk) -> None:
    desk.ask_for()
    (preview,) = desk.directory.of("ipaTpiPreview")
    body = json.loads(preview.attributes["ipatpibody"][0])
    assert body["shown"]["certificate request"]["sha256 of the DER"] == DIGEST


def test_a_certificate_that_came_without_a_question_is_told(desk: Desk) -> None:
    desk.ask_for()
    desk.approve()
    desk.settle()
    assert desk.outcomes() == ["executed"]
    assert "this profile is not under control" in desk.excerpt()
    assert "unasked" in desk.audit.events()


REFUSED = ActionFailedError("the CA rejected it; nothing was issued")
UNKNOWN = OutcomeUnknownError("no answer came; look at it")
NOT_ASKED = AuthorityUnavailableError("it cannot be reached; try again")


@pytest.mark.parametrize(
    ("answer", "claimed", "outcome", "code"),
    [
        (REFUSED, False, "failed", "action-failed"),
        (REFUSED, True, "indeterminate", "outcome-unknown"),
        (NOT_ASKED, False, "failed", "authority-unavailable"),
        (NOT_ASKED, True, "indeterminate", "outcome-unknown"),
        (UNKNOWN, False, "indeterminate", "outcome-unknown"),
        (UNKNOWN, True, "indeterminate", "outcome-unknown"),
    ],
)
def test_r_k13_the_end_says_no_more_than_is_known(
    desk: Desk, answer: TpiError, claimed: bool, outcome: str, code: str
) -> None:
    desk.ask_for()
    desk.ca.answer = answer
    if claimed:
        desk.ca.asks = lambda _: desk.consume()
    desk.approve()
    desk.settle()
    assert (desk.outcomes(), desk.ca.acts) == ([outcome], [])
    assert desk.excerpt().startswith(f"{code}: ")
    # The row is closed to everybody, and nothing is tried again.
    desk.ca.answer = None
    assert desk.consume() == "already-used"
    desk.reboot()
    desk.settle()
    assert (desk.consume(), desk.outcomes(), desk.ca.acts) == ("already-used", [outcome], [])


@pytest.mark.parametrize("point", ["journal.submit", "authority.enroll", "journal.consume"])
def test_r_k13_what_was_submitted_before_a_crash_is_in_doubt(desk: Desk, point: str) -> None:
    desk.ask_for()
    desk.approve()
    desk.ca.asks = lambda _: desk.consume()

    def crash() -> None:
        raise CrashError(point)

    desk.weather.then[point] = crash
    with pytest.raises(CrashError):
        desk.process()
    desk.weather.calm()
    desk.reboot()
    # Who has not ended it yet gives no yes either: this process submitted nothing.
    assert desk.consume() == ("already-used" if desk.state() == "claimed" else "other-way")
    desk.settle()
    desk.prove("alice", "request", desk.directory._load(REQUEST_ID).request.digest)  # type: ignore[union-attr]
    desk.settle()
    assert (desk.outcomes(), desk.consume()) == (["indeterminate"], "already-used")
    assert len(desk.ca.acts) <= 1


def test_a_consume_that_cannot_be_written_is_no_yes(desk: Desk) -> None:
    desk.ask_for()
    answers: list[str] = []

    def full(call: str, error: TpiError) -> None:
        desk.weather.fails[call] = error
        answers.append(desk.consume())
        del desk.weather.fails[call]

    def ask(_: str) -> None:
        full("journal.consume", JournalError("the disk is full; mend it"))
        full("audit.consume", AuditError("the disk is full; mend it"))
        desk.spend(0)
        desk.weather.then["audit.consume"] = lambda: desk.spend(5)
        answers.append(desk.consume())
        answers.append(desk.state())

    desk.ca.asks = ask
    desk.ca.answer = REFUSED
    desk.approve()
    desk.settle()
    assert answers == ["journal-unavailable", "audit-unavailable", "consume-too-late", "submitted"]
    assert desk.outcomes() == ["failed"]


def test_a_consume_that_comes_after_the_end_is_no_yes(desk: Desk) -> None:
    """The validator has found the row, and the CA's refusal closes it before the row is moved."""
    desk.ask_for()
    answers: list[str] = []

    def ask(_: str) -> None:
        def close() -> None:
            claim = desk.claims.claim(REQUEST_ID)
            assert claim is not None
            failed = claim.__class__("ended", "", Refuse("x", "y; z").outcome, "x", "y; z")
            desk.claims.settle(REQUEST_ID, failed, failed, T0)

        desk.weather.then["audit.consume"] = close
        answers.append(desk.consume())

    desk.ca.asks = ask
    desk.ca.answer = UNKNOWN
    desk.approve()
    with pytest.raises(JournalError):
        desk.process()
    assert (answers, desk.state()) == (["already-used"], "ended")


# --- submitted by the requester -------------------------------------------------------------------


@pytest.fixture
def direct(desk: Desk) -> Desk:
    desk.ask_for(submit="requester")
    return desk


def test_the_requester_enrols_once(direct: Desk) -> None:
    direct.approve()
    direct.settle()
    assert (direct.state(), direct.outcomes()) == ("", [])  # the loop does nothing by itself
    told = direct.begin()
    assert (direct.state(), direct.outcomes()) == ("claimed", [])
    assert direct.process() is not None  # a worker keeps away
    assert (direct.state(), direct.consume()) == ("claimed", "already-used")
    told.afterwards(was_sent=True)
    assert (direct.outcomes(), direct.excerpt()) == (["executed"], "released to the requester's enrolment")
    assert (direct.consume(), direct.ca.acts) == ("already-used", [])
    assert direct.woken[-1] == REQUEST_ID
    events = direct.audit.events()
    assert events.index("consume") < events.index("intent") < events.index("claim") < events.index("outcome")


def test_no_ticket_is_needed_for_it(direct: Desk) -> None:
    direct.reboot()
    direct.approve()
    assert (direct.consume(), direct.outcomes()) == ("ok", ["executed"])


def test_the_proof_of_an_approval_just_given_is_verified(direct: Desk) -> None:
    direct.approve()
    assert direct.consume() == "ok"


def test_before_it_is_approved_nothing_is_used_up(direct: Desk) -> None:
    assert (direct.consume(), direct.state()) == ("approvals-missing", "")
    direct.approve(proof=False)
    assert (direct.consume(), direct.state()) == ("proof-missing", "")
    direct.prove("bob", "approve", direct.about())
    assert (direct.consume(), direct.outcomes()) == ("ok", ["executed"])


def test_before_it_is_shown_nothing_is_used_up(desk: Desk) -> None:
    desk.weather.fails["directory.add ipaTpiPreview"] = AuditError("down; try again")
    with pytest.raises(AuditError):
        desk.ask_for(submit="requester")
    desk.weather.calm()
    assert desk.consume() == "approvals-missing"  # what was promised to the directory is there now
    assert len(desk.directory.of("ipaTpiPreview")) == 1


@pytest.mark.parametrize(
    ("voice", "code", "outcome"),
    [
        ("ipaTpiDenial", "denied-by-approver", "denied"),
        ("ipaTpiCancellation", "cancelled", "cancelled"),
    ],
)
def test_r_k15_a_veto_ends_it(direct: Desk, voice: str, code: str, outcome: str) -> None:
    direct.approve()
    direct.say("alice" if voice == "ipaTpiCancellation" else "carol", voice, direct.about())
    assert (direct.consume(), direct.outcomes()) == (code, [outcome])
    assert direct.consume() == "already-used"


def test_the_loop_ends_what_was_denied_or_expired(direct: Desk) -> None:
    direct.say("bob", "ipaTpiDenial", direct.about())
    direct.settle()
    assert direct.outcomes() == ["denied"]


def test_the_end_of_the_window_ends_it(direct: Desk) -> None:
    direct.approve()
    direct.settle()
    direct.clock.go(1000)
    direct.settle()
    assert (direct.outcomes(), direct.consume()) == (["expired"], "already-used")


def test_an_intent_waits_for_the_next_consume(direct: Desk) -> None:
    direct.approve()
    direct.weather.fails["audit.claim"] = AuditError("the disk is full; mend it")
    assert (direct.consume(), direct.state()) == ("audit-unavailable", "intent")
    direct.weather.calm()
    direct.reboot()
    assert direct.process() is not None
    assert (direct.state(), direct.outcomes()) == ("intent", [])
    nonce = direct.claims.memory(REQUEST_ID).own_nonce
    assert (direct.consume(), direct.outcomes()) == ("ok", ["executed"])
    assert direct.directory.of("ipaTpiExecution")[0].attributes["ipatpinonce"] == [nonce.encode()]


def test_an_intent_ends_with_its_window(direct: Desk) -> None:
    direct.approve()
    direct.weather.fails["audit.claim"] = AuditError("the disk is full; mend it")
    direct.consume()
    direct.weather.calm()
    direct.clock.go(1000)
    direct.settle()
    assert (direct.outcomes(), direct.consume()) == (["expired"], "already-used")


def test_a_withdrawal_after_the_intent_counts(direct: Desk) -> None:
    direct.approve()
    direct.weather.then["journal.intend"] = lambda: direct.say("bob", "ipaTpiWithdrawal", direct.about())
    assert (direct.consume(), direct.outcomes()) == ("withdrawn", ["denied"])


def test_what_takes_too_long_is_not_used_up(direct: Desk) -> None:
    direct.approve()
    direct.weather.then["audit.claim"] = lambda: direct.spend(5)
    assert (direct.consume(), direct.state()) == ("consume-too-late", "intent")
    assert (direct.consume(), direct.outcomes()) == ("ok", ["executed"])


def test_a_yes_that_nobody_heard_is_in_doubt(direct: Desk) -> None:
    direct.approve()
    assert direct.consume(answered=False) == "ok"
    assert (direct.outcomes(), direct.consume()) == (["indeterminate"], "already-used")


def test_r_k13_a_crash_after_the_claim_is_in_doubt(direct: Desk) -> None:
    direct.approve()
    direct.begin()
    direct.reboot()
    direct.settle()
    assert (direct.outcomes(), direct.consume()) == (["indeterminate"], "already-used")


def test_an_end_that_cannot_be_told_is_told_later(direct: Desk) -> None:
    direct.approve()
    direct.weather.fails["directory.add ipaTpiResult"] = AuditError("down; try again")
    assert (direct.consume(), direct.state(), direct.outcomes()) == ("ok", "ended", [])
    direct.weather.calm()
    direct.settle()
    assert direct.outcomes() == ["executed"]


def test_an_end_that_cannot_be_written_is_in_doubt(direct: Desk) -> None:
    direct.approve()
    direct.weather.fails["journal.end"] = JournalError("the disk is full; mend it")
    assert (direct.consume(), direct.state()) == ("ok", "claimed")
    direct.weather.calm()
    assert direct.consume() == "already-used"
    direct.settle()
    assert direct.outcomes() == ["indeterminate"]


def test_a_malformed_request_is_used_up_by_nobody(direct: Desk) -> None:
    direct.approve()
    raw = direct.directory.requests[REQUEST_ID]
    direct.directory.requests[REQUEST_ID] = raw.__class__(
        raw.dn, raw.creator, raw.created, {**raw.attributes, "ipatpitarget": [b"\xff"]}
    )
    assert (direct.consume(), direct.state()) == ("malformed-request", "ended")


def test_a_request_that_is_gone_is_used_up_by_nobody(direct: Desk) -> None:
    direct.approve()
    del direct.directory.requests[REQUEST_ID]
    assert (direct.consume(), direct.state()) == ("already-used", "")


# --- validation programs --------------------------------------------------------------------------


@pytest.fixture
def validated(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, ipatpivalidationprogram=["ask-somebody"])
    made.ask_for(submit="requester")
    made.approve()
    yield made
    made.close()


def test_the_program_gets_the_time_that_is_left(validated: Desk) -> None:
    assert (validated.consume(), validated.outcomes()) == ("ok", ["executed"])
    ((program, _, seconds),) = validated.validators.asked
    assert (program, seconds) == ("ask-somebody", 4)


def test_its_no_is_final(validated: Desk) -> None:
    validated.validators.answer = Refuse("validation-refused", "not today; ask tomorrow")
    assert (validated.consume(), validated.outcomes()) == ("validation-refused", ["denied"])


def test_that_it_is_too_slow_for_the_validator_uses_nothing_up(validated: Desk) -> None:
    validated.validators.answer = Refuse("validation-timeout", "too late; make a new request")
    assert (validated.consume(), validated.state()) == ("consume-too-late", "")
    validated.weather.then["directory.policy"] = lambda: validated.spend(3.5)
    assert (validated.consume(), validated.state()) == ("consume-too-late", "")
    assert len(validated.validators.asked) == 1  # with half a second it was not even asked
    validated.validators.answer = None
    validated.clock.now += timedelta(seconds=1)
    assert (validated.consume(), validated.outcomes()) == ("ok", ["executed"])
