"""Times as people write them on the command line."""

import argparse
import time
from datetime import UTC, datetime, timedelta

import pytest

from ipa_tpi.cli.moments import moment_since, moment_until


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()


@pytest.fixture(autouse=True, scope="module")
def _restored() -> object:
    yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "span"), [("45s", 45), ("5m", 300), ("2h", 7200), ("3d", 259200), ("1w", 604800)]
)
def test_how_long_ago(text: str, span: int) -> None:
    for read in (moment_since, moment_until):
        wanted = datetime.now(tz=UTC) - timedelta(seconds=span)
        assert abs(read(text) - wanted) < timedelta(seconds=5)


def test_dates_are_the_persons() -> None:
    assert moment_since("2026-01-31") == datetime(2026, 1, 30, 23, 0, 0, tzinfo=UTC)
    assert moment_until("2026-01-31") == datetime(2026, 1, 31, 22, 59, 59, tzinfo=UTC)
    assert moment_since("2026-07-01T12:30") == moment_until("2026-07-01T12:30")
    assert moment_since("2026-07-01T12:30") == datetime(2026, 7, 1, 10, 30, tzinfo=UTC)
    assert moment_since("2026-07-01T12:30:01Z") == datetime(2026, 7, 1, 12, 30, 1, tzinfo=UTC)
    # The day on which summer time begins has 23 hours.
    assert moment_until("2026-03-29") - moment_since("2026-03-29") == timedelta(hours=23, seconds=-1)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2", "h", "-2h", "2 h", "2y", "2026-02-30", "999999w", "0001-01-01"]
)
def test_what_is_no_time(text: str) -> None:
    for read in (moment_since, moment_until):
        with pytest.raises(argparse.ArgumentTypeError, match="is no time; write"):
            read(text)
