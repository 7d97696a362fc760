"""Making a request: what lies in the directory afterwards, and each refusal once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flow_scene import ZERO, Scene, proof

from ipa_tpi.errors import DirectoryUnavailableError
from ipa_tpi.model import FloorOperation, Proof, State
from tests.fakes import FLOOR, OPERATION, OTHER_HOST, REALM, START, executor_dn, person_dn, refused


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_request_and_proof_lie_there_as_the_caller(scene: Scene) -> None:
    seen = scene.create(reason="it hangs", ticket="T-1")
    request = seen.subtree.request
    assert request.creator == person_dn("alice")
    assert request.created == START
    assert request.executor == executor_dn()
    assert (request.parameters, request.reason, request.ticket) == ({"instance": "DS01"}, "it hangs", "T-1")
    assert request.digest == seen.digest
    (found,) = seen.subtree.of(Proof)
    assert (found.creator, found.purpose, found.digest) == (person_dn("alice"), "request", request.digest)
    assert (found.token, found.mic, found.kind) == (b"token", b"mic", "gss")


def test_it_awaits_the_preview_and_this_hosts_executor_is_woken(scene: Scene) -> None:
    seen = scene.create()
    assert (seen.standing.state, seen.standing.code) == (State.AWAITING_PREVIEW, "proof-missing")
    assert scene.nudger.ids == [seen.subtree.request.id]
    scene.create(target=OTHER_HOST, parameters={"instance": "X"})
    assert len(scene.nudger.ids) == 1


def test_two_records_one_before_and_one_after(scene: Scene) -> None:
    request_id = scene.create().subtree.request.id
    assert scene.audit.events() == ["attempt", "request-created"]
    assert {record["request"] for record in scene.audit.records} == {request_id}
    assert {record["caller"] for record in scene.audit.records} == {f"alice@{REALM}"}
    assert "token" not in str(scene.audit.records)
    assert "mic" not in str(scene.audit.records)


def test_a_request_without_a_proof_waits_for_it(scene: Scene) -> None:
    seen = scene.create(prove=False)
    assert (seen.standing.code, seen.subtree.children) == ("proof-missing", ())


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("bad-id", {"id": "x"}),
        ("bad-id", {"id": "7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10\n"}),
        ("bad-input", {"target": "Localhost"}),
        ("interface-not-allowed", {"interface": "framework"}),
        ("interface-not-allowed", {"interface": "jacket"}),
        ("interface-not-allowed", {"interface": "direct"}),
        ("interface-not-allowed", {"interface": "carrier pigeon"}),
        ("unknown-operation", {"operation": "dirsrv.erase"}),
        ("target-not-served", {"target": "nowhere.tpi.test"}),
        ("below-floor", {"parameters": {"instance": "OTHER"}}),
        ("operation-changed", {"operation_digest": ZERO}),
        ("bad-parameters", {"parameters": {}}),
        ("bad-parameters", {"parameters": {"instance": "DS01", "force": "yes"}}),
        ("text-not-allowed", {"reason": "soon\u202egnp"}),
        ("text-not-allowed", {"ticket": "a\nb"}),
        ("digest-mismatch", {"digest": ZERO}),
        ("proof-unexpected-purpose", {"proof": proof("approve", ZERO)}),
        ("proof-wrong-digest", {"proof": proof("request", ZERO)}),
        ("proof-kind-unknown", {"proof": proof("request", ZERO, kind="sshsig")}),
    ],
)
def test_refused_without_a_trace_in_the_directory(scene: Scene, code: str, changes: dict[str, Any]) -> None:
    with refused(code):
        scene.create(**changes)
    assert scene.realm.entries == []
    assert scene.audit.events() == ["refused"]
    assert scene.audit.codes() == [code]


def test_an_empty_token_is_no_proof(scene: Scene) -> None:
    digest = scene.body(id="7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10").digest
    with refused("proof-invalid"):
        scene.create(id="7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10", proof=proof("request", digest, mic=b""))


@pytest.mark.parametrize("uid", ["dave", "adam", "frank"])
def test_who_has_no_rule_may_not_request(scene: Scene, uid: str) -> None:
    with refused("no-rule"):
        scene.create(uid)


@pytest.mark.parametrize("uid", ["alice", "bob", "carol", "erin", "erin-admin", "grace"])
def test_who_has_a_rule_may(scene: Scene, uid: str) -> None:
    assert scene.create(uid).names[person_dn(uid)] == f"{uid}@{REALM}"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("disabled", {"disabled": True}),
        ("expired-principal", {"expires": START - timedelta(seconds=1)}),
        ("no-person-attribute", {"persons": ()}),
        ("no-person-attribute", {"persons": ("1", "2")}),
        ("unknown-principal", {"unique_id": ""}),
        ("account-too-young", {"created": START + timedelta(seconds=9)}),
    ],
)
def test_an_account_that_may_take_no_part(scene: Scene, code: str, changes: dict[str, object]) -> None:
    body = scene.body()
    scene.realm.change("alice", **changes)
    with refused(code):
        scene.flow().create(f"alice@{REALM}", body)


@pytest.mark.parametrize(
    ("code", "caller"),
    [
        ("foreign-realm", "alice@ELSEWHERE.TEST"),
        ("foreign-realm", f"alice@ELSEWHERE.TEST@{REALM}"),
        ("unknown-principal", "alice"),
        ("unknown-principal", f"nobody@{REALM}"),
        ("not-canonical", f"alice.smith@{REALM}"),
        ("not-canonical", f"ALICE@{REALM}"),
        ("caller-mismatch", f"bob@{REALM}"),
    ],
)
def test_a_name_that_is_not_the_connections(scene: Scene, code: str, caller: str) -> None:
    with refused(code):
        scene.flow("alice").create(caller, scene.body())
    assert scene.audit.records[-1]["caller"] == caller


def test_several_accounts_of_one_name(scene: Scene) -> None:
    scene.realm.aliases[f"alice@{REALM}"] = person_dn("bob")
    with refused("ambiguous-principal"):
        scene.create()


def test_a_disabled_or_malformed_operation(scene: Scene) -> None:
    scene.realm.define(ipaEnabledFlag="FALSE")
    with refused("operation-disabled"):
        scene.create()
    body = scene.body()
    scene.realm.policy = replace(scene.realm.policy, operations={}, malformed={OPERATION: "has no name"})
    with refused("operation-malformed"):
        scene.flow().create(f"alice@{REALM}", body)


def test_reason_and_ticket_where_the_definition_demands_them(scene: Scene) -> None:
    scene.realm.define(ipaTpiReasonPattern=".{3,}", ipaTpiTicketPattern="T-[0-9]+")
    with refused("reason-required"):
        scene.create()
    with refused("ticket-required"):
        scene.create(reason="broken")
    assert scene.create(reason="broken", ticket="T-7").subtree.request.ticket == "T-7"


def test_an_interface_that_the_operation_does_not_allow(scene: Scene) -> None:
    scene.realm.define(ipaTpiInterface=["framework", "web"])
    with refused("interface-not-allowed"):
        scene.create(interface="cli")
    scene.create(interface="web")


def test_the_floor_is_this_hosts_alone(scene: Scene) -> None:
    scene.floor(operations={})
    with refused("operation-not-on-floor"):
        scene.create()
    assert scene.create(target=OTHER_HOST).subtree.request.target == OTHER_HOST


def test_an_id_is_used_once(scene: Scene) -> None:
    request_id = scene.create().subtree.request.id
    with refused("id-taken"):
        scene.create("bob", id=request_id)


def test_the_directory_has_its_own_word(scene: Scene) -> None:
    scene.realm.change(
        "alice", member_of=frozenset({"cn=tpi-operators,cn=groups,cn=accounts,dc=tpi,dc=test"})
    )
    with refused("directory-refused"):
        scene.create()
    assert scene.audit.events() == ["attempt", "refused"]


class TestLimits:
    """R-K20."""

    def test_per_operation(self, scene: Scene) -> None:
        for _ in range(3):
            scene.create()
        with refused("too-many-pending", "3 of them"):
            scene.create()
        scene.create("bob")

    def test_the_operations_own_limit_can_only_be_lower(self, scene: Scene) -> None:
        scene.realm.define(ipaTpiPendingLimit="1")
        scene.create()
        with refused("too-many-pending"):
            scene.create()
        scene.realm.define(ipaTpiPendingLimit="9")
        for _ in range(3):
            scene.create()
        with refused("too-many-pending"):
            scene.create()

    def test_per_person(self, scene: Scene) -> None:
        scene.floor(pending_per_person=2)
        scene.create()
        scene.create()
        with refused("too-many-pending"):
            scene.create()

    def test_what_has_ended_does_not_count(self, scene: Scene) -> None:
        scene.floor(pending_per_operation=1)
        first = scene.create().subtree.request.id
        scene.cancel("alice", first)
        second = scene.create().subtree.request.id
        scene.executor.result(second)
        third = scene.create().subtree.request.id
        with refused("too-many-pending"):
            scene.create()
        scene.clock.pass_seconds(301)
        assert scene.state(third) == "expired"
        scene.create()

    def test_an_approved_one_counts(self, scene: Scene) -> None:
        scene.floor(pending_per_operation=1)
        scene.approved()
        with refused("too-many-pending"):
            scene.create()


class TestTrouble:
    """Nothing is done without an audit record, and nothing is decided on half a read."""

    def test_no_audit_no_request(self, scene: Scene) -> None:
        scene.audit.broken.add("attempt")
        with refused("audit-unavailable"):
            scene.create()
        assert scene.realm.entries == []

    def test_no_audit_afterwards_is_told(self, scene: Scene) -> None:
        scene.audit.broken.add("request-created")
        with refused("audit-unavailable", "recorded below request"):
            scene.create()
        assert len(scene.nudger.ids) == 1

    def test_a_refusal_that_cannot_be_audited_is_still_none_that_passes(self, scene: Scene) -> None:
        scene.audit.broken.add("refused")
        with refused("audit-unavailable"):
            scene.create("dave")
        assert scene.realm.entries == []

    @pytest.mark.parametrize("call", ["account", "whoami", "policy", "headings", "add_request", "load"])
    def test_a_directory_that_does_not_answer(self, scene: Scene, call: str) -> None:
        body = scene.body()
        scene.realm.failing[call] = [DirectoryUnavailableError("gone")]
        with refused("directory-unavailable"):
            scene.flow().create(f"alice@{REALM}", body)
        assert scene.audit.events()[-1] == "failed"

    def test_the_proof_could_not_be_added(self, scene: Scene) -> None:
        body = scene.body()
        scene.realm.failing["add_child ipaTpiProof"] = [DirectoryUnavailableError("gone.")]
        with refused("proof-missing", f"ipa-tpi prove {body.id}"):
            scene.flow().create(f"alice@{REALM}", body)
        assert scene.state(body.id) == "awaiting-preview"
        scene.prove("alice", body.id, "request")

    def test_a_request_that_cannot_be_read_back(self, scene: Scene) -> None:
        scene.realm.unreadable = True
        with refused("unavailable", "cannot be read back"):
            scene.create()

    def test_a_directory_that_goes_before_it_is_read_back(self, scene: Scene) -> None:
        """Nobody is told that nothing was done when all of it was."""
        body = scene.body()
        scene.realm.failing["load"] = [DirectoryUnavailableError("gone.")]
        with refused(
            "directory-unavailable", f"recorded below request {body.id}.*gone.*ipa-tpi show {body.id}"
        ):
            scene.flow().create(f"alice@{REALM}", body)
        assert scene.state(body.id) == "awaiting-preview"


def test_the_floor_of_the_fakes_is_a_real_one() -> None:
    assert isinstance(FLOOR.operations[OPERATION], FloorOperation)
