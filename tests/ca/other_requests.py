"""Requests for certificates that are no PKCS #10, as Dogtag's input takes them too: CRMF (RFC 4211), CMC (RFC 5272)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from certval_requests import CN, ECDSA_SHA256, bare, key, oid, part, simple, tlv
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PKI_DATA = "1.3.6.1.5.5.7.12.2"


def crmf(name: str) -> str:
    """Return a CRMF request with its proof of possession, in base64."""
    public = key().public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    # publicKey is tagged [6] implicitly; the subject, a CHOICE, [5] explicitly.
    template = tlv(0x30, tlv(0xA5, tlv(0x30, part(CN, name.encode()))), b"\xa6" + spki[1:])
    wanted = tlv(0x30, tlv(0x02, b"\x01"), template)
    signature = key().sign(wanted, ec.ECDSA(hashes.SHA256()))
    proof = tlv(0xA1, tlv(0x30, oid(ECDSA_SHA256)), tlv(0x03, b"\0" + signature))
    return bare(tlv(0x30, tlv(0x30, wanted, proof)))


def cmc(name: str, folder: Path) -> str:
    """Return a full CMC request with a PKCS #10 in it, signed by nobody in particular, in base64."""
    tagged = tlv(0xA0, tlv(0x02, b"\x01"), simple(name))
    (folder / "data").write_bytes(tlv(0x30, tlv(0x30), tlv(0x30, tagged), tlv(0x30), tlv(0x30)))
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"]
    sign = ["openssl", "cms", "-sign", "-binary", "-nodetach", "-econtent_type", _PKI_DATA]
    for command in (
        [*make, "-keyout", "key", "-out", "certificate"],
        [
            *sign,
            "-in",
            "data",
            "-signer",
            "certificate",
            "-inkey",
            "key",
            "-outform",
            "DER",
            "-out",
            "signed",
        ],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return bare((folder / "signed").read_bytes())
