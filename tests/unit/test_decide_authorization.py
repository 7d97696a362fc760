"""May this request run here, now: every check, at all three stages (DESIGN sections 2 to 4)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    APPROVE_PERMISSION,
    BOB,
    BODY,
    CAROL,
    DAVE,
    EXECUTOR,
    FLOOR,
    HOST,
    MACHINES_ASK,
    OLD,
    OTHER_EXECUTOR,
    RESTART,
    T0,
    TARGET,
    Entries,
    about,
    at,
    facts,
    machine,
    operation,
    person,
    policy,
    proven,
    request,
    rule,
    setting,
)

from ipa_tpi.decide.approval import Terms, Verified
from ipa_tpi.decide.authorization import (
    Authorization,
    Facts,
    Stage,
    authorize,
    check_definition,
    check_floor_parameters,
    judge_requester,
    judge_voice,
    terms_of,
)
from ipa_tpi.decide.digest import preview_body, sha256
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.model import (
    Account,
    Allow,
    Approval,
    Child,
    FloorOperation,
    Kind,
    NotYet,
    Operation,
    Outcome,
    Preview,
    Purpose,
    Refuse,
    Right,
    State,
)
from ipa_tpi.model import Stage as Step

STAGES: tuple[Stage, ...] = ("preview", "dispatch", "last")
NONCE = "mine"


def entries() -> Entries:
    """Give a fresh maker of entries."""
    return Entries(request())


def there(stage: Stage) -> list[Child]:
    """Give the entries that lie there at each stage when everything is right."""
    made = entries()
    found: list[Child] = [made.proof(ALICE, "request", 0)]
    if stage != "preview":
        found += [made.preview(), made.approval(BOB)]
    if stage == "last":
        found.append(made.execution(NONCE))
    return found


def right(stage: Stage, *more: Child, **changes: Any) -> Facts:
    """Give facts with which a stage is allowed, and then some."""
    memory = changes.pop("memory", {})
    if stage == "last":
        memory = {"own_nonce": NONCE} | memory
    return facts(*there(stage), *more, memory=memory, **changes)


def refused(found: Authorization, code: str, outcome: Outcome = Outcome.DENIED, *words: str) -> None:
    """Demand a refusal."""
    assert isinstance(found.decision, Refuse), found
    assert (found.decision.code, found.decision.outcome) == (code, outcome), found.decision
    for word in words:
        assert word in found.decision.message, found.decision


def everyone(*changed: Account) -> dict[str, Account | None]:
    """Give the accounts by DN, some changed."""
    return {who.dn: who for who in (ALICE, BOB, CAROL, DAVE, *changed)}


@pytest.mark.parametrize("stage", STAGES)
def test_with_everything_right_each_stage_is_allowed(stage: Stage) -> None:
    found = authorize(right(stage), stage)
    assert isinstance(found.decision, Allow), found
    assert found.standing is not None
    if stage != "preview":
        assert found.decision.by == f"approved by {BOB.dn}"


ALWAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "another target": ("wrong-target", {"target": "ipa2.tpi.test"}),
    "another executor": ("wrong-target", {"me": OTHER_EXECUTOR}),
    "a request made before the journal": (
        "older-than-journal",
        {"memory": {"journal_started": T0 + timedelta(seconds=1)}},
    ),
    "a request from the future": ("clock", {"now": -6}),
    "a request that is another now": (
        "seen-entry-changed",
        {"memory": {"fingerprints": {request().id: "of another"}}},
    ),
    "a veto that vanished": ("seen-entry-missing", {"memory": {"seen": frozenset({"an entry"})}}),
    "an unknown operation": ("unknown-operation", {"policy": policy(operations={})}),
    "a malformed operation": ("operation-malformed", {"policy": policy(malformed={"dirsrv.restart": "why"})}),
    "a disabled operation": (
        "operation-disabled",
        {"policy": policy(operations={"dirsrv.restart": operation(ipaenabledflag="FALSE")})},
    ),
    "an operation that is not on the floor": (
        "operation-not-on-floor",
        {"floor": replace(FLOOR, operations={})},
    ),
    "an instance that is not on the floor": (
        "below-floor",
        {"floor": replace(FLOOR, operations={"dirsrv.restart": FloorOperation(1, proof=True)})},
    ),
    "a changed definition": (
        "operation-changed",
        {"policy": policy(operations={"dirsrv.restart": operation(ipatpitimeoutseconds="61")})},
    ),
    "no account of the requester": ("requester-gone", {"accounts": everyone() | {ALICE.dn: None}}),
    "accounts that were not read": ("requester-gone", {"accounts": {}}),
    "a disabled requester": ("disabled", {"accounts": everyone(replace(ALICE, disabled=True))}),
    "an expired requester": ("expired-principal", {"accounts": everyone(replace(ALICE, expires=T0))}),
    "a requester without a person": (
        "no-person-attribute",
        {"accounts": everyone(replace(ALICE, persons=()))},
    ),
    "a requester of two people": (
        "no-person-attribute",
        {"accounts": everyone(replace(ALICE, persons=("1", "2")))},
    ),
    "a requester younger than the request": (
        "account-too-young",
        {"accounts": everyone(replace(ALICE, created=T0 + timedelta(seconds=1)))},
    ),
    "a requester without a rule": ("no-rule", {"policy": policy(rule())}),
    "a requester who was replaced": (
        "identity-changed",
        {"accounts": everyone(replace(ALICE, unique_id="1e0f1c3a-0000-4000-8000-000000000001"))},
    ),
    "a requester who is another person now": (
        "identity-changed",
        {"accounts": everyone(replace(ALICE, persons=("new",)))},
    ),
    "a host that is unknown": ("no-rule", {"host": None}),
    "a host that is in no rule": ("no-rule", {"host": replace(TARGET, dn="fqdn=other")}),
    "a malformed entry": ("malformed-entry", {"malformed": {"cn=x": "why"}}),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ALWAYS)
def test_each_fault_is_refused_at_each_stage(name: str, stage: Stage) -> None:
    code, changes = ALWAYS[name]
    refused(authorize(right(stage, **changes), stage), code)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"interface": "jacket"}, "interface-not-allowed"),
        ({"operation_digest": bytes(32)}, "operation-changed"),
        ({"parameters": {}}, "bad-parameters"),
        ({"parameters": {"instance": "x y"}}, "bad-parameters"),
        ({"parameters": {"instance": "DS02"}}, "below-floor"),
        ({"reason": "\u202e"}, "text-not-allowed"),
        ({"ticket": "\u200b"}, "text-not-allowed"),
        ({"digest": bytes(32)}, "digest-mismatch"),
        ({"target": "ipa2.tpi.test"}, "wrong-target"),
        ({"executor": OTHER_EXECUTOR}, "wrong-target"),
        ({"operation": "dirsrv.stop"}, "unknown-operation"),
    ],
)
def test_each_field_of_the_request_is_judged_at_each_stage(
    stage: Stage, changes: dict[str, Any], code: str
) -> None:
    refused(authorize(right(stage, asked=request(**changes)), stage), code)


@pytest.mark.parametrize("stage", STAGES)
def test_a_requester_of_another_realm_is_refused_by_name(stage: Stage) -> None:
    foreign = replace(ALICE, principal="alice@AD.TEST")
    changed = right(stage, accounts=everyone(foreign), asked=request(foreign), memory={"identities": {}})
    refused(authorize(changed, stage), "foreign-realm", Outcome.DENIED, "AD.TEST")


@pytest.mark.parametrize("stage", STAGES)
def test_the_requesters_account_may_change_in_what_is_no_identity(stage: Stage) -> None:
    changed = right(stage, accounts=everyone(replace(ALICE, display_name="Alice Married")))
    assert isinstance(authorize(changed, stage).decision, Allow)


@pytest.mark.parametrize("stage", STAGES)
def test_texts_that_the_definition_demands(stage: Stage) -> None:
    for name, code, text in (("reason", "reason-required", "INC-1"), ("ticket", "ticket-required", "T-1")):
        strict = operation(**{f"ipatpi{name}pattern": "[A-Z]+-[0-9]"})
        there_ = {"policy": policy(operations={"dirsrv.restart": strict})}
        for wrong in ("", "inc", text + "\n"):
            fields: dict[str, Any] = {"operation_digest": strict.digest, name: wrong}
            refused(
                authorize(right(stage, asked=request(**fields), **there_), stage),
                code,
                Outcome.DENIED,
                f"give --{name}",
            )
        fields = {"operation_digest": strict.digest, name: text}
        # An approval of the other request does not count for this one, so what comes later waits.
        found = authorize(right(stage, asked=request(**fields), **there_), stage).decision
        assert isinstance(found, {"preview": Allow, "dispatch": NotYet, "last": Refuse}[stage])
        assert getattr(found, "code", "withdrawn") in {"withdrawn", "approvals-missing"}


# --- clocks (DESIGN section 7) -------------------------------------------------


@pytest.mark.parametrize(("seconds", "code"), [(5, None), (6, "clock")])
def test_a_stamp_ahead_of_our_clock_by_more_than_the_skew_denies(seconds: float, code: str | None) -> None:
    made = Entries(request(), number=50)
    found = authorize(right("dispatch", made.proof(CAROL, seconds=60 + seconds)), "dispatch")
    if code is None:
        assert isinstance(found.decision, Allow)
    else:
        refused(found, code, Outcome.DENIED, "mend the clocks")


@pytest.mark.parametrize("skew", [0, 30])
def test_the_skew_is_the_floors(skew: int) -> None:
    made = Entries(request(), number=50)
    floor = replace(FLOOR, clock_skew_seconds=skew)
    ahead = authorize(right("dispatch", made.proof(CAROL, seconds=61 + skew), floor=floor), "dispatch")
    refused(ahead, "clock")
    assert isinstance(
        authorize(right("dispatch", made.proof(CAROL, seconds=60 + skew), floor=floor), "dispatch").decision,
        Allow,
    )


def test_an_entry_older_than_its_request_denies() -> None:
    made = Entries(request(), number=50)
    refused(
        authorize(right("dispatch", made.approval(CAROL, -1)), "dispatch"),
        "clock",
        Outcome.DENIED,
        "before the request",
    )


def test_the_window_runs_from_what_the_journal_saw_first() -> None:
    seen = {"first_seen": {request().id: at(-100)}}
    assert isinstance(authorize(right("preview", now=200, memory=seen), "preview").decision, Allow)
    refused(authorize(right("preview", now=201, memory=seen), "preview"), "expired", Outcome.EXPIRED)


def test_an_approval_of_two_names_both() -> None:
    floor = replace(
        FLOOR, operations={"dirsrv.restart": FloorOperation(2, proof=True, instances=frozenset({"DS01"}))}
    )
    more = Entries(request(), number=50).approval(CAROL)
    found = authorize(right("dispatch", more, floor=floor), "dispatch")
    assert found.decision == Allow(f"approved by {BOB.dn}, {CAROL.dn}")


def test_a_request_as_old_as_the_journal_is_taken() -> None:
    assert isinstance(authorize(right("preview", memory={"journal_started": T0}), "preview").decision, Allow)


# --- the journal (K13) -----------------------------------------------------------


def test_an_entry_in_our_name_that_we_did_not_write_is_forged() -> None:
    made = Entries(request(), number=50)
    for forged in (made.preview(), made.receipt("x"), made.execution("z"), made.result()):
        found = authorize(
            right(
                "dispatch", forged, memory={"written": frozenset({"00000002-0000-4000-8000-000000000000"})}
            ),
            "dispatch",
        )
        refused(found, "forged-entry", Outcome.DENIED, forged.dn)


def test_any_entry_in_our_name_that_our_journal_lacks_is_forged() -> None:
    """DESIGN section 3: an entry under its own DN that its journal lacks, of whatever class."""
    made = Entries(request(), number=50)
    for forged in (made.proof(EXECUTOR), made.withdrawal(EXECUTOR), made.approval(EXECUTOR)):
        refused(authorize(right("dispatch", forged), "dispatch"), "forged-entry", Outcome.DENIED, forged.dn)


def test_an_execution_of_ours_whose_end_is_unknown_is_never_begun_again() -> None:
    made = Entries(request(), number=50)
    for stage in STAGES[1:]:
        found = authorize(right(stage, made.execution("z", 30), now=391), stage)
        refused(found, "execution-exists", Outcome.INDETERMINATE)
        found = authorize(right(stage, made.result("executed"), made.result("failed")), stage)
        refused(found, "execution-exists", Outcome.INDETERMINATE)


def test_what_was_seen_and_is_still_there_is_no_fault() -> None:
    made = Entries(request(), number=50)
    withdrawal = made.withdrawal(CAROL, 5)
    found = authorize(
        right("dispatch", withdrawal, memory={"seen": frozenset({withdrawal.entry_id})}), "dispatch"
    )
    assert isinstance(found.decision, Allow)


def test_another_preview_than_the_journalled_one_denies() -> None:
    for stage in STAGES[1:]:
        refused(
            authorize(right(stage, memory={"preview_digest": sha256(b"other")}), stage), "preview-differs"
        )


def test_another_nonce_than_ours_stops_it() -> None:
    for nonce in ("", "other"):
        found = authorize(right("last", memory={"own_nonce": nonce}), "last")
        refused(found, "execution-exists", Outcome.INDETERMINATE)


# --- the preview stage -----------------------------------------------------------


def test_without_the_requesters_proof_the_preview_waits() -> None:
    found = authorize(right("preview", memory={"verified": frozenset()}), "preview")
    assert isinstance(found.decision, NotYet)
    assert found.decision.code == "proof-missing"
    assert "ipa-tpi prove" in found.decision.message
    assert found.standing is not None
    assert found.standing.deadline == at(300)


def test_without_a_preview_nothing_is_dispatched() -> None:
    waiting = facts(*there("preview"))
    found = authorize(waiting, "dispatch")
    assert isinstance(found.decision, NotYet)
    assert found.decision.code == "awaiting-preview"
    refused(authorize(waiting, "last"), "withdrawn")


def test_with_a_preview_that_waits_for_approvals_no_other_is_made() -> None:
    made = entries()
    assert isinstance(authorize(facts(made.preview()), "preview").decision, NotYet)


# --- the state decides ------------------------------------------------------------


def test_pending_waits_and_at_the_last_look_denies() -> None:
    made = entries()
    pending = facts(made.preview())
    found = authorize(pending, "dispatch")
    assert isinstance(found.decision, NotYet)
    assert found.decision.code == "approvals-missing"
    refused(authorize(pending, "last"), "withdrawn", Outcome.DENIED, "make a new request")


def test_an_approval_without_a_receipt_waits() -> None:
    found = authorize(right("dispatch", memory={"verified": proven(request())}), "dispatch")
    assert isinstance(found.decision, NotYet)
    assert found.decision.code == "proof-missing"


def test_where_the_floor_excepts_the_operation_no_proof_is_needed() -> None:
    floor = replace(
        FLOOR, operations={"dirsrv.restart": FloorOperation(1, proof=False, instances=frozenset({"DS01"}))}
    )
    for stage in STAGES:
        assert isinstance(
            authorize(right(stage, memory={"verified": frozenset()}, floor=floor), stage).decision, Allow
        )


ENDS: tuple[tuple[str, str, Outcome, float], ...] = (
    ("denial", "denied-by-approver", Outcome.DENIED, 60),
    ("cancellation", "cancelled", Outcome.CANCELLED, 60),
    ("expiry", "expired", Outcome.EXPIRED, 311),
)


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize(("name", "code", "outcome", "now"), ENDS)
def test_a_veto_or_expiry_ends_it(stage: Stage, name: str, code: str, outcome: Outcome, now: float) -> None:
    made = Entries(request(), number=50)
    more: dict[str, list[Child]] = {
        "denial": [made.denial(CAROL)],
        "cancellation": [made.cancellation()],
        "expiry": [],
    }
    refused(authorize(right(stage, *more[name], now=now), stage), code, outcome)


def test_a_request_that_expires_before_its_preview_is_expired() -> None:
    refused(authorize(right("preview", now=301), "preview"), "expired", Outcome.EXPIRED)


def test_a_withdrawal_waits_before_the_intent_and_denies_at_the_last_look() -> None:
    """DESIGN section 2: a withdrawal found at 6 gives `denied`."""
    made = Entries(request(), number=50)
    withdrawal = made.withdrawal(BOB, 50)
    assert isinstance(authorize(right("dispatch", withdrawal), "dispatch").decision, NotYet)
    refused(authorize(right("last", withdrawal), "last"), "withdrawn", Outcome.DENIED)


def test_a_withdrawal_found_at_the_last_look_denies_also_where_the_approval_window_has_passed() -> None:
    made = Entries(request(), number=50)
    there_ = entries()
    children = [
        there_.preview(),
        there_.approval(BOB, 290),
        there_.execution(NONCE, 400),
        made.withdrawal(BOB, 401),
    ]
    found = authorize(facts(*children, now=402, memory={"own_nonce": NONCE}), "last")
    refused(found, "withdrawn", Outcome.DENIED)


def test_what_ended_without_a_withdrawal_stays_expired_at_the_last_look() -> None:
    refused(authorize(right("last", now=311), "last"), "expired", Outcome.EXPIRED)


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_result_of_ours_stops_it(stage: Stage) -> None:
    for outcome in Outcome:
        made = Entries(request(), number=50)
        found = authorize(right(stage, made.result(outcome.value)), stage)
        assert isinstance(found.decision, Refuse)
        wanted = {
            Outcome.CANCELLED: ("cancelled", Outcome.CANCELLED),
            Outcome.EXPIRED: ("expired", Outcome.EXPIRED),
        }.get(outcome, ("execution-exists", Outcome.INDETERMINATE))
        assert (found.decision.code, found.decision.outcome) == wanted


# --- approvers --------------------------------------------------------------------

VOICES: dict[str, dict[str, Any]] = {
    "a disabled approver": {"accounts": everyone(replace(BOB, disabled=True))},
    "an approver who is gone": {"accounts": everyone() | {BOB.dn: None}},
    "an approver who was not read": {"accounts": {ALICE.dn: ALICE}},
    "an expired approver": {"accounts": everyone(replace(BOB, expires=T0))},
    "an approver younger than the request": {
        "accounts": everyone(replace(BOB, created=T0 + timedelta(seconds=1))),
        "memory": {"identities": {}},
    },
    "an approver without a person": {
        "accounts": everyone(replace(BOB, persons=())),
        "memory": {"identities": {}},
    },
    "an approver of two people": {
        "accounts": everyone(replace(BOB, persons=("1", "2"))),
        "memory": {"identities": {}},
    },
    "the requester's other account": {
        "accounts": everyone(replace(BOB, persons=ALICE.persons)),
        "memory": {"identities": {}},
    },
    "the requester's name": {
        "accounts": everyone(replace(BOB, principal="ALICE@TPI.TEST")),
        "memory": {"identities": {}},
    },
    "the requester's entry, renamed": {
        "accounts": everyone(replace(BOB, unique_id=ALICE.unique_id)),
        "memory": {"identities": {}},
    },
    "an approver who was replaced": {
        "accounts": everyone(replace(BOB, unique_id="1e0f1c3a-0000-4000-8000-000000000001"))
    },
    "an approver who is another person now": {"accounts": everyone(replace(BOB, persons=("new",)))},
    "an approver of another realm": {
        "accounts": everyone(replace(BOB, principal="bob@AD.TEST")),
        "memory": {"identities": {}},
    },
    "an approver without a rule": {"policy": policy(rule("operators ask", Right.REQUEST))},
    "a machine as approver": {
        "accounts": everyone(replace(BOB, kind=Kind.SERVICE)),
        "memory": {"identities": {}},
    },
}


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize("name", VOICES)
def test_an_approval_by_the_wrong_one_never_runs_anything(stage: Stage, name: str) -> None:
    found = authorize(right(stage, **VOICES[name]), stage)
    if stage == "dispatch":
        assert isinstance(found.decision, NotYet), found
    else:
        refused(found, "withdrawn")


def test_an_approver_of_another_realm_is_refused_even_without_a_proof() -> None:
    """DESIGN section 4: foreign realms are refused by name, also where the floor excepts the proof."""
    floor = replace(
        FLOOR, operations={"dirsrv.restart": FloorOperation(1, proof=False, instances=frozenset({"DS01"}))}
    )
    found = authorize(right("dispatch", **VOICES["an approver of another realm"], floor=floor), "dispatch")
    assert isinstance(found.decision, NotYet)
    assert found.standing is not None
    assert [refusal.code for refusal in found.standing.why.values()] == ["foreign-realm"]


def test_two_are_needed_where_a_machine_requested() -> None:
    who = machine()
    asked = request(who)
    made = Entries(asked)
    children: list[Child] = [made.preview(), made.approval(BOB), made.approval(CAROL, 11)]
    accounts = everyone() | {who.dn: who}
    one = facts(*children[:2], requester=who, accounts=accounts)
    assert isinstance(authorize(one, "dispatch").decision, NotYet)
    assert isinstance(
        authorize(facts(*children, requester=who, accounts=accounts), "dispatch").decision, Allow
    )
    assert MACHINES_ASK.name == "machines ask"


def test_the_floor_raises_the_number_of_approvals() -> None:
    floor = replace(
        FLOOR, operations={"dirsrv.restart": FloorOperation(2, proof=True, instances=frozenset({"DS01"}))}
    )
    assert isinstance(authorize(right("dispatch", floor=floor), "dispatch").decision, NotYet)
    more = Entries(request(), number=50).approval(CAROL)
    assert isinstance(authorize(right("dispatch", more, floor=floor), "dispatch").decision, Allow)


def test_a_forged_denial_denies_and_one_without_a_rule_does_not() -> None:
    made = Entries(request(), number=50)
    denial = made.denial(DAVE)
    no_rule = person("dave", member_of=frozenset({APPROVE_PERMISSION}))
    no_role = person("dave", member_of=frozenset())
    allowed = authorize(right("dispatch", denial, accounts=everyone(no_rule)), "dispatch")
    assert isinstance(allowed.decision, Allow), allowed
    refused(authorize(right("dispatch", denial, accounts=everyone(no_role)), "dispatch"), "forged-veto")


@pytest.mark.parametrize(
    "changes", [{"disabled": True}, {"persons": ()}, {"unique_id": "1e0f1c3a-0000-4000-8000-000000000001"}]
)
def test_a_veto_outlives_what_is_done_to_its_writers_account(changes: dict[str, Any]) -> None:
    made = Entries(request(), number=50)
    found = authorize(
        right("dispatch", made.denial(CAROL), accounts=everyone(replace(CAROL, **changes))), "dispatch"
    )
    assert isinstance(found.decision, Refuse)


# --- the parts ----------------------------------------------------------------------


def test_terms_are_the_stricter_of_definition_and_floor() -> None:
    strict = operation(ipatpirequiredapprovals="3")
    assert terms_of(RESTART, None, ALICE) == Terms(1, 300, 300, 60, proof=True)
    assert terms_of(strict, FloorOperation(2, proof=False), ALICE) == Terms(3, 300, 300, 60, proof=False)
    assert terms_of(RESTART, FloorOperation(4, proof=True), ALICE).required_approvals == 4
    assert terms_of(RESTART, None, machine()).required_approvals == 2
    assert terms_of(RESTART, None, None).required_approvals == 2
    staged = replace(
        RESTART, required_groups=frozenset({"cn=a"}), stages=(Step(1, 2, "cn=a"), Step(2, 1, "cn=b"))
    )
    assert terms_of(staged, None, ALICE) == Terms(
        3, 300, 300, 60, groups=staged.required_groups, stages=staged.stages
    )


def test_a_definition_without_patterns_demands_no_text() -> None:
    assert check_definition(request(reason="", ticket=""), RESTART) is None


def test_an_operation_without_an_instance_is_not_compared_with_the_floors() -> None:
    floor = FloorOperation(1, proof=True, instances=frozenset({"DS01"}))
    assert check_floor_parameters(request(parameters={}), floor, HOST) is None
    assert check_floor_parameters(request(), floor, HOST) is None
    found = check_floor_parameters(request(), FloorOperation(1, proof=True), HOST)
    assert found is not None
    assert (found.code, "ipa1.tpi.test" in found.message) == ("below-floor", True)


def test_a_unit_must_be_on_the_floor_and_be_one_that_may_be_named() -> None:
    asked = {name: request(operation=name, parameters={"unit": "dbus.service"}) for name in UNITS}
    there_ = FloorOperation(1, proof=True, units=frozenset({"dbus.service", "sshd.service", "sshd"}))
    for name, code in UNITS.items():
        found = check_floor_parameters(asked[name], there_, HOST)
        assert (found.code if found is not None else None) == code
        found = check_floor_parameters(asked[name], FloorOperation(1, proof=True), HOST)
        assert found is not None
        assert found.code == "below-floor"
    for unit, code in (("sshd.service", None), ("sshd", "bad-parameters")):
        named = request(operation="systemd.unit.restart", parameters={"unit": unit})
        found = check_floor_parameters(named, there_, HOST)
        assert (found.code if found is not None else None) == code


UNITS = {"systemd.unit.restart": "unit-reserved", "systemd.unit.status": None}


def test_judging_a_requester() -> None:
    assert judge_requester(request(), ALICE, setting()) is None
    for who, code in ((None, "requester-gone"), (replace(ALICE, created=at(1)), "account-too-young")):
        found = judge_requester(request(), who, setting())
        assert found is not None
        assert found.code == code
    assert judge_requester(request(), replace(ALICE, created=T0), setting()) is None


@pytest.mark.parametrize(
    ("who", "code", "forged"),
    [
        (BOB, None, False),
        (None, "unknown-principal", True),
        (ALICE, "self-approval", False),
        (replace(BOB, member_of=BOB.member_of - {APPROVE_PERMISSION}), "no-rule", True),
        (replace(BOB, member_of=frozenset({APPROVE_PERMISSION})), "no-rule", False),
        (replace(BOB, member_of=frozenset()), "no-rule", True),
        (replace(BOB, disabled=True), "disabled", False),
        (replace(BOB, created=T0), None, False),
        (replace(BOB, created=at(1)), "account-too-young", False),
        (replace(BOB, persons=ALICE.persons), "same-person", False),
        (machine(), "not-a-person", True),
    ],
)
def test_judging_a_voice(who: Account | None, code: str | None, forged: bool) -> None:
    found = judge_voice(who, request(), ALICE, setting())
    assert (found.refusal.code if found.refusal else None, found.forged) == (code, forged)
    usable = who if code != "disabled" else None
    assert found.identity == (identity_of(usable) if usable is not None else None)
    assert found.groups == (usable.member_of if usable is not None else frozenset())


def test_a_disabled_account_that_is_too_young_is_disabled() -> None:
    found = judge_voice(replace(BOB, disabled=True, created=at(1)), request(), ALICE, setting())
    assert found.refusal is not None
    assert found.refusal.code == "disabled"


def test_all_that_was_read_is_used_and_nothing_else() -> None:
    """The same facts give the same decision; nothing is kept between two calls."""
    for stage in STAGES:
        assert authorize(right(stage), stage) == authorize(right(stage), stage)


def test_a_preview_of_the_journal_must_lie_in_the_directory() -> None:
    """What people approved is what lies there: without the entry no approval counts."""
    made = entries()
    preview = made.preview()
    children: list[Child] = [made.approval(BOB)]
    found = authorize(facts(*children, memory={"preview_digest": preview.digest}), "dispatch")
    assert isinstance(found.decision, NotYet)


def test_types_of_what_lies_there() -> None:
    kinds = [type(child) for child in there("last")]
    assert Preview in kinds
    assert Approval in kinds
    assert preview_body({"action": "restart", "unit": "dirsrv@DS01.service"}, {}) == BODY
    assert (EXECUTOR in right("last").me, OLD < T0) == (True, True)
    assert Verified(BOB.dn, Purpose.APPROVE, about()) in right("last").memory.verified
    assert isinstance(RESTART, Operation)
    assert State.APPROVED.value == "approved"
