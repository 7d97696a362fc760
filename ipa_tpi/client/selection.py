"""Which requests somebody wants to see listed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Selection:
    """Which requests to list; an empty field does not restrict.

    Attributes:
        state: Only those in this state.
        mine: Only the caller's own.
        approvable: Only those that the caller could approve now.
        prefix: Only those whose id begins so.
        before: Only those that are older than the request with this id.
        limit: At most so many, the newest; 0 leaves that to the server.
        operation: Only those for this operation.
        user: Only those that this account made, with or without the realm.
        since: Only those made at or after this time.
        until: Only those made at or before this time.
    """

    state: str = ""
    mine: bool = False
    approvable: bool = False
    prefix: str = ""
    before: str = ""
    limit: int = 0
    operation: str = ""
    user: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> str:
        """Give it as the query string of a URL, with its question mark where there is one."""
        wanted = {
            "state": self.state,
            "mine": "true" if self.mine else "",
            "approvable": "true" if self.approvable else "",
            "prefix": self.prefix,
            "before": self.before,
            "limit": str(self.limit or ""),
            "operation": self.operation,
            "user": self.user,
            "since": _written(self.since),
            "until": _written(self.until),
        }
        text = urlencode({name: value for name, value in wanted.items() if value})
        return f"?{text}" if text else ""


def _written(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment is not None else ""
