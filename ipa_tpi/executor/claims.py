"""The claims journal: what this executor has seen, promised, done (K13, E14).

SQLite in WAL mode with ``synchronous=FULL``: a statement that returned is on the disk.  One
process at a time holds it (a lock file beside it).  It is never created silently: a missing
journal stops the start, because a new one would forget what ran (`journal.create` is ``init``).

The row of a request in ``claims`` moves one way, each move in one synced transaction:
``intent`` → ``claimed`` → ``ended``, or straight to ``ended`` for a refusal.  Where the executor asks a
CA for a certificate it is ``intent`` → ``submitted`` → ``claimed`` → ``ended``: the one who moves it
from ``submitted`` to ``claimed`` is the CA's own validator, which issues nothing unless it was moved.
"""

import json
import os
import sqlite3
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any

from ipa_tpi.decide.approval import Verified
from ipa_tpi.decide.authorization import Memory
from ipa_tpi.decide.identity import Identity
from ipa_tpi.errors import JournalError
from ipa_tpi.executor.journal import VERSION, bring_up_to_date, demand, hold, translated
from ipa_tpi.model import Outcome
from ipa_tpi.ports import NewEntry


@dataclass(frozen=True, slots=True)
class Claim:
    """Where a request stands in the journal.

    Attributes:
        state: ``intent``, ``submitted``, ``claimed`` or ``ended``.
        nonce: What the execution entry bears; empty for a refusal before the intent.
        outcome: Of an ended one.
        code: Reason code of an ended one; empty for success.
        excerpt: For people.
        exit_status: 0 for success.
        started: When it was claimed; for what was submitted and never claimed, when it was submitted.
        ended: When it ended.
        published: The result entry is in the directory.
    """

    state: str
    nonce: str
    outcome: Outcome | None = None
    code: str = ""
    excerpt: str = ""
    exit_status: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    published: bool = False


@dataclass(frozen=True, slots=True)
class Enrolment:
    """For which certificate, by whom and how a request can be used up (DESIGN section 8).

    Attributes:
        request: Its id.
        csr: SHA-256 of the certificate request's DER, in hex.
        profile: The profile.
        ca: The CA's name.
        requester: The requester's canonical principal, as it was when the preview was made.
        way: Who submits it: ``executor`` or ``requester``.
        created: When the request was made.
    """

    request: str
    csr: str
    profile: str
    ca: str
    requester: str
    way: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Sight:
    """An entry as it was seen first.

    Attributes:
        entry: Its id, or the request's own.
        fingerprint: What it is (`decide.intake.fingerprint`).
        kept: It is a veto, an execution or a result, which must never vanish.
    """

    entry: str
    fingerprint: str
    kept: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """What a verified proof said."""

    request: str
    proof: str
    who: str
    initiator: str
    purpose: str
    digest: bytes
    auth_time: datetime | None = None
    indicators: frozenset[str] = frozenset()


