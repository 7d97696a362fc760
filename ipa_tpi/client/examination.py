"""What a request, as the server showed it, amounts to; computed here, never believed.

Every digest that the person's program signs comes from the very values that were shown to the
person (R-K10, DESIGN section 5).  The digests that the server sent beside them are only compared:
a difference means that the server, or something between, shows another request than it keeps.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ipa_tpi.decide.digest import DIGEST_BYTES, approval_digest, parse_canonical, request_digest, sha256
from ipa_tpi.decide.intake import check_identifier, check_target
from ipa_tpi.errors import RefusedError
from ipa_tpi.model import Json, Refuse, Request
from ipa_tpi.wire import RequestView

_PREVIEW_FIELDS: Final = {"shown", "precondition"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Examination:
    """The digests of a request as it was shown.

    Attributes:
        request: Over the request itself.
        preview: Over the bytes that the target showed; empty while there are none.
        approval: Over both; empty while there is no preview.
    """

    request: bytes
    preview: bytes = b""
    approval: bytes = b""

    def latest(self) -> bytes:
        """Give what a denial or withdrawal is about: the approval digest where there is a preview."""
        return self.approval or self.request


@dataclass(frozen=True, slots=True)
class Shown:
    """What the target showed, parsed from the very bytes that the preview's digest is over."""

    shown: Json
    precondition: Json


def examine(view: RequestView) -> Examination:
    """Compute a request's digests from what is shown, and compare them with the server's.

    Args:
        view: As the server sent it, untrusted.

    Returns:
        The digests.

    Raises:
        RefusedError: Code ``digest-mismatch``: the server believes in another request than it
            shows; ``malformed-request``: the shown values cannot be digested at all.
    """
    request = digest_request(view)
    _compare(view.digest, request, "request")
    if view.preview is None:
        return Examination(request=request)
    preview = sha256(_body(view.preview.body))
    _compare(view.preview.digest, preview, "preview")
    approval = approval_digest(request, preview)
    _compare(view.approval_digest, approval, "approval")
    return Examination(request=request, preview=preview, approval=approval)


def digest_request(view: RequestView) -> bytes:
    """Compute the digest of a request from what is shown (DESIGN section 6).

    Args:
        view: The request; its own digests are not looked at.

    Returns:
        32 bytes.

    Raises:
        RefusedError: Code ``malformed-request``: an id, a target or a digest is not of its form.
    """
    refusal = check_identifier(view.id) or check_target(view.target)
    if refusal is not None:
        raise RefusedError(
            f"the server showed a request that cannot be right: {refusal.message}. Tell an administrator.",
            code="malformed-request",
        )
    try:
        request = Request(
            id=view.id,
            operation=view.operation,
            operation_digest=_raw_digest(view.operation_digest),
            target=view.target,
            executor="",
            parameters=view.parameters,
            reason=view.reason,
            ticket=view.ticket,
            interface=view.interface,
            digest=b"",
            dn="",
            creator="",
            created=_EPOCH,
        )
        return request_digest(request, view.requester)
    except ValueError as error:
        raise RefusedError(
            f"the server showed a request that cannot be digested: {error}. Tell an administrator.",
            code="malformed-request",
        ) from error


def read_preview(view: RequestView) -> Shown:
    """Parse what the target showed.

    Args:
        view: As the server sent it, untrusted.

    Returns:
        What people see, and what is compared again before acting.

    Raises:
        RefusedError: Code ``awaiting-preview`` while there is none; ``malformed-entry`` when it
            is not canonical JSON of exactly the known form.
    """
    if view.preview is None:
        because = f" ({view.message})" if view.message else ""
        raise RefusedError(
            f"{view.target} has not shown yet what it would do{because}. Wait a few seconds and try again; "
            "if it stays so, check that ipa-tpi-executor runs there.",
            code="awaiting-preview",
        )
    body = parse_canonical(_body(view.preview.body))
    if isinstance(body, Refuse) or not isinstance(body, dict) or set(body) != _PREVIEW_FIELDS:
        raise RefusedError(
            f"what {view.target} showed is not in the form that ipa-tpi writes, so it cannot be approved. "
            "Deny the request and tell an administrator.",
            code="malformed-entry",
        )
    return Shown(shown=body["shown"], precondition=body["precondition"])


def _raw_digest(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != DIGEST_BYTES or raw.hex() != text:
        raise ValueError("the operation's digest is not a SHA-256 in lower-case hex")
    return raw


def _body(text: str) -> bytes:
    # A lone surrogate has no UTF-8; the replacement can never equal what the target stored.
    return text.encode("utf-8", "replace")


def _compare(theirs: str, ours: bytes, what: str) -> None:
    if theirs != ours.hex():
        raise RefusedError(
            f"the server's digest of the {what} is not that of what it showed, so nothing was sent. "
            "Do not approve this request; tell an administrator.",
            code="digest-mismatch",
        )
