"""Attack: have a veto arrive while the executor is already on its way, or while it is dead, so that it is lost.

What an attacker would gain: an operation that runs although somebody said no in time.  The last point at which
a veto counts is the read of step 6 (R-K15); the executor is stopped, from outside, at the commits around it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from stepping import Standing, standing, stepped, walk_to
from world import EXECUTOR, World, eventually

from ipa_tpi.client import TpiClient
from ipa_tpi.errors import TpiError
from ipa_tpi.wire import RequestView

VETOES: dict[str, tuple[str, Callable[[TpiClient, str], RequestView], str, str]] = {
    "deny": (
        "carol",
        lambda api, request_id: api.deny(api.show(request_id), "stop"),
        "denied",
        "denied-by-approver",
    ),
    "cancel": (
        "alice",
        lambda api, request_id: api.cancel(api.show(request_id), "stop"),
        "cancelled",
        "cancelled",
    ),
    "withdraw": ("bob", lambda api, request_id: api.withdraw(api.show(request_id), "stop"), "denied", ""),
}


@pytest.mark.parametrize("veto", VETOES)
@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "is killed"])
def test_r_k15_a_veto_after_the_intent_counts(world: World, veto: str, dies: bool) -> None:
    """Stopped at step 4: promised, and not yet claimed."""
    person, say, outcome, code = VETOES[veto]
    request_id = world.request("alice", reason=f"vetoed at 4 by {veto}")
    before = world.starts()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "4")
        if dies:
            stepper.kill()
        say(world.api(person), request_id)
    if dies:
        world.halt()
        world.systemctl("start", EXECUTOR)
    view = world.wait_for("bob", request_id, lambda now: now.result is not None)
    assert (view.result.outcome, view.state) == (outcome, outcome)
    assert code in view.result.excerpt
    assert world.audit(request_id, "outcome")[-1]["outcome"] == outcome
    eventually(lambda: standing(request_id) == Standing("ended", outcome, published=True))
    assert world.audit(request_id, "claim") == []
    assert world.starts() == before


def test_r_k15_a_veto_after_the_claim_comes_too_late(world: World) -> None:
    """The counterpart: a moment later nothing stops it."""
    request_id = world.request("alice", reason="vetoed at 7")
    before = world.starts()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "7")
        # Only the target knows that it has claimed it, so the web service may take the veto; it must not say "denied".
        with suppress(TpiError):
            assert VETOES["deny"][1](world.api("carol"), request_id).state != "denied"
    assert world.wait_state(request_id, "executed").result.outcome == "executed"
    assert len(world.starts()) == len(before) + 1
