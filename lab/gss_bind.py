"""Binding to the directory with a given credentials cache, in one round trip and without the environment.

SASL GSS-SPNEGO by an exchange of our own: the cache is passed as a value, since KRB5CCNAME in the environment is
shared by all threads and has been seen to bind as somebody else. python-ldap keeps the server's last token to itself, so
the server is not authenticated: for LDAPI and loopback only.
"""

from __future__ import annotations

from typing import Any

import gssapi
import gssapi.raw
import ldap

_KERBEROS = gssapi.MechType.kerberos
_SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
# GSS_KRB5_CRED_NO_CI_FLAGS_X: without it the server takes up a SASL layer that nobody here speaks.
_NO_CI_FLAGS = gssapi.OID.from_int_seq("1.2.752.43.13.29")
_TIMEOUT_SECONDS = 10


def bind(uri: str, ccache: str, host: str, *, caller: str | None = None) -> Any:  # noqa: ANN401
    """Return a connection bound with the tickets of a credentials cache.

    Args:
        uri: the directory, ldapi:// or ldap:// on loopback.
        ccache: name of the cache, as `FILE:/path`.
        host: host of the directory's principal ldap/HOST.
        caller: principal that the cache must be for; None takes what is there.

    Raises:
        PermissionError: the cache is for another principal than the caller.
        gssapi.exceptions.GSSError: the cache has no usable ticket, or the KDC gives none for the directory.
        ldap.LDAPError: the directory refused the bind.
    """
    credentials = gssapi.Credentials(usage="initiate", store={"ccache": ccache}, mechs=[_SPNEGO, _KERBEROS])
    if caller is not None and str(credentials.name) != caller:
        raise PermissionError(f"{ccache} holds tickets of {credentials.name}, not of {caller}")
    gssapi.raw.set_cred_option(_NO_CI_FLAGS, credentials, None)
    context = gssapi.SecurityContext(
        name=gssapi.Name(f"ldap@{host}", gssapi.NameType.hostbased_service),
        creds=credentials,
        mech=_SPNEGO,
        flags=int(gssapi.RequirementFlag.mutual_authentication),
        usage="initiate",
    )
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _TIMEOUT_SECONDS)
    connection.set_option(ldap.OPT_TIMEOUT, _TIMEOUT_SECONDS)
    connection.sasl_bind_s("", "GSS-SPNEGO", context.step())
    return connection
