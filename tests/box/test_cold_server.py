"""The directory is away when Apache and gssproxy have just started: they have no ticket of their own yet.

Apache can accept nobody's ticket then, and can only say 401. A person who is told that his ticket is at fault runs
kinit in vain, and goes round the second person in the end.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from checks import assert_error, assert_it_works
from world import World, stopped

ASK = ("create", "dirsrv.restart", "instance=DS01", "--reason", "outage")


@pytest.fixture
def cold(world: World) -> Iterator[None]:
    """Apache and gssproxy as after a start of the machine; people have their tickets for Apache already."""
    world.ccache("alice")
    assert world.cli("alice", "list").status == 0
    world.systemctl("restart", "gssproxy.service", "apache2.service")
    yield
    world.systemctl("start", "krb5-kdc.service")
    assert_it_works(world)


@pytest.mark.parametrize("unit", ["dirsrv@TPI-TEST.service", "krb5-kdc.service"])
@pytest.mark.usefixtures("cold")
def test_the_message_names_the_cause(world: World, unit: str) -> None:
    with stopped(world, unit):
        for command in (("list",), ASK):
            done = world.cli("alice", *command)
            assert_error(done, "directory does not answer", "not at fault", "krb5kdc", "dirsrv", "gssproxy")
    assert world.cli("alice", "list").status == 0


@pytest.mark.usefixtures("cold")
def test_without_gssproxy_it_is_named_too(world: World) -> None:
    with stopped(world, "gssproxy.service"):
        done = world.cli("alice", "list")
    assert_error(done, "did not accept your Kerberos ticket", "gssproxy")
