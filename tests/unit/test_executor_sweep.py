"""The sweep through all requests, where they are more than the directory gives at once (K20, X12)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.errors import DirectoryLimitError
from ipa_tpi.executor.watch import slices

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=16)
MOST = 5


class Shelf:
    """A directory that holds entries by the second, and gives so many at once."""

    def __init__(self, seconds: list[int]) -> None:
        self.stamps = {
            str(number): SINCE + timedelta(seconds=second) for number, second in enumerate(seconds)
        }
        self.asked = 0

    def __call__(self, since: datetime, until: datetime) -> list[str]:
        """Search."""
        self.asked += 1
        # As a filter says it: in whole seconds.
        since, until = since.replace(microsecond=0), until.replace(microsecond=0)
        found = [name for name, stamp in self.stamps.items() if since <= stamp <= until]
        if len(found) > MOST:
            raise DirectoryLimitError("too many")
        return found


def test_what_fits_is_one_search() -> None:
    shelf = Shelf([1, 2, 3])
    assert list(slices(shelf, SINCE, UNTIL)) == [["0", "1", "2"]]
    assert shelf.asked == 1


@given(st.lists(st.integers(0, 16 * 86400), max_size=60, unique=True))
def test_nothing_is_left_out(seconds: list[int]) -> None:
    shelf = Shelf(seconds)
    assert frozenset().union(*slices(shelf, SINCE, UNTIL)) == shelf.stamps.keys()


def test_the_newest_come_first() -> None:
    shelf = Shelf([*range(1000, 1020), 900_000, 900_001])
    first, *_ = slices(shelf, SINCE, UNTIL)
    assert first == ["20", "21"]


def test_more_in_one_second_than_it_gives_is_told_after_what_is_newer() -> None:
    shelf = Shelf([1000] * (MOST + 1) + [900_000])
    found = slices(shelf, SINCE, UNTIL)
    assert next(found) == [str(MOST + 1)]
    with pytest.raises(DirectoryLimitError):
        list(found)
