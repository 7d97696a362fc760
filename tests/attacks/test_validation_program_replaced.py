"""Attack: put another program in the place of a validation program, or have another run in its name.

What an attacker would gain: a yes of his own making, or a program of his choice run by the host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from validators import ACCEPT, NAME, REFUSE, Watched, ask, watched
from world import World

from ipa_tpi.contract import FOLDER
from ipa_tpi.errors import TpiError
from ipa_tpi.model import Refuse

SWAP = """
import os, sys, time
good, *sources = sys.argv[1:]
aside = os.path.join(os.path.dirname(good), "aside")
while True:
    for source in sources:
        os.link(source, aside)
        os.rename(aside, good)
        time.sleep(0.002)
"""


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


def test_r_e19_a_program_that_others_can_write_is_refused(program: Watched) -> None:
    program.install(ACCEPT, mode=0o777)
    program.refused("validation-failed", "can be changed by others than root")


def _group(path: Path) -> None:
    path.chmod(0o775)


def _others(path: Path) -> None:
    path.chmod(0o757)


def _alice(path: Path) -> None:
    shutil.chown(path, "alice")


def _account(path: Path) -> None:
    shutil.chown(path, "ipatpi-validator")


@pytest.mark.parametrize("spoil", [_group, _others, _alice, _account])
@pytest.mark.parametrize("what", ["file", "folder", "parent"])
def test_r_e19_what_others_could_have_changed_is_not_run(
    program: Watched, what: str, spoil: Callable[[Path], None]
) -> None:
    file = program.install(ACCEPT)
    path = {"file": file, "folder": file.parent, "parent": file.parent.parent}[what]
    spoil(path)
    try:
        program.asked("validation-failed", f"{path} can be changed by others than root")
    finally:
        shutil.chown(path, "root")
        path.chmod(0o755)
    assert ask() is None


def test_r_e19_no_link_leads_out(program: Watched) -> None:
    program.remove()
    path = Path(FOLDER, NAME)
    for target in ("/usr/bin/true", "../validators-network/last-directory-server", "ticket"):
        path.symlink_to(target)
        program.asked("validation-failed", "no link is followed")
        path.unlink()


@pytest.mark.parametrize(
    "name", ["../../../bin/true", "/usr/bin/true", ".", "..", "a/b", "", "Ticket", "x\n", "-v"]
)
def test_r_k05_a_path_is_no_name(world: World, name: str) -> None:
    """Neither in the directory, nor at the service."""
    refusal = ask(name)
    assert refusal is not None
    assert (refusal.code, "not of the form" in refusal.message) == ("validation-failed", True)
    if name:
        with watched(world, name=name), pytest.raises(TpiError) as caught:
            world.request("alice")
        assert caught.value.code in {"operation-malformed", "unknown-operation"}


def test_r_e19_a_swap_in_the_middle_runs_nothing_but_what_was_checked(program: Watched) -> None:
    """A file of alice's takes the name for moments, again and again; it is never run."""
    good = program.install(ACCEPT)
    evil, spare = good.with_name("evil"), good.with_name("spare")
    evil.write_text(REFUSE)
    evil.chmod(0o755)
    shutil.chown(evil, "alice")
    os.link(good, spare)
    command = [sys.executable, "-c", SWAP, str(good), str(evil), str(spare)]
    with subprocess.Popen(command) as swapper:
        try:
            ends = [_end(ask()) for _ in range(12)]
        finally:
            swapper.kill()
    for path in (evil, spare, good.with_name("aside")):
        path.unlink(missing_ok=True)
    assert set(ends) == {"accepted", "can be changed by others"}


def _end(refusal: Refuse | None) -> str:
    if refusal is None:
        return "accepted"
    unsafe = "can be changed by others"
    return unsafe if unsafe in refusal.message else f"{refusal.code}: {refusal.message}"
