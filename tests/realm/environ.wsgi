"""A web application that only tells what Apache gave it: shows what the shipped configuration does, without ours.

Queries: `whoami` binds to the directory with the caller's proxy ticket, `ticket=SERVICE` asks the KDC for a ticket
with it, `slow` takes half a second, `missing` answers 404.
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gssapi

from lab.gss_bind import bind
from lab.negotiate import token

# What an application that knows nothing of our rules might say.
CARELESS = [
    ("Set-Cookie", "from=application"),
    ("X-Content-Type-Options", "sniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Content-Security-Policy", "default-src *"),
    ("Referrer-Policy", "unsafe-url"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Cache-Control", "public"),
]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with the WSGI environment as JSON."""
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    told["_uid"] = str(os.geteuid())
    told["_size"] = str(len(environ["wsgi.input"].read()))
    ccache = Path(environ.get("KRB5CCNAME", "").removeprefix("FILE:"))
    told["_ccache_mode"] = oct(ccache.stat().st_mode) if ccache.is_file() else "none"
    query = environ.get("QUERY_STRING", "")
    if query == "whoami":
        told["_whoami"] = _who_am_i(environ)
    if query == "slow":
        time.sleep(0.5)
    if query.startswith("ticket="):
        told["_ticket"] = _ticket(environ["KRB5CCNAME"], query.partition("=")[2])
    status = "404 Not Found" if query == "missing" else "200 OK"
    start_response(status, [("Content-Type", "application/json"), *CARELESS])
    return [json.dumps(told).encode()]


def _who_am_i(environ: dict[str, Any]) -> str:
    """Return the DN that the directory sees."""
    connection = bind(environ["TPI_LDAPI"], environ["KRB5CCNAME"], "localhost", caller=environ["GSS_NAME"])
    try:
        return str(connection.whoami_s())
    finally:
        connection.unbind_s()


def _ticket(ccache: str, service: str) -> str:
    """Return `issued`, or why the KDC gives no ticket for a service with the caller's proxy ticket."""
    try:
        token(ccache, "localhost", mechanism=gssapi.MechType.kerberos, service=service)
    except gssapi.exceptions.GSSError as error:
        return str(error)
    return "issued"
