"""One connection to Apache on the CA host, and what somebody can send on it."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection

import gssapi
from ca_agent import Identity
from ca_host import SECONDS, TLS_AUTHORITY, CaHost
from ca_operator import evidence, tickets

from lab.layout import CA_HOST

# What a client has to say itself to speak versions of TLS that nobody should.
OLD_CIPHERS = "ALL:@SECLEVEL=0"


@dataclass(frozen=True)
class Reply:
    """What came back; status 0 where the connection was not let through."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Line:
    """A connection that stays open."""

    connection: HTTPConnection

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes | None = None,
    ) -> Reply:
        """Send one request."""
        try:
            self.connection.request(method, path, body, {"Accept": "application/json", **(headers or {})})
            answer = self.connection.getresponse()
            return Reply(answer.status, answer.read().decode(errors="replace"), dict(answer.getheaders()))
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, f"{type(error).__name__}: {error}")


@contextmanager
def line(
    *,
    identity: Identity | None = None,
    port: int = 443,
    address: str = "",
    version: ssl.TLSVersion | None = None,
    plain: bool = False,
) -> Iterator[Line]:
    """Open a connection.

    Args:
        identity: the certificate to show where one is asked for.
        port: where.
        address: which, where the name's is not meant; the certificate is checked against the name.
        version: of TLS, the only one to offer.
        plain: without TLS.
    """
    tls = ssl.create_default_context(cafile=TLS_AUTHORITY)
    tls.post_handshake_auth = True
    if version is not None:
        tls.set_ciphers(OLD_CIPHERS)
        with warnings.catch_warnings():  # old ones are deprecated, which is why they are offered
            warnings.simplefilter("ignore", DeprecationWarning)
            tls.minimum_version = tls.maximum_version = version
    if identity is not None:
        tls.load_cert_chain(*identity.shown)
    connection = (
        HTTPConnection(CA_HOST, port, timeout=SECONDS) if plain else _Named(CA_HOST, port, tls, address)
    )
    try:
        yield Line(connection)
    finally:
        with suppress(OSError):
            connection.close()


class _Named(http.client.HTTPSConnection):
    def __init__(self, host: str, port: int, tls: ssl.SSLContext, address: str) -> None:
        super().__init__(host, port, timeout=SECONDS, context=tls)
        self._tls, self._address = tls, address

    def connect(self) -> None:
        """Connect to the address, and check the name."""
        bare = socket.create_connection((self._address or self.host, self.port), SECONDS)
        self.sock = self._tls.wrap_socket(bare, server_hostname=self.host)


def own(ca: CaHost, person: str, service: str = "HTTP") -> dict[str, str]:
    """Return the header by which a person says who he is, with a ticket for a service of the CA host."""
    name = gssapi.Name(f"{service}@{CA_HOST}", gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(name=name, creds=tickets(ca.ccache(person)), usage="initiate")
    return {"Authorization": f"Negotiate {base64.b64encode(context.step()).decode()}"}


def delegated(ca: CaHost, person: str) -> dict[str, str]:
    """Return the header of the executor, with what a person's proof gave it."""
    name = gssapi.Name(f"HTTP@{CA_HOST}", gssapi.NameType.hostbased_service)
    mechanism = gssapi.MechType.kerberos
    held = evidence(ca.ccache(person))
    context = gssapi.SecurityContext(name=name, creds=held, usage="initiate", mech=mechanism)
    return {"Authorization": f"Negotiate {base64.b64encode(context.step()).decode()}"}
