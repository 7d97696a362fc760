"""What a digest is over (DESIGN section 6, K10).

* ``request``: SHA-256 over RFC 8785 canonical JSON of ``{v, id, operation, operation_digest,
  target, parameters, requester, reason, ticket, interface}``; ``v`` is 1, an absent reason or
  ticket is ``""``, times are not digested.
* ``operation``: SHA-256 over the same of ``{lower-case attribute: sorted values}`` of an
  operation's user attributes without ``description``, and without what the server itself keeps
  when the operation is put into a group (``memberOf``, the class ``nsMemberOf``).
* ``preview``: SHA-256 over the stored bytes of the preview, which must be the canonical JSON of
  ``{shown, precondition}``.
* ``approval``: SHA-256 over the 32 raw bytes of ``request`` followed by those of ``preview``.
* The text under a MIC: ``"ipa-tpi/1 "``, the purpose, NUL, the 32 raw bytes.

Digests are raw here; in LDAP and JSON they are lower-case hex.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final

import rfc8785

from ipa_tpi.model import Json, Purpose, Refuse, Request

DIGEST_BYTES: Final = 32
VERSION: Final = 1
_MIC_PREFIX: Final = b"ipa-tpi/1 "
_NOT_DIGESTED: Final = frozenset({"description", "memberof"})
_KEPT_BY_SERVER: Final = b"nsmemberof"


def canonical(value: Json) -> bytes:
    """Encode as canonical JSON (RFC 8785).

    Args:
        value: JSON without floats.

    Returns:
        The one encoding.

    Raises:
        ValueError: The value holds an integer beyond 2**53, a float, or a lone surrogate.
    """
    if _has_float(value):
        raise ValueError("canonical JSON here has no floats")
    return rfc8785.dumps(value)


def parse_canonical(data: bytes) -> Json | Refuse:
    """Parse bytes that must be canonical JSON already.

    Args:
        data: Untrusted bytes.

    Returns:
        The value, or a refusal ``malformed-entry`` when another encoding of the same value
        exists that these bytes are not (duplicate keys, spaces, other order, floats).
    """
    refusal = Refuse(
        "malformed-entry", "stored JSON is not in canonical form; somebody wrote it by other means"
    )
    try:
        value: Json = json.loads(data)
        return value if canonical(value) == data else refusal
    except (ValueError, RecursionError):
        return refusal


def request_digest(request: Request, requester: str) -> bytes:
    """Digest a request.

    Args:
        request: The request; its own `digest` is not looked at.
        requester: The requester's canonical principal.

    Returns:
        32 bytes.
    """
    return sha256(
        canonical(
            {
                "v": VERSION,
                "id": request.id,
                "operation": request.operation,
                "operation_digest": request.operation_digest.hex(),
                "target": request.target,
                "parameters": dict(request.parameters),
                "requester": requester,
                "reason": request.reason,
                "ticket": request.ticket,
                "interface": request.interface,
            },
        ),
    )


def operation_digest(attributes: Mapping[str, Sequence[bytes]]) -> bytes:
    """Digest an operation's definition.

    Args:
        attributes: Its user attributes as stored, by name in any letter case.

    Returns:
        32 bytes.

    Raises:
        ValueError: A value is not UTF-8.
    """
    gathered: dict[str, Json] = {}
    for name, values in attributes.items():
        if name.lower() not in _NOT_DIGESTED:
            gathered[name.lower()] = [
                *sorted(value.decode("utf-8") for value in values if value.lower() != _KEPT_BY_SERVER)
            ]
    return sha256(canonical(gathered))


def preview_body(shown: Json, precondition: Json) -> bytes:
    """Make the bytes of a preview.

    Args:
        shown: What people see: any JSON without floats.
        precondition: What is compared again before acting; empty for units.

    Returns:
        Canonical JSON.
    """
    return canonical({"shown": shown, "precondition": precondition})


def approval_digest(request: bytes, preview: bytes) -> bytes:
    """Combine the digest of a request and of its preview: what an approval is about.

    Args:
        request: 32 bytes.
        preview: 32 bytes.

    Returns:
        32 bytes.

    Raises:
        ValueError: One of them has another length, so the boundary between them would move.
    """
    if len(request) != DIGEST_BYTES or len(preview) != DIGEST_BYTES:
        raise ValueError("both digests must have 32 bytes")
    return sha256(request + preview)


def mic_text(purpose: Purpose, digest: bytes) -> bytes:
    """Give the text that a proof's MIC is over.

    Args:
        purpose: What the proof is for.
        digest: 32 bytes.

    Returns:
        The text.

    Raises:
        ValueError: The digest has another length.
    """
    if len(digest) != DIGEST_BYTES:
        raise ValueError("the digest must have 32 bytes")
    return _MIC_PREFIX + purpose.value.encode("ascii") + b"\0" + digest


def sha256(data: bytes) -> bytes:
    """Hash.

    Args:
        data: Any bytes.

    Returns:
        32 bytes.
    """
    return hashlib.sha256(data).digest()


def _has_float(value: Json) -> bool:
    if isinstance(value, dict):
        return any(_has_float(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_float(item) for item in value)
    return isinstance(value, float)
