"""The command line at the other end of a pseudo-terminal."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Sequence


class Terminal:
    """The command line as a process on a terminal of its own."""

    def __init__(self, ccache: str, *argv: str, columns: int = 0, program: Sequence[str] = ()) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, columns))
        self.process = subprocess.Popen(
            program or [sys.executable, "-m", "ipa_tpi.cli.main", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"KRB5CCNAME": ccache},
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def read_until(self, words: str) -> None:
        deadline = time.monotonic() + 10
        while words not in self.text:
            ready, _, _ = select.select([self._master], [], [], deadline - time.monotonic())
            assert ready, self.text
            self.text += os.read(self._master, 65536).decode()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def end(self) -> int:
        try:
            while chunk := os.read(self._master, 65536):
                self.text += chunk.decode()
        except OSError:
            pass
        os.close(self._master)
        return self.process.wait(10)
