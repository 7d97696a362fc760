"""The state of a request, computed from its entries (DESIGN sections 2, 3 and 7; K12, K09, K10, K15)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    BOB,
    BODY,
    CAROL,
    DAVE,
    EXECUTOR,
    OTHER_EXECUTOR,
    REQUEST_DN,
    Entries,
    about,
    at,
    case,
    machine,
    person,
    proven,
    request,
    terms,
    voices,
)

from ipa_tpi.decide.approval import Case, Standing, Verified, Voice, required_approvals, standing
from ipa_tpi.decide.digest import canonical, preview_body, sha256
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.model import Approval, Child, Outcome, Purpose, Refuse, State

ASKED = request()
WITHDRAWN_AT = 20


def entries() -> Entries:
    """Give a fresh maker of entries."""
    return Entries(ASKED)


def state(*children: Child, **changes: Any) -> State:
    """Compute the state of a case."""
    return standing(case(*children, **changes)).state


def approved(*more: Child, made: Entries | None = None, **changes: Any) -> Standing:
    """Compute the standing of a request with a preview, bob's approval, and more."""
    made = made or Entries(ASKED, number=100)
    return standing(case(made.preview(), made.approval(), *more, **changes))


# --- the states, one by one --------------------------------------------------


def test_a_request_without_a_preview_awaits_it() -> None:
    found = standing(case())
    assert (found.state, found.code) == (State.AWAITING_PREVIEW, "awaiting-preview")
    assert found.deadline == at(300)
    assert (found.approval_digest, found.preview, found.counted) == (b"", None, ())


def test_a_request_whose_proof_is_missing_says_so() -> None:
    found = standing(case(verified=frozenset()))
    assert (found.state, found.code) == (State.AWAITING_PREVIEW, "proof-missing")
    assert f"ipa-tpi prove {ASKED.id}" in found.message


@pytest.mark.parametrize(
    "other",
    [
        Verified(BOB.dn, Purpose.REQUEST, ASKED.digest),
        Verified(ALICE.dn, Purpose.APPROVE, ASKED.digest),
        Verified(ALICE.dn, Purpose.REQUEST, about(ASKED)),
    ],
)
def test_only_the_requesters_own_proof_of_this_request_counts(other: Verified) -> None:
    assert standing(case(verified=frozenset({other}))).code == "proof-missing"


def test_where_the_floor_excepts_the_operation_no_proof_is_waited_for() -> None:
    assert standing(case(verified=frozenset(), terms=terms(proof=False))).code == "awaiting-preview"


def test_with_a_preview_it_is_pending() -> None:
    made = entries()
    preview = made.preview()
    found = standing(case(preview))
    assert (found.state, found.code) == (State.PENDING, "approvals-missing")
    assert "1 more approval" in found.message
    assert (found.preview, found.approval_digest) == (preview, about(ASKED))


def test_with_an_approval_it_is_approved() -> None:
    found = approved()
    assert (found.state, found.code, found.why) == (State.APPROVED, "", {})
    assert [approval.creator for approval in found.counted] == [BOB.dn]
    assert found.deadline == at(10 + 300)


def test_what_waits_for_the_requesters_ticket_says_so() -> None:
    for found, state in (
        (standing(case(unticketed=True)), State.AWAITING_PREVIEW),
        (approved(unticketed=True), State.APPROVED),
        (approved(entries().execution(), unticketed=True), State.EXECUTING),
    ):
        assert (found.state, found.code) == (state, "proof-missing")
        assert f"the requester runs: ipa-tpi prove {ASKED.id}" in found.message
    # What it waits for before that comes first.
    made = entries()
    assert standing(case(made.preview(), unticketed=True)).code == "approvals-missing"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_result_is_the_state(outcome: Outcome) -> None:
    found = approved(entries().execution(), entries().result(outcome.value, excerpt="because"))
    assert (found.state.value, found.code, found.message) == (outcome.value, "", "because")


def test_an_execution_shows_as_executing() -> None:
    assert approved(entries().execution()).state is State.EXECUTING


def test_what_each_state_is_said_to_be() -> None:
    made = entries()
    preview, other = made.preview(), made.preview(body=preview_body({"action": "stop"}, {}))
    spoiled = replace(preview, digest=bytes(32))
    refused = replace(voices()[ALICE.dn], refusal=Refuse("disabled", "she is disabled"))
    again = "make a new request"
    said: list[tuple[Standing, State, str, str]] = [
        (
            standing(case()),
            State.AWAITING_PREVIEW,
            "awaiting-preview",
            "the target has not yet shown what it would do",
        ),
        (approved(), State.APPROVED, "", ""),
        (approved(made.execution()), State.EXECUTING, "", "the target has begun"),
        (
            approved(made.execution(), now=400),
            State.INDETERMINATE,
            "indeterminate",
            f"it was begun and its end is not known; look at the target, then {again}",
        ),
        (
            approved(made.result("executed"), made.result("failed")),
            State.INDETERMINATE,
            "indeterminate",
            f"the executor left several different results; {again}",
        ),
        (
            approved(made.denial(CAROL), voices=voices(BOB) | {CAROL.dn: refused}),
            State.DENIED,
            "disabled",
            "a denial lies below the request, and she is disabled. Make a new request.",
        ),
        (
            standing(case(preview, other)),
            State.DENIED,
            "preview-differs",
            f"the request bears previews that differ; {again}",
        ),
        (
            standing(case(spoiled)),
            State.DENIED,
            "malformed-entry",
            f"the preview's content does not fit its digest or form; {again}, and tell an auditor",
        ),
    ]
    assert [(found.state, found.code, found.message) for found, *_ in said] == [
        tuple(row) for _, *row in said
    ]


