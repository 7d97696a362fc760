"""The entries that the executor adds, from values to attributes."""

import uuid
from datetime import UTC, datetime

from ipa_tpi.executor.claims import Claim
from ipa_tpi.ports import NewEntry

MAX_EXCERPT_CHARACTERS = 1024


def new_id() -> str:
    """Give a random entry id."""
    return str(uuid.uuid4())


def preview_entry(body: bytes, digest: bytes) -> NewEntry:
    """Make a preview: its canonical bytes, and their digest."""
    return NewEntry(
        new_id(), "ipaTpiPreview", {"ipaTpiBody": [body], "ipaTpiDigest": [digest.hex().encode()]}
    )


def receipt_entry(proof: str, outcome: str) -> NewEntry:
    """Make a receipt for the proof with this entry id: ``verified``, a refusal's code, or ``ticket-missing``."""
    return NewEntry(
        new_id(),
        "ipaTpiReceipt",
        {"ipaTpiRefersTo": [proof.encode()], "ipaTpiOutcome": [outcome.encode()]},
    )


def execution_entry(nonce: str) -> NewEntry:
    """Make an execution that bears the nonce of our intent."""
    return NewEntry(new_id(), "ipaTpiExecution", {"ipaTpiNonce": [nonce.encode()]})


def result_entry(claim: Claim) -> NewEntry:
    """Make the result of an ended claim.

    Args:
        claim: Its outcome is set.

    Returns:
        The entry; the reason code, if any, leads the excerpt (DESIGN section 2).
    """
    outcome = claim.outcome.value if claim.outcome is not None else ""
    excerpt = f"{claim.code}: {claim.excerpt}" if claim.code else claim.excerpt
    attributes = {
        "ipaTpiOutcome": [outcome.encode()],
        "ipaTpiExcerpt": [excerpt[:MAX_EXCERPT_CHARACTERS].encode()],
    }
    if claim.exit_status is not None:
        attributes["ipaTpiExitStatus"] = [str(claim.exit_status).encode()]
    for name, moment in (("ipaTpiStarted", claim.started), ("ipaTpiEnded", claim.ended)):
        if moment is not None:
            attributes[name] = [generalized_time(moment)]
    return NewEntry(new_id(), "ipaTpiResult", attributes)


def generalized_time(moment: datetime) -> bytes:
    """Encode a time as LDAP does (RFC 4517 section 3.3.13), in UTC, without a fraction."""
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%SZ}".encode()
