"""The attacker's hands: entries and proofs straight into the directory, past the web service.

What an attacker writes is put together here byte by byte, so that a test can spoil any part of it.
What the executor then makes of it is read from its own journal and audit trail.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import ldap
import pytest
from world import HOST, REALM, REQUESTS, SOCKET, SUFFIX, World, eventually

from ipa_tpi.adapters.directory import LdapDirectory, normal_dn
from ipa_tpi.decide.digest import approval_digest, canonical, request_digest
from ipa_tpi.errors import TpiError
from ipa_tpi.model import Preview, Proof, Purpose, Receipt, Request, Subtree
from ipa_tpi.wire import ProofBody, VoiceBody

OPERATION = "dirsrv.restart"
OPERATION_DN = f"cn={OPERATION},cn=tpioperations,cn=tpi,{SUFFIX}"
EXECUTOR_DN = f"krbprincipalname=tpi/{HOST}@{REALM},cn=services,cn=accounts,{SUFFIX}"
OTHER = "other.tpi.test"
OTHER_DN = f"krbprincipalname=tpi/{OTHER}@{REALM},cn=services,cn=accounts,{SUFFIX}"
OTHER_KEYTAB = "/var/lib/ipa-tpi-lab/tpi-other.keytab"
HTTP_DN = f"krbprincipalname=HTTP/{HOST}@{REALM},cn=services,cn=accounts,{SUFFIX}"
HTTP_KEYTAB = "/var/lib/ipa/gssproxy/http.keytab"
NOBODY = bytes(32)

Values = Mapping[str, bytes | Sequence[bytes]]


@dataclass(frozen=True)
class Digests:
    """What proofs and voices of a request have to be about."""

    request: bytes
    approval: bytes


def new_id() -> str:
    return str(uuid.uuid4())


def user_dn(person: str) -> str:
    return f"uid={person},cn=users,cn=accounts,{SUFFIX}"


def request_dn(request_id: str) -> str:
    return f"ipaTpiRequestId={request_id},{REQUESTS}"


def child_dn(request_id: str, entry_id: str) -> str:
    return f"ipaTpiEntryId={entry_id},{request_dn(request_id)}"


def subtree(world: World, request_id: str) -> Subtree:
    """Read a request as the product reads it, with the eyes of Directory Manager."""
    found = LdapDirectory(world.root(), SUFFIX).load(request_id)
    assert found is not None
    return found


def digests(world: World, request_id: str) -> Digests:
    """Compute a request's digests from what lies in the directory."""
    tree = subtree(world, request_id)
    requester = LdapDirectory(world.root(), SUFFIX).account_by_dn(tree.request.creator)
    digest = request_digest(tree.request, requester.principal if requester is not None else "")
    previews = tree.of(Preview)
    return Digests(digest, approval_digest(digest, previews[0].digest) if previews else b"")


def draft(world: World, person: str, **changes: Any) -> Request:
    """Give a request that the executor would take, but for what was changed."""
    operation = LdapDirectory(world.root(), SUFFIX).policy().operations[OPERATION]
    plain = Request(
        id=new_id(),
        operation=OPERATION,
        operation_digest=operation.digest,
        target=HOST,
        executor=EXECUTOR_DN,
        parameters={"instance": "DS01"},
        reason="",
        ticket="",
        interface="cli",
        digest=b"",
        dn="",
        creator=user_dn(person),
        created=datetime.now(tz=UTC),
    )
    changed = replace(plain, **changes)
    return (
        changed if changed.digest else replace(changed, digest=request_digest(changed, f"{person}@{REALM}"))
    )


def add(connection: Any, dn: str, classes: Sequence[str], values: Values) -> None:
    """Add an entry exactly as given."""
    content = [("objectClass", [b"top", *(name.encode() for name in classes)])]
    content += [
        (name, [value] if isinstance(value, bytes) else list(value)) for name, value in values.items()
    ]
    connection.add_s(dn, content)


