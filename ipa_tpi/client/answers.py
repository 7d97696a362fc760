"""What the web service answered: JSON of a known shape, or a problem document (RFC 9457)."""

from http import HTTPStatus
from typing import Final, NoReturn, TypeVar

import msgspec

from ipa_tpi.errors import (
    HTTP_STATUS,
    BadInputError,
    KerberosError,
    NotFoundError,
    NoTicketError,
    OutcomeUnknownError,
    RefusedError,
    TooManyRequestsError,
    TpiError,
    UnavailableError,
)
from ipa_tpi.wire import Problem

S = TypeVar("S")

_BY_CODE: Final[dict[str, type[TpiError]]] = {
    "outcome-unknown": OutcomeUnknownError,
    "no-ticket": NoTicketError,
    "kerberos": KerberosError,
    "too-slow": UnavailableError,
    "too-many-requests": TooManyRequestsError,
}
_BY_STATUS: Final[dict[int, type[TpiError]]] = {
    HTTPStatus.BAD_REQUEST: BadInputError,
    HTTPStatus.UNAUTHORIZED: KerberosError,
    HTTPStatus.FORBIDDEN: RefusedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: RefusedError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BadInputError,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: BadInputError,
    HTTPStatus.UNPROCESSABLE_ENTITY: RefusedError,
    HTTPStatus.TOO_MANY_REQUESTS: RefusedError,
}


def read_answer(data: bytes, shape: type[S], url: str) -> S:
    """Decode the JSON of a successful answer.

    Args:
        data: Untrusted bytes, already bounded in size.
        shape: The type that was asked for.
        url: The server, for the message.

    Returns:
        The value.

    Raises:
        UnavailableError: It is not JSON of that shape.
    """
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnavailableError(
            f"the answer of {url} is not of the form that this ipa-tpi knows ({error}). "
            "Update ipa-tpi here or on the server, so that both have one version.",
        ) from error


def raise_problem(data: bytes, status: int, url: str) -> NoReturn:
    """Raise what a problem document tells.

    Args:
        data: Untrusted bytes.
        status: The HTTP status that they came with.
        url: The server, for the message.

    Raises:
        TpiError: Of the class that its code or status stands for, with the server's own text.
    """
    problem = read_answer(data, Problem, url)
    status = HTTP_STATUS.get(problem.code, status)
    raised = _BY_CODE.get(problem.code) or _BY_STATUS.get(status, UnavailableError)
    # A code that this version does not know keeps the class's own, so that the exit status is right.
    code = problem.code if problem.code in HTTP_STATUS else None
    raise raised(problem.detail or problem.title, code=code)
