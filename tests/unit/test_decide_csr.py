"""A certificate request is taken only where everybody reads the same in it (D09; facts 5)."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certval_requests as req
import cryptography_vectors
import pytest
from certval_examples import some
from certval_requests import CN, IA5, ORGANISATION, bare, dns, part, pem, request, sans, simple, tlv
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.decide import csr
from ipa_tpi.decide.altnames import Dns, Ip, Mail, Named, Unknown
from ipa_tpi.decide.armour import MAX_TEXT_BYTES, CsrError
from ipa_tpi.decide.csr import Csr, describe, read_csr
from ipa_tpi.decide.digest import canonical

GOOD = simple("web.tpi.test", dns("web.tpi.test"))
VECTORS = Path(cryptography_vectors.__file__).parent


def reason(text: str) -> str:
    with pytest.raises(CsrError) as caught:
        read_csr(text)
    assert "; " in caught.value.message or caught.value.reason in {"no-cn", "unreadable"}
    return caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        pem(GOOD),
        pem(GOOD).removesuffix("\n"),
        pem(GOOD, newline="\r\n"),
        bare(GOOD),
        bare(GOOD) + "\n",
        "\n".join(pem(GOOD).splitlines()[1:-1]),
        "\r\n".join(pem(GOOD, width=76).splitlines()[1:-1]) + "\r\n",
    ],
)
def test_one_canonical_request_is_taken(text: str) -> None:
    assert read_csr(text) == Csr(GOOD, "web.tpi.test", (), (Dns("web.tpi.test"),))


OTHER = simple("evil.tpi.test")
LINES = pem(GOOD).splitlines()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not-canonical"),
        ("\n", "not-canonical"),
        (pem(GOOD, "NEW CERTIFICATE REQUEST"), "new-header"),
        (pem(GOOD) + pem(OTHER), "several-blocks"),
        (pem(GOOD) + pem(OTHER, "NEW CERTIFICATE REQUEST"), "new-header"),
        (pem(GOOD, "CERTIFICATE"), "not-one-block"),
        (pem(GOOD, "X509 CRL"), "not-one-block"),
        (bare(OTHER) + "\n" + pem(GOOD), "not-one-block"),
        (pem(GOOD) + bare(OTHER), "not-one-block"),
        (pem(GOOD) + "\n", "not-one-block"),
        ("\n" + pem(GOOD), "not-one-block"),
        ("hello\n" + pem(GOOD), "not-one-block"),
        (" " + pem(GOOD), "not-canonical"),
        (pem(GOOD).replace("\n", " \n", 3), "not-canonical"),
        (pem(GOOD).replace("\n", "\r\n", 1), "not-canonical"),
        (pem(GOOD).replace("\n", "\r"), "not-one-block"),
        (pem(GOOD, width=60), "not-canonical"),
        (pem(GOOD, width=76), "not-canonical"),
        ("\n".join([LINES[0], LINES[1], "", *LINES[2:]]), "not-canonical"),
        ("\n".join([LINES[0], LINES[-1]]), "not-one-block"),
        ("\n".join([*LINES[:-1], "-----END CERTIFICATE REQUEST----"]), "not-one-block"),
        ("\n".join([*LINES[:-1], "=abc", LINES[-1]]), "not-canonical"),
        (bare(GOOD) + "===", "not-base64"),
        ("_" + bare(GOOD)[1:], "not-base64"),
        ("-" + bare(GOOD)[1:], "not-one-block"),
        (bare(GOOD)[:-3], "not-base64"),
        (bare(GOOD[: len(GOOD) // 3 * 3 - 2])[:-3] + "B==", "not-canonical"),
        (bare(GOOD + b"\0"), "der"),
        (bare(GOOD + OTHER), "der"),
        (bare(b"\0" + GOOD), "der"),
        (bare(GOOD[:-1]), "der"),
        (bare(b"\x30\x80" + GOOD[3:] + b"\0\0"), "der"),
        (pem(GOOD) + "\0", "not-ascii"),
        (pem(GOOD) + "é", "not-ascii"),
        ("A" * (MAX_TEXT_BYTES + 1), "too-long"),
        (bare(simple("w.tpi.test", *(dns(f"h{n}.tpi.test") for n in range(201)))), "too-many-names"),
        (bare(tlv(0x30, tlv(0x30))), "not-pkcs10"),
        (bare(tlv(0x30, tlv(0x30), tlv(0x30), tlv(0x03, b"\0"))), "not-pkcs10"),
    ],
)
def test_another_text_is_refused(text: str, why: str) -> None:
    assert reason(text) == why


NUL = [part(CN, b"web\0.tpi.test")]
SUBJECTS = {
    "no-cn": [part(ORGANISATION, b"TPI")],
    "several-cns": [part(CN, b"ok.tpi.test"), part(CN, b"evil.tpi.test")],
    "multi-valued": [tlv(0x31, *(tlv(0x30, req.oid(CN), tlv(0x0C, one)) for one in (b"a", b"b")))],
    "control": NUL,
    "cn-form": [part(CN, "wéb.tpi.test".encode())],
    "der": [part(CN, "web".encode("utf-16-be"), 0x1E)],
}


@pytest.mark.parametrize("why", SUBJECTS)
def test_another_subject_is_refused(why: str) -> None:
    assert reason(bare(request(SUBJECTS[why]))) == why


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ([part(CN, b"web\n.tpi.test")], "control"),
        ([part(CN, b"web.tpi.test"), part(ORGANISATION, b"a\nb")], "control"),
        ([part(CN, b"web.tpi.test"), part(ORGANISATION, b"\xe2\x80\xae")], "control"),
        ([part(CN, b"")], "control"),
        ([part(CN, b" web")], "cn-form"),
        ([part(CN, b"web", 0x14)], "der"),
        ([part(CN, b"\xff")], "der"),
        ([tlv(0x30, req.oid(CN))], "der"),
        ([tlv(0x31, tlv(0x30, req.oid(CN)))], "der"),
        ([], "no-cn"),
    ],
)
def test_a_strange_subject_is_refused(subject: list[bytes], why: str) -> None:
    assert reason(bare(request(subject))) == why


OK = [part(CN, b"web.tpi.test")]
SANS = tlv(0x30, sans(dns("web.tpi.test")))
EXTENSIONS = req.attribute(req.EXTENSION_REQUEST, SANS)


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ([EXTENSIONS, EXTENSIONS], "two-requests"),
        ([EXTENSIONS, req.attribute("1.3.6.1.4.1.311.2.1.14", SANS)], "two-requests"),
        ([req.attribute(req.EXTENSION_REQUEST, SANS, SANS)], "der"),
        ([req.attribute(req.EXTENSION_REQUEST)], "der"),
        (
            [req.attribute(req.EXTENSION_REQUEST, tlv(0x30, sans(dns("a.b")), sans(dns("c.d"))))],
            "two-extensions",
        ),
        ([req.attribute(req.EXTENSION_REQUEST, tlv(0x30, tlv(0x30)))], "der"),
        (
            [
                req.attribute(
                    req.EXTENSION_REQUEST,
                    tlv(0x30, tlv(0x30, req.oid(req.SAN), tlv(1, b"\0"), tlv(4, b"\x30\0"))),
                )
            ],
            "der",
        ),
        ([req.attribute(req.EXTENSION_REQUEST, tlv(0x30, sans()))], "too-many-names"),
        ([tlv(0x30, req.oid(req.EXTENSION_REQUEST), SANS)], "der"),
    ],
)
def test_extensions_are_requested_in_one_way(attributes: list[bytes], why: str) -> None:
    assert reason(bare(request(OK, attributes=attributes))) == why


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (dns("*.tpi.test"), "wildcard"),
        (dns("web.tpi.test."), "name-form"),
        (dns(""), "name-form"),
        (dns("a..b"), "name-form"),
        (dns("-a.b"), "name-form"),
        (dns("web\0.tpi.test"), "name-form"),
        (dns("web.tpi.test\n"), "name-form"),
        (dns("wéb.tpi.test"), "name-form"),
        (dns("10.0.0.1"), "name-form"),
        (dns("a." * 130 + "b"), "name-form"),
        (req.mail("a@b\0.c"), "name-form"),
        (req.mail("A <a@b.c>"), "name-form"),
        (req.ip(10, 0, 0, 1, 255, 255, 255, 0), "name-form"),
        (req.ip(10, 0, 0), "name-form"),
        (req.upn("alice\0@TPI.TEST"), "name-form"),
        (req.upn("alice@TPI.TEST", IA5), "der"),
        (req.krb5("TPI.TEST", "host/web"), "name-form"),
        (req.krb5("TPI.TEST"), "name-form"),
        (tlv(0xA0, req.oid("1.3.6.1.5.2.2"), tlv(0xA0, tlv(0x30))), "der"),
        (
            tlv(
                0xA0,
                req.oid("1.3.6.1.5.2.2"),
                tlv(0xA0, tlv(0x30, tlv(0xA0, tlv(req.GENERAL, b"R")), tlv(0xA1, tlv(0x30, tlv(0xA1, b""))))),
            ),
            "der",
        ),
        (tlv(0xA0, req.oid("1.2.3"), tlv(0xA1, tlv(0x05))), "der"),
        (tlv(0xA0, req.oid("1.2.3")), "der"),
        (tlv(0x89, b"x"), "name-form"),
    ],
)
def test_a_strange_name_is_refused(name: bytes, why: str) -> None:
    assert reason(bare(simple("web.tpi.test", name))) == why


def test_every_kind_of_name_is_read() -> None:
    names = [
        dns("a_b.tpi.test"),
        req.mail("alice@tpi.test"),
        req.ip(10, 66, 0, 1),
        req.ip(*range(16)),
        req.upn("alice@TPI.TEST"),
        req.krb5("TPI.TEST", "host", "web.tpi.test"),
        tlv(0x86, b"http://tpi.test/"),
        tlv(0xA0, req.oid("1.2.3.4"), tlv(0xA0, tlv(0x05))),
    ]
    found = read_csr(pem(simple("web.tpi.test", *names, mails=["alice@tpi.test"])))
    assert found.mails == ("alice@tpi.test",)
    assert [type(name) for name in found.names] == [Dns, Mail, Ip, Ip, Named, Named, Unknown, Unknown]
    assert found.names[5] == Named("host/web.tpi.test@TPI.TEST")
    assert len(found.digest) == 64


def _with_unused_bits() -> bytes:
    """Take a request whose signature ends with a zero bit, and call that bit unused; cryptography verifies it still."""
    for number in range(20):
        encoded = bytearray(simple(f"w{number}.tpi.test"))
        if not encoded[-1] & 1:
            encoded[
                encoded.rindex(b"\x30\x44\x02\x20" if b"\x30\x44\x02\x20" in encoded else b"\x30\x45\x02") - 1
            ] = 1
            return bytes(encoded)
    raise AssertionError


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (request(OK, spoil=True), "signature"),
        (request(OK, version=b"\x01"), "version"),
        (_with_unused_bits(), "unused-bits"),
        (simple("w.tpi.test", tlv(0xA5, b"")), "unreadable"),
    ],
)
def test_it_is_version_1_and_signed_with_its_own_key(encoded: bytes, why: str) -> None:
    assert reason(bare(encoded)) == why


def test_two_readers_that_do_not_agree_refuse() -> None:
    for name, names in (("other", (Dns("web.tpi.test"),)), ("web.tpi.test", ())):
        with pytest.raises(CsrError, match="two readers"):
            csr._agree(GOOD, name, names)


def vectors() -> Iterator[Path]:
    yield from sorted((VECTORS / "x509" / "requests").iterdir())
    yield from sorted(path for path in (VECTORS / "x509").rglob("*csr*") if path.is_file())


def _texts(path: Path) -> list[str]:
    content = path.read_bytes()
    if b"-----BEGIN" not in content:
        return [bare(content), pem(content)]
    text = content.decode()
    base64_text = "".join(text.partition("REQUEST-----\n")[2].partition("-----END")[0].split())
    # As it is, and without what stands around it.
    return [text, base64_text, pem(base64.b64decode(base64_text))]


def _openssl(encoded: bytes, *options: str) -> str:
    found = subprocess.run(
        ["openssl", "req", "-inform", "DER", "-noout", *options],
        input=encoded,
        capture_output=True,
        check=True,
    )
    return found.stdout.decode() + found.stderr.decode()


def test_no_public_vector_is_read_otherwise_by_openssl() -> None:
    taken = []
    paths = list(vectors())
    assert len(paths) >= 26
    for path in paths:
        for text in _texts(path):
            try:
                found = read_csr(text)
            except CsrError:
                continue
            taken.append(path.name)
            subject = _openssl(found.der, "-subject", "-nameopt", "sep_multiline,utf8,sname")
            assert [line.strip() for line in subject.splitlines() if line.strip().startswith("CN=")] == [
                f"CN={found.common_name}"
            ], path
            said = _openssl(found.der, "-text", "-verify")
            assert "verify OK" in said, path
            for name in found.names:
                if isinstance(name, Dns):
                    assert f"DNS:{name.name}" in said, path
    assert len(taken) >= 6, taken


def test_what_cryptography_writes_is_taken() -> None:
    made = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web.tpi.test")])
    ).sign(req.key(), req.hashes.SHA256())
    text = made.public_bytes(serialization.Encoding.PEM).decode()
    assert read_csr(text).der == base64.b64decode(bare(made.public_bytes(serialization.Encoding.DER)))


@some
@given(st.text() | st.text(st.sampled_from("-ABEGINCRTFQUSD \n\r=Mz")) | st.binary().map(bare))
def test_nothing_but_its_own_error_comes_out_of_any_text(text: str) -> None:
    with pytest.raises(CsrError):
        read_csr(text)


@some
@given(st.data())
def test_a_changed_request_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    changed = bytearray(GOOD)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CsrError):
        read_csr(bare(bytes(changed)))


@some
@given(st.data())
def test_a_text_in_which_anything_was_put_is_refused(data: st.DataObject) -> None:
    make: Callable[[bytes], str] = data.draw(st.sampled_from([pem, bare]))
    text = make(GOOD)
    at = data.draw(st.integers(0, len(text)))
    more = data.draw(st.text(st.sampled_from("-A=+ \n\r\t\0é"), min_size=1, max_size=4))
    try:
        found = read_csr(text[:at] + more + text[at:])
    except CsrError:
        return
    # A newline at the end is nothing.
    assert found.der == GOOD
    assert more == "\n"


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def described(
    key: Any, algorithm: Any, *extensions: tuple[x509.ExtensionType, bool], **attributes: bytes
) -> Any:
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name(
            [
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Größe, \\ Ltd"),
                x509.NameAttribute(x509.NameOID.COMMON_NAME, "web.tpi.test"),
            ]
        )
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    for name, value in attributes.items():
        builder = builder.add_attribute(getattr(AttributeOID, name), value)
    text = builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()
    return describe(read_csr(text))


def test_people_are_told_what_is_in_it() -> None:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    agreement = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=True,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=True,
        decipher_only=False,
    )
    strange = x509.ObjectIdentifier("1.2.3.4")
    told = described(
        RSA,
        hashes.SHA384(),
        (x509.BasicConstraints(ca=True, path_length=1), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, strange]), False),
        (x509.UnrecognizedExtension(strange, b"\x05\x00"), False),
        (x509.SubjectAlternativeName([x509.DNSName("web.tpi.test")]), False),
        CHALLENGE_PASSWORD=b"secret",
    )
    sha256 = told.pop("sha256 of the DER")
    assert len(sha256) == 64
    assert told == {
        "subject": "CN=web.tpi.test,O=Größe\\, \\\\ Ltd",
        "alternative names": ["DNS: web.tpi.test"],
        "key": "RSA, 2048 bits",
        "signed with": "sha384",
        "extensions": [
            {
                "extension": "basic constraints (2.5.29.19)",
                "critical": True,
                "is a CA": True,
                "path length": 1,
            },
            {
                "extension": "key usage (2.5.29.15)",
                "critical": True,
                "usages": ["digital signature", "key encipherment", "key cert sign"],
            },
            {
                "extension": "extended key usage (2.5.29.37)",
                "critical": False,
                "usages": ["server auth (1.3.6.1.5.5.7.3.1)", "1.2.3.4"],
            },
            {"extension": "unknown (1.2.3.4)", "critical": False, "value": "0500"},
            {"extension": "subject alternative name (2.5.29.17)", "critical": False},
        ],
        "attributes": ["1.2.840.113549.1.9.7"],
    }
    told = described(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256(), (agreement, False))
    assert (told["key"], told["alternative names"], "attributes" in told) == (
        "EC secp384r1, 384 bits",
        [],
        False,
    )
    assert told["extensions"][0]["usages"] == ["key agreement", "encipher only"]
    told = described(
        ed25519.Ed25519PrivateKey.generate(), None, (x509.BasicConstraints(ca=False, path_length=None), False)
    )
    assert (told["key"], told["signed with"]) == ("Ed25519", "the key's own way")
    assert told["extensions"] == [
        {"extension": "basic constraints (2.5.29.19)", "critical": False, "is a CA": False}
    ]


def test_each_kind_of_name_is_told() -> None:
    text = pem(
        simple(
            "web.tpi.test",
            dns("web.tpi.test"),
            req.mail("a@tpi.test"),
            req.ip(10, 0, 0, 1),
            req.upn("a@TPI.TEST"),
            tlv(0x86, b"http://x"),
        )
    )
    assert describe(read_csr(text))["alternative names"] == [
        "DNS: web.tpi.test",
        "email: a@tpi.test",
        "IP: 10.0.0.1",
        "principal: a@TPI.TEST",
        "UniformResourceIdentifier: of a kind that nobody checks",
    ]


def test_whatever_is_taken_can_be_told() -> None:
    """Of the published requests of the cryptography project, whatever is taken."""
    taken = 0
    for path in sorted(VECTORS.rglob("*.pem")):
        text = path.read_bytes().decode("ascii", "replace")
        try:
            found = read_csr(text)
        except CsrError:
            continue
        taken += 1
        told = describe(found)
        assert canonical(told)
        assert told["sha256 of the DER"] == found.digest
    assert taken > 1
