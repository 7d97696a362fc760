"""An approval is kept back, and used when nobody expects it any more; or what was agreed is run much later."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from straight import (
    OPERATION_DN,
    add,
    approve,
    changed,
    digests,
    ended,
    never_intended,
    prove,
    receipt,
    refused_by_web,
    request_dn,
    voice,
)
from world import EXECUTOR, World, stopped

from ipa_tpi.model import Purpose

APPROVAL_SECONDS = 4
EXECUTION_SECONDS = 3


@pytest.fixture
def short(world: World) -> Iterator[None]:
    """Windows of a few seconds; the request must be made afterwards, since it bears the definition's digest."""
    values = {
        "ipaTpiApprovalSeconds": [b"%d" % APPROVAL_SECONDS],
        "ipaTpiExecutionSeconds": [b"%d" % EXECUTION_SECONDS],
    }
    with changed(world.root(), OPERATION_DN, **values):
        yield


@pytest.mark.usefixtures("short")
def test_after_the_window_nobody_approves(world: World) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    with stopped(world, EXECUTOR):  # nobody tells the web service and the directory that it is over
        world.wait_state(request_id, "expired")
        with refused_by_web("expired"):
            world.api("bob")._post(f"/requests/{request_id}/approvals", voice(world, "bob", about))
        approve(world, "bob", request_id)  # the directory knows no windows
        assert world.api("bob").show(request_id).state == "expired"
    assert ended(world, request_id) == ("expired", "expired")
    never_intended(world, request_id)
    view = world.wait_for("bob", request_id, lambda now: now.result is not None)
    assert (view.state, view.result.outcome, view.approvals[0].code) == ("expired", "expired", "too-late")


@pytest.mark.usefixtures("short")
def test_what_was_approved_in_time_does_not_run_later(world: World) -> None:
    """The approval is just in time; the executor is held back until the execution window has passed."""
    request_id = world.request("alice")
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        time.sleep(EXECUTION_SECONDS + 1.2)  # stamps have whole seconds
    assert ended(world, request_id) == ("expired", "expired")
    never_intended(world, request_id)
    # It is the time to run that was missed: the approval itself counts.
    view = world.wait_for("bob", request_id, lambda now: now.result is not None)
    assert [(one.counts, one.code) for one in view.approvals] == [(True, "")]


@pytest.mark.usefixtures("short")
def test_in_time_it_runs(world: World) -> None:
    """The same windows, nobody held back."""
    request_id = world.request("alice")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")


def test_a_longer_window_afterwards_helps_nobody(world: World) -> None:
    """Root makes the window longer when it is over: the definition is no longer the one that was asked for."""
    with changed(world.root(), OPERATION_DN, ipaTpiApprovalSeconds=[b"%d" % APPROVAL_SECONDS]):
        request_id = world.request("alice")
        with stopped(world, EXECUTOR):
            time.sleep(APPROVAL_SECONDS + 0.2)
            with changed(world.root(), OPERATION_DN, ipaTpiApprovalSeconds=[b"300"]):
                approve(world, "bob", request_id)
                world.systemctl("start", EXECUTOR)
                assert ended(world, request_id) == ("denied", "operation-changed")
    never_intended(world, request_id)


@pytest.mark.parametrize("borrowed", ["request", "proof"])
def test_an_approval_borrows_no_earlier_time(world: World, borrowed: str) -> None:
    """It bears the id of something that the executor saw in time: of the request, or of a proof put in early."""
    with changed(world.root(), OPERATION_DN, ipaTpiApprovalSeconds=[b"2"]):
        request_id = world.request("alice")
        about = digests(world, request_id).approval
        proof = prove(world, "bob", request_id, Purpose.APPROVE, about)
        assert receipt(world, request_id, proof) == "verified"
        with stopped(world, EXECUTOR):
            time.sleep(3.2)
            entry_id, more = (request_id, "") if borrowed == "request" else (proof, "+objectClass=top")
            dn = f"ipaTpiEntryId={entry_id}{more},{request_dn(request_id)}"
            values = {"ipaTpiEntryId": entry_id.encode(), "ipaTpiDigest": about.hex().encode()}
            add(world.ldap("bob"), dn, ["ipaTpiApproval"], values)
        assert ended(world, request_id) == ("denied", "seen-entry-changed")
    never_intended(world, request_id)
