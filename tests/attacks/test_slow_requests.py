"""Requests that never end, in headers or body: who holds every thread has stopped all approvals and all vetoes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from front import PREFIX, Slow, ask, ticket
from world import HOST, World

SLOW = 24
PATIENCE_SECONDS = 60


@contextmanager
def slow(begins: list[str]) -> Iterator[list[Slow]]:
    opened = [Slow(begin) for begin in begins]
    try:
        yield opened
    finally:
        for one in opened:
            one.close()


def begin_of_post(world: World, person: str) -> str:
    authorization = ticket(world, person)["Authorization"]
    return (
        f"POST {PREFIX}/requests HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {authorization}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
    )


def test_r_e22_slow_requests_hinder_nobody_and_are_cut(world: World) -> None:
    """Headers by anybody, bodies by one caller, who is told nothing until then; bob waits for none of them."""
    world.ccache("dave")
    begin_of_get = f"GET {PREFIX}/requests HTTP/1.1\r\nHost: {HOST}\r\nX: "
    bodies = [begin_of_post(world, "dave") for _ in range(SLOW)]
    with slow([begin_of_get] * SLOW) as headers, slow(bodies) as posts:
        for _ in range(5):
            assert ask(world, "GET", "/requests?mine=true", "bob").status == 200
        assert not any(one.answered() for one in (*headers, *posts)), "they were not slow any more"
        assert {one.status(PATIENCE_SECONDS) for one in posts} == {408}
        assert {one.status(PATIENCE_SECONDS) for one in headers} <= {408, 0}
    assert ask(world, "GET", "/requests?mine=true", "dave").status == 200
    records = world.audit("", "refused")
    assert [one for one in records if one.get("caller") == "dave@TPI.TEST"]
