"""Resident memory of the processes that make up the service and of those beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_KIB_PER_MB = 1000 * 1000 / 1024


@dataclass(frozen=True, slots=True)
class Resident:
    """A process's resident memory in MB (10^6 bytes); `pss` counts shared pages in parts."""

    rss: float
    pss: float


def of_processes(is_wanted: Callable[[str], bool]) -> list[Resident]:
    """Measure every process whose command line is wanted, the largest first.

    Args:
        is_wanted: Asked with the command line, its words separated by blanks.

    Returns:
        Them.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if is_wanted(line):
                found.append(measure(process))
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
    return sorted(found, key=lambda resident: resident.rss, reverse=True)


def measure(process: Path) -> Resident:
    """Measure one process.

    Args:
        process: Its folder below /proc.

    Returns:
        Its resident memory.
    """
    rows = (line.split() for line in (process / "smaps_rollup").read_text(encoding="ascii").splitlines()[1:])
    kib = {row[0]: int(row[1]) for row in rows}
    return Resident(kib["Rss:"] / _KIB_PER_MB, kib["Pss:"] / _KIB_PER_MB)
