"""Four people who ask without a pause to speak of, for a minute: nothing fails, and nothing is left behind.

Runs as root inside a box (`make load`); `tests/box/test_load.py` runs it for some seconds.  Each client reads (lists, its
own request, operations) and now and then asks for something and cancels it.  They keep below the limit that one
caller has.  Before the first figures are taken the same load has run for a while, so that every thread, cache and
connection is there that is there to stay.
"""

import multiprocessing
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import ldap
from world import CA, EXECUTOR, HOST, URL, World, eventually

from bench import memory
from bench.table import render, timing
from ipa_tpi.client import TpiClient, Wish
from ipa_tpi.errors import TpiError
from lab.people import PEOPLE

CLIENTS: Final = ("bob", "carol", "erin", "grace")
SECONDS: Final = 60.0
WARM_SECONDS: Final = 10.0
CCACHES: Final = Path("/run/ipa-tpi/ccaches")
_LEAST_SECONDS: Final = 1 / 30  # of one request and the pause after it
_WRITE_EVERY: Final = 25
_WISH: Final = Wish("dirsrv.restart", HOST, {"instance": "DS01"}, reason="load")
# What one process may have more at the end: the allocator's slack for many threads, which stays below this after ten
# thousand requests, and a descriptor that is just being used.
_MORE_MEGABYTES: Final = 6.0
_MORE_DESCRIPTORS: Final = 2
_PATIENCE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Process:
    """What one process holds.

    Attributes:
        name: What it is.
        resident: MB of memory.
        threads: How many.
        descriptors: Open files and sockets.
    """

    name: str
    resident: float
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is there at one moment.

    Attributes:
        processes: By process id.
        connections: Open connections of the directory.
        ccaches: Callers' tickets that lie there.
    """

    processes: Mapping[int, Process]
    connections: int
    ccaches: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    seconds: float
    times: tuple[float, ...]
    errors: tuple[str, ...]
    before: Figures
    after: Figures

    def complaints(self) -> list[str]:
        """Tell what failed, grew, or was left behind."""
        found = [f"request failed: {error}" for error in self.errors]
        if self.after.ccaches:
            found.append(f"{self.after.ccaches} tickets of callers were left behind")
        if self.after.connections > self.before.connections:
            found.append(
                f"connections of the directory: {self.before.connections} to {self.after.connections}"
            )
        for pid, old in self.before.processes.items():
            new = self.after.processes.get(pid)
            if new is None:
                found.append(f"{old.name} ({pid}) has ended")
                continue
            if new.threads > old.threads:
                found.append(f"{old.name} ({pid}): threads {old.threads} to {new.threads}")
            if new.descriptors > old.descriptors + _MORE_DESCRIPTORS:
                found.append(f"{old.name} ({pid}): descriptors {old.descriptors} to {new.descriptors}")
            if new.resident > old.resident + _MORE_MEGABYTES:
                found.append(f"{old.name} ({pid}): memory {old.resident:.1f} to {new.resident:.1f} MB")
        return found


def run(world: World, seconds: float = SECONDS, warm_seconds: float = WARM_SECONDS) -> Outcome:
    """Load the service.

    Args:
        world: The box.
        seconds: How long.
        warm_seconds: How long before the first figures.

    Returns:
        What came of it.
    """
    own = {person: world.request(person) for person in CLIENTS}
    try:
        warm = _together(world, own, warm_seconds)
        before = _figures(world)
        loaded = _together(world, own, seconds)
        after = _settled(world, before)
    finally:
        for person, request_id in own.items():
            api = world.api(person)
            api.cancel(api.show(request_id))
    errors = tuple(error for _, found in (*warm, *loaded) for error in found)
    return Outcome(seconds, tuple(one for times, _ in loaded for one in times), errors, before, after)


def report(outcome: Outcome) -> str:
    """Write a run's figures for a person.

    Args:
        outcome: Of a run.

    Returns:
        Plain text.
    """
    rate = len(outcome.times) / outcome.seconds
    rows = [timing(f"any request, {len(CLIENTS)} clients", outcome.times)] if outcome.times else []
    lines = [
        f"{len(outcome.times)} requests in {outcome.seconds:.0f} s ({rate:.0f} a second), {len(outcome.errors)} errors",
        render(rows),
        f"connections of the directory: {outcome.before.connections} before, {outcome.after.connections} after",
        f"callers' tickets left: {outcome.after.ccaches}",
    ]
    for pid, old in outcome.before.processes.items():
        new = outcome.after.processes.get(pid, Process(old.name, 0, 0, 0))
        lines.append(
            f"{old.name} ({pid}): memory {old.resident:.1f} to {new.resident:.1f} MB, threads {old.threads} to "
            f"{new.threads}, descriptors {old.descriptors} to {new.descriptors}"
        )
    return "\n".join(lines)


def _together(world: World, own: Mapping[str, str], seconds: float) -> list[tuple[list[float], list[str]]]:
    start = multiprocessing.get_context("fork")
    pipes = []
    for person, request_id in own.items():
        ours, theirs = start.Pipe()
        ccache = f"FILE:{world.ccache(person)}"
        start.Process(target=_work, args=(theirs, ccache, request_id, seconds), daemon=True).start()
        pipes.append(ours)
    return [pipe.recv() for pipe in pipes]


def _work(pipe: Connection, ccache: str, own: str, seconds: float) -> None:
    times: list[float] = []
    errors: list[str] = []
    end = time.monotonic() + seconds
    with TpiClient(URL, CA, ccache=ccache) as client:
        number = 0
        while (began := time.monotonic()) < end:
            number += 1
            try:
                _ask(client, own, number)
            except TpiError as error:
                errors.append(f"{error.code}: {error.message}")
            else:
                times.append(time.monotonic() - began)
            time.sleep(max(0.0, began + _LEAST_SECONDS - time.monotonic()))
    pipe.send((times, errors))


def _ask(client: TpiClient, own: str, number: int) -> None:
    if number % _WRITE_EVERY == 0:
        client.cancel(client.create(_WISH))
    elif number % 5 == 0:
        client.operations()
    elif number % 2:
        client.show(own)
    else:
        client.list("pending", mine=True)


def _settled(world: World, before: Figures) -> Figures:
    """Measure when nothing is more than before, or else after a while: what is leaked stays."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        after = _figures(world)
        if not Outcome(0.0, (), (), before, after).complaints() or time.monotonic() > end:
            return after


