"""Whether what should run in a box does."""

import json
import time
from pathlib import Path
from typing import Any

from lab import box_enter
from lab.box_state import ENVIRONMENT, SERVICES, SOCKETS, Box

# A daemon that ends at once is "active" for a moment before systemd sees it go.
SETTLE_SECONDS = 10.0
POLL_SECONDS = 0.1
EXECUTOR = "ipa-tpi-executor.service"
WITHOUT_SOCKET = "active, but without"
# "activating, auto-restart" is not among them: such a unit has failed and will do so again.
ON_THEIR_WAY = ("activating, start", "deactivating", "reloading", WITHOUT_SOCKET)
EXECUTOR_SOCKET = "/run/ipa-tpi-executor/executor.sock"


def troubled_units(box: Box) -> dict[str, str]:
    """Return the units that do not run as they should, with their state.

    Waits, up to ten seconds, for units that are on their way, and for the executor's socket.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    troubles = _troubles(box)
    while time.monotonic() < deadline and any(state.startswith(ON_THEIR_WAY) for state in troubles.values()):
        time.sleep(POLL_SECONDS)
        troubles = _troubles(box)
    return troubles


def journal_of(box: Box, unit: str) -> str:
    """Return the last lines that a unit wrote, or that systemd wrote about it."""
    command = ["journalctl", "--no-pager", "-n", "12", "-o", "cat", "-u", unit]
    return box_enter.output(box, command)[1].rstrip()


def environment(box: Box) -> dict[str, Any]:
    """Return the fields that `lab.realm env --json` shows too, with paths and pids as seen inside."""
    kept = Path(f"/proc/{box.leader.pid}/root") / ENVIRONMENT.relative_to("/")
    fields: dict[str, Any] = json.loads(kept.read_text())
    fields["pids"] = {unit.removesuffix(".service"): _main_pid(box, unit) for unit in SERVICES}
    return fields


def _main_pid(box: Box, unit: str) -> int:
    return int(box_enter.output(box, ["systemctl", "show", "--value", "--property=MainPID", unit])[1])


def _troubles(box: Box) -> dict[str, str]:
    _, failed = box_enter.output(box, ["systemctl", "--failed", "--plain", "--no-legend", "--no-pager"])
    found = {line.split()[0]: "failed" for line in failed.splitlines() if line.strip()}
    states = _states(box, *SERVICES, *SOCKETS)
    found |= {unit: state for unit, state in states.items() if not state.startswith("active")}
    if EXECUTOR not in found and not _has_socket(box):
        found[EXECUTOR] = f"{WITHOUT_SOCKET} {EXECUTOR_SOCKET}"
    return found


def _states(box: Box, *units: str) -> dict[str, str]:
    shown = box_enter.output(box, ["systemctl", "show", "--property=Id,ActiveState,SubState", *units])[1]
    states = {}
    for block in shown.strip().split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in block.splitlines())
        states[fields["Id"]] = f"{fields['ActiveState']}, {fields['SubState']}"
    return states


def _has_socket(box: Box) -> bool:
    return box_enter.output(box, ["test", "-S", EXECUTOR_SOCKET])[0] == 0
