"""The ten steps, with fakes of all that is outside (DESIGN section 2; K13, K15, X12)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    APPROVE_PERMISSION,
    BOB,
    DAY,
    EXECUTOR,
    FLOOR,
    OLD,
    OPERATORS,
    OTHER_EXECUTOR,
    REQUEST_ID,
    T0,
    an_id,
    machine,
    operation,
    person,
    policy,
    rule,
)
from executor_fakes import Box

from ipa_tpi.decide.digest import canonical, preview_body
from ipa_tpi.errors import (
    ActionFailedError,
    DirectoryLimitError,
    OutcomeUnknownError,
    RefusedError,
    ServiceManagerError,
)
from ipa_tpi.model import FloorOperation, Group, Outcome, Right
from ipa_tpi.ports import NewEntry

UNIT = "dirsrv@DS01.service"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A host with its executor."""
    made = Box(tmp_path)
    yield made
    made.close()


def previewed(box: Box) -> None:
    """Alice asked, and the target has shown what it would do."""
    box.ask()
    box.process()
    assert len(box.directory.of("ipaTpiPreview")) == 1
    box.clock.go(10)


def ended(box: Box, outcome: str, code: str, request_id: str = REQUEST_ID) -> None:
    """Demand that a request ended so, once, in journal, directory and audit, and that nothing ran."""
    claim = box.claims.claim(request_id)
    assert claim is not None
    assert (claim.state, claim.outcome, claim.code, claim.published) == (
        "ended",
        Outcome(outcome),
        code,
        True,
    ), claim
    assert box.outcomes(request_id) == [outcome]
    assert box.excerpt(request_id).startswith(f"{code}: ")
    assert box.audit.events().count("outcome") == 1
    assert box.systemd.acts == []
    for _ in range(2):
        assert box.process(request_id) is None
    box.reboot()
    assert box.process(request_id) is None
    assert box.outcomes(request_id) == [outcome]
    assert box.systemd.acts == []


# --- the way through -----------------------------------------------------------


def test_the_way_through(box: Box) -> None:
    box.ask()
    looked = box.process()
    assert looked == T0 + timedelta(seconds=301)
    (preview,) = box.directory.of("ipaTpiPreview")
    shown = preview_body(
        {
            "action": "restart",
            "unit": UNIT,
            "active": "active",
            "sub": "running",
            "main_pid": 100,
            "invocation_id": f"invocation-of-{UNIT}",
        },
        {},
    )
    assert preview.attributes["ipatpibody"] == [shown]
    box.clock.go(10)
    box.approve()
    assert box.process() is None
    assert box.systemd.acts == [UNIT]
    assert box.systemd.timeout_seconds == 60
    assert box.outcomes() == ["executed"]
    assert box.excerpt() == f"restarted {UNIT}: main PID 100 -> 101, active (running)"
    (result,) = box.directory.of("ipaTpiResult")
    assert result.attributes["ipatpiexitstatus"] == [b"0"]
    assert result.attributes["ipatpistarted"] == [b"20260301120010Z"]
    (execution,) = box.directory.of("ipaTpiExecution")
    nonce = execution.attributes["ipatpinonce"][0].decode()
    assert len(nonce) == 64
    assert box.audit.events() == [
        "request-seen",
        "proof-verified",
        "preview",
        "proof-verified",
        "intent",
        "claim",
        "outcome",
    ]
    assert len(box.directory.of("ipaTpiReceipt")) == 2


def test_the_steps_happen_in_their_order(box: Box) -> None:
    previewed(box)
    box.approve()
    box.weather.calm()
    box.process()
    order = [
        "journal.intend",
        "audit.intent",
        "directory.add ipaTpiExecution",
        "journal.added",
        "audit.claim",
        "journal.take",
        "systemd.run_job",
        "journal.end",
        "audit.outcome",
        "directory.add ipaTpiResult",
        "journal.publish",
    ]
    positions = [box.weather.calls.index(name) for name in order if name != "journal.added"]
    assert positions == sorted(positions)
    between = box.weather.calls[box.weather.calls.index("directory.add ipaTpiExecution") : positions[-7]]
    assert "directory.load" in between  # step 6 reads all again
    assert "directory.policy" in between


def test_a_request_for_another_executor_is_none_of_ours(box: Box) -> None:
    box.ask(executor=OTHER_EXECUTOR)
    assert box.process() is None
    assert box.claims.claim(REQUEST_ID) is None
    assert box.outcomes() == []


def test_a_request_that_does_not_exist_is_nothing(box: Box) -> None:
    assert box.process("no such") is None
    assert box.claims.unfinished() == frozenset()


