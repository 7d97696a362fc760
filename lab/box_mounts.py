"""Overlay mounts of the container laboratory."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class MountError(RuntimeError):
    """A file system could not be mounted or unmounted; the message says which."""


def mount_overlay(root: Path, *, lower: Sequence[Path], upper: Path, work: Path) -> None:
    """Mount an overlay on `root`.

    Args:
        root: the mount point; made if absent.
        lower: the layers that are only read, uppermost first.
        upper: takes every change; made if absent. On the same file system as `work`.
        work: the kernel's own folder; made if absent.

    Raises:
        MountError: mount(8) refused.
    """
    for path in (root, upper, work):
        path.mkdir(parents=True, exist_ok=True)
    layers = ":".join(str(path) for path in lower)
    options = f"lowerdir={layers},upperdir={upper},workdir={work}"
    attach(["-t", "overlay", "-o", options, "overlay", str(root)])


@contextmanager
def overlay(root: Path, *, lower: Sequence[Path], upper: Path, work: Path) -> Iterator[Path]:
    """Hold an overlay on `root` while the block runs; mount point and work folder go afterwards."""
    mount_overlay(root, lower=lower, upper=upper, work=work)
    try:
        yield root
    finally:
        unmount_below(root)
        root.rmdir()
        shutil.rmtree(work)


def attach(arguments: Sequence[str]) -> None:
    """Attach a file system.

    Args:
        arguments: as mount(8) takes them.


    Raises:
        MountError: it ended with another status than 0.
    """
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MountError(f"mount {' '.join(arguments)} failed: {done.stderr.strip()}")


def mounts_below(path: Path) -> list[Path]:
    """Return the mount points at or below `path`, the last mounted first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split(" ")[4].encode().decode("unicode_escape"))
        if point == path or path in point.parents:
            found.append(point)
    return found[::-1]


def unmount_below(path: Path) -> None:
    """Unmount everything at or below `path`.

    Raises:
        MountError: something still uses a file system there.
    """
    for point in mounts_below(path):
        done = subprocess.run(["umount", str(point)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MountError(f"cannot unmount {point}: {done.stderr.strip()}")