def request_values(request: Request, **extra: Any) -> dict[str, Any]:
    """Give the attributes of a request entry; `extra` replaces some, and an empty value leaves one out."""
    values: dict[str, Any] = {
        "ipaTpiRequestId": request.id.encode(),
        "ipaTpiOperationName": request.operation.encode(),
        "ipaTpiOperationDigest": request.operation_digest.hex().encode(),
        "ipaTpiTarget": request.target.encode(),
        "ipaTpiExecutor": request.executor.encode(),
        "ipaTpiParameters": canonical(dict(request.parameters)),
        "ipaTpiReason": request.reason.encode(),
        "ipaTpiTicket": request.ticket.encode(),
        "ipaTpiInterface": request.interface.encode(),
        "ipaTpiDigest": request.digest.hex().encode(),
        **extra,
    }
    return {name: value for name, value in values.items() if value}


def add_request(connection: Any, request: Request, classes: Sequence[str] = (), **extra: Any) -> str:
    """Add a request entry; `extra` is that of `request_values`."""
    add(connection, request_dn(request.id), ["ipaTpiRequest", *classes], request_values(request, **extra))
    return request.id


def add_child(connection: Any, request_id: str, classes: str | Sequence[str], **values: Any) -> str:
    """Add an entry below a request; return its id."""
    names = [classes] if isinstance(classes, str) else list(classes)
    entry_id = values.pop("entry_id", "") or new_id()
    add(connection, child_dn(request_id, entry_id), names, {"ipaTpiEntryId": entry_id.encode(), **values})
    return entry_id


def add_voice(connection: Any, request_id: str, object_class: str, digest: bytes, **extra: Any) -> str:
    """Add an approval, denial, withdrawal or cancellation."""
    return add_child(connection, request_id, object_class, ipaTpiDigest=digest.hex().encode(), **extra)


def add_proof(
    connection: Any, request_id: str, purpose: str, digest: bytes, made: tuple[bytes, bytes], **extra: Any
) -> str:
    """Add a proof entry that says purpose and digest, whatever token and MIC are about."""
    values = {
        "ipaTpiProofKind": b"gss",
        "ipaTpiPurpose": purpose.encode(),
        "ipaTpiDigest": digest.hex().encode(),
        "ipaTpiToken": made[0],
        "ipaTpiMic": made[1],
        **extra,
    }
    return add_child(connection, request_id, "ipaTpiProof", **{k: v for k, v in values.items() if v})


def prove(world: World, person: str, request_id: str, purpose: Purpose, digest: bytes) -> str:
    """Make a person's own, right proof, and add it as that person."""
    made = world.proof(person, purpose, digest)
    return add_proof(world.ldap(person), request_id, purpose.value, digest, made)


def approve(world: World, person: str, request_id: str, digest: bytes = b"") -> str:
    """Add a person's approval with a right proof, as the web service would; return the proof's id."""
    about = digest or digests(world, request_id).approval
    add_voice(world.ldap(person), request_id, "ipaTpiApproval", about)
    return prove(world, person, request_id, Purpose.APPROVE, about)


def request(world: World, person: str, **changes: Any) -> str:
    """Add a request with its proof straight to the directory, and do not wait."""
    wanted = draft(world, person, **changes)
    add_request(world.ldap(person), wanted)
    prove(world, person, wanted.id, Purpose.REQUEST, wanted.digest)
    return wanted.id


def voice(world: World, person: str, digest: bytes) -> VoiceBody:
    """Make what a client posts, about any digest."""
    token, mic = world.proof(person, Purpose.APPROVE, digest)
    proof = ProofBody(purpose="approve", digest=digest.hex(), token=token, mic=mic)
    return VoiceBody(digest=digest.hex(), proof=proof)


# --- what became of it --------------------------------------------------------


def receipt(world: World, request_id: str, proof: str) -> str:
    """Wait for the executor's receipt for a proof; give its outcome."""

    def look() -> str:
        receipts = subtree(world, request_id).of(Receipt)
        return next((one.outcome for one in receipts if one.refers_to == proof), "")

    return str(eventually(look))