def test_why_an_approval_does_not_count_is_said() -> None:
    made = entries()
    preview, older, late = made.preview(), made.approval(BOB, -1), made.approval(CAROL, 300)
    other = made.approval(DAVE, 10, bytes(32))
    refused = standing(case(preview, older, late, other)).why
    assert [refused[each.entry_id].message for each in (older, late, other)] == [
        "the approval is older than the request; mend the clocks, then make a new request",
        "the approval came after the window; make a new request",
        "the approval is about something else than this request with this preview; look again, then approve",
    ]
    code = {(BOB.dn, "approve"): "proof-wrong-digest"}
    wrong = standing(case(preview, made.approval(), verified=proven(ASKED), refused_proofs=code))
    assert wrong.message == (
        "the target refused the proof by bob@TPI.TEST: what was signed is not what lies here. The service may have "
        "shown something else: tell an auditor, and look again before anything is signed"
    )
    found = standing(case(verified=frozenset(), refused_proofs={(ALICE.dn, "request"): "proof-delegated"}))
    assert found.code == "proof-missing"


# --- precedence --------------------------------------------------------------

STRONGER: tuple[tuple[str, Callable[[Entries], Child], State], ...] = (
    ("result", lambda made: made.result("failed"), State.FAILED),
    ("execution", lambda made: made.execution(), State.EXECUTING),
    ("cancellation", lambda made: made.cancellation(), State.CANCELLED),
    ("denial", lambda made: made.denial(CAROL), State.DENIED),
)


@pytest.mark.parametrize("upper", range(len(STRONGER)))
@pytest.mark.parametrize("lower", range(len(STRONGER)))
def test_of_two_the_stronger_is_the_state(upper: int, lower: int) -> None:
    made = entries()
    two = STRONGER[upper][1](made), STRONGER[lower][1](made)
    assert approved(*two).state is STRONGER[min(upper, lower)][2]


def test_a_veto_is_stronger_than_expiry_and_expiry_than_all_else() -> None:
    made = entries()
    assert state(made.cancellation(), now=1000) is State.CANCELLED
    assert state(made.denial(), now=1000) is State.DENIED
    assert state(now=301) is State.EXPIRED
    assert state(made.preview(), now=301) is State.EXPIRED
    assert approved(now=311).state is State.EXPIRED


# --- the table of K12: state, event, state after ------------------------------

BEFORE: dict[State, Callable[[Entries], list[Child]]] = {
    State.AWAITING_PREVIEW: lambda _: [],
    State.PENDING: lambda made: [made.preview()],
    State.APPROVED: lambda made: [made.preview(), made.approval()],
    State.EXECUTING: lambda made: [made.preview(), made.approval(), made.execution()],
    State.EXECUTED: lambda made: [made.preview(), made.approval(), made.execution(), made.result("executed")],
    State.FAILED: lambda made: [made.preview(), made.approval(), made.execution(), made.result("failed")],
    State.DENIED: lambda made: [made.preview(), made.denial(CAROL)],
    State.CANCELLED: lambda made: [made.preview(), made.cancellation()],
    State.EXPIRED: lambda made: [made.preview()],
    State.INDETERMINATE: lambda made: [
        made.preview(),
        made.approval(),
        made.execution(),
        made.result("indeterminate"),
    ],
}
LATER = 400  # when the window of a request that is expired has ended
EVENTS: dict[str, Callable[[Entries, float], Child]] = {
    "preview": lambda made, when: made.preview(when),
    "approval": lambda made, when: made.approval(DAVE, when),
    "denial": lambda made, when: made.denial(DAVE, when),
    "withdrawal": lambda made, when: made.withdrawal(BOB, when),
    "cancellation": lambda made, when: made.cancellation(ALICE, when),
    "execution": lambda made, when: made.execution("n1", when),
    "result": lambda made, when: made.result("executed", when),
    "forged preview": lambda made, when: made.preview(when, who=BOB.dn),
    "forged execution": lambda made, when: made.execution("n1", when, who=OTHER_EXECUTOR),
    "forged result": lambda made, when: made.result("executed", when, who=ALICE.dn),
    "forged receipt": lambda made, when: made.receipt("x", when, who=BOB.dn),
    "forged cancellation": lambda made, when: made.cancellation(BOB, when),
    "conflict": lambda made, when: made.approval(DAVE, when, conflict=True),
}
SAME = "same"
LIVING = (State.AWAITING_PREVIEW, State.PENDING, State.APPROVED)
DENYING = {
    "forged preview",
    "forged execution",
    "forged result",
    "forged receipt",
    "forged cancellation",
    "conflict",
}


