"""A person at a terminal: a pseudo-terminal with a program of that person's at its other end."""

from __future__ import annotations

import fcntl
import os
import pwd
import select
import signal
import subprocess
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

ANSWER_SECONDS = 15.0


class Terminal:
    """Runs a command under an account, on a terminal of its own.

    Args:
        user: The account.
        command: The command.
        columns: How wide the terminal is; 0 leaves that unknown.
        environment: Beside HOME, USER, PATH and LANG.

    Attributes:
        screen: All that was shown until now.
    """

    def __init__(self, user: str, command: Sequence[str], columns: int = 0, **environment: str) -> None:
        entry = pwd.getpwnam(user)
        clean = {
            "HOME": entry.pw_dir,
            "USER": user,
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            **environment,
        }
        prefix = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={entry.pw_gid}", "--init-groups", "--"]
        self.screen = ""
        self._ours, theirs = os.openpty()
        os.fchown(theirs, entry.pw_uid, -1)
        termios.tcsetwinsize(theirs, (24, columns))
        self._program = subprocess.Popen(
            [*prefix, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=clean,
            cwd="/",
            start_new_session=True,
            preexec_fn=_log_in,  # noqa: PLW1509 (no other thread runs)
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        """Give the terminal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs."""
        if self._program.poll() is None:
            os.killpg(self._program.pid, signal.SIGKILL)
            self._program.wait(timeout=10)
        os.close(self._ours)

    def wait_for(self, text: str) -> None:
        """Read until a text is on the screen."""
        end = time.monotonic() + ANSWER_SECONDS
        while text not in self.screen:
            if time.monotonic() > end or not self._read(end):
                raise AssertionError(f"no {text!r} on the screen:\n{self.screen}")

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read to the end and give the exit status."""
        end = time.monotonic() + ANSWER_SECONDS
        while self._read(end):
            pass
        return self._program.wait(timeout=ANSWER_SECONDS)

    def _read(self, end: float) -> bool:
        piece = b""
        with suppress(OSError):  # EIO: the other end is closed
            if select.select([self._ours], [], [], max(0.0, end - time.monotonic()))[0]:
                piece = os.read(self._ours, 65536)
        self.screen += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)


def _log_in() -> None:
    """Do what a login does: take the terminal, and let an interrupt interrupt."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # Whoever starts the tests in the background of a script has it ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
