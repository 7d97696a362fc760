"""A web application that only tells what Apache gave it: shows what the shipped configuration does, without ours.

With the query `whoami` it also binds to the directory with the caller's proxy ticket, and with `slow` it takes
a second, so that a test can look at the request's ccache.
"""

import json
import os
import time


def application(environ, start_response):
    """Answer with the WSGI environment as JSON."""
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    told["_uid"] = str(os.geteuid())
    told["_ccache_exists"] = str(os.path.exists(environ.get("KRB5CCNAME", "").removeprefix("FILE:")))
    if environ.get("QUERY_STRING") == "whoami":
        told["_whoami"] = _who_am_i(environ)
    if environ.get("QUERY_STRING") == "slow":
        time.sleep(1)
    size = len(environ["wsgi.input"].read())
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "from=application"), ("X-Size", str(size))]
    )
    return [json.dumps(told).encode()]


def _who_am_i(environ):
    """Return the DN that the directory sees."""
    from lab.gss_bind import bind

    connection = bind(environ["TPI_LDAPI"], environ["KRB5CCNAME"], "localhost", caller=environ["GSS_NAME"])
    try:
        return connection.whoami_s()
    finally:
        connection.unbind_s()