def test_a_request_without_a_proof_waits_for_it(box: Box) -> None:
    asked = box.ask(proof=False)
    assert box.process() == T0 + timedelta(seconds=301)
    assert box.directory.of("ipaTpiPreview") == []
    box.prove("alice", "request", asked.digest)
    box.process()
    assert len(box.directory.of("ipaTpiPreview")) == 1


def test_an_approval_without_a_proof_waits_for_it(box: Box) -> None:
    previewed(box)
    box.approve(proof=False)
    box.process()
    assert box.systemd.acts == []
    box.prove("bob", "approve", box.about())
    box.process()
    assert box.outcomes() == ["executed"]


def test_an_approval_that_does_not_count_is_audited_once(box: Box) -> None:
    """R-A04, R-A08: the requester's own, however often it is looked at."""
    previewed(box)
    box.approve("alice")
    box.process()
    box.process()
    assert box.systemd.acts == []
    assert box.audit.events().count("approval-refused") == 1
    assert list(box.claims.judged(REQUEST_ID).values()).count("self-approval") == 1


def test_where_the_floor_excepts_the_operation_no_proof_is_needed(tmp_path: Path) -> None:
    floor = replace(
        FLOOR, operations={"dirsrv.restart": FloorOperation(1, proof=False, instances=frozenset({"DS01"}))}
    )
    box = Box(tmp_path, floor)
    box.ask(proof=False)
    box.process()
    box.approve(proof=False)
    box.process()
    assert box.outcomes() == ["executed"]
    box.close()


def test_every_request_ends_once_however_often_it_is_looked_at(box: Box) -> None:
    previewed(box)
    box.approve()
    for _ in range(5):
        box.process()
    assert box.systemd.acts == [UNIT]
    assert box.outcomes() == ["executed"]


# --- every refusal is journalled, audited and published once --------------------


def _two_units(box: Box) -> None:
    box.ask(parameters={"instance": "DS02"})


def _unknown(box: Box) -> None:
    box.ask()
    box.directory.rules = policy(operations={})


def _without_rule(box: Box) -> None:
    box.ask()
    box.directory.rules = policy(rule())


def _disabled_alice(box: Box) -> None:
    box.ask()
    box.directory.people[ALICE.dn] = replace(ALICE, disabled=True)


def _expired(box: Box) -> None:
    box.ask()
    box.clock.go(301)


def _no_unit(box: Box) -> None:
    box.ask()
    box.systemd.refusal = ActionFailedError("there is no such unit")


def _ahead(box: Box, seconds: float) -> None:
    box.clock.go(seconds)
    box.ask()
    box.clock.go(-seconds)


EARLY: dict[str, tuple[Callable[[Box], object], str, str]] = {
    "below the floor": (_two_units, "denied", "below-floor"),
    "an unknown operation": (_unknown, "denied", "unknown-operation"),
    "no rule": (_without_rule, "denied", "no-rule"),
    "a disabled requester": (_disabled_alice, "denied", "disabled"),
    "another operation": (lambda box: box.ask(operation="dirsrv.stop"), "denied", "unknown-operation"),
    "a changed definition": (lambda box: box.ask(operation_digest=bytes(32)), "denied", "operation-changed"),
    "a wrong digest": (lambda box: box.ask(digest=bytes(32)), "denied", "digest-mismatch"),
    "a wrong interface": (lambda box: box.ask(interface="direct"), "denied", "interface-not-allowed"),
    "wrong parameters": (lambda box: box.ask(parameters={}), "denied", "bad-parameters"),
    "another target": (lambda box: box.ask(target="other.tpi.test"), "denied", "wrong-target"),
    "cancelled": (
        lambda box: (box.ask(), box.say("alice", "ipaTpiCancellation", bytes(32))),
        "cancelled",
        "cancelled",
    ),
    "denied": (
        lambda box: (box.ask(), box.say("bob", "ipaTpiDenial", bytes(32))),
        "denied",
        "denied-by-approver",
    ),
    "a forged cancellation": (
        lambda box: (box.ask(), box.say("bob", "ipaTpiCancellation", bytes(32))),
        "denied",
        "forged-veto",
    ),
    "a preview that we did not make": (
        lambda box: (box.ask(), box.directory.put(EXECUTOR, REQUEST_ID, _preview("planted"))),
        "denied",
        "forged-entry",
    ),
    "a result that we did not make": (
        lambda box: (box.ask(), box.directory.put(EXECUTOR, REQUEST_ID, _result())),
        "denied",
        "forged-entry",
    ),
    "an execution by somebody else": (
        lambda box: (
            box.ask(),
            box.directory.put(
                BOB.dn, REQUEST_ID, NewEntry(an_id(9), "ipaTpiExecution", {"ipaTpiNonce": [b"x"]})
            ),
        ),
        "denied",
        "forged-entry",
    ),
    "a malformed entry": (
        lambda box: (
            box.ask(),
            box.directory.put(BOB.dn, REQUEST_ID, NewEntry(an_id(9), "extensibleObject", {})),
        ),
        "denied",
        "malformed-entry",
    ),
    "expired": (_expired, "expired", "expired"),
    "no such unit": (_no_unit, "denied", "action-failed"),
    "from the future": (lambda box: _ahead(box, 6), "denied", "clock"),
    "older than the journal": (lambda box: _ahead(box, -101 * 86400), "denied", "older-than-journal"),
}


