"""Stopping a process from outside at each call of interest, and killing it there.

No hook in the shipped program is needed.  `strace` sends a process a SIGSTOP with each of the calls that it
is told of: each commit of the executor's journal ends in one fdatasync(2), each operation on the directory is
one write(2), each audit record and each word to systemd one sendto(2).  The call itself still completes, and
then all threads stand still: the commit is on the disk, the operation is on its way, and nothing that follows
has begun.  There the test looks, and lets the process go on (SIGCONT) or ends it (SIGKILL, as `kill -9` is).
What each call carried is in strace's log, so that a point is named by what is on its way, not by a number.

Why not `inject=fdatasync:signal=SIGKILL:when=N`: strace counts N for each thread on its own, and which of the
workers takes a request is chance.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from world import EXECUTOR, JOURNAL, World

COMMITS = "fdatasync,fsync"
ALL_CALLS = "fdatasync,fsync,write,sendto,sendmsg"
ATTACH_SECONDS = 10.0
STEP_SECONDS = 20.0
MAX_COMMITS = 40
_COPIES = 20
_PAUSE_SECONDS = 0.001
_SHOWN_BYTES = "2048"
_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"\w+\(")


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


@dataclass(frozen=True)
class Stop:
    """A process that stands still.

    Attributes:
        pid: Which one.
        call: What it had just done, as strace shows it.
    """

    pid: int
    call: str


class Stepper:
    """Processes under strace: each stops at every call of interest.

    Args:
        pids: Theirs.
        log: Where strace writes; it exists.
        calls: Names of system calls, as strace takes them.
    """

    def __init__(self, pids: Sequence[int], log: Path, calls: str = COMMITS) -> None:
        self.pids = tuple(pids)
        self._log = log.open()
        self._text = ""
        self._latest: dict[str, str] = {}
        self._waiting: list[Stop] = []
        self._tracer = subprocess.Popen(
            [
                *("/usr/bin/timeout", "--signal=INT", "120"),
                *("/usr/bin/strace", "-f", "-q", "-s", _SHOWN_BYTES, "-o", str(log)),
                *(word for pid in self.pids for word in ("-p", str(pid))),
                *("-e", f"trace={calls}", "-e", f"inject={calls}:signal=SIGSTOP"),
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await_that(
            lambda: _are_traced(self.pids, self._tracer),
            ATTACH_SECONDS,
            "strace does not attach; is ptrace allowed in here?",
        )

    def next_stop(self, seconds: float = STEP_SECONDS) -> Stop | None:
        """Wait for the next call.

        Args:
            seconds: How long at most.

        Returns:
            Where it stands; None where none came.
        """
        end = time.monotonic() + seconds
        while True:
            self._read()
            if self._waiting and _stands(self._waiting[0].pid):
                return self._waiting.pop(0)
            if time.monotonic() > end:
                return None
            time.sleep(_PAUSE_SECONDS)

    def go_on(self, pid: int = 0) -> None:
        """Let a process run to its next call.

        Args:
            pid: Which one; the only one when left out.
        """
        target = pid or self.pids[0]
        self._read()
        # Two threads may have stopped it at once; it goes on when each of their calls has been looked at.
        if not any(stop.pid == target for stop in self._waiting):
            with suppress(ProcessLookupError):
                os.kill(target, signal.SIGCONT)

    def walk(self, *patterns: str, seconds: float = STEP_SECONDS) -> Stop:
        """Let them run until calls that match came one after the other; the last one's process stands still.

        Args:
            *patterns: Regular expressions; each is looked for after the one before it.
            seconds: How long from one call to the next at most.

        Returns:
            The last of the calls.
        """
        seen: list[str] = []
        for number, pattern in enumerate(patterns):
            while True:
                stop = self.next_stop(seconds)
                assert stop is not None, f"{pattern!r} never came, only: {[one[:160] for one in seen[-5:]]}"
                seen.append(stop.call)
                found = re.search(pattern, stop.call) is not None
                if found and number == len(patterns) - 1:
                    return stop
                self.go_on(stop.pid)
                if found:
                    break
        raise AssertionError("no pattern was given")

    def kill(self) -> None:
        """End them where they stand, and wait until they are gone."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._tracer.wait(timeout=10)
        for pid in self.pids:
            await_that(lambda pid=pid: not _is_alive(pid), 10, "the process does not die")

    def release(self) -> None:
        """No longer trace them; who stands still goes on standing still."""
        if self._tracer.poll() is None:
            self._tracer.send_signal(signal.SIGINT)
            self._tracer.wait(timeout=10)
        self._log.close()

    def end(self) -> None:
        """Let go of them, whatever state they are in."""
        self.release()
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _read(self) -> None:
        self._text += self._log.read()
        *lines, self._text = self._text.split("\n")
        for line in lines:
            matched = _LINE.match(line)
            if matched is None:
                continue
            thread, rest = matched.groups()
            if _CALL.match(rest):
                self._latest[thread] = rest
            elif rest.startswith("--- SIGSTOP "):
                pid = next((one for one in self.pids if Path(f"/proc/{one}/task/{thread}").exists()), 0)
                if pid:
                    self._waiting.append(Stop(pid, self._latest.get(thread, "")))


@contextmanager
def stepped(world: World, calls: str = COMMITS) -> Iterator[Stepper]:
    """Have the executor stop at each commit, or at other calls, for a while."""
    with traced([world.pid(EXECUTOR)], calls) as stepper:
        yield stepper


@contextmanager
def traced(pids: Sequence[int], calls: str) -> Iterator[Stepper]:
    """Have processes stop at each of some calls for a while."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "strace"
        log.touch()
        stepper = Stepper(pids, log, calls)
        try:
            yield stepper
        finally:
            stepper.end()


@contextmanager
def failing(pid: int, what: str) -> Iterator[None]:
    """Have system calls of a process fail for a while, and let it go on if it stands still.

    Args:
        pid: Of the process.
        what: As strace's ``inject=`` takes it, such as ``pwrite64:error=ENOSPC``.
    """
    command = ["/usr/bin/strace", "-f", "-q", "-p", str(pid), "-o", "/dev/null", "-e", f"inject={what}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        try:
            await_that(lambda: _are_traced([pid], tracer), ATTACH_SECONDS, "strace does not attach")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            yield
        finally:
            tracer.send_signal(signal.SIGINT)


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
    for _ in range(_COPIES):
        # A copy that a checkpoint of the executor fell into is torn; the journal itself is not.
        with suppress(sqlite3.DatabaseError):
            return _standing(request_id)
    return _standing(request_id)


def _standing(request_id: str) -> Standing:
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
    return _letter(Path(f"/proc/{pid}/stat"))


def await_that(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    """Wait for a condition that comes within milliseconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(complaint)
        time.sleep(_PAUSE_SECONDS)


def _are_traced(pids: Sequence[int], tracer: subprocess.Popen[bytes]) -> bool:
    if tracer.poll() is not None:
        raise AssertionError("strace ended at once; is ptrace allowed in here?")
    threads = [thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()]
    return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)


def _stands(pid: int) -> bool:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return False
    return all(_letter(thread / "stat") in "tTX" for thread in threads)


def _letter(stat: Path) -> str:
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _is_alive(pid: int) -> bool:
    return state_of(pid) not in "ZX"
