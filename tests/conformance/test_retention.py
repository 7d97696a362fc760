"""R-K17: what has ended stays in the history, until retention removes it whole.

No setting lets the executor remove what is young, so requests are made old: in what the directory's own tool saved
(createTimestamp is the server's, and nobody may write it), and in the executor's journal.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ldap
import pytest
from checks import log_since_start
from realm_directory import restore, saved
from straight import EXECUTOR_DN, approve, request_dn, subtree
from world import EXECUTOR, JOURNAL, REQUESTS, SUFFIX, World, eventually

from ipa_tpi.adapters.directory import LdapDirectory
from ipa_tpi.errors import NotFoundError
from ipa_tpi.executor.removals import content

GROUP = f"cn=policy-executors,cn=tpi,{SUFFIX}"
OLD = datetime.now(tz=UTC) - timedelta(days=401)
PRUNED = ("first_seen", "identities", "receipts", "judged", "written", "previews")
# Keeps the executor from deleting results, and so in the middle of a removal.
HELD = (
    '(targetfilter = "(objectClass=ipaTpiResult)")(version 3.0; acl "held"; deny (delete) '
    f'userdn = "ldap:///{EXECUTOR_DN}";)'
)


@pytest.fixture(autouse=True)
def _may_remove(world: World) -> Iterator[None]:
    """Have root make the executor one of those who may remove; nobody else ever could."""
    with value(world, GROUP, "member", EXECUTOR_DN):
        yield


@contextmanager
def value(world: World, dn: str, attribute: str, text: str) -> Iterator[None]:
    """Let an entry have a further value for a while."""
    world.root().modify_s(dn, [(ldap.MOD_ADD, attribute, [text.encode()])])
    try:
        yield
    finally:
        world.root().modify_s(dn, [(ldap.MOD_DELETE, attribute, [text.encode()])])


@contextmanager
def dismissed(world: World) -> Iterator[None]:
    """Have the executor be none of those who may remove, for a while."""
    world.root().modify_s(GROUP, [(ldap.MOD_DELETE, "member", [EXECUTOR_DN.encode()])])
    try:
        yield
    finally:
        world.root().modify_s(GROUP, [(ldap.MOD_ADD, "member", [EXECUTOR_DN.encode()])])


def executed(world: World) -> str:
    request_id = world.request("alice")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    return published(world, request_id)


def denied(world: World) -> str:
    request_id = world.request("bob")
    carol = world.api("carol")
    carol.deny(carol.show(request_id), "no")
    world.wait_state(request_id, "denied")
    return published(world, request_id)


def published(world: World, request_id: str) -> str:
    eventually(lambda: world.claims("SELECT 1 FROM claims WHERE request = ? AND published = 1", request_id))
    return request_id


def aged(path: Path, requests: Sequence[str]) -> None:
    """Make requests old, with all that lies below them, in what the directory's tool saved."""
    records = path.read_text().replace("\n ", "").split("\n\n")
    stamp = f"createTimestamp: {OLD:%Y%m%d%H%M%SZ}"
    for number, record in enumerate(records):
        if any(f"={request_id}," in record for request_id in requests):
            records[number] = re.sub(r"^createTimestamp: .*$", stamp, record, flags=re.MULTILINE)
    path.write_text("\n\n".join(records))


def aged_in_the_journal(requests: Sequence[str]) -> None:
    """Make requests old in the journal of an executor that is away."""
    with closing(sqlite3.connect(JOURNAL)) as database:
        for request_id in requests:
            database.execute(
                "UPDATE claims SET ended_at = ? WHERE request = ?", (OLD.isoformat(), request_id)
            )
        database.commit()


@contextmanager
def long_ago(world: World, requests: Sequence[str]) -> Iterator[Path]:
    """Have requests be old, and the executor away; then it comes back."""
    with saved(world) as path:
        aged(path, requests)
        world.halt()
        aged_in_the_journal(requests)
        restore(world, path)
        yield path


def is_there(world: World, request_id: str) -> bool:
    try:
        return bool(world.root().search_s(request_dn(request_id), ldap.SCOPE_SUBTREE))
    except ldap.NO_SUCH_OBJECT:
        return False


def gone(world: World, request_id: str) -> bool:
    done = world.claims("SELECT 1 FROM removals WHERE request = ? AND removed_at IS NOT NULL", request_id)
    return bool(done) and not is_there(world, request_id)


