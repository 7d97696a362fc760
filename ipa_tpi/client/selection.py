"""What somebody asks for: which requests to list, and what of the policy to try."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
        approver: Only those that this account approved or denied, with or without the realm.
        host: Only those that are to run on this host.
        outcome: Only those that ended so, by the word of their executor.
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
    approver: str = ""
    host: str = ""
    outcome: str = ""

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
            "approver": self.approver,
            "host": self.host,
            "outcome": self.outcome,
        }
        text = urlencode({name: value for name, value in wanted.items() if value})
        return f"?{text}" if text else ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What the policy is asked about.

    Attributes:
        operation: Its name.
        host: The target; empty for the server.
        user: Whose rights, with or without the realm; empty for nobody's.
        right: Only this right; empty for all.
        parameters: What the operation would be asked for with.
        groups: Groups and roles that the user is taken for a member of.
    """

    operation: str
    host: str = ""
    user: str = ""
    right: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    groups: Sequence[str] = ()

    def query(self) -> str:
        """Give it as the query string of a URL, with its question mark."""
        wanted = [
            ("operation", self.operation),
            ("host", self.host),
            ("user", self.user),
            ("right", self.right),
        ]
        wanted += [("parameter", f"{name}={value}") for name, value in self.parameters.items()]
        wanted += [("member_of", group) for group in self.groups]
        return "?" + urlencode([(name, value) for name, value in wanted if value])


def _written(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment is not None else ""
