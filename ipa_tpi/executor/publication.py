"""How the executor's entries get into the directory: journalled first, added once, recognised again.

A repeated add is the same add.  ``entryAlreadyExists`` is success only if class, creator and
content are ours; anything else under that name is forged, and denies.
"""

from dataclasses import dataclass
from typing import Protocol

from ipa_tpi.decide.intake import RawEntry
from ipa_tpi.errors import RefusedError
from ipa_tpi.executor.claims import Claims
from ipa_tpi.ports import NewEntry


class Entries(Protocol):
    """The part of the directory that is needed here."""

    def add_child(self, request_id: str, entry: NewEntry) -> None:
        """Add an entry below a request."""

    def raw_child(self, request_id: str, entry_id: str) -> RawEntry | None:
        """Read one entry below a request."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Adds journalled entries.

    Attributes:
        directory: Bound as tpi/HOST.
        claims: The journal.
        me: The executor's normal DN.
    """

    directory: Entries
    claims: Claims
    me: str

    def add(self, request_id: str, entry: NewEntry) -> None:
        """Add an entry that the journal holds.

        Args:
            request_id: The request.
            entry: As `Claims.write`, `Claims.show` or `Claims.pending_writes` gave it.

        Raises:
            RefusedError: Code ``forged-entry``: something else lies under its name.
            UnavailableError: It may or may not be there; the same call again decides it.
        """
        try:
            self.directory.add_child(request_id, entry)
        except RefusedError as error:
            if error.code != "id-taken":
                raise
            if not self._is_ours(request_id, entry):
                raise RefusedError(
                    f"something else lies under the id {entry.entry_id}; make a new request, and tell an auditor",
                    code="forged-entry",
                ) from error
        self.claims.added(entry.entry_id)

    def catch_up(self, request_id: str) -> int:
        """Add every entry that was journalled and is not known to be there.

        Args:
            request_id: The request.

        Returns:
            How many there were.
        """
        waiting = self.claims.pending_writes(request_id)
        for entry in waiting:
            self.add(request_id, entry)
        return len(waiting)

    def _is_ours(self, request_id: str, entry: NewEntry) -> bool:
        there = self.directory.raw_child(request_id, entry.entry_id)
        if there is None or there.creator != self.me:
            return False
        classes = {
            value.decode("utf-8", "replace").lower() for value in there.attributes.get("objectclass", ())
        }
        content = {name.lower(): sorted(values) for name, values in entry.attributes.items()}
        found = {name: sorted(there.attributes.get(name, ())) for name in content}
        return classes == {"top", entry.object_class.lower()} and found == content
