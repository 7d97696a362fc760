"""Replacing a file of another product: whole or not at all, with owner, mode and labels kept.

Some of these files lie in folders that the product's own account can write to, and root replaces them. So every
operation goes through one descriptor of the folder, no link is followed at the last component, and new files are
created exclusively.

Between the last look at the file and the rename lies a moment in which another program's change would be lost:
those programs know no common lock. They are stopped, or are run by the same administrator.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ipa_tpi.errors import ConfigError, RefusedError, UnavailableError

SIZE_LIMIT_BYTES = 16 * 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KERNELS_OWN = frozenset({"security.evm", "security.ima"})  # checksums of the very inode
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Snapshot:
    """What a file held at one moment."""

    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 in lower-case hex."""
        return hashlib.sha256(self.data).hexdigest()


def backup_path(path: Path, digest: str) -> Path:
    """Tell where the copy of a file from before a change lies: beside it, named for what it is.

    Args:
        path: The file.
        digest: Of what it held, so that the name is the same after a kill.
    """
    return path.with_name(f"{path.name}.before-ipa-tpi-{digest[:16]}")


def read(path: Path) -> Snapshot:
    """Read a whole file.

    Raises:
        ConfigError: it is no regular file with one name, or too large.
        UnavailableError: it cannot be read.
    """
    with _folder(path) as folder, _opened(folder, path) as descriptor:
        return Snapshot(_content(descriptor, path))


def replace(path: Path, data: bytes, *, expected: str, keep_backup: bool) -> None:
    """Put other bytes in a file's place, if it still holds what is expected.

    Args:
        path: The file; its owner, mode and extended attributes (SELinux label, ACL) pass to the new one.
        data: What it holds afterwards.
        expected: SHA-256 of what it holds now.
        keep_backup: Leave a copy of what it holds now at `backup_path`, written durably first.

    Raises:
        ConfigError: as `read`.
        RefusedError: it holds something else.
        UnavailableError: something could not be written; the file is as it was.
    """
    with _folder(path) as folder, _opened(folder, path) as descriptor:
        found = Snapshot(_content(descriptor, path))
        if found.digest != expected:
            raise RefusedError(
                f"{path} has been changed since this was planned. Plan again, and look at the new difference.",
                code="precondition-changed",
            )
        try:
            if keep_backup:
                _keep(folder, backup_path(path, expected), found, descriptor)
            _put(folder, path, data, descriptor)
        except OSError as error:
            raise UnavailableError(
                f"{path} could not be replaced: {error.strerror}. It is as it was; mend that and try again."
            ) from error


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """Open the folder that a file lies in."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError(
            f"{path.parent} cannot be opened: {error.strerror}. Check the path."
        ) from error
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _opened(folder: int, path: Path) -> Iterator[int]:
    """Open the file itself, which must be one."""
    try:
        descriptor = os.open(path.name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ConfigError(
                f"{path} is a symbolic link, which a replacement would destroy. Name the file that it points to."
            ) from error
        raise UnavailableError(
            f"{path} cannot be read: {error.strerror}. Check that it is there, and run this as root."
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int, path: Path) -> bytes:
    """Read it all, after a look at what it is."""
    try:
        status = os.fstat(descriptor)
        is_file = stat.S_ISREG(status.st_mode)
        data = os.pread(descriptor, SIZE_LIMIT_BYTES + 1, 0) if is_file else b""
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}. Check the disk.") from error
    if not is_file:
        raise ConfigError(f"{path} is no regular file. Name the product's configuration file.")
    if status.st_nlink != 1:
        raise ConfigError(
            f"{path} has {status.st_nlink} names (hard links), which a replacement would part. Remove the others."
        )
    if status.st_size > SIZE_LIMIT_BYTES:
        raise ConfigError(f"{path} has {status.st_size} bytes, which no such file has. Check what it is.")
    if len(data) != status.st_size:
        raise UnavailableError(f"{path} was being written while it was read. Try again.")
    return data


def _keep(folder: int, backup: Path, found: Snapshot, like: int) -> None:
    """Leave a copy, unless the same one is there from an earlier try."""
    try:
        os.stat(backup.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        _put(folder, backup, found.data, like)
        return
    with _opened(folder, backup) as descriptor:
        if Snapshot(_content(descriptor, backup)).digest == found.digest:
            return
    raise RefusedError(
        f"{backup} is there and is not the copy that its name says. Look at it, and move it away.",
        code="precondition-changed",
    )


def _put(folder: int, path: Path, data: bytes, like: int) -> None:
    """Write beside it, make durable, rename, make that durable."""
    temporary = f".{path.name}.ipa-tpi-new"
    with suppress(FileNotFoundError):  # left behind by a kill
        os.unlink(temporary, dir_fd=folder)
    descriptor = os.open(temporary, _CREATE, 0o600, dir_fd=folder)
    try:
        try:
            _fill(descriptor, data, like)
        finally:
            os.close(descriptor)
        os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _fill(descriptor: int, data: bytes, like: int) -> None:
    """Write content, owner, mode and extended attributes, in the order in which nobody sees too much."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    status = os.fstat(like)
    os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    for name in set(os.listxattr(like)) - _KERNELS_OWN:
        os.setxattr(descriptor, name, os.getxattr(like, name))
    os.fsync(descriptor)