def _figures(world: World) -> Figures:
    # Apache removes a ticket, and the executor ends its last look, a moment after the last answer.
    eventually(lambda: not any(CCACHES.iterdir()))
    time.sleep(1)
    wanted = {"executor": world.pid(EXECUTOR), "gssproxy": world.pid("gssproxy.service")}
    found = {pid: _process(name, pid) for name, pid in wanted.items()}
    web = subprocess.run(["pgrep", "-f", r"^\(wsgi:ipa-tpi\)"], capture_output=True, text=True, check=True)
    found |= {int(pid): _process("web process", int(pid)) for pid in web.stdout.split()}
    return Figures(found, _connections(world), len(list(CCACHES.iterdir())))


def _process(name: str, pid: int) -> Process:
    place = Path(f"/proc/{pid}")
    status = (place / "status").read_text(encoding="ascii", errors="replace")
    (threads,) = re.findall(r"^Threads:\s+(\d+)$", status, re.MULTILINE)
    return Process(name, memory.measure(place).rss, int(threads), len(list((place / "fd").iterdir())))


def _connections(world: World) -> int:
    connection = world.root()
    found = connection.search_s("cn=monitor", ldap.SCOPE_BASE, "(objectClass=*)", ["currentconnections"])
    connection.unbind_s()
    return int(found[0][1]["currentconnections"][0])


def main() -> int:
    """Load the service for the seconds that are given, or a minute; 1 where something failed or was left."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    world = World(
        {
            person.uid: {"password": person.password, "principal": person.principal("TPI.TEST")}
            for person in PEOPLE
        }
    )
    outcome = run(world, seconds)
    print(report(outcome))
    complaints = outcome.complaints()
    for complaint in complaints:
        print(f"load: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