def _preview(shown: str) -> NewEntry:
    body = preview_body(shown, {})
    return NewEntry(an_id(9), "ipaTpiPreview", {"ipaTpiBody": [body], "ipaTpiDigest": [b"00" * 32]})


def _result() -> NewEntry:
    return NewEntry(an_id(9), "ipaTpiResult", {"ipaTpiOutcome": [b"executed"]})


@pytest.mark.parametrize("name", EARLY)
def test_each_refusal_before_the_preview_is_the_end(box: Box, name: str) -> None:
    prepare, outcome, code = EARLY[name]
    prepare(box)
    assert box.process() is None
    assert box.directory.of("ipaTpiExecution") == [] or name == "an execution by somebody else"
    if name == "a result that we did not make":
        claim = box.claims.claim(REQUEST_ID)
        assert claim is not None
        assert (claim.outcome, claim.code) == (Outcome.DENIED, code)
        return
    ended(box, outcome, code)


AFTER: dict[str, tuple[Callable[[Box], object], str, str]] = {
    "denied": (lambda box: box.say("carol", "ipaTpiDenial", box.about()), "denied", "denied-by-approver"),
    "cancelled": (lambda box: box.say("alice", "ipaTpiCancellation", bytes(32)), "cancelled", "cancelled"),
    "expired": (lambda box: box.clock.go(301), "expired", "expired"),
    "another preview": (
        lambda box: box.directory.put(EXECUTOR, REQUEST_ID, _preview("planted")),
        "denied",
        "forged-entry",
    ),
    "the operation disabled": (
        lambda box: setattr(
            box.directory, "rules", policy(operations={"dirsrv.restart": operation(ipaenabledflag="FALSE")})
        ),
        "denied",
        "operation-disabled",
    ),
    "the requester renamed": (
        lambda box: box.directory.people.update({ALICE.dn: replace(ALICE, principal="eve@TPI.TEST")}),
        "denied",
        "identity-changed",
    ),
    "the unit gone": (
        lambda box: setattr(box.systemd, "refusal", ActionFailedError("there is no such unit")),
        "denied",
        "action-failed",
    ),
}


@pytest.mark.parametrize("name", AFTER)
def test_each_refusal_between_approval_and_intent_is_the_end(box: Box, name: str) -> None:
    previewed(box)
    box.approve()
    prepare, outcome, code = AFTER[name]
    prepare(box)
    box.process()
    assert box.directory.of("ipaTpiExecution") == []
    ended(box, outcome, code)


def test_a_request_whose_entry_is_malformed_is_buried_in_the_journal(box: Box) -> None:
    for number, changes in enumerate(
        ({"ipatpidigest": "x"}, {"ipatpireason": "\u202e"}, {"ipatpitarget": "IPA1"})
    ):
        request_id = an_id(number)
        box.directory.ask(request_id=request_id, entry=changes)
        assert box.process(request_id) is None
        claim = box.claims.claim(request_id)
        assert claim is not None
        assert (claim.outcome, claim.code, claim.published) == (Outcome.DENIED, "malformed-request", True)
        box.process(request_id)
    assert box.audit.events().count("refused") == 3


def test_another_refusal_of_the_read_is_no_end(box: Box) -> None:
    box.ask()
    box.weather.fails["directory.load"] = RefusedError("no", code="directory-refused")
    with pytest.raises(RefusedError):
        box.process()
    assert box.claims.claim(REQUEST_ID) is None


def test_a_changed_precondition_is_the_end(box: Box) -> None:
    """No operation has one yet, so the journal is made to remember another."""
    previewed(box)
    box.approve()
    box.claims._change("UPDATE previews SET precondition = ?", canonical({"digest": "00"}))
    box.process()
    ended(box, "denied", "precondition-changed")


