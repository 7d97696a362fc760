"""Which request is used up, by whom, and what a no says (DESIGN section 8)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from enrolment_scene import ALICE, CSR, OTHER_CSR, PARAMETERS, Desk

from ipa_tpi.decide.csr import read_csr
from ipa_tpi.errors import BadInputError, DirectoryUnavailableError
from ipa_tpi.executor.turns import Turns
from ipa_tpi.wire import SocketMessage

FIRST, SECOND, THIRD = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
PATIENCE_SECONDS = 10.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def ask(desk: Desk, *ids: str, way: str = "requester", approved: bool = True) -> None:
    for request_id in ids:
        desk.ask_for(request_id=request_id, submit=way)
        desk.clock.go(1)
        if approved:
            desk.approve(request_id=request_id)
            if way == "requester":
                desk.settle(request_id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"csr": read_csr(OTHER_CSR).digest}, "nothing-approved"),
        ({"profile": "caServerCert"}, "other-certificate"),
        ({"profile": "catpi"}, "other-certificate"),
        ({"ca": "sub"}, "other-certificate"),
        ({"user": "bob@TPI.TEST"}, "not-requester"),
        ({"user": "alice"}, "not-requester"),
        ({"user": "alice.smith@TPI.TEST"}, "not-requester"),
        ({"user": "Alice@TPI.TEST"}, "not-canonical"),
        ({"user": "alice@tpi.test"}, "not-canonical"),
    ],
)
def test_r_d10_only_the_requester_gets_exactly_what_was_approved(
    desk: Desk, changes: dict[str, str], code: str
) -> None:
    ask(desk, FIRST)
    assert (desk.consume(**changes), desk.state(FIRST)) == (code, "")
    refused = desk.audit.records[-1]
    assert (refused["event"], refused["code"]) == ("consume-refused", code)
    assert {"csr", "profile", "ca", "user", "message"} <= refused.keys()
    assert desk.sessions_opened == 0  # nothing was even read for it
    assert desk.consume() == "ok"


def test_a_message_that_says_nothing_is_refused(desk: Desk) -> None:
    with pytest.raises(BadInputError):
        desk.consuming.consume(SocketMessage(verb="consume"))


def test_the_oldest_of_several_is_taken(desk: Desk) -> None:
    ask(desk, SECOND, FIRST)
    assert (desk.consume(), desk.outcomes(SECOND), desk.outcomes(FIRST)) == ("ok", ["executed"], [])
    assert (desk.consume(), desk.outcomes(FIRST)) == ("ok", ["executed"])
    assert desk.consume() == "already-used"


def test_one_that_nobody_approved_keeps_no_other_waiting(desk: Desk) -> None:
    ask(desk, FIRST, approved=False)
    ask(desk, SECOND)
    assert (desk.consume(), desk.outcomes(SECOND), desk.state(FIRST)) == ("ok", ["executed"], "")
    assert desk.consume() == "approvals-missing"


def test_what_the_executor_has_submitted_comes_first(desk: Desk) -> None:
    ask(desk, FIRST)
    answers: list[str] = []
    desk.ca.asks = lambda _: answers.append(desk.consume())
    ask(desk, SECOND, way="executor")
    desk.settle(SECOND)
    assert (answers, desk.outcomes(SECOND), desk.outcomes(FIRST)) == (["ok"], ["executed"], [])


def test_the_oldest_submission_is_used_up_first(desk: Desk) -> None:
    """Two that wait for the CA at once: what the validator says cannot tell them apart, and need not."""
    ask(desk, FIRST, SECOND, way="executor")
    answers: list[str] = []

    def ask_both(_: str) -> None:
        desk.ca.asks = lambda _: answers.extend(f"{desk.consume()} {_states(desk)}" for _ in range(3))
        desk.process(SECOND)

    desk.ca.asks = ask_both
    desk.process(FIRST)
    assert answers == [
        "ok claimed submitted",
        "ok claimed claimed",
        "already-used claimed claimed",
    ]


def _states(desk: Desk) -> str:
    return f"{desk.state(FIRST)} {desk.state(SECOND)}"


def test_a_directory_that_does_not_answer_decides_nothing(desk: Desk) -> None:
    ask(desk, FIRST, SECOND)
    desk.weather.fails["directory.load"] = DirectoryUnavailableError("no answer; try again")
    before = desk.directory.closed
    assert (desk.consume(), _states(desk)) == ("directory-unavailable", " ")
    assert desk.directory.closed > before  # nobody gets that connection again
    desk.weather.calm()
    assert desk.consume() == "ok"
    assert (desk.sessions_opened, desk.consume(), desk.sessions_opened) == (2, "ok", 2)


def test_a_session_that_cannot_be_opened_costs_nothing(desk: Desk) -> None:
    ask(desk, FIRST)

    def broken() -> Any:
        raise DirectoryUnavailableError("no answer; try again")

    desk.consuming._sessions._open = broken
    for _ in range(6):  # no name is lost
        assert desk.consume() == "directory-unavailable"
    desk.open_desk()
    assert desk.consume() == "ok"


def test_two_at_once_get_one_yes(desk: Desk) -> None:
    ask(desk, FIRST)
    reached, go_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        reached.set()
        assert go_on.wait(PATIENCE_SECONDS)

    desk.weather.then["journal.intend"] = stand_still
    with ThreadPoolExecutor() as pool:
        one = pool.submit(desk.consume)
        assert reached.wait(PATIENCE_SECONDS)
        assert desk.process(FIRST) is not None  # the worker does not touch it meanwhile
        desk.open_desk(most_seconds=0.05)  # who waits gives up soon
        assert desk.consume() == "being-used"
        go_on.set()
        assert one.result(PATIENCE_SECONDS) == "ok"
    assert desk.outcomes(FIRST) == ["executed"]


def test_no_more_are_looked_at_at_once_than_there_are_names(desk: Desk) -> None:
    ask(desk, FIRST)
    desk.open_desk(most_seconds=0.05)
    names = [desk.consuming._names.get_nowait() for _ in range(4)]
    assert len(set(names)) == 4
    assert desk.consume() == "consume-too-late"
    for name in names:
        desk.consuming._names.put(name)
    desk.open_desk()
    assert desk.consume() == "ok"


def test_what_nobody_foresaw_leaves_nothing_taken(desk: Desk) -> None:
    ask(desk, FIRST)
    session: Any = desk._session()
    session.release = lambda *_: (_ for _ in ()).throw(ValueError("a bug"))
    desk.consuming._sessions._free.append(session)
    with pytest.raises(ValueError, match="a bug"):
        desk.begin()
    assert desk.consume() == "ok"


def test_a_turn_is_waited_for() -> None:
    turns = Turns()
    assert turns.take("a", 0)
    assert not turns.take("a", 0)
    assert turns.take("b", 0)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(turns.take, "a", PATIENCE_SECONDS)
        turns.give("a")
        assert waiting.result(PATIENCE_SECONDS)
    with turns.one("a", 0) as is_mine:
        assert not is_mine
    assert not turns.take("a", -1)


def test_the_parameters_are_what_the_row_says(desk: Desk) -> None:
    ask(desk, FIRST)
    ((found, state),) = desk.claims.enrolments(read_csr(CSR).digest)
    assert (found.profile, found.ca, found.requester, found.way, state) == (
        PARAMETERS["profile"],
        PARAMETERS["ca"],
        ALICE,
        "requester",
        "",
    )
