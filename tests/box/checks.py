"""What several tests of the box ask for: a clear refusal, and a service that works again."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import ldap
from world import EXECUTOR, REQUESTS, UNIT, Done, World, eventually

from ipa_tpi.errors import TpiError

_ENDS = "(|(objectClass=ipaTpiResult)(objectClass=ipaTpiCancellation))"
EXECUTOR_PROGRAM = "/usr/libexec/ipa-tpi/ipa-tpi-executor"


def assert_error(done: Done, *words: str) -> None:
    """The command line says what happened and what to do, in one line, and ends with status 1."""
    assert done.status == 1, done
    assert done.out == ""
    assert done.err.startswith("ipa-tpi: ERROR: ")
    assert "Traceback" not in done.err
    for word in words:
        assert word.lower() in done.err.lower()


def assert_no_start(world: World, *words: str) -> None:
    """The program ends at once and says why."""
    world.halt()
    done: Done = world.run("ipatpi-exec", ["/usr/bin/timeout", "10", EXECUTOR_PROGRAM])
    assert done.status == 1, done
    assert done.err.startswith("ipa-tpi-executor: ERROR: "), done
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done


def assert_it_works(world: World) -> None:
    """Two people can restart DS01."""
    request_id = world.request("carol", reason="works again")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    assert world.show(UNIT, "ActiveState") == "active"


def log_since_start(world: World) -> str:
    """Give what the executor has logged since its start."""
    command = ["/usr/bin/journalctl", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={world.invocation(EXECUTOR)}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def cancel_what_is_open(world: World) -> None:
    """Have each requester cancel the requests that came to no end."""
    for person, request_id in _open_requests(world):
        with suppress(TpiError):
            api = world.api(person)
            api.cancel(api.show(request_id), "left over")


def _open_requests(world: World) -> list[tuple[str, str]]:
    """Tell requester and id of each request without an end."""
    connection = world.root()
    ended = {
        dn.lower().partition(",")[2]
        for dn, _ in connection.search_s(REQUESTS, ldap.SCOPE_SUBTREE, _ENDS, ["1.1"])
    }
    wanted = ["ipaTpiRequestId", "creatorsName"]
    found = connection.search_s(REQUESTS, ldap.SCOPE_ONELEVEL, "(objectClass=ipaTpiRequest)", wanted)
    return [
        (
            raw["creatorsName"][0].decode().partition(",")[0].removeprefix("uid="),
            raw["ipaTpiRequestId"][0].decode(),
        )
        for dn, raw in found
        if dn.lower() not in ended
    ]


def remove_requests(world: World) -> None:
    """Empty cn=requests as Directory Manager, so that hundreds of rounds do not count against their people."""
    connection = world.root()
    # Named, an entry of this class is found; it is hidden otherwise.
    every = "(|(objectClass=*)(objectClass=ldapSubEntry))"

    def emptied() -> bool:
        """Remove what is there; whoever is at work meanwhile may add below what is being removed."""
        found = connection.search_s(REQUESTS, ldap.SCOPE_SUBTREE, every, ["1.1"])
        left = sorted((dn for dn, _ in found if dn.lower() != REQUESTS), key=len, reverse=True)
        for dn in left:
            with suppress(ldap.NOT_ALLOWED_ON_NONLEAF, ldap.NO_SUCH_OBJECT):
                connection.delete_s(dn)
        return not left

    eventually(emptied)