def test_too_many_requests_of_one_person(box: Box) -> None:
    ids = [an_id(number) for number in range(4)]
    for request_id in ids[:3]:
        box.ask(request_id=request_id)
        box.process(request_id)
    assert [len(box.directory.of("ipaTpiPreview", each)) for each in ids[:3]] == [1, 1, 1]
    box.ask(request_id=ids[3])
    box.process(ids[3])
    ended(box, "denied", "too-many-pending", ids[3])
    box.say("alice", "ipaTpiCancellation", bytes(32), ids[0])
    box.process(ids[0])
    box.ask(request_id=an_id(9))
    box.process(an_id(9))
    assert len(box.directory.of("ipaTpiPreview", an_id(9))) == 1


def test_more_than_the_directory_gives_at_once_are_too_many(box: Box) -> None:
    box.ask()
    box.weather.fails["directory.ids"] = DirectoryLimitError("there are more")
    box.process()
    box.weather.calm()
    ended(box, "denied", "too-many-pending")


def test_a_flood_does_not_cost_its_own_square(box: Box) -> None:
    """However many lie there, no more are read than it takes to say that they are too many."""
    for number in range(10, 40):
        box.ask(request_id=an_id(number))
    box.ask()
    box.weather.calm()
    box.process()
    assert box.weather.calls.count("directory.load") <= 1 + FLOOR.pending_per_operation
    assert box.claims.ended([REQUEST_ID, an_id(10)]) == {REQUEST_ID}


def test_its_own_preview_is_seen_as_it_was_added(box: Box) -> None:
    """Nothing wakes the executor for what it adds itself; changed later, it is not what was seen first."""
    box.ask()
    box.process()
    (preview,) = box.directory.of("ipaTpiPreview")
    entry_id = preview.attributes["ipatpientryid"][0].decode()
    assert entry_id in box.claims.memory(REQUEST_ID).fingerprints


def test_others_that_are_too_few_whatever_they_are_are_not_read(box: Box) -> None:
    for number in range(10, 10 + FLOOR.pending_per_operation - 1):
        box.ask(request_id=an_id(number))
    box.ask()
    box.weather.calm()
    box.process()
    assert len(box.directory.of("ipaTpiPreview")) == 1
    # Its own, before and after the preview.
    assert box.weather.calls.count("directory.load") == 2


def test_a_malformed_request_does_not_count_as_waiting(box: Box) -> None:
    for number in range(10, 20):
        box.ask(request_id=an_id(number), entry={"ipatpireason": [b"\x1b"]})
    box.directory.ids = lambda _: [an_id(number) for number in range(10, 21)]  # type: ignore[method-assign]
    box.ask()
    box.process()
    assert len(box.directory.of("ipaTpiPreview")) == 1


def test_the_limit_over_all_operations(tmp_path: Path) -> None:
    box = Box(tmp_path, replace(FLOOR, pending_per_person=1))
    box.ask(request_id=an_id(1))
    box.process(an_id(1))
    box.ask(request_id=an_id(2))
    box.process(an_id(2))
    ended(box, "denied", "too-many-pending", an_id(2))
    box.close()


def test_requests_of_others_and_of_old_do_not_count(box: Box) -> None:
    box.clock.go(-2 * 86400)
    for number in range(5):
        box.directory.ask(request_id=an_id(number))
    box.clock.go(2 * 86400)
    for number in range(5):
        box.directory.ask(person("dave"), request_id=an_id(10 + number))
    previewed(box)


# --- the last look ---------------------------------------------------------------


LAST: dict[str, tuple[Callable[[Box], object], str, str]] = {
    "a withdrawal": (lambda box: box.say("bob", "ipaTpiWithdrawal", bytes(32)), "denied", "withdrawn"),
    "a denial": (lambda box: box.say("carol", "ipaTpiDenial", bytes(32)), "denied", "denied-by-approver"),
    "a cancellation": (
        lambda box: box.say("alice", "ipaTpiCancellation", bytes(32)),
        "cancelled",
        "cancelled",
    ),
    "another execution": (
        lambda box: box.directory.put(
            EXECUTOR, REQUEST_ID, NewEntry(an_id(8), "ipaTpiExecution", {"ipaTpiNonce": [b"z"]})
        ),
        "denied",
        "forged-entry",
    ),
    "the window's end": (lambda box: box.clock.go(301), "expired", "expired"),
    "the approver disabled": (
        lambda box: box.directory.people.update({BOB.dn: replace(BOB, disabled=True)}),
        "denied",
        "withdrawn",
    ),
    "the rule gone": (
        lambda box: setattr(box.directory, "rules", policy(rule("operators ask", Right.REQUEST))),
        "denied",
        "withdrawn",
    ),
    "the unit gone": (
        lambda box: setattr(box.systemd, "refusal", ActionFailedError("there is no such unit")),
        "denied",
        "action-failed",
    ),
}


