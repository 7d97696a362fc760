"""Restarts as the system saw them: calls on the bus, systemd's own journal, the executor's audit trail."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from world import UNIT, eventually

from bench.clients import BenchError

# systemd's message ids, from sd-messages.h.
SUDOER: Final = "dave"
_PEERS: Final = Path("/var/cache/ipa-tpi/peers")
_STOPPING: Final = "de5b426a63be47a7b6ac3eaac82e2f6f"
_MICRO: Final = 1e6


@dataclass(frozen=True, slots=True)
class Call:
    """A RestartUnit call on the bus, and the end of its job (seconds since 1970)."""

    called: float
    ended: float


class BusWatch:
    """Notes every RestartUnit call of the unit and the end of its job; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [
                *("busctl", "--json=short", "monitor"),
                *("--match", "type='method_call',member='RestartUnit'"),
                *("--match", "type='signal',member='JobRemoved'"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        time.sleep(0.5)  # until it watches; it does not say when

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the watch, if `calls` has not."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def calls(self) -> list[Call]:
        """End the watch and give the calls, in their order."""
        time.sleep(0.3)
        self._process.terminate()
        lines = (self._process.communicate()[0] or "").splitlines()
        calls: list[Call] = []
        began = 0.0
        for message in map(json.loads, lines):
            moment = message["timestamp-realtime"] / _MICRO
            arguments = message["payload"]["data"]
            if message["member"] == "RestartUnit" and arguments[0] == UNIT:
                began = moment
            elif message["member"] == "JobRemoved" and arguments[2] == UNIT and began:
                calls.append(Call(began, moment))
                began = 0.0
        return calls


@dataclass(frozen=True, slots=True)
class Bare:
    """A restart by a command: how long until systemd stopped the unit, and until the command ended."""

    to_stopping: float
    whole: float


def bare_restart(*, sudo: bool = False) -> Bare:
    """Run ``systemctl restart`` on the unit, as root or as a person through sudo.

    Returns:
        Its times, in seconds.
    """
    prefix = ["sudo", "-n"] if sudo else []
    began, tick = time.time(), time.perf_counter()
    subprocess.run([*prefix, "systemctl", "restart", UNIT], check=True, user=SUDOER if sudo else None)
    whole = time.perf_counter() - tick
    return Bare(next_stopping(began) - began, whole)


def install_sudo() -> bool:
    """Unpack sudo into this box, with a rule for one person.

    Returns:
        Whether it is there now.
    """
    package = next(iter(sorted(_PEERS.glob("sudo_*.deb"))), None)
    if package is None:
        return False
    subprocess.run(
        ["dpkg", "-i", str(package)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    rule = Path("/etc/sudoers.d/bench")
    rule.write_text(f"{SUDOER} ALL=(root) NOPASSWD: /usr/bin/systemctl restart {UNIT}\n", encoding="ascii")
    rule.chmod(0o440)
    return True


def next_stopping(since: float) -> float:
    """Give the time at which systemd began to stop the unit, the first after a moment."""

    def found() -> float:
        records = _journal(since, f"UNIT={UNIT}", f"MESSAGE_ID={_STOPPING}")
        times = [_time(record) for record in records]
        return next((moment for moment in times if moment >= since), 0.0)

    return float(eventually(found))


def audited(request_id: str, since: float) -> Mapping[str, float]:
    """Give the times of a request's audit records by event; of several of one name, the last.

    Args:
        request_id: The request.
        since: A moment before them.

    Returns:
        Seconds since 1970, as journald received them.

    Raises:
        BenchError: It was not executed.
    """

    def found() -> dict[str, float]:
        records = _journal(since, "-t", "ipa-tpi-executor", f"IPA_TPI_REQUEST={request_id}")
        times = {str(record["IPA_TPI_EVENT"]): _time(record) for record in records}
        outcomes = [record["MESSAGE"] for record in records if record["IPA_TPI_EVENT"] == "outcome"]
        if outcomes and json.loads(outcomes[-1])["outcome"] != "executed":
            raise BenchError(f"request {request_id} was not executed: {outcomes[-1]}")
        return times if outcomes else {}

    return dict(eventually(found))


def _journal(since: float, *matches: str) -> Sequence[dict[str, Any]]:
    command = ["journalctl", "-o", "json", f"--since=@{int(since)}", *matches]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _time(record: Mapping[str, Any]) -> float:
    return int(record.get("_SOURCE_REALTIME_TIMESTAMP") or record["__REALTIME_TIMESTAMP"]) / _MICRO
