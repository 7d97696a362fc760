"""What a step is: one change to another product's configuration that can be shown first and taken back later.

A plan is the whole record of a step: it holds no file contents and no secrets, so that it can be journalled before
the step acts. `apply` and `rollback` need nothing else, in this process or in the next one after a kill:

1. `plan` reads and changes nothing. A plan without changes means that everything is as it has to be.
2. `apply` acts only on the very bytes that were planned on; on the bytes that it would have made it does nothing.
3. `verify` reads again, and tells what is not as it has to be.
4. `rollback` brings back what was there before. What others have changed since stays; where the two cannot be
   parted it refuses, and changes nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Kind(StrEnum):
    """How a setting is merged: as one value, or item by item."""

    EXACT = "exact"
    LIST = "list"  # parted by commas
    ALTERNATIVES = "alternatives"  # of a regular expression


@dataclass(frozen=True)
class Change:
    """One setting that is changed.

    Args:
        place: Where it stands, outermost first, in the words of the file's format.
        before: Its value until now; None if it is not there.
        after: Its value afterwards.
        kind: How it is merged, and taken back after others have changed it too.
    """

    place: tuple[str, ...]
    before: str | None
    after: str
    kind: Kind = Kind.EXACT


@dataclass(frozen=True)
class Plan:
    """What a step would do; made of strings only, to be journalled.

    Args:
        step: The step's id.
        path: The file.
        before: SHA-256 of the bytes that the plan is about, in lower-case hex.
        after: The same of what it makes of them.
        changes: The settings, in the order in which they are applied.
        diff: A unified diff for people; secrets are not shown, and control characters are escaped.
    """

    step: str
    path: str
    before: str
    after: str
    changes: tuple[Change, ...]
    diff: str

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self.changes


class Step(Protocol):
    """One change to another product's configuration."""

    @property
    def id(self) -> str:
        """A stable name, such as `sssd.infopipe`."""
        ...

    @property
    def path(self) -> Path:
        """The file that it changes."""
        ...

    def applies(self) -> bool:
        """Tell whether this host has what the step changes."""
        ...

    def plan(self) -> Plan:
        """Compare what is there with what has to be, and change nothing.

        Raises:
            ConfigError: the file is not of its format.
            RefusedError: it holds what contradicts the step, or protects nobody.
            UnavailableError: it cannot be read.
        """
        ...

    def apply(self, plan: Plan) -> None:
        """Do what the plan says; nothing if that has been done already.

        Raises:
            RefusedError: the file is not the one that was planned on, or must not be changed now.
            UnavailableError: it cannot be written; it is as it was.
        """
        ...

    def verify(self) -> tuple[str, ...]:
        """Read again, and return what is wrong, each with what to do next; empty if all is as it has to be."""
        ...

    def rollback(self, plan: Plan) -> None:
        """Take back what the plan did, and nothing else; nothing if it was not done.

        Raises:
            RefusedError: others have changed the same settings since, or the file must not be changed now.
            UnavailableError: it cannot be written; it is as it was.
        """
        ...