@pytest.mark.parametrize("name", LAST)
def test_what_is_found_at_the_last_look_counts(box: Box, name: str) -> None:
    previewed(box)
    box.approve()
    event, outcome, code = LAST[name]
    box.weather.then["directory.add ipaTpiExecution"] = lambda: event(box)
    box.process()
    ended(box, outcome, code)


def test_what_comes_after_the_claim_changes_nothing(box: Box) -> None:
    previewed(box)
    box.approve()
    box.weather.then["journal.take"] = lambda: box.say("carol", "ipaTpiDenial", box.about())
    box.process()
    assert box.outcomes() == ["executed"]
    box.process()
    assert box.outcomes() == ["executed"]


# --- the act ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ActionFailedError("systemd said no"), "failed"),
        (ServiceManagerError("D-Bus went away before the call"), "failed"),
        (OutcomeUnknownError("no answer in time"), "indeterminate"),
    ],
)
def test_how_an_act_can_end_badly(box: Box, error: Any, outcome: str) -> None:
    previewed(box)
    box.approve()
    box.weather.fails["systemd.run_job"] = error
    box.process()
    ended(box, outcome, error.code)


def test_a_job_that_did_not_succeed_is_failed(box: Box) -> None:
    previewed(box)
    box.approve()
    box.systemd.answer = "failed"
    box.process()
    assert box.outcomes() == ["failed"]
    assert "the job ended as failed" in box.excerpt()
    assert "journalctl -u" in box.excerpt()
    (result,) = box.directory.of("ipaTpiResult")
    assert result.attributes["ipatpiexitstatus"] == [b"1"]


@pytest.mark.parametrize("error", [ServiceManagerError("D-Bus went away"), ActionFailedError("no such unit")])
def test_what_goes_wrong_after_the_restart_does_not_make_it_undone(box: Box, error: Any) -> None:
    """DESIGN section 2: an act whose end is unknown gives `indeterminate`, never `failed`."""
    previewed(box)
    box.approve()
    box.weather.then["systemd.run_job"] = lambda: setattr(box.systemd, "refusal", error)
    box.process()
    assert box.systemd.acts == [UNIT]
    assert box.outcomes() in (["executed"], ["indeterminate"])


def test_an_act_is_never_run_for_a_machine_with_one_approval(box: Box) -> None:
    who = machine()
    box.directory.people[who.dn] = who
    asked = box.directory.ask(who)
    entry_id = box.prove("alice", "request", asked.digest, token=f"{who.principal}|1")
    there = box.directory.children[REQUEST_ID][entry_id]
    box.directory.children[REQUEST_ID][entry_id] = replace(there, creator=who.dn)
    box.process()
    box.approve("bob")
    box.process()
    assert box.systemd.acts == []
    box.approve("carol")
    box.process()
    assert box.systemd.acts == [UNIT]


def test_what_was_begun_still_counts_as_waiting(box: Box) -> None:
    """R-K20: an intent, or a claim, is no end."""
    for number in range(3):
        box.ask(request_id=an_id(number))
        box.claims.intend(an_id(number), f"nonce {number}", box.clock(), NewEntry(f"e{number}", "x", {}))
    box.ask()
    box.process()
    ended(box, "denied", "too-many-pending")


@pytest.mark.parametrize(("group", "outcomes"), [("", ["executed"]), (DAY, ["denied"])], ids=["old", "young"])
def test_memberships_that_are_too_young_do_not_count(box: Box, group: str, outcomes: list[str]) -> None:
    """X11: for an operation that demands an age the executor reads the groups too, at each judgement."""
    strict = operation(ipatpiminimumageseconds="3600")
    box.directory.rules = policy(operations={strict.name: strict})
    above = {DAY: {OPERATORS}, OPERATORS: {APPROVE_PERMISSION}}
    for dn in (DAY, OPERATORS, APPROVE_PERMISSION):
        changed = T0 if dn == group else OLD
        box.directory.known_groups[dn] = Group(dn, changed, frozenset(above.get(dn, ())))
    box.ask(operation_digest=strict.digest)
    box.process()
    box.clock.go(10)
    if not group:
        box.approve()
    box.process()
    assert box.outcomes() == outcomes
    if group:
        assert box.excerpt().startswith("membership-too-young: ")
