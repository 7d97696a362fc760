"""Attack: take the journal away from the executor, or put another in its place.

What an attacker would gain: a host that has forgotten what it did already, and does it again.  The executor must
rather not run at all, and say why.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from checks import EXECUTOR_PROGRAM, assert_it_works, assert_no_start
from world import EXECUTOR, JOURNAL, World, eventually

SAVED = Path("/var/lib/ipa-tpi-executor.saved")


def test_r_k13_a_missing_journal_is_never_made_silently(world: World) -> None:
    with _journal_aside(world):
        assert_no_start(world, "there is no journal", "ipa-tpi-executor init")
        assert not Path(JOURNAL).exists()


def test_r_x12_a_new_journal_refuses_older_requests(world: World) -> None:
    """Also one that both people have proved, and that was not run: nobody knows that it was not."""
    request_id = world.request("alice", reason="older than the journal")
    before = world.starts()
    with _journal_aside(world):
        world.approve("bob", request_id)
        done = world.run("ipatpi-exec", [EXECUTOR_PROGRAM, "init"])
        assert done.status == 0
        assert "requests made before now will be refused" in done.out
        world.systemctl("start", EXECUTOR)
        view = world.wait_state(request_id, "denied")
        assert view.result.excerpt.startswith("older-than-journal: ")
        assert world.starts() == before


def test_r_x12_a_new_journal_leaves_history_alone(world: World) -> None:
    """What was executed stays executed, and does not count as waiting."""
    old = world.request("carol", reason="history")
    world.approve("bob", old)
    world.wait_state(old, "executed")
    with _journal_aside(world):
        world.run("ipatpi-exec", [EXECUTOR_PROGRAM, "init"])
        time.sleep(1.1)  # createTimestamp has whole seconds, so the second of the start counts as before it
        world.systemctl("start", EXECUTOR)
        assert_it_works(world)  # carol's too
        eventually(lambda: world.audit(old, "history"))
        assert world.api("bob").show(old).state == "executed"
        assert len(world.of_class(old, "ipaTpiResult")) == 1
        assert len(world.of_class(old, "ipaTpiReceipt")) == 2


@pytest.mark.parametrize("when", ["before the request", "before the approval"])
def test_r_x12_an_older_copy_of_the_journal_runs_nothing_twice(world: World, when: str) -> None:
    """A backup is played back: the directory knows of an execution and a result, the journal does not."""
    request_id = "" if when == "before the request" else world.request("alice", reason=f"journal from {when}")
    with _journal_aside(world):  # ends with the journal as it was at its beginning
        for path in SAVED.iterdir():
            shutil.copy(path, Path(JOURNAL).parent)
        _own(world)
        world.systemctl("start", EXECUTOR)
        request_id = request_id or world.request("alice", reason=f"journal from {when}")
        world.approve("bob", request_id)
        world.wait_state(request_id, "executed")
        before = world.starts()
    # Entries under its own name that its journal lacks are forged to it: it refuses, and says so.
    eventually(
        lambda: [one.get("code") for one in world.audit(request_id, "outcome")] == [None, "forged-entry"]
    )
    assert_it_works(world)
    assert len(world.starts()) == len(before) + 1  # the one of assert_it_works
    # Two results that contradict each other are shown as what they are.
    outcomes = [one["ipaTpiOutcome"][0] for one in world.of_class(request_id, "ipaTpiResult")]
    assert sorted(outcomes) == [b"denied", b"executed"]
    assert world.api("bob").show(request_id).state == "indeterminate"


def test_r_k13_init_never_overwrites_a_journal(world: World) -> None:
    before = Path(JOURNAL).stat().st_ino
    done = world.run("ipatpi-exec", [EXECUTOR_PROGRAM, "init"])
    assert done.status == 1
    assert "never overwritten" in done.err
    assert Path(JOURNAL).stat().st_ino == before


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE meta SET value = 'other.tpi.test' WHERE name = 'host'", "belongs to another host"),
        ("UPDATE meta SET value = value + 1 WHERE name = 'version'", "another version"),
        ("DELETE FROM meta", "not one of ours"),
        ("DROP TABLE meta", "could not be read"),
    ],
)
def test_r_x12_a_journal_that_is_not_this_hosts_stops_the_start(
    world: World, statement: str, words: str
) -> None:
    with _journal_copied(world):
        with closing(sqlite3.connect(JOURNAL)) as database:
            database.execute(statement)
            database.commit()
        _own(world)
        assert_no_start(world, JOURNAL, words)


def test_r_k13_a_damaged_journal_stops_the_start(world: World) -> None:
    with _journal_copied(world):
        content = bytearray(Path(JOURNAL).read_bytes())
        content[4096:12288] = b"\x5a" * 8192
        Path(JOURNAL).write_bytes(content)
        _own(world)
        assert_no_start(world, JOURNAL)


def test_r_k13_a_second_executor_on_the_same_journal_does_not_start(world: World) -> None:
    pid = world.pid()
    done = world.run("ipatpi-exec", ["/usr/bin/timeout", "10", EXECUTOR_PROGRAM])
    assert done.status == 1
    assert "another executor holds the journal" in done.err
    assert world.pid() == pid
    # The first one still listens: the second has not taken its socket away.
    assert_it_works(world)
    assert Path("/run/ipa-tpi-executor/executor.sock").is_socket()


@contextmanager
def _journal_aside(world: World) -> Iterator[None]:
    folder = Path(JOURNAL).parent
    world.halt()
    shutil.copytree(folder, SAVED)
    for path in folder.iterdir():
        path.unlink()
    try:
        yield
    finally:
        world.halt()
        for path in folder.iterdir():
            path.unlink()
        for path in SAVED.iterdir():
            shutil.copy(path, folder)
        with suppress(FileNotFoundError):
            shutil.rmtree(SAVED)
        _own(world)
        world.systemctl("start", EXECUTOR)


@contextmanager
def _journal_copied(world: World) -> Iterator[None]:
    """Have a journal that may be spoilt; the true one comes back afterwards."""
    with _journal_aside(world):
        for path in SAVED.iterdir():
            shutil.copy(path, Path(JOURNAL).parent)
        _own(world)
        yield


def _own(_world: World) -> None:
    for path in Path(JOURNAL).parent.iterdir():
        shutil.chown(path, "ipatpi-exec", "ipatpi-exec")
        path.chmod(0o600)
