"""Apache on the CA host with lines of its configuration changed, to see what they are there for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SITE = Path("/etc/apache2/sites-enabled/ipa-tpi-ca.conf")


@contextmanager
def weakened(changes: Mapping[str, str]) -> Iterator[None]:
    """Put other lines in place of some, while the block runs.

    Args:
        changes: what stands there once, whole, and what stands there meanwhile.
    """
    whole = SITE.read_text(encoding="utf-8")
    lines = [line.strip() for line in whole.splitlines()]
    for text in changes:
        assert lines.count(text) == 1, text
    _serve("\n".join(changes.get(line, line) for line in lines) + "\n")
    try:
        yield
    finally:
        _serve(whole)


def _serve(configuration: str) -> None:
    SITE.write_text(configuration, encoding="utf-8")
    subprocess.run(["apachectl", "configtest"], check=True, capture_output=True)
    # systemd takes a service that is started this often for a broken one.
    subprocess.run(["systemctl", "reset-failed", "apache2"], check=True)
    subprocess.run(["systemctl", "restart", "apache2"], check=True)
