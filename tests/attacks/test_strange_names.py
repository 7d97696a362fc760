"""Entries whose names are not what a reader expects: a second attribute in them, bytes that are no text.

Whoever may add an entry chooses its name.  A name that stops the executor's watch would stop all
requests of everybody; one that collides would lend an entry the age of another.
"""

from __future__ import annotations

from typing import Any

import ldap
import pytest
from straight import NOBODY, add, draft, health, new_id, request_dn, runs_for, settle
from world import EXECUTOR, REQUESTS, World

NAMES = {
    "bytes": r"ipaTpiToken=\FF\FE",
    "lone surrogate": r"ipaTpiToken=\ED\A0\80",
    "zero": r"ipaTpiToken=\00",
    "comma": r"ipaTpiToken=a\2Cb",
    "plus": r"ipaTpiToken=a\2Bipatpientryid\3Dx",
    "dotted I": r"ipaTpiPurpose=x\20",
    "text": "ipaTpiPurpose=approve",
}
TOKENS: dict[str, bytes] = {
    "bytes": b"\xff\xfe", "lone surrogate": b"\xed\xa0\x80", "zero": b"\x00", "comma": b"a,b", "plus": b"a+ipatpientryid=x",
}  # fmt: skip


def proof_values(entry_id: str, name: str) -> dict[str, Any]:
    return {
        "ipaTpiEntryId": entry_id.encode(), "ipaTpiProofKind": b"gss", "ipaTpiDigest": NOBODY.hex().encode(),
        "ipaTpiPurpose": b"approve", "ipaTpiToken": TOKENS.get(name, b"x"), "ipaTpiMic": b"x",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_name_below_a_request_stops_nobody_else(world: World, name: str) -> None:
    request_id, entry_id = world.request("alice"), new_id()
    before = world.pid()
    dn = f"ipaTpiEntryId={entry_id}+{NAMES[name]},{request_dn(request_id)}"
    try:
        add(world.ldap("bob"), dn, ["ipaTpiProof"], proof_values(entry_id, name))
    except (ldap.INSUFFICIENT_ACCESS, ldap.INVALID_DN_SYNTAX, ldap.NAMING_VIOLATION, ldap.INVALID_SYNTAX):
        return
    other = world.request("carol")
    settle(world, other, "carol")
    assert health().get("watching")
    assert (world.pid(), world.show(EXECUTOR, "NRestarts")) == (before, "0")
    runs_for(world, other)


@pytest.mark.parametrize(("second", "value"), [(r"ipaTpiReason=x", b"x"), (r"ipaTpiParameters=\FF", b"\xff")])
def test_a_strange_name_of_a_request_stops_nobody_else(world: World, second: str, value: bytes) -> None:
    wanted = draft(world, "alice")
    attribute = second.partition("=")[0]
    values: dict[str, Any] = {
        "ipaTpiRequestId": wanted.id.encode(), "ipaTpiOperationName": wanted.operation.encode(),
        "ipaTpiOperationDigest": wanted.operation_digest.hex().encode(), "ipaTpiTarget": wanted.target.encode(),
        "ipaTpiExecutor": wanted.executor.encode(), "ipaTpiParameters": b"{}", "ipaTpiInterface": b"cli",
        "ipaTpiDigest": wanted.digest.hex().encode(), attribute: value,
    }  # fmt: skip
    try:
        add(world.ldap("alice"), f"ipaTpiRequestId={wanted.id}+{second},{REQUESTS}", ["ipaTpiRequest"], values)
    except (ldap.INSUFFICIENT_ACCESS, ldap.INVALID_DN_SYNTAX, ldap.NAMING_VIOLATION, ldap.INVALID_SYNTAX):
        return
    other = world.request("carol")
    settle(world, other, "carol")
    assert health().get("watching")
    runs_for(world, other)
