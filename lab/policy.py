"""The policy of the laboratory: who has which role, the operations, and the rules about them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

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

_RULES = (
    ("operators ask", "request", "tpi-operators"),
    ("operators approve", "approve", "tpi-operators"),
    ("requesters ask", "request", "tpi-requesters"),
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
    base = f"cn=tpioperations,cn=tpi,{layout.suffix}"
    for name, schema, approvals in _OPERATIONS:
        yield entry(
            f"cn={name},{base}",
            "ipaTpiOperation",
            cn=name,
            ipaEnabledFlag="TRUE",
            ipaTpiParameterSchema=schema,
            ipaTpiRequiredApprovals=str(approvals),
            ipaTpiApprovalSeconds="300",
            ipaTpiExecutionSeconds="300",
            ipaTpiTimeoutSeconds="60",
            ipaTpiInterface=["cli", "web", "framework"],
        )
    for name, right, group in _RULES:
        number = str(uuid.uuid5(_NAMESPACE, name))
        yield entry(
            f"ipaUniqueID={number},cn=tpirules,cn=tpi,{layout.suffix}",
            "ipaAssociation ipaTpiRule",
            ipaUniqueID=number,
            cn=name,
            ipaEnabledFlag="TRUE",
            ipaTpiRight=right,
            memberUser=f"cn={group},cn=groups,cn=accounts,{layout.suffix}",
            memberHost=host_dn(layout),
            ipaTpiMemberOperation=[f"cn={operation},{base}" for operation, _, _ in _OPERATIONS],
        )


def _role_members(suffix: str) -> dict[str, list[str]]:
    groups = f"cn=groups,cn=accounts,{suffix}"
    return {
        "TPI Requester": [f"cn=tpi-operators,{groups}", f"cn=tpi-requesters,{groups}"],
        "TPI Approver": [f"cn=tpi-operators,{groups}"],
        "TPI Auditor": [f"uid=frank,cn=users,cn=accounts,{suffix}"],
    }
