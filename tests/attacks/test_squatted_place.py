"""Somebody puts an entry of his own where the executor's is about to be: under the id of its execution.

Would the executor take what lies there for its own entry, a request could be held for begun that nobody guards;
would it give up, a request that was approved would hang.  The ids are random and only in its journal until they
are in the directory; here root reads them there for the attacker.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import ldap
import pytest
from stepping import Stepper, stepped, walk_to
from straight import NOBODY, add_child, add_voice, child_dn, digests, ended, user_dn
from world import HOST, JOURNAL, KEYTAB, REALM, World


@contextmanager
def promised(world: World, request_id: str) -> Iterator[Stepper]:
    """Have the executor stand still after its intent (step 4), before it adds its execution (step 5)."""
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "4")
        yield stepper


def place_and_nonce(request_id: str) -> tuple[str, str]:
    """Read the id that the execution will bear, and its nonce, from a copy of the executor's journal.

    From a copy, since what is on the disk just now shows to other readers a moment later.
    """
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal"):
            shutil.copy(JOURNAL + ending, folder)
        with closing(sqlite3.connect(Path(folder) / Path(JOURNAL).name)) as database:
            statement = (
                "SELECT written.entry, claims.nonce FROM written JOIN claims ON claims.request = written.request"
                " WHERE written.role = 'execution' AND written.request = ?"
            )
            ((entry_id, nonce),) = database.execute(statement, (request_id,)).fetchall()
    return entry_id, nonce


def approval_of_carol(world: World, request_id: str, entry_id: str, _nonce: str) -> None:
    about = digests(world, request_id).approval
    add_voice(world.ldap("carol"), request_id, "ipaTpiApproval", about, entry_id=entry_id)


def proof_of_the_requester(world: World, request_id: str, entry_id: str, _nonce: str) -> None:
    values = {"ipaTpiProofKind": b"gss", "ipaTpiPurpose": b"request", "ipaTpiToken": b"x", "ipaTpiMic": b"x"}
    digest = NOBODY.hex().encode()
    add_child(
        world.ldap("alice"), request_id, "ipaTpiProof", entry_id=entry_id, ipaTpiDigest=digest, **values
    )


def execution_of_directory_manager(world: World, request_id: str, entry_id: str, nonce: str) -> None:
    """Everything is right but the writer."""
    add_child(world.root(), request_id, "ipaTpiExecution", entry_id=entry_id, ipaTpiNonce=nonce.encode())


def execution_with_another_nonce(world: World, request_id: str, entry_id: str, _nonce: str) -> None:
    """With the executor's own key: everything is right but the content."""
    add_child(stolen(world), request_id, "ipaTpiExecution", entry_id=entry_id, ipaTpiNonce=b"0" * 64)


def approval_in_capitals(world: World, request_id: str, entry_id: str, _nonce: str) -> None:
    """The directory takes both for the same name."""
    approval_of_carol(world, request_id, entry_id.upper(), "")


SQUATTERS = {
    "carol's approval": approval_of_carol,
    "carol's approval, in capitals": approval_in_capitals,
    "the requester's proof": proof_of_the_requester,
    "directory manager's execution": execution_of_directory_manager,
    "an execution with another nonce": execution_with_another_nonce,
}


def stolen(world: World) -> Any:
    """Give a connection with a copy of the executor's keytab."""
    return world.service(KEYTAB, f"tpi/{HOST}@{REALM}")


@pytest.fixture
def request_id(world: World) -> str:
    return world.request("alice")


def test_in_its_own_place_the_execution_is_added_once(world: World, request_id: str) -> None:
    """Nobody squats: the entry that the journal names is the one that lies there, and it runs."""
    before = world.starts()
    with promised(world, request_id):
        entry_id, nonce = place_and_nonce(request_id)
        assert world.of_class(request_id, "ipaTpiExecution") == []
    world.wait_state(request_id, "executed")
    (execution,) = world.of_class(request_id, "ipaTpiExecution")
    assert execution["ipaTpiEntryId"] == [entry_id.encode()]
    assert execution["ipaTpiNonce"] == [nonce.encode()]
    assert len(world.starts()) == len(before) + 1


def test_the_very_same_execution_is_taken_for_its_own(world: World, request_id: str) -> None:
    """Class, writer and content are right, so it is the same add: nothing to tell them apart, nothing runs twice."""
    before = world.starts()
    with promised(world, request_id):
        entry_id, nonce = place_and_nonce(request_id)
        add_child(stolen(world), request_id, "ipaTpiExecution", entry_id=entry_id, ipaTpiNonce=nonce.encode())
    world.wait_state(request_id, "executed")
    assert len(world.of_class(request_id, "ipaTpiExecution")) == 1
    assert len(world.starts()) == len(before) + 1


@pytest.mark.parametrize("squatter", SQUATTERS)
@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "is killed"])
def test_what_lies_in_the_executions_place_denies(
    world: World, request_id: str, squatter: str, dies: bool
) -> None:
    before = world.invocation()
    with promised(world, request_id) as stepper:
        entry_id, nonce = place_and_nonce(request_id)
        if dies:
            stepper.kill()
        SQUATTERS[squatter](world, request_id, entry_id, nonce)
    if dies:
        world.halt()
        world.systemctl("start", "ipa-tpi-executor.service")
    assert ended(world, request_id) == ("denied", "forged-entry")
    assert world.audit(request_id, "claim") == []
    assert world.invocation() == before
    assert world.wait_state(request_id, "denied").result.excerpt.startswith("forged-entry: ")


def test_a_second_execution_with_our_nonce_denies(world: World, request_id: str) -> None:
    """Under another id, with the executor's own key and the nonce of its own intent."""
    before = world.invocation()
    with promised(world, request_id):
        _, nonce = place_and_nonce(request_id)
        add_child(stolen(world), request_id, "ipaTpiExecution", ipaTpiNonce=nonce.encode())
    assert ended(world, request_id) == ("denied", "forged-entry")
    assert world.audit(request_id, "claim") == []
    assert world.invocation() == before


def test_nobody_takes_the_place_of_what_is_there(world: World, request_id: str) -> None:
    """Once it is in the directory its id is known to all who read, and taken."""
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    for kind in ("ipaTpiReceipt", "ipaTpiPreview", "ipaTpiExecution", "ipaTpiResult"):
        for raw in world.of_class(request_id, kind):
            with pytest.raises(ldap.ALREADY_EXISTS):
                approval_of_carol(world, request_id, raw["ipaTpiEntryId"][0].decode(), "")
    dn = child_dn(request_id, world.of_class(request_id, "ipaTpiExecution")[0]["ipaTpiEntryId"][0].decode())
    assert world.root().search_s(dn, ldap.SCOPE_BASE, attrlist=["creatorsName"])[0][1]["creatorsName"] != [
        user_dn("carol").encode()
    ]
