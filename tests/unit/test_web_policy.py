"""What the policy says, over the web service."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web_scene import Web, problem

from tests.fakes import HOST, OPERATION, REALM, group_dn


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path / "ccache")


def told(web: Web, path: str) -> Any:
    answer = web.get(path, "dave")
    assert answer.status_code == 200, answer.data
    return json.loads(answer.data)


def test_both_rights_of_a_person(web: Web) -> None:
    web.scene.realm.define(ipaTpiStage=[f"1:1:{group_dn('tpi-operators')}"], ipaTpiFreshSeconds="60")
    view = told(web, f"/policy?operation={OPERATION}&host={HOST}&user=grace&parameter=instance%3dDS01")
    assert (view["user"], view["operation"], view["host"]) == (f"grace@{REALM}", OPERATION, HOST)
    asks, approves = view["verdicts"]
    assert asks == {
        "right": "request",
        "allowed": True,
        "rules": ["requesters ask"],
        "code": "",
        "message": "",
    }
    assert (approves["right"], approves["allowed"], approves["code"]) == ("approve", False, "no-rule")
    assert view["demand"]["stages"] == [{"order": 1, "count": 1, "group": group_dn("tpi-operators")}]
    assert (view["demand"]["fresh_seconds"], view["demand"]["floor_known"]) == (60, True)
    assert (view["requesters"], view["approvers"], view["enough"]) == (5, 4, True)


def test_one_right_and_nobody(web: Web) -> None:
    (only,) = told(web, f"/policy?operation={OPERATION}&user=dave&right=approve")["verdicts"]
    assert (only["right"], only["allowed"]) == ("approve", False)
    view = told(web, f"/policy?operation={OPERATION}")
    assert (view["verdicts"], view["user"], view["host"]) == ([], "", HOST)
    problem(web.get(f"/policy?operation={OPERATION}&user=nobody"), "not-found", 404)
    problem(web.get("/policy?operation=no.such"), "not-found", 404)


def test_rules_and_what_is_broken(web: Web) -> None:
    policy = web.scene.realm.policy
    web.scene.realm.policy = replace(
        policy,
        malformed={"dirsrv.stop": "cannot be used"},
        broken_rules={"ipauniqueid=x": "cannot be used either"},
        broken_names={"ipauniqueid=x": "broken one"},
    )
    broken = [{"name": "broken one", "dn": "ipauniqueid=x", "message": "cannot be used either"}]
    view = told(web, "/rules?right=approve")
    assert view["broken"] == broken
    (rule,) = view["rules"]
    assert (rule["name"], rule["users"], rule["rights"]) == (
        "operators approve",
        [group_dn("tpi-operators")],
        ["approve"],
    )
    view = told(web, f"/policy?operation={OPERATION}")
    assert (view["broken"], view["malformed"]) == (broken, {"dirsrv.stop": "cannot be used"})
    view = told(web, "/policy?operation=dirsrv.stop&user=alice")
    assert (view["demand"], view["enough"], view["code"]) == (None, False, "operation-malformed")
