"""A realm of fakes with a flow for each caller, and what a person's own program would send."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from ipa_tpi.decide.digest import request_digest
from ipa_tpi.flow import Flow, Seen, Site
from ipa_tpi.model import Request
from ipa_tpi.wire import ProofBody, RequestBody, VoiceBody
from tests.fakes import (
    FLOOR,
    HOST,
    OPERATION,
    REALM,
    START,
    SUFFIX,
    FakeAudit,
    FakeClock,
    FakeExecutor,
    FakeNudger,
    FakeRealm,
    new_id,
    permission_dn,
)

ZERO = "0" * 64


@dataclass
class Scene:
    """Everything around the flow."""

    clock: FakeClock = field(default_factory=FakeClock)
    audit: FakeAudit = field(default_factory=FakeAudit)
    nudger: FakeNudger = field(default_factory=FakeNudger)
    site: Site = field(
        default_factory=lambda: Site(
            HOST, REALM, SUFFIX, FLOOR, permission_dn("TPI Approve"), permission_dn("TPI Request")
        )
    )

    def __post_init__(self) -> None:
        """Make the directory."""
        self.realm = FakeRealm(self.clock)
        self.executor = FakeExecutor(self.realm.as_executor())

    def flow(self, uid: str = "alice") -> Flow:
        """Give the flow of a caller."""
        directory = self.realm.bind(f"{uid}@{REALM}")
        return Flow(directory, self.site, self.clock, new_id, self.audit, self.nudger)

    def floor(self, **changes: Any) -> None:
        """Change this host's floor."""
        self.site = replace(self.site, floor=replace(self.site.floor, **changes))

    def create(self, uid: str = "alice", **changes: Any) -> Seen:
        """Make a request as somebody, with a proof."""
        return self.flow(uid).create(f"{uid}@{REALM}", self.body(uid, **changes))

    def body(self, uid: str = "alice", *, prove: bool = True, **changes: Any) -> RequestBody:
        """Give the body of a request, with digests as the person's program computes them."""
        values: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "operation": OPERATION,
            "operation_digest": self.realm.policy.operations[OPERATION].digest.hex(),
            "target": HOST,
            "parameters": {"instance": "DS01"},
            "reason": "",
            "ticket": "",
            "interface": "cli",
        }
        values |= {name: value for name, value in changes.items() if name in values}
        digest = request_digest(_draft(values), f"{uid}@{REALM}").hex()
        values["digest"] = changes.get("digest", digest)
        values["proof"] = changes.get("proof", proof("request", digest) if prove else None)
        return RequestBody(**values)

    def pending(self, uid: str = "alice", **changes: Any) -> Seen:
        """Make a request that its target has previewed."""
        seen = self.create(uid, **changes)
        request_id = seen.subtree.request.id
        self.executor.receipt(request_id, "request")
        self.executor.preview(request_id)
        return self.show(uid, request_id)

    def show(self, uid: str, request_id: str) -> Seen:
        """Look at a request."""
        return self.flow(uid).show(f"{uid}@{REALM}", request_id)

    def approve(self, uid: str, request_id: str, body: VoiceBody | None = None) -> Seen:
        """Approve what is shown."""
        body = body or self.voice(uid, request_id, "approve")
        return self.flow(uid).approve(f"{uid}@{REALM}", request_id, body)

    def approved(self) -> str:
        """Make a request of alice's that bob has approved with a verified proof."""
        request_id = self.pending().subtree.request.id
        self.approve("bob", request_id)
        self.executor.receipt(request_id, "approve")
        return request_id

    def deny(self, uid: str, request_id: str) -> Seen:
        """Veto."""
        return self.flow(uid).deny(f"{uid}@{REALM}", request_id, self.voice(uid, request_id, "deny"))

    def withdraw(self, uid: str, request_id: str) -> Seen:
        """Withdraw."""
        return self.flow(uid).withdraw(f"{uid}@{REALM}", request_id, self.voice(uid, request_id, "withdraw"))

    def cancel(self, uid: str, request_id: str) -> Seen:
        """Cancel."""
        return self.flow(uid).cancel(f"{uid}@{REALM}", request_id, self.voice(uid, request_id, "cancel"))

    def prove(self, uid: str, request_id: str, purpose: str, digest: str = "") -> Seen:
        """Prove."""
        digest = digest or self.voice(uid, request_id, purpose).digest
        return self.flow(uid).prove(f"{uid}@{REALM}", request_id, proof(purpose, digest))

    def voice(self, uid: str, request_id: str, purpose: str, **changes: Any) -> VoiceBody:
        """Give the body of a voice of `uid` about what an onlooker with every right sees."""
        del uid  # a token and a signature that nobody verifies name nobody
        seen = self.flow("bob").show(f"bob@{REALM}", request_id)
        about = seen.digest if purpose in {"cancel", "request"} else seen.standing.approval_digest
        digest = (about or seen.digest).hex()
        return VoiceBody(**{"digest": digest, "proof": proof(purpose, digest), **changes})

    def state(self, request_id: str) -> str:
        """Tell a request's state."""
        return self.show("bob", request_id).standing.state.value


def proof(purpose: str, digest: str, **changes: Any) -> ProofBody:
    """Give a proof that nobody can verify."""
    return ProofBody(**{"purpose": purpose, "digest": digest, "token": b"token", "mic": b"mic", **changes})


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
