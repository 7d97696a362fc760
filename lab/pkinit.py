"""Certificates for PKINIT (RFC 4556): the KDC's, and those of people who log in with a key instead of a password."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ObjectIdentifier

from lab import pki
from lab.files import write
from lab.layout import Layout

# RFC 4556 section 3.2.2 and 3.2.4.
_SAN = ObjectIdentifier("1.3.6.1.5.2.2")
_CLIENT = ObjectIdentifier("1.3.6.1.5.2.3.4")
_KDC = ObjectIdentifier("1.3.6.1.5.2.3.5")
_SEQUENCE, _INTEGER, _GENERAL_STRING, _TAGGED = 0x30, 0x02, 0x1B, 0xA0
_NT_PRINCIPAL, _NT_SRV_INST = 1, 2
_KEY_BITS = 2048  # of RSA: Debian 12's PKINIT signs with nothing else


def kdc_identity(layout: Layout) -> tuple[Path, Path]:
    """Return where the KDC's certificate and key lie."""
    folder = layout.kdc.kdc_conf.parent
    return folder / "kdc.crt", folder / "kdc.key"


def write_kdc_certificate(layout: Layout) -> None:
    """Write a certificate for the KDC; the authority's must be there."""
    certificate, key = kdc_identity(layout)
    named = _principal(layout.realm, _NT_SRV_INST, "krbtgt", layout.realm)
    found = _issue(layout, f"KDC of {layout.realm}", named, _KDC)
    write(certificate, found[0])
    write(key, found[1], mode=0o600)


def person_certificate(layout: Layout, person: str) -> tuple[bytes, bytes]:
    """Return a new certificate for a person's principal, and its key, both PEM."""
    return _issue(layout, person, _principal(layout.realm, _NT_PRINCIPAL, person), _CLIENT)


def _issue(layout: Layout, common: str, named: bytes, purpose: ObjectIdentifier) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    names = [x509.OtherName(_SAN, named)]
    return pki.issue(layout, pki.load_authority(layout), common, key.public_key(), names, purpose), (
        pki.private(key)
    )


def _principal(realm: str, kind: int, *components: str) -> bytes:
    """Encode a KRB5PrincipalName."""
    strings = [_der(_GENERAL_STRING, part.encode()) for part in components]
    name = _der(
        _SEQUENCE,
        _der(_TAGGED, _der(_INTEGER, bytes([kind]))),
        _der(_TAGGED + 1, _der(_SEQUENCE, *strings)),
    )
    return _der(_SEQUENCE, _der(_TAGGED, _der(_GENERAL_STRING, realm.encode())), _der(_TAGGED + 1, name))


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content  # all of ours are shorter than 128 bytes
