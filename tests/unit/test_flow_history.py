"""The history by operation, requester and time: what is asked for together holds together (R-K17)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flow_scene import Scene

from ipa_tpi.flow import Selection
from ipa_tpi.model import Outcome, State
from ipa_tpi.ports import NewEntry
from tests.fakes import HOST, OPERATION, OTHER_HOST, REALM, START, executor_dn, new_id, refused


@pytest.fixture
def scene() -> Scene:
    return Scene()


def history(scene: Scene, caller: str = "frank", **selection: Any) -> list[str]:
    page = scene.flow(caller).listing(f"{caller}@{REALM}", Selection(**selection))
    return [seen.subtree.request.id for seen in page.found]


def test_r_k17_filters_hold_together(scene: Scene) -> None:
    made = []
    for uid in ("alice", "bob", "alice"):
        made.append(scene.pending(uid).subtree.request.id)
        scene.clock.pass_seconds(10)
    assert history(scene, user="alice") == [made[2], made[0]]
    assert history(scene, user=f"bob@{REALM}") == [made[1]]
    assert history(scene, user="carol") == []
    assert history(scene, operation=OPERATION) == made[::-1]
    assert history(scene, operation="dirsrv.status") == []
    later = START + timedelta(seconds=10)
    assert history(scene, since=later) == made[:0:-1]
    assert history(scene, until=later) == [made[1], made[0]]
    assert history(scene, since=later, until=later) == [made[1]]
    assert history(scene, user="alice", until=later) == [made[0]]
    assert history(scene, user="alice", before=made[2], limit=1) == [made[0]]
    assert history(scene, since=later, until=START) == []


def test_ones_own_and_somebody_elses_are_none(scene: Scene) -> None:
    request_id = scene.pending("alice").subtree.request.id
    assert history(scene, "alice", mine=True, user="alice") == [request_id]
    assert history(scene, "bob", mine=True, user="alice") == []


def test_an_alias_names_its_account(scene: Scene) -> None:
    request_id = scene.pending("alice").subtree.request.id
    assert history(scene, user="alice.smith") == [request_id]


def test_what_lives_is_looked_for_no_earlier_than_it_can(scene: Scene) -> None:
    scene.pending("alice")
    scene.clock.pass_seconds(7 * 86400)
    request_id = scene.pending("bob").subtree.request.id
    assert history(scene, approvable=True, since=START, user="bob", caller="carol") == [request_id]


def test_whom_nobody_knows_is_told(scene: Scene) -> None:
    with refused("not-found", "no account for 'nobody@TPI.TEST'"):
        history(scene, user="nobody")
    with refused("foreign-realm"):
        history(scene, user="alice@ELSE.TEST")


def test_r_k17_by_who_spoke(scene: Scene) -> None:
    """Approved or denied, withdrawn or not; whoever may not see a voice finds nothing by it."""
    made = []
    for uid in ("alice", "carol", "alice"):
        made.append(scene.pending(uid).subtree.request.id)
        scene.clock.pass_seconds(10)
    scene.approve("bob", made[0])
    scene.withdraw("bob", made[0])
    scene.deny("bob", made[1])
    scene.approve("carol", made[2])
    assert history(scene, approver="bob") == [made[1], made[0]]
    assert history(scene, approver=f"carol@{REALM}") == [made[2]]
    assert history(scene, approver="dave") == []
    assert history(scene, approver="bob", user="alice") == [made[0]]
    assert history(scene, approver="bob", limit=1) == [made[1]]
    assert history(scene, approver="bob", before=made[1]) == [made[0]]
    assert history(scene, "dave", approver="bob") == []
    assert history(scene, "bob", approver="bob", mine=True) == []


def test_r_k17_a_voice_that_came_after_the_last_moment_belongs_to_its_request(scene: Scene) -> None:
    request_id = scene.pending("alice").subtree.request.id
    scene.clock.pass_seconds(200)
    scene.approve("bob", request_id)
    assert history(scene, approver="bob", since=START, until=START) == [request_id]
    assert history(scene, approver="bob", since=START + timedelta(seconds=1)) == []


def test_an_approver_whom_nobody_knows_is_told(scene: Scene) -> None:
    with refused("not-found", "no account for 'nobody@TPI.TEST'"):
        history(scene, approver="nobody")


def test_r_k17_by_host_and_outcome(scene: Scene) -> None:
    here = scene.pending("alice").subtree.request.id
    there = scene.create("bob", target=OTHER_HOST).subtree.request.id
    assert history(scene, host=HOST) == [here]
    assert history(scene, host=OTHER_HOST) == [there]
    assert history(scene, host="no.tpi.test") == []
    assert history(scene, outcome=Outcome.EXPIRED) == []
    scene.clock.pass_seconds(3600)
    # The windows have passed, and its host has not said so yet.
    assert history(scene, state=State.EXPIRED, host=HOST) == [here]
    assert history(scene, outcome=Outcome.EXPIRED) == []
    forged = {"ipaTpiOutcome": [b"expired"], "ipaTpiExcerpt": [b"no"]}
    scene.realm.plant(executor_dn(OTHER_HOST), here, NewEntry(new_id(), "ipaTpiResult", forged))
    assert history(scene, outcome=Outcome.EXPIRED) == []
    scene.executor.result(here, "expired")
    assert history(scene, outcome=Outcome.EXPIRED) == [here]
    assert history(scene, outcome=Outcome.EXECUTED) == []