def after(before: State, event: str) -> State:
    """Give the state that DESIGN demands after an event."""
    if event == "result" and before not in {State.EXECUTED, State.FAILED, State.INDETERMINATE}:
        return State.EXECUTED  # the executor's word, whatever it was before
    if event == "result":
        return State.EXECUTED if before is State.EXECUTED else State.INDETERMINATE  # two different ends
    if event == "execution" and before in {*LIVING, State.DENIED, State.CANCELLED, State.EXPIRED}:
        return State.EXECUTING
    if before is State.EXPIRED:
        return State.DENIED if event in DENYING - {"forged cancellation"} else before
    if before in LIVING:
        moved = {
            (State.AWAITING_PREVIEW, "preview"): State.PENDING,
            (State.PENDING, "approval"): State.APPROVED,
            (State.APPROVED, "withdrawal"): State.PENDING,
        }
        vetoes = {"denial": State.DENIED, "cancellation": State.CANCELLED} | dict.fromkeys(
            DENYING, State.DENIED
        )
        return moved.get((before, event), vetoes.get(event, before))
    if before is State.DENIED and event == "cancellation":
        return State.CANCELLED  # precedence: a cancellation in time is stronger than a denial
    return before


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("event", list(EVENTS))
def test_each_state_and_each_event(before: State, event: str) -> None:
    made = entries()
    there = BEFORE[before](made)
    now = LATER if before is State.EXPIRED else 60
    assert state(*there, now=now) is before
    came = EVENTS[event](made, now - 5)
    assert state(*there, came, now=now) is after(before, event)


@pytest.mark.parametrize("event", ["approval", "withdrawal", "denial", "cancellation"])
def test_nothing_by_people_leaves_the_end(event: str) -> None:
    for before in set(State) - set(LIVING) - {State.DENIED}:
        assert after(before, event) is before


# --- windows, to the second (K09, A03) ----------------------------------------


@pytest.mark.parametrize(
    ("now", "expected"), [(299, State.PENDING), (300, State.PENDING), (301, State.EXPIRED)]
)
def test_the_approval_window(now: float, expected: State) -> None:
    found = standing(case(entries().preview(), now=now))
    assert (found.state, found.deadline) == (expected, at(300))
    if expected is State.EXPIRED:
        assert found.code == "expired"
        assert "2026-03-01 12:05:00 UTC; make a new request" in found.message


@pytest.mark.parametrize(
    ("seconds", "expected"), [(299, State.APPROVED), (300, State.EXPIRED), (301, State.EXPIRED)]
)
def test_an_approval_at_the_edge_of_the_window(seconds: float, expected: State) -> None:
    made = entries()
    late = made.approval(BOB, seconds)
    found = standing(case(made.preview(), late, now=301))
    assert found.state is expected
    if expected is State.EXPIRED:
        assert found.why[late.entry_id].code == "too-late"


@pytest.mark.parametrize(
    ("now", "expected"), [(309, State.APPROVED), (310, State.APPROVED), (311, State.EXPIRED)]
)
def test_the_execution_window_runs_from_the_approval_that_completed_the_count(
    now: float, expected: State
) -> None:
    assert approved(now=now).state is expected


@pytest.mark.parametrize(("now", "expected"), [(550, State.APPROVED), (551, State.EXPIRED)])
def test_of_two_needed_the_second_completes(now: float, expected: State) -> None:
    found = approved(entries().approval(CAROL, 250), entries().approval(DAVE, 260), terms=terms(2), now=now)
    assert (found.state, found.deadline) == (expected, at(550))


@pytest.mark.parametrize(
    ("now", "expected"), [(389, State.EXECUTING), (390, State.EXECUTING), (391, State.INDETERMINATE)]
)
def test_an_execution_without_a_result(now: float, expected: State) -> None:
    """Execution window and timeout run from the execution."""
    found = approved(entries().execution(seconds=30), now=now)
    assert found.state is expected
    if expected is State.INDETERMINATE:
        assert "look at the target" in found.message


@pytest.mark.parametrize(("now", "expected"), [(280, State.PENDING), (281, State.EXPIRED)])
def test_the_window_runs_from_the_first_sight_where_that_is_earlier(now: float, expected: State) -> None:
    found = standing(case(entries().preview(), now=now, first_seen={ASKED.id: at(-20)}))
    assert (found.state, found.deadline) == (expected, at(280))


def test_a_later_first_sight_does_not_lengthen_the_window() -> None:
    assert standing(case(first_seen={ASKED.id: at(200)})).deadline == at(300)


def test_an_approval_counts_from_its_first_sight_where_that_is_earlier() -> None:
    made = entries()
    preview, approval = made.preview(), made.approval(BOB, 305)
    found = standing(case(preview, approval, now=306, first_seen={approval.entry_id: at(299)}))
    assert (found.state, found.deadline) == (State.APPROVED, at(599))
    assert state(preview, approval, now=306, first_seen={approval.entry_id: at(310)}) is State.EXPIRED


