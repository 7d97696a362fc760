"""The operator location, as the executor of the CA host uses it."""

from __future__ import annotations

from typing import Any

import gssapi
import requests
from ca_host import SECONDS, TLS_AUTHORITY, Answer
from requests.adapters import HTTPAdapter
from requests_gssapi import REQUIRED, HTTPSPNEGOAuth

from lab.layout import CA_HOST

PORT = 8444
KEYTAB = "/etc/ipa/tpi/tpi.keytab"


class _Loopback(HTTPAdapter):
    """Speaks to an address on loopback, and still checks that it is the CA host."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, server_hostname=CA_HOST, assert_hostname=CA_HOST, **options)


def ask(
    method: str,
    path: str,
    *,
    credentials: gssapi.Credentials | None,
    certificate: tuple[str, str] | None = None,
    body: Any = None,
    raw: str | None = None,
) -> Answer:
    """Ask Dogtag through the operator location.

    Args:
        method: of HTTP.
        path: below /tpi-dispatch/ca/rest.
        credentials: the tickets of whom it is for.
        certificate: files of a client's certificate and key, which are shown if they are asked for.
        body: sent as JSON.
        raw: sent as it is, in place of `body`.
    """
    auth = None
    if credentials is not None:
        name = gssapi.Name(f"HTTP@{CA_HOST}", gssapi.NameType.hostbased_service)
        # Tickets that were delegated are for the Kerberos mechanism; SPNEGO refuses them.
        mechanism = gssapi.MechType.kerberos
        auth = HTTPSPNEGOAuth(
            creds=credentials,
            target_name=name,
            mech=mechanism,
            opportunistic_auth=True,
            mutual_authentication=REQUIRED,
        )
    headers = {"Accept": "application/json", "Host": f"{CA_HOST}:{PORT}"}
    if raw is not None:
        headers["Content-Type"] = "application/octet-stream"
    with requests.Session() as session:
        session.mount("https://", _Loopback())
        found = session.request(
            method,
            f"https://127.0.0.1:{PORT}/tpi-dispatch/ca/rest{path}",
            json=body,
            data=raw,
            headers=headers,
            auth=auth,
            cert=certificate,
            verify=TLS_AUTHORITY,
            timeout=SECONDS,
        )
    is_json = found.text.startswith(("{", "["))
    return Answer(found.status_code, found.text, found.headers, found.json() if is_json else None)


def tickets(ccache: str) -> gssapi.Credentials:
    """Return a person's own tickets."""
    return gssapi.Credentials(usage="initiate", store={"ccache": ccache})


def evidence(ccache: str) -> gssapi.Credentials:
    """Return what the executor gets of a person who proved something to it: the ticket for tpi/HOST, to be delegated."""
    mechanism = gssapi.MechType.kerberos
    target = gssapi.Name(f"tpi@{CA_HOST}", gssapi.NameType.hostbased_service)
    person = gssapi.SecurityContext(name=target, creds=tickets(ccache), usage="initiate", mech=mechanism)
    store = {"keytab": KEYTAB, "client_keytab": KEYTAB, "ccache": "MEMORY:executor", "rcache": "none:"}
    name = target.canonicalize(mechanism)
    own = gssapi.Credentials(name=name, usage="both", store=store, mechs=[mechanism])
    executor = gssapi.SecurityContext(creds=own, usage="accept")
    executor.step(person.step())
    delegated = executor.delegated_creds
    assert delegated is not None
    return delegated
