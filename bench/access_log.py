"""Operations at the directory, counted in its own access log, which the box does not buffer."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ipa_tpi.adapters.directory import normal_dn

_LOG: Final = Path("/var/log/dirsrv/slapd-TPI-TEST/access")
_LINE: Final = re.compile(r"\[(\d+/\w+/\d+:\d\d:\d\d:\d\d)\.(\d+) \+0000\] conn=(\d+) op=\d+ (\w+) (.*)")
_BOUND: Final = re.compile(r'tag=97 .* dn="([^"]+)"')
_KINDS: Final = {"BIND": "bind", "EXT": "whoami", "SRCH": "search", "ADD": "add"}
_NANO: Final = 1e9


def count(dn: str, since: float, until: float, *, standing: bool) -> Mapping[str, int]:
    """Count what one account's connections asked for.

    Args:
        dn: Whose, in normal form.
        since: Seconds since 1970.
        until: The same.
        standing: Only connections that were there before, as the executor's workers' are and its polls' are not;
            else only new ones.

    Returns:
        By kind of operation.  Each is one round trip: nothing of ours sends the next before the answer to the last.
    """
    text = _LOG.read_text(encoding="utf-8", errors="replace")
    lines = [found.groups() for line in text.splitlines() if (found := _LINE.match(line)) is not None]
    chosen = {
        connection
        for moment, nanoseconds, connection, kind, rest in lines
        if kind == "RESULT"
        and (bound := _BOUND.search(rest)) is not None
        and normal_dn(bound[1]) == dn
        and (_seconds(moment, nanoseconds) < since) == standing
    }
    return Counter(
        _KINDS[kind]
        for moment, nanoseconds, connection, kind, _ in lines
        if kind in _KINDS and connection in chosen and since <= _seconds(moment, nanoseconds) <= until
    )


def _seconds(moment: str, nanoseconds: str) -> float:
    whole = datetime.strptime(moment, "%d/%b/%Y:%H:%M:%S").replace(tzinfo=UTC)
    return whole.timestamp() + int(nanoseconds) / _NANO