# --- which approvals count ----------------------------------------------------


def why(approval: Approval, *more: Child, **changes: Any) -> tuple[State, Refuse | None]:
    """Give the state with this approval, and why it does not count."""
    found = standing(case(Entries(ASKED, number=200).preview(), approval, *more, **changes))
    return found.state, found.why.get(approval.entry_id)


def demand(answer: tuple[State, Refuse | None], code: str, *words: str) -> None:
    """Demand that an approval did not count, for this reason."""
    assert answer[0] is State.PENDING
    assert answer[1] is not None
    assert answer[1].code == code
    for word in words:
        assert word in answer[1].message


def test_the_requesters_own_approval_does_not_count() -> None:
    demand(why(entries().approval(ALICE)), "self-approval", "same user cannot self-approve")


def test_an_approval_by_somebody_whom_the_rules_do_not_let_does_not_count() -> None:
    demand(why(entries().approval(CAROL), voices=voices(BOB, forged=[CAROL])), "no-rule")


def test_an_approval_by_nobody_known_does_not_count() -> None:
    demand(why(entries().approval("uid=ghost")), "unknown-principal", "cannot be used")


def test_an_approval_without_an_identity_does_not_count() -> None:
    demand(why(entries().approval(BOB), voices={BOB.dn: Voice(None)}), "unknown-principal")


@pytest.mark.parametrize("digest", [sha256(b"other"), ASKED.digest, sha256(BODY), b"\0" * 32])
def test_an_approval_of_something_else_does_not_count(digest: bytes) -> None:
    demand(why(entries().approval(BOB, digest=digest)), "digest-mismatch", "something else")


def test_an_approval_before_the_preview_does_not_count() -> None:
    approval = replace(entries().approval(BOB), digest=b"")
    found = standing(case(approval))
    assert found.state is State.AWAITING_PREVIEW
    assert found.why[approval.entry_id].code == "digest-mismatch"


def test_an_approval_older_than_its_request_does_not_count() -> None:
    demand(why(entries().approval(BOB, -1)), "clock", "older than the request")
    assert why(entries().approval(BOB, 0))[0] is State.APPROVED


def test_an_approval_without_a_verified_proof_does_not_count() -> None:
    answer = standing(case(entries().preview(), entries().approval(BOB), verified=proven(ASKED)))
    assert (answer.state, answer.code) == (State.PENDING, "proof-missing")
    demand(
        why(entries().approval(BOB), verified=proven(ASKED)),
        "proof-missing",
        f"ipa-tpi prove {ASKED.id}",
        "bob@",
    )


@pytest.mark.parametrize(
    "other",
    [
        Verified(CAROL.dn, Purpose.APPROVE, about(ASKED)),
        Verified(BOB.dn, Purpose.DENY, about(ASKED)),
        Verified(BOB.dn, Purpose.APPROVE, ASKED.digest),
    ],
)
def test_only_the_approvers_own_proof_of_this_approval_counts(other: Verified) -> None:
    demand(why(entries().approval(BOB), verified=frozenset({other})), "proof-missing")


def test_a_proof_that_the_target_refused_is_not_called_missing() -> None:
    """What was signed was something else: that is no reason to sign again, but to ask who showed it."""
    answer = why(
        entries().approval(BOB),
        verified=frozenset(),
        refused_proofs={(BOB.dn, "approve"): "proof-wrong-digest"},
    )
    demand(answer, "proof-wrong-digest", "tell an auditor")
    made = Entries(ASKED, number=200)
    found = standing(
        case(
            made.preview(),
            made.approval(BOB),
            verified=proven(ASKED),
            refused_proofs={(BOB.dn, "approve"): "proof-wrong-digest"},
        )
    )
    assert (found.state, found.code) == (State.PENDING, "proof-missing")
    assert "tell an auditor" in found.message


@pytest.mark.parametrize("code", ["proof-stale", "proof-indicator-missing"])
def test_a_proof_whose_ticket_was_not_enough_is_made_again(code: str) -> None:
    """R-A12, R-X11: nobody did wrong; who made it is told to make another."""
    terms_now = terms(indicators=frozenset({"otp"}))
    said = {"refused_proofs": {(BOB.dn, "approve"): code, (ALICE.dn, "request"): code}, "terms": terms_now}
    lacks, first = {
        "proof-stale": ("was not got for this alone, just now, with the factor", "runs: ipa-tpi prove"),
        "proof-indicator-missing": (
            "lacks the factor otp",
            "runs kinit -T ARMOR (otp), then: ipa-tpi prove",
        ),
    }[code]
    answer = why(entries().approval(BOB), verified=frozenset(), **said)
    assert answer == (
        State.PENDING,
        Refuse(code, f"the proof's ticket {lacks}; bob@TPI.TEST {first} {ASKED.id}"),
    )
    found = standing(case(verified=frozenset(), **said))
    assert (found.state, found.code) == (State.AWAITING_PREVIEW, code)
    assert found.message == f"the proof's ticket {lacks}; the requester {first} {ASKED.id}"


