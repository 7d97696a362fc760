"""The policy of the laboratory: who has which role, the operations, and the rules about them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ipa_tpi.executor.certificates import REASONS
from lab.entries import Entry, add_all, add_values, entry
from lab.layout import OTHER_HOST, Layout
from lab.people import host_dn, service_dn

OPERATION = "dirsrv.restart"
_INSTANCE = '{"instance":{"pattern":"[A-Za-z0-9_-]{1,64}"}}'
_UNIT = '{"unit":{"pattern":"[A-Za-z0-9:_.@-]{1,200}"}}'
# Each with its parameters, and how many have to approve it; 0 is for those that only read.
_OPERATIONS = (
    (OPERATION, _INSTANCE, 1),
    ("dirsrv.status", _INSTANCE, 0),
    ("systemd.unit.reload", _UNIT, 1),
    ("systemd.unit.restart", _UNIT, 1),
    ("systemd.unit.start", _UNIT, 1),
    ("systemd.unit.status", _UNIT, 0),
    ("systemd.unit.stop", _UNIT, 1),
)

_SERIAL = {"serial": {"pattern": "0x[1-9a-f][0-9a-f]{0,39}"}}
_PROFILE = {"profile": {"pattern": "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"}}
_AUTHORITY = {"authority": {"pattern": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"}}
# What a CA host can do, with the parameters; each needs one approval. They are in the directory of a pair only.
_CA_OPERATIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "dogtag.ca.create": {
        "name": {"pattern": "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"},
        "subject": {"pattern": "[^=]+=.{1,254}"},
    },
    "dogtag.ca.disable": _AUTHORITY,
    "dogtag.ca.enable": _AUTHORITY,
    "dogtag.cert.hold": _SERIAL,
    "dogtag.cert.release": _SERIAL,
    "dogtag.cert.request": {
        **_PROFILE,
        "ca": {"pattern": "[A-Za-z0-9_][A-Za-z0-9_ .-]{0,99}"},
        "csr": {"pattern": r"[A-Za-z0-9+/= \n-]{64,}", "lines": True},
        "submit": {"pattern": "[a-z]+", "values": ["executor", "requester"]},
    },
    "dogtag.cert.revoke": {**_SERIAL, "reason": {"pattern": "[A-Za-z_]+", "values": sorted(REASONS)}},
    "dogtag.profile.disable": _PROFILE,
    "dogtag.profile.enable": _PROFILE,
    "dogtag.profile.import": {**_PROFILE, "configuration": {"pattern": r"[\s\S]+", "lines": True}},
    "dogtag.profile.modify": {**_PROFILE, "configuration": {"pattern": r"[\s\S]+", "lines": True}},
}
_WINDOW_SECONDS = 300
# The CA is started anew in tests, on a machine that may have other work.
_CA_WINDOW_SECONDS = 600

_RULES = (
    ("operators ask", "request", "tpi-operators"),
    ("operators approve", "approve", "tpi-operators"),
    ("requesters ask", "request", "tpi-requesters"),
)
_CA_RULES = (
    ("operators ask of the CA", "request", "tpi-operators"),
    ("operators approve at the CA", "approve", "tpi-operators"),
)
_NAMESPACE = uuid.UUID("9f4a1b62-1d7e-4c53-8a3f-6b1f0f6f2c11")


def add_policy(connection: Any, layout: Layout) -> None:  # noqa: ANN401 (python-ldap has no types)
    """Add roles' members, the executors, the operations and the rules to a running directory.

    Args:
        connection: an LDAPObject bound as Directory Manager.
        layout: the realm.
    """
    suffix = layout.suffix
    for role, members in _role_members(suffix).items():
        add_values(connection, f"cn={role},cn=roles,cn=accounts,{suffix}", {"member": members})
    hosts = [layout.host, OTHER_HOST, *([layout.ca_host] if layout.ca_host else [])]
    executors = [service_dn(layout, "tpi", host) for host in hosts]
    add_values(connection, f"cn=executors,cn=tpi,{suffix}", {"member": executors})
    add_all(connection, policy_entries(layout))


def policy_entries(layout: Layout) -> Iterator[Entry]:
    """Yield the operations and their rules."""
    for name, schema, approvals in _OPERATIONS:
        yield _operation(layout.suffix, name, schema, approvals, _WINDOW_SECONDS)
    yield from _rules(layout.suffix, _RULES, host_dn(layout), [name for name, _, _ in _OPERATIONS])


def ca_policy_entries(layout: Layout) -> Iterator[Entry]:
    """Yield the operations of a CA host and their rules.

    Args:
        layout: the realm; it has a CA host.
    """
    for name, schema in _CA_OPERATIONS.items():
        yield _operation(layout.suffix, name, json.dumps(schema), 1, _CA_WINDOW_SECONDS)
    yield from _rules(layout.suffix, _CA_RULES, host_dn(layout, layout.ca_host), _CA_OPERATIONS)


def _operation(suffix: str, name: str, schema: str, approvals: int, window_seconds: int) -> Entry:
    return entry(
        _operation_dn(suffix, name),
        "ipaTpiOperation",
        cn=name,
        ipaEnabledFlag="TRUE",
        ipaTpiParameterSchema=schema,
        ipaTpiRequiredApprovals=str(approvals),
        ipaTpiApprovalSeconds=str(window_seconds),
        ipaTpiExecutionSeconds=str(window_seconds),
        ipaTpiTimeoutSeconds="60",
        ipaTpiInterface=["cli", "web", "framework"],
    )


def _rules(
    suffix: str, rules: Iterable[tuple[str, str, str]], host: str, operations: Iterable[str]
) -> Iterator[Entry]:
    members = [_operation_dn(suffix, operation) for operation in operations]
    for name, right, group in rules:
        number = str(uuid.uuid5(_NAMESPACE, name))
        yield entry(
            f"ipaUniqueID={number},cn=tpirules,cn=tpi,{suffix}",
            "ipaAssociation ipaTpiRule",
            ipaUniqueID=number,
            cn=name,
            ipaEnabledFlag="TRUE",
            ipaTpiRight=right,
            memberUser=f"cn={group},cn=groups,cn=accounts,{suffix}",
            memberHost=host,
            ipaTpiMemberOperation=members,
        )


def _operation_dn(suffix: str, name: str) -> str:
    return f"cn={name},cn=tpioperations,cn=tpi,{suffix}"


def _role_members(suffix: str) -> dict[str, list[str]]:
    groups = f"cn=groups,cn=accounts,{suffix}"
    return {
        "TPI Requester": [f"cn=tpi-operators,{groups}", f"cn=tpi-requesters,{groups}"],
        "TPI Approver": [f"cn=tpi-operators,{groups}"],
        "TPI Auditor": [f"uid=frank,cn=users,cn=accounts,{suffix}"],
    }
