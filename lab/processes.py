"""Starting the daemons of a realm, waiting until they answer, and ending them: by pid, and only our own.

A pid is remembered together with the start time that the kernel gives it, so one that has been used again for
another process is never signalled.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STARTTIME_FIELD = 19
_ZOMBIE = "Z"


class DaemonError(RuntimeError):
    """A daemon did not start or did not answer; the message holds the end of its output."""


@dataclass(frozen=True)
class Daemon:
    """A process of ours.

    Args:
        pid: its number; it leads a process group of its own.
        started: the kernel's start time, in clock ticks since boot.
    """

    pid: int
    started: int

    def is_running(self) -> bool:
        """Return whether this very process is there and no zombie."""
        state = _stat(self.pid)
        return state is not None and state[0] != _ZOMBIE and int(state[_STARTTIME_FIELD]) == self.started


def start(command: list[str], environment: Mapping[str, str], log: Path, cwd: Path) -> Daemon:
    """Start a daemon in a session of its own, its output in a file.

    Args:
        command: program and arguments; it must stay in the foreground.
        environment: its whole environment.
        log: file for its output.
        cwd: its working directory.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # With gssproxy Apache dies of SIGPIPE at the start unless it is ignored, as systemd does.
            restore_signals=False,
        )
    state = _stat(process.pid)
    return Daemon(process.pid, int(state[_STARTTIME_FIELD]) if state else 0)


def wait_until(
    answers: Callable[[], bool], daemon: Daemon, name: str, log: Path, timeout_seconds: float
) -> None:
    """Wait until a daemon answers.

    Raises:
        DaemonError: it ended, or does not answer in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not answers():
        _reap(daemon.pid)
        if not daemon.is_running() or time.monotonic() > deadline:
            what = "does not answer" if daemon.is_running() else "ended"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise DaemonError(f"{name} {what}; the end of {log}:\n{tail}")
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Return whether somebody accepts connections on a TCP port of loopback."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def accepts(path: Path) -> bool:
    """Return whether somebody accepts connections on a Unix socket."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        return True
    return False


def stop(daemon: Daemon, *, patience_seconds: float = 0.0) -> None:
    """End a daemon and its children: politely where there is patience, then at once.

    Args:
        daemon: what `start` returned; a process that only shares its pid is left alone.
        patience_seconds: how long to wait after SIGTERM; 0 sends SIGKILL straight away.
    """
    if not daemon.is_running():
        _reap(daemon.pid)
        return
    if patience_seconds:
        _signal_group(daemon, signal.SIGTERM)
        _wait_gone(daemon, patience_seconds)
    _signal_group(daemon, signal.SIGKILL)
    _wait_gone(daemon, 5.0)


def _signal_group(daemon: Daemon, number: signal.Signals) -> None:
    # The group bears its leader's pid for as long as a member lives, so it cannot be somebody else's.
    with suppress(ProcessLookupError):
        os.killpg(daemon.pid, number)


def _wait_gone(daemon: Daemon, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        _reap(daemon.pid)
        if not daemon.is_running():
            return
        time.sleep(0.005)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


class Watch:
    """A guard that ends daemons and removes what they leave behind if this process dies without having done so.

    It is a shell that waits for the end of a pipe, in a session of its own, so that neither Ctrl-C nor a test runner's
    SIGKILL reaches it.

    Args:
        daemons: what it guards.
        litter: what it removes afterwards.
    """

    def __init__(self, daemons: Iterable[Daemon], litter: Iterable[Path]) -> None:
        groups = [f"-{daemon.pid}" for daemon in daemons]
        number = len(groups)
        # The first arguments are the process groups, the others what is to be removed.
        script = (
            f'cat >/dev/null; for i in $(seq {number}); do kill -s KILL -- "$1"; shift; done; rm -rf -- "$@"'
        )
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", script, "watch", *groups, *map(str, litter)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """Send the guard away."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()