def test_where_the_floor_excepts_the_operation_an_approval_needs_no_proof() -> None:
    assert why(entries().approval(BOB), verified=frozenset(), terms=terms(proof=False))[0] is State.APPROVED


def test_two_approvals_of_one_account_count_once() -> None:
    made = entries()
    first, second = made.approval(BOB), made.approval(BOB, 11)
    found = standing(case(made.preview(), first, second, terms=terms(2)))
    assert (found.state, found.counted) == (State.PENDING, (first,))
    assert found.why[second.entry_id].code == "self-approval"


def test_two_accounts_of_one_person_count_once() -> None:
    erin, admin = person("erin", "1006"), person("erin-admin", "1006")
    made = entries()
    first, second = made.approval(erin), made.approval(admin, 11)
    found = standing(
        case(
            made.preview(),
            second,
            first,
            terms=terms(2),
            voices=voices(erin, admin),
            verified=proven(ASKED, erin, admin),
        )
    )
    assert (found.state, found.counted) == (State.PENDING, (first,))
    assert found.why[second.entry_id].code == "same-person"


def test_a_person_of_whom_one_account_withdrew_still_has_the_other() -> None:
    """A withdrawal silences its writer only; the other account's approval never counted beside it."""
    erin, admin = person("erin", "1006"), person("erin-admin", "1006")
    made = entries()
    there = [made.preview(), made.approval(erin), made.approval(admin, 11), made.withdrawal(erin)]
    found = standing(case(*there, voices=voices(erin, admin), verified=proven(ASKED, erin, admin)))
    assert [approval.creator for approval in found.counted] == [admin.dn]


def test_the_number_of_approvals_needed() -> None:
    made = entries()
    there = [made.preview(), made.approval(BOB), made.approval(CAROL, 11), made.approval(DAVE, 12)]
    for needed in (1, 2, 3):
        assert state(*there[: needed + 1], terms=terms(needed)) is State.APPROVED
        found = standing(case(*there[:needed], terms=terms(needed)))
        assert (found.state, found.message) == (State.PENDING, "1 more approval is needed")


@pytest.mark.parametrize(
    ("operation", "floor", "is_person", "expected"),
    [(1, 1, True, 1), (1, 2, True, 2), (3, 2, True, 3), (1, 1, False, 2), (3, 1, False, 3), (1, 4, False, 4)],
)
def test_required_approvals(operation: int, floor: int, is_person: bool, expected: int) -> None:
    assert required_approvals(operation, floor, requester_is_person=is_person) == expected


# --- vetoes -------------------------------------------------------------------


def test_a_denial_by_an_approver_denies() -> None:
    found = approved(entries().denial(CAROL))
    assert (found.state, found.code, found.message) == (
        State.DENIED,
        "denied-by-approver",
        "denied by carol@TPI.TEST; ask why before you make a new request",
    )


def test_a_denial_before_the_preview_denies() -> None:
    assert state(entries().denial(CAROL)) is State.DENIED


def test_a_denial_on_another_digest_denies_too() -> None:
    """It only denies, so what it is about does not matter."""
    assert approved(replace(entries().denial(CAROL), digest=b"\1" * 32)).state is State.DENIED


def test_a_withdrawal_by_somebody_who_may_write_none_denies() -> None:
    found = approved(entries().withdrawal(CAROL), voices=voices(BOB, forged=[CAROL]))
    assert (found.state, found.code) == (State.DENIED, "forged-veto")
    assert CAROL.dn in found.message


def test_a_forged_denial_denies_and_is_named() -> None:
    found = approved(entries().denial(CAROL), voices=voices(BOB, forged=[CAROL]))
    assert (found.state, found.code) == (State.DENIED, "forged-veto")
    assert CAROL.dn in found.message


@pytest.mark.parametrize("code", ["no-rule", "not-a-person"])
def test_a_denial_by_somebody_who_has_the_coarse_role_but_no_rule_has_no_effect(code: str) -> None:
    refused = Voice(Refuse(code, "may not approve"), identity=identity_of(CAROL))
    assert approved(entries().denial(CAROL), voices=voices(BOB) | {CAROL.dn: refused}).state is State.APPROVED


def test_the_requesters_own_denial_has_no_effect_and_that_of_an_account_like_his_denies() -> None:
    """Whoever can make an approver's account look like the requester's does not silence him by that."""
    assert approved(entries().denial(ALICE)).state is State.APPROVED
    twin = Voice(Refuse("self-approval", "same user"), identity=identity_of(CAROL))
    found = approved(entries().denial(CAROL), voices=voices(BOB) | {CAROL.dn: twin})
    assert (found.state, found.code) == (State.DENIED, "self-approval")


def test_the_requesters_cancellation_stands_before_another_ones() -> None:
    made = entries()
    found = approved(made.cancellation(CAROL, 20), made.cancellation(ALICE, 30))
    assert (found.state, found.code) == (State.CANCELLED, "cancelled")


