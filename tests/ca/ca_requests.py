"""Requests for the CA host, from there: people with their own accounts and tickets, the web service on ipa1, this host's executor."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ca_host import CaHost, Profile, certificate_request
from world import REALM, World, eventually

from ipa_tpi.client.wish import Wish
from lab.layout import CA_HOST
from lab.people import PEOPLE

DOGTAG = "pki-tomcatd@pki-tomcat.service"
OPEN = frozenset({"awaiting-preview", "pending", "approved"})
# A window's end is far away; what a slow machine takes is not.
SECONDS = 60.0


class CaWorld(World):
    """What a test of requests can do on the CA host; what of `World` needs the directory's own socket is not for here."""

    def __init__(self) -> None:
        super().__init__(
            {
                person.uid: {"password": person.password, "principal": person.principal(REALM)}
                for person in PEOPLE
            }
        )

    def ask(self, person: str, operation: str, **parameters: str) -> str:
        """Ask, and wait until this host's executor has shown what it would do, or has refused."""
        view = self.api(person).create(Wish(operation, CA_HOST, parameters))
        self.wait_for(person, view.id, lambda now: now.state != "awaiting-preview", SECONDS)
        return str(view.id)

    def ended(self, request_id: str, state: str) -> Any:
        """Wait until a request is in a state, and give what came of it."""
        return self.wait_for("bob", request_id, lambda view: view.state == state, SECONDS)

    def noted(self, request_id: str, event: str) -> list[dict[str, Any]]:
        """Wait until the executor has audited something of a request, and give its records."""
        found: list[dict[str, Any]] = eventually(lambda: self.audit(request_id, event), SECONDS)
        return found

    def log(self, unit: str) -> str:
        """Give what a unit has logged since its last start."""
        command = ["/usr/bin/journalctl", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={self.invocation(unit)}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    def tidy(self, *people: str) -> None:
        """Have people cancel what they have left open."""
        for person in people:
            api = self.api(person)
            for view in api.list(mine=True):
                if view.state in OPEN:
                    api.cancel(view, "")


@contextmanager
def without_dogtag(world: CaWorld, ca: CaHost) -> Iterator[None]:
    """Have no CA behind Apache for a while."""
    world.systemctl("stop", DOGTAG)
    try:
        yield
    finally:
        world.systemctl("start", DOGTAG)
        eventually(lambda: ca.call("alice", "GET", "/certs/0x1").status == 200, SECONDS)


def issued(ca: CaHost, profile: Profile, person: str = "alice") -> str:
    """Have a certificate issued to somebody, and give its number."""
    profile.say(0)
    name = f"{uuid.uuid4().hex[:12]}.tpi.test"
    answer = ca.enroll(person, profile.name, certificate_request(name))
    return str(answer.json["entries"][0]["certId"])


def status(ca: CaHost, number: str) -> str:
    """Tell a certificate's status, with the reason's number where it is revoked."""
    found = ca.call("alice", "GET", f"/certs/{number}")
    reason = found.json.get("RevocationReason")
    return f"{found.json['Status']}{f' {reason}' if reason is not None else ''}"
