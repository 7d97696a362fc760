"""Entries that say who wrote them, or when, and lie; entries under the executor's own name that it did not write.

Who could write them would preview, verify and execute in the executor's place.
"""

from __future__ import annotations

import hashlib
from typing import Any

import ldap
import pytest
from straight import (
    OTHER,
    OTHER_KEYTAB,
    add_child,
    add_request,
    add_voice,
    digests,
    directory_refuses,
    draft,
    ended,
    never_intended,
    request_dn,
    runs_for,
    settle,
    user_dn,
)
from world import HOST, KEYTAB, REALM, World

STAMPS = ["creatorsName", "createTimestamp", "nsUniqueId"]
BODY = b'{"precondition":{},"shown":{"action":"nothing"}}'
FORGERIES: dict[str, dict[str, bytes]] = {
    "ipaTpiPreview": {"ipaTpiBody": BODY, "ipaTpiDigest": hashlib.sha256(BODY).hexdigest().encode()},
    "ipaTpiReceipt": {
        "ipaTpiRefersTo": b"00000000-0000-4000-8000-000000000000",
        "ipaTpiOutcome": b"verified",
    },
    "ipaTpiExecution": {"ipaTpiNonce": b"0" * 64},
    "ipaTpiResult": {"ipaTpiOutcome": b"executed", "ipaTpiExcerpt": b"restarted"},
}


@pytest.fixture(scope="module")
def stolen(world: World) -> Any:
    """A connection with the executor's own key: a copy of its keytab, on somebody else's machine."""
    return world.service(KEYTAB, f"tpi/{HOST}@{REALM}")


def stamps(world: World, dn: str) -> list[str]:
    raw = world.root().search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", STAMPS)[0][1]
    return [raw[name][0].decode() for name in STAMPS]


def test_the_server_says_who_wrote_a_request(world: World) -> None:
    wanted = draft(world, "alice")
    lies = {"creatorsName": user_dn("carol").encode(), "createTimestamp": b"20200101000000Z"}
    lies |= {"nsUniqueId": b"00000000-00000000-00000000-00000000"}
    add_request(world.ldap("alice"), wanted, **lies)
    creator, created, unique = stamps(world, request_dn(wanted.id))
    assert creator == user_dn("alice")
    assert created > "20260000000000Z"
    assert unique.encode() != lies["nsUniqueId"]


def test_the_server_says_who_wrote_an_approval(world: World) -> None:
    """Alice signs as bob; the directory reads her own name, and it is her own request."""
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    directory_refuses(
        add_voice,
        world.ldap("alice"),
        request_id,
        "ipaTpiApproval",
        about,
        creatorsName=user_dn("bob").encode(),
    )
    entry_id = add_voice(
        world.ldap("bob"),
        request_id,
        "ipaTpiApproval",
        about,
        creatorsName=user_dn("carol").encode(),
        createTimestamp=b"20200101000000Z",
    )
    creator, created, _ = stamps(world, f"ipaTpiEntryId={entry_id},{request_dn(request_id)}")
    assert creator == user_dn("bob")
    assert created > "20260000000000Z"
    settle(world, request_id, "alice")
    runs_for(world, request_id, "carol")


@pytest.mark.parametrize("kind", FORGERIES)
def test_what_bears_the_executors_name_and_is_not_in_its_journal_denies(
    world: World, stolen: Any, kind: str
) -> None:
    request_id = world.request("alice")
    add_child(stolen, request_id, kind, **FORGERIES[kind])
    assert ended(world, request_id) == ("denied", "forged-entry")
    never_intended(world, request_id) if kind != "ipaTpiExecution" else None


def test_a_result_before_the_executor_has_looked_denies(world: World, stolen: Any) -> None:
    """The thief is quicker than the executor: preview and receipt lie there before it saw the request."""
    wanted = draft(world, "alice")
    add_request(world.ldap("alice"), wanted)
    for kind in ("ipaTpiReceipt", "ipaTpiPreview"):
        add_child(stolen, wanted.id, kind, **FORGERIES[kind])
    assert ended(world, wanted.id) == ("denied", "forged-entry")
    never_intended(world, wanted.id)


@pytest.mark.parametrize("kind", FORGERIES)
def test_the_directory_takes_the_executors_entries_from_nobody_else(world: World, kind: str) -> None:
    request_id = world.request("alice")
    for person in ("alice", "bob", "erin-admin", "adam"):
        directory_refuses(add_child, world.ldap(person), request_id, kind, **FORGERIES[kind])
    other = world.service(OTHER_KEYTAB, f"tpi/{OTHER}@{REALM}")
    directory_refuses(add_child, other, request_id, kind, **FORGERIES[kind])


def test_no_entry_takes_the_place_of_an_answer(world: World) -> None:
    """Bob's approval bears the id that the executor's entry would have, in another letter case or not."""
    request_id = world.request("alice")
    (receipt,) = world.of_class(request_id, "ipaTpiReceipt")
    taken = receipt["ipaTpiEntryId"][0].decode()
    for entry_id in (taken, taken.upper()):
        with pytest.raises(ldap.ALREADY_EXISTS):
            add_voice(
                world.ldap("bob"),
                request_id,
                "ipaTpiApproval",
                digests(world, request_id).approval,
                entry_id=entry_id,
            )
