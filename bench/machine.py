"""What the figures were taken on, and what was resident afterwards."""

import os
import platform
import subprocess
from pathlib import Path

from bench import memory
from bench.table import Row


def memory_rows() -> list[Row]:
    """Measure the memory of everything that took part, after the load."""
    table = (
        ("executor", "ipa-tpi-executor", "RSS 45 MB"),
        ("web process (wsgi)", "(wsgi:ipa-tpi)", "RSS 70 MB"),
        ("ns-slapd of the domain", "/etc/dirsrv/slapd-TPI-TEST", ""),
        ("apache worker", "/usr/sbin/apache2 -k", ""),
    )
    rows = []
    for name, part, target in table:
        found = memory.of_processes(lambda line, part=part: part in line)  # type: ignore[misc]
        rows += [
            Row(f"memory: {name}", "1", f"{one.rss:.1f} MB RSS", f"{one.pss:.1f} MB PSS", target=target)
            for one in found
        ]
    return rows


def machine() -> str:
    """Describe the machine, at the start."""
    load = " ".join(Path("/proc/loadavg").read_text(encoding="ascii").split()[:3])
    places = ("/var/lib/ipa-tpi-executor", "/var/lib/dirsrv")
    kinds = {_file_system(place) for place in places if Path(place).exists()}
    return (
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, "
        f"load average at start {load}; journal and directory lie on {', '.join(sorted(kinds))}"
    )


def _file_system(place: str) -> str:
    done = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=True)
    kind = done.stdout.strip()
    return f"{kind} over /run (a sync costs nothing)" if kind == "overlayfs" else kind
