"""A bare HTTPS client with SPNEGO, for tests that need each header in their own hands."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import gssapi

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def token(ccache: str, host: str, *, mechanism: gssapi.OID = SPNEGO, service: str = "HTTP") -> bytes:
    """Return the first token of a GSS context for a service.

    Args:
        ccache: credentials cache of the caller.
        host: the service's host.
        mechanism: SPNEGO, or bare Kerberos.
        service: the service.

    Raises:
        gssapi.exceptions.GSSError: the cache has no ticket with which one for the service can be got.
    """
    credentials = gssapi.Credentials(
        usage="initiate", store={"ccache": ccache}, mechs=[SPNEGO, gssapi.MechType.kerberos]
    )
    name = gssapi.Name(f"{service}@{host}", gssapi.NameType.hostbased_service)
    first: bytes | None = gssapi.SecurityContext(
        name=name, creds=credentials, mech=mechanism, usage="initiate"
    ).step()
    if first is None:
        raise RuntimeError(f"the mechanism made no token for {service}@{host}")
    return first


def negotiate(ccache: str, host: str) -> dict[str, str]:
    """Return the header that authenticates one request as the owner of a credentials cache."""
    return {"Authorization": "Negotiate " + base64.b64encode(token(ccache, host)).decode()}


def connect(host: str, port: int, ca_file: str) -> http.client.HTTPSConnection:
    """Return a connection whose server is verified against one authority."""
    context = ssl.create_default_context(cafile=ca_file)
    return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send one request and return the whole answer; the connection stays open if the server keeps it.

    Args:
        connection: where to.
        method: GET, POST, …
        path: path and query.
        headers: what to add to the necessary ones.
        body: what to send.
    """
    connection.request(method, path, body=body, headers=dict(headers or {}))
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())
