"""What the journal says of requests that retention removes (K17).

A row is written before the first entry is deleted, and in the same transaction everything goes that
the journal knew of the request, except its claim: from then on nothing of it is verified, judged or
published again (R-X12), and the claim keeps it from ever running (R-K13).  What goes is receipts,
proofs' verdicts, first sights, identities, the preview and the bytes of our own entries: all of them
are asked on the way to a claim only, and tokens are long too old for Kerberos.  Rows stay for good.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Final

from ipa_tpi.executor.claims import Claims

Rows = Callable[..., list[Any]]
_COLUMNS: Final = "request, operation, target, requester, created, digest, outcome, voices, entries, content"
_PRUNED: Final = ("first_seen", "identities", "receipts", "judged", "written", "previews")


@dataclass(frozen=True, slots=True)
class Removal:
    """A request that is removed.

    Attributes:
        request: Its id.
        operation: What was asked for.
        target: Where.
        requester: DN of who asked.
        created: The directory's stamp.
        digest: The request's, as it was stored.
        outcome: How it ended, by this journal.
        voices: Who said what, as ``approval DN; denial DN``.
        entries: How many there are, the request included.
        content: SHA-256 of all of it, in hex (`executor.retention.content`).
    """

    request: str
    operation: str
    target: str
    requester: str
    created: str
    digest: str
    outcome: str
    voices: str
    entries: int
    content: str


class Removals:
    """The journal's table of removals.

    Args:
        claims: The open journal.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def begun(self) -> Sequence[Removal]:
        """Give what was to be removed and is not known to be gone, the oldest first."""
        rows = self._claims.rows(
            f"SELECT {_COLUMNS} FROM removals WHERE removed_at IS NULL ORDER BY number"  # noqa: S608 (a constant)
        )
        return [Removal(*row) for row in rows]

    def begin(self, removal: Removal, now: datetime) -> None:
        """Note that a request is about to be removed, and forget of it all but its claim.

        Raises:
            JournalError: It was begun before, or could not be written.
        """
        with self._claims.transaction() as database:
            database.execute(
                f"INSERT INTO removals ({_COLUMNS}, planned_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (a constant)
                (*astuple(removal), now.isoformat()),
            )
            for table in _PRUNED:
                database.execute(f"DELETE FROM {table} WHERE request = ?", (removal.request,))  # noqa: S608 (a constant)

    def end(self, request: str, now: datetime) -> None:
        """Note that a request is gone."""
        with self._claims.transaction() as database:
            database.execute(
                "UPDATE removals SET removed_at = ? WHERE request = ? AND removed_at IS NULL",
                (now.isoformat(), request),
            )


def over(rows: Rows, requests: Sequence[str], moment: datetime) -> dict[str, str]:
    """Tell which requests had ended, and were published, at a moment.

    Args:
        rows: Reads the journal.
        requests: Which.
        moment: The moment.

    Returns:
        How each of them ended, by its id.
    """
    found = rows(
        "SELECT request, outcome FROM claims WHERE state = 'ended' AND published = 1 AND ended_at < ?"
        " AND request IN (SELECT value FROM json_each(?))",
        moment.isoformat(),
        json.dumps(list(requests)),
    )
    return dict(found)


def claimed(rows: Rows, requests: Sequence[str]) -> frozenset[str]:
    """Tell which requests the journal has anything to say of, ended or not; see `over`."""
    found = rows(
        "SELECT request FROM claims WHERE request IN (SELECT value FROM json_each(?))",
        json.dumps(list(requests)),
    )
    return frozenset(row[0] for row in found)
