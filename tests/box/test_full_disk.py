"""Attack: take the disk away below the executor's journal: it is full, or what was written cannot be synced.

What an attacker would gain: an operation that runs again because nobody could note that it ran, or one that is
lost because nobody could note that it was approved.  strace answers in the kernel's stead, from outside.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from checks import log_since_start
from kill_scene import quick_units
from stepping import Standing, failing, standing, stepped
from world import EXECUTOR, World, eventually

FULL = "pwrite64:error=ENOSPC"
UNSYNCED = "fdatasync,fsync:error=EIO"
# First sight of what came together and who bob is, the verdict, the receipt's entry, its mark, the intent, the
# execution entry's mark, first sight of it and of the receipt, the claim, the outcome, the result's entry, its mark,
# published.
COMMITS = 13
INTENT, CLAIM, OUTCOME = 6, 9, 10


@pytest.fixture(scope="module", autouse=True)
def _quick(world: World) -> Iterator[None]:
    with quick_units(world):
        yield


@pytest.mark.parametrize("commit", range(1, COMMITS + 1))
def test_r_e17_a_full_disk_at_each_commit_only_delays_or_is_indeterminate(world: World, commit: int) -> None:
    """The n-th commit after the approval finds no space; when there is space again it goes on by itself."""
    request_id, before, pid = world.request("alice", reason=f"full at {commit}"), world.starts(), world.pid()
    _get_stuck(world, request_id, commit, FULL, before)
    _assert_end(world, request_id, commit, before)
    assert len(world.starts()) == len(before) + 1
    assert world.pid() == pid


def test_the_commits_are_those_of_this_file(world: World) -> None:
    request_id = world.request("alice", reason="counted")
    states = []
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        while not states or not states[-1].published:
            assert stepper.next_stop()
            states.append(standing(request_id))
            stepper.go_on()
    assert len(states) == COMMITS
    names = [one.state for one in states]
    assert [names.index(name) + 1 for name in ("intent", "claimed", "ended")] == [INTENT, CLAIM, OUTCOME]
    world.wait_state(request_id, "executed")


@pytest.mark.parametrize("commit", [INTENT, CLAIM, OUTCOME])
@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "is killed"])
def test_r_e17_a_commit_that_cannot_be_synced_counts_as_not_written(
    world: World, commit: int, dies: bool
) -> None:
    """Killed, the next start may find what was written or not; either way it acts once at most."""
    request_id, before = world.request("alice", reason=f"not synced at {commit}"), world.starts()
    _get_stuck(world, request_id, commit, UNSYNCED, before, dies=dies)
    _assert_end(world, request_id, commit, before, doubtful=dies)
    assert len(world.starts()) - len(before) <= 1


def _get_stuck(
    world: World, request_id: str, commit: int, what: str, before: list[str], *, dies: bool = False
) -> None:
    """Have a commit fail, and see that it is tried again and nothing else happens."""
    pid = world.pid()
    with stepped(world) as stepper:
        if commit > 1:
            world.approve("bob", request_id)
        for number in range(1, commit):
            assert stepper.next_stop(), f"there was no commit {number}"
            if number < commit - 1:
                stepper.go_on()
        then = standing(request_id)
        stepper.release()
        with failing(pid, what):
            if commit == 1:
                world.approve("bob", request_id)
            # Twice: it was tried again.
            eventually(lambda: log_since_start(world).count(f"{request_id}: the journal") >= 2)
            assert "nothing is run until it can" in log_since_start(world)
            if what == FULL:  # of what was written and not synced a copy shows what a next start may find
                assert standing(request_id).state == then.state
            assert len(world.starts()) - len(before) == (1 if then.state in {"claimed", "ended"} else 0)
            if dies:
                world.kill(EXECUTOR)


def _assert_end(
    world: World, request_id: str, commit: int, before: list[str], *, doubtful: bool = False
) -> None:
    # Acted, and could not note how it ended: it does not guess, and does not act again.
    allowed = {"indeterminate" if commit == OUTCOME else "executed"}
    if doubtful:
        allowed = {"executed"} if commit == INTENT else {"executed", "indeterminate"}
    eventually(lambda: standing(request_id).published)
    view = world.wait_for("bob", request_id, lambda now: now.result is not None)
    outcome = view.result.outcome
    assert outcome in allowed
    assert view.state == outcome
    assert standing(request_id) == Standing("ended", outcome, published=True)
    assert world.audit(request_id, "outcome")[-1]["outcome"] == outcome
    if outcome == "executed":
        assert len(world.starts()) == len(before) + 1
