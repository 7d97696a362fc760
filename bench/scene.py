"""The box made ready for a benchmark: its floor, the peer in its Apache, requests made and swept away.

Nothing of this ships.  Floor and Apache are changed inside a box that is thrown away afterwards.
"""

import subprocess
import time
from pathlib import Path
from typing import Final

import ldap
from world import CA, EXECUTOR, HOST, REALM, REQUESTS, URL, World, eventually

from bench.clients import Shot
from ipa_tpi.client import TpiClient, Wish
from ipa_tpi.client.examination import digest_request, examine
from ipa_tpi.client.wish import draft, find_operation
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.model import Purpose
from ipa_tpi.wire import ProofBody, RequestBody, RequestView, VoiceBody, encode
from lab.people import PEOPLE

OPERATION: Final = "dirsrv.restart"
INSTANCE: Final = "DS01"
STATIC: Final = Shot("GET", "/bench/plain.json")
DELEGATED: Final = Shot("GET", "/bench-delegated/plain.json")
LIST: Final = Shot("GET", "/tpi/v1/requests")
_FLOOR: Final = Path("/etc/ipa/tpi/floor.toml")
_PEER: Final = Path("/etc/apache2/conf-enabled/zz-bench.conf")
_PAGE_BYTES: Final = 2048

_GSSAPI: Final = f"""\
    AuthType GSSAPI
    AuthName "bench"
    GssapiSSLonly On
    GssapiAllowedMech krb5
    GssapiAcceptorName HTTP@{HOST}
    GssapiConnectionBound Off
    Require valid-user
"""
_PROXY_TICKET: Final = """\
    GssapiUseS4U2Proxy On
    GssapiDelegCcacheDir /run/ipa-tpi/ccaches
    GssapiDelegCcacheUnique On
    GssapiDelegCcachePerms mode:0660
"""


class Scene:
    """The box, seen from the benchmark.

    Attributes:
        world: The box as its tests see it.
    """

    def __init__(self) -> None:
        self.world = World(
            {
                person.uid: {"password": person.password, "principal": person.principal(REALM)}
                for person in PEOPLE
            }
        )
        self._root = self.world.root()
        self._clients: dict[str, TpiClient] = {}

    def install_peer(self) -> None:
        """Add static files to Apache that ask for Negotiate each time, without and with a proxy ticket."""
        folder = Path("/var/www/bench")
        folder.mkdir()
        # As large as one request's JSON.
        (folder / "plain.json").write_text('{"bench":"' + "x" * _PAGE_BYTES + '"}\n', encoding="ascii")
        _PEER.write_text(
            f"Alias /bench-delegated {folder}\nAlias /bench {folder}\n"
            f"<Location /bench-delegated>\n{_GSSAPI}{_PROXY_TICKET}</Location>\n"
            f"<Location /bench/>\n{_GSSAPI}</Location>\n",
            encoding="ascii",
        )

    def set_floor(self, required_approvals: int) -> None:
        """Write a floor without the limits that a benchmark would meet, and have both services read it.

        Args:
            required_approvals: With 2, a first approval has nothing run.
        """
        _FLOOR.write_text(
            'version = 1\nperson_attribute = "employeeNumber"\nclock_skew_seconds = 5\n'
            "pending_per_person = 10000\npending_per_operation = 10000\n"
            f'[operations."{OPERATION}"]\nrequired_approvals = {required_approvals}\n'
            f'proof = true\ninstances = ["{INSTANCE}"]\n',
            encoding="ascii",
        )
        # Restarted rather than reloaded: no process of before is there to be measured.
        for unit in (EXECUTOR, "apache2.service"):
            subprocess.run(["systemctl", "restart", unit], check=True)
        self._clients.clear()
        self.api("alice").operations()

    def ccache(self, person: str) -> str:
        """Give the name of a person's ticket cache."""
        return f"FILE:{self.world.ccache(person)}"

    def api(self, person: str) -> TpiClient:
        """Give a person's client, with its connection kept."""
        if person not in self._clients:
            self._clients[person] = TpiClient(URL, CA, ccache=self.ccache(person))
        return self._clients[person]

    def request_shot(self, person: str) -> Shot:
        """Make the body of a request, with its proof; nothing is sent."""
        api = self.api(person)
        operation = find_operation(api.operations(), OPERATION)
        view = draft(Wish(OPERATION, HOST, {"instance": INSTANCE}), operation, api.tickets.principal())
        digest = digest_request(view)
        body = RequestBody(
            id=view.id,
            operation=view.operation,
            operation_digest=view.operation_digest,
            target=view.target,
            parameters=view.parameters,
            digest=digest.hex(),
            interface=view.interface,
            proof=self._proof(person, Purpose.REQUEST, digest),
        )
        return Shot("POST", "/tpi/v1/requests", encode(body))

    def approve_shot(self, person: str, request_id: str) -> Shot:
        """Look at a request and make the body of an approval, with its proof; no approval is sent."""
        digest = examine(self.api(person).show(request_id)).approval
        body = VoiceBody(digest=digest.hex(), proof=self._proof(person, Purpose.APPROVE, digest))
        return Shot("POST", f"/tpi/v1/requests/{request_id}/approvals", encode(body))

    def make(self, person: str, count: int = 1) -> list[RequestView]:
        """Make requests, and wait until each has its preview."""
        wish = Wish(OPERATION, HOST, {"instance": INSTANCE})
        made = [self.api(person).create(wish) for _ in range(count)]
        self.settle()
        return made

    def settle(self) -> None:
        """Wait until every request has its preview, and the executor has nothing in hand."""
        eventually(lambda: self._count("ipaTpiPreview") == self._count("ipaTpiRequest"))
        eventually(lambda: self._count("ipaTpiReceipt") == self._count("ipaTpiProof"))
        time.sleep(0.02)

    def sweep(self) -> None:
        """Remove all requests, as retention would: those that have ended cost, too."""
        self.settle()
        found = self._root.search_s(REQUESTS, ldap.SCOPE_SUBTREE, "(objectClass=*)", ["1.1"])
        below = [dn for dn, _ in found if dn.lower() != REQUESTS.lower()]
        for dn in sorted(below, key=lambda name: name.count(","), reverse=True):
            self._root.delete_s(dn)

    def _count(self, object_class: str) -> int:
        wanted = f"(objectClass={object_class})"
        return len(self._root.search_s(REQUESTS, ldap.SCOPE_SUBTREE, wanted, ["1.1"]))

    def _proof(self, person: str, purpose: Purpose, digest: bytes) -> ProofBody:
        token, mic = self.api(person).tickets.prove(HOST, mic_text(purpose, digest))
        return ProofBody(purpose=purpose.value, digest=digest.hex(), token=token, mic=mic)
