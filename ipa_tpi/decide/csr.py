"""A certificate request, taken only where everybody who reads it sees the same (D09).

Dogtag, OpenSSL and cryptography read some texts differently: Dogtag takes all marks out of the text and
decodes what is left, prefers a ``NEW`` block, ignores what follows the first DER, and takes the first CN
where FreeIPA takes the last.  So, in this order:

1. The text is short, ASCII, without NUL (`ipa_tpi.decide.armour`).
2. It is one block of canonical PEM, or canonical base64 alone, and nothing before, between or after;
   the marks are those of RFC 7468 section 7, not the ``NEW`` ones.
3. It is one element of strict DER (`ipa_tpi.decide.der`) of the form of RFC 2986, version 0, and
   cryptography gives back the same bytes.
4. Its subject has parts of one attribute each, in plain string types, without control characters, and
   exactly one CN, in ASCII.
5. No attribute comes twice; extensions are requested at most once, in the one way that all know.
6. Each name in a subjectAltName (`ipa_tpi.decide.altnames`) is of a kind and in a form that has one reading.
7. Its signature verifies with its own key.

`describe` tells people what is in one that was taken.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from ipa_tpi.decide import der
from ipa_tpi.decide.altnames import AltName, Dns, Ip, Mail, Named, alt_names, pair
from ipa_tpi.decide.armour import CsrError, dearmour
from ipa_tpi.decide.der import DerError, Element
from ipa_tpi.model import Json

_COMMON_NAME: Final = "2.5.4.3"
_EMAIL: Final = "1.2.840.113549.1.9.1"
_ATTRIBUTES: Final = 0xA0
_EXTENSION_REQUEST: Final = "1.2.840.113549.1.9.14"
_SIZED: Final = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, dsa.DSAPublicKey)
_EXTENSION_NAMES: Final = {
    oid.dotted_string: name.lower().replace("_", " ")
    for name, oid in vars(ExtensionOID).items()
    if isinstance(oid, x509.ObjectIdentifier)
}
_USAGE_NAMES: Final = {
    oid.dotted_string: f"{name.lower().replace('_', ' ')} ({oid.dotted_string})"
    for name, oid in vars(ExtendedKeyUsageOID).items()
    if isinstance(oid, x509.ObjectIdentifier)
}
_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
# Of these cryptography tells nothing where there is no key agreement.
_AGREEMENT: Final = ("encipher_only", "decipher_only")
# What cryptography raises where it cannot read a request; these have no base of their own.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class Csr:
    """What a request asks for.

    Attributes:
        der: Its bytes.
        common_name: The one CN.
        mails: The emailAddress parts of the subject.
        names: Those of the subjectAltName, in order.
    """

    der: bytes
    common_name: str
    mails: tuple[str, ...]
    names: tuple[AltName, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex: what an approval is about."""
        return hashlib.sha256(self.der).hexdigest()


def read_csr(text: str) -> Csr:
    """Read a request.

    Args:
        text: What the client sent, unchanged.

    Returns:
        What it asks for.

    Raises:
        CsrError: One of the rules above is broken.
    """
    encoded = dearmour(text)
    try:
        subject, attributes = _structure(encoded)
        common_name, mails = _subject(subject)
        names = alt_names(attributes)
    except DerError as error:
        raise CsrError(f"its DER is not strict: {error}; make it anew with openssl req", "der") from error
    _agree(encoded, common_name, names)
    return Csr(encoded, common_name, mails, names)


def describe(csr: Csr) -> dict[str, Json]:
    """Tell people what a request asks for.

    Args:
        csr: As `read_csr` gave it.

    Returns:
        JSON: subject, names by kind, key, extensions with their content, other attributes, and the digest of the DER.
    """
    request = x509.load_der_x509_csr(csr.der)
    key = request.public_key()
    curve = f" {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else ""
    size = f", {key.key_size} bits" if isinstance(key, _SIZED) else ""
    algorithm = request.signature_hash_algorithm
    shown: dict[str, Json] = {
        "subject": request.subject.rfc4514_string(),
        "alternative names": [_told_name(name) for name in csr.names],
        "key": f"{type(key).__name__.removesuffix('PublicKey').lstrip('_')}{curve}{size}",
        "signed with": algorithm.name if algorithm is not None else "the key's own way",
        "extensions": [_told_extension(one) for one in request.extensions],
        "sha256 of the DER": csr.digest,
    }
    others = sorted(one.oid.dotted_string for one in request.attributes)
    if others != [_EXTENSION_REQUEST] * len(others):
        shown["attributes"] = [*(one for one in others if one != _EXTENSION_REQUEST)]
    return shown


