"""A control group for each box, in the hierarchies that systemd uses.

A container sees the group that systemd-nspawn was started in as its root. Two containers in one group would
take each other's units for their own, so each gets one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    """Remove the groups of the box `name`, in which no process may be left."""
    for group in groups_of(name):
        if group.is_dir():
            for folder, _, _ in os.walk(group, topdown=False):
                Path(folder).rmdir()


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
