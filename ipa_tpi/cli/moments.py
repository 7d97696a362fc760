"""Times as people write them on a command line: a date, a date with a time, or how long ago."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_OLDEST: Final = datetime(1970, 1, 2, tzinfo=UTC)


def moment_since(text: str) -> datetime:
    """Read a time from which on; of a date alone, the day's first second.

    Args:
        text: As ``2026-01-31``, ``2026-01-31T12:00``, ``2026-01-31T12:00:00Z``, ``2h`` or ``3d``; where it names
            no zone it is in that of the person.

    Returns:
        An aware time.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    return _read(text)


def moment_until(text: str) -> datetime:
    """Read a time up to which; of a date alone, the day's last second.  See `moment_since`."""
    whole_day = timedelta(days=1, seconds=-1) if _DATE.fullmatch(text) else timedelta()
    return _read(text, whole_day)


def _read(text: str, more: timedelta = timedelta()) -> datetime:
    ago = _AGO.fullmatch(text)
    try:
        found = _before_now(ago) if ago is not None else _at(text, more)
        if found >= _OLDEST:
            return found
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(
        f"{text!r} is no time; write a date as 2026-01-31, a time as 2026-01-31T12:00, or how long ago as 2h or 3d"
    )


def _before_now(ago: re.Match[str]) -> datetime:
    return datetime.now(tz=UTC) - int(ago[1]) * _UNITS[ago[2]]


def _at(text: str, more: timedelta) -> datetime:
    # In the zone of the person, as times are shown.
    return (datetime.fromisoformat(text) + more).astimezone()
