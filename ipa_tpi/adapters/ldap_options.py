"""How we talk to the directory at all: timeouts everywhere, no referrals, and over TLS nobody unproven (E07)."""

from typing import Any, Final

import ldap

_TLS_1_2: Final = 0x0303
_GNUTLS_1_2: Final = "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"


def prepare(uri: str, timeout_seconds: int) -> Any:  # noqa: ANN401 (python-ldap has no types)
    """Make a connection that is not open yet.

    Args:
        uri: ldapi or ldaps.
        timeout_seconds: For the connection and each answer.

    Returns:
        A python-ldap connection with every option set.
    """
    connection = ldap.initialize(uri)
    options: list[tuple[int, Any]] = [
        (ldap.OPT_PROTOCOL_VERSION, 3),
        (ldap.OPT_NETWORK_TIMEOUT, timeout_seconds),
        (ldap.OPT_TIMEOUT, timeout_seconds),
        (ldap.OPT_REFERRALS, 0),
        (ldap.OPT_X_SASL_NOCANON, 1),
    ]
    if uri.startswith("ldaps:"):
        # R-E07: the certificate is what tells us who answers, so ldap.conf(5) may name the authority and no more.
        # A context of our own does not know that authority unless it is told.
        authorities = [
            (one, ldap.get_option(one)) for one in (ldap.OPT_X_TLS_CACERTFILE, ldap.OPT_X_TLS_CACERTDIR)
        ]
        options += [
            *((option, where) for option, where in authorities if where),
            (ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND),
            # libldap with GnuTLS (Debian's) takes the least version for no more than a wish.
            (ldap.OPT_X_TLS_CIPHER_SUITE, _GNUTLS_1_2)
            if ldap.get_option(ldap.OPT_X_TLS_PACKAGE) == "GnuTLS"
            else (ldap.OPT_X_TLS_PROTOCOL_MIN, _TLS_1_2),
            (ldap.OPT_X_TLS_NEWCTX, 0),  # the last one: it makes the others count
        ]
    for option, value in options:
        connection.set_option(option, value)
    return connection
