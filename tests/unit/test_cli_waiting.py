"""Waiting goes through gaps, ends where there is no hope, and never calls a state known that is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from ipa_tpi import wire
from ipa_tpi.cli.waiting import USUAL, Patience, wait
from ipa_tpi.client import TpiClient
from ipa_tpi.errors import (
    DirectoryRefusedError,
    DirectoryUnavailableError,
    KerberosError,
    NotFoundError,
    NoTicketError,
    OutcomeUnknownError,
    RefusedError,
    TpiError,
    UnavailableError,
)

QUICK = Patience(
    first_pause_seconds=0.01, longest_pause_seconds=0.02, refused_seconds=0.15, grace_seconds=0.15
)
PENDING = wire.RequestView(
    id="6642973e-6380-4a18-b836-e574d0cb660c",
    operation="dirsrv.restart",
    operation_digest="",
    target="localhost",
    parameters={},
    requester="alice@TPI.TEST",
    reason="",
    ticket="",
    interface="cli",
    digest="",
    created=wire.datetime(2026, 1, 1),
    state="pending",
    seconds_to_end=600,
)
DONE = msgspec.structs.replace(PENDING, state="executed", seconds_to_end=0)
GAPS: list[TpiError] = [
    UnavailableError("Connection refused", code="server-unreachable"),
    DirectoryUnavailableError("the directory is away"),
    KerberosError("no ticket for ldap"),
    UnavailableError("HTTP 502"),
]
REFUSALS: list[TpiError] = [
    KerberosError("401", code="unauthenticated"),
    NoTicketError("no ticket came along"),
    DirectoryRefusedError("unwilling to perform"),
]


class Server:
    """Answers with what it is given, the last of it for ever."""

    def __init__(self, *answers: wire.RequestView | TpiError) -> None:
        self._answers = list(answers)
        self.told: list[str] = []
        self.asked = 0

    def show(self, request_id: str) -> wire.RequestView:
        assert request_id == PENDING.id
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, TpiError):
            raise answer
        return answer

    def wait(self, seconds: float = 30, **more: Any) -> wire.RequestView:
        more.setdefault("patience", QUICK)
        return wait(cast("TpiClient", self), PENDING.id, seconds, self.told.append, **more)


def failing(act: Callable[[], object]) -> tuple[TpiError, float]:
    begun = time.monotonic()
    with pytest.raises(TpiError) as caught:
        act()
    return caught.value, time.monotonic() - begun


@pytest.mark.parametrize("gap", [*GAPS, *REFUSALS], ids=lambda error: error.code)
def test_a_gap_passes(gap: TpiError) -> None:
    server = Server(PENDING, gap, gap, gap, PENDING, gap, DONE)
    assert server.wait() == DONE
    assert [line.partition(" for now")[0].partition(" after")[0] for line in server.told] == [
        "state: pending",
        "no answer about the request",
        "answered again",
        "no answer about the request",
        "answered again",
    ]
    assert gap.message in server.told[1]
    assert server.told[-1].endswith("; state: executed")


@pytest.mark.parametrize("gap", GAPS, ids=lambda error: error.code)
def test_a_gap_at_the_beginning_passes_too(gap: TpiError) -> None:
    server = Server(gap, gap, DONE)
    assert server.wait() == DONE
    assert len(server.told) == 2


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.code)
def test_a_refusal_at_the_beginning_is_one(error: TpiError) -> None:
    server = Server(error)
    caught, _ = failing(server.wait)
    assert caught is error
    assert (server.asked, server.told) == (1, [])
    # A request that was just made has been seen.
    assert Server(error, DONE).wait(known=PENDING) == DONE


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.code)
def test_a_refusal_that_lasts_is_one(error: TpiError) -> None:
    server = Server(PENDING, error)
    caught, seconds = failing(server.wait)
    assert caught.code == error.code
    assert 0.1 < seconds < 5
    assert server.asked > 3
    assert sum("still trying" in line for line in server.told) == 1


@pytest.mark.parametrize("error", GAPS, ids=lambda error: error.code)
def test_nobody_is_asked_when_nothing_more_can_have_happened(error: TpiError) -> None:
    server = Server(msgspec.structs.replace(PENDING, seconds_to_end=0), error)
    caught, seconds = failing(server.wait)
    assert 0.1 < seconds < 5
    assert caught.code == error.code
    assert error.message in caught.message
    assert caught.message.endswith(
        f"it was pending when last seen, and goes on without you. Look later: ipa-tpi show {PENDING.id}"
    )


def test_the_windows_bound_a_gap_and_the_time_that_was_given_does() -> None:
    server = Server(PENDING, GAPS[0])
    _, seconds = failing(lambda: server.wait(0.2))
    assert 0.15 < seconds < 5
    assert "still trying for up to 0 s" in server.told[1]
    # In the usual way it is the windows, of ten minutes here, and a little more.
    server = Server(GAPS[0], DONE)
    server.wait(7 * 86400, known=PENDING, patience=USUAL)
    assert "still trying for up to 10 min 10 s" in server.told[0]


@pytest.mark.parametrize(
    "error",
    [
        RefusedError("no"),
        NotFoundError("no"),
        OutcomeUnknownError("broke"),
        UnavailableError("no", code="server-untrusted"),
        KerberosError("no", code="clock-skew"),
    ],
    ids=lambda error: error.code,
)
def test_what_cannot_get_better_ends_it(error: TpiError) -> None:
    for server in (Server(error), Server(PENDING, error)):
        caught, _ = failing(server.wait)
        assert caught is error
        assert not any("still trying" in line for line in server.told)


def test_the_time_is_over() -> None:
    server = Server(PENDING)
    assert server.wait(0.1) == PENDING
    assert server.told == ["state: pending"]
    assert Server(PENDING).wait(0) == PENDING


def test_it_asks_ever_more_slowly() -> None:
    server = Server(PENDING)
    server.wait(0.5, patience=Patience(first_pause_seconds=0.01, longest_pause_seconds=10))
    assert 5 < server.asked < 12


def test_who_waits_is_told_once_that_the_requester_has_to_prove_again() -> None:
    approved = msgspec.structs.replace(PENDING, state="approved")
    stuck = msgspec.structs.replace(
        approved, code="proof-missing", message="the requester runs: ipa-tpi prove ID"
    )
    server = Server(approved, stuck, stuck, approved, DONE)
    assert server.wait() == DONE
    assert server.told == [
        "state: approved",
        "state: approved (the requester runs: ipa-tpi prove ID)",
        "state: approved",
        "state: executed",
    ]
