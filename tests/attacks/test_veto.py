"""A veto is overrun: what was withdrawn, denied or cancelled runs all the same; or somebody vetoes who may not.

The executor is held back while people speak, so that it finds an approval and its veto at once.
"""

from __future__ import annotations

import ldap
import pytest
from straight import (
    add_voice,
    digests,
    directory_refuses,
    ended,
    never_intended,
    refused_by_web,
    runs_for,
    settle,
)
from world import EXECUTOR, World, eventually, stopped


@pytest.fixture
def request_id(world: World) -> str:
    return world.request("alice")


def test_what_was_not_vetoed_runs(world: World, request_id: str) -> None:
    """The same hold-up, without a veto."""
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
    world.wait_state(request_id, "executed")


def test_a_withdrawn_approval_runs_nothing(world: World, request_id: str) -> None:
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        api = world.api("bob")
        api.withdraw(api.show(request_id))
    settle(world, request_id, "alice")
    view = world.api("bob").show(request_id)
    assert (view.state, view.approvals[0].code) == ("pending", "withdrawn")
    with refused_by_web("already-voiced"):  # a voice is used once
        world.api("bob").approve(view)
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        add_voice(world.ldap("bob"), request_id, "ipaTpiApproval", digests(world, request_id).approval)
    runs_for(world, request_id, "carol")


def test_a_denied_request_does_not_run(world: World, request_id: str) -> None:
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        api = world.api("carol")
        api.deny(api.show(request_id))
    assert ended(world, request_id) == ("denied", "denied-by-approver")
    never_intended(world, request_id)
    view = world.wait_for("erin", request_id, lambda now: now.result is not None)
    with refused_by_web("already-decided") as caught:
        world.api("erin").approve(view)
    assert "denied-by-approver: denied by carol@TPI.TEST" in caught.value.message


def test_a_denial_before_all_approvals_denies(world: World, request_id: str) -> None:
    api = world.api("carol")
    api.deny(api.show(request_id))
    assert ended(world, request_id) == ("denied", "denied-by-approver")
    never_intended(world, request_id)


def test_a_cancelled_request_does_not_run(world: World, request_id: str) -> None:
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        api = world.api("alice")
        api.cancel(api.show(request_id))
    assert ended(world, request_id) == ("cancelled", "cancelled")
    never_intended(world, request_id)


def test_a_veto_taken_away_again_still_counts(world: World, request_id: str) -> None:
    """Who can delete in the directory takes bob's withdrawal away after the executor has seen it."""
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        api = world.api("bob")
        api.withdraw(api.show(request_id))
    settle(world, request_id, "alice")
    root = world.root()
    ((dn, _),) = [
        found for found in world.children(request_id) if b"ipaTpiWithdrawal" in found[1]["objectClass"]
    ]
    root.delete_s(dn)
    world.systemctl("restart", EXECUTOR)
    assert ended(world, request_id) == ("denied", "seen-entry-missing")
    never_intended(world, request_id)


@pytest.mark.parametrize("person", ["dave", "grace", "adam", "frank"])
def test_who_may_not_approve_has_no_veto(world: World, request_id: str, person: str) -> None:
    about = digests(world, request_id).approval
    view = world.api("bob").show(request_id)
    code = "no-rule" if person == "frank" else "not-found"  # an auditor sees it
    with refused_by_web(code):
        world.api(person).deny(view)
    with refused_by_web("not-requester" if person == "frank" else "not-found"):
        world.api(person).cancel(view)
    with refused_by_web("nothing-to-withdraw" if person == "frank" else "not-found"):
        world.api(person).withdraw(view)
    for kind in ("ipaTpiDenial", "ipaTpiCancellation", "ipaTpiWithdrawal", "ipaTpiApproval"):
        directory_refuses(add_voice, world.ldap(person), request_id, kind, about)
    settle(world, request_id, "alice")


def test_the_requester_does_not_deny_and_others_do_not_cancel(world: World, request_id: str) -> None:
    about = digests(world, request_id).approval
    api = world.api("alice")
    with refused_by_web("not-voter"):
        api.deny(api.show(request_id))
    directory_refuses(add_voice, world.ldap("alice"), request_id, "ipaTpiDenial", about)
    api = world.api("bob")
    with refused_by_web("not-requester"):
        api.cancel(api.show(request_id))
    for person in ("bob", "erin-admin", "adam"):
        directory_refuses(add_voice, world.ldap(person), request_id, "ipaTpiCancellation", about)
    runs_for(world, request_id)


def test_a_veto_after_the_end_changes_nothing(world: World, request_id: str) -> None:
    runs_for(world, request_id)
    add_voice(world.ldap("carol"), request_id, "ipaTpiDenial", digests(world, request_id).approval)
    add_voice(world.ldap("alice"), request_id, "ipaTpiCancellation", digests(world, request_id).request)
    assert world.api("carol").show(request_id).state == "executed"
    assert eventually(lambda: world.claims("SELECT outcome FROM claims WHERE request = ?", request_id)) == [
        ("executed",)
    ]
