"""Stopping the executor from outside at each durable step, and killing it there.

No hook in the shipped program is needed.  Each commit of the executor's journal ends in one fdatasync(2).
`strace` sends the process a SIGSTOP with each of these calls: the call itself still completes, and then all
threads stand still, the commit being on the disk and nothing that follows it having begun.  There the test
looks, and lets the process go on (SIGCONT) or ends it (SIGKILL, from outside, as `kill -9` is).

Why not `inject=fdatasync:signal=SIGKILL:when=N`: strace counts N for each thread on its own, and which of the
workers takes a request is chance.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from world import EXECUTOR, JOURNAL, World

ATTACH_SECONDS = 5.0
STEP_SECONDS = 15.0
MAX_COMMITS = 40
_PAUSE_SECONDS = 0.002


@dataclass(frozen=True)
class Standing:
    """Where a request stands in a copy of the journal.

    Attributes:
        state: Of its claim; empty where there is none.
        outcome: Of an ended one.
        published: Its result is marked as being in the directory.
    """

    state: str = ""
    outcome: str = ""
    published: bool = False


class Stepper:
    """The executor under strace: it stops at each fdatasync.

    Args:
        pid: Of the executor.
        log: Where strace writes.
    """

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.stops = 0
        self._log = log
        self._tracer = subprocess.Popen(
            [
                "/usr/bin/timeout",
                "--signal=INT",
                "120",
                "/usr/bin/strace",
                "-f",
                "-q",
                "-p",
                str(pid),
                "-o",
                str(log),
                "-e",
                "trace=fdatasync,fsync",
                "-e",
                "inject=fdatasync,fsync:signal=SIGSTOP",
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _await(self._is_traced, ATTACH_SECONDS, "strace does not attach; is ptrace allowed in here?")

    def next_stop(self, seconds: float = STEP_SECONDS) -> bool:
        """Wait for the next commit.

        Args:
            seconds: How long at most.

        Returns:
            False where none came.
        """
        end = time.monotonic() + seconds
        while not (self._seen() > self.stops and state_of(self.pid) in "tT"):
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE_SECONDS)
        self.stops += 1
        return True

    def go_on(self) -> None:
        """Let the executor run to its next commit."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the executor where it stands, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self._tracer.wait(timeout=10)
        _await(lambda: not _is_alive(self.pid), 10, "the executor does not die")

    def end(self) -> None:
        """Let go of the executor, whatever state it is in."""
        if self._tracer.poll() is None:
            self._tracer.send_signal(signal.SIGINT)
            self._tracer.wait(timeout=10)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def _seen(self) -> int:
        return self._log.read_text().count("--- SIGSTOP ")

    def _is_traced(self) -> bool:
        threads = list(Path(f"/proc/{self.pid}/task").iterdir())
        return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)


@contextmanager
def stepped(world: World) -> Iterator[Stepper]:
    """Have the executor stop at each commit for a while."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "strace"
        log.touch()
        stepper = Stepper(world.pid(EXECUTOR), log)
        try:
            yield stepper
        finally:
            stepper.end()


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Have a process stand still for a while."""
    assert pid > 0, "it does not run"
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def standing(request_id: str) -> Standing:
    """Tell where a request stands, from a copy of the journal, so that looking checkpoints nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(JOURNAL + ending, folder)
        with closing(sqlite3.connect(Path(folder) / Path(JOURNAL).name)) as database:
            rows = database.execute(
                "SELECT state, outcome, published FROM claims WHERE request = ?", (request_id,)
            ).fetchall()
    return Standing(rows[0][0], rows[0][1] or "", bool(rows[0][2])) if rows else Standing()


def step_reached(world: World, request_id: str) -> str:
    """Name the last step of DESIGN section 2 that a request has certainly got through.

    Returns:
        ``before 4``, ``4``, ``5``, ``7``, ``9`` or ``after 10``.
    """
    now = standing(request_id)
    if now.state == "intent":
        return "5" if world.of_class(request_id, "ipaTpiExecution") else "4"
    if now.state == "ended":
        return "after 10" if world.of_class(request_id, "ipaTpiResult") else "9"
    return {"": "before 4", "claimed": "7"}[now.state]


def walk_to(world: World, stepper: Stepper, request_id: str, step: str) -> None:
    """Let the executor run, commit by commit, until it has got through a step; it stands still there."""
    for _ in range(MAX_COMMITS):
        assert stepper.next_stop(), f"it never came to {step}"
        if step_reached(world, request_id) == step:
            return
        stepper.go_on()
    raise AssertionError(f"it never came to {step}")


def state_of(pid: int) -> str:
    """Give the letter of a process's state (proc(5)); X where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _is_alive(pid: int) -> bool:
    return state_of(pid) not in "ZX"


def _await(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(complaint)
        time.sleep(_PAUSE_SECONDS)