def test_without_the_requesters_proof_nothing_is_approved_whatever_the_preview_says() -> None:
    """R-X01: the floor may have been tightened after the preview was made without a proof."""
    made = Entries(ASKED, number=300)
    shown = (made.preview(), made.approval(BOB))
    without = proven(ASKED, BOB, requested=False)
    found = standing(case(*shown, verified=without))
    assert (found.state, found.code) == (State.PENDING, "proof-missing")
    assert "the requester runs: ipa-tpi prove" in found.message
    assert standing(case(*shown, verified=without, terms=terms(proof=False))).state is State.APPROVED
    assert standing(case(*shown, verified=proven(ASKED, BOB))).state is State.APPROVED


@pytest.mark.parametrize(
    "code",
    [
        "disabled",
        "expired-principal",
        "identity-changed",
        "account-too-young",
        "no-person-attribute",
        "same-person",  # whoever can write the person attribute cannot silence a veto with it
    ],
)
def test_a_denial_whose_writers_account_was_spoiled_still_denies(code: str) -> None:
    """DESIGN section 3: denies on any change, a missing or disabled entry, or one younger than the request.

    Whoever can disable or rename an approver's account must not be able to undo his veto with it.
    """
    refused = Voice(
        Refuse(code, "the account of carol@TPI.TEST is not what it was"), identity=identity_of(CAROL)
    )
    found = approved(entries().denial(CAROL), voices=voices(BOB) | {CAROL.dn: refused})
    assert (found.state, found.code) == (State.DENIED, code)


def test_a_denial_by_an_account_that_is_gone_denies() -> None:
    assert approved(entries().denial("uid=ghost")).state is State.DENIED


def test_a_cancellation_by_the_requester_cancels() -> None:
    found = approved(entries().cancellation())
    assert (found.state, found.code) == (State.CANCELLED, "cancelled")


def test_a_cancellation_by_another_denies_and_is_named() -> None:
    found = approved(entries().cancellation(BOB))
    assert (found.state, found.code) == (State.DENIED, "forged-veto")
    assert BOB.dn in found.message


@pytest.mark.parametrize(("seconds", "expected"), [(310, True), (311, False)])
def test_a_veto_counts_until_the_deadline_and_not_after(seconds: float, expected: bool) -> None:
    made = entries()
    for veto, vetoed in (
        (made.denial(CAROL, seconds), State.DENIED),
        (made.cancellation(ALICE, seconds), State.CANCELLED),
    ):
        assert approved(veto, now=400).state is (vetoed if expected else State.EXPIRED)


def test_a_late_forged_cancellation_changes_nothing() -> None:
    assert state(entries().cancellation(BOB, 301), now=302) is State.EXPIRED


def test_a_withdrawal_returns_approved_to_pending() -> None:
    made = entries()
    preview, approval = made.preview(), made.approval()
    found = standing(case(preview, approval, made.withdrawal()))
    assert (found.state, found.code, found.deadline) == (State.PENDING, "approvals-missing", at(300))
    assert found.why[approval.entry_id].code == "withdrawn"


def test_who_withdrew_cannot_approve_again() -> None:
    made = entries()
    again = made.approval(BOB, 30)
    found = standing(case(made.preview(), made.approval(), made.withdrawal(), again))
    assert found.state is State.PENDING
    assert found.why[again.entry_id].code == "withdrawn"


def test_another_can_still_approve_after_a_withdrawal() -> None:
    made = entries()
    there = [made.preview(), made.approval(), made.withdrawal(), made.approval(CAROL, 250)]
    found = standing(case(*there))
    assert ([each.creator for each in found.counted], found.deadline) == ([CAROL.dn], at(550))


def test_a_withdrawal_after_the_approval_window_leaves_nothing_to_wait_for() -> None:
    assert approved(entries().withdrawal(BOB, 305), now=306).state is State.EXPIRED


def test_a_late_withdrawal_changes_nothing() -> None:
    """Stamped after the execution window, it cannot turn what was approved then into something else."""
    found = approved(entries().withdrawal(BOB, 311), now=312)
    assert (found.state, [each.creator for each in found.counted]) == (State.EXPIRED, [BOB.dn])


def test_a_withdrawal_is_late_only_by_the_deadline_that_held_when_it_came() -> None:
    """Bob's withdrawal at 250 leaves carol's approval at 200, good until 500: hers at 400 is in time."""
    made = entries()
    there = [made.preview(), made.approval(BOB, 10), made.approval(CAROL, 200), made.withdrawal(BOB, 250)]
    assert state(*there, now=401) is State.APPROVED
    assert state(*there, made.withdrawal(CAROL, 400), now=401) is not State.APPROVED


def test_a_denial_is_late_only_by_the_deadline_that_held_when_it_came() -> None:
    made = entries()
    there = [made.preview(), made.approval(BOB, 10), made.denial(CAROL, 305), made.withdrawal(BOB, 308)]
    assert state(*there, now=309) is State.DENIED


