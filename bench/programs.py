"""Programs as Dogtag starts them, timed in turn, and what they are compared with."""

import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.table import milliseconds

_ECHO: Final = Path("/run/round-trip")
_ROUND_TRIP: Final = Path("/var/cache/peers/round_trip")
_PYTHON: Final = "/usr/lib/ipa-tpi/venv/bin/python"
_COLD: Final = "import ldap, gssapi; from cryptography import x509; ldap.initialize('{uri}').simple_bind_s()"
_RUNS: Final = 100
_NOTHING: Final = 0.000_05


@dataclass(frozen=True, slots=True)
class Taken:
    """What the runs of one kind took, in seconds.

    Attributes:
        wall: Each.
        program: Processor time of all, of what was started.
        service: Likewise, of the service.
        servers: Likewise, of the KDC and the directory, where they are on this host.
    """

    wall: tuple[float, ...]
    program: float
    service: float
    servers: float

    def cpu(self) -> str:
        """Give the processor time of one run."""
        parts = [part / len(self.wall) for part in (self.program, self.service, self.servers)]
        return f"cpu {' + '.join(milliseconds(part) for part in parts if part > _NOTHING)}"


def interleaved(kinds: Mapping[str, Callable[[], None]], runs: int = _RUNS) -> dict[str, Taken]:
    """Run programs in turn, and measure them; the service has to be there already."""
    wall: dict[str, list[float]] = {name: [] for name in kinds}
    spent = {name: [0.0, 0.0, 0.0] for name in kinds}
    service, servers = [_service()], _servers()
    for _ in range(runs):
        for name, once in kinds.items():
            before = _children_cpu(), _cpu(service), _cpu(servers)
            began = time.perf_counter()
            once()
            wall[name].append(time.perf_counter() - began)
            after = _children_cpu(), _cpu(service), _cpu(servers)
            spent[name] = [
                total + late - early for total, late, early in zip(spent[name], after, before, strict=True)
            ]
    return {name: Taken(tuple(wall[name]), *spent[name]) for name in kinds}


def _service() -> int:
    asked = ["systemctl", "show", "--property=MainPID", "--value", "ipa-tpi-certval.service"]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def _servers() -> list[int]:
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.read_text(encoding="ascii").strip() in {"krb5kdc", "ns-slapd"}
    ]


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu(processes: Sequence[int]) -> float:
    """Give the time of processes so far; in steps of 10 ms, of which the errors do not add up."""
    ticks = 0
    for number in processes:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run(
    command: Sequence[str | Path], status: int, environment: Mapping[str, str], user: str | None = None
) -> Callable[[], None]:
    """Give what runs a program to its end, which has to be with this status.

    Args:
        command: What is started.
        status: How it has to end.
        environment: All of it.
        user: Whose it is; ours when left out.
    """

    def once() -> None:
        done = subprocess.run(
            list(command),
            env=dict(environment),
            user=user,
            group=user,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != status:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout!r} {done.stderr!r}")

    return once


@contextmanager
def echo() -> Iterator[None]:
    """Answer the C program while the block runs."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(_ECHO))
    listener.listen()

    def answer() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while peer.recv(4096):
                    pass
                peer.sendall(b"accepted\n")

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield
    finally:
        listener.close()
        _ECHO.unlink()


def peers(uri: str) -> dict[str, Callable[[], None]]:
    """List programs to compare with, by what they are.

    Args:
        uri: Where the directory is that one of them connects to.
    """
    found = {
        "python3 -I -S -c pass": run(["/usr/bin/python3", "-I", "-S", "-c", "pass"], 0, {}),
        "a script that imports ldap, gssapi, cryptography, and connects": run(
            [_PYTHON, "-I", "-c", _COLD.format(uri=uri)], 0, {}
        ),
    }
    if _ROUND_TRIP.exists():
        found["a C program, one round trip on a Unix socket"] = run([_ROUND_TRIP, str(_ECHO)], 0, {})
    return found
