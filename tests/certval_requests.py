"""Certificate requests for tests: well-formed ones, and any other, written in DER by hand and signed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CN, MAIL, ORGANISATION = "2.5.4.3", "1.2.840.113549.1.9.1", "2.5.4.10"
SAN = "2.5.29.17"
EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
UTF8, PRINTABLE, IA5, GENERAL = 0x0C, 0x13, 0x16, 0x1B


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(20_26, ec.SECP256R1())


def tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    size = (len(content).bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + len(content).to_bytes(size, "big") + content


def oid(dotted: str) -> bytes:
    arcs = [int(arc) for arc in dotted.split(".")]
    encoded = b""
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(digits))
    return tlv(0x06, encoded)


def part(kind: str, value: bytes, tag: int = UTF8) -> bytes:
    return tlv(0x31, tlv(0x30, oid(kind), tlv(tag, value)))


def extension(kind: str, value: bytes) -> bytes:
    return tlv(0x30, oid(kind), tlv(0x04, value))


def attribute(kind: str, *values: bytes) -> bytes:
    return tlv(0x30, oid(kind), tlv(0x31, *values))


def dns(name: str) -> bytes:
    return tlv(0x82, name.encode("latin-1"))


def mail(address: str) -> bytes:
    return tlv(0x81, address.encode("latin-1"))


def ip(*octets: int) -> bytes:
    return tlv(0x87, bytes(octets))


def upn(principal: str, tag: int = UTF8) -> bytes:
    return tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xA0, tlv(tag, principal.encode())))


def krb5(realm: str, *parts: str) -> bytes:
    name = tlv(
        0x30,
        tlv(0xA0, tlv(0x02, b"\x01")),
        tlv(0xA1, tlv(0x30, *(tlv(GENERAL, one.encode()) for one in parts))),
    )
    value = tlv(0x30, tlv(0xA0, tlv(GENERAL, realm.encode())), tlv(0xA1, name))
    return tlv(0xA0, oid("1.3.6.1.5.2.2"), tlv(0xA0, value))


def sans(*names: bytes) -> bytes:
    return extension(SAN, tlv(0x30, *names))


def request(
    subject: Sequence[bytes] = (),
    extensions: Sequence[bytes] = (),
    *,
    attributes: Sequence[bytes] | None = None,
    version: bytes = b"\x00",
    spoil: bool = False,
) -> bytes:
    """Write and sign a request of any content."""
    public = (
        key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    if attributes is None:
        attributes = [attribute(EXTENSION_REQUEST, tlv(0x30, *extensions))] if extensions else []
    info = tlv(0x30, tlv(0x02, version), tlv(0x30, *subject), public, tlv(0xA0, *attributes))
    signature = key().sign(
        info if not spoil else info + b"x", ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    )
    return tlv(0x30, info, tlv(0x30, oid(ECDSA_SHA256)), tlv(0x03, b"\x00" + signature))


def simple(name: str, *names: bytes, mails: Sequence[str] = ()) -> bytes:
    """Write a request for a name with these alternative names."""
    subject = [part(CN, name.encode()), *(part(MAIL, one.encode(), IA5) for one in mails)]
    return request(subject, [sans(*names)] if names else [])


def bare(encoded: bytes) -> str:
    return base64.b64encode(encoded).decode()


def pem(encoded: bytes, kind: str = "CERTIFICATE REQUEST", newline: str = "\n", width: int = 64) -> str:
    text = bare(encoded)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    return newline.join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])
