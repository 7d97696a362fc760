"""Attack: take the floor or the journal away from the executor, or put others in their place.

What an attacker would gain: a host that does more than its root allowed (the floor), or one that has forgotten
what it did already (the journal).  The executor must rather not run at all, and say why.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from world import EXECUTOR, JOURNAL, UNIT, Done, World, eventually, stopped

from ipa_tpi.errors import TpiError

FLOOR = Path("/etc/ipa/tpi/floor.toml")
CONFIG = Path("/etc/ipa/tpi/executor.toml")
PROGRAM = "/usr/libexec/ipa-tpi/ipa-tpi-executor"
SAVED = Path("/var/lib/ipa-tpi-executor.saved")
APACHE = "apache2.service"


LACKING = (
    ("below-floor", lambda text: text.replace('["DS01"]', '["OTHER"]')),
    ("operation-not-on-floor", lambda text: text.replace("dirsrv.restart", "dirsrv.backup")),
)


@pytest.mark.parametrize(("code", "change"), LACKING)
def test_r_x13_the_web_service_refuses_what_is_not_on_the_floor(
    world: World, code: str, change: Callable[[str], str]
) -> None:
    before = world.starts()
    with _floor(world, change, APACHE):
        with pytest.raises(TpiError) as caught:
            world.request("alice")
        assert caught.value.code == code
    assert world.starts() == before


@pytest.mark.parametrize(("code", "change"), LACKING)
def test_r_x13_the_executor_refuses_what_its_own_floor_lacks(
    world: World, code: str, change: Callable[[str], str]
) -> None:
    """The web service still has the old floor, and the directory holds request, approval and both proofs."""
    request_id = world.request("alice", reason="the floor changes meanwhile")
    before = world.starts()
    with stopped(world, EXECUTOR):
        world.approve("bob", request_id)
        with _changed(FLOOR, change):
            world.systemctl("start", EXECUTOR)
            view = world.wait_state(request_id, "denied")
            world.halt()
    assert view.result.excerpt.startswith(f"{code}: ")
    assert world.audit(request_id, "outcome")[-1]["code"] == code
    assert world.starts() == before


def test_r_x13_the_floor_tightens_the_policy_of_the_directory(world: World) -> None:
    request_id = world.request("alice", reason="the floor asks for two")
    before = world.starts()
    with _floor(world, lambda text: text.replace("required_approvals = 1", "required_approvals = 2"), APACHE):
        world.approve("bob", request_id)
        view = world.wait_for("bob", request_id, lambda now: now.approvals and now.approvals[0].counts)
        assert (view.state, view.required_approvals) == ("pending", 2)
        assert world.starts() == before
        world.approve("carol", request_id)
        world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("not valid", lambda text: text + "\n[operations"),
        ("not valid", lambda text: text + '\n[operations."dirsrv.restart".more]\nx = 1\n'),
        ("not valid", lambda text: text.replace("version = 1", "version = 2")),
        ("not valid", lambda text: text.replace("version = 1", "version = 1\nlab = true")),
        ("not valid", lambda text: text.replace("required_approvals = 1", "required_approvals = 0")),
        ("not valid", lambda text: text.replace("proof = true", 'proof = "no"')),
        ("not valid", lambda text: text.replace("DS01", "DS01.service -M x")),
        ("not valid", lambda _text: ""),
    ],
)
def test_r_a13_a_malformed_floor_stops_the_start(
    world: World, what: str, change: Callable[[str], str]
) -> None:
    with _changed(FLOOR, change):
        _assert_no_start(world, str(FLOOR), what, "Correct the file")


def test_r_a13_a_missing_floor_stops_the_start(world: World) -> None:
    text = FLOOR.read_text()
    FLOOR.unlink()
    try:
        _assert_no_start(world, str(FLOOR), "cannot read")
        # Nor does systemd get it up.
        started = subprocess.run(
            ["/usr/bin/systemctl", "start", EXECUTOR], capture_output=True, timeout=60, check=False
        )
        assert started.returncode != 0
        world.systemctl("stop", EXECUTOR)
    finally:
        FLOOR.write_text(text)
        FLOOR.chmod(0o644)


@pytest.mark.parametrize("path", [FLOOR, CONFIG])
@pytest.mark.parametrize(
    ("mode", "owner"), [(0o664, "root"), (0o646, "root"), (0o644, "ipatpi-web"), (0o644, "alice")]
)
def test_r_e19_a_file_that_others_can_change_stops_the_start(
    world: World, path: Path, mode: int, owner: str
) -> None:
    status = path.stat()
    try:
        shutil.chown(path, owner)
        path.chmod(mode)
        _assert_no_start(world, str(path), "can be changed by others", "chown root:root")
    finally:
        shutil.chown(path, status.st_uid, status.st_gid)
        path.chmod(status.st_mode & 0o777)


def test_r_k13_a_missing_journal_is_never_made_silently(world: World) -> None:
    with _journal_aside(world):
        _assert_no_start(world, "there is no journal", "ipa-tpi-executor init")
        assert not Path(JOURNAL).exists()


def test_r_x12_a_new_journal_refuses_older_requests(world: World) -> None:
    request_id = world.request("alice", reason="older than the journal")
    before = world.starts()
    with _journal_aside(world):
        done = world.run("ipatpi-exec", [PROGRAM, "init"])
        assert done.status == 0
        assert "requests made before now will be refused" in done.out
        world.systemctl("start", EXECUTOR)
        world.approve("bob", request_id)
        view = world.wait_state(request_id, "denied")
        assert view.result.excerpt.startswith("older-than-journal: ")
        assert world.starts() == before
        new_id = world.request("alice", reason="younger than the journal")
        assert world.api("alice").show(new_id).state == "pending"


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
    _assert_it_works(world)
    assert len(world.starts()) == len(before) + 1  # the one of _assert_it_works
    # Two results that contradict each other are shown as what they are.
    outcomes = [one["ipaTpiOutcome"][0] for one in world.of_class(request_id, "ipaTpiResult")]
    assert sorted(outcomes) == [b"denied", b"executed"]
    assert world.api("bob").show(request_id).state == "indeterminate"


def test_r_k13_init_never_overwrites_a_journal(world: World) -> None:
    before = Path(JOURNAL).stat().st_ino
    done = world.run("ipatpi-exec", [PROGRAM, "init"])
    assert done.status == 1
    assert "never overwritten" in done.err
    assert Path(JOURNAL).stat().st_ino == before


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE meta SET value = 'other.tpi.test' WHERE name = 'host'", "belongs to another host"),
        ("UPDATE meta SET value = '2' WHERE name = 'version'", "another version"),
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
        _assert_no_start(world, JOURNAL, words)


def test_r_k13_a_damaged_journal_stops_the_start(world: World) -> None:
    with _journal_copied(world):
        content = bytearray(Path(JOURNAL).read_bytes())
        content[4096:12288] = b"\x5a" * 8192
        Path(JOURNAL).write_bytes(content)
        _own(world)
        _assert_no_start(world, JOURNAL)


def test_r_k13_a_second_executor_on_the_same_journal_does_not_start(world: World) -> None:
    pid = world.pid()
    done = world.run("ipatpi-exec", ["/usr/bin/timeout", "10", PROGRAM])
    assert done.status == 1
    assert "another executor holds the journal" in done.err
    assert world.pid() == pid
    # The first one still listens: the second has not taken its socket away.
    _assert_it_works(world)
    assert Path("/run/ipa-tpi-executor/executor.sock").is_socket()


def _assert_no_start(world: World, *words: str) -> None:
    """The program ends at once and says why."""
    world.halt()
    done: Done = world.run("ipatpi-exec", ["/usr/bin/timeout", "10", PROGRAM])
    assert done.status == 1, done
    assert done.err.startswith("ipa-tpi-executor: ERROR: "), done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done


def _assert_it_works(world: World) -> None:
    request_id = world.request("carol", reason="works again")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    assert world.show(UNIT, "ActiveState") == "active"


@contextmanager
def _changed(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    try:
        yield
    finally:
        path.write_text(text)


@contextmanager
def _floor(world: World, change: Callable[[str], str], *others: str) -> Iterator[None]:
    """Have another floor for a while, in force."""
    try:
        with _changed(FLOOR, change):
            world.halt()
            world.systemctl("restart", EXECUTOR, *others)
            yield
    finally:
        world.halt()
        world.systemctl("restart", EXECUTOR, *others)


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
