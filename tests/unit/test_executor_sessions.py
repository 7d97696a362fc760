"""Sessions that workers share: the one used last comes first, and an outage ends all (E17)."""

from datetime import datetime

from ipa_tpi.executor.sessions import Session, Sessions


class FakeSession:
    """Does nothing."""

    closed = False

    def process(self, request_id: str) -> datetime | None:
        """Do nothing."""
        raise AssertionError(request_id)

    def close(self) -> None:
        """Close."""
        self.closed = True


class Opened:
    """Opens sessions and keeps them."""

    def __init__(self) -> None:
        self.all: list[FakeSession] = []
        self.sessions = Sessions(self.open)

    def open(self) -> Session:
        """Open one."""
        self.all.append(FakeSession())
        return self.all[-1]


def test_one_is_enough_for_who_come_one_after_the_other() -> None:
    opened = Opened()
    for _ in range(5):
        opened.sessions.give_back(opened.sessions.take())
    assert len(opened.all) == 1


def test_no_two_have_the_same() -> None:
    opened = Opened()
    first, second = opened.sessions.take(), opened.sessions.take()
    assert first is not second
    opened.sessions.give_back(first)
    opened.sessions.give_back(second)
    assert opened.sessions.take() is second
    assert opened.sessions.take() is first
    assert opened.sessions.take() not in (first, second)


def test_an_outage_closes_what_nobody_uses_and_nothing_else() -> None:
    opened = Opened()
    used, free = opened.sessions.take(), opened.sessions.take()
    opened.sessions.give_back(free)
    opened.sessions.close()
    assert [session.closed for session in opened.all] == [False, True]
    opened.sessions.give_back(used)
    assert opened.sessions.take() is used
    opened.sessions.close()
    assert not opened.all[0].closed
