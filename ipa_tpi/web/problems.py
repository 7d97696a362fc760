"""Answers: JSON, or a problem document with a stable code (RFC 9457); the same headers on all of them."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from flask import Response
from werkzeug.exceptions import HTTPException

from ipa_tpi.errors import HTTP_STATUS, TooManyRequestsError, TpiError
from ipa_tpi.wire import Problem, encode

# R-E22
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
RETRY_AFTER_SECONDS: Final = 5
_BY_STATUS: Final = {
    HTTPStatus.NOT_FOUND: ("not-found", "there is nothing at this path; see /tpi/v1/openapi.yaml"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "this path does not know that method"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too-large", "the message is too large"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("not-json", "send the body as Content-Type: application/json"),
}
_INTERNAL: Final = "something went wrong here, and it has been recorded; ask an administrator"


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with a shape of `ipa_tpi.wire`.

    Args:
        value: The shape.
        status: The status.

    Returns:
        The answer.
    """
    return Response(encode(value), status=status, content_type="application/json")


def from_error(error: TpiError, path: str) -> Response:
    """Answer with one of our errors: its code, its message, nothing else.

    Args:
        error: The error; its message is written for people.
        path: Of the request.

    Returns:
        The answer; a code without a status counts as an error of our own.
    """
    status = HTTPStatus(HTTP_STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR))
    if status < HTTPStatus.BAD_REQUEST:
        status = HTTPStatus.CONFLICT  # the code of an end, used as a refusal: never a success
    return _problem(status, error.code, error.message, path)


def from_http(error: HTTPException, path: str) -> tuple[str, Response]:
    """Answer with what routing or reading refused.

    Args:
        error: Werkzeug's.
        path: Of the request.

    Returns:
        The code, and the answer.
    """
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    code, detail = _BY_STATUS.get(status, ("bad-input", "the request is not well-formed"))
    answer = _problem(status, code, detail, path)
    methods: Iterable[str] = getattr(error, "valid_methods", None) or ()
    if status is HTTPStatus.METHOD_NOT_ALLOWED:  # RFC 9110 section 15.5.6
        answer.headers["Allow"] = ", ".join(sorted(methods))
    return code, answer


def internal(path: str) -> Response:
    """Answer that something is wrong here, and tell nothing of it.

    Args:
        path: Of the request.

    Returns:
        The answer.
    """
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "error", _INTERNAL, path)


def harden(answer: Response) -> Response:
    """Set the headers that every answer bears.

    Args:
        answer: Any.

    Returns:
        It.
    """
    for name, value in HEADERS.items():
        answer.headers[name] = value
    return answer


def _problem(status: HTTPStatus, code: str, detail: str, path: str) -> Response:
    body = Problem(
        type=f"urn:ipa-tpi:problem:{code}",
        title=status.phrase,
        status=status.value,
        detail=detail,
        code=code,
        instance=path,
    )
    answer = Response(encode(body), status=status, content_type="application/problem+json")
    if status is HTTPStatus.TOO_MANY_REQUESTS and code == TooManyRequestsError.code:  # RFC 6585 section 4
        answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status is HTTPStatus.UNAUTHORIZED:  # RFC 9110 section 15.5.2
        answer.headers["WWW-Authenticate"] = "Negotiate"
    return answer