class Claims:
    """An open journal.

    Args:
        path: A journal that `create` made.
        host: This host; a journal of another host is refused.

    Raises:
        JournalError: Missing, damaged, of another version or host, or held by another process.
    """

    def __init__(self, path: str, host: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        demand(path)
        self._held = hold(path + ".lock")
        try:
            self._database = self._open(host)
        except JournalError:
            os.close(self._held)
            raise

    @property
    def started(self) -> datetime:
        """When the journal was made."""
        return datetime.fromisoformat(self._value("SELECT value FROM meta WHERE name = 'created'"))

    def close(self) -> None:
        """Close it and let go of its lock; a transaction that runs is waited for."""
        with self._lock:
            self._database.close()
            os.close(self._held)

    def claim(self, request: str) -> Claim | None:
        """Tell where a request stands; None when nothing was promised."""
        rows = self._all(
            "SELECT state, nonce, outcome, code, excerpt, exit_status, coalesce(claimed_at, submitted_at), ended_at,"
            " published"
            " FROM claims WHERE request = ?",
            request,
        )
        if not rows:
            return None
        state, nonce, outcome, code, excerpt, status, claimed_at, ended_at, published = rows[0]
        return Claim(
            state=state,
            nonce=nonce,
            outcome=Outcome(outcome) if outcome else None,
            code=code or "",
            excerpt=excerpt or "",
            exit_status=status,
            started=datetime.fromisoformat(claimed_at) if claimed_at else None,
            ended=datetime.fromisoformat(ended_at) if ended_at else None,
            published=bool(published),
        )

    def see(self, request: str, sights: Sequence[Sight], now: datetime) -> None:
        """Remember the first sight of entries, in one transaction.

        Args:
            request: The request.
            sights: What is seen; what was seen before stays as it was then.
            now: The time.
        """
        at = now.isoformat()
        rows = [(request, one.entry, at, int(one.kept), one.fingerprint) for one in sights]
        self._insert("INSERT OR IGNORE INTO first_seen VALUES (?, ?, ?, ?, ?)", rows)

    def remember(self, request: str, identities: Sequence[Identity]) -> None:
        """Remember who was behind DNs at first sight, in one transaction."""
        rows = [(request, one.dn, one.unique_id, one.principal, one.person) for one in identities]
        self._insert("INSERT OR IGNORE INTO identities VALUES (?, ?, ?, ?, ?)", rows)

    def memory(self, request: str) -> Memory:
        """Give all that the decision asks the journal about."""
        claim = self.claim(request)
        seen = self._all("SELECT entry, at, kept, fingerprint FROM first_seen WHERE request = ?", request)
        preview = self._all("SELECT digest FROM previews WHERE request = ?", request)
        return Memory(
            journal_started=self.started,
            first_seen={entry: datetime.fromisoformat(at) for entry, at, _, _ in seen},
            fingerprints={entry: print_ for entry, _, _, print_ in seen},
            identities={
                row[0]: Identity(*row)
                for row in self._all(
                    "SELECT dn, unique_id, principal, person FROM identities WHERE request = ?", request
                )
            },
            seen=frozenset(entry for entry, _, kept, _ in seen if kept),
            written=frozenset(
                row[0] for row in self._all("SELECT entry FROM written WHERE request = ?", request)
            ),
            verified=frozenset(
                Verified(*row)
                for row in self._all(
                    "SELECT who, purpose, digest FROM receipts WHERE request = ? AND outcome = 'verified'",
                    request,
                )
            ),
            preview_digest=preview[0][0] if preview else None,
            own_nonce=claim.nonce if claim is not None and claim.state == "intent" else "",
        )

    def judged(self, request: str) -> Mapping[str, str]:
        """Give the outcome of each proof of a request that was judged, by entry id."""
        return dict(self._all("SELECT proof, outcome FROM judged WHERE request = ?", request))

    def knows_token(self, token: str) -> bool:
        """Tell whether a proof with this token was verified before.

        Args:
            token: SHA-256 of it, in hex.
        """
        return bool(self._all("SELECT 1 FROM receipts WHERE token = ?", token))

    def judge(self, request: str, proof: str, outcome: str) -> None:
        """Keep the refusal of a proof."""
        self._change("INSERT OR IGNORE INTO judged VALUES (?, ?, ?)", request, proof, outcome)

    def receive(self, token: str, row: ReceiptRow, now: datetime) -> None:
        """Keep a verified proof, in one transaction with its verdict (E14)."""
        with self._transaction() as database:
            database.execute(
                "INSERT INTO receipts VALUES (?, ?, ?, 'verified', ?, ?, ?, ?, ?, ?, ?)",
                (
                    token,
                    row.request,
                    row.proof,
                    row.who,
                    row.initiator,
                    row.purpose,
                    row.digest,
                    row.auth_time.isoformat() if row.auth_time else "",
                    " ".join(sorted(row.indicators)),
                    now.isoformat(),
                ),
            )
            database.execute("INSERT INTO judged VALUES (?, ?, 'verified')", (row.request, row.proof))

    def show(
        self,
        request: str,
        digest: bytes,
        precondition: bytes,
        entry: NewEntry,
        enrolment: Enrolment | None = None,
    ) -> NewEntry:
        """Keep the preview, and the entry that will carry it, in one transaction.

        Args:
            request: The request.
            digest: Of the preview.
            precondition: What is compared again.
            entry: What will carry it.
            enrolment: For which certificate it is, where it is for one; from now on it is found by that.

        Returns:
            The entry that was kept: this one, or the one of an earlier call.
        """
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO previews VALUES (?, ?, ?)", (request, digest, precondition)
            )
            _insert_written(database, request, "preview", entry)
            if enrolment is not None:
                row = (*astuple(enrolment)[:-1], enrolment.created.isoformat())
                database.execute("INSERT OR IGNORE INTO enrolments VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return self._kept(request, "preview")

    def precondition(self, request: str) -> bytes | None:
        """Give the precondition of the journalled preview."""
        rows = self._all("SELECT precondition FROM previews WHERE request = ?", request)
        return rows[0][0] if rows else None

    def write(self, request: str, role: str, entry: NewEntry) -> NewEntry:
        """Keep the bytes of an entry before it is added; the first call for a role wins.

        Args:
            request: The request.
            role: ``preview``, ``receipt:PROOF``, ``execution`` or ``result``.
            entry: The entry.

        Returns:
            The entry to add.
        """
        with self._transaction() as database:
            _insert_written(database, request, role, entry)
        return self._kept(request, role)

    def roles(self, request: str) -> frozenset[str]:
        """Give the roles of all entries of a request that were journalled."""
        return frozenset(row[0] for row in self._all("SELECT role FROM written WHERE request = ?", request))

    def written(self, request: str, role: str) -> NewEntry | None:
        """Give the journalled entry of a role; None when there is none."""
        rows = self._all(
            "SELECT entry, class, attributes FROM written WHERE request = ? AND role = ?", request, role
        )
        return _entry(*rows[0]) if rows else None

    def pending_writes(self, request: str) -> Sequence[NewEntry]:
        """Give the entries that were journalled and are not known to be in the directory."""
        rows = self._all(
            "SELECT entry, class, attributes FROM written WHERE request = ? AND added = 0", request
        )
        return [_entry(*row) for row in rows]

    def added(self, entry: str) -> None:
        """Mark an entry as being in the directory."""
        self._change("UPDATE written SET added = 1 WHERE entry = ?", entry)

    def intend(self, request: str, nonce: str, now: datetime, entry: NewEntry) -> None:
        """Step 4: promise to run, with the execution entry that will say so.

        Raises:
            JournalError: Something was promised before.
        """
        with self._transaction() as database:
            database.execute(
                "INSERT INTO claims (request, state, nonce, intent_at) VALUES (?, 'intent', ?, ?)",
                (request, nonce, now.isoformat()),
            )
            _insert_written(database, request, "execution", entry)

    def take(self, request: str, nonce: str, now: datetime) -> None:
        """Step 7: claim; from here on it is never tried again.

        Raises:
            JournalError: There is no such intent.
        """
        self._move(
            "UPDATE claims SET state = 'claimed', claimed_at = ? WHERE request = ? AND state = 'intent' AND nonce = ?",
            now.isoformat(),
            request,
            nonce,
        )

    def submit(self, request: str, nonce: str, now: datetime) -> None:
        """Step 7, where the executor asks a CA for a certificate: from here on it is never tried again.

        Raises:
            JournalError: There is no such intent.
        """
        self._move(
            "UPDATE claims SET state = 'submitted', submitted_at = ?"
            " WHERE request = ? AND state = 'intent' AND nonce = ?",
            now.isoformat(),
            request,
            nonce,
        )

    def consume(self, request: str, now: datetime) -> None:
        """Claim what was submitted: the one certificate for it is about to be issued.

        Raises:
            JournalError: It was not submitted, or was claimed or ended meanwhile.
        """
        self._move(
            "UPDATE claims SET state = 'claimed', claimed_at = ? WHERE request = ? AND state = 'submitted'",
            now.isoformat(),
            request,
        )

    def settle(self, request: str, refused: Claim, doubtful: Claim, now: datetime) -> None:
        """Step 9 for what was submitted, in one transaction that no consume can come between.

        Args:
            request: The request.
            refused: Its end, if it was never claimed.
            doubtful: Its end, if it was.
            now: The time.

        Raises:
            JournalError: It was not submitted, or had ended before.
        """
        if refused.outcome is None or doubtful.outcome is None:
            raise JournalError("an end needs an outcome; report this")
        with self._transaction() as database:
            (state,) = database.execute(
                "SELECT state FROM claims WHERE request = ?", (request,)
            ).fetchone() or ("",)
            if state not in {"submitted", "claimed"}:
                raise JournalError("what ends here was never submitted, or had ended; report this")
            claim, outcome = (
                (refused, refused.outcome) if state == "submitted" else (doubtful, doubtful.outcome)
            )
            database.execute(
                "UPDATE claims SET state = 'ended', ended_at = ?, outcome = ?, code = ?, excerpt = ?, exit_status = ?"
                " WHERE request = ?",
                (
                    now.isoformat(),
                    outcome.value,
                    claim.code,
                    claim.excerpt,
                    claim.exit_status,
                    request,
                ),
            )

    def enrolments(self, csr: str) -> Sequence[tuple[Enrolment, str]]:
        """Give what can be, or was, used up for a certificate request, the oldest first, each with its state.

        Args:
            csr: SHA-256 of its DER, in hex.

        Returns:
            Each with the state of its claim; empty where nothing was promised yet.
        """
        rows = self._all(
            "SELECT enrolments.*, coalesce(claims.state, '') FROM enrolments"
            " LEFT JOIN claims ON claims.request = enrolments.request WHERE csr = ?"
            " ORDER BY created, enrolments.request",
            csr,
        )
        return [
            (Enrolment(request, csr, profile, ca, who, way, datetime.fromisoformat(created)), state)
            for request, csr, profile, ca, who, way, created, state in rows
        ]

    def way(self, request: str) -> str:
        """Tell who submits a request's certificate request; empty where it is for no certificate."""
        rows = self._all("SELECT way FROM enrolments WHERE request = ?", request)
        return rows[0][0] if rows else ""

    def end(self, request: str, claim: Claim, now: datetime) -> None:
        """Step 9: keep the outcome.

        Raises:
            JournalError: It had ended before.
        """
        if claim.outcome is None:
            raise JournalError("an end needs an outcome; report this")
        self._move(
            "INSERT INTO claims (request, state, nonce, ended_at, outcome, code, excerpt, exit_status)"
            " VALUES (?, 'ended', '', ?, ?, ?, ?, ?)"
            " ON CONFLICT (request) DO UPDATE SET state = 'ended', ended_at = excluded.ended_at,"
            " outcome = excluded.outcome, code = excluded.code, excerpt = excluded.excerpt,"
            " exit_status = excluded.exit_status WHERE state <> 'ended'",
            request,
            now.isoformat(),
            claim.outcome.value,
            claim.code,
            claim.excerpt,
            claim.exit_status,
        )

    def ended(self, requests: Sequence[str]) -> frozenset[str]:
        """Tell which of these requests have ended."""
        rows = self._all(
            "SELECT request FROM claims WHERE state = 'ended' AND request IN (SELECT value FROM json_each(?))",
            json.dumps(list(requests)),
        )
        return frozenset(row[0] for row in rows)

    def publish(self, request: str) -> None:
        """Step 10: mark the result as being in the directory."""
        self._change("UPDATE claims SET published = 1 WHERE request = ?", request)

    def finished(self, requests: Sequence[str]) -> frozenset[str]:
        """Tell which of these requests need nothing more."""
        rows = self._all(
            "SELECT request FROM claims WHERE published = 1 AND request IN (SELECT value FROM json_each(?))",
            json.dumps(list(requests)),
        )
        return frozenset(row[0] for row in rows)

    def answered(self) -> frozenset[str]:
        """Give the ids of all requests whose result we have put into the directory."""
        return frozenset(
            row[0]
            for row in self._all(
                "SELECT claims.request FROM claims JOIN written ON written.request = claims.request"
                " AND written.role = 'result' WHERE claims.published = 1"
            )
        )

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Read, for who keeps tables of his own in this journal."""
        return self._all(statement, *values)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Write, all of it or nothing and synced, for who keeps tables of his own in this journal."""
        return self._transaction()

    def unfinished(self) -> frozenset[str]:
        """Give the ids of requests that were promised or ended, and not published."""
        return frozenset(row[0] for row in self._all("SELECT request FROM claims WHERE published = 0"))

    def _open(self, host: str) -> sqlite3.Connection:
        with translated(self._path):
            self._database = sqlite3.connect(
                f"file:{self._path}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
        self._check(host)
        return self._database

    def _check(self, host: str) -> None:
        if self._value("PRAGMA quick_check") != "ok":
            raise JournalError(
                f"the journal {self._path} is damaged; keep a copy, then ask for help. Nothing is run."
            )
        if self._value("SELECT value FROM meta WHERE name = 'host'") != host:
            raise JournalError(
                f"the journal {self._path} belongs to another host; a copied host makes its own: ipa-tpi-executor init"
            )
        with translated(self._path):
            bring_up_to_date(self._database)
        if self._value("SELECT value FROM meta WHERE name = 'version'") != VERSION:
            raise JournalError(
                f"the journal {self._path} is of another version of ipa-tpi; install that version again"
            )

    def _kept(self, request: str, role: str) -> NewEntry:
        rows = self._all(
            "SELECT entry, class, attributes FROM written WHERE request = ? AND role = ?", request, role
        )
        return _entry(*rows[0])

    def _value(self, statement: str) -> str:
        rows = self._all(statement)
        if not rows:
            raise JournalError(
                f"the journal {self._path} is not one of ours; correct executor.toml, or move the file away"
            )
        return str(rows[0][0])

    def _all(self, statement: str, *values: object) -> list[Any]:
        with self._lock, translated(self._path):
            return self._database.execute(statement, values).fetchall()

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            with self._transaction() as database:
                database.executemany(statement, rows)

    def _change(self, statement: str, *values: object) -> None:
        with self._transaction() as database:
            database.execute(statement, values)

    def _move(self, statement: str, *values: object) -> None:
        with self._transaction() as database:
            if database.execute(statement, values).rowcount != 1:
                raise JournalError(
                    "the journal says that this request was taken or ended already; it is looked at anew by itself"
                )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                # A commit that failed may have left the transaction open, and then nothing else could begin one.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise


def _insert_written(database: sqlite3.Connection, request: str, role: str, entry: NewEntry) -> None:
    attributes = {
        name: [b64encode(value).decode() for value in values] for name, values in entry.attributes.items()
    }
    database.execute(
        "INSERT OR IGNORE INTO written (request, role, entry, class, attributes) VALUES (?, ?, ?, ?, ?)",
        (request, role, entry.entry_id, entry.object_class, json.dumps(attributes)),
    )


def _entry(entry_id: str, object_class: str, attributes: str) -> NewEntry:
    decoded = {
        name: [b64decode(value) for value in values] for name, values in json.loads(attributes).items()
    }
    return NewEntry(entry_id, object_class, decoded)


def utc_now() -> datetime:
    """Tell the time of this host."""
    return datetime.now(tz=UTC)
