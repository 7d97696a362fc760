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

from ipa_tpi.errors import ActionFailedError, OutcomeUnknownError, ServiceManagerError
from ipa_tpi.ports import UnitState

_BUS_NAME: Final = "org.freedesktop.systemd1"
_MANAGER: Final = DBusAddress("/org/freedesktop/systemd1", _BUS_NAME, f"{_BUS_NAME}.Manager")
_QUERY_SECONDS: Final = 5.0
# What the bus says in systemd's stead when nobody knows what became of a call that it had delivered.
_UNANSWERED: Final = frozenset(
    f"org.freedesktop.DBus.Error.{name}" for name in ("NoReply", "Timeout", "TimedOut", "Disconnected")
)
_LOST: Final = (OSError, ConnectionError, TimeoutError, EOFError)


class Systemd:
    """The service manager of this host; one short connection a call."""

    def unit_state(self, unit: str) -> UnitState:
        """Tell a unit's state; see `ipa_tpi.ports.ServiceManager`."""
        with _bus() as bus:
            try:
                path = _call(bus, new_method_call(_MANAGER, "LoadUnit", "s", (unit,)))[0]
                unit_properties = _properties(bus, path, "Unit")
                if unit_properties["LoadState"] != "loaded":
                    raise ActionFailedError(f"there is no unit {unit} on this host")
                service = _properties(bus, path, "Service")
            except DBusErrorResponse as error:
                raise ActionFailedError(f"systemd does not tell about {unit}: {_reason(error)}") from error
            except _LOST as error:
                raise ServiceManagerError(f"systemd did not answer about {unit}: {error}") from error
        return UnitState(
            active=str(unit_properties["ActiveState"]),
            sub=str(unit_properties["SubState"]),
            main_pid=int(service["MainPID"]),
            invocation_id=bytes(unit_properties["InvocationID"]).hex(),
        )

    def restart(self, unit: str, timeout_seconds: int) -> str:
        """Restart a unit and wait for its job; see `ipa_tpi.ports.ServiceManager`."""
        deadline = time.monotonic() + timeout_seconds
        with _bus() as bus:
            rule = MatchRule(
                type="signal", interface=_MANAGER.interface, member="JobRemoved", path=_MANAGER.object_path
            )
            try:
                Proxy(message_bus, bus).AddMatch(rule)
                _call(bus, new_method_call(_MANAGER, "Subscribe"))
            except (DBusErrorResponse, *_LOST) as error:
                raise ServiceManagerError(
                    f"systemd did not answer before anything was asked of it: {error}"
                ) from error
            with bus.filter(rule, bufsize=256) as signals:
                try:
                    request = new_method_call(_MANAGER, "RestartUnit", "ss", (unit, "replace"))
                    job = _call(bus, request, timeout=timeout_seconds)[0]
                    while True:
                        left = max(0.0, deadline - time.monotonic())
                        signal = bus.recv_until_filtered(signals, timeout=left)
                        if signal.body[1] == job:
                            return str(signal.body[3])
                except DBusErrorResponse as error:
                    raise _judge_refusal(unit, error) from error
                except _LOST as error:
                    raise OutcomeUnknownError(
                        f"systemd did not tell how the restart of {unit} ended: {error}"
                    ) from error


@contextmanager
def _bus() -> Iterator[DBusConnection]:
    try:
        connection = open_dbus_connection(bus="SYSTEM")
    except (*_LOST, KeyError, ValueError) as error:
        raise ServiceManagerError(f"the system bus cannot be reached: {error}") from error
    with closing(connection):
        yield connection


def _call(bus: DBusConnection, message: Any, timeout: float = _QUERY_SECONDS) -> Any:  # noqa: ANN401
    return unwrap_msg(bus.send_and_get_reply(message, timeout=timeout))


def _properties(bus: DBusConnection, path: str, interface: str) -> dict[str, Any]:
    address = DBusAddress(path, _BUS_NAME, f"{_BUS_NAME}.{interface}")
    found = _call(bus, Properties(address).get_all())[0]
    return {name: value for name, (_, value) in found.items()}


def _judge_refusal(unit: str, error: DBusErrorResponse) -> ActionFailedError | OutcomeUnknownError:
    if error.name in _UNANSWERED:
        return OutcomeUnknownError(f"systemd did not tell how the restart of {unit} ended: {_reason(error)}")
    return ActionFailedError(f"systemd refused to restart {unit}: {_reason(error)}")


def _reason(error: DBusErrorResponse) -> str:
    detail = error.data[0] if isinstance(error.data, tuple) and error.data else ""
    return f"{error.name}: {detail}"
