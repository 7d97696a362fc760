"""The entries that people add through the web service (DESIGN section 3).

Whatever came as hex or JSON is written from its decoded value, never as it came.
"""

from collections.abc import Sequence
from datetime import datetime

from ipa_tpi.decide.digest import canonical
from ipa_tpi.flow.reading import Site
from ipa_tpi.model import Account, Request
from ipa_tpi.ports import NewEntry
from ipa_tpi.wire import ProofBody, RequestBody


def draft(body: RequestBody, who: Account, site: Site, now: datetime) -> Request:
    """Take a decoded body as the request that it would be.

    Args:
        body: Untrusted.
        who: The caller's account.
        site: Names the executor of each target.
        now: The time.

    Returns:
        The request; its content is still to be judged.
    """
    executor = f"krbprincipalname=tpi/{body.target}@{site.realm},cn=services,cn=accounts,{site.suffix}"
    return Request(
        id=body.id,
        operation=body.operation,
        operation_digest=bytes.fromhex(body.operation_digest),
        target=body.target,
        executor=executor,
        parameters=dict(body.parameters),
        reason=body.reason,
        ticket=body.ticket,
        interface=body.interface,
        digest=bytes.fromhex(body.digest),
        dn="",
        creator=who.dn,
        created=now,
    )


def request_entry(request: Request) -> NewEntry:
    """Give the entry of a request that has been judged.

    Args:
        request: As `draft` made it.

    Returns:
        The entry.
    """
    return _entry(
        request.id,
        "ipaTpiRequest",
        ipaTpiOperationName=request.operation.encode(),
        ipaTpiOperationDigest=request.operation_digest.hex().encode(),
        ipaTpiTarget=request.target.encode(),
        ipaTpiExecutor=request.executor.encode(),
        ipaTpiParameters=canonical(dict(request.parameters)),
        ipaTpiReason=request.reason.encode(),
        ipaTpiTicket=request.ticket.encode(),
        ipaTpiInterface=request.interface.encode(),
        ipaTpiDigest=request.digest.hex().encode(),
    )


def voice_entry(entry_id: str, object_class: str, digest: bytes, comment: str) -> NewEntry:
    """Give the entry of an approval, denial, withdrawal or cancellation.

    Args:
        entry_id: A new UUID.
        object_class: Which of them.
        digest: What it is about, 32 bytes.
        comment: Judged text, or empty.

    Returns:
        The entry.
    """
    return _entry(entry_id, object_class, ipaTpiDigest=digest.hex().encode(), ipaTpiComment=comment.encode())


def proof_entry(entry_id: str, proof: ProofBody) -> NewEntry:
    """Give the entry of a proof; token and MIC are opaque here.

    Args:
        entry_id: A new UUID.
        proof: Judged as far as anyone but the executor can.

    Returns:
        The entry.
    """
    return _entry(
        entry_id,
        "ipaTpiProof",
        ipaTpiProofKind=proof.kind.encode(),
        ipaTpiPurpose=proof.purpose.encode(),
        ipaTpiDigest=bytes.fromhex(proof.digest).hex().encode(),
        ipaTpiToken=proof.token,
        ipaTpiMic=proof.mic,
    )


def _entry(entry_id: str, object_class: str, **values: bytes) -> NewEntry:
    # An absent text is an absent attribute: LDAP knows no empty value of a directory string.
    attributes: dict[str, Sequence[bytes]] = {name: [value] for name, value in values.items() if value}
    return NewEntry(entry_id, object_class, attributes)
