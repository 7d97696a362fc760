"""In the box: an operation that demands more of the ticket behind a proof, and people who come with the wrong one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ldap
from world import CA, HOST, REALM, SUFFIX, URL, World, eventually

from ipa_tpi.client import TpiClient, Wish
from ipa_tpi.client.tickets import GssTickets, Tickets
from ipa_tpi.client.wanted import Wanted

OPERATION = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
WISH = Wish("dirsrv.restart", HOST, {"instance": "DS01"}, "what it demands")
WITHOUT_SPAKE = "include /etc/krb5.conf\n[plugins]\n  clpreauth = {\n    disable = spake\n  }\n"


@contextmanager
def demanded(world: World, **attributes: str) -> Iterator[None]:
    """Have the operation's definition demand something for a while; requests are made and ended meanwhile."""
    root = world.root()
    root.modify_s(
        OPERATION, [(ldap.MOD_REPLACE, name, [value.encode()]) for name, value in attributes.items()]
    )
    try:
        yield
    finally:
        root.modify_s(OPERATION, [(ldap.MOD_DELETE, name, None) for name in attributes])


def with_ticket(world: World, person: str, ccache: str = "") -> TpiClient:
    """Give a client that makes every proof with the tickets of this cache, whatever is demanded."""

    def fresh(_tickets: Tickets, _target: str, _wanted: Wanted) -> AbstractContextManager[Tickets]:
        return nullcontext(GssTickets(f"FILE:{ccache or world.ccache(person)}"))

    return TpiClient(URL, CA, f"FILE:{world.ccache(person)}", fresh=fresh)


def fresh_ccache(world: World, person: str) -> str:
    """Give the path of a cache with an INITIAL ticket for the executor alone, got now."""
    path = f"/tmp/krb5cc_fresh_{uuid.uuid4().hex}"
    done = world.kinit(person, "-S", f"tpi/{HOST}@{REALM}", ccache=path)
    assert done.status == 0, done
    return path


def weak_ccache(world: World, person: str) -> str:
    """Give the path of a cache with a ticket that bears no indicator, since its client knows no SPAKE."""
    config, path = Path("/tmp/krb5-without-spake.conf"), f"/tmp/krb5cc_weak_{uuid.uuid4().hex}"
    config.write_text(WITHOUT_SPAKE, encoding="utf-8")
    config.chmod(0o644)
    known = world.people[person]
    done = world.run(
        person,
        ["/usr/bin/kinit", "-c", path, known["principal"]],
        text=known["password"] + "\n",
        KRB5_CONFIG=str(config),
    )
    assert done.status == 0, done
    return path


def refused(world: World, request_id: str, writer: str, number: int = 1) -> dict[str, Any]:
    """Wait for the executor's record of a person's refused proof, and give it."""
    found = eventually(
        lambda: [
            record
            for record in world.audit(request_id, "proof-refused")
            if record["writer"].lower().startswith(f"uid={writer},")
        ][number - 1 :]
    )
    return dict(found[0])


def verified(world: World, request_id: str, who: str) -> dict[str, Any]:
    """Wait for the executor's record of a person's verified proof, and give it."""
    found = eventually(
        lambda: [
            record
            for record in world.audit(request_id, "proof-verified")
            if record["who"] == f"{who}@{REALM}"
        ]
    )
    return dict(found[0])
