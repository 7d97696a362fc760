"""The history by operation, requester and time: what is asked for together holds together (R-K17)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flow_scene import Scene

from ipa_tpi.flow import Selection
from tests.fakes import OPERATION, REALM, START, refused


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
