"""The closed table of what this executor can do, and what each operation acts on (E05, K06).

An operation that is not here cannot be run, whatever policy and floor say.  Each row names the
other ways in that must be shut for one person (K18).  Jobs of systemd: the state of a unit is what
people are shown, and there is nothing that could have changed in a way that matters between showing
and acting, so their precondition is empty.  Operations on a CA: see `certificates`, `profiles`, `authorities`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ipa_tpi.decide.units import check_unit
from ipa_tpi.errors import ActionFailedError, ConfigError, RefusedError
from ipa_tpi.executor.action import Act, Means, Operation
from ipa_tpi.executor.authorities import AuthorityCreate, AuthoritySwitch
from ipa_tpi.executor.certificates import CertificateJob
from ipa_tpi.executor.enrolment import NAME as ENROLMENT
from ipa_tpi.executor.enrolment import EnrolmentJob
from ipa_tpi.executor.profiles import ProfileImport, ProfileModify, ProfileSwitch
from ipa_tpi.model import Floor, FloorOperation, Json
from ipa_tpi.ports import UnitState

_INSTANCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DONE: Final = {"restart": "restarted", "start": "started", "stop": "stopped", "reload": "reloaded"}


@dataclass(frozen=True, slots=True)
class UnitJob:
    """A job of systemd on one unit, such as ``dirsrv.restart instance=NAME`` or ``systemd.unit.stop unit=NAME``.

    Attributes:
        verb: start, stop, restart or reload; ``status`` reads and has no job.
        parameter: The one parameter, ``instance`` or ``unit``.
        other_ways: See `Operation`.
        needs_ticket: The same.
    """

    verb: str
    parameter: str
    other_ways: tuple[str, ...] = ()
    needs_ticket: bool = False

    def units(self, floor: FloorOperation) -> Mapping[str, frozenset[str]]:
        """Give the floor's units, with the verb; reading needs no right."""
        ours, other = floor.instances, floor.units
        if self.parameter == "unit":
            ours, other = other, ours
        if other:
            raise RefusedError(
                f"it names {', '.join(sorted(other))}, and this operation knows only {self.parameter}s; leave it out",
                code="bad-parameters",
            )
        named = {self._unit({self.parameter: name}): frozenset({self.verb}) for name in ours}
        return {} if self.verb == "status" else named

    def preview(self, parameters: Mapping[str, str], means: Means) -> tuple[Json, Json]:
        """Show the unit's state; the precondition is empty."""
        unit = self._unit(parameters)
        return {"action": self.verb, "unit": unit, **_told(means.services.unit_state(unit))}, {}

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """Nothing: that a unit's state changes is no reason not to restart it; but it has to be there."""
        means.services.unit_state(self._unit(parameters))
        return {}

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Run the job and tell the main process before and after; for ``status`` tell the state."""
        unit = self._unit(parameters)
        if self.verb == "status":
            state = means.services.unit_state(unit)
            return Act(f"{unit} is {state.active} ({state.sub}), main PID {state.main_pid}")
        job = means.services.run_job(unit, self.verb, timeout_seconds)
        if job.result != "done":
            raise ActionFailedError(
                f"systemd could not {self.verb} {unit}: the job ended as {job.result}; see: journalctl -u {unit}"
            )
        # The job is done; that the state afterwards cannot be told does not make it undone.
        after = _state(job.after) if job.after is not None else "state unknown"
        return Act(f"{_DONE[self.verb]} {unit}: main PID {job.before.main_pid} -> {after}")

    def _unit(self, parameters: Mapping[str, str]) -> str:
        # R-E03: checked here too, whatever came before.
        if parameters.keys() != {self.parameter}:
            raise RefusedError(
                f"expected exactly the parameter {self.parameter}; give {self.parameter}=VALUE alone",
                code="bad-parameters",
            )
        name = parameters[self.parameter]
        if self.parameter == "unit":
            refusal = check_unit(name, reading=self.verb == "status")
            if refusal is not None:
                raise RefusedError(refusal.message, code=refusal.code)
            return name
        if _INSTANCE.fullmatch(name) is None:
            raise RefusedError(
                f"{name!a} is no name of an instance; list them: dsctl --list", code="bad-parameters"
            )
        return f"dirsrv@{name}.service"


_UNIT_WAYS: Final = (
    "polkit: org.freedesktop.systemd1.manage-units",
    "sudo: systemctl",
    "unit files and their drop-ins",
    "signals to the processes, by the unit's uid",
)
_DIRSRV_WAYS: Final = (
    "polkit: org.freedesktop.systemd1.manage-units",
    "sudo: systemctl, dsctl",
    "unit file dirsrv@.service and its drop-ins",
    "signals to the process, by its uid dirsrv",
    "cn=config over LDAP as Directory Manager",
)

OPERATIONS: Final[Mapping[str, Operation]] = {
    "dirsrv.restart": UnitJob("restart", "instance", _DIRSRV_WAYS),
    "dirsrv.status": UnitJob("status", "instance"),
    "dogtag.ca.create": AuthorityCreate(),
    "dogtag.ca.disable": AuthoritySwitch("disable"),
    "dogtag.ca.enable": AuthoritySwitch("enable"),
    "dogtag.cert.hold": CertificateJob("hold"),
    "dogtag.cert.release": CertificateJob("release"),
    ENROLMENT: EnrolmentJob(),
    "dogtag.cert.revoke": CertificateJob("revoke"),
    "dogtag.profile.disable": ProfileSwitch("disable"),
    "dogtag.profile.enable": ProfileSwitch("enable"),
    "dogtag.profile.import": ProfileImport(),
    "dogtag.profile.modify": ProfileModify(),
    "systemd.unit.reload": UnitJob("reload", "unit", _UNIT_WAYS),
    "systemd.unit.restart": UnitJob("restart", "unit", _UNIT_WAYS),
    "systemd.unit.start": UnitJob("start", "unit", _UNIT_WAYS),
    "systemd.unit.status": UnitJob("status", "unit"),
    "systemd.unit.stop": UnitJob("stop", "unit", _UNIT_WAYS),
}


def operation(name: str) -> Operation:
    """Find an operation of the table.

    Raises:
        RefusedError: Code ``operation-not-on-floor``: this program cannot do that.
    """
    found = OPERATIONS.get(name)
    if found is None:
        raise RefusedError(
            f"this executor cannot do {name!a}; its operations are: {', '.join(OPERATIONS)}",
            code="operation-not-on-floor",
        )
    return found


def check_floor(floor: Floor) -> None:
    """Refuse a floor that opens what this executor cannot or may never do (E05, X13).

    Args:
        floor: As read.

    Raises:
        ConfigError: With the operation and the name that is wrong.
    """
    for name, entry in floor.operations.items():
        try:
            operation(name).units(entry)
        except RefusedError as error:
            raise ConfigError(
                f"the floor's entry {name} cannot be used: {error.message}. Correct the file."
            ) from error


def check_ways(floor: Floor, *, to_ca: bool) -> None:
    """Refuse a floor with operations that would wait for ever, since this host has no way to what they act on.

    Args:
        floor: As read.
        to_ca: Whether executor.toml says how a CA is reached.

    Raises:
        ConfigError: With the operation.
    """
    lost = sorted(name for name in floor.operations if operation(name).needs_ticket and not to_ca)
    if lost:
        raise ConfigError(
            f"the floor's entry {lost[0]} needs a way to this host's CA; add [dogtag] to executor.toml, or take it out"
        )


def _state(state: UnitState) -> str:
    return f"{state.main_pid}, {state.active} ({state.sub})"


def _told(state: UnitState) -> dict[str, Json]:
    return {
        "active": state.active,
        "sub": state.sub,
        "main_pid": state.main_pid,
        "invocation_id": state.invocation_id,
    }
