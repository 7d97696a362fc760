"""The realm's certificate authority, and the certificate of its web server."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
from collections.abc import Sequence
from typing import NamedTuple, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.files import give_to, write
from lab.layout import CA_FOLDER, Layout

_LIFETIME = dt.timedelta(days=30)
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority(NamedTuple):
    """The realm's authority: who it is, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def write_certificates(layout: Layout) -> None:
    """Write a new authority, and server certificates by it for the realm's host and its CA host.

    This authority is the laboratory's, for TLS between its hosts, and not Dogtag.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(layout, authority_key)
    write(layout.ca_key, private(authority_key), mode=0o600)
    write(layout.product.ca_file, authority.public_bytes(serialization.Encoding.PEM))
    servers = [(layout.host, layout.httpd.certificate, layout.httpd.key)]
    if layout.ca_host:
        servers.append((layout.ca_host, CA_FOLDER / "httpd.crt", CA_FOLDER / "httpd.key"))
    signer, purpose = Authority(authority, authority_key), ExtendedKeyUsageOID.SERVER_AUTH
    for host, certificate, key in servers:
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if host == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        server_key = ec.generate_private_key(ec.SECP256R1())
        write(certificate, issue(layout, signer, host, server_key.public_key(), names, purpose))
        write(key, private(server_key), mode=0o600)


def load_authority(layout: Layout) -> Authority:
    """Return the authority that `write_certificates` made."""
    key = serialization.load_pem_private_key(layout.ca_key.read_bytes(), password=None)
    return Authority(
        x509.load_pem_x509_certificate(layout.product.ca_file.read_bytes()),
        cast("ec.EllipticCurvePrivateKey", key),
    )


def issue(
    layout: Layout,
    authority: Authority,
    common: str,
    key: PublicKey,
    names: Sequence[x509.GeneralName],
    purpose: x509.ObjectIdentifier,
) -> bytes:
    """Return a certificate by the realm's authority, PEM.

    Args:
        layout: the realm.
        authority: who signs.
        common: the subject's common name.
        key: its public key.
        names: its other names.
        purpose: the one extended key usage.
    """
    signer = authority.key.public_key()
    return (
        _builder(_name(layout.realm, common), authority.certificate.subject, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
        .sign(authority.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def private(key: PrivateKey) -> bytes:
    """Return a private key, PEM, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_directory_keys(layout: Layout) -> None:
    """Put the host's certificate where the directory server looks for it (it reads NSS databases only).

    Raises:
        subprocess.CalledProcessError: one of NSS's tools refused.
    """
    folder, httpd = layout.directory.config, layout.httpd
    bundle = folder / "server.p12"
    database = ["-d", f"sql:{folder}"]
    export = ["-in", str(httpd.certificate), "-inkey", str(httpd.key), "-name", "Server-Cert"]
    authority = ["-n", "CA", "-t", "CT,,", "-a", "-i", str(layout.product.ca_file)]
    for command in (
        ["certutil", "-N", *database, "--empty-password"],
        ["certutil", "-A", *database, *authority],
        ["openssl", "pkcs12", "-export", *export, "-out", str(bundle), "-passout", "pass:"],
        ["pk12util", "-i", str(bundle), *database, "-W", ""],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    bundle.unlink()
    for made in folder.glob("*.db"):
        made.chmod(0o600)
        give_to(made, layout.directory.user)
    for made in folder.glob("pkcs11.txt"):
        give_to(made, layout.directory.user)


def _authority(layout: Layout, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name(layout.realm, "Laboratory Authority")
    usage = _usage(sign_certificates=True)
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: PublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(organization: str, common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
