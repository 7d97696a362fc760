"""The claims journal (DESIGN sections 2 and 3; K13, E14)."""

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from decide_builders import ALICE, BOB, T0

from ipa_tpi.decide.approval import Verified
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.errors import JournalError
from ipa_tpi.executor.claims import Claim, Claims, Enrolment, ReceiptRow, Sight, utc_now
from ipa_tpi.executor.journal import create
from ipa_tpi.model import Outcome
from ipa_tpi.ports import NewEntry

HOST = "ipa1.tpi.test"
ENTRY = NewEntry("e1", "ipaTpiExecution", {"ipaTpiNonce": [b"n", b"\0\xff"]})
OTHER = NewEntry("e2", "ipaTpiExecution", {"ipaTpiNonce": [b"m"]})
LATER = T0 + timedelta(seconds=5)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A journal that was made, and is not open."""
    made = str(tmp_path / "journal.sqlite")
    create(made, HOST, T0)
    return made


@pytest.fixture
def claims(path: str) -> Iterator[Claims]:
    """An open journal."""
    opened = Claims(path, HOST)
    yield opened
    opened.close()


def ended(
    outcome: Outcome = Outcome.EXECUTED, code: str = "", excerpt: str = "done", status: int | None = 0
) -> Claim:
    """Give an end."""
    return Claim("ended", "", outcome, code, excerpt, status)


# --- making and opening ---------------------------------------------------------


def test_a_journal_is_private(path: str) -> None:
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_a_journal_is_never_overwritten(path: str) -> None:
    with pytest.raises(JournalError, match="never overwritten"):
        create(path, HOST, T0)


def test_a_journal_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be made"):
        create(str(tmp_path / "missing" / "journal"), HOST, T0)


def test_a_journal_that_is_half_made_is_none(tmp_path: Path) -> None:
    """The disk is full in the middle, or the power fails: what lies there neither starts nor stops an ``init``."""
    (tmp_path / "journal.new").mkdir()
    with pytest.raises(JournalError, match="cannot be made"):
        create(str(tmp_path / "journal"), HOST, T0)
    (tmp_path / "journal.new").rmdir()
    (tmp_path / "journal.new").write_bytes(b"half")
    create(str(tmp_path / "journal"), HOST, T0)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]
    Claims(str(tmp_path / "journal"), HOST).close()


def test_a_journal_that_cannot_be_opened_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with pytest.raises(JournalError, match="belong to the executor's account"):
        Claims(str(tmp_path / "journal"), HOST)


def test_a_lock_that_cannot_be_opened_is_not_called_held(path: str) -> None:
    Path(path + ".lock").mkdir()
    with pytest.raises(JournalError, match=r"lock .* cannot be opened"):
        Claims(path, HOST)


def test_a_journal_is_never_made_silently(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="ipa-tpi-executor init"):
        Claims(str(tmp_path / "journal"), HOST)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_is_held_by_one(claims: Claims, path: str) -> None:
    assert claims.started == T0
    with pytest.raises(JournalError, match="another executor holds"):
        Claims(path, HOST)


def test_a_journal_of_another_host_is_refused(path: str) -> None:
    with pytest.raises(JournalError, match="belongs to another host"):
        Claims(path, "ipa2.tpi.test")


def test_after_a_refused_start_the_right_one_may_start(path: str) -> None:
    with pytest.raises(JournalError):
        Claims(path, "ipa2.tpi.test")
    Claims(path, HOST).close()


def change(path: str, statement: str) -> None:
    """Change a journal past the program."""
    with sqlite3.connect(path) as database:
        database.execute(statement)


def test_a_journal_of_another_version_is_refused(path: str) -> None:
    change(path, "UPDATE meta SET value = '4' WHERE name = 'version'")
    with pytest.raises(JournalError, match="another version"):
        Claims(path, HOST)


OLD_CLAIMS = """CREATE TABLE claims (
  request TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('intent', 'claimed', 'ended')),
  nonce TEXT NOT NULL, intent_at TEXT, claimed_at TEXT, ended_at TEXT, outcome TEXT, code TEXT, excerpt TEXT,
  exit_status INTEGER, published INTEGER NOT NULL DEFAULT 0) STRICT"""


def make_old(path: str, version: str) -> None:
    """Make a journal one of an older version, with a claim and an end in it."""
    change(path, f"UPDATE meta SET value = '{version}' WHERE name = 'version'")  # noqa: S608
    change(path, "DROP TABLE claims")
    change(path, "DROP TABLE enrolments")
    change(path, OLD_CLAIMS)
    change(path, "INSERT INTO claims (request, state, nonce) VALUES ('r', 'claimed', 'n')")
    change(
        path,
        "INSERT INTO claims VALUES ('s', 'ended', 'm', '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:01+00:00',"
        " '2026-01-01T00:00:02+00:00', 'failed', 'x', 'y', 1, 1)",
    )
    if version == "1":
        change(path, "DROP TABLE removals")


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_journal_of_a_version_before_is_brought_up_to_date(path: str, version: str) -> None:
    make_old(path, version)
    for _ in range(2):
        opened = Claims(path, HOST)
        assert opened.rows("SELECT value FROM meta WHERE name = 'version'") == [("3",)]
        assert opened.rows("SELECT * FROM removals") == []
        assert opened.unfinished() == {"r"}
        assert opened.claim("r") == Claim("claimed", "n")
        there = opened.claim("s")
        assert there is not None
        assert (there.outcome, there.code, there.excerpt, there.exit_status, there.published) == (
            Outcome.FAILED,
            "x",
            "y",
            1,
            True,
        )
        assert there.started is not None
        assert (there.started.second, there.ended and there.ended.second) == (1, 2)
        opened.close()
    with sqlite3.connect(path) as database:
        assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'claims_before'").fetchall()


def test_a_journal_that_cannot_be_brought_up_to_date_stays_what_it_was(path: str) -> None:
    """It has the table already, so that it is of no version that we made."""
    change(path, "UPDATE meta SET value = '1' WHERE name = 'version'")
    with pytest.raises(JournalError, match="could not be read or written"):
        Claims(path, HOST)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT value FROM meta WHERE name = 'version'").fetchall() == [("1",)]


def test_a_journal_of_another_host_is_not_brought_up_to_date(path: str) -> None:
    change(path, "UPDATE meta SET value = '1' WHERE name = 'version'")
    with pytest.raises(JournalError, match="belongs to another host"):
        Claims(path, "ipa2.tpi.test")


def test_a_journal_without_its_marks_is_refused(path: str) -> None:
    change(path, "DELETE FROM meta")
    with pytest.raises(JournalError, match="not one of ours"):
        Claims(path, HOST)


def test_an_empty_file_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").touch()
    with pytest.raises(JournalError, match="could not be read"):
        Claims(str(tmp_path / "journal"), HOST)


@pytest.mark.parametrize("offset", [0, 4096, 8192])
def test_a_damaged_journal_is_refused(path: str, offset: int) -> None:
    with Path(path).open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 2000)
    with pytest.raises(JournalError):
        Claims(path, HOST)


def test_what_was_journalled_is_there_after_a_crash(path: str) -> None:
    """No close: the file is opened again as it lies there, with its write-ahead log."""
    first = Claims(path, HOST)
    first.intend("r", "n", T0, ENTRY)
    copies = {
        suffix: Path(path + suffix).read_bytes() for suffix in ("", "-wal") if Path(path + suffix).exists()
    }
    first.close()
    for suffix, content in copies.items():
        Path(path + suffix).write_bytes(content)
    again = Claims(path, HOST)
    assert again.claim("r") == Claim("intent", "n")
    again.close()


def test_it_syncs_fully(claims: Claims) -> None:
    assert claims._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert claims._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# --- a claim moves one way --------------------------------------------------------


def test_a_claim_from_intent_to_end(claims: Claims) -> None:
    assert claims.claim("r") is None
    claims.intend("r", "n", T0, ENTRY)
    assert claims.claim("r") == Claim("intent", "n")
    claims.take("r", "n", LATER)
    assert claims.claim("r") == Claim("claimed", "n", started=LATER)
    claims.end("r", ended(), LATER)
    assert claims.claim("r") == Claim("ended", "n", Outcome.EXECUTED, "", "done", 0, LATER, LATER)
    assert (set(claims.unfinished()), set(claims.finished(["r", "s"]))) == ({"r"}, set())
    claims.publish("r")
    assert (set(claims.unfinished()), set(claims.finished(["r", "s"]))) == (set(), {"r"})


def test_only_those_that_were_asked_about_are_told_as_finished(claims: Claims) -> None:
    for request in ("r", "s", "t"):
        claims.end(request, ended(), T0)
        claims.publish(request)
    assert claims.finished(["s", "x", "t"]) == {"s", "t"}
    assert claims.finished([]) == frozenset()
    assert claims.finished(["r"] * 100_000) == {"r"}


def test_a_refusal_ends_without_an_intent(claims: Claims) -> None:
    claims.end("r", ended(Outcome.DENIED, "no-rule", "no", None), T0)
    assert claims.claim("r") == Claim("ended", "", Outcome.DENIED, "no-rule", "no", None, None, T0)


@pytest.mark.parametrize("before", ["intent", "claimed", "ended"])
def test_nothing_is_promised_twice(claims: Claims, before: str) -> None:
    bring(claims, before)
    there = claims.claim("r")
    with pytest.raises(JournalError):
        claims.intend("r", "other", LATER, OTHER)
    assert claims.claim("r") == there
    assert [entry.entry_id for entry in claims.pending_writes("r")] == (["e1"] if before != "refused" else [])


@pytest.mark.parametrize("before", ["nothing", "claimed", "ended", "refused"])
def test_only_an_intent_is_claimed(claims: Claims, before: str) -> None:
    bring(claims, before)
    there = claims.claim("r")
    with pytest.raises(JournalError, match="taken or ended already"):
        claims.take("r", "n", LATER)
    assert claims.claim("r") == there


def test_only_the_promised_nonce_is_claimed(claims: Claims) -> None:
    bring(claims, "intent")
    with pytest.raises(JournalError):
        claims.take("r", "other", LATER)
    assert claims.claim("r") == Claim("intent", "n")


@pytest.mark.parametrize("before", ["ended", "refused"])
def test_an_end_is_the_end(claims: Claims, before: str) -> None:
    bring(claims, before)
    there = claims.claim("r")
    with pytest.raises(JournalError, match="ended already"):
        claims.end("r", ended(Outcome.FAILED), LATER)
    assert claims.claim("r") == there


def test_an_end_needs_an_outcome(claims: Claims) -> None:
    with pytest.raises(JournalError, match="needs an outcome"):
        claims.end("r", Claim("ended", ""), T0)


def test_claims_of_two_requests_are_two(claims: Claims) -> None:
    claims.intend("r", "n", T0, ENTRY)
    claims.intend("s", "m", T0, OTHER)
    claims.take("s", "m", T0)
    assert claims.claim("r") == Claim("intent", "n")
    assert claims.memory("r").own_nonce == "n"
    assert claims.memory("s").own_nonce == ""


def submit(claims: Claims, request: str = "r", entry: NewEntry = ENTRY) -> None:
    """Bring a request to where the executor asks the CA."""
    claims.intend(request, "n", T0, entry)
    claims.submit(request, "n", T0)


FAILED = ended(Outcome.FAILED, "action-failed", "no; ask", 1)
DOUBTFUL = ended(Outcome.INDETERMINATE, "outcome-unknown", "look", None)


def test_a_submission_is_claimed_once(claims: Claims) -> None:
    submit(claims)
    assert claims.claim("r") == Claim("submitted", "n", started=T0)
    assert claims.memory("r").own_nonce == ""
    claims.consume("r", LATER)
    assert claims.claim("r") == Claim("claimed", "n", started=LATER)
    with pytest.raises(JournalError, match="taken or ended"):
        claims.consume("r", LATER)
    claims.end("r", ended(), LATER)
    assert claims.claim("r") == Claim("ended", "n", Outcome.EXECUTED, "", "done", 0, LATER, LATER)


@pytest.mark.parametrize("before", ["nothing", "intent", "claimed", "ended", "refused"])
def test_only_what_was_submitted_is_consumed(claims: Claims, before: str) -> None:
    bring(claims, before)
    there = claims.claim("r")
    with pytest.raises(JournalError, match="taken or ended"):
        claims.consume("r", LATER)
    assert claims.claim("r") == there


@pytest.mark.parametrize("before", ["nothing", "claimed", "ended", "refused"])
def test_only_an_intent_is_submitted(claims: Claims, before: str) -> None:
    bring(claims, before)
    with pytest.raises(JournalError, match="taken or ended"):
        claims.submit("r", "n", LATER)
    submit(claims, "s", OTHER)
    for statement in (lambda: claims.submit("s", "n", LATER), lambda: claims.take("s", "n", LATER)):
        with pytest.raises(JournalError, match="taken or ended"):
            statement()
    assert claims.claim("s") == Claim("submitted", "n", started=T0)


def test_only_the_promised_nonce_is_submitted(claims: Claims) -> None:
    bring(claims, "intent")
    with pytest.raises(JournalError):
        claims.submit("r", "other", LATER)
    assert claims.claim("r") == Claim("intent", "n")


@pytest.mark.parametrize("claimed", [False, True])
def test_a_refusal_fails_only_what_was_never_claimed(claims: Claims, claimed: bool) -> None:
    submit(claims)
    if claimed:
        claims.consume("r", T0)
    claims.settle("r", FAILED, DOUBTFUL, LATER)
    found = claims.claim("r")
    assert found is not None
    end = DOUBTFUL if claimed else FAILED
    assert (found.outcome, found.code, found.excerpt, found.exit_status, found.ended) == (
        end.outcome,
        end.code,
        end.excerpt,
        end.exit_status,
        LATER,
    )
    with pytest.raises(JournalError, match="taken or ended"):
        claims.consume("r", LATER)
    with pytest.raises(JournalError, match="never submitted"):
        claims.settle("r", FAILED, DOUBTFUL, LATER)


@pytest.mark.parametrize("before", ["nothing", "intent", "ended", "refused"])
def test_only_what_was_submitted_is_settled(claims: Claims, before: str) -> None:
    bring(claims, before)
    there = claims.claim("r")
    with pytest.raises(JournalError, match="never submitted"):
        claims.settle("r", FAILED, DOUBTFUL, LATER)
    assert claims.claim("r") == there
    with pytest.raises(JournalError, match="needs an outcome"):
        claims.settle("r", FAILED, Claim("ended", ""), LATER)


ORDER = ("intent", "submitted", "claimed", "ended")


@pytest.mark.parametrize("before", ORDER)
@pytest.mark.parametrize("after", ORDER)
def test_the_file_itself_lets_a_claim_move_forward_only(path: str, before: str, after: str) -> None:
    change(path, f"INSERT INTO claims (request, state, nonce) VALUES ('r', '{before}', 'n')")  # noqa: S608
    statement = f"UPDATE claims SET state = '{after}' WHERE request = 'r'"  # noqa: S608
    if ORDER.index(before) < ORDER.index(after):
        change(path, statement)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="forward only"):
            change(path, statement)
    change(path, "UPDATE claims SET published = 1")


def test_enrolments_are_found_by_their_certificate_request(claims: Claims) -> None:
    for request, seconds in (("s", 1), ("r", 1), ("t", 0)):
        entry = NewEntry(f"p-{request}", "ipaTpiPreview", {})
        made = Enrolment(request, "csr", "p", "ipa", "alice@X", "executor", T0 + timedelta(seconds=seconds))
        for again in (made, replace(made, csr="other", way="requester")):  # the first one stays
            claims.show(request, b"d", b"{}", entry, again)
    claims.intend("t", "n", T0, ENTRY)
    found = claims.enrolments("csr")
    assert [(one.request, state) for one, state in found] == [("t", "intent"), ("r", ""), ("s", "")]
    assert found[0][0] == Enrolment("t", "csr", "p", "ipa", "alice@X", "executor", T0)
    assert (claims.enrolments("other"), claims.way("r"), claims.way("x")) == ([], "executor", "")


def bring(claims: Claims, state: str) -> None:
    """Bring a request to a state."""
    if state == "refused":
        claims.end("r", ended(Outcome.DENIED, "x", "y", None), T0)
    elif state != "nothing":
        claims.intend("r", "n", T0, ENTRY)
        if state != "intent":
            claims.take("r", "n", T0)
        if state == "ended":
            claims.end("r", ended(), T0)


# --- what is remembered --------------------------------------------------------------


def test_the_first_sight_is_kept(claims: Claims) -> None:
    claims.see("r", [Sight("veto", "print of veto", kept=True)], T0)
    claims.see("r", [Sight("proof", "print of proof"), Sight("veto", "print of another")], LATER)
    claims.see("s", [Sight("veto", "print of veto", kept=True)], LATER)
    memory = claims.memory("r")
    assert memory.first_seen == {"veto": T0, "proof": LATER}
    assert memory.seen == {"veto"}
    assert memory.fingerprints == {"veto": "print of veto", "proof": "print of proof"}
    assert memory.journal_started == T0


def test_the_first_identity_is_kept(claims: Claims) -> None:
    claims.remember("r", [identity_of(ALICE)])
    changed = identity_of(ALICE).__class__(ALICE.dn, "other", "other", "other")
    claims.remember("r", [identity_of(BOB), changed])
    assert claims.memory("r").identities == {ALICE.dn: identity_of(ALICE), BOB.dn: identity_of(BOB)}
    assert claims.memory("s").identities == {}


def test_a_verified_proof_is_kept_with_its_verdict(claims: Claims) -> None:
    row = ReceiptRow("r", "p", BOB.dn, "bob@TPI.TEST", "approve", b"\0\xff", T0, frozenset({"otp", "pkinit"}))
    assert not claims.knows_token("t")
    claims.receive("t", row, LATER)
    assert claims.knows_token("t")
    assert claims.judged("r") == {"p": "verified"}
    assert claims.memory("r").verified == {Verified(BOB.dn, "approve", b"\0\xff")}
    assert claims.memory("s").verified == frozenset()


def test_a_token_counts_once(claims: Claims) -> None:
    row = ReceiptRow("r", "p", BOB.dn, "bob@TPI.TEST", "approve", b"d")
    claims.receive("t", row, T0)
    with pytest.raises(JournalError):
        claims.receive("t", ReceiptRow("s", "q", BOB.dn, "bob@TPI.TEST", "approve", b"e"), T0)
    assert claims.judged("s") == {}
    assert claims.memory("s").verified == frozenset()


def test_a_verdict_is_kept_whole_or_not_at_all(claims: Claims) -> None:
    claims.judge("r", "p", "proof-invalid")
    with pytest.raises(JournalError):
        claims.receive("t", ReceiptRow("r", "p", BOB.dn, "bob@TPI.TEST", "approve", b"d"), T0)
    assert not claims.knows_token("t")
    assert claims.judged("r") == {"p": "proof-invalid"}
    claims.judge("r", "p", "other")
    assert claims.judged("r") == {"p": "proof-invalid"}


def test_the_first_preview_is_the_preview(claims: Claims) -> None:
    first = NewEntry("e1", "ipaTpiPreview", {"ipaTpiBody": [b"one"]})
    second = NewEntry("e2", "ipaTpiPreview", {"ipaTpiBody": [b"two"]})
    assert claims.precondition("r") is None
    assert claims.memory("r").preview_digest is None
    assert claims.show("r", b"1", b"{}", first) == first
    assert claims.show("r", b"2", b"[]", second) == first
    assert claims.precondition("r") == b"{}"
    assert claims.memory("r").preview_digest == b"1"


def test_the_first_bytes_for_a_role_are_the_bytes(claims: Claims) -> None:
    assert claims.write("r", "result", ENTRY) == ENTRY
    assert claims.write("r", "result", OTHER) == ENTRY
    assert claims.write("s", "result", OTHER) == OTHER
    assert claims.memory("r").written == {"e1"}


def test_what_is_not_known_to_be_there_is_added_again(claims: Claims) -> None:
    claims.write("r", "receipt:p", ENTRY)
    claims.write("r", "result", OTHER)
    assert claims.pending_writes("r") == [ENTRY, OTHER]
    claims.added("e1")
    assert claims.pending_writes("r") == [OTHER]
    claims.added("unknown")
    assert claims.pending_writes("s") == []
    assert claims.memory("r").written == {"e1", "e2"}


# --- a disk that fails ------------------------------------------------------------------


def test_a_write_that_fails_changes_nothing(claims: Claims) -> None:
    claims._database.execute("PRAGMA query_only = ON")
    for write in (
        lambda: claims.see("r", [Sight("e", "print of e", kept=True)], T0),
        lambda: claims.intend("r", "n", T0, ENTRY),
        lambda: claims.end("r", ended(), T0),
        lambda: claims.write("r", "result", ENTRY),
        lambda: claims.publish("r"),
    ):
        with pytest.raises(JournalError, match="nothing is run until it can"):
            write()
    claims._database.execute("PRAGMA query_only = OFF")
    assert claims.claim("r") is None
    claims.intend("r", "n", T0, ENTRY)
    assert claims.claim("r") == Claim("intent", "n")


def test_a_full_disk_is_an_error_and_no_half_intent(claims: Claims) -> None:
    pages = claims._database.execute("PRAGMA page_count").fetchone()[0]
    claims._database.execute(f"PRAGMA max_page_count = {pages}")
    large = NewEntry("e", "ipaTpiExecution", {"ipaTpiNonce": [b"x" * 100_000]})
    with pytest.raises(JournalError):
        claims.intend("r", "n", T0, large)
    assert claims.claim("r") is None
    claims._database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    claims.intend("r", "n", T0, ENTRY)
    assert claims.memory("r").written == {"e1"}


def test_a_commit_that_fails_leaves_no_transaction_open(claims: Claims) -> None:
    """SQLite may keep the transaction after a failed commit; then every later one would fail."""
    claims._database.execute(
        "CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
    )
    claims._database.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    claims._database.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(JournalError, match="nothing is run until it can"):
        claims._change("INSERT INTO child VALUES (1)")
    assert not claims._database.in_transaction
    claims.intend("r", "n", T0, ENTRY)
    assert claims.claim("r") == Claim("intent", "n")


def test_a_closed_journal_is_an_error(path: str) -> None:
    opened = Claims(path, HOST)
    opened.close()
    with pytest.raises(JournalError):
        opened.claim("r")


def test_the_time_is_aware() -> None:
    assert utc_now().utcoffset() == timedelta(0)
