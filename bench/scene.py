"""The box made ready for a benchmark: its floor, the peer in its Apache, requests made and swept away.

Nothing of this ships.  Floor and Apache are changed inside a box that is thrown away afterwards.
"""

import subprocess
import time
import uuid
from pathlib import Path
from typing import Final

import ldap
from world import CA, EXECUTOR, HOST, REALM, REQUESTS, SUFFIX, URL, World, eventually

from bench.clients import Shot
from ipa_tpi.adapters.directory import executor_dn
from ipa_tpi.client import TpiClient, Wish
from ipa_tpi.client.examination import digest_request, examine
from ipa_tpi.client.wish import draft, find_operation
from ipa_tpi.decide.digest import canonical, mic_text
from ipa_tpi.model import Purpose
from ipa_tpi.ports import NewEntry
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

    def set_floor(self, required_approvals: int, limits: tuple[int, int] = (10, 3)) -> None:
        """Write a floor and have both services read it.

        Args:
            required_approvals: With 2, a first approval has nothing run.
            limits: How many requests may wait of a person, and of a person and operation.
        """
        _FLOOR.write_text(
            'version = 1\nperson_attribute = "employeeNumber"\nclock_skew_seconds = 5\n'
            f"pending_per_person = {limits[0]}\npending_per_operation = {limits[1]}\n"
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

    def settle(self, patience_seconds: float = 20) -> None:
        """Wait until every request has its preview or its end, and the executor has nothing in hand."""
        shown = "(|(objectClass=ipaTpiPreview)(objectClass=ipaTpiResult))"
        eventually(lambda: len(self._above(shown)) == len(self._requests()), patience_seconds)
        # Of a request that was refused unseen the proof needs no receipt.
        eventually(lambda: self._count("ipaTpiReceipt") == self._count("ipaTpiProof"), patience_seconds)
        time.sleep(0.02)

    def sweep(self, keep: frozenset[str] = frozenset()) -> None:
        """Remove requests, as retention would: those that have ended cost, too.

        Args:
            keep: DNs of requests that stay.
        """
        self.settle()
        for request in self._requests() - keep:
            found = self._root.search_s(request, ldap.SCOPE_SUBTREE, "(objectClass=*)", ["1.1"])
            for dn, _ in sorted(found, key=lambda entry: len(entry[0]), reverse=True):
                self._root.delete_s(dn)

    def history(self, person: str, count: int) -> frozenset[str]:
        """Make requests that have ended: they bear a wrong digest, so the executor refuses each.

        Returns:
            The DNs of all requests that are there then.
        """
        directory = self.world.directory(person)
        values = {
            "ipaTpiOperationName": OPERATION.encode(),
            "ipaTpiOperationDigest": find_operation(self.api(person).operations(), OPERATION).digest.encode(),
            "ipaTpiTarget": HOST.encode(),
            "ipaTpiExecutor": executor_dn(HOST, REALM, SUFFIX).encode(),
            "ipaTpiParameters": canonical({"instance": INSTANCE}),
            "ipaTpiInterface": b"cli",
            "ipaTpiDigest": b"0" * 64,
        }
        content = {name: [value] for name, value in values.items()}
        for _ in range(count):
            directory.add_request(NewEntry(str(uuid.uuid4()), "ipaTpiRequest", content))
        self.settle(patience_seconds=60 + count)
        return self._requests()

    def _requests(self) -> frozenset[str]:
        wanted = "(objectClass=ipaTpiRequest)"
        return frozenset(
            dn.lower() for dn, _ in self._root.search_s(REQUESTS, ldap.SCOPE_ONELEVEL, wanted, ["1.1"])
        )

    def _above(self, wanted: str) -> frozenset[str]:
        found = self._root.search_s(REQUESTS, ldap.SCOPE_SUBTREE, wanted, ["1.1"])
        return frozenset(dn.lower().partition(",")[2] for dn, _ in found)

    def _count(self, object_class: str) -> int:
        wanted = f"(objectClass={object_class})"
        return len(self._root.search_s(REQUESTS, ldap.SCOPE_SUBTREE, wanted, ["1.1"]))

    def _proof(self, person: str, purpose: Purpose, digest: bytes) -> ProofBody:
        token, mic = self.api(person).tickets.prove(HOST, mic_text(purpose, digest))
        return ProofBody(purpose=purpose.value, digest=digest.hex(), token=token, mic=mic)
