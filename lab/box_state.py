"""What is known about a box between two commands of the laboratory."""

import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

BOXES = Path("/run/ipa-tpi-lab")
HOST = "ipa1.tpi.test"
# Inside a tree: what went wrong when it was made, one line each.
REPORT = Path("/var/lib/ipa-tpi-lab/problems")
# The variable that tells the steps inside what went wrong before them.
TROUBLE = "IPA_TPI_LAB_TROUBLE"
# Inside a tree: what `env` says.
ENVIRONMENT = Path("/var/lib/ipa-tpi-lab/env.json")
# What runs in a box, as on a server of the realm.
SERVICES = (
    "apache2.service",
    "gssproxy.service",
    "krb5-kdc.service",
    "dirsrv@TPI-TEST.service",
    "dirsrv@DS01.service",
    "ipa-tpi-executor.service",
)
# What waits in a box for whoever connects.
SOCKETS = ("ipa-tpi-validate.socket", "ipa-tpi-validate-network.socket")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class BoxError(RuntimeError):
    """A box is not as a command needs it; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number.

    Attributes:
        pid: its number as this machine sees it.
        started: the time of its start in clock ticks after boot, from /proc/PID/stat.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Return the process that has this number now.

        Raises:
            BoxError: there is none.
        """
        started = _start_time(pid)
        if started is None:
            raise BoxError(f"process {pid} has ended already")
        return cls(pid, started)

    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        return _start_time(self.pid) == self.started


@dataclass(frozen=True, slots=True)
class Box:
    """A running container.

    Attributes:
        name: as given with --name.
        supervisor: systemd-nspawn.
        leader: the container's first process.
        golden: the tree that it started from.
        source: the checkout that it sees as /src.
    """

    name: str
    supervisor: Process
    leader: Process
    golden: str
    source: str

    @property
    def folder(self) -> Path:
        """Where everything of this box is kept."""
        return folder_of(self.name)

    def is_alive(self) -> bool:
        """Say whether the container runs."""
        return self.leader.is_alive()


def folder_of(name: str) -> Path:
    """Return the folder of the box `name`.

    Raises:
        BoxError: it is no usable name.
    """
    if _NAME.fullmatch(name) is None:
        raise BoxError(f"{name!r} is no name for a box: use lower-case letters, digits, hyphens")
    return BOXES / name


def save(box: Box) -> None:
    """Write the state of `box` into its folder."""
    target = box.folder / "state.json"
    partial = target.with_suffix(".new")
    partial.write_text(json.dumps(asdict(box), indent=2) + "\n")
    partial.rename(target)


def load(name: str) -> Box | None:
    """Return the box `name`, or None where no state of it is kept."""
    try:
        kept = json.loads((folder_of(name) / "state.json").read_text())
    except FileNotFoundError:
        return None
    return Box(
        name=kept["name"],
        supervisor=Process(**kept["supervisor"]),
        leader=Process(**kept["leader"]),
        golden=kept["golden"],
        source=kept["source"],
    )


def running(name: str) -> Box:
    """Return the box `name`.

    Raises:
        BoxError: it is not up.
    """
    box = load(name)
    if box is None or not box.is_alive():
        raise BoxError(
            f"box {name} is not up; start it with: PYTHONPATH=.:acls {sys.executable} -m lab.box up --name {name}"
        )
    return box


def all_boxes() -> list[Box]:
    """Return every box of which a state is kept, by name."""
    if not BOXES.is_dir():
        return []
    found = (load(path.name) for path in sorted(BOXES.iterdir()) if path.is_dir())
    return [box for box in found if box is not None]


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the name in parentheses may hold anything; the state is the first field after it.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def require_root() -> None:
    """Stop where containers cannot be made.

    Raises:
        BoxError: this is not root.
    """
    if os.geteuid() != 0:
        raise BoxError("the container laboratory needs root; run it with sudo, or use lab.realm")
