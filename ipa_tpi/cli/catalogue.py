"""What can be asked for, as people read it: each operation with all that its definition and this server demand."""

from collections.abc import Sequence
from typing import Final

from ipa_tpi.cli.layout import broken, fields, fits, table
from ipa_tpi.cli.render import duration, proof_demands, safe
from ipa_tpi.wire import OperationList, OperationView, ParameterView

_NOTHING: Final = (
    "No operations that you may know of. Ask an administrator whether you have a role of ipa-tpi.\n"
)


def operations_sheet(known: OperationList, columns: int | None) -> str:
    """Show every operation, and the definitions that were refused.

    Args:
        known: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    shown = "\n".join(_operation(one, known, columns) for one in known.operations)
    refused = "".join(
        broken(f"refused: {safe(name)}: ", safe(why), columns, 4)
        for name, why in sorted(known.malformed.items())
    )
    return (shown or _NOTHING) + ("\n" if refused else "") + refused


def operations_table(operations: Sequence[OperationView], columns: int | None) -> str:
    """List operations, each in a line where all lines fit.

    Args:
        operations: Untrusted.
        columns: Those of the terminal; None for no terminal.

    Returns:
        Lines.
    """
    if not operations:
        return _NOTHING
    shown = table(
        ("NAME", "APPROVALS", "STATE", "DESCRIPTION"),
        [
            (
                one.name,
                str(one.required_approvals),
                "enabled" if one.enabled else "disabled",
                one.description,
            )
            for one in operations
        ],
    )
    if fits(shown, columns):
        return shown
    return "".join(broken(f"{safe(one.name)}: ", safe(one.description), columns, 4) for one in operations)


def operation_sheet(operation: OperationView, known: OperationList, columns: int | None) -> str:
    """Show one operation; see `operations_sheet`."""
    return _operation(operation, known, columns)


def hosts_sheet(known: OperationList) -> str:
    """Show the hosts that an operation can run on.

    Args:
        known: Untrusted.

    Returns:
        Lines.
    """
    if not known.hosts:
        return "No host has an executor.\n"
    return "".join(
        safe(host)
        + (" (this server: what 'create' takes without --host)" if host == known.host else "")
        + "\n"
        for host in known.hosts
    )


def _operation(operation: OperationView, known: OperationList, columns: int | None) -> str:
    about = operation.description or "(no description)"
    switched = "" if operation.enabled else " [disabled: it can be neither asked for nor approved]"
    return broken(f"{safe(operation.name)}: ", f"{safe(about)}{switched}", columns, 4) + fields(
        [
            ("ask for it", _example(operation)),
            *(
                (f"parameter {name}", _values(name, rule, operation, known))
                for name, rule in sorted(operation.parameters.items())
            ),
            ("approvals", _approvals(operation, known)),
            ("time", _windows(operation)),
            ("through", ", ".join(operation.interfaces)),
            ("reason", _demand(operation.reason_pattern)),
            ("ticket", _demand(operation.ticket_pattern)),
            ("at once", f"at most {operation.pending_limit} waiting requests of one person"),
            *([("destructive", "yes")] if operation.destructive else []),
            *proof_demands(operation.fresh_seconds, operation.indicators),
        ],
        columns,
    )


def _example(operation: OperationView) -> str:
    words = [
        "ipa-tpi",
        "create",
        operation.name,
        *(
            f"{name}={'@FILE' if rule.lines else 'VALUE'}"
            for name, rule in sorted(operation.parameters.items())
        ),
    ]
    words += ["--reason TEXT"] if operation.reason_pattern else []
    words += ["--ticket TEXT"] if operation.ticket_pattern else []
    return " ".join(words)


def _values(name: str, rule: ParameterView, operation: OperationView, known: OperationList) -> str:
    said = f"one of: {', '.join(rule.values)}" if rule.values else f"must match {rule.pattern}"
    said += "; may have several lines" if rule.lines else ""
    here = operation.floor.values.get(name) if operation.floor is not None else None
    if here is None:
        return said
    return f"{said}; on {known.host} one of: {', '.join(here) or 'none'}"


def _approvals(operation: OperationView, known: OperationList) -> str:
    if operation.required_approvals == 0:
        return "none: it only reads"
    said = f"{operation.required_approvals}, beside who asks for it"
    if operation.floor is None:
        return f"{said}; the floor of {known.host} does not allow it there"
    if operation.floor.required_approvals > operation.required_approvals:
        return f"{said}; {operation.floor.required_approvals} on {known.host}"
    return said


def _windows(operation: OperationView) -> str:
    run = f"{duration(operation.timeout_seconds)} to run"
    if operation.required_approvals == 0:
        return run
    return (
        f"{duration(operation.approval_seconds)} to approve, then {duration(operation.execution_seconds)} to begin, "
        f"then {run}"
    )


def _demand(pattern: str) -> str:
    return f"must match {pattern}" if pattern else "as you like"
