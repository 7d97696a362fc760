"""Approving, denying, withdrawing, cancelling: who may, when, on what; each refusal once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flow_scene import ZERO, Scene
from msgspec.structs import replace as replaced

from ipa_tpi.errors import DirectoryUnavailableError, TpiError
from ipa_tpi.model import Approval, Cancellation, Denial, Kind, Proof, Withdrawal
from ipa_tpi.ports import NewEntry
from tests.fakes import OTHER_HOST, REALM, START, executor_dn, new_id, permission_dn, person_dn, refused

STATES = (
    "awaiting-preview",
    "pending",
    "approved",
    "executing",
    "executed",
    "failed",
    "denied",
    "cancelled",
    "expired",
    "indeterminate",
)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def in_state(scene: Scene, state: str) -> str:
    """Make a request of alice's in a state, approved by bob where a state comes after that."""
    if state == "awaiting-preview":
        return scene.create().subtree.request.id
    if state in {"pending", "denied", "cancelled", "expired"}:
        request_id = scene.pending().subtree.request.id
        if state == "denied":
            scene.deny("carol", request_id)
        elif state == "cancelled":
            scene.cancel("alice", request_id)
        elif state == "expired":
            scene.clock.pass_seconds(301)
        return request_id
    request_id = scene.approved()
    if state == "executing":
        scene.executor.execution(request_id)
    elif state != "approved":
        scene.executor.result(request_id, state)
    return request_id


@pytest.mark.parametrize("state", STATES)
def test_the_states_of_this_table_are_what_they_are_called(scene: Scene, state: str) -> None:
    assert scene.state(in_state(scene, state)) == state


