"""Stages, groups and numbers at the web service: whose turn it is, and what nobody could satisfy (K08)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flow_scene import Scene

from ipa_tpi.flow import Approvers
from ipa_tpi.model import Group, State
from tests.fakes import OPERATION, REALM, START, group_dn, person_dn, refused

FIRST, SECOND = group_dn("first"), group_dn("second")


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    for uid, group in (("bob", FIRST), ("carol", SECOND), ("erin", SECOND)):
        account = made.realm.accounts[person_dn(uid)]
        made.realm.change(uid, member_of=account.member_of | {group})
    return made


def ask(scene: Scene, request_id: str) -> Approvers:
    return scene.flow("alice").approvers(f"alice@{REALM}", request_id, "")


def verified(scene: Scene, uid: str, request_id: str) -> None:
    scene.approve(uid, request_id)
    scene.executor.receipt(request_id, "approve")


def test_an_approval_out_of_turn_is_refused_before_it_uses_the_voice_up(scene: Scene) -> None:
    scene.realm.define(ipaTpiStage=[f"1:1:{FIRST}", f"2:1:{SECOND}"])
    request_id = scene.pending().subtree.request.id
    with refused("stage-order"):
        scene.approve("carol", request_id)
    verified(scene, "bob", request_id)
    assert scene.state(request_id) == "pending"
    verified(scene, "carol", request_id)
    assert scene.state(request_id) == "approved"


def test_who_will_have_a_turn_is_told_so(scene: Scene) -> None:
    scene.realm.define(ipaTpiStage=[f"1:1:{FIRST}", f"2:1:{SECOND}"])
    answer = ask(scene, scene.pending().subtree.request.id)
    told = {one.principal.partition("@")[0]: one for one in answer.candidates}
    assert told["bob"].refusal is None
    carol = told["carol"]
    assert carol.refusal is not None
    assert (carol.chance.value, carol.refusal.code) == ("can", "stage-order")
    assert (answer.enough, answer.missing) == (True, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ipaTpiRequiredApprovals": "9"}, "ipaTpiRequiredApprovals"),
        ({"ipaTpiRequiredGroup": [group_dn("nobody")]}, "ipaTpiRequiredGroup"),
        ({"ipaTpiStage": [f"1:2:{FIRST}"]}, "ipaTpiStage"),
        ({"ipaTpiStage": [f"1:1:{group_dn('nobody')}"]}, "ipaTpiStage"),
    ],
)
def test_what_nobody_can_satisfy_cannot_be_requested(
    scene: Scene, changes: dict[str, str | list[str]], words: str
) -> None:
    wanted = scene.realm.define(**changes)
    with refused("policy-unsatisfiable", f"{wanted.dn}.*{words}"):
        scene.create()
    assert scene.realm.entries == []


def test_the_requester_s_own_place_in_a_group_satisfies_nothing(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredGroup=[FIRST])
    assert scene.create("alice").standing.state is State.AWAITING_PREVIEW
    with refused("policy-unsatisfiable", "nobody of first"):
        scene.create("bob")


def test_two_accounts_of_one_person_are_one_for_this_too(scene: Scene) -> None:
    everybody = {"alice", "bob", "carol", "erin"}  # erin and erin-admin are one
    scene.realm.define(ipaTpiRequiredApprovals=str(len(everybody) - 1))
    assert scene.create().standing.state is State.AWAITING_PREVIEW
    scene.realm.define(ipaTpiRequiredApprovals=str(len(everybody)))
    with refused("policy-unsatisfiable"):
        scene.create()


def test_a_request_that_can_no_longer_be_satisfied_says_so(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredGroup=[FIRST])
    request_id = scene.pending().subtree.request.id
    assert ask(scene, request_id).enough
    scene.realm.change("bob", disabled=True)
    answer = ask(scene, request_id)
    assert not answer.enough
    assert answer.unsatisfiable is not None
    assert "nobody of first" in answer.unsatisfiable.message


def test_who_joined_just_now_does_not_count(scene: Scene) -> None:
    """R-X11."""
    wanted = scene.realm.define(ipaTpiMinimumAgeSeconds="3600")
    scene.realm.policy = replace(scene.realm.policy, operations={OPERATION: wanted})
    everything = {dn for account in scene.realm.accounts.values() for dn in account.member_of}
    scene.realm.groups = {dn: Group(dn, START - timedelta(days=1)) for dn in everything}
    request_id = scene.pending().subtree.request.id
    operators = group_dn("tpi-operators")
    scene.realm.groups[operators] = Group(operators, START)
    with refused("membership-too-young"):
        scene.approve("bob", request_id)
    with refused("membership-too-young"):
        scene.create()
