"""TLS in front of Dogtag: which versions, whose certificate, and whether a client looks (E07)."""

from __future__ import annotations

import ssl

import pytest
from ca_host import TLS_AUTHORITY, CaHost
from ca_line import line, own
from ca_operator import PORT

from lab.layout import CA_HOST

PORTS = (443, PORT)
FOREIGN = "/etc/ssl/certs/ca-certificates.crt"


def handshake(port: int, version: ssl.TLSVersion | None) -> str:
    """Return the version that was agreed on; empty where there was none."""
    with line(port=port, address=address(port), version=version) as tls:
        try:
            tls.connection.connect()
        except ssl.SSLError:
            return ""
        assert isinstance(tls.connection.sock, ssl.SSLSocket)
        return str(tls.connection.sock.version())


def address(port: int) -> str:
    return "127.0.0.1" if port == PORT else ""


@pytest.mark.parametrize("port", PORTS)
def test_r_e07_old_versions_are_refused_and_the_newest_is_taken(port: int) -> None:
    """The client has its own limits lifted; that it can speak TLS 1.1 at all, test_directives shows."""
    assert handshake(port, None) == "TLSv1.3"
    assert handshake(port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert handshake(port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert handshake(port, ssl.TLSVersion.TLSv1_1) == ""
    assert handshake(port, ssl.TLSVersion.TLSv1) == ""


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(("authority", "name"), [(FOREIGN, CA_HOST), (TLS_AUTHORITY, "other.tpi.test")])
def test_r_e07_chain_and_name_are_looked_at(port: int, authority: str, name: str) -> None:
    with line(port=port, address="127.0.0.1") as tls:
        tls.connection.host = name
        tls.connection._tls = ssl.create_default_context(cafile=authority)  # type: ignore[attr-defined]
        with pytest.raises(ssl.SSLCertVerificationError):
            tls.connection.connect()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_r_e07_both_versions_get_to_dogtag(ca: CaHost, version: ssl.TLSVersion) -> None:
    with line(version=version) as tls:
        assert tls.ask("/tpi/ca/rest/account/login", own(ca, "alice")).status == 200
