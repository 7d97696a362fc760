"""Which proofs count (X01, DESIGN section 5).

A proof is a GSS token for ``tpi/TARGET`` and a MIC over purpose and digest.  Before it is accepted
with the keytab: its kind is known, its purpose is one that is used, and its digest is the one that
this request (purpose ``request``, ``cancel``) or this request with this preview (``approve``, ``deny``,
``withdraw``) has.  After: the MIC is over that text; the initiator is of this realm, is the
account that wrote the proof entry, and got the ticket itself rather than through a service; and
where the operation or the floor demands it, the ticket bears one of the authentication indicators,
and was obtained for this, just now, with the factor (the INITIAL flag, a recent authentication).

A replay cache is absent on purpose: a token bears the request's digest through its MIC, so a replay
can only say again what was said; receipts make it count once, and a crash loses none.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ipa_tpi.decide.digest import mic_text
from ipa_tpi.decide.identity import check_principal
from ipa_tpi.model import Account, Floor, Operation, Proof, Purpose, Receipt, Refuse, Subtree
from ipa_tpi.ports import AcceptedProof

MAX_PROOFS: Final = 64
KINDS: Final = frozenset({"gss"})
# The outcomes of receipts that are no refusals.
VERIFIED: Final = "verified"
TICKET_MISSING: Final = "ticket-missing"
_ON_REQUEST: Final = frozenset({Purpose.REQUEST, Purpose.CANCEL})
_USED: Final = frozenset({Purpose.REQUEST, Purpose.CANCEL, Purpose.APPROVE, Purpose.DENY, Purpose.WITHDRAW})

# How a person gets a ticket with each of FreeIPA's authentication indicators (kinit(1)).
_WAYS: Final[Mapping[str, str]] = {
    "hardened": "kinit with SPAKE or FAST",
    "idp": "kinit -T ARMOR",
    "otp": "kinit -T ARMOR",
    "passkey": "kinit -T ARMOR",
    "pkinit": "kinit -X X509_user_identity=PKCS11:MODULE",
    "radius": "kinit -T ARMOR",
}


def expected_text(proof: Proof, request_digest: bytes, approval_digest: bytes) -> bytes | Refuse:
    """Give the text that the MIC of a proof must be over.

    Args:
        proof: As it lies in the directory.
        request_digest: Recomputed, 32 bytes.
        approval_digest: Recomputed, or empty before the preview.

    Returns:
        The text, or a refusal ``proof-kind-unknown``, ``proof-wrong-purpose`` or
        ``proof-wrong-digest``.
    """
    if proof.kind not in KINDS:
        return Refuse(
            "proof-kind-unknown",
            f"proofs of the kind {proof.kind!a} are not known here; run: ipa-tpi prove ID",
        )
    try:
        purpose = Purpose(proof.purpose)
    except ValueError:
        return Refuse(
            "proof-wrong-purpose", f"{proof.purpose!a} is no purpose of a proof; run: ipa-tpi prove ID"
        )
    if purpose not in _USED:
        return Refuse(
            "proof-wrong-purpose",
            f"a proof for {purpose.value} is of no use below a request; run: ipa-tpi prove ID",
        )
    wanted = request_digest if purpose in _ON_REQUEST else approval_digest
    if purpose is Purpose.DENY and not approval_digest:
        wanted = request_digest
    if not wanted or proof.digest != wanted:  # R-K10, R-X01
        return Refuse(
            "proof-wrong-digest",
            "the proof is about something else than what lies here; look again, then approve again",
        )
    return mic_text(purpose, wanted)


def ticket_sources(subtree: Subtree, verified: Collection[str]) -> frozenset[str]:
    """Tell from what a target could hold a ticket of the requester.

    Args:
        subtree: The request and what lies below it.
        verified: The entry ids of the proofs that the executor verified.

    Returns:
        The entry ids of his verified proofs; where there is none, the request's own id.
    """
    request = subtree.request
    found = (
        proof.entry_id
        for proof in subtree.of(Proof)
        if proof.creator == request.creator
        and proof.purpose == Purpose.REQUEST
        and proof.entry_id in verified
    )
    return frozenset(found) or frozenset({request.id})


def is_unticketed(subtree: Subtree) -> bool:
    """Tell whether the executor has said, of all that could have yielded one, that it holds no ticket of the requester's.

    Of no account for any decision: the executor itself looks at what it holds.

    Args:
        subtree: The request and what lies below it.

    Returns:
        False once a new proof is verified, whatever was said before.
    """
    own = [one for one in subtree.of(Receipt) if one.creator == subtree.request.executor]
    verified = {one.refers_to for one in own if one.outcome == VERIFIED}
    missing = {one.refers_to for one in own if one.outcome == TICKET_MISSING}
    return ticket_sources(subtree, verified) <= missing


@dataclass(frozen=True, slots=True)
class Demands:
    """What an operation and the floor demand of the ticket behind a proof (A12, X11).

    Attributes:
        indicators: One of these; empty for any.
        fresh_seconds: How long ago the authentication may be, with a ticket got for nothing else; 0 for any.
        skew_seconds: How far clocks may differ.
    """

    indicators: frozenset[str] = frozenset()
    fresh_seconds: int = 0
    skew_seconds: int = 0


def demands_of(operation: Operation, floor: Floor) -> Demands:
    """Combine definition and floor: the stricter of both (X13).

    Args:
        operation: The definition.
        floor: The target's floor.

    Returns:
        The demands.
    """
    named = floor.operations.get(operation.name)
    spans = [operation.fresh_seconds, named.fresh_seconds if named is not None else 0]
    return Demands(
        operation.indicators, min((span for span in spans if span), default=0), floor.clock_skew_seconds
    )


def lacking(indicators: AbstractSet[str]) -> tuple[str, str]:
    """Say that a ticket lacks the factor that is demanded, and what gets one with it (R-A12).

    Args:
        indicators: Those of which it would have to bear one: FreeIPA's names, or the site's own.

    Returns:
        What happened, and what to run.
    """
    named = sorted(indicators)
    ways = [f"{_WAYS.get(name, 'kinit with that factor')} ({name})" for name in named]
    shown = f"factor {' or '.join(named)}" if named else "factor that was demanded"
    return f"the proof's ticket lacks the {shown}", " or ".join(ways) or "kinit with that factor"


def judge(
    accepted: AcceptedProof, writer: Account | None, realm: str, demands: Demands, now: datetime
) -> Refuse | None:
    """Judge a proof whose token the keytab accepted.

    Args:
        accepted: What the context says.
        writer: The account that wrote the proof entry (creatorsName).
        realm: This domain's realm.
        demands: What the ticket must be.
        now: The executor's time; a proof is judged once, when it arrives.

    Returns:
        None when it counts, else a refusal.
    """
    if not accepted.mic_valid:
        return Refuse(
            "proof-wrong-digest",
            "the proof's signature is not over this purpose and digest; run: ipa-tpi prove ID",
        )
    if accepted.delegated:
        # R-X01: somebody else made it with a ticket that a service obtained in the person's name.
        return Refuse(
            "proof-delegated", "the proof was made by delegation, not by the person; run: ipa-tpi prove ID"
        )
    if check_principal(accepted.initiator, realm) is not None:
        return Refuse(
            "proof-foreign-realm",
            f"the proof is by {accepted.initiator!a}, who is not of {realm}; run kinit as a person of it, then: ipa-tpi prove ID",
        )
    if writer is None or accepted.initiator != writer.principal:  # R-X02
        return Refuse(
            "proof-other-principal",
            f"the proof is by {accepted.initiator}, but another account wrote it here; who wrote it runs: ipa-tpi prove ID",
        )
    return _check_ticket(accepted, demands, now)


def _check_ticket(accepted: AcceptedProof, demands: Demands, now: datetime) -> Refuse | None:
    if demands.indicators and not demands.indicators & accepted.indicators:  # R-A12
        lacks, way = lacking(demands.indicators)
        return Refuse("proof-indicator-missing", f"{lacks}; run {way}, then: ipa-tpi prove ID")
    if not demands.fresh_seconds:
        return None
    oldest = now - timedelta(seconds=demands.fresh_seconds + demands.skew_seconds)
    latest = now + timedelta(seconds=demands.skew_seconds)
    recent = accepted.auth_time is not None and oldest <= accepted.auth_time <= latest
    if not accepted.initial or not recent:  # R-X11
        return Refuse(
            "proof-stale",
            "this operation needs a ticket got for it alone, with your factor, at most "
            f"{demands.fresh_seconds} s ago; run: ipa-tpi prove ID",
        )
    return None
