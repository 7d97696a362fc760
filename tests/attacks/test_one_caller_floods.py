"""One caller asks without a pause: others would wait, and the trail would lose records of what matters."""

from __future__ import annotations

import threading
import time

from front import PREFIX, ask
from world import CA, URL, World, eventually

from ipa_tpi.client.tickets import GssTickets
from ipa_tpi.client.transport import Transport
from ipa_tpi.errors import TooManyRequestsError

THREADS = 3
PATIENCE_SECONDS = 90


def flood(ccache: str, counts: dict[str, int], end: threading.Event, deadline: float) -> None:
    transport = Transport(URL, CA, GssTickets(ccache), 30)
    while not end.is_set() and time.monotonic() < deadline:
        try:
            transport.ask("GET", f"{PREFIX}/requests?mine=x")
        except TooManyRequestsError:
            counts["refused"] += 1
        except Exception as error:  # noqa: BLE001 (counted, and looked at by the test)
            counts[type(error).__name__] = counts.get(type(error).__name__, 0) + 1


def test_r_e22_who_asks_too_fast_is_told_to_wait_and_others_are_served(world: World) -> None:
    counts = {"refused": 0}
    before = len(world.audit("", "refused"))
    end = threading.Event()
    ccache = f"FILE:{world.ccache('dave')}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    threads = [threading.Thread(target=flood, args=(ccache, counts, end, deadline)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: counts["refused"] > 20, PATIENCE_SECONDS)
        for _ in range(10):
            assert ask(world, "GET", "/requests?mine=true", "bob").status == 200
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert set(counts) == {"refused", "BadInputError"}, counts
    told = [one for one in world.audit("", "refused")[before:] if one["code"] == "too-many-requests"]
    assert told
    assert {one["caller"] for one in told} == {"dave@TPI.TEST"}
    assert len(told) < counts["refused"] / 2
    eventually(lambda: ask(world, "GET", "/requests?mine=true", "dave").status == 200)
