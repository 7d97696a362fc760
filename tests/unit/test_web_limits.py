"""One caller may ask for so much at a time, and so much in a while; others are not touched by it (R-E22)."""

import threading
from pathlib import Path

import pytest
from web_scene import ORIGIN, Web, problem
from werkzeug.test import Client

from ipa_tpi.errors import TooManyRequestsError
from ipa_tpi.web.app import Parts, build_app
from ipa_tpi.web.limits import AT_ONCE, BURST, CallerLimits
from tests.fakes import REALM

ALICE, BOB = f"alice@{REALM}", f"bob@{REALM}"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(limits: CallerLimits, caller: str) -> TooManyRequestsError:
    with pytest.raises(TooManyRequestsError) as caught:
        limits.enter(caller)
    return caught.value


def test_so_many_at_a_time() -> None:
    limits = CallerLimits(at_once=2, burst=100, clock=Clock())
    limits.enter(ALICE)
    limits.enter(ALICE)
    refused(limits, ALICE)
    limits.enter(BOB)
    limits.leave(ALICE)
    limits.enter(ALICE)


def test_so_many_in_a_while() -> None:
    clock = Clock()
    limits = CallerLimits(at_once=2, burst=3, per_second=2, clock=clock)

    def once(caller: str) -> None:
        limits.enter(caller)
        limits.leave(caller)

    for _ in range(3):
        once(ALICE)
    assert not refused(limits, ALICE).repeated
    assert refused(limits, ALICE).repeated
    once(BOB)
    clock.now += 0.49
    assert refused(limits, ALICE).repeated
    clock.now += 0.02
    once(ALICE)
    assert not refused(limits, ALICE).repeated
    clock.now += 1000
    for _ in range(3):
        once(ALICE)
    refused(limits, ALICE)


def test_who_asks_no_more_is_forgotten() -> None:
    clock = Clock()
    limits = CallerLimits(clock=clock)
    limits.enter("open")
    for number in range(3000):
        limits.enter(f"{number}")
        limits.leave(f"{number}")
        clock.now += 1
    assert len(limits._accounts) <= 1026
    for _ in range(AT_ONCE - 1):
        limits.enter("open")
    refused(limits, "open")


def test_many_threads() -> None:
    limits = CallerLimits(at_once=8, burst=10_000, per_second=0, clock=Clock())

    def run() -> None:
        for _ in range(500):
            limits.enter(ALICE)
            limits.leave(ALICE)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (limits._accounts[ALICE].open, limits._accounts[ALICE].level) == (0, 4000)


@pytest.fixture
def web(tmp_path: Path) -> Web:
    made = Web(tmp_path / "ccache")
    limits = CallerLimits(clock=Clock())
    made.client = Client(build_app(Parts(ORIGIN, made.scene.audit, made._connect, limits)))
    return made


def test_r_e22_whoever_asks_too_fast_is_told_to_wait(web: Web) -> None:
    """All answers count, also those that no path leads to; the trail gets one record, and nothing is reached."""
    for _ in range(BURST // 2):
        assert web.get("/openapi.yaml").status_code == 200
        assert web.get("/nothing").status_code == 404
    web.scene.audit.records.clear()
    opened = len(web.opened)
    for path in ("/requests", "/nothing", "/openapi.yaml"):
        answer = web.get(path)
        problem(answer, "too-many-requests", 429)
        assert answer.headers["Retry-After"] == "5"
    assert len(web.opened) == opened
    (record,) = web.scene.audit.records
    assert (record["event"], record["code"], record["caller"]) == ("refused", "too-many-requests", ALICE)
    assert web.get("/requests", "bob").status_code == 200
    assert web.get("/healthz", None).status_code == 200


def test_r_e22_health_counts_for_nobody(web: Web) -> None:
    for _ in range(BURST + 1):
        assert web.get("/healthz", None).status_code == 200


def test_a_request_that_fails_is_over_too(web: Web) -> None:
    for _ in range(AT_ONCE + 1):
        web.refusing.append(RuntimeError("unforeseen"))  # type: ignore[arg-type]
        assert web.get("/requests").status_code == 500
    assert web.get("/requests").status_code == 200
