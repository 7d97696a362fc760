"""What the policy says before anybody asks: the answer and the deed agree (R-X10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flow_scene import Scene

from ipa_tpi.errors import TpiError
from ipa_tpi.flow import Question, RuleFilter, Trial
from ipa_tpi.model import FloorOperation, Group, Right
from tests.fakes import HOST, OPERATION, OTHER_HOST, REALM, START, SUFFIX, group_dn, permission_dn, refused

EVERYBODY = ("alice", "bob", "carol", "erin", "erin-admin", "dave", "adam", "frank", "grace")


@pytest.fixture
def scene() -> Scene:
    return Scene()


def attempt(scene: Scene, user: str, caller: str = "dave", **changes: Any) -> Trial:
    question = Question(**{"operation": OPERATION, "host": HOST, "user": user, **changes})
    return scene.flow(caller).policy(f"{caller}@{REALM}", question)


def codes(trial: Trial) -> list[str]:
    return [one.refusal.code if one.refusal is not None else "" for one in trial.verdicts]


def _code_of(deed: Any, *arguments: Any) -> str:
    try:
        deed(*arguments)
    except TpiError as error:
        return error.code
    return ""


def _without_role(scene: Scene) -> None:
    dn = scene.realm.bind(f"grace@{REALM}").whoami()
    scene.realm.accounts[dn] = replace(
        scene.realm.accounts[dn], member_of=frozenset({group_dn("tpi-requesters")})
    )


SETTINGS: dict[str, Any] = {
    "as it is": lambda scene: scene.realm.define(),
    "disabled people": lambda scene: scene.realm.change("bob", disabled=True),
    "expired people": lambda scene: scene.realm.change("carol", expires=START - timedelta(seconds=1)),
    "no rule to approve": lambda scene: scene.realm.without_rule("operators approve"),
    "no rule to ask": lambda scene: scene.realm.without_rule("operators ask"),
    "disabled operation": lambda scene: scene.realm.define(ipaEnabledFlag="FALSE"),
    "too many approvals": lambda scene: scene.realm.define(ipaTpiRequiredApprovals="9"),
    "a group of nobody": lambda scene: scene.realm.define(ipaTpiRequiredGroup=group_dn("ghosts")),
    "young people": lambda scene: scene.realm.define(ipaTpiMinimumAgeSeconds="20000000"),
    "a rule without a role": _without_role,
    "an empty floor": lambda scene: scene.floor(operations={}),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_r_x10_the_answer_and_the_deed_agree(scene: Scene, setting: str) -> None:
    SETTINGS[setting](scene)
    allowed = set()
    for uid in EVERYBODY:
        told = codes(attempt(scene, uid, rights=(Right.REQUEST,)))[0]
        done = _code_of(scene.create, uid)
        # Of who lacks the role, the flow leaves the refusal to the directory's own rules.
        done = "no-rule" if done == "directory-refused" else done
        # Who may not ask at all is told so first, whatever the floor says.
        assert told == done or (told, done) == ("no-rule", "operation-not-on-floor"), (uid, told, done)
        allowed |= {uid} if not told else set()
    ordinary = {"alice", "bob", "carol", "erin", "erin-admin", "grace"}
    assert (allowed == ordinary) is (setting in {"as it is", "no rule to approve"})


@pytest.mark.parametrize("uid", ["bob", "carol", "erin", "dave", "frank", "adam"])
def test_r_x10_who_would_approve_does(scene: Scene, uid: str) -> None:
    request_id = scene.pending("grace").subtree.request.id
    body = scene.voice("bob", request_id, "approve")
    scene.realm.change("carol", disabled=True)
    scene.realm.change("erin", persons=())
    (told,) = codes(attempt(scene, uid, "grace", rights=(Right.APPROVE,)))
    done = _code_of(scene.approve, uid, request_id, body)
    assert (told == "") is (done == "") is (uid == "bob"), (told, done)
    assert done in {told, "not-found"}


def test_the_rules_and_the_nearest_miss(scene: Scene) -> None:
    trial = attempt(scene, "alice")
    assert [[rule.name for rule in one.rules] for one in trial.verdicts] == [
        ["operators ask"],
        ["operators approve"],
    ]
    assert (trial.requesters, trial.approvers, trial.unsatisfiable) == (5, 3, None)
    trial = attempt(scene, "grace")
    asks, approves = trial.verdicts
    assert ([rule.name for rule in asks.rules], asks.refusal) == (["requesters ask"], None)
    assert approves.rules == ()
    assert approves.refusal is not None
    assert "the nearest rule 'operators approve' does not name this account" in approves.refusal.message


def test_membership_that_is_only_thought_of(scene: Scene) -> None:
    group = Group(
        group_dn("tpi-operators-day"),
        START,
        frozenset({group_dn("tpi-operators"), permission_dn("TPI Request"), permission_dn("TPI Approve")}),
    )
    role = f"cn=tpi requester,cn=roles,cn=accounts,{SUFFIX}"
    scene.realm.groups = {
        group.dn: group,
        group_dn("tpi-requesters"): Group(group_dn("tpi-requesters"), START),
        role: Group(role, START, frozenset({permission_dn("TPI Request")})),
    }
    assert codes(attempt(scene, "dave")) == ["no-rule", "no-rule"]
    assert codes(attempt(scene, "dave", groups=("TPI-operators-day",))) == ["", ""]
    assert codes(attempt(scene, "dave", groups=("tpi-requesters",))) == ["no-rule", "no-rule"]
    assert codes(attempt(scene, "dave", groups=("tpi-requesters", "TPI Requester"))) == ["", "no-rule"]
    # It was only a try.
    with refused("no-rule"):
        scene.create("dave")
    with refused("not-found", "no group and no role 'nobody'"):
        attempt(scene, "dave", groups=("nobody",))
    with refused("bad-input"):
        attempt(scene, "dave", groups=("x,cn=groups",))


def test_what_is_unknown_is_told(scene: Scene) -> None:
    for changes in ({"user": "nobody"}, {"operation": "no.such"}, {"host": "nowhere.tpi.test"}):
        with refused("not-found"):
            attempt(scene, **{"user": "alice", **changes})
    assert scene.audit.codes() == ["not-found"] * 3


def test_parameters_are_judged_when_they_are_given(scene: Scene) -> None:
    assert codes(attempt(scene, "alice", parameters={"instance": "DS01"}))[0] == ""
    assert codes(attempt(scene, "alice", parameters={"instance": "a/b"}))[0] == "bad-parameters"
    assert codes(attempt(scene, "alice", parameters={"instance": "DS77"}))[0] == "below-floor"
    # Another host's floor is not known here.
    trial = attempt(scene, "alice", parameters={"instance": "DS77"}, host=OTHER_HOST.upper())
    assert (codes(trial)[0], trial.floor_known, trial.question.host) == ("", False, OTHER_HOST)


def test_a_host_without_an_executor(scene: Scene) -> None:
    scene.realm.hosts["idle.tpi.test"] = replace(scene.realm.hosts[HOST], fqdn="idle.tpi.test")
    assert codes(attempt(scene, "alice", host="idle.tpi.test")) == ["target-not-served", ""]


def test_demands_are_the_stricter_of_definition_and_floor(scene: Scene) -> None:
    scene.realm.define(ipaTpiFreshSeconds="600", ipaTpiAuthIndicator="otp")
    scene.floor(
        operations={OPERATION: FloorOperation(2, proof=True, instances=frozenset({"DS01"}), fresh_seconds=60)}
    )
    trial = attempt(scene, "", host="")
    assert trial.terms is not None
    assert (trial.terms.required_approvals, trial.demands.fresh_seconds, trial.verdicts) == (2, 60, ())
    assert trial.demands.indicators == {"otp"}
    assert (trial.requesters, trial.approvers) == (5, 4)
    there = attempt(scene, "", host=OTHER_HOST)
    assert there.terms is not None
    assert (there.terms.required_approvals, there.demands.fresh_seconds) == (1, 600)


def test_what_nobody_can_satisfy_is_told_with_the_reason(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredGroup=group_dn("ghosts"))
    trial = attempt(scene, "alice")
    assert codes(trial) == ["policy-unsatisfiable", ""]
    assert trial.unsatisfiable is not None
    assert "nobody of ghosts could approve" in trial.unsatisfiable.message
    # One approver is enough, and there is none: the request is taken, and would wait in vain.
    scene.realm.define()
    scene.realm.without_rule("operators approve")
    trial = attempt(scene, "alice")
    assert codes(trial) == ["", "no-rule"]
    assert trial.unsatisfiable is not None
    assert trial.approvers == 0


def test_a_malformed_operation_and_broken_rules(scene: Scene) -> None:
    scene.realm.policy = replace(
        scene.realm.policy,
        operations={},
        malformed={OPERATION: "it cannot be used"},
        broken_rules={"ipauniqueid=x": "it cannot be used either"},
        broken_names={"ipauniqueid=x": "broken one"},
    )
    trial = attempt(scene, "alice")
    assert codes(trial) == ["operation-malformed"] * 2
    assert (trial.terms, trial.approvers) == (None, 0)
    with refused("operation-malformed", "it cannot be used"):
        rules(scene, operation=OPERATION)


def test_an_operation_that_only_reads_needs_nobody(scene: Scene) -> None:
    operation = scene.realm.define(cn="dirsrv.status", ipaTpiRequiredApprovals="0")
    scene.floor(operations={operation.name: FloorOperation(0, proof=True, instances=frozenset({"DS01"}))})
    scene.realm.policy = replace(
        scene.realm.policy,
        rules=tuple(replace(rule, operations=frozenset({operation.dn})) for rule in scene.realm.policy.rules),
    )
    trial = attempt(scene, "alice", operation=operation.name)
    assert codes(trial) == ["", "already-decided"]
    assert trial.unsatisfiable is None


def rules(scene: Scene, **wanted: Any) -> list[str]:
    found = scene.flow("dave").rules(f"dave@{REALM}", RuleFilter(**wanted)).found
    return [rule.name for rule in found]


def test_rules_are_found(scene: Scene) -> None:
    assert rules(scene) == ["operators approve", "operators ask", "requesters ask"]
    assert rules(scene, right=Right.APPROVE) == ["operators approve"]
    assert rules(scene, user="grace") == ["requesters ask"]
    assert rules(scene, user="grace", right=Right.APPROVE) == []
    assert rules(scene, operation=OPERATION) == ["operators approve", "operators ask", "requesters ask"]
    scene.realm.policy = replace(
        scene.realm.policy,
        rules=(replace(scene.realm.policy.rules[0], operations=frozenset()), *scene.realm.policy.rules[1:]),
    )
    assert rules(scene, operation=OPERATION) == ["operators approve", "requesters ask"]
    for wanted in ({"operation": "no.such"}, {"user": "nobody"}):
        with refused("not-found"):
            rules(scene, **wanted)
