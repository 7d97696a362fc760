"""Whoever answers for the directory over TLS has to prove it, whatever ldap.conf or the environment say (E07).

What would be gained otherwise: somebody else's answers, which would be believed as the directory's.
"""

import os
import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = "127.0.0.1"  # not localhost, which libldap takes for the name of this machine
# libldap reads its configuration once, so each try is a process of its own.
TRY = """
import sys, ldap
from ipa_tpi.adapters.ldap_options import prepare
try:
    prepare(sys.argv[1], 5).simple_bind_s()
except ldap.LDAPError as error:
    print(type(error).__name__, error)
"""


class Server:
    """Somebody who answers with a certificate, and notes how each handshake went."""

    def __init__(self, folder: Path, name: str, newest: ssl.TLSVersion | None = None) -> None:
        self.authority = folder / "ca.pem"
        _write(folder, name)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        if newest is not None:
            self.context.set_ciphers("DEFAULT@SECLEVEL=0")
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = newest
        self.listener = socket.create_server((HERE, 0))
        self.port = self.listener.getsockname()[1]
        self.said: list[bytes] = []
        self.thread = threading.Thread(target=self._answer, daemon=True)
        self.thread.start()

    def ask(self, host: str, **environment: str) -> str:
        """Have a client connect; give what it complains of."""
        done = subprocess.run(
            [sys.executable, "-c", TRY, f"ldaps://{host}:{self.port}"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        self.thread.join(10)
        self.listener.close()
        return done.stdout

    def _answer(self) -> None:
        plain, _ = self.listener.accept()
        plain.settimeout(10)
        try:
            with self.context.wrap_socket(plain, server_side=True) as peer:
                self.said.append(peer.recv(4096))
        except OSError:
            plain.close()


def _write(folder: Path, name: str) -> None:
    """Make an authority, and a certificate by it."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.IPAddress(ip_address(name)) if name == HERE else x509.DNSName(name)
    leaf = _certificate(own, ca_name, key.public_key(), x509.SubjectAlternativeName([names]))
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (folder / "certificate.pem").write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
) -> x509.CertificateBuilder:
    now = datetime.now(tz=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    )


def test_one_that_the_domains_authority_vouches_for_is_talked_to(tmp_path: Path) -> None:
    server = Server(tmp_path, HERE)
    complaint = server.ask(HERE, LDAPTLS_CACERT=str(server.authority))
    assert [said for said in server.said if said], complaint


def test_without_a_named_authority_nobody_is_trusted(tmp_path: Path) -> None:
    server = Server(tmp_path, HERE)
    assert "SERVER_DOWN" in server.ask(HERE)
    assert [said for said in server.said if said] == []


@pytest.mark.parametrize("wish", ["never", "allow", "try"])
def test_one_that_nobody_vouches_for_is_told_nothing(tmp_path: Path, wish: str) -> None:
    server = Server(tmp_path, HERE)
    complaint = server.ask(HERE, LDAPTLS_REQCERT=wish)
    assert "SERVER_DOWN" in complaint
    assert [said for said in server.said if said] == []


def test_one_of_another_name_is_told_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path, "ipa1.example.test")
    complaint = server.ask(HERE, LDAPTLS_REQCERT="never", LDAPTLS_CACERT=str(server.authority))
    assert "SERVER_DOWN" in complaint
    assert [said for said in server.said if said] == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_version_of_tls_is_not_spoken(tmp_path: Path) -> None:
    server = Server(tmp_path, HERE, ssl.TLSVersion.TLSv1_1)
    complaint = server.ask(HERE, LDAPTLS_CACERT=str(server.authority))
    assert "SERVER_DOWN" in complaint
    assert [said for said in server.said if said] == []
