"""Stamps of one's own choice, under a name with an option, that the directory's filters take for its own.

``createTimestamp;lang-en`` may be written by whoever adds an entry, and ``(createTimestamp>=…)`` is true where any
value of either fits.  So with an early and a late one a request lies in every slice of time for ever: no slice is
small enough, and one person's few thousand entries would hide everybody's requests, even weeks after he wrote them.
With ``creatorsName;lang-en`` they also count as requests of others, who could then make none.  The server's limit is
lowered here, rather than thousands written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from straight import (
    EXECUTOR_DN,
    add_request,
    changed,
    draft,
    ended,
    request,
    request_dn,
    runs_for,
    user_dn,
)
from world import EXECUTOR, HOST, KEYTAB, REALM, SUFFIX, World, eventually, stopped

from ipa_tpi.adapters.directory import LdapDirectory
from ipa_tpi.errors import DirectoryLimitError
from ipa_tpi.ports import Query

UNMENDED = pytest.mark.xfail(strict=True, reason="searches go by attributes that anybody may add to")
LIMIT = 30
BATCH = 20
EVER = {"createTimestamp;lang-aa": b"20200101000000Z", "createTimestamp;lang-bb": b"20991231235959Z"}
OTHERS = {"creatorsName;lang-aa": user_dn("bob").encode(), "creatorsName;lang-bb": user_dn("carol").encode()}


def plant(world: World, **stamps: bytes) -> Iterator[None]:
    with changed(world.root(), "cn=config", **{"nsslapd-sizelimit": [b"%d" % LIMIT]}):
        alice, written = world.ldap("alice"), list[str]()
        for pause in (1.1, 1.1):  # createTimestamp has whole seconds, and nobody writes thousands in one
            written += [add_request(alice, draft(world, "alice"), **EVER, **stamps) for _ in range(BATCH)]
            time.sleep(pause)
        executor = LdapDirectory(world.service(KEYTAB, f"tpi/{HOST}@{REALM}"), SUFFIX)
        with pytest.raises(DirectoryLimitError):  # the attack works as such
            executor.ids(Query(executor=EXECUTOR_DN))
        for one in written:
            assert ended(world, one) == ("denied", "malformed-request")
        try:
            yield
        finally:
            for one in written:
                world.root().delete_s(request_dn(one))


@pytest.fixture
def _flooded(world: World) -> Iterator[None]:
    yield from plant(world)


@pytest.fixture
def _named(world: World) -> Iterator[None]:
    yield from plant(world, **OTHERS)


@pytest.mark.usefixtures("_flooded")
def test_the_list_shows_others_requests(world: World) -> None:
    request_id = world.request("bob")
    assert [view.id for view in world.api("carol").list(approvable=True)] == [request_id]
    runs_for(world, request_id, "carol")


@pytest.mark.usefixtures("_flooded")
def test_what_was_approved_while_nobody_watched_is_found_and_run(world: World) -> None:
    request_id = world.request("bob")
    before = world.starts()
    with stopped(world, EXECUTOR):
        world.approve("carol", request_id)
    # Nobody looks at it, for that would wake the executor.
    assert len(eventually(lambda: world.starts()[len(before) :], 60)) == 1


@UNMENDED
@pytest.mark.usefixtures("_named")
def test_they_do_not_count_as_requests_of_others(world: World) -> None:
    runs_for(world, world.request("bob"), "carol")


@UNMENDED
@pytest.mark.usefixtures("_named")
def test_nor_does_the_executor_count_them(world: World) -> None:
    request_id = request(world, "bob")
    world.wait_for("bob", request_id, lambda now: now.state != "awaiting-preview")
    runs_for(world, request_id, "carol")


@UNMENDED
def test_a_few_of_them_hide_nothing(world: World) -> None:
    """Far from any limit: 389-ds 2.3 then leaves out some entries of a range, and says nothing.

    Twenty such lists more and ns-slapd ends with SIGSEGV in libdb (17, 23 and 23 lists in three tries; with the same
    entries without these stamps 60 lists are whole and nothing ends).
    """
    ahead = f"{datetime.now(tz=UTC) + timedelta(hours=5):%Y%m%d%H%M%SZ}".encode()
    alice, others = world.ldap("alice"), set()
    for number in range(100):
        if number % 10 == 9:
            others.add(add_request(world.ldap("bob"), draft(world, "bob")))
        add_request(alice, draft(world, "alice"), **{"createTimestamp;lang-aa": ahead})
    try:
        assert others <= {view.id for view in world.api("carol").list()}
    finally:  # with a cursor that is broken already it would end in another test
        world.systemctl("restart", "dirsrv@TPI-TEST.service")
        eventually(world.root)
