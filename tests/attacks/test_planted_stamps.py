"""Stamps of one's own choice, under a name with an option, that the directory's filters take for its own.

``createTimestamp;lang-en`` may be written by whoever adds an entry, and ``(createTimestamp>=…)`` is true where any
value of either fits.  So with an early and a late one a request lies in every slice of time for ever: no slice is
small enough, and one person's few thousand entries would hide everybody's requests, even weeks after he wrote them.
The server's limit is lowered here, rather than thousands written.  What is not mended of it: limit 9 of the threat
model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from straight import (
    EXECUTOR_DN,
    add_request,
    changed,
    draft,
    ended,
    request_dn,
    runs_for,
)
from world import EXECUTOR, HOST, KEYTAB, REALM, SUFFIX, World, eventually, stopped

from ipa_tpi.adapters.directory import LdapDirectory
from ipa_tpi.errors import DirectoryLimitError
from ipa_tpi.ports import Query

LIMIT = 30
BATCH = 20
EVER = {"createTimestamp;lang-aa": b"20200101000000Z", "createTimestamp;lang-bb": b"20991231235959Z"}


def plant(world: World) -> Iterator[None]:
    with changed(world.root(), "cn=config", **{"nsslapd-sizelimit": [b"%d" % LIMIT]}):
        alice, written = world.ldap("alice"), list[str]()
        for pause in (1.1, 1.1):  # createTimestamp has whole seconds, and nobody writes thousands in one
            written += [add_request(alice, draft(world, "alice"), **EVER) for _ in range(BATCH)]
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
