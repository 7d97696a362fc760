"""The one tree of errors, and the three tables that carry a code to people and programs.

A *code* is a stable, lower-case, hyphenated word.  It names one cause, appears in problem
documents (RFC 9457), in the audit trail and in the excerpt of a result, and is never reused
for another meaning.  Inside ``decide`` a refusal is a value (`ipa_tpi.model.Refuse`) that bears
such a code; `ipa_tpi.flow` turns it into a `RefusedError`.
"""

from typing import Final


class TpiError(Exception):
    """Base of every error that ipa-tpi raises on purpose.

    Args:
        message: What happened and what to do next, for a person.
        code: The stable code; the class's own when left out.
    """

    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class RefusedError(TpiError):
    """A decision on complete reads said no; repeating the same call gives the same answer."""

    code = "refused"


class NotFoundError(TpiError):
    """The named thing does not exist, or the caller may not know that it does."""

    code = "not-found"


class BadInputError(TpiError):
    """The caller's input does not have the demanded form."""

    code = "bad-input"


class UnavailableError(TpiError):
    """Something outside did not answer, so nothing was decided and nothing was done."""

    code = "unavailable"


class DirectoryUnavailableError(UnavailableError):
    """The directory did not answer, or not in time."""

    code = "directory-unavailable"


class DirectoryLimitError(DirectoryUnavailableError):
    """The directory holds more than it gives at once, so a complete answer cannot be had."""

    code = "directory-limit"


class KerberosError(UnavailableError):
    """A ticket is missing, expired, or could not be had or accepted."""

    code = "kerberos"


class NoTicketError(KerberosError):
    """The caller holds no usable ticket."""

    code = "no-ticket"


class TooManyRequestsError(UnavailableError):
    """The caller asks for more at a time, or faster, than one caller may; nothing was done.

    Args:
        message: As of every error.
        code: Likewise.
        repeated: The same caller was told so already since he last was let in.
    """

    code = "too-many-requests"

    def __init__(self, message: str, *, code: str | None = None, repeated: bool = False) -> None:
        super().__init__(message, code=code)
        self.repeated = repeated


class ServiceManagerError(UnavailableError):
    """systemd did not answer over D-Bus before anything was asked of it."""

    code = "service-manager-unavailable"


class OutcomeUnknownError(TpiError):
    """Something was begun and its end is not known; never to be repeated by itself."""

    code = "outcome-unknown"


class ActionFailedError(TpiError):
    """The action was tried or certainly refused by the end system, and did not succeed."""

    code = "action-failed"


class JournalError(UnavailableError):
    """The executor's journal is missing, unreadable, or could not be written durably."""

    code = "journal-unavailable"


class AuthorityUnavailableError(UnavailableError):
    """The certificate authority did not answer before anything was asked of it."""

    code = "authority-unavailable"


class ValidatorUnavailableError(UnavailableError):
    """The service that runs validation programs did not answer, and none was started."""

    code = "validator-unavailable"


class AuditError(UnavailableError):
    """The audit record could not be written, so the step that it records must not happen."""

    code = "audit-unavailable"


class ConfigError(TpiError):
    """A configuration file is missing, malformed, or unsafe; nothing starts with it."""

    code = "config"


class DirectoryRefusedError(RefusedError):
    """The directory's own access control refused the operation for the caller."""

    code = "directory-refused"


