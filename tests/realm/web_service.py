"""The real web service as people's programs ask it: real tickets, Apache, directory; every header in our hands."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ipa_tpi.adapters.directory import LdapDirectory, open_directory
from ipa_tpi.adapters.gss import caller_credentials
from ipa_tpi.client.tickets import GssTickets
from ipa_tpi.decide.digest import mic_text, request_digest
from ipa_tpi.model import Purpose, Request
from ipa_tpi.wire import ProofBody, RequestBody, VoiceBody, encode
from lab.negotiate import Answer, ask, connect, negotiate
from lab.session import Session
from tests.fakes import OPERATION, START, FakeExecutor

PREFIX = "/tpi/v1"
JSON = {"Content-Type": "application/json"}


@dataclass
class Service:
    """The service of a realm, and its people's tickets."""

    realm: Session
    _ccaches: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find where it listens, and have a hand at the executor's entries."""
        self.port = urlsplit(self.realm.url).port or 443
        self.origin = f"https://{self.realm.host}:{self.port}"
        principal = f"tpi/{self.realm.host}@{self.realm.realm}"
        self.executor = FakeExecutor(self._directory(self.realm.kinit_keytab("tpi"), principal))

    def ccache(self, person: str) -> str:
        """Give a person's tickets."""
        if person not in self._ccaches:
            self._ccaches[person] = self.realm.kinit(person)
        return self._ccaches[person]

    def directory(self, person: str) -> LdapDirectory:
        """Give the directory as a person sees it, past the service."""
        return self._directory(self.ccache(person), self.realm.people[person]["principal"])

    def ask(
        self,
        method: str,
        path: str,
        person: str | None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        ccache: str = "",
    ) -> Answer:
        """Send one request on a connection of its own."""
        ticket = negotiate(ccache or self.ccache(person), self.realm.host) if person else {}
        connection = connect(self.realm.host, self.port, self.realm.ca_file)
        try:
            return ask(connection, method, PREFIX + path, headers={**ticket, **(headers or {})}, body=body)
        finally:
            connection.close()

    def get(self, path: str, person: str | None = "alice", **arguments: Any) -> Answer:
        """Ask for something."""
        return self.ask("GET", path, person, **arguments)

    def post(
        self, path: str, body: object, person: str | None = "alice", *, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send something."""
        data = body if isinstance(body, bytes) else encode(body)
        return self.ask("POST", path, person, body=data, headers=JSON | (headers or {}))

    def body(self, person: str = "alice", **changes: Any) -> RequestBody:
        """Give the body of a request with a real proof."""
        known = told(self.get("/operations", person))["operations"]
        operation = next(one for one in known if one["name"] == OPERATION)
        values: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "operation": OPERATION,
            "operation_digest": operation["digest"],
            "target": self.realm.host,
            "parameters": {"instance": "DS01"},
            "reason": "",
            "ticket": "",
            "interface": "cli",
            **changes,
        }
        digest = request_digest(_draft(values), self.realm.people[person]["principal"])
        if "proof" not in values:
            values["proof"] = self.proof(person, Purpose.REQUEST, digest, values["target"])
        return RequestBody(**{"digest": digest.hex(), **values})

    def proof(self, person: str, purpose: Purpose, digest: bytes, target: str = "") -> ProofBody:
        """Make a proof with a person's own ticket."""
        tickets = GssTickets(f"FILE:{self.ccache(person)}")
        token, mic = tickets.prove(target or self.realm.host, mic_text(purpose, digest))
        return ProofBody(purpose=purpose.value, digest=digest.hex(), token=token, mic=mic)

    def create(self, person: str = "alice", **changes: Any) -> str:
        """Make a request and give its id."""
        return str(told(self.post("/requests", self.body(person, **changes), person), 201)["id"])

    def pending(self, person: str = "alice") -> str:
        """Make a request that its target has previewed, and give its id."""
        request_id = self.create(person)
        self.executor.receipt(request_id, "request")
        self.executor.preview(request_id, {"unit": "dirsrv@DS01.service"})
        return request_id

    def voice(self, person: str, request_id: str, purpose: Purpose, **changes: Any) -> VoiceBody:
        """Give the body of a voice about what is shown."""
        view = told(self.get(f"/requests/{request_id}", "frank"))
        about = view["digest"] if purpose is Purpose.CANCEL else view["approval_digest"] or view["digest"]
        proof = self.proof(person, purpose, bytes.fromhex(about))
        return VoiceBody(**{"digest": about, "proof": proof, **changes})

    def audit(self, **wanted: str) -> list[dict[str, Any]]:
        """Give the records of the service that have these values."""
        where = Path(self.realm.layout.product.web_audit.removeprefix("file:"))
        records = [json.loads(line) for line in where.read_text(encoding="ascii").splitlines()]
        return [one for one in records if wanted.items() <= one.items()]

    def _directory(self, ccache: str, principal: str) -> LdapDirectory:
        realm = self.realm
        credentials = caller_credentials(f"FILE:{ccache}", principal)
        return open_directory(realm.ldapi_uri, realm.host, realm.suffix, credentials, "employeeNumber")


def told(answer: Answer, status: int = 200) -> dict[str, Any]:
    """Expect a success."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["Content-Type"] == "application/json"
    value: dict[str, Any] = json.loads(answer.body)
    return value


def problem(answer: Answer, code: str, status: int) -> dict[str, Any]:
    """Expect a problem."""
    assert answer.headers["Content-Type"] == "application/problem+json", (answer.status, answer.body)
    value: dict[str, Any] = json.loads(answer.body)
    assert (value["code"], answer.status) == (code, status), value
    return value


def _draft(values: dict[str, Any]) -> Request:
    return Request(
        id=values["id"],
        operation=values["operation"],
        operation_digest=bytes.fromhex(values["operation_digest"]),
        target=values["target"],
        executor="",
        parameters=values["parameters"],
        reason=values["reason"],
        ticket=values["ticket"],
        interface=values["interface"],
        digest=b"",
        dn="",
        creator="",
        created=START,
    )
