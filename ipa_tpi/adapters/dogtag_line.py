"""One HTTPS connection to Apache in front of Dogtag, and one question on it: what both transports have in common."""

import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from ipa_tpi.errors import ActionFailedError, AuthorityUnavailableError, OutcomeUnknownError

TIMEOUT_SECONDS: Final = 30.0
SUCCESS: Final = range(200, 300)
_MOST_BYTES: Final = 1024 * 1024
_JSON: Final = "application/json"
_SESSION: Final = re.compile(r"\bJSESSIONID=([A-Za-z0-9.]{16,128})(?![^;])")
# RFC 8446 section 6.2: alerts by which a server ends a connection because of who the client is.
_NOT_LET_IN: Final = re.compile(
    r".*_ALERT_(HANDSHAKE_FAILURE|((BAD|UNSUPPORTED)_)?CERTIFICATE(_REVOKED|_EXPIRED|_UNKNOWN|_REQUIRED)?"
    r"|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP.
        told: The answer's JSON; None where it has none.
        session: Dogtag's session, where it gave one: as good as what proved who asked.
    """

    status: int
    told: Any
    session: str = field(repr=False)


class Line(http.client.HTTPSConnection):
    """To an address, whatever the name resolves to; the certificate is checked against the name."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, address: str) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS, context=tls)
        self._tls = tls
        self._address = address

    def connect(self) -> None:
        """Connect."""
        bare = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(bare, server_hostname=self.host)


def verifying(ca_file: str) -> ssl.SSLContext:
    """Make what checks chain and name of the server (R-E07).

    Raises:
        AuthorityUnavailableError: There is nothing to check with.
    """
    try:
        tls = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise AuthorityUnavailableError(
            f"{ca_file} cannot be read or holds no certificate: {error}; put the CA's certificate there"
        ) from error
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return tls


@contextmanager
def connected(line: Line) -> Iterator[Line]:
    """Connect, and let go of it at the end.

    Raises:
        AuthorityUnavailableError: Nobody listens, or it is not the server that it should be.
    """
    try:
        line.connect()
    except OSError as error:
        line.close()
        raise AuthorityUnavailableError(
            f"the CA behind {line.host}:{line.port} cannot be reached: {error}; "
            "see: systemctl status apache2 pki-tomcatd@pki-tomcat"
        ) from error
    try:
        yield line
    finally:
        line.close()


def asked(
    line: Line, method: str, path: str, proof: Mapping[str, str] | None = None, body: object = None
) -> Answer:
    """Ask once, and read the answer.

    Args:
        line: Connected.
        method: Of HTTP.
        path: Of the request.
        proof: The headers that say who asks.
        body: As `ipa_tpi.ports.DogtagTransport` has it.

    Raises:
        ActionFailedError: The server certainly refused the certificate that this side has shown.
        OutcomeUnknownError: No answer came.
    """
    headers = {"Accept": _JSON, **(proof or {})}
    sent = None
    if body is not None:
        headers["Content-Type"] = "application/octet-stream" if isinstance(body, str) else _JSON
        sent = (body if isinstance(body, str) else json.dumps(body)).encode()
    try:
        line.request(method, path, sent, headers)
        answer = line.getresponse()
        text = answer.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, ssl.SSLError) and _NOT_LET_IN.fullmatch(error.reason or ""):
            raise ActionFailedError(
                f"Apache on {line.host} does not take the agent's certificate ({error.reason}); "
                "see: getcert list, and TPI_CA_AUTHORITY in /etc/ipa/tpi/ca-httpd.conf"
            ) from error
        raise OutcomeUnknownError(
            f"the CA was asked and did not answer ({type(error).__name__}: {error}); look at the certificate"
        ) from error
    session = _SESSION.search(answer.headers.get("Set-Cookie", ""))
    return Answer(answer.status, _parsed(text, answer.status), session[1] if session else "")


def _parsed(text: bytes, status: int) -> Any:  # noqa: ANN401 (JSON)
    if not text or len(text) > _MOST_BYTES:
        return None
    try:
        return json.loads(text)
    except ValueError:  # what was asked for as a text; else a page of Apache's or Tomcat's
        return text.decode("utf-8", "replace") if status in SUCCESS else None
