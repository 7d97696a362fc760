"""HTTPS to the web service: TLS verified, one Negotiate token a request, answers bounded.

``http.client`` and ``ssl`` alone, since a command line pays for every import.  No proxy, no
redirect, no cookie.  A request that changes something is sent once: when its answer does not
arrive the error says that it may have been recorded.
"""

import base64
import binascii
import http.client
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from ipa_tpi import __version__
from ipa_tpi.client.tickets import Tickets
from ipa_tpi.client.trust import cause_of, explain_connect, trusting
from ipa_tpi.client.verdict import judge
from ipa_tpi.errors import (
    BadInputError,
    OutcomeUnknownError,
    TpiError,
    UnavailableError,
)

MAX_ANSWER_BYTES: Final = 10 * 1024 * 1024  # R-E12
DEFAULT_TIMEOUT_SECONDS: Final = 30.0
_CHUNK_BYTES: Final = 64 * 1024
_REUSE_SECONDS: Final = 2.0


class Transport:
    """A channel to one web service, for one thread.

    Args:
        server_url: ``https://HOST`` or ``https://HOST:PORT``.
        ca_file: PEM file of the certificate authorities to trust; no others are.
        tickets: The person's.
        timeout_seconds: For connecting, for each read, and for a whole answer.

    Attributes:
        host: The server's name.
        url: The server's URL in its normal form.
    """

    def __init__(self, server_url: str, ca_file: str, tickets: Tickets, timeout_seconds: float) -> None:
        self.host, self._port, self.url = _split(server_url)
        self._tickets = tickets
        self._timeout_seconds = timeout_seconds
        self._tls = trusting(ca_file)
        self._connection: http.client.HTTPSConnection | None = None
        self._last_used = 0.0

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send one request as the person and receive its answer.

        Args:
            method: ``GET`` or ``POST``.
            path: With its query string.
            body: JSON, or None.

        Returns:
            The JSON of a successful answer.

        Raises:
            TpiError: Of the problem that the server told; or that the server cannot be reached or
                trusted, refused the ticket, redirected, or answered something that is not JSON.
        """
        negotiation = self._tickets.negotiate(self.host)
        headers = {
            "Accept": "application/json, application/problem+json",
            "Authorization": "Negotiate " + base64.b64encode(negotiation.token).decode("ascii"),
            "User-Agent": f"ipa-tpi/{__version__}",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        response, data = self._exchange(method, path, body, headers)
        proof = _server_token(response)
        if proof is not None:
            negotiation.verify(proof)
        return judge(method, response.status, response.headers, data, self.url)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connect()
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            data = self._read(response)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._lost(method, error) from error
        except UnavailableError:
            self.close()
            raise
        self._last_used = time.monotonic()
        if response.will_close:
            self.close()
        return response, data

    def _connect(self) -> http.client.HTTPSConnection:
        # A connection that has idled may be half closed; then a POST would be lost in doubt.
        if self._connection is not None and time.monotonic() - self._last_used < _REUSE_SECONDS:
            return self._connection
        self.close()
        connection = http.client.HTTPSConnection(
            self.host,
            self._port,
            timeout=self._timeout_seconds,
            context=self._tls,
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise explain_connect(error, self.url) from error
        self._connection = connection
        return connection

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        deadline = time.monotonic() + self._timeout_seconds
        parts: list[bytes] = []
        size = 0
        while chunk := response.read1(_CHUNK_BYTES):
            parts.append(chunk)
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise UnavailableError(
                    f"the answer of {self.url} is larger than {MAX_ANSWER_BYTES} bytes. "
                    "Ask for less: restrict the list with --state or --mine.",
                    code="too-large",
                )
            if time.monotonic() > deadline:
                raise TimeoutError("the answer did not end in time")
        if response.length:
            raise http.client.IncompleteRead(b"".join(parts), response.length)
        response.close()  # read1 leaves it open at its end, and the connection unusable
        return b"".join(parts)

    def _lost(self, method: str, error: Exception) -> TpiError:
        cause = cause_of(error)
        if method == "GET":
            return UnavailableError(
                f"the connection to {self.url} broke before its answer came ({cause}). Try again.",
                code="server-unreachable",
            )
        return OutcomeUnknownError(
            f"the connection to {self.url} broke after the request was sent ({cause}), so it may have been "
            "recorded. Look with 'ipa-tpi list --mine' before you repeat it.",
        )


def _split(server_url: str) -> tuple[str, int, str]:
    problem = BadInputError(f"{server_url!r} is not a server's URL; write https://HOST or https://HOST:PORT")
    try:
        parts = urlsplit(server_url)
        host, port = parts.hostname or "", parts.port or http.client.HTTPS_PORT
    except ValueError as error:
        raise problem from error
    surplus = parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment
    if parts.scheme != "https" or not host or surplus or not host.isascii():
        raise problem
    shown = host if port == http.client.HTTPS_PORT else f"{host}:{port}"
    return host, port, f"https://{shown}"


def _server_token(response: http.client.HTTPResponse) -> bytes | None:
    for value in response.headers.get_all("WWW-Authenticate", []):
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "negotiate" and token and response.status != http.HTTPStatus.UNAUTHORIZED:
            try:
                return base64.b64decode(token.strip(), validate=True)
            except binascii.Error:
                return b""
    return None
