"""What the journal keeps of requests that retention removes (K17).

A row is written before the first entry is deleted, and in the same transaction everything goes that
the journal knew of the request, except its claim: from then on nothing of it is verified, judged or
published again (R-X12), and the claim keeps it from ever running (R-K13).  What goes is receipts,
proofs' verdicts, first sights, identities, the preview and the bytes of our own entries: all of them
are asked on the way to a claim only, and tokens are long too old for Kerberos.  Rows stay for good.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Final

from ipa_tpi.decide.digest import canonical, sha256
from ipa_tpi.decide.intake import RawEntry
from ipa_tpi.executor.claims import Claims
from ipa_tpi.model import Json
from ipa_tpi.ports import Heading

Rows = Callable[..., list[Any]]
_COLUMNS: Final = "request, operation, target, requester, created, digest, outcome, voices, entries, content"
_VOICES: Final = ("approval", "denial", "withdrawal", "cancellation")
_PRUNED: Final = ("first_seen", "identities", "receipts", "judged", "written", "previews", "enrolments")


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
        content: SHA-256 of all of it, in hex (`content`).
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


def describe(heading: Heading, outcome: str, entries: Sequence[RawEntry]) -> Removal:
    """Tell what is about to be removed.

    Args:
        heading: What the directory says of the request.
        outcome: How it ended, by the journal.
        entries: The request, and then all below it.

    Returns:
        What the journal keeps of it.
    """
    top, *below = entries
    spoken = [
        f"{word} {entry.creator}"
        for entry in below
        for word in _VOICES
        if f"ipatpi{word}" in classes_of(entry)
    ]
    return Removal(
        request=heading.id,
        operation=heading.operation,
        target=_text(top.attributes, "ipatpitarget"),
        requester=top.creator,
        created=top.created.isoformat(),
        digest=_text(top.attributes, "ipatpidigest"),
        outcome=outcome,
        voices="; ".join(sorted(spoken)),
        entries=len(entries),
        content=content(entries),
    )


def content(entries: Sequence[RawEntry]) -> str:
    """Give the SHA-256, in hex, of what lies in a request's entries and can be told from a backup as well.

    Args:
        entries: The request and all below it, in any order.

    Returns:
        It is over the RFC 8785 canonical JSON of a list in the order of the DNs: of each entry its normal DN, its
        creator, its time, and its classes and attributes of ours by lower-case name, their values base64, sorted.
    """
    ordered = sorted(entries, key=lambda one: one.dn)
    return sha256(canonical({"entries": [_document(entry) for entry in ordered]})).hex()


def classes_of(entry: RawEntry) -> set[str]:
    """Give the classes of an entry, in lower case."""
    return {value.decode("utf-8", "replace").lower() for value in entry.attributes.get("objectclass", ())}


def _document(entry: RawEntry) -> Json:
    attributes: dict[str, Json] = {
        name: [*sorted(b64encode(value).decode() for value in values)]
        for name, values in entry.attributes.items()
        if name == "objectclass" or name.startswith("ipatpi")
    }
    return {
        "dn": entry.dn,
        "creator": entry.creator,
        "created": entry.created.isoformat(),
        "attributes": attributes,
    }


def _text(attributes: Mapping[str, Sequence[bytes]], name: str) -> str:
    return b" ".join(attributes.get(name, ())).decode("utf-8", "replace")
