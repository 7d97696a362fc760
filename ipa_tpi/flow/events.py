"""The closed list of events that the web's way through leaves in the audit trail (A08, E02)."""

from enum import StrEnum


class Event(StrEnum):
    """What happened; each record also names the caller and, where there is one, the request."""

    ATTEMPT = "attempt"  # all checks passed and something is about to be written
    CREATED = "request-created"
    APPROVED = "approval-added"
    DENIED = "denial-added"
    WITHDRAWN = "withdrawal-added"
    CANCELLED = "cancellation-added"
    PROVEN = "proof-added"
    REFUSED = "refused"  # a decision said no
    FAILED = "failed"  # something outside did not answer, so nothing was decided
    ERROR = "error"  # a fault of our own
