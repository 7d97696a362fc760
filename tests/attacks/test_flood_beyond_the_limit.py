"""Somebody who may ask writes more requests straight to the directory than it gives, or looks through, at once.

Whoever lists them in one search gets an error, so he would hide other people's requests from approvers and from the
executor: what two people have agreed on would never run.  The server's limits are lowered here, rather than thousands
written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from straight import EXECUTOR_DN, add_request, changed, draft, ended, refused_by_web, request, runs_for
from world import EXECUTOR, HOST, KEYTAB, REALM, SUFFIX, World, eventually, stopped

from ipa_tpi.adapters.directory import LdapDirectory
from ipa_tpi.errors import DirectoryLimitError
from ipa_tpi.ports import Query

LIMIT = 30
BATCH = 20
DATABASE = "cn=config,cn=ldbm database,cn=plugins,cn=config"
LIMITS = {
    "entries": ("cn=config", ("nsslapd-sizelimit",)),
    "looked through": (DATABASE, ("nsslapd-lookthroughlimit", "nsslapd-rangelookthroughlimit")),
}


@pytest.fixture(params=LIMITS)
def _flooded(world: World, request: pytest.FixtureRequest) -> Iterator[None]:
    dn, names = LIMITS[request.param]
    with changed(world.root(), dn, **{name: [b"%d" % LIMIT] for name in names}):
        alice = world.ldap("alice")
        for pause in (1.1, 0):  # createTimestamp has whole seconds, and nobody writes thousands in one
            for _ in range(BATCH):
                add_request(alice, draft(world, "alice"))
            time.sleep(pause)
        # The attack works as such: neither an approver nor the executor gets them in one search.
        for connection in (world.directory("carol"), executor(world)):
            with pytest.raises(DirectoryLimitError):
                connection.ids(Query(executor=EXECUTOR_DN))
        yield


def executor(world: World) -> LdapDirectory:
    return LdapDirectory(world.service(KEYTAB, f"tpi/{HOST}@{REALM}"), SUFFIX)


@pytest.mark.usefixtures("_flooded")
def test_what_is_new_is_seen_and_run(world: World) -> None:
    request_id = world.request("bob")
    # The list never shows less than there is.
    listed = [view.id for view in world.api("carol").list()]
    assert request_id in listed
    assert len(listed) == 2 * BATCH + 1
    assert [view.id for view in world.api("carol").list(approvable=True)] == [request_id]
    runs_for(world, request_id, "carol")


@pytest.mark.usefixtures("_flooded")
def test_what_was_approved_while_nobody_watched_is_found_and_run(world: World) -> None:
    """Only a search finds it: nothing is added below it any more."""
    request_id = world.request("bob")
    before = world.starts()
    with stopped(world, EXECUTOR):
        world.approve("carol", request_id)
    world.wait_state(request_id, "executed")
    assert len(eventually(lambda: world.starts()[len(before) :])) == 1
    # Who floods gets nothing more himself.
    with refused_by_web("directory-limit"):
        world.request("alice")
    late = request(world, "alice")
    assert ended(world, late) == ("denied", "too-many-pending")
    assert world.of_class(late, "ipaTpiPreview") == []
