"""What the command lines of the container laboratory have in common: `lab.box` and `lab.ca`."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab import box_enter, box_state
from lab.base import BuildError
from lab.box_mounts import MountError
from lab.box_state import Box, BoxError

DEV_PYTHON = "/var/cache/ipa-tpi/venv/bin/python"
# The checkout is read-only inside: nothing may want to write beside the tests.
TEST_ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/src:/src/acls:/src/upgrade:/src/validator",
    "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
}


def carry_out(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, valued: Sequence[str], name: str
) -> int:
    """Carry out one command line and return the exit status.

    Args:
        parser: gives each verb's function as `act`.
        arguments: the command line; by default this process's own.
        valued: the options of `run` and `test` that take a value.
        name: what messages begin with.
    """
    own, words = split(list(sys.argv[1:] if arguments is None else arguments), valued)
    options = parser.parse_args(own)
    options.words = words
    try:
        box_state.require_root()
        act: Callable[[argparse.Namespace], int] = options.act
        return act(options)
    except (BoxError, BuildError, MountError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1


def split(arguments: list[str], valued: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return our own arguments, and those of the command that `run` and `test` pass on as they are."""
    end = len(arguments)
    if arguments[:1] in (["run"], ["test"]):
        end = 1
        while end < len(arguments) and arguments[end].startswith((*valued, "-h", "--help")):
            end += 2 if arguments[end] in valued else 1
    words = arguments[end:]
    return arguments[:end], words[1:] if words[:1] == ["--"] else words


def enter(box: Box, user: str) -> None:
    """Become a shell inside."""
    box_enter.replace_process(box_enter.command_line(box, ["/bin/bash", "-l"], user=user), box)


def run(box: Box, words: Sequence[str], user: str) -> None:
    """Become a command inside.

    Raises:
        BoxError: there is none.
    """
    if not words:
        raise BoxError("say what to run: … run [OPTIONS] -- COMMAND…")
    box_enter.replace_process(box_enter.command_line(box, words, user=user), box)


def test(box: Box, words: Sequence[str]) -> None:
    """Become pytest inside, as root, on the checkout."""
    command = [DEV_PYTHON, "-m", "pytest", "-p", "no:cacheprovider", *words]
    box_enter.replace_process(box_enter.command_line(box, command, env=TEST_ENVIRONMENT, cwd="/src"), box)


def show(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what `env` says."""
    if as_json:
        print(json.dumps(fields, indent=2))
    else:
        print("\n".join(f"{name}={value}" for name, value in fields.items() if isinstance(value, str)))