def test_each_of_several_withdrawals_holds() -> None:
    made = entries()
    two = [made.preview(), made.approval(BOB, 10), made.approval(CAROL, 11)]
    gone = [made.withdrawal(BOB, 20), made.withdrawal(CAROL, 21)]
    assert state(*two, gone[0]) is state(*two, gone[1]) is State.APPROVED
    assert state(*two, *gone) is State.PENDING


def test_a_denial_by_who_approved_moves_no_deadline() -> None:
    made = entries()
    found = approved(made.denial(BOB, 305), made.cancellation(ALICE, 308), now=309)
    assert found.state is State.CANCELLED


def test_a_late_veto_does_not_hide_one_in_time() -> None:
    for late in (True, False):
        made = entries()
        order = [311, 50] if late else [50, 311]
        denials = [made.denial(CAROL, seconds) for seconds in order]
        assert approved(*denials, now=312).code == "denied-by-approver"
        cancellations = [made.cancellation(ALICE, seconds) for seconds in order]
        assert approved(*cancellations, now=312).state is State.CANCELLED


def test_a_withdrawal_by_nobody_known_changes_nothing() -> None:
    assert approved(entries().withdrawal("cn=nobody")).state is State.APPROVED


def test_a_withdrawal_by_somebody_else_takes_nothing_back() -> None:
    assert approved(entries().withdrawal(CAROL)).state is State.APPROVED
    assert approved(entries().withdrawal(ALICE)).state is State.APPROVED


# --- entries that only the executor may write ---------------------------------


@pytest.mark.parametrize("who", [ALICE.dn, BOB.dn, OTHER_EXECUTOR, "cn=directory manager", ""])
def test_what_the_executor_alone_may_write_denies_by_anybody_else(who: str) -> None:
    made = entries()
    for forged in (
        made.preview(who=who),
        made.receipt("x", who=who),
        made.execution(who=who),
        made.result(who=who),
    ):
        found = approved(forged)
        assert (found.state, found.code) == (State.DENIED, "forged-entry")
        assert who in found.message


@pytest.mark.parametrize(
    "make",
    [
        lambda made: made.approval(CAROL, conflict=True),
        lambda made: made.proof(CAROL, conflict=True),
        lambda made: made.withdrawal(CAROL, conflict=True),
        lambda made: made.receipt("x", conflict=True),
        lambda made: made.preview(conflict=True),
    ],
)
def test_a_conflict_entry_only_denies(make: Callable[[Entries], Child]) -> None:
    found = approved(make(entries()))
    assert (found.state, found.code) == (State.DENIED, "malformed-entry")
    assert "replication conflict" in found.message


def test_a_conflicting_approval_alone_never_approves() -> None:
    made = entries()
    assert state(made.preview(), made.approval(BOB, conflict=True)) is State.DENIED


def test_vetoes_and_ends_in_conflict_entries_count() -> None:
    made = entries()
    assert approved(made.denial(CAROL, conflict=True)).state is State.DENIED
    assert approved(made.cancellation(conflict=True)).state is State.CANCELLED
    assert approved(made.execution(conflict=True)).state is State.EXECUTING
    assert approved(made.result("executed", conflict=True)).state is State.EXECUTED


def test_a_malformed_entry_denies() -> None:
    made = case(entries().preview(), entries().approval())
    spoiled = replace(made, subtree=replace(made.subtree, malformed={"cn=x": "the entry cn=x is malformed"}))
    found = standing(spoiled)
    assert (found.state, found.code, found.message) == (
        State.DENIED,
        "malformed-entry",
        "the entry cn=x is malformed",
    )


@pytest.mark.parametrize("lender", ["request", "proof"])
def test_nothing_bears_the_id_of_another(lender: str) -> None:
    """First sights are kept by id: a late approval would be as old as the entry whose id it took."""
    made = entries()
    preview, proof, late = made.preview(), made.proof(BOB), made.approval(BOB, 350)
    entry_id = ASKED.id if lender == "request" else proof.entry_id
    borrowed = replace(late, entry_id=entry_id, dn=f"ipatpientryid={entry_id}+objectclass=top,{REQUEST_DN}")
    found = standing(case(preview, proof, borrowed, now=351, first_seen={entry_id: ASKED.created}))
    assert (found.state, found.code) == (State.DENIED, "malformed-entry")
    assert "bears the id of another" in found.message


def test_a_refusal_found_elsewhere_denies() -> None:
    found = approved(blocked=Refuse("operation-disabled", "it is disabled"))
    assert (found.state, found.code) == (State.DENIED, "operation-disabled")


def test_a_refusal_found_elsewhere_with_its_own_outcome() -> None:
    assert approved(blocked=Refuse("x", "y", Outcome.EXPIRED)).state is State.EXPIRED


def test_our_own_unclaimed_intent_does_not_stand_in_its_way() -> None:
    assert approved(entries().execution("mine"), own_nonce="mine").state is State.APPROVED
    assert approved(entries().execution("mine", conflict=True), own_nonce="mine").state is State.APPROVED


