"""Reading a validation program's own settings: TOML, strict, and nobody but root may have written them."""

import os
import stat
import tomllib
from typing import TypeVar

import msgspec

from ipa_tpi.programs.answer import SETTINGS, RefusalError

S = TypeVar("S")


def read_settings(path: str, shape: type[S], owner: int = 0) -> S:
    """Read a settings file.

    Args:
        path: The file.
        shape: What it has to hold.
        owner: The uid that has to own it; root's.

    Returns:
        The values.

    Raises:
        RefusalError: It cannot be read, others could have changed it, or it is not of the shape.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as file:  # noqa: PTH123 (what was opened is what is looked at)
            status = os.fstat(descriptor)
            if status.st_uid != owner or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):  # R-E19
                raise RefusalError(f"{path} can be changed by others than root", SETTINGS)
            return msgspec.convert(tomllib.loads(file.read()), type=shape)
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError(f"{path} cannot be read: {error}", SETTINGS) from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RefusalError(f"{path} is not valid: {error}", SETTINGS) from error
