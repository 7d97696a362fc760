"""What an answer of the web service, or of the web server before it, means: JSON, or one of our errors.

The web server refuses some requests by itself, in its own words where it has not yet seen whom they are for.
"""

import email.utils
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Final, NoReturn

import msgspec

from ipa_tpi.client.answers import raise_problem
from ipa_tpi.errors import BadInputError, KerberosError, OutcomeUnknownError, UnavailableError
from ipa_tpi.wire import Problem

_SKEW_SECONDS: Final = 240
_NO_CREDENTIALS: Final = str(7 << 16)  # GSS_S_NO_CRED, RFC 2744 section 3.9.1
_ALL_TOO_LARGE: Final = frozenset(
    {
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
)


def judge(method: str, status: int, headers: HTTPMessage, data: bytes, url: str) -> bytes:
    """Take an answer as JSON, or tell what is wrong.

    Args:
        method: Of the request.
        status: Of the answer.
        headers: Of the answer, untrusted.
        data: Its body, untrusted and already bounded in size.
        url: The server.

    Returns:
        The JSON of a successful answer.

    Raises:
        TpiError: Of the problem that the server told; or that it refused the ticket, redirected, gave up,
            or answered something that is not JSON.
    """
    kind = headers.get_content_type()
    if status == HTTPStatus.UNAUTHORIZED:
        raise _refused_ticket(headers, data, url)
    if kind == "application/problem+json":
        _raise_told(method, status, data, url)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise UnavailableError(
            f"{url} wants to send us elsewhere (HTTP {status}), which ipa-tpi never follows. "
            "Give the right server with --server.",
            code="server-untrusted",
        )
    unsure = status >= HTTPStatus.INTERNAL_SERVER_ERROR and method != "GET"
    if not unsure:
        _refuse_bare(status, url)
    else:  # the web server answers so for a service that died amid a request
        raise OutcomeUnknownError(
            f"{url} failed while it worked on the request (HTTP {status}), so it may have been recorded. "
            "Look with 'ipa-tpi list --mine' before you repeat it.",
        )
    if kind != "application/json" or status >= HTTPStatus.BAD_REQUEST:
        raise UnavailableError(
            f"{url} answered HTTP {status} with {kind} rather than what ipa-tpi speaks. "
            "Check that ipa-tpi's web service is installed and running there.",
        )
    return data


def _raise_told(method: str, status: int, data: bytes, url: str) -> NoReturn:
    try:
        raise_problem(data, status, url)
    except OutcomeUnknownError as error:
        if method != "GET":
            raise
        # Nothing was to be changed, so that it may simply be asked again.
        raise UnavailableError(f"{url} did not get to its answer (HTTP {status}). Try again.") from error


def _refuse_bare(status: int, url: str) -> None:
    """Raise what a status alone says, of a web server that refuses in its own words."""
    if status == HTTPStatus.BAD_REQUEST:
        raise BadInputError(
            f"{url} could not make sense of the request (HTTP 400). If you are in very many groups, your ticket may "
            "be larger than the web server takes; its administrator can raise LimitRequestFieldSize."
        )
    if status == HTTPStatus.REQUEST_TIMEOUT:
        raise UnavailableError(
            f"{url} gave the request up, since it came too slowly; nothing was done (HTTP 408). "
            "Check the network and try again.",
            code="too-slow",
        )
    if status in _ALL_TOO_LARGE:
        raise BadInputError(
            f"{url} takes no request as large as this (HTTP {status}). Shorten reason, ticket or parameters.",
            code="too-large",
        )
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        raise UnavailableError(
            f"{url} is busy or just starts, and nothing was done (HTTP {status}). Try again in a moment."
        )


def _refused_ticket(headers: HTTPMessage, data: bytes, url: str) -> KerberosError:
    if _says_no_credentials(data):
        # It cannot accept anybody's ticket then, so this says nothing of the caller's.
        return KerberosError(
            f"{url} could not check your ticket, since it has none of its own: most likely its Kerberos server or its "
            "directory does not answer. Nothing was done, and your ticket is not at fault. Try again in a moment; "
            "if it lasts, look there with systemctl at krb5kdc, the directory server (dirsrv) and gssproxy.",
        )
    # The clock of the server that refused us is in its answer; a large gap is the usual cause.
    date = headers.get("Date")
    try:
        gap = abs(email.utils.parsedate_to_datetime(date or "") - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        gap = 0
    if gap > _SKEW_SECONDS:
        return KerberosError(
            f"{url} did not accept your ticket, and its clock differs from this machine's by {gap:.0f} s. "
            "Set the clock (chronyc makestep), run kinit and try again.",
            code="clock-skew",
        )
    return KerberosError(
        f"{url} did not accept your Kerberos ticket. Run kinit and try again; if that does not help, the server's "
        "keytab may be out of date, or gssproxy does not run there.",
        code="unauthenticated",
    )


def _says_no_credentials(data: bytes) -> bool:
    try:
        return msgspec.json.decode(data, type=Problem).gss_major == _NO_CREDENTIALS
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
