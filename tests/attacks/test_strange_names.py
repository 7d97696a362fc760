"""Entries whose names are not what a reader expects: a second attribute in them, bytes that are no text.

Whoever may add an entry chooses its name.  A name that stopped the executor's watch would stop the
requests of everybody.
"""

from __future__ import annotations

from typing import Any

import ldap
import ldap.dn
import pytest
from straight import (
    NOBODY,
    add,
    draft,
    ended,
    health,
    new_id,
    refused_by_directory,
    request_dn,
    runs_for,
)
from world import EXECUTOR, REQUESTS, World, eventually

SECOND = {
    "ipaTpiToken=\\FF\\FE": b"\xff\xfe",
    "ipaTpiToken=\\ED\\A0\\80": b"\xed\xa0\x80",
    "ipaTpiToken=\\00": b"\x00",
    "ipaTpiToken=a\\2Cb": b"a,b",
    "ipaTpiPurpose=approve": b"approve",
}
STRANGE = {
    "comma": "a,ipaTpiRequestId=b",
    "dotted I": "\u0130",
    "reversed": "\u202edi",
    "long": "x" * 20000,
    "upper case": "AAAAAAAA-0000-4000-8000-000000000000",
    "plus": "a+b=c",
    "spaces": " a ",
    "quotes": "'; DROP TABLE claims; --",
    "path": "../../etc/passwd",
}


def proof(entry_id: str, **more: bytes) -> dict[str, Any]:
    return {
        "ipaTpiEntryId": entry_id.encode(),
        "ipaTpiProofKind": b"gss",
        "ipaTpiDigest": NOBODY.hex().encode(),
        "ipaTpiPurpose": b"approve",
        "ipaTpiToken": b"x",
        "ipaTpiMic": b"x",
        **more,
    }


@pytest.fixture
def _undisturbed(world: World) -> Any:
    """Afterwards the executor is the same process, watches, and runs what others ask for."""
    before = world.pid()
    yield
    other = world.request("carol")
    assert health().get("watching")
    assert (world.pid(), world.show(EXECUTOR, "NRestarts")) == (before, "0")
    runs_for(world, other)


@pytest.mark.parametrize("second", SECOND)
def test_a_name_has_one_attribute(world: World, second: str) -> None:
    request_id, entry_id = world.request("alice"), new_id()
    name, value = second.partition("=")[0], SECOND[second]
    with refused_by_directory(ldap.INSUFFICIENT_ACCESS, ldap.INVALID_DN_SYNTAX):
        dn = f"ipaTpiEntryId={entry_id}+{second},{request_dn(request_id)}"
        add(world.ldap("bob"), dn, ["ipaTpiProof"], proof(entry_id, **{name: value}))
    # The same values under a plain name are taken.
    dn = f"ipaTpiEntryId={entry_id},{request_dn(request_id)}"
    add(world.ldap("bob"), dn, ["ipaTpiProof"], proof(entry_id, **{name: value}))


@pytest.mark.usefixtures("_undisturbed")
def test_a_strange_name_below_a_request_denies_that_request_alone(world: World) -> None:
    for text in STRANGE.values():
        request_id = world.request("alice")
        dn = f"ipaTpiEntryId={ldap.dn.escape_dn_chars(text)},{request_dn(request_id)}"
        add(world.ldap("bob"), dn, ["ipaTpiProof"], proof(text))
        assert ended(world, request_id) == ("denied", "malformed-entry")


@pytest.mark.usefixtures("_undisturbed")
def test_a_strange_name_of_a_request_is_that_of_none(world: World) -> None:
    for text in STRANGE.values():
        wanted = draft(world, "alice")
        values = {
            "ipaTpiRequestId": text.encode(),
            "ipaTpiOperationName": wanted.operation.encode(),
            "ipaTpiOperationDigest": wanted.operation_digest.hex().encode(),
            "ipaTpiTarget": wanted.target.encode(),
            "ipaTpiExecutor": wanted.executor.encode(),
            "ipaTpiParameters": b'{"instance":"DS01"}',
            "ipaTpiInterface": b"cli",
            "ipaTpiDigest": wanted.digest.hex().encode(),
        }
        dn = f"ipaTpiRequestId={ldap.dn.escape_dn_chars(text)},{REQUESTS}"
        add(world.ldap("alice"), dn, ["ipaTpiRequest"], values)
    for text in (STRANGE["reversed"], STRANGE["upper case"].lower(), STRANGE["path"]):
        (record,) = eventually(
            lambda text=text: [one for one in world.audit(event="refused") if one.get("request") == text]
        )
        assert record["code"] == "malformed-request"
