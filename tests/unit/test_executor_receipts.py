"""Step 1: proofs and receipts; and how entries get into the directory (DESIGN sections 2 and 5; X01, E14)."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from decide_builders import (
    ALICE,
    BOB,
    EXECUTOR,
    OTHER_EXECUTOR,
    REQUEST_ID,
    RESTART,
    an_id,
    operation,
    policy,
)
from executor_fakes import DOWN, Box

from ipa_tpi.decide.approval import Verified
from ipa_tpi.decide.proof import MAX_PROOFS
from ipa_tpi.errors import DirectoryRefusedError, DirectoryUnavailableError, KerberosError, RefusedError
from ipa_tpi.executor.claims import Claim
from ipa_tpi.executor.entries import (
    MAX_EXCERPT_CHARACTERS,
    execution_entry,
    generalized_time,
    new_id,
    preview_entry,
    receipt_entry,
    result_entry,
)
from ipa_tpi.executor.publication import Publication
from ipa_tpi.model import Outcome
from ipa_tpi.ports import NewEntry


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A host with its executor."""
    made = Box(tmp_path)
    yield made
    made.close()


def receipts(box: Box, request_id: str = REQUEST_ID) -> dict[str, str]:
    """Give the outcome that each receipt in the directory tells, by the proof's id."""
    return {
        raw.attributes["ipatpirefersto"][0].decode(): raw.attributes["ipatpioutcome"][0].decode()
        for raw in box.directory.of("ipaTpiReceipt", request_id)
    }