def refused_proof(world: World, request_id: str, proof: str, code: str) -> None:
    """Demand that the executor refused a proof with a code: in its receipt and in its audit."""
    assert receipt(world, request_id, proof) == code
    records = [one for one in world.audit(request_id, "proof-refused") if one["proof"] == proof]
    assert [one["code"] for one in records] == [code]


def settle(world: World, request_id: str, person: str) -> None:
    """Wait until the executor has decided about all that lies below a request, and left it open.

    It reads a request anew each time that it is woken, writes receipts first and decides then.  So the
    receipt for a second mark says that the decision after the first one is done.
    """
    connection = world.ldap(person)
    for _ in range(2):
        mark = add_proof(connection, request_id, Purpose.REQUEST.value, NOBODY, (b"mark", b"mark"))
        assert receipt(world, request_id, mark) == "proof-wrong-digest"
    assert world.claims("SELECT state FROM claims WHERE request = ?", request_id) == []


def ended(world: World, request_id: str) -> tuple[str, str]:
    """Wait until the executor has ended a request; give outcome and code, which its audit says too."""
    rows = eventually(
        lambda: world.claims(
            "SELECT outcome, code FROM claims WHERE request = ? AND state = 'ended'", request_id
        )
    )
    outcome, code = rows[0]

    def audited() -> bool:
        records = [*world.audit(request_id, "outcome"), *world.audit(request_id, "refused")]
        return any(one.get("code", "") == code and one.get("outcome", outcome) == outcome for one in records)

    eventually(audited)
    return outcome, code


def never_intended(world: World, request_id: str) -> None:
    """Demand that the executor never promised to run a request."""
    assert world.claims("SELECT 1 FROM claims WHERE request = ? AND intent_at IS NOT NULL", request_id) == []
    assert world.of_class(request_id, "ipaTpiExecution") == []


def runs_for(world: World, request_id: str, person: str = "bob") -> None:
    """Let a legitimate approver approve, and demand that it runs: once, and not before he spoke."""
    before, began = world.starts(), datetime.now(tz=UTC)
    world.approve(person, request_id)
    world.wait_state(request_id, "executed", person=person)
    assert len(eventually(lambda: world.starts()[len(before) :])) == 1
    ((intent,),) = world.claims("SELECT intent_at FROM claims WHERE request = ?", request_id)
    assert datetime.fromisoformat(intent) >= began


@contextmanager
def refused_by_web(code: str) -> Iterator[Any]:
    """Demand that the web service refuses with a code."""
    with pytest.raises(TpiError) as caught:
        yield caught
    assert caught.value.code == code, f"{caught.value.code}: {caught.value}"


@contextmanager
def refused_by_directory(*errors: type[ldap.LDAPError]) -> Iterator[None]:
    """Demand that the directory refuses; by default with insufficientAccessRights."""
    with pytest.raises(errors or ldap.INSUFFICIENT_ACCESS):
        yield


def directory_refuses(act: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
    """Demand that the directory's access control refuses one act."""
    with refused_by_directory():
        act(*arguments, **keywords)


@contextmanager
def changed(connection: Any, dn: str, **values: Sequence[bytes]) -> Iterator[None]:
    """Have attributes of an entry replaced for a while; what was there comes back, and is looked at."""
    names = list(values)
    before = connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", names)[0][1]
    connection.modify_s(dn, [(ldap.MOD_REPLACE, name, list(given) or None) for name, given in values.items()])
    try:
        yield
    finally:
        connection.modify_s(dn, [(ldap.MOD_REPLACE, name, before.get(name)) for name in names])
        assert connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", names)[0][1] == before


def proofs(world: World, request_id: str, person: str) -> list[Proof]:
    """Give the proofs of a person below a request, oldest first."""
    wanted = normal_dn(user_dn(person))
    return [one for one in subtree(world, request_id).of(Proof) if one.creator == wanted]


def health() -> dict[str, Any]:
    """Ask the executor how it is; empty while it is away."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as executor:
            executor.settimeout(2)
            executor.connect(SOCKET)
            executor.sendall(b'{"verb":"health"}\n')
            answer: dict[str, Any] = json.loads(executor.makefile("rb").readline()).get("health", {})
            return answer
    except (OSError, ValueError):
        return {}
