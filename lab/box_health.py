"""Whether what should run in a box does."""

import time

from lab import box_enter
from lab.box_state import SERVICES, Box

# A daemon that ends at once is "active" for a moment before systemd sees it go.
SETTLE_SECONDS = 10.0
POLL_SECONDS = 0.1
EXECUTOR = "ipa-tpi-executor.service"
EXECUTOR_SOCKET = "/run/ipa-tpi-executor/executor.sock"


def troubled_units(box: Box) -> dict[str, str]:
    """Return the units that do not run as they should, with their state.

    Waits until the executor's socket is there, or its unit has ended, or ten seconds have passed.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while not _has_socket(box) and _states(box, EXECUTOR)[EXECUTOR].startswith("active"):
        if time.monotonic() > deadline:
            return _troubles(box) | {EXECUTOR: f"active, but without {EXECUTOR_SOCKET}"}
        time.sleep(POLL_SECONDS)
    return _troubles(box)


def journal_of(box: Box, unit: str) -> str:
    """Return the last lines that a unit wrote, or that systemd wrote about it."""
    command = ["journalctl", "--no-pager", "-n", "12", "-o", "cat", "-u", unit]
    return box_enter.output(box, command)[1].rstrip()


def _troubles(box: Box) -> dict[str, str]:
    _, failed = box_enter.output(box, ["systemctl", "--failed", "--plain", "--no-legend", "--no-pager"])
    found = {line.split()[0]: "failed" for line in failed.splitlines() if line.strip()}
    states = _states(box, *SERVICES)
    return found | {unit: state for unit, state in states.items() if not state.startswith("active")}


def _states(box: Box, *units: str) -> dict[str, str]:
    shown = box_enter.output(box, ["systemctl", "show", "--property=Id,ActiveState,SubState", *units])[1]
    states = {}
    for block in shown.strip().split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in block.splitlines())
        states[fields["Id"]] = f"{fields['ActiveState']}, {fields['SubState']}"
    return states


def _has_socket(box: Box) -> bool:
    return box_enter.output(box, ["test", "-S", EXECUTOR_SOCKET])[0] == 0
