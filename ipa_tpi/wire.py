"""What goes over the wire: JSON bodies of the web service and of the executor's socket.

Decoding is strict (unknown fields, wrong types and lengths are refused, with the path of the
field in the message); digests travel as lower-case hex, tokens and MICs as base64, times as
RFC 3339 in UTC.  Nothing here is trusted because it decoded: meaning is judged in ``decide``.
"""

from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ipa_tpi.errors import BadInputError

MAX_BODY_BYTES: Final = 1024 * 1024  # R-E03
MAX_TOKEN_BYTES: Final = 64 * 1024
MAX_TEXT_CHARACTERS: Final = 1024
MAX_LINES_CHARACTERS: Final = 65536
MAX_PARAMETERS: Final = 32
MAX_LISTED: Final = 500
DEFAULT_LISTED: Final = 100

Hex256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARACTERS)]
Lines = Annotated[str, msgspec.Meta(max_length=MAX_LINES_CHARACTERS)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Opaque = Annotated[bytes, msgspec.Meta(max_length=MAX_TOKEN_BYTES)]

S = TypeVar("S")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that is received: an unknown field is an error (R-E03)."""


class ProofBody(Strict, frozen=True):
    """A proof as the person's own program made it (DESIGN section 5)."""

    purpose: Name
    digest: Hex256
    token: Opaque
    mic: Opaque
    kind: Name = "gss"


class RequestBody(Strict, frozen=True):
    """``POST /tpi/v1/requests``: everything under the request digest, the digest, and the proof."""

    id: Identifier
    operation: Name
    operation_digest: Hex256
    target: Name
    parameters: Annotated[dict[Name, Lines], msgspec.Meta(max_length=MAX_PARAMETERS)]
    digest: Hex256
    reason: Text = ""
    ticket: Text = ""
    interface: Name = "web"
    proof: ProofBody | None = None


class VoiceBody(Strict, frozen=True):
    """``POST …/approvals``, ``…/denials``, ``…/withdrawal``, ``…/cancellation``.

    `digest` is what the person saw: the approval digest, or the request digest where there is
    no preview yet and for a cancellation.
    """

    digest: Hex256
    comment: Text = ""
    proof: ProofBody | None = None


class VoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """One voice (approval, denial, withdrawal, cancellation) for people to read."""

    who: str
    at: datetime
    comment: str = ""
    counts: bool = False
    code: str = ""
    message: str = ""


class PreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What the target showed: the very text that the digest is over."""

    body: str
    digest: str
    at: datetime


class ResultView(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended."""

    outcome: str
    excerpt: str
    at: datetime
    exit_status: int | None = None


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """A request with its standing, as the caller may see it.

    `digest`, `approval_digest` and `preview.digest` are what the server believes; a client that
    makes a proof computes them itself from the other fields.  `seconds_to_end` is how long it can
    take until nothing more happens to it, even if nobody says anything more.  `fresh_seconds` and `indicators`
    are as in `OperationView`.
    """

    id: str
    operation: str
    operation_digest: str
    target: str
    parameters: dict[str, str]
    requester: str
    reason: str
    ticket: str
    interface: str
    digest: str
    created: datetime
    state: str
    code: str = ""
    message: str = ""
    expires: datetime | None = None
    seconds_left: int = 0
    seconds_to_end: int = 0
    required_approvals: int = 1
    approvals: list[VoiceView] = []
    denials: list[VoiceView] = []
    withdrawals: list[VoiceView] = []
    cancellations: list[VoiceView] = []
    preview: PreviewView | None = None
    approval_digest: str = ""
    begun: datetime | None = None
    result: ResultView | None = None
    mine: bool = False
    approvable: bool = False
    why_not: str = ""
    fresh_seconds: int = 0
    indicators: list[str] = []


class RequestList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /tpi/v1/requests``; `more` tells that there are older ones beyond the limit."""

    requests: list[RequestView]
    more: bool = False


class CandidateView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who might approve a request: `chance` is recorded, can, counted or cannot."""

    principal: str
    name: str
    chance: str
    code: str = ""
    message: str = ""


class ApproversView(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /tpi/v1/requests/ID/approvers``.

    `missing` approvals are still needed, `available` different people could still give one, and `enough`
    tells whether the request can still get, or has, what it needs.
    """

    id: str
    state: str
    code: str = ""
    message: str = ""
    required_approvals: int
    missing: int
    available: int
    enough: bool
    candidates: list[CandidateView]


class ParameterView(msgspec.Struct, frozen=True, kw_only=True):
    """What a parameter may be: the whole value matches `pattern` and, where there are any, is one of `values`.

    `lines` tells whether it may have several lines, and be long.
    """

    pattern: str
    values: list[str] = []
    lines: bool = False


class FloorView(msgspec.Struct, frozen=True, kw_only=True):
    """What the floor of this server demands of an operation: `values` are the only ones of a parameter."""

    required_approvals: int
    proof: bool
    values: dict[str, list[str]] = {}


class OperationView(msgspec.Struct, frozen=True, kw_only=True):
    """One operation that can be asked for; `floor` is None where this server's floor does not allow it.

    `fresh_seconds` and `indicators` are what a proof's ticket must be, by the definition and this server's floor:
    got for the proof alone at most so long ago, 0 for any; with one of these indicators, any where there are none.
    """

    name: str
    digest: str
    enabled: bool
    description: str
    parameters: dict[str, ParameterView]
    required_approvals: int
    approval_seconds: int
    execution_seconds: int
    timeout_seconds: int
    interfaces: list[str]
    reason_pattern: str = ""
    ticket_pattern: str = ""
    pending_limit: int = 0
    destructive: bool = False
    fresh_seconds: int = 0
    indicators: list[str] = []
    floor: FloorView | None = None


class OperationList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /tpi/v1/operations``.

    `malformed` names definitions that were refused when loaded, `host` is this server, and `hosts` are
    those that have an executor.
    """

    operations: list[OperationView]
    malformed: dict[str, str] = {}
    host: str = ""
    hosts: list[str] = []


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody has a right: `rules` give it, and `code` and `message` say what stands against it."""

    right: str
    allowed: bool
    rules: list[str]
    code: str = ""
    message: str = ""


class StageView(msgspec.Struct, frozen=True, kw_only=True):
    """So many of a group, by its DN, have to approve when all stages of a lower order are complete."""

    order: int
    count: int
    group: str


class DemandView(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation demands on a host; `floor_known` tells whether the host's floor was looked at."""

    floor_known: bool
    required_approvals: int
    groups: list[str]
    stages: list[StageView]
    proof: bool
    indicators: list[str]
    fresh_seconds: int
    minimum_age_seconds: int
    validation_program: str
    reason_pattern: str
    ticket_pattern: str


class BrokenRuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is there and gives nothing, and why."""

    name: str
    dn: str
    message: str


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /tpi/v1/policy``.

    `verdicts` are of the user who was asked about, `demand` is None where the operation is malformed;
    `requesters` different people could ask for it, `approvers` could approve it then, and `enough` tells whether
    those can come to what is demanded; if not, `code` and `message` say why.
    """

    user: str
    name: str
    operation: str
    host: str
    verdicts: list[VerdictView]
    demand: DemandView | None
    requesters: int
    approvers: int
    enough: bool
    code: str = ""
    message: str = ""
    broken: list[BrokenRuleView]
    malformed: dict[str, str]


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """One rule; whom, which hosts and which operations it names, by their DNs."""

    name: str
    dn: str
    enabled: bool
    rights: list[str]
    users: list[str]
    all_users: bool
    principals: list[str]
    hosts: list[str]
    all_hosts: bool
    operations: list[str]
    all_operations: bool


class RuleList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /tpi/v1/rules``; `broken` are those that give nothing, whatever was asked for."""

    rules: list[RuleView]
    broken: list[BrokenRuleView]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457); `code` is the stable word of `ipa_tpi.errors`.

    `gss_major` is in a 401 of the web server's own: the major status of what it made of the caller's token
    (RFC 2744 section 3.9.1), 0 where there was none.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    gss_major: str = ""


class Consumption(Strict, frozen=True):
    """The certificate that is about to be issued, for which an approved request is to be used up (DESIGN section 8).

    Attributes:
        csr: SHA-256 of the request's DER, in hex.
        profile: The profile.
        ca: The CA's name.
        user: Who submits it, a principal; he is to be the requester.
    """

    csr: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    profile: Name
    ca: Name
    user: Name


class SocketMessage(Strict, frozen=True, omit_defaults=True):
    """One line of JSON to the executor's socket: a verb, and what it is about."""

    verb: Name
    id: Identifier | None = None
    consume: Consumption | None = None


class SocketAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of JSON back."""

    ok: bool
    code: str = ""
    message: str = ""
    health: dict[str, Any] = {}


def decode(data: bytes, shape: type[S]) -> S:
    """Decode untrusted JSON into exactly one shape.

    Args:
        data: The bytes as received, of any length.
        shape: The expected type.

    Returns:
        The value.

    Raises:
        BadInputError: Code ``too-large`` over 1 MiB, else ``bad-json`` with the path of the
            field that does not fit.
    """
    if len(data) > MAX_BODY_BYTES:
        raise BadInputError(f"the message is larger than {MAX_BODY_BYTES} bytes; send less", code="too-large")
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(
            f"the message is not of the expected form: {error}. Correct it and send it again.",
            code="bad-json",
        ) from error


def encode(value: object) -> bytes:
    """Encode a shape of this module as JSON.

    Args:
        value: The value.

    Returns:
        UTF-8 JSON without a newline.
    """
    return msgspec.json.encode(value)
