"""A control group for each box, in the hierarchies that systemd uses.

A container sees the group that systemd-nspawn was started in as its root. Two containers in one group would
take each other's units for their own, so each gets one.
"""

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.box_state import BoxError

EMPTY_SECONDS = 5.0
POLL_SECONDS = 0.02


def groups_of(name: str) -> list[Path]:
    """Return the groups of the box `name`, one for each hierarchy; they need not exist."""
    own, group = _groups_of_process(os.getpid()), f"ipa-tpi-box-{name}"
    return [mounted / own[kind].lstrip("/") / group for kind, mounted in _hierarchies() if kind in own]


def join(leader: int) -> None:
    """Put this process into the groups that a container sees as its root.

    Args:
        leader: number of the container's first process, which systemd keeps in init.scope below them.
    """
    groups = _groups_of_process(leader)
    for kind, mounted in _hierarchies():
        if kind in groups:
            group = mounted / groups[kind].lstrip("/").removesuffix("init.scope").rstrip("/")
            (group / "cgroup.procs").write_text(f"{os.getpid()}\n")


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Make the groups of the box `name`; what the block starts, starts in them."""
    groups = groups_of(name)
    try:
        for group in groups:
            group.mkdir(exist_ok=True)
            (group / "cgroup.procs").write_text(f"{os.getpid()}\n")
        yield
    finally:
        for group in groups:
            (group.parent / "cgroup.procs").write_text(f"{os.getpid()}\n")


def remove(name: str) -> None:
    """End every process in the groups of the box `name`, and remove the groups.

    Raises:
        BoxError: processes are left in them.
    """
    deadline = time.monotonic() + EMPTY_SECONDS
    for group in groups_of(name):
        while group.is_dir():
            try:
                _end_members(group)
                for folder, _, _ in os.walk(group, topdown=False):
                    Path(folder).rmdir()
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise BoxError(f"cannot remove the control group {group}: {error}") from error
                time.sleep(POLL_SECONDS)


def _end_members(group: Path) -> None:
    """Kill what runs in a group: nothing gets there but what was started in a box."""
    for members in group.rglob("cgroup.procs"):
        for pid in members.read_text().split():
            # A 0 stands for a process that cannot be seen from here.
            if int(pid) not in (0, os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def _hierarchies() -> list[tuple[str, Path]]:
    """Return kind and mount point of systemd's named hierarchy (version 1) and of version 2."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = Path(before.split(" ")[4])
        if kind == "cgroup2":
            found.append(("", point))
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found.append(("name=systemd", point))
    return found


def _groups_of_process(pid: int) -> dict[str, str]:
    """Return a process's group for each hierarchy: its controllers ("" for version 2) and path."""
    rows = (line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    return {controllers: path for _, controllers, path in rows}