def _told_name(name: AltName) -> str:
    match name:
        case Dns():
            return f"DNS: {name.name}"
        case Mail():
            return f"email: {name.address}"
        case Ip():
            return f"IP: {name.address}"
        case Named():
            return f"principal: {name.principal}"
        case _:
            return f"{name.kind}: of a kind that nobody checks"


def _told_extension(extension: x509.Extension[x509.ExtensionType]) -> dict[str, Json]:
    value, name = extension.value, _EXTENSION_NAMES.get(extension.oid.dotted_string, "unknown")
    told: dict[str, Json] = {
        "extension": f"{name} ({extension.oid.dotted_string})",
        "critical": extension.critical,
    }
    if isinstance(value, x509.BasicConstraints):
        told["is a CA"] = value.ca
        if value.path_length is not None:
            told["path length"] = value.path_length
    elif isinstance(value, x509.KeyUsage):
        asked = (*_USAGES, *(_AGREEMENT if value.key_agreement else ()))
        told["usages"] = [*(one.replace("_", " ") for one in asked if getattr(value, one))]
    elif isinstance(value, x509.ExtendedKeyUsage):
        told["usages"] = [_USAGE_NAMES.get(one.dotted_string, one.dotted_string) for one in value]
    elif not isinstance(value, x509.SubjectAlternativeName):  # which is told by name
        told["value"] = value.public_bytes().hex()
    return told


def _structure(encoded: bytes) -> tuple[Element, Element]:
    """Take apart RFC 2986 section 4.2."""
    whole = der.read(encoded).expect(der.SEQUENCE)
    if [child.tag for child in whole.children] != [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]:
        raise CsrError("it is no PKCS #10 request; send one", "not-pkcs10")
    # Readers pass over the count of unused bits; none of a signature's, or a key's, are.
    if whole.children[2].content[0] != 0:
        raise CsrError("its signature does not end with a whole byte; make it anew", "unused-bits")
    info = whole.children[0]
    tags = [child.tag for child in info.children]
    if tags != [der.INTEGER, der.SEQUENCE, der.SEQUENCE, _ATTRIBUTES]:
        raise CsrError("it is no PKCS #10 request; send one", "not-pkcs10")
    if info.children[0].content != b"\x00":
        raise CsrError("its version is not 1 (0); send PKCS #10", "version")
    return info.children[1], info.children[3]


def _subject(subject: Element) -> tuple[str, tuple[str, ...]]:
    parts: list[tuple[str, str]] = []
    for relative in subject.children:
        relative.expect(der.SET)
        if len(relative.children) != 1:
            raise CsrError("a part of its subject has several attributes; use one each", "multi-valued")
        kind, value = pair(relative.children[0])
        said = der.text(value)
        if not said or any(unicodedata.category(one).startswith(("C", "Z")) and one != " " for one in said):
            raise CsrError(
                "its subject holds control characters, or an empty part; leave them out", "control"
            )
        parts.append((der.oid(kind), said))
    names = [value for kind, value in parts if kind == _COMMON_NAME]
    if not names:
        raise CsrError("No Common Name was found in subject of request.", "no-cn")
    if len(names) > 1:  # R-D10: FreeIPA checks the last one, Dogtag takes the first
        raise CsrError("its subject has several Common Names; use one", "several-cns")
    if not names[0].isascii() or names[0] != names[0].strip():
        raise CsrError("its Common Name is not plain ASCII; write it without blanks around it", "cn-form")
    return names[0], tuple(value for kind, value in parts if kind == _EMAIL)


def _agree(encoded: bytes, common_name: str, names: Sequence[AltName]) -> None:
    """Read it again with cryptography; what it sees has to be the same, and the signature good."""
    try:
        request = x509.load_der_x509_csr(encoded)
        again = request.public_bytes(Encoding.DER)
        seen = [one.value for one in request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        counted = _count_names(request)
        valid = request.is_signature_valid
    except _UNREADABLE as error:
        raise CsrError(
            "it cannot be read as a request, or its key or signature are of no known kind", "unreadable"
        ) from error
    if again != encoded or seen != [common_name] or counted != len(names):
        raise CsrError("two readers see two requests in it; make it anew with openssl req", "differs")
    if not valid:
        raise CsrError(
            "its signature does not verify with its own key, or is of a kind that is not taken; sign it with SHA-256 or better",
            "signature",
        )


def _count_names(request: x509.CertificateSigningRequest) -> int:
    try:
        found = request.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return 0
    return len(list(found.value)) if isinstance(found.value, x509.SubjectAlternativeName) else -1