def test_a_good_proof_gets_its_receipt_once(box: Box) -> None:
    asked = box.ask(proof=False)
    proof = box.prove("alice", "request", asked.digest)
    for _ in range(3):
        box.process()
    assert receipts(box) == {proof: "verified"}
    assert box.weather.calls.count("proof.accept") == 1
    assert Verified(ALICE.dn, "request", asked.digest) in box.claims.memory(REQUEST_ID).verified


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a broken token": ({"token": "nonsense"}, "proof-invalid"),
    "a wrong signature": ({"mic": b"over something else"}, "proof-wrong-digest"),
    "delegation": ({"token": "alice@TPI.TEST|delegated"}, "proof-delegated"),
    "another realm": ({"token": "alice@AD.TEST|1"}, "proof-foreign-realm"),
    "another principal": ({"token": "bob@TPI.TEST|1"}, "proof-other-principal"),
    "another letter case": ({"token": "Alice@TPI.TEST|1"}, "proof-other-principal"),
    "an alias": ({"token": "alice.smith@TPI.TEST|1"}, "proof-other-principal"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_proof_gets_its_refusal_once(box: Box, name: str) -> None:
    changes, code = BAD[name]
    asked = box.ask(proof=False)
    proof = box.prove("alice", "request", asked.digest, **changes)
    for _ in range(3):
        box.process()
    assert receipts(box) == {proof: code}
    assert box.audit.events().count("proof-refused") == 1
    assert box.claims.memory(REQUEST_ID).verified == frozenset()
    assert box.directory.of("ipaTpiPreview") == []


@pytest.mark.parametrize(
    ("purpose", "digest", "code"),
    [
        ("approve", b"\1" * 32, "proof-wrong-digest"),
        ("request", b"\1" * 32, "proof-wrong-digest"),
        ("consume", b"\1" * 32, "proof-wrong-purpose"),
        ("offline", b"\1" * 32, "proof-wrong-purpose"),
    ],
)
def test_a_proof_about_something_else_is_refused_unopened(
    box: Box, purpose: str, digest: bytes, code: str
) -> None:
    box.ask(proof=False)
    proof = box.prove("alice", purpose, digest)
    box.process()
    assert receipts(box) == {proof: code}
    assert "proof.accept" not in box.weather.calls


def test_a_token_is_never_used_twice(box: Box) -> None:
    asked = box.ask(proof=False)
    first = box.prove("alice", "request", asked.digest, token="alice@TPI.TEST|1")
    box.process()
    second = box.prove("alice", "request", asked.digest, token="alice@TPI.TEST|1")
    other = box.ask(proof=False, request_id=an_id(5))
    third = box.prove("alice", "request", other.digest, token="alice@TPI.TEST|1", request_id=an_id(5))
    box.process()
    box.process(an_id(5))
    assert receipts(box) == {first: "verified", second: "proof-replayed"}
    assert receipts(box, an_id(5)) == {third: "proof-replayed"}


def test_who_copies_a_token_does_not_spoil_its_owners(box: Box) -> None:
    asked = box.ask(proof=False)
    copied = box.prove("bob", "request", asked.digest, token="alice@TPI.TEST|1")
    own = box.prove("alice", "request", asked.digest, token="alice@TPI.TEST|1")
    box.process()
    assert receipts(box)[own] == "verified"
    assert receipts(box)[copied] in {
        "proof-other-principal",
        "proof-replayed",
    }  # by which came first in one second


def test_another_proof_with_a_new_token_is_taken(box: Box) -> None:
    asked = box.ask()
    box.process()
    box.prove("alice", "request", asked.digest)
    box.process()
    assert set(receipts(box).values()) == {"verified"}
    assert len(receipts(box)) == 2


def test_a_proof_under_a_request_whose_requester_is_gone(box: Box) -> None:
    asked = box.ask(proof=False)
    proof = box.prove("bob", "request", asked.digest)
    del box.directory.people[ALICE.dn]
    box.process()
    assert receipts(box) == {proof: "requester-gone"}


def test_a_proof_by_an_account_that_is_gone(box: Box) -> None:
    asked = box.ask()
    box.process()
    proof = box.prove("bob", "approve", box.about(), token="bob@TPI.TEST|1")
    del box.directory.people[BOB.dn]
    box.process()
    assert receipts(box)[proof] == "proof-other-principal"
    assert asked.id == REQUEST_ID


def test_a_keytab_that_cannot_be_used_is_no_verdict(box: Box) -> None:
    box.ask()
    box.weather.fails["proof"] = DOWN["proof"]
    with pytest.raises(KerberosError):
        box.process()
    assert receipts(box) == {}
    assert box.claims.judged(REQUEST_ID) == {}
    box.weather.calm()
    box.process()
    assert set(receipts(box).values()) == {"verified"}


def test_a_flood_of_bad_proofs_keeps_no_good_one_out(box: Box) -> None:
    """Anybody may add proofs, any number: the limit is on how many are looked at in one go."""
    asked = box.ask(proof=False)
    for _ in range(MAX_PROOFS + 1):
        box.prove("bob", "request", asked.digest, token="nonsense")
    box.clock.go(1)
    good = box.prove("alice", "request", asked.digest)
    for _ in range(3):
        box.process()
    assert receipts(box)[good] == "verified"


def test_no_more_than_so_many_proofs_are_looked_at_in_one_go(box: Box) -> None:
    asked = box.ask(proof=False)
    for number in range(MAX_PROOFS + 5):
        box.prove("alice", "request", asked.digest, token=f"broken {number}")
    box.process()
    assert box.weather.calls.count("proof.accept") == MAX_PROOFS


# --- entries -------------------------------------------------------------------------


def test_every_entry_has_an_id_of_its_own() -> None:
    made = [
        preview_entry(b"{}", b"\1" * 32),
        receipt_entry("p", "verified"),
        execution_entry("n"),
        execution_entry("n"),
    ]
    assert len({entry.entry_id for entry in made}) == 4
    assert all(str(uuid.UUID(entry.entry_id)) == entry.entry_id for entry in made)
    assert new_id() != new_id()


def test_what_each_entry_holds() -> None:
    assert preview_entry(b"{}", b"\1" * 32).attributes == {
        "ipaTpiBody": [b"{}"],
        "ipaTpiDigest": [b"01" * 32],
    }
    assert receipt_entry("p", "verified").attributes == {
        "ipaTpiRefersTo": [b"p"],
        "ipaTpiOutcome": [b"verified"],
    }
    assert execution_entry("n").attributes == {"ipaTpiNonce": [b"n"]}


def test_a_result_says_code_and_cause() -> None:
    when = datetime(2026, 3, 1, 14, 0, 0, 500, tzinfo=timezone(timedelta(hours=2)))
    entry = result_entry(Claim("ended", "n", Outcome.FAILED, "action-failed", "it failed", 1, when, when))
    assert entry.object_class == "ipaTpiResult"
    assert entry.attributes == {
        "ipaTpiOutcome": [b"failed"],
        "ipaTpiExcerpt": [b"action-failed: it failed"],
        "ipaTpiExitStatus": [b"1"],
        "ipaTpiStarted": [b"20260301120000Z"],
        "ipaTpiEnded": [b"20260301120000Z"],
    }
    assert generalized_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == b"20260102030405Z"


def test_a_result_without_a_start_and_a_long_excerpt() -> None:
    entry = result_entry(Claim("ended", "", Outcome.EXECUTED, "", "ä" * 5000))
    assert entry.attributes["ipaTpiExcerpt"] == ["ä".encode() * MAX_EXCERPT_CHARACTERS]
    assert set(entry.attributes) == {"ipaTpiOutcome", "ipaTpiExcerpt"}


# --- publication -----------------------------------------------------------------------


def publish(box: Box, entry: NewEntry) -> None:
    """Add an entry through the journal."""
    Publication(box.directory, box.claims, EXECUTOR).add(
        REQUEST_ID, box.claims.write(REQUEST_ID, "execution", entry)
    )


PLANNED = NewEntry(an_id(7), "ipaTpiExecution", {"ipaTpiNonce": [b"n"]})


def test_the_same_add_again_is_the_same_add(box: Box) -> None:
    publish(box, PLANNED)
    publish(box, PLANNED)
    assert len(box.directory.of("ipaTpiExecution")) == 1
    assert box.claims.pending_writes(REQUEST_ID) == []


@pytest.mark.parametrize(
    ("creator", "name", "attributes"),
    [
        (OTHER_EXECUTOR, "ipaTpiExecution", {"ipaTpiNonce": [b"n"]}),
        (BOB.dn, "ipaTpiExecution", {"ipaTpiNonce": [b"n"]}),
        (EXECUTOR, "ipaTpiExecution", {"ipaTpiNonce": [b"m"]}),
        (EXECUTOR, "ipaTpiExecution", {"ipaTpiNonce": [b"n", b"m"]}),
        (EXECUTOR, "ipaTpiExecution", {}),
        (EXECUTOR, "ipaTpiResult", {"ipaTpiNonce": [b"n"]}),
        (EXECUTOR, "extensibleObject", {"ipaTpiNonce": [b"n"]}),
    ],
)
def test_something_else_under_our_name_is_forged(box: Box, creator: str, name: str, attributes: Any) -> None:
    box.directory.put(creator, REQUEST_ID, NewEntry(PLANNED.entry_id, name, attributes))
    with pytest.raises(RefusedError) as caught:
        publish(box, PLANNED)
    assert caught.value.code == "forged-entry"
    assert box.claims.pending_writes(REQUEST_ID) == [PLANNED]


def test_an_entry_that_is_taken_and_cannot_be_seen_is_not_ours(box: Box) -> None:
    box.directory.put(EXECUTOR, REQUEST_ID, PLANNED)
    box.weather.then["directory.add ipaTpiExecution"] = lambda: None
    there = box.directory.children[REQUEST_ID]
    box.directory.children[REQUEST_ID] = Hidden(there)
    with pytest.raises(RefusedError, match="something else"):
        publish(box, PLANNED)


class Hidden(dict[str, Any]):
    """Entries that are there, and that nobody may read."""

    def get(self, _key: str, default: Any = None) -> Any:
        """Show nothing."""
        return default


@pytest.mark.parametrize("error", [DirectoryRefusedError("no"), DirectoryUnavailableError("down")])
def test_an_add_that_fails_stays_to_be_done(box: Box, error: Any) -> None:
    box.weather.fails["directory.add"] = error
    with pytest.raises(type(error)):
        publish(box, PLANNED)
    assert box.claims.pending_writes(REQUEST_ID) == [PLANNED]
    box.weather.calm()
    assert Publication(box.directory, box.claims, EXECUTOR).catch_up(REQUEST_ID) == 1
    assert Publication(box.directory, box.claims, EXECUTOR).catch_up(REQUEST_ID) == 0


@pytest.mark.parametrize(("purpose", "verdict"), [("deny", "verified"), ("approve", "proof-stale")])
def test_a_veto_needs_no_fresh_ticket(tmp_path: Path, purpose: str, verdict: str) -> None:
    """R-X11: who only denies is not asked for the factor, and is not told that the ticket is old."""
    box = Box(tmp_path)
    box.ask()
    box.process()
    fresh = operation(ipatpifreshseconds="60")
    box.directory.rules = policy(operations={fresh.name: replace(fresh, digest=RESTART.digest)})
    box.clock.go(100)
    proof = box.prove("bob", purpose, box.about())
    box.process()
    assert box.claims.judged(REQUEST_ID)[proof] == verdict
    box.close()
