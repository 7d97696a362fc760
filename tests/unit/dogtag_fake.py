"""A CA behind Apache that is none: it answers over TLS what the real one answers to the cases of `dogtag_cases`."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dogtag_cases import LARGEST

PROOF = "Negotiate proof-of-alice"
SESSION = "0123456789ABCDEF0123456789ABCDEF"
_ANSWERS: dict[tuple[str, str], tuple[int, Any]] = {
    ("GET", "/info"): (200, {"Attributes": {"Attribute": []}}),
    ("POST", "/certs/search"): (200, {"total": 1}),
    ("POST", "/profiles/raw"): (400, {"Message": "Unable to create profile: Missing profile ID"}),
    ("GET", "/profiles/caUserCert/raw"): (200, "auth.class_id=\nprofileId=caUserCert\n"),
    ("GET", "/certs/0xfffffff"): (404, {"Message": "Certificate ID 0xfffffff not found"}),
}
_JSON = "application/json"
_TAKES = {"/profiles/raw": "application/octet-stream"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE"}


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, name: str, password: bytes = b"") -> tuple[Path, Path]:
        """Write both as PEM, the key for its owner and group."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        text = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
        key.write_bytes(text)
        certificate.chmod(0o644)
        key.chmod(0o440)
        return certificate, key


def signed(name: str, by: Pair | None = None) -> Pair:
    """Make a certificate, of an authority where nobody signs."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = by.certificate.subject if by else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return Pair(builder.sign(by.key if by else key, hashes.SHA256()), key)


class FakeCa:
    """Apache with the operator location, or where clients' authority is given, with the legacy one.

    Args:
        folder: For its files.
        server: Its certificate.
        clients: PEM file of who issued the agent's certificate.
    """

    def __init__(self, folder: Path, server: Pair, clients: Path | None = None) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.login = 200
        self.broken: Callable[[str], bool] = lambda _path: False
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*server.write(folder, "server"))
        if clients is not None:
            tls.verify_mode = ssl.CERT_REQUIRED
            tls.load_verify_locations(clients)
        self._web = _Web(("127.0.0.1", 0), self, tls, by_certificate=clients is not None)
        self.port: int = self._web.server_address[1]
        threading.Thread(target=self._web.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._web.shutdown()
        self._web.server_close()


class _Web(ThreadingHTTPServer):
    def __init__(
        self, address: tuple[str, int], fake: FakeCa, tls: ssl.SSLContext, *, by_certificate: bool
    ) -> None:
        self.fake, self.by_certificate, self._tls = fake, by_certificate, tls
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[Any, Any]:
        """Accept; the handshake is the thread's own."""
        bare, address = self.socket.accept()
        return self._tls.wrap_socket(bare, server_side=True, do_handshake_on_connect=False), address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve who is let in; to whom is not, let the alert that says so arrive."""
        try:
            request.do_handshake()
        except ssl.SSLError:
            with socket.socket(fileno=request.detach()) as bare:
                bare.shutdown(socket.SHUT_WR)
                while bare.recv(4096):
                    pass
            return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Web

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        """Take every method."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self._answer()

    def _answer(self) -> None:
        fake, size = self.server.fake, int(self.headers.get("Content-Length", 0))
        path = self.path.removeprefix("/tpi-legacy/ca/rest").removeprefix("/tpi-dispatch/ca/rest")
        self.rfile.read(size)
        fake.asked.append((self.command, path, self.headers.get("Cookie", "")))
        if fake.broken(path):
            self.close_connection = True
            return
        if size > LARGEST or self.command not in _METHODS:
            self._send(403)
        elif not self.server.by_certificate and self.headers.get("Authorization") != PROOF:
            self._send(401)
        elif path == "/account/login":
            self._send(fake.login, {"id": "ipara"}, session=True)
        elif self.server.by_certificate and self.headers.get("Cookie") != f"JSESSIONID={SESSION}":
            self._send(403, {"Message": "No user principal provided."})
        elif size and self.headers["Content-Type"] != _TAKES.get(path, _JSON):
            self._send(415)
        else:
            self._send(*_ANSWERS.get((self.command, path), (404, None)))

    def _send(self, status: int, told: Any = None, *, session: bool = False) -> None:
        body = b"<html>not JSON</html>" if told is None else _text(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if session:
            self.send_header("Set-Cookie", f"JSESSIONID={SESSION}; Path=/ca; Secure; HttpOnly")
        self.end_headers()
        self.wfile.write(body)


def _text(told: Any) -> str:
    return told if isinstance(told, str) else json.dumps(told)
