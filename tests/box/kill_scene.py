"""What a round of the kill matrix needs of its box: units that come back, people who speak, a point to stand at."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ldap
from kill_points import Point
from stepping import Stepper, await_that, state_of
from world import EXECUTOR, HOST, REQUESTS, SOCKET, UNIT, World, eventually

from ipa_tpi.client.wish import Wish
from ipa_tpi.errors import OutcomeUnknownError, TpiError, UnavailableError

DIRECTORY = "dirsrv@TPI-TEST.service"
WEB_USER = "ipatpi-web"
WEB_PROCESSES = 2
LONG_SECONDS = 60.0
# What counts is whether and how often systemd starts DS01: a process that starts at once stands in for it.
# The others only come back sooner than on a server; on none of them does anything else change.
DROP_INS = {
    UNIT: "[Service]\nType=exec\nExecStartPre=\nExecStart=\nExecStart=/bin/sleep infinity\n",
    EXECUTOR: "[Service]\nRestartSec=100ms\n",
    DIRECTORY: "[Service]\nRestart=always\nRestartSec=100ms\n",
}


@contextmanager
def quick_units(world: World) -> Iterator[None]:
    """Have the daemons come back at once, each by itself, for the length of the matrix."""
    paths = {unit: Path(f"/run/systemd/system/{unit}.d/zz-kills.conf") for unit in DROP_INS}
    for unit, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DROP_INS[unit])
    world.systemctl("daemon-reload")
    world.systemctl("restart", UNIT)
    try:
        yield
    finally:
        for path in paths.values():
            path.unlink()
        world.systemctl("daemon-reload")
        world.systemctl("restart", UNIT)


def settle(world: World) -> None:
    """Wait until everything is back from the round before."""
    eventually(lambda: world.pid(DIRECTORY) > 0 and world.pid(EXECUTOR) > 0, LONG_SECONDS)
    web_processes()
    patient(lambda: world.api("alice").operations())
    eventually(lambda: _health().get("watching"), LONG_SECONDS)


def _health() -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX) as executor:
            executor.settimeout(5)
            executor.connect(SOCKET)
            executor.sendall(b'{"verb":"health"}\n')
            answer = executor.makefile("rb").readline()
    except OSError:
        return {}
    return dict(json.loads(answer).get("health", {})) if answer else {}


def patient(act: Callable[[], Any], seconds: float = LONG_SECONDS) -> Any:
    """Do something as soon as the service can be reached."""

    def attempt() -> Any:
        with suppress(UnavailableError, OutcomeUnknownError, ldap.SERVER_DOWN, ldap.CONNECT_ERROR):
            return act()
        return None

    return eventually(attempt, seconds)


def web_processes() -> list[int]:
    """Give the daemon processes of the web service, when Apache has started them all."""

    def find() -> list[int]:
        command = ["/usr/bin/pgrep", "-u", WEB_USER]
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
        pids = [int(word) for word in found.split()]
        return pids if len(pids) == WEB_PROCESSES and not any(state_of(pid) in "ZX" for pid in pids) else []

    return list(eventually(find))


def walk(world: World, stepper: Stepper, point: Point, request_id: str) -> int:
    """Walk to a point; give the process that stands there.  With `never_taken` the directory stands still too."""
    directory = world.pid(DIRECTORY)
    first = point.calls
    if point.never_taken:
        first, last = point.calls[:-1], point.calls[-1]
        stop = stepper.walk(*first)
        wait_until_there(world, request_id, point)
        os.kill(directory, signal.SIGSTOP)
        stepper.go_on(stop.pid)
        return stepper.walk(last).pid
    stop = stepper.walk(*first)
    wait_until_there(world, request_id, point)
    return stop.pid


def wait_until_there(world: World, what: str, point: Point) -> None:
    """Wait for the point's entry below a request, which is named by its reason while it is being made."""
    if not point.there:
        return
    ids = eventually(lambda: ids_of(world, what)) if " " in what else [what]
    # The request's own proof and receipt lie there already when an approval's come.
    second = point.step not in {"request", "preview"} and point.there in {"ipaTpiReceipt", "ipaTpiProof"}
    if point.there != "ipaTpiRequest":
        await_that(
            lambda: len(world.of_class(ids[0], point.there)) >= 1 + second, 20, f"no {point.there} came"
        )


def kill_directory(world: World) -> None:
    """End the directory with SIGKILL, and see it gone."""
    pid = world.pid(DIRECTORY)
    os.kill(pid, signal.SIGKILL)
    await_that(lambda: not Path(f"/proc/{pid}").exists(), 20, "the directory does not die")


class Saying:
    """A person who says something while something dies under it: in a thread of its own."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act
        self._error: TpiError | None = None
        self._answer: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._act()
        except TpiError as error:
            self._error = error

    def error(self) -> TpiError | None:
        """Give what the person was told instead of an answer; None where there was an answer."""
        self._thread.join(LONG_SECONDS)
        assert not self._thread.is_alive(), "the person still waits for an answer"
        assert self._answer is not None or self._error is not None
        return self._error

    def assert_no_answer(self) -> None:
        """Nobody is told that something is recorded by a service that died before it said so."""
        assert self.error() is not None, f"an answer of a dead service: {self._answer}"


def wish(reason: str) -> Wish:
    """Give what every round asks for; the reason tells them apart."""
    return Wish("dirsrv.restart", HOST, {"instance": "DS01"}, reason)


def ids_of(world: World, reason: str) -> list[str]:
    """Give the ids of the requests that bear a reason."""
    wanted = ldap.filter.filter_format("(&(objectClass=ipaTpiRequest)(ipaTpiReason=%s))", [reason])
    found = world.root().search_s(REQUESTS, ldap.SCOPE_ONELEVEL, wanted, ["ipaTpiRequestId"])
    return [raw["ipaTpiRequestId"][0].decode() for dn, raw in found if dn]
