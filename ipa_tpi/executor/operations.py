"""The closed table of what this executor can do, and what each operation acts on (E05, K06).

An operation that is not here cannot be run, whatever policy and floor say.  Each row names the
other ways in that must be shut for one person (K18).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ipa_tpi.errors import ActionFailedError, RefusedError, TpiError
from ipa_tpi.model import Json
from ipa_tpi.ports import ServiceManager

_INSTANCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Act:
    """How an act ended: certain success.

    Attributes:
        excerpt: For people, one line.
        exit_status: 0.
    """

    excerpt: str
    exit_status: int = 0


class Operation(Protocol):
    """What an operation of the table can do.

    Attributes:
        other_ways: Where else a person could do the same (K18).
    """

    other_ways: tuple[str, ...]

    def units(self, instances: frozenset[str]) -> Mapping[str, frozenset[str]]:
        """Give the units, with the verbs, that the floor's entry opens to the executor."""

    def preview(self, parameters: Mapping[str, str], services: ServiceManager) -> tuple[Json, Json]:
        """Read what would be acted on.

        Returns:
            What is shown to people, and the precondition that is compared again before acting.
        """

    def act(self, parameters: Mapping[str, str], services: ServiceManager, timeout_seconds: int) -> Act:
        """Do it.

        Raises:
            ActionFailedError: It certainly did not succeed.
            OutcomeUnknownError: It may have.
            ServiceManagerError: It was certainly not begun.
        """


class DirsrvRestart:
    """``dirsrv.restart instance=NAME``: restart a 389-ds instance."""

    other_ways: tuple[str, ...] = (
        "polkit: org.freedesktop.systemd1.manage-units",
        "sudo: systemctl, dsctl",
        "unit file dirsrv@.service and its drop-ins",
        "signals to the process, by its uid dirsrv",
        "cn=config over LDAP as Directory Manager",
    )

    def units(self, instances: frozenset[str]) -> Mapping[str, frozenset[str]]:
        """Give dirsrv@INSTANCE.service with the verb restart."""
        return {_unit(instance): frozenset({"restart"}) for instance in instances}

    def preview(self, parameters: Mapping[str, str], services: ServiceManager) -> tuple[Json, Json]:
        """Show the unit's state; the precondition is empty."""
        unit = _unit(parameters["instance"])
        state = services.unit_state(unit)
        shown: Json = {
            "action": "restart",
            "unit": unit,
            "active": state.active,
            "sub": state.sub,
            "main_pid": state.main_pid,
            "invocation_id": state.invocation_id,
        }
        return shown, {}

    def act(self, parameters: Mapping[str, str], services: ServiceManager, timeout_seconds: int) -> Act:
        """Restart the unit and tell the old and the new main process."""
        unit = _unit(parameters["instance"])
        before = services.unit_state(unit)
        result = services.restart(unit, timeout_seconds)
        if result != "done":
            raise ActionFailedError(
                f"systemd could not restart {unit}: the job ended as {result}; see: journalctl -u {unit}"
            )
        return Act(f"restarted {unit}: main PID {before.main_pid} -> {_state_after(unit, services)}")


OPERATIONS: Final[Mapping[str, Operation]] = {"dirsrv.restart": DirsrvRestart()}


def operation(name: str) -> Operation:
    """Find an operation of the table.

    Raises:
        RefusedError: Code ``operation-not-on-floor``: this program cannot do that.
    """
    found = OPERATIONS.get(name)
    if found is None:
        raise RefusedError(f"this executor cannot do {name!a}", code="operation-not-on-floor")
    return found


def _state_after(unit: str, services: ServiceManager) -> str:
    # The job is done; that its state cannot be told does not make it undone.
    try:
        after = services.unit_state(unit)
    except TpiError as error:
        return f"unknown ({error.message})"
    return f"{after.main_pid}, {after.active} ({after.sub})"


def _unit(instance: str) -> str:
    if _INSTANCE.fullmatch(instance) is None:  # R-E03: checked here too, whatever came before
        raise RefusedError(f"{instance!a} is no name of an instance", code="bad-parameters")
    return f"dirsrv@{instance}.service"
