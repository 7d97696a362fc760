"""The validation service in a process of its own: it adopts orphans, which a test's process must not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipa_tpi.contract import VARIABLES

# The real thing but for where it stands (folders of the test's own, which the test's own user may change), and for
# its life: one process serves one connection after the other.
PROGRAM = """
import logging, os, socket, sys
from ipa_tpi.validate.folder import Folders
from ipa_tpi.validate.run import prepare
from ipa_tpi.validate.service import Place, serve
logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
top, executor = sys.argv[1], int(sys.argv[2])
place = Place(executor, Folders(f"{top}/validators", f"{top}/validators-network", os.getuid(), top))
prepare()
with socket.socket(fileno=0) as listener:
    while True:
        peer, _ = listener.accept()
        with peer:
            try:
                serve(peer, place)
            except ConnectionError:
                pass
"""
ENVIRONMENT = {name: f"value of {name}" for name in VARIABLES}


@dataclass(frozen=True)
class Told:
    """What the service said.

    Attributes:
        begun: Whether a program was started.
        answer: The answer; empty where none came.
        log: What it logged.
        seconds: How long it took.
    """

    begun: bool
    answer: dict[str, Any]
    log: str
    seconds: float

    @property
    def code(self) -> str:
        return str(self.answer["code"])

    @property
    def message(self) -> str:
        return str(self.answer["message"])


class Service:
    """A service in a folder of the test's own; to be closed.

    Args:
        top: The folder.
        executor: The uid that may ask; one's own when left out.
    """

    def __init__(self, top: Path, executor: int | None = None) -> None:
        self.top = top
        self.folder = top / "validators"
        self.network_folder = top / "validators-network"
        for folder in (top, self.folder, self.network_folder):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        self._address = str(top / "socket")
        self._log = top / "log"
        uid = os.getuid() if executor is None else executor
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, self._log.open("wb") as log:
            listener.bind(self._address)
            listener.listen(4)
            command = [sys.executable, "-c", PROGRAM, str(top), str(uid)]
            self._process = subprocess.Popen(command, stdin=listener, stderr=log)

    def close(self) -> None:
        """End it."""
        with self._process as process:
            process.kill()

    def install(self, text: str, name: str = "probe", mode: int = 0o755) -> Path:
        """Put a program into the folder."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def ask(self, name: str = "probe", seconds: int = 10, **change: Any) -> Told:
        """Ask for a program."""
        question = {"program": name, "environment": ENVIRONMENT, "timeout_seconds": seconds, **change}
        return self.say(json.dumps(question).encode() + b"\n")

    def say(self, text: bytes) -> Told:
        """Say anything to the service."""
        started, before = time.monotonic(), self._log.stat().st_size
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(60)
            peer.connect(self._address)
            with suppress(BrokenPipeError):  # it was cut off while still speaking
                peer.sendall(text)
                peer.shutdown(socket.SHUT_WR)
            got = _all(peer)
        lines = [json.loads(line) for line in got.splitlines()]
        begun = lines[:1] == [{"begun": True}]
        answer = lines[-1] if lines[begun:] else {}
        log = self._log.read_bytes()[before:].decode()
        return Told(begun, answer, log, time.monotonic() - started)


def _all(peer: socket.socket) -> bytes:
    got = b""
    with suppress(ConnectionResetError):  # it ended with something unread
        while piece := peer.recv(65536):
            got += piece
    return got
