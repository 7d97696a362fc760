"""Servers of a test's own behind TLS, with certificates that the realm's authority has signed."""

from __future__ import annotations

import datetime as dt
import selectors
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.layout import system

Serve = Callable[[ssl.SSLSocket], None]


@contextmanager
def tls_server(name: str, address: tuple[str, int], serve: Serve, *, signed: bool = True) -> Iterator[None]:
    """Serve TLS under a name for a while.

    Args:
        name: The only name in the certificate.
        address: Where.
        serve: Serves one connection.
        signed: By the realm's authority; by nobody that anybody knows otherwise.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(_certificate(name, signed=signed))
        file.flush()
        context.load_cert_chain(file.name)
    with socket.create_server(address) as listener:
        threading.Thread(target=_accept, args=(listener, context, serve), daemon=True).start()
        try:
            yield
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def known_as(name: str, address: str) -> Iterator[None]:
    """Have a name resolve to an address for a while."""
    hosts = Path("/etc/hosts")
    before = hosts.read_text(encoding="utf-8")
    hosts.write_text(f"{before}{address} {name}\n", encoding="utf-8")
    try:
        yield
    finally:
        hosts.write_text(before, encoding="utf-8")


def forward(port: int) -> Serve:
    """Give what passes everything on to a port of this host."""

    def serve(peer: ssl.SSLSocket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as behind, selectors.DefaultSelector() as selector:
            selector.register(peer, selectors.EVENT_READ, behind)
            selector.register(behind, selectors.EVENT_READ, peer)
            while True:
                for key, _ in selector.select():
                    source = peer if key.fileobj is peer else behind
                    piece = source.recv(65536)
                    if not piece:
                        return
                    key.data.sendall(piece)

    return serve


def _accept(listener: socket.socket, context: ssl.SSLContext, serve: Serve) -> None:
    while True:
        try:
            raw, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_one, args=(raw, context, serve), daemon=True).start()


def _one(raw: socket.socket, context: ssl.SSLContext, serve: Serve) -> None:
    with raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as peer:
        serve(peer)


def _certificate(name: str, *, signed: bool) -> bytes:
    layout = system()
    key = ec.generate_private_key(ec.SECP256R1())
    signer: ec.EllipticCurvePrivateKey = key
    issuer = subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    if signed:
        issuer = x509.load_pem_x509_certificate(layout.product.ca_file.read_bytes()).subject
        loaded = serialization.load_pem_private_key(layout.ca_key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
