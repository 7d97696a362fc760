"""systemd over the system bus, with jeepney (K06, C03).

A call that systemd certainly refused, one that certainly never reached it, and one whose end is
not known are three different errors: only the last leaves a request indeterminate.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from jeepney import DBusAddress, DBusErrorResponse, MatchRule, Properties, message_bus, new_method_call
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection
from jeepney.wrappers import unwrap_msg

from ipa_tpi.errors import ActionFailedError, OutcomeUnknownError, ServiceManagerError, TpiError
from ipa_tpi.ports import Job, UnitState

_BUS_NAME: Final = "org.freedesktop.systemd1"
_MANAGER: Final = DBusAddress("/org/freedesktop/systemd1", _BUS_NAME, f"{_BUS_NAME}.Manager")
_QUERY_SECONDS: Final = 5.0
_ERROR: Final = "org.freedesktop.DBus.Error."
# What the bus says in systemd's stead when nobody knows what became of a call that it had delivered …
_UNANSWERED: Final = frozenset(_ERROR + name for name in ("NoReply", "Timeout", "TimedOut", "Disconnected"))
# … and when systemd is not there to deliver it to, as while it starts itself again.
_ABSENT: Final = frozenset(
    _ERROR + name for name in ("ServiceUnknown", "NameHasNoOwner", "LimitsExceeded", "NoMemory")
)
_LOST: Final = (OSError, ConnectionError, TimeoutError, EOFError)
_CALLS: Final = {"start": "StartUnit", "stop": "StopUnit", "restart": "RestartUnit", "reload": "ReloadUnit"}


class Systemd:
    """The service manager of this host; one short connection a call."""

    def unit_state(self, unit: str) -> UnitState:
        """Tell a unit's state; see `ipa_tpi.ports.ServiceManager`."""
        with _bus() as bus:
            return _state(bus, unit)

    def run_job(self, unit: str, verb: str, timeout_seconds: int) -> Job:
        """Run a job and wait for its end; see `ipa_tpi.ports.ServiceManager`."""
        deadline = time.monotonic() + timeout_seconds
        with _bus() as bus:
            rule = MatchRule(
                type="signal", interface=_MANAGER.interface, member="JobRemoved", path=_MANAGER.object_path
            )
            before = _state(bus, unit)
            try:
                Proxy(message_bus, bus).AddMatch(rule)
                _call(bus, new_method_call(_MANAGER, "Subscribe"))
            except (DBusErrorResponse, *_LOST) as error:
                raise ServiceManagerError(
                    f"systemd did not answer before anything was asked of it: {error}; see: systemctl status dbus"
                ) from error
            with bus.filter(rule, bufsize=256) as signals:
                try:
                    request = new_method_call(_MANAGER, _CALLS[verb], "ss", (unit, "replace"))
                    job = _call(bus, request, timeout=timeout_seconds)[0]
                    while True:
                        left = max(0.0, deadline - time.monotonic())
                        signal = bus.recv_until_filtered(signals, timeout=left)
                        if signal.body[1] == job:
                            result = str(signal.body[3])
                            break
                except DBusErrorResponse as error:
                    raise _judge_refusal(f"{verb} {unit}", error) from error
                except _LOST as error:
                    raise OutcomeUnknownError(
                        f"systemd did not tell how the {verb} of {unit} ended: {error}; look: systemctl status {unit}"
                    ) from error
            return Job(result, before, _state_after(bus, unit))


def _state(bus: DBusConnection, unit: str) -> UnitState:
    try:
        # Loads the unit where it is not, and costs a tenth of reading all its properties.
        found = _call(bus, new_method_call(_MANAGER, "ListUnitsByNames", "as", ([unit],)))[0]
        if not found or found[0][2] != "loaded":
            raise ActionFailedError(
                f"there is no unit {unit} on this host; list them: systemctl list-unit-files"
            )
        name, _, _, active, sub, _, path, *_ = found[0]
        if name != unit:  # floor, polkit and digest speak of the name that was asked for
            raise ActionFailedError(f"{unit} is another name of {name}; ask for that")
        main_pid = _property(bus, path, "Service", "MainPID") if unit.endswith(".service") else 0
        invocation = _property(bus, path, "Unit", "InvocationID")
    except DBusErrorResponse as error:
        if error.name in _UNANSWERED | _ABSENT:  # not a decision
            raise ServiceManagerError(
                f"systemd did not answer about {unit}: {_reason(error)}; it is asked again by itself"
            ) from error
        raise ActionFailedError(
            f"systemd does not tell about {unit}: {_reason(error)}; see: systemctl status {unit}"
        ) from error
    except _LOST as error:
        raise ServiceManagerError(
            f"systemd did not answer about {unit}: {error}; it is asked again by itself"
        ) from error
    return UnitState(str(active), str(sub), int(main_pid), bytes(invocation).hex())


def _state_after(bus: DBusConnection, unit: str) -> UnitState | None:
    # The job is done; that its state cannot be told does not make it undone.
    try:
        return _state(bus, unit)
    except TpiError:
        return None


@contextmanager
def _bus() -> Iterator[DBusConnection]:
    try:
        connection = open_dbus_connection(bus="SYSTEM")
    except (*_LOST, KeyError, ValueError) as error:
        raise ServiceManagerError(
            f"the system bus cannot be reached: {error}; see: systemctl status dbus"
        ) from error
    with closing(connection):
        yield connection


def _call(bus: DBusConnection, message: Any, timeout: float = _QUERY_SECONDS) -> Any:  # noqa: ANN401
    return unwrap_msg(bus.send_and_get_reply(message, timeout=timeout))


def _property(bus: DBusConnection, path: str, interface: str, name: str) -> Any:  # noqa: ANN401
    address = DBusAddress(path, _BUS_NAME, f"{_BUS_NAME}.{interface}")
    return _call(bus, Properties(address).get(name))[0][1]


def _judge_refusal(what: str, error: DBusErrorResponse) -> ActionFailedError | OutcomeUnknownError:
    if error.name in _UNANSWERED:
        return OutcomeUnknownError(
            f"systemd did not tell whether it began to {what}: {_reason(error)}; look: systemctl status"
        )
    return ActionFailedError(f"systemd refused to {what}: {_reason(error)}; see: journalctl")


def _reason(error: DBusErrorResponse) -> str:
    detail = error.data[0] if isinstance(error.data, tuple) and error.data else ""
    return f"{error.name}: {detail}"