def test_r_k17_what_ended_long_ago_goes_whole_and_is_journalled_before(world: World) -> None:
    """As long as root has not put the executor into the group, everything stays."""
    old = {executed(world): "executed", denied(world): "denied"}
    young = executed(world)
    starts = world.starts()
    with long_ago(world, list(old)):
        lay_there = {one: LdapDirectory(world.root(), SUFFIX).whole(one) for one in old}
        told = world.run("ipatpi-exec", ["/usr/libexec/ipa-tpi/ipa-tpi-executor", "retention"])
        assert told.status == 0, told
        assert {line.split()[0] for line in told.out.splitlines()[:-1]} == set(old)
        assert told.out.splitlines()[-1] == "to be removed: 2; to be ended first: 0; kept for 400 days"
        with dismissed(world):
            world.systemctl("start", EXECUTOR)
            eventually(lambda: "so nothing is removed here" in log_since_start(world))
            executed(world)  # it is awake
            assert all(is_there(world, one) for one in old)
            assert world.claims("SELECT 1 FROM removals WHERE request IN (?, ?)", *old) == []
        world.systemctl("restart", EXECUTOR)
        for request_id in old:
            eventually(lambda one=request_id: gone(world, one))
    for request_id, outcome in old.items():
        (row,) = world.claims(
            "SELECT operation, requester, digest, outcome, voices, entries, content, planned_at <= removed_at"
            " FROM removals WHERE request = ?",
            request_id,
        )
        top = lay_there[request_id][0]
        said = "approval" if outcome == "executed" else "denial"
        who = "bob" if outcome == "executed" else "carol"
        assert row == (
            "dirsrv.restart",
            top.creator,
            top.attributes["ipatpidigest"][0].decode(),
            outcome,
            f"{said} uid={who},cn=users,cn=accounts,{SUFFIX}",
            len(lay_there[request_id]),
            content(lay_there[request_id]),
            1,
        )
        (removal,) = world.audit(request_id, "removal")
        (removed,) = world.audit(request_id, "removed")
        assert (removal["outcome"], removal["requester"]) == (outcome, top.creator)
        assert removal["content"] == removed["content"] == row[6]
        # The claim stays, and nothing else.
        assert world.claims("SELECT state, outcome FROM claims WHERE request = ?", request_id) == [
            ("ended", outcome)
        ]
        left = [t for t in PRUNED if world.claims(f"SELECT 1 FROM {t} WHERE request = ?", request_id)]  # noqa: S608
        assert left == []
        assert world.audit(request_id, "republished") == []
        with pytest.raises(NotFoundError):
            world.api("alice").show(request_id)
    assert world.wait_state(young, "executed").result is not None
    assert world.claims("SELECT 1 FROM removals WHERE request = ?", young) == []
    assert len(world.starts()) == len(starts) + 1


def test_r_k17_what_an_old_backup_brings_back_is_neither_run_nor_kept(world: World) -> None:
    """The backup is from before it was denied or had run: approvals lie there, and no end."""
    executed(world)
    request_id = world.request("alice")
    world.systemctl("stop", EXECUTOR)
    world.approve("bob", request_id)
    with saved(world) as path:
        world.systemctl("start", EXECUTOR)
        world.wait_state(request_id, "executed")
        published(world, request_id)
        starts = world.starts()
        with long_ago(world, [request_id]):
            world.systemctl("start", EXECUTOR)
            eventually(lambda: gone(world, request_id))
        # As it was, so that it looks as if its windows were open; then as it was, and old.
        restore(world, path)
        eventually(lambda: is_there(world, request_id))
        approve(world, "carol", request_id)
        assert subtree(world, request_id).request.id == request_id
        own = executed(world)
        assert world.of_class(request_id, "ipaTpiResult") == []
        assert world.of_class(request_id, "ipaTpiExecution") == []
        assert len(world.starts()) == len(starts) + 1
        aged(path, [request_id])
        world.halt()
        restore(world, path)
        world.systemctl("start", EXECUTOR)
        eventually(
            lambda: (
                world.claims(
                    "SELECT count(*) FROM removals WHERE request = ? AND removed_at IS NOT NULL", request_id
                )
                == [(2,)]
            )
        )
    assert not is_there(world, request_id)
    assert len(world.starts()) == len(starts) + 1
    assert len(world.audit(request_id, "claim")) == 1
    assert world.audit(request_id, "republished") == []
    assert len(world.audit(request_id, "removed")) == 2
    assert own


def test_r_k17_a_removal_that_is_cut_short_shows_the_end_and_is_completed(world: World) -> None:
    """The directory lets go of all but the result; then the executor is killed."""
    request_id, young = executed(world), executed(world)
    with value(world, REQUESTS, "aci", HELD):
        with long_ago(world, [request_id]):
            pass
        world.systemctl("start", EXECUTOR)
        eventually(lambda: len(world.children(request_id)) == 1)
        world.kill()
        (left,) = world.children(request_id)
        assert b"ipaTpiResult" in left[1]["objectClass"]
        assert world.api("alice").show(request_id).state == "executed"
        assert world.claims("SELECT removed_at FROM removals WHERE request = ?", request_id) == [(None,)]
        assert world.audit(request_id, "removed") == []
        world.halt()
    starts = world.starts()
    world.systemctl("start", EXECUTOR)
    eventually(lambda: gone(world, request_id))
    assert len(world.audit(request_id, "removal")) >= 2
    assert len(world.audit(request_id, "removed")) == 1
    assert world.audit(request_id, "republished") == []
    assert world.starts() == starts
    assert is_there(world, young)
