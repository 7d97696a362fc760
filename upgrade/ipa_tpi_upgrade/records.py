"""What was planned, kept before it is done, so that it can be taken back by another process, after a kill too (D15).

A folder of root's own with a file for each plan, numbered in the order of the deeds. A plan holds no secret.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ipa_tpi.errors import ConfigError, UnavailableError
from ipa_tpi_upgrade.step import Plan

FOLDER = Path("/var/lib/ipa-tpi-upgrade")
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def keep(plan: Plan, folder: Path = FOLDER) -> Path:
    """Write a plan down, durably.

    Returns:
        The file.

    Raises:
        UnavailableError: it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        last = max((int(path.name.partition("-")[0]) for path in _files(folder)), default=0)
        path = folder / f"{last + 1:04d}-{plan.step}.json"
        descriptor = os.open(path, _CREATE, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(plan)) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        _sync(folder)
    except OSError as error:
        raise UnavailableError(
            f"{folder} cannot be written to: {error.strerror}. Nothing was changed; mend that and try again."
        ) from error
    return path


def kept(folder: Path = FOLDER) -> Iterator[tuple[Path, Plan]]:
    """Yield what was written down, the last first.

    Raises:
        ConfigError: a file is not of that kind.
        UnavailableError: it cannot be read.
    """
    for path in sorted(_files(folder), reverse=True):
        try:
            yield path, msgspec.json.decode(path.read_bytes(), type=Plan)
        except OSError as error:
            raise UnavailableError(
                f"{path} cannot be read: {error.strerror}. Run this as root, and check the disk."
            ) from error
        except msgspec.DecodeError as error:
            raise ConfigError(
                f"{path} is no record of a step ({error}). Look at it, and move it away."
            ) from error


def forget(path: Path) -> None:
    """Remove a record whose plan has been taken back, or was not done."""
    path.unlink(missing_ok=True)
    _sync(path.parent)


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("[0-9][0-9][0-9][0-9]-*.json"))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
