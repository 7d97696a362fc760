"""Whom a connection is trusted to lead to, and what to tell a person when it does not."""

import ssl
from typing import Final

from ipa_tpi.errors import ConfigError, UnavailableError

_TOO_OLD: Final = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "NO_PROTOCOLS_AVAILABLE",
        "WRONG_SSL_VERSION",
        "BAD_PROTOCOL_VERSION_NUMBER",
    },
)
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}
)
_NAME_MISMATCH: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH
_OUT_OF_TIME: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, …_HAS_EXPIRED


def trusting(ca_file: str) -> ssl.SSLContext:
    """Make the terms on which a server is believed to be who it says (R-E07).

    Args:
        ca_file: PEM file of the only authorities to trust.

    Returns:
        Them: chain and name verified, TLS 1.2 or later.

    Raises:
        ConfigError: The file cannot be read or holds no certificate.
    """
    # R-E07: chain and name verified, at least TLS 1.2, and no authority but the domain's own.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the certificate authority's certificate {ca_file} ({cause_of(error)}). "
            "Put the domain's ca.crt there, or name its folder with --config.",
        ) from error
    return context


def explain_connect(error: OSError, url: str) -> UnavailableError:
    """Tell why no connection came about.

    Args:
        error: What the socket or TLS said.
        url: The server.

    Returns:
        ``server-untrusted`` where TLS failed, else ``server-unreachable``.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error, url)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in _TOO_OLD:
            message = (
                f"{url} speaks no TLS version from 1.2 on. Its administrator must switch on TLS 1.2 or 1.3."
            )
        elif reason in _NO_TLS:
            message = f"{url} does not speak TLS at that port. Check the port in --server."
        else:
            message = (
                f"the TLS connection to {url} failed ({cause_of(error)}). Tell the server's administrator."
            )
        return UnavailableError(message, code="server-untrusted")
    return UnavailableError(
        f"cannot connect to {url} ({cause_of(error)}). Check the server's name, the network, and that its "
        "web server runs.",
        code="server-unreachable",
    )


def cause_of(error: Exception) -> str:
    """Give the shortest text that names a failure.

    Args:
        error: Of a socket, of TLS or of HTTP.

    Returns:
        It.
    """
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _explain_certificate(error: ssl.SSLCertVerificationError, url: str) -> UnavailableError:
    if error.verify_code in _NAME_MISMATCH:
        message = (
            f"the certificate of {url} is for another name. Use the server's full name as it is enrolled."
        )
    elif error.verify_code in _OUT_OF_TIME:
        message = (
            f"the certificate of {url} is not valid at this time ({error.verify_message}). "
            "Check this machine's clock; if it is right, the server's certificate must be renewed."
        )
    else:
        message = (
            f"the certificate of {url} is not from the domain's certificate authority ({error.verify_message}). "
            "Do not go on: check the server's name and the ca.crt beside default.conf."
        )
    return UnavailableError(message, code="server-untrusted")
