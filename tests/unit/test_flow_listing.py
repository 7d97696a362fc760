"""Lists of many requests, and the count of those that wait: no more is read than is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flow_scene import Scene
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.errors import DirectoryLimitError
from ipa_tpi.flow import Selection
from ipa_tpi.flow.listing import newest
from ipa_tpi.ports import Heading, Query
from tests.fakes import OPERATION, REALM, START, executor_dn, refused

_DAY = 24 * 60 * 60
_FAR = 900 * _DAY


@dataclass
class Shelf:
    """A directory that gives no more than so many headings at once."""

    created: Sequence[datetime]
    most: int
    searches: list[Query] = field(default_factory=list)

    def headings(self, query: Query) -> Sequence[Heading]:
        self.searches.append(query)
        found = [
            Heading(f"{number:03}", moment, OPERATION, "")
            for number, moment in enumerate(self.created)
            if (query.since is None or moment >= query.since)
            and (query.until is None or moment <= query.until)
        ]
        if len(found) > self.most:
            raise DirectoryLimitError("too many")
        return found


def _listed(
    shelf: Shelf, since: datetime | None = None, until: datetime | None = None
) -> list[tuple[datetime, str]]:
    directory: Any = shelf
    query = Query(since=since, until=until)
    return [(one.created, one.id) for one in newest(directory, query, START)]


@given(
    st.lists(
        st.one_of(
            st.integers(-90, 90),
            st.integers(-5, _FAR),
            st.sampled_from([1, 4, 16, 64]).map(lambda days: days * _DAY),
        ),
        unique=True,
        max_size=40,
    ),
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(0, _FAR)),
    st.one_of(st.none(), st.integers(-10, _FAR)),
)
def test_all_are_listed_once_and_in_order_whatever_the_limit(
    ages: list[int], most: int, window: int | None, last: int | None
) -> None:
    created = [START - timedelta(seconds=age) for age in ages]
    since = START - timedelta(seconds=window) if window is not None else None
    until = START - timedelta(seconds=last) if last is not None else None
    wanted = [
        moment
        for moment in created
        if (since is None or moment >= since) and (until is None or moment <= until)
    ]
    listed = _listed(Shelf(created, most), since, until)
    assert [moment for moment, _ in listed] == sorted(wanted, reverse=True)


def test_those_of_one_moment_have_an_order() -> None:
    assert _listed(Shelf([START] * 3, 9)) == [(START, "002"), (START, "001"), (START, "000")]


def test_more_in_one_second_than_the_directory_gives_is_told() -> None:
    with refused("directory-limit"):
        _listed(Shelf([START] * 3, 2))


def test_few_take_two_searches_and_a_window_takes_one() -> None:
    shelf = Shelf([START, START - timedelta(days=3)], 9)
    assert len(_listed(shelf)) == len(shelf.searches) == 2
    shelf.searches.clear()
    assert len(_listed(shelf, START - timedelta(hours=1))) == len(shelf.searches) == 1


def _loads(scene: Scene, uid: str) -> tuple[Any, list[str]]:
    flow = scene.flow(uid)
    loaded: list[str] = []
    real = flow.directory.load

    def counting(request_id: str) -> object:
        loaded.append(request_id)
        return real(request_id)

    flow.directory.load = counting  # type: ignore[method-assign,assignment]
    return flow, loaded


def test_a_page_loads_what_it_shows_and_one_more() -> None:
    scene = Scene()
    for number in range(6):
        scene.pending(("alice", "bob", "carol")[number % 3])
        scene.clock.pass_seconds(1)
    flow, loaded = _loads(scene, "frank")
    page = flow.listing(f"frank@{REALM}", Selection(limit=2))
    assert (len(page.found), page.more, len(loaded)) == (2, True, 3)
    loaded.clear()
    last = flow.listing(f"frank@{REALM}", Selection(limit=2, before=page.found[1].subtree.request.id))
    assert (len(last.found), last.more, len(loaded)) == (2, True, 4)


@pytest.mark.parametrize("waiting", [0, 2])
def test_what_has_ended_is_not_read_to_count_what_waits(waiting: int) -> None:
    scene = Scene()
    for _ in range(5):
        request_id = scene.pending().subtree.request.id
        scene.executor.result(request_id, "denied")
    for _ in range(waiting):
        scene.pending()
    flow, loaded = _loads(scene, "alice")
    made = flow.create(f"alice@{REALM}", scene.body())
    assert len(loaded) == waiting + 1
    assert loaded[-1] == made.subtree.request.id


def test_few_requests_are_not_even_looked_at() -> None:
    scene = Scene()
    for _ in range(2):
        scene.pending()
    flow, loaded = _loads(scene, "alice")
    flow.create(f"alice@{REALM}", scene.body())
    assert len(loaded) == 1


def test_a_result_by_somebody_else_ends_nothing() -> None:
    scene = Scene()
    for _ in range(3):
        request_id = scene.pending().subtree.request.id
        raw = next(raw for rid, _, raw in scene.realm.entries if rid == request_id)
        other = replace(raw, creator=executor_dn("other.tpi.test"))
        assert other.creator != raw.attributes["ipatpiexecutor"][0].decode()
        scene.executor.result(request_id, "denied")
        scene.realm.entries[-1] = (
            *scene.realm.entries[-1][:2],
            replace(scene.realm.entries[-1][2], creator=other.creator),
        )
    # They are judged whole: entries that another host wrote deny, so they wait for nothing.
    flow, loaded = _loads(scene, "alice")
    flow.create(f"alice@{REALM}", scene.body())
    assert len(loaded) == 4
