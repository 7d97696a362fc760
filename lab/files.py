"""Writing the files of a realm with the right owner and mode from the first byte."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def make_folder(path: Path, *, owner: str | None = None, mode: int = 0o755) -> Path:
    """Make a folder and its missing parents, and return it.

    Args:
        path: the folder.
        owner: account that gets it; followed only where we are root.
        mode: its permissions; missing parents get 0755.
    """
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    give_to(path, owner)
    return path


def write(path: Path, content: str | bytes, *, owner: str | None = None, mode: int = 0o644) -> None:
    """Write a file whole, replacing an older one.

    Args:
        path: the file; missing parents are made.
        content: text (UTF-8) or bytes.
        owner: account that gets it; followed only where we are root.
        mode: its permissions.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    content = content.encode() if isinstance(content, str) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    give_to(path, owner)


def give_to(path: Path, owner: str | None) -> None:
    """Hand a path to an account and its first group; does nothing for an ordinary user."""
    if owner is None or os.geteuid() != 0:
        return
    account = pwd.getpwnam(owner)
    os.chown(path, account.pw_uid, account.pw_gid)