# The codes of decide/, each with the HTTP status that the web service answers.
# 403: this person may not; 409: the state or the content is not what the caller believes;
# 404: unknown; 422: well-formed but not acceptable.
HTTP_STATUS: Final[dict[str, int]] = {
    # input
    "bad-input": 400,
    "bad-json": 400,
    "bad-id": 400,
    "not-json": 415,
    "too-large": 413,
    "answer-too-large": 500,
    "method-not-allowed": 405,
    "too-slow": 408,
    "too-many-requests": 429,
    "cross-origin": 403,
    "text-not-allowed": 422,
    "unknown-operation": 422,
    "bad-parameters": 422,
    "interface-not-allowed": 422,
    "reason-required": 422,
    "ticket-required": 422,
    # identity
    "unauthenticated": 401,
    "fresh-needed": 403,  # of the command line alone: no terminal to ask for the factor on
    "no-ticket": 403,  # not 401: the caller was authenticated, and a client that gets 401 again asks again
    "kerberos": 503,
    "caller-mismatch": 403,
    "unknown-principal": 403,
    "ambiguous-principal": 403,
    "not-canonical": 403,
    "foreign-realm": 403,
    "disabled": 403,
    "expired-principal": 403,
    "not-a-person": 403,
    "no-person-attribute": 403,
    "identity-changed": 409,
    # policy
    "no-rule": 403,
    "rule-malformed": 422,
    "operation-disabled": 403,
    "operation-malformed": 422,
    "operation-not-on-floor": 403,
    "target-not-served": 422,
    "server-unfit": 422,
    "self-approval": 403,
    "same-person": 403,
    "already-voiced": 409,
    "not-requester": 403,
    "not-voter": 403,
    "too-many-pending": 429,
    "rate-limited": 429,
    "busy": 503,
    "below-floor": 403,
    "unit-reserved": 403,
    "profile-reserved": 403,
    "profile-unguarded": 403,
    "validation-refused": 403,
    "validation-failed": 403,
    "validation-timeout": 403,
    "stage-order": 409,
    "policy-unsatisfiable": 409,
    "membership-too-young": 403,
    "proof-indicator-missing": 403,
    "proof-stale": 403,
    "not-reading": 409,
    # state
    "not-found": 404,
    "not-pending": 409,
    "awaiting-preview": 409,
    "already-decided": 409,
    "nothing-to-withdraw": 409,
    "expired": 409,
    "cancelled": 409,
    "denied-by-approver": 409,
    "digest-mismatch": 409,
    "operation-changed": 409,
    "id-taken": 409,
    "proof-missing": 409,
    "approvals-missing": 409,
    # entries that should not be
    "malformed-request": 409,
    "malformed-entry": 409,
    "forged-entry": 409,
    "forged-veto": 409,
    "seen-entry-missing": 409,
    "seen-entry-changed": 409,
    "clock": 409,
    "older-than-journal": 409,
    "preview-differs": 409,
    "precondition-changed": 409,
    "wrong-target": 409,
    "execution-exists": 409,
    "requester-gone": 409,
    "withdrawn": 409,
    "account-too-young": 403,
    "too-late": 409,
    # proofs
    "proof-invalid": 422,
    "proof-replayed": 422,
    "proof-wrong-digest": 422,
    "proof-wrong-purpose": 422,
    "proof-delegated": 422,
    "proof-other-principal": 422,
    "proof-foreign-realm": 422,
    "proof-kind-unknown": 422,
    "proof-too-many": 429,
    "proof-unexpected-purpose": 422,
    # certificates: what the CA's validator is told
    "nothing-approved": 403,
    "other-certificate": 403,
    "already-used": 409,
    "other-way": 409,
    "being-used": 409,
    "consume-too-late": 503,
    # the end
    "executed": 200,
    "failed": 200,
    "denied": 200,
    "indeterminate": 200,
    "outcome-unknown": 500,
    "action-failed": 500,
    # outside
    "refused": 403,
    "directory-refused": 403,
    "unavailable": 503,
    "directory-unavailable": 503,
    "directory-limit": 503,
    "service-manager-unavailable": 503,
    "journal-unavailable": 503,
    "audit-unavailable": 503,
    "validator-unavailable": 503,
    "authority-unavailable": 503,
    "server-unreachable": 503,
    "server-untrusted": 503,
    "clock-skew": 401,
    "not-confirmed": 409,  # of the command line alone: the person did not say yes
    "config": 500,
    "restart-needed": 409,
    "error": 500,
}

EXIT_OK: Final = 0
EXIT_ERROR: Final = 1
EXIT_NOT_FOUND: Final = 2
EXIT_PENDING: Final = 3
EXIT_DENIED: Final = 4
EXIT_EXPIRED: Final = 5
EXIT_INDETERMINATE: Final = 6
EXIT_FAILED: Final = 7
EXIT_CANCELLED: Final = 8
EXIT_USAGE: Final = 64

# A request's state, as the exit status of the CLI (DESIGN section 11).
STATE_EXIT_STATUS: Final[dict[str, int]] = {
    "awaiting-preview": EXIT_PENDING,
    "pending": EXIT_PENDING,
    "approved": EXIT_PENDING,
    "executing": EXIT_PENDING,
    "executed": EXIT_OK,
    "failed": EXIT_FAILED,
    "denied": EXIT_DENIED,
    "cancelled": EXIT_CANCELLED,
    "expired": EXIT_EXPIRED,
    "indeterminate": EXIT_INDETERMINATE,
}


def exit_status(code: str) -> int:
    """Tell the CLI's exit status for a code of a problem or a refusal.

    Args:
        code: A key of `HTTP_STATUS`; an unknown one counts as a plain error.

    Returns:
        The status of DESIGN section 11: 2 for what is not found, 4 for a refusal,
        5 for what has expired, 8 for what was cancelled, 64 for bad input, else 1.
    """
    special = {
        "expired": EXIT_EXPIRED,
        "cancelled": EXIT_CANCELLED,
        "not-found": EXIT_NOT_FOUND,
        "no-ticket": EXIT_ERROR,
        "fresh-needed": EXIT_ERROR,
        "too-many-requests": EXIT_ERROR,
        "not-confirmed": EXIT_ERROR,
    }
    if code in special:
        return special[code]
    status = HTTP_STATUS.get(code, 500)
    if status == HTTP_STATUS["bad-input"]:
        return EXIT_USAGE
    if status in {403, 409, 422, 429}:
        return EXIT_DENIED
    return EXIT_ERROR
