"""Apache on the CA host with lines of its configuration changed, to see what they are there for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.ca_settings import LOCATION

# By file, what stands there, each a whole line, and what stands there meanwhile.
Changes = Mapping[Path, Mapping[str, str]]


@contextmanager
def weakened(changes: Mapping[str, str], file: Path = LOCATION) -> Iterator[None]:
    """Put other lines in place of some of one file, while the block runs; see `changed`."""
    with changed({file: changes}):
        yield


@contextmanager
def changed(changes: Changes) -> Iterator[None]:
    """Put other lines in place of some, while the block runs.

    Args:
        changes: which lines of which files.
    """
    whole = {file: file.read_text(encoding="utf-8") for file in changes}
    meanwhile = {file: _with(whole[file], lines) for file, lines in changes.items()}
    try:
        _serve(meanwhile)
        yield
    finally:
        _serve(whole)


def _with(text: str, lines: Mapping[str, str]) -> str:
    found = [line.strip() for line in text.splitlines()]
    for line in lines:
        assert line in found, line
    return "\n".join(lines.get(line, line) for line in found) + "\n"


def _serve(files: Mapping[Path, str]) -> None:
    for file, configuration in files.items():
        file.write_text(configuration, encoding="utf-8")
    subprocess.run(["apachectl", "configtest"], check=True, capture_output=True)
    # systemd takes a service that is started this often for a broken one.
    subprocess.run(["systemctl", "reset-failed", "apache2"], check=True)
    subprocess.run(["systemctl", "restart", "apache2"], check=True)
