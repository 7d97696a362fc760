"""Apache on the CA host with lines of its configuration taken away, to see what they are there for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SITE = Path("/etc/apache2/sites-enabled/ipa-tpi-ca.conf")


@contextmanager
def without(*texts: str) -> Iterator[None]:
    """Take away every line that holds one of the texts, while the block runs.

    Args:
        texts: each stands in a line at least.
    """
    whole = SITE.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    for text in texts:
        assert any(text in line for line in lines), text
    _serve("".join(line for line in lines if not any(text in line for text in texts)))
    try:
        yield
    finally:
        _serve(whole)


def _serve(configuration: str) -> None:
    SITE.write_text(configuration, encoding="utf-8")
    subprocess.run(["apachectl", "configtest"], check=True, capture_output=True)
    subprocess.run(["systemctl", "restart", "apache2"], check=True)
