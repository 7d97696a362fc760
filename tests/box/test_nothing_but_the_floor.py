"""Attack: take the floor away from the executor, or put another in its place.

What an attacker would gain: a host that does more than its root allowed.  The executor must rather not run at
all, and say why.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checks import assert_no_start
from world import EXECUTOR, World, stopped

from ipa_tpi.errors import TpiError

FLOOR = Path("/etc/ipa/tpi/floor.toml")
CONFIG = Path("/etc/ipa/tpi/executor.toml")
APACHE = "apache2.service"


LACKING = (
    ("below-floor", lambda text: text.replace('"DS01", "TPI-TEST"', '"OTHER"')),
    ("operation-not-on-floor", lambda text: re.sub(r'\[operations."dirsrv.restart"\][^[]*\[[^[]*', "", text)),
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
        assert_no_start(world, str(FLOOR), what, "Correct the file")


def test_r_a13_a_missing_floor_stops_the_start(world: World) -> None:
    text = FLOOR.read_text()
    FLOOR.unlink()
    try:
        assert_no_start(world, str(FLOOR), "cannot read")
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
        assert_no_start(world, str(path), "can be changed by others", "chown root:root")
    finally:
        shutil.chown(path, status.st_uid, status.st_gid)
        path.chmod(status.st_mode & 0o777)


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
