"""Running one program and ending everything that comes of it.

The program gets nothing that is not given here: no standard input, no descriptor of ours but that of
its own file, a session of its own.  Both streams are read while it runs, so that no pipe ever fills;
what is beyond the caps is dropped.  This process adopts orphans (PR_SET_CHILD_SUBREAPER), so whatever
the program leaves behind, in whatever session, is seen, ended and told.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ipa_tpi.contract import MAX_ERROR_BYTES, MAX_OUTPUT_BYTES

_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_PIECE_BYTES: Final = 65536
_LAST_PIECES: Final = 32  # more than the largest pipe holds
_ENDING_SECONDS: Final = 2.0
_ENDING_PAUSE_SECONDS: Final = 0.005


class StartError(Exception):
    """The program was not started; the message says why."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        status: Its exit status; that of a signal is negative.
        out: What it wrote to standard output, one byte beyond the cap at most.
        err: What it wrote to standard error, up to the cap.
        timed_out: It was ended because its time was over.
        left: Something of it was still running after its end, and was ended.
    """

    status: int
    out: bytes
    err: bytes
    timed_out: bool
    left: bool

    @property
    def flooded(self) -> bool:
        """Whether it wrote more to standard output than the contract allows."""
        return len(self.out) > MAX_OUTPUT_BYTES


@dataclass(slots=True)
class _Stream:
    descriptor: int
    most: int
    text: bytearray = field(default_factory=bytearray)

    def read(self) -> bool:
        """Read a piece; tell whether there can be more now."""
        try:
            piece = os.read(self.descriptor, _PIECE_BYTES)
        except BlockingIOError:
            return False
        self.text += piece[: self.most - len(self.text)]
        return bool(piece)


def prepare() -> None:
    """Adopt orphans, and let no other process of this account look into this one.

    Raises:
        OSError: The kernel does not do that.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_CHILD_SUBREAPER, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl failed")


def run(program: int, name: str, environment: Mapping[str, str], timeout_seconds: float) -> Ended:
    """Run a program to its end; `prepare` was called before.

    Args:
        program: A descriptor of its file.
        name: What it is called.
        environment: All that it gets.
        timeout_seconds: After which it is ended.

    Returns:
        How it ended; nothing of it runs any more, unless the kernel could not end it within two seconds.

    Raises:
        StartError: It could not be started.
    """
    deadline = time.monotonic() + timeout_seconds
    with _started(program, name, environment) as process:
        out, err = _streams(process)
        has_ended = _follow(process.pid, (out, err), deadline)
        left = _end_all(process)
        for stream in (out, err):
            for _ in range(_LAST_PIECES):
                if not stream.read():
                    break
        # Who flooded was ended for that, not for the time.
        timed_out = not has_ended and len(out.text) <= MAX_OUTPUT_BYTES
        return Ended(process.returncode, bytes(out.text), bytes(err.text), timed_out, left)


@contextmanager
def _started(program: int, name: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            [name],
            # By descriptor: what was checked is what is run. An interpreter opens the same file by the same way.
            executable=f"/proc/self/fd/{program}",
            pass_fds=(program,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise StartError(f"{name} cannot be started: {error}; mend the program") from error
    try:
        yield process
    finally:
        if process.returncode is None:  # an error of ours: nothing is left behind all the same
            process.kill()
        with process:  # closes the pipes
            pass


def _streams(process: subprocess.Popen[bytes]) -> tuple[_Stream, _Stream]:
    if process.stdout is None or process.stderr is None:
        raise StartError("it has no streams")
    for pipe in (process.stdout, process.stderr):
        os.set_blocking(pipe.fileno(), False)
    return (
        _Stream(process.stdout.fileno(), MAX_OUTPUT_BYTES + 1),
        _Stream(process.stderr.fileno(), MAX_ERROR_BYTES),
    )


def _follow(pid: int, streams: tuple[_Stream, _Stream], deadline: float) -> bool:
    """Read until the program has ended, has flooded, or is out of time; tell whether it has ended."""
    watch = os.pidfd_open(pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(watch, selectors.EVENT_READ)
            for stream in streams:
                selector.register(stream.descriptor, selectors.EVENT_READ, stream)
            while (left := deadline - time.monotonic()) > 0:
                ready = [key for key, _ in selector.select(left)]
                for key in ready:
                    if isinstance(key.data, _Stream) and not key.data.read():
                        selector.unregister(key.fd)
                if watch in {key.fd for key in ready}:
                    return True
                if len(streams[0].text) > MAX_OUTPUT_BYTES:
                    return False
        return False
    finally:
        os.close(watch)


def _end_all(process: subprocess.Popen[bytes]) -> bool:
    """End the program and all that came of it; tell whether anything outlived it."""
    # R-E06. Its number is not given to another before `wait`.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    outlived = False
    deadline = time.monotonic() + _ENDING_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return outlived
        if pid:
            # An orphan that had ended by itself is no matter; one that SIGKILL had to end is.
            outlived = outlived or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
            continue
        for descendant in _descendants():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(descendant, signal.SIGKILL)
        time.sleep(_ENDING_PAUSE_SECONDS)
    return True  # The unit's control group is ended with the unit.


def _descendants() -> list[int]:
    """List the processes that descend from this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it may have ended meanwhile
                # proc(5): the name in parentheses may hold anything; the parent is the second field after it.
                parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]
