"""How calls reach Dogtag over its REST interface, and as whom (D12, K01); which of them: `ipa_tpi.decide.dogtag_way`.

`ProxyTicket` is the executor's own way: Apache's operator location on this host's loopback, with the
ticket that the requester's proof yielded.  That it is the executor who asks, the KDC says: it writes
tpi/HOST into such a ticket, and the location demands exactly that.

`RaAgent` is FreeIPA's old way: whoever holds the agent's key is allowed everything that Dogtag lets the
agent do, for everybody.  It is for what upgrades an installation and for keys in a KRA, and the executor
has no part in it: no configuration of the executor names that key.
"""

import http.client
import json
import os
import re
import socket
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from ipa_tpi.adapters.gss import negotiate_header
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    ConfigError,
    OutcomeUnknownError,
    TpiError,
)

TIMEOUT_SECONDS: Final = 30.0
RA_AGENT_CERTIFICATE: Final = "/var/lib/ipa/ra-agent.pem"
RA_AGENT_KEY: Final = "/var/lib/ipa/ra-agent.key"
_MOST_BYTES: Final = 1024 * 1024
_JSON: Final = "application/json"
_LOOPBACK: Final = "127.0.0.1"
_OTHERS_MAY_WRITE: Final = 0o022
# A group may read the key, as FreeIPA's framework does; nothing else.
_OTHERS_MAY_USE: Final = 0o037
_SUCCESS: Final = range(200, 300)
_SESSION: Final = re.compile(r"\bJSESSIONID=([A-Za-z0-9.]{16,128})(?![^;])")
# RFC 8446 section 6.2: alerts by which a server ends a connection because of who the client is.
_NOT_LET_IN: Final = re.compile(
    r".*_ALERT_(HANDSHAKE_FAILURE|((BAD|UNSUPPORTED)_)?CERTIFICATE(_REVOKED|_EXPIRED|_UNKNOWN|_REQUIRED)?"
    r"|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)"
)


@dataclass(frozen=True, slots=True)
class OperatorLocation:
    """Apache's location for the executor alone.

    Attributes:
        host: The CA host's name, to which its certificate and the ticket are bound.
        port: Of the loopback listener.
        ca_file: PEM of who issued the server's certificate.
        path: What the location's name begins with.
    """

    host: str
    port: int
    ca_file: str
    path: str = "/tpi-dispatch/ca/rest"


@dataclass(frozen=True, slots=True)
class LegacyLocation:
    """Apache's location for the RA agent alone.

    Attributes:
        host: The CA or KRA host's name.
        ca_file: PEM of who issued the server's certificate.
        port: Of Apache.
        path: What the location's name begins with.
        certificate: PEM of the agent's certificate.
        key: PEM of its key, which has no password.
    """

    host: str
    ca_file: str
    port: int = 443
    path: str = "/tpi-legacy/ca/rest"
    certificate: str = RA_AGENT_CERTIFICATE
    key: str = RA_AGENT_KEY


class ProxyTicket:
    """Calls as the person whose proof yielded the ticket.

    Args:
        place: The location.
        evidence: See `ipa_tpi.ports.AcceptedProof`.
        header: Makes what authenticates one call of it to a host.
    """

    def __init__(
        self,
        place: OperatorLocation,
        evidence: object,
        header: Callable[[object, str], str] = negotiate_header,
    ) -> None:
        self._place = place
        self._evidence = evidence
        self._header = header

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one call, on a connection of its own; see `ipa_tpi.ports.DogtagTransport`."""
        place = self._place
        proof = {"Authorization": self._header(self._evidence, place.host)}
        with _connected(_Line(place.host, place.port, _verifying(place.ca_file), _LOOPBACK)) as line:
            answer = _asked(line, method, place.path + path, proof, body)
        return answer.status, answer.told


class RaAgent:
    """Calls as the RA agent, by its certificate.

    Dogtag takes it at a few of its resources only; elsewhere a session must tell who it is.  So each call
    has one of its own, which ends with it: it would be as good as the key.

    Args:
        place: The location, and the agent's files; they are read at each call, since they are renewed.
    """

    def __init__(self, place: LegacyLocation) -> None:
        self._place = place

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one call, on a connection of its own; see `ipa_tpi.ports.DogtagTransport`."""
        place = self._place
        tls = _verifying(place.ca_file)
        tls.post_handshake_auth = True  # TLS 1.3: Apache asks once it knows the path
        _show(tls, place)
        with _connected(_Line(place.host, place.port, tls, place.host)) as line:
            try:
                login = _asked(line, "GET", f"{place.path}/account/login")
            except OutcomeUnknownError as error:  # nobody has been asked for anything yet
                raise AuthorityUnavailableError(error.message) from error
            if login.status not in _SUCCESS:
                return login.status, login.told
            session = {"Cookie": f"JSESSIONID={login.session}"} if login.session else {}
            try:
                answer = _asked(line, method, place.path + path, session, body)
            finally:
                with suppress(TpiError):
                    _asked(line, "GET", f"{place.path}/account/logout", session)
        return answer.status, answer.told


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    told: Any
    session: str = field(repr=False)


class _Line(http.client.HTTPSConnection):
    """To an address, whatever the name resolves to; the certificate is checked against the name."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, address: str) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS, context=tls)
        self._tls = tls
        self._address = address

    def connect(self) -> None:
        """Connect."""
        bare = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(bare, server_hostname=self.host)


def _verifying(ca_file: str) -> ssl.SSLContext:
    """Make what checks chain and name of the server (R-E07)."""
    try:
        tls = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise AuthorityUnavailableError(
            f"{ca_file} cannot be read or holds no certificate: {error}; put the CA's certificate there"
        ) from error
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return tls


def _show(tls: ssl.SSLContext, place: LegacyLocation) -> None:
    """Let a connection show the agent's certificate, if nobody else can have had its key."""
    with (
        _opened(place.certificate, _OTHERS_MAY_WRITE) as certificate,
        _opened(place.key, _OTHERS_MAY_USE) as key,
    ):
        try:
            tls.load_cert_chain(certificate, key, password=_no_password)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"{place.certificate} and {place.key} are no certificate with its key ({error}); "
                f"see: getcert list -f {place.certificate}"
            ) from error


@contextmanager
def _opened(path: str, forbidden: int) -> Iterator[str]:
    """Open a file, look at what was opened, and give a name by which OpenSSL opens this and no other."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; put the RA agent's file there, as root"
        ) from error
    try:
        found = os.fstat(descriptor)
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in {0, os.geteuid()}:
            raise ConfigError(f"{path} is no file of root's; put the RA agent's file there, as root")
        if mode & forbidden:  # R-E09
            raise ConfigError(
                f"{path} has mode {mode:04o}, so others could have used or changed it; "
                f"renew the agent's certificate, then run: chmod 0440 {path}"
            )
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _no_password() -> NoReturn:
    # Without this OpenSSL would ask on the terminal.
    raise ConfigError("the RA agent's key has a password, and FreeIPA's has none; write it without one")


@contextmanager
def _connected(line: _Line) -> Iterator[_Line]:
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


def _asked(
    line: _Line, method: str, path: str, proof: Mapping[str, str] | None = None, body: object = None
) -> _Answer:
    """Ask once, and read the answer."""
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
    return _Answer(answer.status, _parsed(text), session[1] if session else "")


def _parsed(text: bytes) -> Any:  # noqa: ANN401 (JSON)
    try:
        return json.loads(text) if text and len(text) <= _MOST_BYTES else None
    except ValueError:
        return None