class TestApprove:
    def test_approval_and_proof_lie_there_as_the_approver(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        body = scene.voice("bob", request_id, "approve", comment="go on")
        seen = scene.approve("bob", request_id, body)
        (approval,) = seen.subtree.of(Approval)
        assert (approval.creator, approval.comment) == (person_dn("bob"), "go on")
        assert approval.digest == seen.standing.approval_digest == bytes.fromhex(body.digest)
        assert sorted(one.purpose for one in seen.subtree.of(Proof)) == ["approve", "request"]
        assert scene.audit.events()[-2:] == ["attempt", "approval-added"]
        assert scene.nudger.ids == [request_id, request_id]

    def test_it_counts_once_the_executor_has_verified_the_proof(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        seen = scene.approve("bob", request_id)
        assert (seen.standing.state.value, seen.standing.code) == ("pending", "proof-missing")
        scene.executor.receipt(request_id, "approve")
        assert scene.state(request_id) == "approved"

    @pytest.mark.parametrize("outcome", ["proof-invalid", ""])
    def test_a_receipt_that_says_no_counts_for_nothing(self, scene: Scene, outcome: str) -> None:
        request_id = scene.pending().subtree.request.id
        scene.approve("bob", request_id)
        if outcome:
            scene.executor.receipt(request_id, "approve", outcome)
        assert scene.state(request_id) == "pending"

    def test_a_receipt_by_another_executor_denies(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        (found,) = (one for one in scene.show("bob", request_id).subtree.of(Proof))
        entry = {"ipaTpiRefersTo": [found.entry_id.encode()], "ipaTpiOutcome": [b"verified"]}
        scene.realm.plant(executor_dn(OTHER_HOST), request_id, NewEntry(new_id(), "ipaTpiReceipt", entry))
        with refused("forged-entry"):
            scene.approve("bob", request_id)

    @pytest.mark.parametrize(
        ("uid", "code"),
        [
            ("alice", "self-approval"),
            ("dave", "not-found"),
            ("adam", "not-found"),
            ("grace", "not-found"),
            ("frank", "no-rule"),
        ],
    )
    def test_who_may_not(self, scene: Scene, uid: str, code: str) -> None:
        request_id = scene.pending().subtree.request.id
        body = scene.voice("bob", request_id, "approve")
        with refused(code):
            scene.approve(uid, request_id, body)
        assert (
            scene.audit.records[-1] | {"event": "refused", "code": code, "caller": f"{uid}@{REALM}"}
            == (scene.audit.records[-1])
        )
        assert scene.show("bob", request_id).subtree.of(Approval) == ()

    def test_r_a04_the_words(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        body = scene.voice("alice", request_id, "approve")
        with refused("self-approval", "same user cannot self-approve"):
            scene.approve("alice", request_id, body)
        assert scene.audit.records[-1]["code"] == "self-approval"
        assert "same user cannot self-approve" in str(scene.audit.records[-1]["message"])

    def test_r_x09_two_accounts_of_one_person(self, scene: Scene) -> None:
        request_id = scene.pending("erin").subtree.request.id
        with refused("same-person"):
            scene.approve("erin-admin", request_id)

    def test_a_requester_without_the_right_to_read_his_own_again(self, scene: Scene) -> None:
        request_id = scene.pending("grace").subtree.request.id
        assert scene.show("grace", request_id).subtree.request.id == request_id
        with refused("self-approval"):
            scene.approve("grace", request_id)

    def test_a_host_or_service_approves_nothing(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.change("bob", kind=Kind.SERVICE)
        with refused("not-a-person"):
            scene.approve("bob", request_id)

    def test_an_account_younger_than_the_request(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.clock.pass_seconds(5)
        scene.realm.change("bob", created=scene.clock())
        with refused("account-too-young"):
            scene.approve("bob", request_id)

    @pytest.mark.parametrize(
        ("state", "code"),
        [
            ("awaiting-preview", "awaiting-preview"),
            ("approved", "already-decided"),
            ("executing", "already-decided"),
            ("executed", "already-decided"),
            ("failed", "already-decided"),
            ("denied", "denied-by-approver"),
            ("cancelled", "cancelled"),
            ("expired", "expired"),
            ("indeterminate", "already-decided"),
        ],
    )
    def test_when_it_is_not_pending(self, scene: Scene, state: str, code: str) -> None:
        request_id = in_state(scene, state)
        with refused(code, state):
            scene.approve("erin", request_id)

    def test_once_a_person(self, scene: Scene) -> None:
        scene.realm.define(ipaTpiRequiredApprovals="2")
        request_id = scene.pending().subtree.request.id
        scene.approve("bob", request_id)
        with refused("already-voiced"):
            scene.approve("bob", request_id)
        with refused("already-voiced"):
            scene.deny("bob", request_id)

    def test_r_k10_another_digest(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        for digest in (ZERO, scene.show("bob", request_id).digest.hex()):
            with refused("digest-mismatch"):
                scene.approve("bob", request_id, scene.voice("bob", request_id, "approve", digest=digest))

    def test_r_x01_no_proof(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        with refused("proof-missing"):
            scene.approve("bob", request_id, scene.voice("bob", request_id, "approve", proof=None))

    def test_no_proof_where_the_floor_excepts_it(self, scene: Scene) -> None:
        entry = replace(scene.site.floor.operations["dirsrv.restart"], proof=False)
        scene.floor(operations={"dirsrv.restart": entry})
        request_id = scene.pending(prove=False).subtree.request.id
        seen = scene.approve("bob", request_id, scene.voice("bob", request_id, "approve", proof=None))
        assert seen.standing.state.value == "approved"

    @pytest.mark.parametrize(
        ("code", "changes"),
        [
            ("proof-unexpected-purpose", {"purpose": "deny"}),
            ("proof-unexpected-purpose", {"purpose": "offline"}),
            ("proof-wrong-digest", {"digest": ZERO}),
            ("proof-kind-unknown", {"kind": "sshsig"}),
            ("proof-invalid", {"token": b""}),
        ],
    )
    def test_a_proof_for_something_else(self, scene: Scene, code: str, changes: dict[str, object]) -> None:
        request_id = scene.pending().subtree.request.id
        body = scene.voice("bob", request_id, "approve")
        assert body.proof is not None
        with refused(code):
            scene.approve("bob", request_id, replaced(body, proof=replaced(body.proof, **changes)))
        assert scene.show("bob", request_id).subtree.of(Approval) == ()

    def test_a_comment_that_could_show_as_something_else(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        with refused("text-not-allowed"):
            scene.approve("bob", request_id, scene.voice("bob", request_id, "approve", comment="\u200b"))

    def test_the_proof_could_not_be_added(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.failing["add_child ipaTpiProof"] = [DirectoryUnavailableError("gone.")]
        with refused("proof-missing", f"ipa-tpi prove {request_id}"):
            scene.approve("bob", request_id)
        assert len(scene.show("bob", request_id).subtree.of(Approval)) == 1
        scene.prove("bob", request_id, "approve")
        scene.executor.receipt(request_id, "approve")
        assert scene.state(request_id) == "approved"

    def test_no_audit_no_approval(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.audit.broken.add("attempt")
        with refused("audit-unavailable"):
            scene.approve("bob", request_id)
        assert scene.show("bob", request_id).subtree.of(Approval) == ()

    def test_the_race_is_the_directorys_to_decide(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        flow, body = scene.flow("bob"), scene.voice("bob", request_id, "approve")
        scene.realm.failing["add_child ipaTpiApproval"] = []
        real = flow.directory.add_child

        def meanwhile(request: str, entry: NewEntry) -> None:
            flow.directory.add_child = real  # type: ignore[method-assign]
            scene.approve("bob", request_id, body)
            real(request, entry)

        flow.directory.add_child = meanwhile  # type: ignore[method-assign,assignment]
        with refused("already-voiced"):
            flow.approve(f"bob@{REALM}", request_id, body)
        assert len(scene.show("bob", request_id).subtree.of(Approval)) == 1


class TestWhatBlocks:
    """A request that could never run is not approved either; the reason is named."""

    def test_the_definition_changed(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.define(ipaTpiTimeoutSeconds="61")
        with refused("operation-changed"):
            scene.approve("bob", request_id)

    def test_the_operation_is_disabled(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.define(ipaEnabledFlag="FALSE")
        with refused("operation-disabled"):
            scene.approve("bob", request_id)

    def test_the_operation_is_gone(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.policy = replace(scene.realm.policy, operations={})
        with refused("unknown-operation"):
            scene.approve("bob", request_id)

    def test_the_requester_lost_his_right(self, scene: Scene) -> None:
        request_id = scene.pending("grace").subtree.request.id
        scene.realm.without_rule("requesters ask")
        with refused("no-rule", "grace@TPI.TEST may not request"):
            scene.approve("bob", request_id)

    def test_the_requesters_account_is_gone(self, scene: Scene) -> None:
        request_id = scene.pending("grace").subtree.request.id
        body = scene.voice("bob", request_id, "approve")
        del scene.realm.accounts[person_dn("grace")]
        with refused("requester-gone"):
            scene.approve("bob", request_id, body)

    def test_the_approver_lost_his_right(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.without_rule("operators approve")
        with refused("no-rule", "bob@TPI.TEST may not approve"):
            scene.approve("bob", request_id)

    def test_the_floor_does_not_know_it(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.floor(operations={})
        with refused("operation-not-on-floor"):
            scene.approve("bob", request_id)

    def test_somebody_wrote_another_digest_into_it(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        index = next(number for number, one in enumerate(scene.realm.entries) if one[:2] == (request_id, ""))
        raw = scene.realm.entries[index][2]
        changed = {**raw.attributes, "ipatpireason": [b"another"]}
        scene.realm.entries[index] = (request_id, "", replace(raw, attributes=changed))
        with refused("digest-mismatch"):
            scene.approve("bob", request_id)

    def test_a_forged_cancellation(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.plant(person_dn("dave"), request_id, _word("ipaTpiCancellation"))
        with refused("forged-veto"):
            scene.approve("bob", request_id)

    def test_a_forged_denial_and_one_without_effect(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        member_of = frozenset({permission_dn("TPI Approve")})
        scene.realm.change("frank", member_of=member_of)
        scene.realm.plant(person_dn("frank"), request_id, _word("ipaTpiDenial"))
        assert scene.state(request_id) == "pending"
        scene.realm.plant(person_dn("dave"), request_id, _word("ipaTpiDenial"))
        with refused("forged-veto"):
            scene.approve("bob", request_id)


ACTS: dict[str, Callable[[Scene, str], object]] = {
    "deny": lambda scene, request_id: scene.deny("carol", request_id),
    "withdraw": lambda scene, request_id: scene.withdraw("bob", request_id),
    "cancel": lambda scene, request_id: scene.cancel("alice", request_id),
}
ALIVE = ("awaiting-preview", "pending", "approved", "executing")


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("state", STATES)
def test_when_a_no_is_taken(scene: Scene, act: str, state: str) -> None:
    """R-K15: until the end; from an executing request too, since only the executor knows its last read."""
    request_id = in_state(scene, state)
    allowed = state in ALIVE and (act != "withdraw" or state in {"approved", "executing"})
    try:
        ACTS[act](scene, request_id)
        refusal = ""
    except TpiError as error:
        refusal = error.code
    assert (refusal == "") is allowed, refusal


class TestDeny:
    def test_it_denies(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        seen = scene.deny("bob", request_id)
        assert (seen.standing.state.value, seen.standing.code) == ("denied", "denied-by-approver")
        (denial,) = seen.subtree.of(Denial)
        assert denial.creator == person_dn("bob")
        assert scene.audit.events()[-1] == "denial-added"

    @pytest.mark.parametrize(
        ("uid", "code"),
        [("alice", "not-voter"), ("frank", "no-rule"), ("dave", "not-found"), ("grace", "not-found")],
    )
    def test_who_may_not(self, scene: Scene, uid: str, code: str) -> None:
        request_id = scene.pending().subtree.request.id
        with refused(code):
            scene.deny(uid, request_id)
        assert scene.state(request_id) == "pending"

    def test_the_requesters_other_account(self, scene: Scene) -> None:
        request_id = scene.pending("erin").subtree.request.id
        with refused("same-person"):
            scene.deny("erin-admin", request_id)

    def test_a_preview_that_came_meanwhile_does_not_stop_it(self, scene: Scene) -> None:
        request_id = scene.create().subtree.request.id
        body = scene.voice("bob", request_id, "deny")
        scene.executor.receipt(request_id, "request")
        scene.executor.preview(request_id)
        scene.flow("bob").deny(f"bob@{REALM}", request_id, body)
        assert scene.state(request_id) == "denied"

    def test_another_digest(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        with refused("digest-mismatch"):
            scene.flow("bob").deny(
                f"bob@{REALM}", request_id, scene.voice("bob", request_id, "deny", digest=ZERO)
            )

    def test_without_a_proof(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        body = scene.voice("bob", request_id, "deny", proof=None)
        assert scene.flow("bob").deny(f"bob@{REALM}", request_id, body).standing.state.value == "denied"


class TestWithdraw:
    def test_back_to_pending_and_the_voice_is_used(self, scene: Scene) -> None:
        request_id = scene.approved()
        seen = scene.withdraw("bob", request_id)
        assert seen.standing.state.value == "pending"
        assert [one.creator for one in seen.subtree.of(Withdrawal)] == [person_dn("bob")]
        with refused("already-voiced"):
            scene.approve("bob", request_id)
        scene.approve("carol", request_id)
        scene.executor.receipt(request_id, "approve")
        assert scene.state(request_id) == "approved"

    def test_once(self, scene: Scene) -> None:
        request_id = scene.approved()
        scene.withdraw("bob", request_id)
        with refused("nothing-to-withdraw"):
            scene.withdraw("bob", request_id)

    def test_only_ones_own(self, scene: Scene) -> None:
        request_id = scene.approved()
        with refused("nothing-to-withdraw"):
            scene.withdraw("carol", request_id)

    def test_another_digest(self, scene: Scene) -> None:
        request_id = scene.approved()
        with refused("digest-mismatch"):
            scene.flow("bob").withdraw(
                f"bob@{REALM}", request_id, scene.voice("bob", request_id, "withdraw", digest=ZERO)
            )


class TestCancel:
    def test_it_ends_the_request(self, scene: Scene) -> None:
        request_id = scene.approved()
        seen = scene.cancel("alice", request_id)
        assert seen.standing.state.value == "cancelled"
        assert [one.creator for one in seen.subtree.of(Cancellation)] == [person_dn("alice")]

    @pytest.mark.parametrize(("uid", "code"), [("bob", "not-requester"), ("dave", "not-found")])
    def test_only_the_requesters(self, scene: Scene, uid: str, code: str) -> None:
        request_id = scene.pending().subtree.request.id
        with refused(code):
            scene.cancel(uid, request_id)

    def test_twice(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.cancel("alice", request_id)
        with refused("cancelled"):
            scene.cancel("alice", request_id)

    def test_who_lost_every_right_still_cancels(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        scene.realm.change("alice", member_of=frozenset())
        body = scene.voice("bob", request_id, "cancel")
        assert scene.state(request_id) == "denied"
        seen = scene.flow("alice").cancel(f"alice@{REALM}", request_id, body)
        assert seen.standing.state.value == "cancelled"

    def test_another_digest(self, scene: Scene) -> None:
        request_id = scene.pending().subtree.request.id
        with refused("digest-mismatch"):
            scene.flow().cancel(
                f"alice@{REALM}", request_id, scene.voice("alice", request_id, "cancel", digest=ZERO)
            )


class TestProve:
    def test_the_requester(self, scene: Scene) -> None:
        request_id = scene.create(prove=False).subtree.request.id
        seen = scene.prove("alice", request_id, "request")
        assert [one.purpose for one in seen.subtree.of(Proof)] == ["request"]
        assert scene.audit.events()[-1] == "proof-added"

    def test_an_approver_again(self, scene: Scene) -> None:
        request_id = scene.approved()
        seen = scene.prove("bob", request_id, "approve")
        assert sorted(one.purpose for one in seen.subtree.of(Proof)) == ["approve", "approve", "request"]

    def test_who_said_no(self, scene: Scene) -> None:
        request_id = scene.approved()
        scene.withdraw("bob", request_id)
        scene.prove("bob", request_id, "withdraw")
        scene.deny("carol", request_id)
        scene.prove("carol", request_id, "deny")
        other = scene.pending().subtree.request.id
        scene.cancel("alice", other)
        scene.prove("alice", other, "cancel")

    @pytest.mark.parametrize(
        ("uid", "purpose", "code"),
        [
            ("bob", "request", "not-requester"),
            ("bob", "cancel", "not-voter"),
            ("alice", "cancel", "not-voter"),
            ("carol", "approve", "not-voter"),
            ("bob", "deny", "not-voter"),
            ("bob", "withdraw", "not-voter"),
            ("bob", "offline", "proof-unexpected-purpose"),
            ("bob", "nonsense", "proof-unexpected-purpose"),
            ("dave", "approve", "not-found"),
        ],
    )
    def test_for_what_one_did_not_say(self, scene: Scene, uid: str, purpose: str, code: str) -> None:
        request_id = scene.approved()
        with refused(code):
            scene.prove(uid, request_id, purpose)

    def test_on_another_digest(self, scene: Scene) -> None:
        request_id = scene.approved()
        with refused("proof-wrong-digest"):
            scene.prove("bob", request_id, "approve", ZERO)
        with refused("proof-wrong-digest"):
            scene.prove("alice", request_id, "request", scene.voice("bob", request_id, "approve").digest)

    def test_when_it_has_ended(self, scene: Scene) -> None:
        request_id = scene.approved()
        scene.executor.result(request_id)
        for uid, purpose in (("alice", "request"), ("bob", "approve")):
            with refused("already-decided"):
                scene.prove(uid, request_id, purpose)

    def test_no_audit_no_proof(self, scene: Scene) -> None:
        request_id = scene.create(prove=False).subtree.request.id
        scene.audit.broken.add("attempt")
        with refused("audit-unavailable"):
            scene.prove("alice", request_id, "request")
        assert scene.show("alice", request_id).subtree.children == ()

    def test_not_without_end(self, scene: Scene) -> None:
        request_id = scene.create().subtree.request.id
        for _ in range(63):
            scene.prove("alice", request_id, "request")
        with refused("proof-too-many"):
            scene.prove("alice", request_id, "request")


def test_a_request_made_by_a_service_needs_two(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    scene.realm.change("alice", kind=Kind.SERVICE)
    scene.realm.policy = replace(
        scene.realm.policy,
        rules=tuple(
            replace(rule, requesting=frozenset({person_dn("alice")})) for rule in scene.realm.policy.rules
        ),
    )
    seen = scene.show("bob", request_id)
    assert seen.terms.required_approvals == 2


def test_start() -> None:
    assert Scene().clock() == START


def _word(object_class: str) -> NewEntry:
    return NewEntry(new_id(), object_class, {"ipaTpiDigest": [ZERO.encode()]})
