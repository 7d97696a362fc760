"""The whole directory is put back to what it was a while ago, with 389-ds's own tools (X12).

Vetoes and results that were there are gone, and approvals that they ended lie there alone.  Whoever restores a backup,
or has it restored, would have run what somebody has denied, or run once more what has run.
"""

from __future__ import annotations

from dataclasses import dataclass

from realm_directory import restore, saved
from straight import approve, digests, ended, runs_for, settle, subtree
from world import EXECUTOR, HOST, World, eventually, stopped

from ipa_tpi.client import Wish
from ipa_tpi.model import Approval, Denial, Withdrawal


@dataclass(frozen=True)
class Asked:
    """The requests that were there when the backup was made."""

    denied: str
    cancelled: str
    withdrawn: str
    executed: str
    unseen: str

    def ended(self) -> dict[str, str]:
        """Give how those ended that had ended when the backup was put back."""
        return {
            self.denied: "denied",
            self.cancelled: "cancelled",
            self.executed: "executed",
            self.unseen: "executed",
        }


def ask(world: World) -> Asked:
    """Have everything asked and approved, with an executor that is away since the previews."""
    shown = [world.request(person) for person in ("alice", "bob", "carol", "erin")]
    world.systemctl("stop", EXECUTOR)
    for request_id, person in zip(shown, ("bob", "carol", "alice", "bob"), strict=True):
        world.approve(person, request_id)
    unseen = world.api("grace").create(Wish("dirsrv.restart", HOST, {"instance": "DS01"})).id
    return Asked(*shown, unseen)


def veto(world: World, asked: Asked) -> None:
    """Say no to three of them."""
    carol, bob, alice = (world.api(person) for person in ("carol", "bob", "alice"))
    carol.deny(carol.show(asked.denied))
    bob.cancel(bob.show(asked.cancelled))
    alice.withdraw(alice.show(asked.withdrawn))


def let_it_end(world: World, asked: Asked) -> None:
    """Have the executor look at all of them."""
    world.systemctl("start", EXECUTOR)
    world.wait_state(
        asked.executed, "executed", person="frank"
    )  # two restarts at once can be one for systemd
    world.wait_state(asked.unseen, "pending")
    approve(world, "bob", asked.unseen)
    for request_id, outcome in asked.ended().items():
        assert ended(world, request_id)[0] == outcome
        world.wait_for("frank", request_id, lambda view: view.result is not None)
    settle(world, asked.withdrawn, "carol")  # the withdrawal was seen


def test_nothing_that_was_vetoed_or_has_run_comes_back_to_life(world: World) -> None:
    before = world.starts()
    asked = ask(world)
    with saved(world) as path:
        veto(world, asked)
        let_it_end(world, asked)
        eventually(lambda: len(world.starts()) == len(before) + 2)
        about = digests(world, asked.unseen).approval
        restore(
            world, path
        )  # under a running executor, which looks through all there is when it is connected again
    there = {request_id: subtree(world, request_id) for request_id in asked.ended()}
    assert there[asked.denied].of(Denial) == ()
    assert [len(there[one].of(Approval)) for one in asked.ended()] == [1, 1, 1, 0]
    assert subtree(world, asked.withdrawn).of(Withdrawal) == ()
    assert ended(world, asked.withdrawn) == ("denied", "seen-entry-missing")
    for request_id, outcome in asked.ended().items():
        view = world.wait_for("frank", request_id, lambda view: view.result is not None)
        assert (view.state, view.result.outcome) == (outcome, outcome)
        assert [one["outcome"] for one in world.audit(request_id, "republished")] == [outcome]
        assert world.claims("SELECT state, outcome FROM claims WHERE request = ?", request_id) == [
            ("ended", outcome)
        ]
    # Once more, by people who believe what they see there, and after a new start.
    approve(world, "carol", asked.denied)
    approve(world, "bob", asked.unseen, about)
    with stopped(world, EXECUTOR):
        pass
    runs_for(world, world.request("alice"))
    assert len(world.starts()) == len(before) + 3
    for request_id in (asked.executed, asked.unseen):
        assert len(world.audit(request_id, "claim")) == 1
    for request_id in (asked.denied, asked.cancelled, asked.withdrawn):
        assert world.audit(request_id, "claim") == []


def test_what_was_put_back_before_anything_happened_runs(world: World) -> None:
    """The same backup and the same restore, and nobody said no in between: it runs, once."""
    request_id = world.request("alice")
    before = world.starts()
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        with saved(world) as path:
            restore(world, path)
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1
