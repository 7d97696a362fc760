"""Who could still approve, and why others could not: judged as an approval that is really given (K16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flow_scene import Scene

from ipa_tpi.errors import DirectoryUnavailableError, TpiError
from ipa_tpi.flow import Approvers
from ipa_tpi.model import State
from tests.fakes import HOST, REALM, START, person_dn, refused

OPERATORS = ("alice", "bob", "carol", "erin", "erin-admin")
OTHERS = ("dave", "adam", "grace", "frank")


@pytest.fixture
def scene() -> Scene:
    return Scene()


def ask(scene: Scene, request_id: str, user: str = "", caller: str = "alice") -> Approvers:
    return scene.flow(caller).approvers(f"{caller}@{REALM}", request_id, user)


def chances(answer: Approvers) -> dict[str, tuple[str, str]]:
    return {
        one.principal.partition("@")[0]: (one.chance.value, one.refusal.code if one.refusal else "")
        for one in answer.candidates
    }


def _code_of(scene: Scene, uid: str, request_id: str) -> str:
    try:
        scene.approve(uid, request_id)
    except TpiError as error:
        return error.code
    return ""


def verified(scene: Scene, uid: str, request_id: str) -> None:
    scene.approve(uid, request_id)
    scene.executor.receipt(request_id, "approve")


def test_r_k16_everybody_with_the_role_is_told_with_the_reason(scene: Scene) -> None:
    answer = ask(scene, scene.pending().subtree.request.id)
    told = chances(answer)
    # Of the two accounts of one person only one counts, and is counted.
    assert sorted([told.pop("erin"), told.pop("erin-admin")]) == [("can", ""), ("can", "same-person")]
    assert told == {"alice": ("cannot", "self-approval"), "bob": ("can", ""), "carol": ("can", "")}
    assert (answer.missing, answer.available, answer.enough) == (1, 3, True)
    assert answer.candidates[0].name == "Bob"
    assert answer.candidates[-1].principal == f"alice@{REALM}"


@pytest.mark.parametrize("before", [(), ("bob",), ("erin",), ("bob", "erin")])
def test_r_k16_who_can_is_who_may(scene: Scene, before: tuple[str, ...]) -> None:
    """The answer and the deed agree, for everybody, while the approvals come in."""
    scene.realm.define(ipaTpiRequiredApprovals="2")
    scene.realm.change("carol", disabled=True)
    for uid in (*OPERATORS, *OTHERS):
        request_id = scene.pending().subtree.request.id
        for approver in before:
            verified(scene, approver, request_id)
        (told,) = ask(scene, request_id, uid).candidates
        code = _code_of(scene, uid, request_id)
        assert (told.chance.value == "can") is (code == ""), (uid, code)
        assert (told.chance.value == "counted") is (uid in before)
        if told.chance.value == "cannot" and code != "not-found":
            assert told.refusal is not None
            assert told.refusal.code == code
        scene.cancel("alice", request_id)


def test_what_an_approval_became(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredApprovals="3")
    request_id = scene.pending().subtree.request.id
    verified(scene, "bob", request_id)
    scene.approve("carol", request_id)
    answer = ask(scene, request_id)
    assert chances(answer)["bob"] == ("counted", "")
    assert chances(answer)["carol"] == ("recorded", "proof-missing")
    # carol's, once it is verified, and erin's: three with bob's.
    assert (answer.missing, answer.available, answer.enough) == (2, 2, True)
    scene.withdraw("bob", request_id)
    answer = ask(scene, request_id)
    assert chances(answer)["bob"] == ("cannot", "withdrawn")
    assert (answer.missing, answer.available, answer.enough) == (3, 2, False)
    scene.deny("erin", request_id)
    answer = ask(scene, request_id)
    assert chances(answer)["erin"] == ("cannot", "already-voiced")
    assert "has denied" in next(
        one.refusal.message for one in answer.candidates if "erin@" in one.principal and one.refusal
    )
    assert (answer.seen.standing.state, answer.available, answer.enough) == (State.DENIED, 0, False)


def test_a_second_account_of_who_has_approved_cannot(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredApprovals="2")
    request_id = scene.pending().subtree.request.id
    verified(scene, "erin", request_id)
    answer = ask(scene, request_id)
    assert chances(answer)["erin-admin"] == ("cannot", "same-person")
    assert answer.available == 2
    # R-X09: nor does the service take it, since it would only use a voice up.
    with refused("same-person"):
        scene.approve("erin-admin", request_id)


def test_a_recorded_approval_takes_the_place_of_the_other_account(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    scene.approve("erin-admin", request_id)
    told = chances(ask(scene, request_id))
    assert (told["erin-admin"], told["erin"]) == (("recorded", "proof-missing"), ("can", "same-person"))


def test_before_the_preview_those_are_told_who_will_be_able_to(scene: Scene) -> None:
    answer = ask(scene, scene.create().subtree.request.id)
    assert answer.seen.standing.state is State.AWAITING_PREVIEW
    assert chances(answer)["bob"] == ("can", "")
    assert answer.enough


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"disabled": True}, "disabled"),
        ({"expires": START}, "expired-principal"),
        ({"persons": ("1001",)}, "same-person"),
        ({"persons": ()}, "no-person-attribute"),
        ({"created": START + timedelta(days=1)}, "account-too-young"),
        ({"unique_id": ""}, "unknown-principal"),
    ],
)
def test_accounts_that_cannot(scene: Scene, change: dict[str, object], code: str) -> None:
    scene.realm.change("bob", **change)
    answer = ask(scene, scene.pending().subtree.request.id)
    assert chances(answer)["bob"] == ("cannot", code)
    assert answer.available == 2


def test_nobody_can_where_no_rule_gives_the_right(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    scene.realm.without_rule("operators approve")
    answer = ask(scene, request_id)
    assert {one for one, _ in chances(answer).values()} == {"cannot"}
    assert chances(answer)["bob"] == ("cannot", "no-rule")
    assert (answer.missing, answer.available, answer.enough) == (1, 0, False)


def test_what_has_ended_or_has_enough_needs_nobody(scene: Scene) -> None:
    answer = ask(scene, scene.approved())
    assert chances(answer)["carol"] == ("cannot", "already-decided")
    assert (answer.missing, answer.available, answer.enough) == (0, 0, True)
    request_id = scene.pending("carol").subtree.request.id
    scene.clock.pass_seconds(301)
    answer = ask(scene, request_id)
    assert chances(answer)["bob"] == ("cannot", "expired")
    assert not answer.enough
    request_id = scene.approved()
    scene.deny("erin", request_id)
    answer = ask(scene, request_id)
    assert (answer.seen.standing.state, answer.missing, answer.enough) == (State.DENIED, 0, False)


def test_who_wrote_without_the_role_is_told_too(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredApprovals="2")
    request_id = scene.pending().subtree.request.id
    verified(scene, "bob", request_id)
    scene.approve("carol", request_id)
    scene.realm.change("bob", member_of=frozenset())
    del scene.realm.accounts[person_dn("carol")]
    told = chances(ask(scene, request_id))
    assert told["bob"] == ("cannot", "no-rule")
    assert told[person_dn("carol")] == ("cannot", "unknown-principal")


def test_one_person(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    everybody = ask(scene, request_id)
    for user, code in (
        ("dave", "no-rule"),
        (f"grace@{REALM}", "no-rule"),
        (f"tpi/{HOST}", "not-a-person"),
        ("nobody", "unknown-principal"),
        ("bob@ELSEWHERE", "foreign-realm"),
        ("bob@X@Y", "foreign-realm"),
    ):
        answer = ask(scene, request_id, user)
        (told,) = answer.candidates
        assert told.refusal is not None
        assert (told.chance.value, told.refusal.code) == ("cannot", code), user
        assert (answer.missing, answer.available) == (everybody.missing, everybody.available)
    assert chances(ask(scene, request_id, "bob")) == {"bob": ("can", "")}
    # An alias leads to the account that has it.
    assert chances(ask(scene, request_id, "alice.smith")) == {"alice": ("cannot", "self-approval")}


def test_who_may_ask_is_who_may_see(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    for uid in ("alice", "bob", "frank"):
        assert ask(scene, request_id, caller=uid).available == 3
    for uid in ("dave", "adam", "grace"):
        with refused("not-found"):
            ask(scene, request_id, caller=uid)
    assert scene.audit.records[-1]["verb"] == "approvers"


def test_no_answer_is_made_of_half_a_read(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    scene.realm.failing["candidates"] = [DirectoryUnavailableError("gone")]
    with refused("directory-unavailable"):
        ask(scene, request_id)


def test_the_operation_is_gone(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    scene.realm.policy = replace(scene.realm.policy, operations={})
    answer = ask(scene, request_id)
    assert chances(answer)["bob"] == ("cannot", "unknown-operation")
    assert not answer.enough


def test_what_only_reads_needs_nobody(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    subtree = scene.show("bob", request_id).subtree
    reading = replace(subtree, request=replace(subtree.request, operation="dirsrv.status"))
    flow = scene.flow("bob")
    flow.directory.load = lambda _: reading  # type: ignore[method-assign]
    answer = flow.approvers(f"bob@{REALM}", request_id)
    assert answer.missing == 0
    assert {refusal for _, refusal in chances(answer).values()} == {"already-decided"}
