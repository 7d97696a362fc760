"""What one account may take of the socket, and its refusals of the audit trail (E01, E04, E11)."""

import logging

import pytest
from executor_fakes import DOWN, FakeAudit, Weather

from ipa_tpi.errors import AuditError
from ipa_tpi.executor.limits import MOST_SUMS, RateLimit, Refusals, Shares

WEB, ROOT, ALICE = 990, 0, 1000


class Seconds:
    """A clock of seconds that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the seconds."""
        return self.now


@pytest.fixture
def clock() -> Seconds:
    """A clock."""
    return Seconds()


@pytest.fixture
def audit() -> FakeAudit:
    """A trail."""
    return FakeAudit(Weather())


def test_ten_a_second_and_no_more(clock: Seconds) -> None:
    rate = RateLimit(frozenset({WEB, ROOT}), 10, clock)
    assert [rate.allows(WEB) for _ in range(12)] == [True] * 10 + [False] * 2
    assert rate.allows(ROOT)  # another account's bucket is its own
    clock.now += 0.25
    assert [rate.allows(WEB) for _ in range(3)] == [True, True, False]
    clock.now += 0.06
    assert rate.allows(WEB)  # the half token from before is not lost
    clock.now += 3600
    assert [rate.allows(WEB) for _ in range(12)] == [True] * 10 + [False] * 2


def test_who_keeps_trying_is_served_at_the_rate(clock: Seconds) -> None:
    rate = RateLimit(frozenset({WEB}), 10, clock)
    served = 0
    for _ in range(1000):
        served += rate.allows(WEB)
        clock.now += 0.01
    assert served == pytest.approx(10 + 100, abs=2)


def test_each_account_has_its_share_of_the_connections() -> None:
    shares = Shares(frozenset({WEB, ROOT}), 10)
    assert [shares.take(WEB) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [shares.take(ROOT) for _ in range(6)] == [True] * 5 + [False]
    assert shares.depth() == 10
    shares.give(WEB)
    assert shares.depth() == 9
    assert not shares.take(ROOT)
    assert shares.take(WEB)


def test_a_share_is_never_nothing() -> None:
    assert [Shares(frozenset({1, 2, 3}), 2).take(uid) for uid in (1, 2, 3)] == [True] * 3
    assert Shares(frozenset(), 10).depth() == 0


def test_the_first_refusal_is_told_at_once_and_the_rest_as_a_sum(clock: Seconds, audit: FakeAudit) -> None:
    refusals = Refusals(audit, 60, clock)
    for _ in range(1000):
        refusals.note(ALICE, 100, "", "refused")
        clock.now += 0.01
        refusals.sum_up()
    assert audit.records == [
        {"event": "socket-refused", "uid": ALICE, "gid": 100, "verb": "", "code": "refused"}
    ]
    clock.now += 60
    refusals.sum_up()
    assert audit.records[1:] == [
        {"event": "socket-refused", "uid": ALICE, "code": "refused", "repeated": 999, "seconds": 70}
    ]
    assert refusals.total() == 1000


def test_a_flood_costs_a_record_a_minute(clock: Seconds, audit: FakeAudit) -> None:
    refusals = Refusals(audit, 60, clock)
    for _ in range(3600):
        refusals.note(ALICE, 100, "", "refused")
        clock.now += 1
        refusals.sum_up()
    assert 60 <= len(audit.records) <= 62
    assert sum(int(str(one.get("repeated", 1))) for one in audit.records) == pytest.approx(3600, abs=60)


def test_after_a_quiet_while_the_next_refusal_is_a_first_one(clock: Seconds, audit: FakeAudit) -> None:
    refusals = Refusals(audit, 60, clock)
    for _ in range(2):
        refusals.note(ALICE, 100, "nudge", "refused")
        clock.now += 61
        refusals.sum_up()
    assert [one.get("verb") for one in audit.records] == ["nudge", "nudge"]


def test_kinds_are_by_account_and_code(clock: Seconds, audit: FakeAudit) -> None:
    refusals = Refusals(audit, 60, clock)
    for uid, code in ((ALICE, "refused"), (WEB, "rate-limited"), (WEB, "busy"), (WEB, "busy")):
        refusals.note(uid, uid, "", code)
    assert [(one["uid"], one["code"]) for one in audit.records] == [
        (ALICE, "refused"),
        (WEB, "rate-limited"),
        (WEB, "busy"),
    ]


def test_accounts_without_end_are_summed_up_together(clock: Seconds, audit: FakeAudit) -> None:
    refusals = Refusals(audit, 60, clock)
    for uid in range(10_000):
        refusals.note(uid, uid, "", "refused")
    assert len(audit.records) == MOST_SUMS
    clock.now += 60
    refusals.sum_up()
    assert audit.records[MOST_SUMS:] == [
        {
            "event": "socket-refused",
            "uid": None,
            "code": "refused",
            "repeated": 10_000 - MOST_SUMS,
            "seconds": 60,
        }
    ]
    assert len(refusals._sums) <= MOST_SUMS + 1


def test_at_the_end_everything_is_told(clock: Seconds, audit: FakeAudit) -> None:
    refusals = Refusals(audit, 60, clock)
    for _ in range(3):
        refusals.note(ALICE, 100, "", "refused")
    refusals.sum_up(everything=True)
    assert [one.get("repeated") for one in audit.records] == [None, 2]
    assert refusals._sums == {}


def test_what_could_not_be_recorded_is_recorded_later(
    clock: Seconds, audit: FakeAudit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    refusals = Refusals(audit, 60, clock)
    audit.weather.fails["audit"] = DOWN["audit"]
    with pytest.raises(AuditError):
        refusals.note(ALICE, 100, "", "refused")
    refusals.note(ALICE, 100, "", "refused")  # a trail that fails is not asked for each connection
    clock.now += 60
    for _ in range(100):
        refusals.sum_up()
    assert caplog.text.count("are not recorded yet") == 1
    assert audit.records == []
    audit.weather.calm()
    clock.now += 2
    refusals.sum_up()
    assert [(one["uid"], one["repeated"]) for one in audit.records] == [(ALICE, 2)]
