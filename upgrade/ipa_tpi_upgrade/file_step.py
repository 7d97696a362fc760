"""The step that every file shares: what differs from format to format is an `Editor`."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ipa_tpi.errors import ConfigError, RefusedError, TpiError, UnavailableError
from ipa_tpi_upgrade import files, items
from ipa_tpi_upgrade.difference import unified
from ipa_tpi_upgrade.step import Change, Kind, Plan


class Editor(Protocol):
    """Reads and writes single settings of one format, and knows which of them a step wants."""

    def wanted(self, data: bytes) -> tuple[Change, ...]:
        """Compare a file with what has to be.

        Args:
            data: What the file holds.

        Returns:
            The changes that make it so; none if it is.

        Raises:
            ConfigError: it is not of its format, or the product would not read it.
            RefusedError: it holds what contradicts the step.
        """
        ...

    def value(self, data: bytes, place: tuple[str, ...]) -> str | None:
        """Return one setting's value as the product reads it; None if it is not there."""
        ...

    def put(self, data: bytes, place: tuple[str, ...], value: str | None) -> bytes:
        """Return the file with one setting changed, added, or (None) removed, and every other byte as it is."""
        ...

    def redact(self, text: str) -> str:
        """Hide secrets."""
        ...


def at_any_time() -> None:
    """Let a file be changed whenever somebody asks."""


class FileStep:
    """A step that edits settings of one file.

    Args:
        name: The step's id.
        path: The file.
        editor: Its format, and what is wanted of it.
        ready: Called before each change; raises a `RefusedError` while the file must not be changed.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        editor: Editor,
        ready: Callable[[], None] = at_any_time,
    ) -> None:
        self.id = name
        self.path = path
        self._editor = editor
        self._ready = ready

    def applies(self) -> bool:
        """Tell whether the file is there."""
        return self.path.exists()

    def plan(self) -> Plan:
        """Compare; see `Step.plan`."""
        snapshot = files.read(self.path)
        changes = self._wanted(snapshot.data)
        data = self._done(snapshot.data, changes)
        return Plan(
            step=self.id,
            path=str(self.path),
            before=snapshot.digest,
            after=files.Snapshot(data).digest,
            changes=changes,
            diff=unified(str(self.path), snapshot.data, data, self._editor.redact),
        )

    def apply(self, plan: Plan) -> None:
        """Change the file; see `Step.apply`."""
        self._demand_own(plan)
        snapshot = files.read(self.path)
        if snapshot.digest == plan.after:  # R-D15: done before, by this process or by one that was killed
            return
        if snapshot.digest != plan.before:
            raise RefusedError(
                f"{self.path} has been changed since this was planned. Plan again, and look at the new difference.",
                code="precondition-changed",
            )
        self._ready()
        data = self._done(snapshot.data, self._wanted(snapshot.data))
        if files.Snapshot(data).digest != plan.after:
            raise RefusedError(
                f"the change of {self.path} would not be the planned one any more: accounts, other files or this "
                "program are not as they were. Plan again.",
                code="precondition-changed",
            )
        files.replace(self.path, data, expected=plan.before, keep_backup=True)

    def verify(self) -> tuple[str, ...]:
        """Read again; see `Step.verify`."""
        try:
            changes = self._wanted(files.read(self.path).data)
        except TpiError as error:
            return (error.message,)
        return tuple(
            f"{self.path}: {' '.join(change.place)} is {_said(change.before)} and has to be "
            f"{_said(change.after)}. Plan and apply {self.id} again."
            for change in changes
        )

    def rollback(self, plan: Plan) -> None:
        """Take the change back; see `Step.rollback`."""
        self._demand_own(plan)
        snapshot = files.read(self.path)
        if snapshot.digest == plan.before:  # R-D15: never applied, or taken back already
            return
        data = self._backup(plan) if snapshot.digest == plan.after else None
        if data is None:
            data = self._taken_back(snapshot.data, plan)
        if data == snapshot.data:
            return
        self._ready()
        files.replace(self.path, data, expected=snapshot.digest, keep_backup=False)

    def _demand_own(self, plan: Plan) -> None:
        if (plan.step, plan.path) != (self.id, str(self.path)):
            raise RefusedError(
                f"a plan of {plan.step} for {plan.path} was given to {self.id} for {self.path}. Use its own.",
                code="precondition-changed",
            )

    def _wanted(self, data: bytes) -> tuple[Change, ...]:
        try:
            return self._editor.wanted(data)
        except ConfigError as error:
            raise ConfigError(f"{self.path} stays as it is; {error.message}") from error
        except RefusedError as error:
            raise RefusedError(f"{self.path} stays as it is; {error.message}", code=error.code) from error

    def _done(self, data: bytes, changes: tuple[Change, ...]) -> bytes:
        for change in changes:
            data = self._editor.put(data, change.place, change.after)
        return data

    def _backup(self, plan: Plan) -> bytes | None:
        """Read the copy from before; None if it is gone or is another."""
        try:
            snapshot = files.read(files.backup_path(self.path, plan.before))
        except (ConfigError, UnavailableError):
            return None
        return snapshot.data if snapshot.digest == plan.before else None

    def _taken_back(self, data: bytes, plan: Plan) -> bytes:
        """Undo setting by setting, last first, in a file in which others have changed something too."""
        for change in reversed(plan.changes):
            now = self._editor.value(data, change.place)
            then = self._undone(now, change)
            if then != now:
                data = self._editor.put(data, change.place, then)
        return data

    def _undone(self, now: str | None, change: Change) -> str | None:
        """Return what a setting has to be without our change."""
        if now is None or now == change.before:
            return now
        if now == change.after:
            return change.before
        if change.kind is Kind.EXACT:
            raise RefusedError(
                f"{self.path}: {' '.join(change.place)} was set to {change.after!r} by {self.id} and is {now!r} now. "
                "Nothing was taken back; set it by hand, or keep it.",
                code="precondition-changed",
            )
        rest = items.without_items(now, items.added(change.before, change.after, change.kind), change.kind)
        return rest if rest or change.before is not None else None


def _said(value: str | None) -> str:
    if value is None:
        return "not there"
    return repr(value) if value else "there"  # a section or an element has no value of its own
