"""Attack: a validation program that multiplies, or leaves something of it running.

What an attacker would gain: a process of his choice on the host after the decision, or a host on which nothing can be
started any more.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest
from validators import ACCEPT, LINE, Watched, watched
from world import World

# The kernel counts the processes of an account for all boxes together: one without end would be felt in the next box.
PROCESSES = 128
BOMB = """\
#!/usr/bin/python3 -I
import os, time
first = os.getpid()
for _ in range(7):
    if not os.fork() and {apart}:
        os.setsid()
open("/proc/self/comm", "w").write("lab-bomb")
time.sleep(600 if os.getpid() != first else {seconds})
"""
DAEMON = """\
#!/usr/bin/python3 -I
import os, sys, time
if not os.fork():
    os.setsid()
    if not os.fork():
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


@pytest.mark.parametrize("apart", [False, True], ids=["in one session", "each in its own"])
def test_r_e06_a_fork_bomb_ends_with_its_time(program: Watched, *, apart: bool) -> None:
    program.install(BOMB.format(apart=apart, seconds=600))
    most = [0]
    over = threading.Event()

    def count() -> None:
        while not over.wait(0.1):
            most[0] = max(most[0], len(_bombs()))

    counter = threading.Thread(target=count)
    counter.start()
    try:
        program.asked("validation-timeout", seconds=5)
    finally:
        over.set()
        counter.join()
    assert most[0] >= PROCESSES / 2  # so that it was there at all
    assert _bombs() == []


def _bombs() -> list[str]:
    found = subprocess.run(["/usr/bin/pgrep", "lab-bomb"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def test_r_e11_a_bomb_without_end_meets_a_limit(world: World) -> None:
    for unit in ("ipa-tpi-validate@x.service", "ipa-tpi-validate-network@x.service"):
        assert [world.show(unit, name) for name in ("TasksMax", "LimitNPROC", "MemoryMax")] == [
            "32",
            "256",
            str(128 * 1024 * 1024),
        ]


def test_r_e06_a_fork_bomb_is_refused(program: Watched) -> None:
    program.install(BOMB.format(apart=True, seconds=1))
    program.refused("validation-failed", "left processes behind")
    program.install(ACCEPT)
    program.runs()


@pytest.mark.parametrize(
    "text", ["sleep 600 &", "setsid sleep 600 &", "sleep 600 >/dev/null 2>&1 </dev/null &"]
)
def test_r_k05_whoever_leaves_children_has_refused(program: Watched, text: str) -> None:
    program.install(f"#!/bin/sh\n{text}\nexit 0\n")
    program.asked("validation-failed", "left processes behind")


def test_r_k05_a_daemon_does_not_get_away(program: Watched) -> None:
    program.install(DAEMON)
    program.refused("validation-failed", "left processes behind")


def test_r_e06_a_refusal_with_a_child_left_is_a_refusal_and_the_child_ends(program: Watched) -> None:
    program.install(f"#!/bin/sh\nsetsid sleep 600 &\necho '{LINE}'\nexit 1\n")
    program.asked("validation-refused", "the program says no")
