"""A copy of the checkout that every user can read; the checkout itself may lie in somebody's home."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@functools.cache
def readable() -> Path:
    """Give a copy of the product's and the laboratory's packages, and of the tests' WSGI script."""
    copy = Path(tempfile.mkdtemp(prefix="tpi-readable-"))
    copy.chmod(0o755)
    for part in ("ipa_tpi", "acls", "upgrade", "httpd", "lab", "validator"):
        shutil.copytree(REPOSITORY / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(Path(__file__).parent / "environ.wsgi", copy / "environ.wsgi")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    return copy
