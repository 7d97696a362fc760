"""Showing and listing: what is judged, for whom, and what is never shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flow_scene import Scene

from ipa_tpi.errors import DirectoryUnavailableError
from ipa_tpi.flow import Event, Page, Selection
from ipa_tpi.flow.guards import check_approvable
from ipa_tpi.model import State
from ipa_tpi.ports import Heading, Query
from tests.fakes import REALM, START, SUFFIX, person_dn, refused


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_show_is_for_who_may_see(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    for uid in ("alice", "bob", "frank"):
        assert scene.show(uid, request_id).subtree.request.id == request_id
    for uid in ("dave", "adam", "grace"):
        with refused("not-found"):
            scene.show(uid, request_id)


@pytest.mark.parametrize("text", ["", "x", "7D7A2A9E-5D2E-4F34-9C55-0F6A3A3B7A10", "*", "../x"])
def test_show_of_what_is_no_id(scene: Scene, text: str) -> None:
    with refused("bad-id"):
        scene.show("alice", text)


def test_show_of_what_is_not_there(scene: Scene) -> None:
    with refused("not-found"):
        scene.show("alice", "7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10")


def test_a_malformed_request_is_told_as_such(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    raw = next(raw for rid, entry_id, raw in scene.realm.entries if (rid, entry_id) == (request_id, ""))
    raw.attributes["ipatpiparameters"] = [b'{"b":1}']  # type: ignore[index]
    with refused("malformed-request"):
        scene.show("alice", request_id)
    assert scene.flow().listing(f"alice@{REALM}", Selection()) == Page([], more=False)


def test_a_read_leaves_no_record_unless_it_is_refused(scene: Scene) -> None:
    scene.flow().listing(f"alice@{REALM}", Selection())
    scene.flow().operations(f"alice@{REALM}")
    assert scene.audit.records == []
    with refused("unknown-principal"):
        scene.flow().listing("nobody@TPI.TEST", Selection())
    assert scene.audit.events() == ["refused"]


def test_lists_by_state_owner_and_what_the_caller_can_do(scene: Scene) -> None:
    awaiting = scene.create().subtree.request.id
    scene.clock.pass_seconds(1)
    pending = scene.pending().subtree.request.id
    scene.clock.pass_seconds(1)
    approved = scene.approved()
    scene.clock.pass_seconds(1)
    bobs = scene.pending("bob").subtree.request.id

    def ids(
        uid: str, state: State | None = None, *, mine: bool = False, approvable: bool = False
    ) -> list[str]:
        selection = Selection(state=state, mine=mine, approvable=approvable)
        return _ids(scene.flow(uid).listing(f"{uid}@{REALM}", selection))

    assert ids("alice") == [bobs, approved, pending, awaiting]
    assert ids("alice", mine=True) == [approved, pending, awaiting]
    assert ids("alice", approvable=True) == [bobs]
    assert ids("bob", approvable=True) == [pending]
    assert ids("bob", State.APPROVED) == [approved]
    assert ids("bob", State.PENDING) == [bobs, pending]
    assert ids("frank", approvable=True) == []
    assert ids("dave") == []
    assert ids("grace") == []


def _ids(page: Page) -> list[str]:
    return [seen.subtree.request.id for seen in page.found]


def test_a_list_goes_on_where_a_page_ends(scene: Scene) -> None:
    made = []
    for uid in ("alice", "bob", "carol", "grace", "erin"):
        made.insert(0, scene.pending(uid).subtree.request.id)
        scene.clock.pass_seconds(1)

    def page(**selection: Any) -> Page:
        return scene.flow("frank").listing(f"frank@{REALM}", Selection(**selection))

    first = page(limit=2)
    assert (_ids(first), first.more) == (made[:2], True)
    second = page(limit=2, before=made[1])
    assert (_ids(second), second.more) == (made[2:4], True)
    last = page(limit=2, before=made[3])
    assert (_ids(last), last.more) == (made[4:], False)
    assert page(limit=5) == page()
    assert not page(limit=5).more
    assert _ids(page(prefix=made[3][:8])) == [made[3]]
    assert _ids(page(prefix="00000000")) == []
    with refused("not-found"):
        page(before="7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10")


def test_requests_of_one_moment_are_each_listed_once(scene: Scene) -> None:
    made = {scene.pending(uid).subtree.request.id for uid in ("alice", "bob", "carol")}
    listed: list[str] = []
    for _ in made:
        selection = Selection(limit=1, before=listed[-1] if listed else "")
        listed += _ids(scene.flow("frank").listing(f"frank@{REALM}", selection))
    assert set(listed) == made


def test_the_history_stays_searchable(scene: Scene) -> None:
    request_id = scene.pending().subtree.request.id
    scene.clock.pass_seconds(86400 * 30)
    assert _ids(scene.flow().listing(f"alice@{REALM}", Selection(State.EXPIRED))) == [request_id]
    assert _ids(scene.flow().listing(f"alice@{REALM}", Selection(State.PENDING))) == []


def test_what_can_still_be_alive_is_searched_by_time(scene: Scene) -> None:
    flow = scene.flow("bob")
    queries: list[Query] = []

    def noting(query: Query) -> list[Heading]:
        queries.append(query)
        return []

    flow.directory.headings = noting  # type: ignore[method-assign]
    for selection in (Selection(State.PENDING), Selection(approvable=True)):
        flow.listing(f"bob@{REALM}", selection)
    assert len(queries) == 2
    assert all(query.since and query.since <= START - timedelta(seconds=960) for query in queries)
    for selection in (Selection(), Selection(State.EXPIRED)):
        queries.clear()
        flow.listing(f"bob@{REALM}", selection)
        # What is recent by time, and then all of it.
        assert [query.since for query in queries] == [START - timedelta(days=1), None]


def test_accounts_and_policy_are_read_once(scene: Scene) -> None:
    for _ in range(3):
        scene.pending()
    for _ in range(2):
        scene.pending("bob")
    flow = scene.flow("carol")
    reads: list[str] = []
    real = flow.directory.account_by_dn

    def counting(dn: str) -> object:
        reads.append(dn)
        return real(dn)

    flow.directory.account_by_dn = counting  # type: ignore[method-assign,assignment]
    flow.listing(f"carol@{REALM}", Selection())
    assert sorted(reads) == [person_dn("alice"), person_dn("bob")]


def test_a_read_that_fails_shows_nothing(scene: Scene) -> None:
    scene.pending()
    scene.realm.failing["headings"] = [DirectoryUnavailableError("gone")]
    with refused("directory-unavailable"):
        scene.flow("bob").listing(f"bob@{REALM}", Selection())
    scene.realm.failing["account_by_dn"] = [DirectoryUnavailableError("gone")]
    with refused("directory-unavailable"):
        scene.flow("bob").listing(f"bob@{REALM}", Selection())


def test_everybody_is_shown_that_a_new_proof_of_the_requester_is_waited_for(scene: Scene) -> None:
    request_id = scene.approved()
    assert (scene.show("bob", request_id).standing.code, scene.state(request_id)) == ("", "approved")
    scene.executor.receipt(request_id, "request", "ticket-missing")
    listed = scene.flow("bob").listing(f"bob@{REALM}", Selection(state=State.APPROVED))
    for seen in (scene.show("alice", request_id), scene.show("bob", request_id), *listed.found):
        assert (seen.standing.state, seen.standing.code) == (State.APPROVED, "proof-missing")
    told = scene.show("alice", request_id).digest.hex()
    seen = scene.prove("alice", request_id, "request", told)
    assert seen.standing.code == "proof-missing"
    scene.executor.receipt(request_id, "request")
    assert scene.show("bob", request_id).standing.code == ""


def test_two_approvals_where_two_are_needed(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredApprovals="2")
    request_id = scene.pending().subtree.request.id
    scene.approve("bob", request_id)
    scene.executor.receipt(request_id, "approve")
    seen = scene.show("bob", request_id)
    assert (seen.standing.state, seen.standing.code) == (State.PENDING, "approvals-missing")
    refusal = check_approvable(seen)
    assert refusal is not None
    assert refusal.code == "already-voiced"
    assert check_approvable(scene.show("carol", request_id)) is None
    scene.approve("carol", request_id)
    scene.executor.receipt(request_id, "approve")
    assert scene.state(request_id) == "approved"


def test_two_accounts_of_one_person_count_once(scene: Scene) -> None:
    scene.realm.define(ipaTpiRequiredApprovals="2")
    request_id = scene.pending().subtree.request.id
    scene.approve("erin", request_id)
    scene.approve("erin-admin", request_id)
    scene.executor.receipt(request_id, "approve")
    assert scene.state(request_id) == "pending"


def test_the_events_are_a_closed_list(scene: Scene) -> None:
    scene.withdraw("bob", scene.approved())
    other = scene.pending().subtree.request.id
    scene.deny("bob", other)
    last = scene.pending().subtree.request.id
    scene.cancel("alice", last)
    with refused("cancelled"):
        scene.cancel("alice", last)
    assert set(scene.audit.events()) <= {event.value for event in Event}
    assert SUFFIX not in str(scene.audit.records)
