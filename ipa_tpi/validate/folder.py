"""Finding a validation program: a plain name in a folder that only root can change.

Rules:

1. Every folder from the top down to that of the programs belongs to root, no other may write in it, and
   none is a symbolic link.
2. The program is a regular file of root's that no other may write, that everybody may execute, and that
   bears no set-uid or set-gid bit.
3. It is opened once, and what was opened is what was checked and what is run: a file that takes its name
   in between is not run.
4. A name that lies in both folders is run from neither, so that nobody has to know which one counts.

An access control list that lets somebody write shows in the mode's group bits.
"""

import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_EVERYBODY_RUNS: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class UnsafeProgramError(Exception):
    """There is no such program, or others than root could have changed it; the message says which."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where programs lie.

    Attributes:
        own: The folder of those that this service runs.
        other: The folder of those that the other service runs.
        owner: The uid that owns everything; root's.
        top: The folder from which on everything is checked.
    """

    own: str
    other: str
    owner: int = 0
    top: str = "/"


def open_program(folders: Folders, name: str) -> int:
    """Open a program for running.

    Args:
        folders: Where.
        name: A plain file name, of the form `ipa_tpi.contract.ProgramName`.

    Returns:
        A file descriptor; the caller closes it.

    Raises:
        UnsafeProgramError: One of the rules above is broken.
    """
    with ExitStack() as opened:
        folder = _open_folder(folders, folders.own, opened)
        if os.path.lexists(f"{folders.other}/{name}"):
            raise UnsafeProgramError(
                f"{name} lies in {folders.own} and in {folders.other}; remove one of the two"
            )
        return _open_file(f"{folders.own}/{name}", name, folder, folders.owner)


def _open_folder(folders: Folders, path: str, opened: ExitStack) -> int:
    here = folders.top
    descriptor = _open(here, here, os.O_PATH | os.O_DIRECTORY, None)
    opened.callback(os.close, descriptor)
    _demand(here, os.fstat(descriptor), folders.owner)
    for part in PurePosixPath(path).relative_to(folders.top).parts:
        here = f"{here.rstrip('/')}/{part}"
        descriptor = _open(here, part, os.O_PATH | os.O_DIRECTORY, descriptor)
        opened.callback(os.close, descriptor)
        _demand(here, os.fstat(descriptor), folders.owner)
    return descriptor


def _open_file(path: str, name: str, folder: int, owner: int) -> int:
    # Without O_NONBLOCK a FIFO of that name would be waited for.
    descriptor = _open(path, name, os.O_RDONLY | os.O_NONBLOCK, folder)
    try:
        _demand_program(path, os.fstat(descriptor), owner)
    except UnsafeProgramError:
        os.close(descriptor)
        raise
    return descriptor


def _demand_program(path: str, status: os.stat_result, owner: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeProgramError(f"{path} is no regular file; put the program itself there")
    _demand(path, status, owner)
    if status.st_mode & _SET_ID:
        raise UnsafeProgramError(f"{path} has a set-uid or set-gid bit; run: chmod 755 {path}")
    if status.st_mode & _EVERYBODY_RUNS != _EVERYBODY_RUNS:
        raise UnsafeProgramError(f"{path} cannot be executed by everybody; run: chmod 755 {path}")


def _open(path: str, name: str, flags: int, folder: int | None) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise UnsafeProgramError(
            f"there is no {path} on this host; install it, or correct the operation"
        ) from None
    except OSError as error:  # ELOOP and ENOTDIR: a symbolic link, or no folder
        raise UnsafeProgramError(
            f"{path} cannot be opened: {error.strerror}; no link is followed here, put the program itself there"
        ) from error


def _demand(path: str, status: os.stat_result, owner: int) -> None:
    if status.st_uid != owner or status.st_mode & _OTHERS_WRITE:  # R-E19
        raise UnsafeProgramError(
            f"{path} can be changed by others than root; run: chown root:root {path} && chmod 755 {path}"
        )
