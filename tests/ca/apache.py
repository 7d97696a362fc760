"""Apache on the CA host with lines of its configuration changed, to see what they are there for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.ca_settings import LOCATION


@contextmanager
def weakened(changes: Mapping[str, str], file: Path = LOCATION) -> Iterator[None]:
    """Put other lines in place of some, while the block runs.

    Args:
        changes: what stands there, each a whole line, and what stands there meanwhile.
        file: where; by default in what all locations have in common.
    """
    whole = file.read_text(encoding="utf-8")
    lines = [line.strip() for line in whole.splitlines()]
    for text in changes:
        assert text in lines, text
    try:
        _serve(file, "\n".join(changes.get(line, line) for line in lines) + "\n")
        yield
    finally:
        _serve(file, whole)


def _serve(file: Path, configuration: str) -> None:
    file.write_text(configuration, encoding="utf-8")
    subprocess.run(["apachectl", "configtest"], check=True, capture_output=True)
    # systemd takes a service that is started this often for a broken one.
    subprocess.run(["systemctl", "reset-failed", "apache2"], check=True)
    subprocess.run(["systemctl", "restart", "apache2"], check=True)
