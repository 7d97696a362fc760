"""The journal's file: made once, never silently; held by one process (K13, X12)."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ipa_tpi.errors import JournalError

VERSION: Final = "3"
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE first_seen (
  request TEXT NOT NULL, entry TEXT NOT NULL, at TEXT NOT NULL, kept INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  PRIMARY KEY (request, entry)) STRICT;
CREATE TABLE identities (
  request TEXT NOT NULL, dn TEXT NOT NULL, unique_id TEXT NOT NULL, principal TEXT NOT NULL,
  person TEXT NOT NULL, PRIMARY KEY (request, dn)) STRICT;
CREATE TABLE receipts (
  token TEXT PRIMARY KEY, request TEXT NOT NULL, proof TEXT NOT NULL, outcome TEXT NOT NULL, who TEXT NOT NULL,
  initiator TEXT NOT NULL, purpose TEXT NOT NULL, digest BLOB NOT NULL, auth_time TEXT NOT NULL,
  indicators TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE INDEX receipts_request ON receipts (request);
CREATE TABLE judged (request TEXT NOT NULL, proof TEXT NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (request, proof)) STRICT;
CREATE TABLE written (
  request TEXT NOT NULL, role TEXT NOT NULL, entry TEXT NOT NULL UNIQUE, class TEXT NOT NULL, attributes TEXT NOT NULL,
  added INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (request, role)) STRICT;
CREATE TABLE previews (request TEXT PRIMARY KEY, digest BLOB NOT NULL, precondition BLOB NOT NULL) STRICT;
"""
# The trigger stands behind the conditions of `claims`, which nobody may forget (K13).
_CLAIMS: Final = """
CREATE TABLE claims (
  request TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('intent', 'submitted', 'claimed', 'ended')),
  nonce TEXT NOT NULL, intent_at TEXT, submitted_at TEXT, claimed_at TEXT, ended_at TEXT, outcome TEXT, code TEXT,
  excerpt TEXT, exit_status INTEGER, published INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TRIGGER claims_move_forward BEFORE UPDATE OF state ON claims
  WHEN CASE new.state
    WHEN 'submitted' THEN old.state <> 'intent'
    WHEN 'claimed' THEN old.state NOT IN ('intent', 'submitted')
    WHEN 'ended' THEN old.state = 'ended'
    ELSE 1 END
  BEGIN SELECT RAISE(ABORT, 'a claim moves forward only'); END;
CREATE TABLE enrolments (
  request TEXT PRIMARY KEY, csr TEXT NOT NULL, profile TEXT NOT NULL, ca TEXT NOT NULL, requester TEXT NOT NULL,
  way TEXT NOT NULL CHECK (way IN ('executor', 'requester')), created TEXT NOT NULL) STRICT;
CREATE INDEX enrolments_csr ON enrolments (csr);
"""
_OLD_CLAIMS: Final = (
    "request, state, nonce, intent_at, claimed_at, ended_at, outcome, code, excerpt, exit_status, published"
)
_REMOVALS: Final = """
CREATE TABLE removals (
  number INTEGER PRIMARY KEY, request TEXT NOT NULL, operation TEXT NOT NULL, target TEXT NOT NULL,
  requester TEXT NOT NULL, created TEXT NOT NULL, digest TEXT NOT NULL, outcome TEXT NOT NULL, voices TEXT NOT NULL,
  entries INTEGER NOT NULL, content TEXT NOT NULL, planned_at TEXT NOT NULL, removed_at TEXT) STRICT;
CREATE UNIQUE INDEX removals_open ON removals (request) WHERE removed_at IS NULL;
"""
# What makes a journal of an older version one of the next.  Later work adds tables; one that has to know more states
# is written anew, row by row.
_STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "1": (_REMOVALS, "UPDATE meta SET value = '2' WHERE name = 'version';"),
    "2": (
        "ALTER TABLE claims RENAME TO claims_before;",
        _CLAIMS,
        f"INSERT INTO claims ({_OLD_CLAIMS}) SELECT {_OLD_CLAIMS} FROM claims_before;",  # noqa: S608 (both are ours)
        "DROP TABLE claims_before;",
        "UPDATE meta SET value = '3' WHERE name = 'version';",
    ),
}


def create(path: str, host: str, now: datetime) -> None:
    """Make a new, empty journal.

    Args:
        path: Where; its folder exists.
        host: This host's name, kept in it.
        now: Requests older than this will be refused.

    Raises:
        JournalError: There is one already, or it cannot be made.
    """
    half = Path(path + ".new")  # a journal that is half made never lies under its name
    try:
        half.unlink(missing_ok=True)
        os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _fill(half, host, now)
        os.link(half, path)
        _sync(half.parent)
    except FileExistsError as error:
        raise JournalError(
            f"there is a journal at {path} already, and it is never overwritten; "
            "if it is to be given up, move it away first (ipa-tpi-executor(8))"
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise JournalError(
            f"the journal {path} cannot be made: {error}; it needs space, and a folder that belongs to this account"
        ) from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Add to a journal that an older version made what this one needs, each step in one synced transaction.

    Args:
        connection: Of the journal, which this process holds; outside of any transaction.
    """
    while True:
        rows = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchall()
        step = _STEPS.get(rows[0][0]) if rows else None
        if step is None:  # this version's, or one that nobody here knows
            return
        connection.executescript(" ".join(("BEGIN IMMEDIATE;", *step, "COMMIT;")))


def demand(path: str) -> None:
    """Refuse to go on without a journal (R-X12).

    Args:
        path: Where it has to be.

    Raises:
        JournalError: There is none, or this account cannot write it.
    """
    try:
        with Path(path).open("r+b"):
            return
    except FileNotFoundError as error:
        raise JournalError(
            f"there is no journal at {path}. On a new host run: ipa-tpi-executor init. "
            "If there was one before, restore nothing: requests made until now will be refused."
        ) from error
    except OSError as error:
        raise JournalError(
            f"the journal {path} cannot be opened: {error}; it has to belong to the executor's account"
        ) from error


def hold(path: str) -> int:
    """Keep other processes out.

    Args:
        path: Of the lock file, which is made where there is none.

    Returns:
        What to close in order to let go.

    Raises:
        JournalError: Another process holds it, or the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(
            f"the journal's lock {path} cannot be opened: {error}; it has to belong to the executor's account"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"another executor holds the journal ({path}: {error}); stop it first") from error
    return descriptor


@contextmanager
def reading(path: str) -> Iterator[Callable[..., list[Any]]]:
    """Read a journal that another process may hold, and change nothing in it.

    Args:
        path: The journal.

    Yields:
        What takes a statement and its values, and gives the rows.

    Raises:
        JournalError: It cannot be read.
    """
    with translated(path), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        yield lambda statement, *values: connection.execute(statement, values).fetchall()


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn every error of SQLite and of the disk into ours.

    Args:
        path: The journal, for the message.

    Raises:
        JournalError: Whatever happened inside.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            f"the journal {path} could not be read or written: {error}; nothing is run until it can"
        ) from error


def _fill(path: Path, host: str, now: datetime) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(f"BEGIN; {_SCHEMA} {_REMOVALS} {_CLAIMS} COMMIT;")
        rows = [("version", VERSION), ("host", host), ("created", now.isoformat())]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