def test_our_own_intent_twice_under_one_id_does_not_stand_in_its_way() -> None:
    """A directory that replicates may show it twice, once as a conflict."""
    intent = entries().execution("mine")
    again = replace(intent, dn=f"nsuniqueid=1+{intent.dn}", conflict=True)
    assert approved(intent, again, own_nonce="mine").state is State.APPROVED
    assert approved(intent, replace(again, nonce="other"), own_nonce="mine").state is State.EXECUTING


def test_another_conflict_denies_also_where_we_have_an_intent() -> None:
    found = approved(entries().receipt("x", conflict=True), own_nonce="mine")
    assert (found.state, found.code) == (State.DENIED, "malformed-entry")


def test_another_nonce_denies_it() -> None:
    made = entries()
    assert approved(made.execution("other"), own_nonce="mine").state is State.EXECUTING
    assert (
        approved(made.execution("mine"), made.execution("other"), own_nonce="mine").state is State.EXECUTING
    )
    assert approved(made.execution("mine"), own_nonce="").state is State.EXECUTING


def test_an_execution_without_a_nonce_is_never_our_own() -> None:
    assert approved(entries().execution(""), own_nonce="").state is State.EXECUTING


def test_our_nonce_by_another_is_forged() -> None:
    found = approved(entries().execution("mine", who=OTHER_EXECUTOR), own_nonce="mine")
    assert (found.state, found.code) == (State.DENIED, "forged-entry")


def test_of_several_executions_the_oldest_counts() -> None:
    made = entries()
    there = made.execution("a", 30), made.execution("b", 100)
    assert approved(*there, now=391).state is State.INDETERMINATE


def test_several_equal_results_are_one() -> None:
    made = entries()
    assert approved(made.result("executed"), made.result("executed", 50)).state is State.EXECUTED


def test_several_different_results_are_indeterminate() -> None:
    found = approved(entries().result("executed"), entries().result("denied"))
    assert (found.state, found.code) == (State.INDETERMINATE, "indeterminate")
    assert "make a new request" in found.message


# --- previews -----------------------------------------------------------------


def test_the_same_preview_twice_is_one() -> None:
    made = entries()
    assert state(made.preview(), made.preview(2), made.approval()) is State.APPROVED


def test_two_different_previews_deny() -> None:
    other = preview_body({"action": "stop"}, {})
    found = approved(entries().preview(body=other))
    assert (found.state, found.code) == (State.DENIED, "preview-differs")
    assert "make a new request" in found.message


def test_a_preview_that_is_not_the_journalled_one_denies() -> None:
    assert approved(preview_digest=sha256(BODY)).state is State.APPROVED
    found = approved(preview_digest=sha256(b"another"))
    assert (found.state, found.code) == (State.DENIED, "preview-differs")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        canonical({"shown": 1}),
        canonical({"precondition": {}}),
        canonical({"shown": 1, "precondition": {}, "more": 1}),
        b'{"shown": 1,"precondition":{}}',
        b'{"precondition":{},"shown":1.5}',
        b"\xff",
    ],
)
def test_a_preview_of_another_form_denies(body: bytes) -> None:
    made = entries()
    found = standing(case(made.preview(body=body)))
    assert (found.state, found.code) == (State.DENIED, "malformed-entry")
    assert (found.preview, found.approval_digest) == (None, b"")


def test_a_stored_digest_is_not_trusted() -> None:
    found = standing(case(entries().preview(digest=sha256(b"what bob was told"))))
    assert (found.state, found.code) == (State.DENIED, "malformed-entry")


# --- what the standing tells --------------------------------------------------


def test_a_machine_counts_as_nobody_has_no_name() -> None:
    voice = Voice(None, identity=None)
    found = approved(entries().denial(machine().dn), voices=voices(BOB) | {machine().dn: voice})
    assert found.message.startswith("denied by an unknown account; ")


def test_the_subtree_gives_one_class_oldest_first() -> None:
    made = entries()
    late, early, other = made.approval(BOB, 20), made.approval(CAROL, 10), made.proof()
    subtree = case(late, other, early).subtree
    assert subtree.of(Approval) == (early, late)
    assert subtree.of(Child) == ()


def test_of_one_second_the_smaller_id_is_first() -> None:
    made = entries()
    one, two = made.approval(BOB, 10), made.approval(CAROL, 10)
    assert standing(case(made.preview(), two, one)).counted == (one, two)


def test_names_of_entries_do_not_matter() -> None:
    approval = replace(entries().approval(), dn=f"cn=denial,{REQUEST_DN}")
    assert state(Entries(ASKED, number=50).preview(), approval) is State.APPROVED


def test_the_executor_itself_approves_nothing() -> None:
    assert state(entries().preview(), entries().approval(EXECUTOR)) is State.PENDING


def test_a_case_has_safe_defaults() -> None:
    bare = case()
    found = standing(Case(bare.subtree, bare.digest, terms(), at(1)))
    assert (found.state, found.code) == (State.AWAITING_PREVIEW, "proof-missing")
