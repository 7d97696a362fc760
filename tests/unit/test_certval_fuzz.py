"""Fuzz targets: request texts, DER, Dogtag's environment (D09).  `make fuzz` tries many more examples."""

from __future__ import annotations

import subprocess

import certval_requests as req
import pytest
from certval_examples import few, some
from certval_requests import bare, pem, request, tlv
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi.decide import der
from ipa_tpi.decide.altnames import Dns
from ipa_tpi.decide.armour import CsrError
from ipa_tpi.decide.csr import Csr, read_csr
from ipa_tpi.decide.der import DerError

TAGS = [req.UTF8, req.PRINTABLE, req.IA5, 0x14, 0x1E, 0x04, req.GENERAL]
letters = st.text(st.sampled_from("abz.-*@/\0\n é=,+\\0"), max_size=8)
values = letters.map(str.encode) | st.binary(max_size=6) | st.just(b"web.tpi.test")
kinds = st.sampled_from([req.CN, req.CN, req.MAIL, req.ORGANISATION, "2.5.4.45", "1.2.3"])
mostly_utf8 = st.sampled_from([req.UTF8] * 12 + TAGS)
parts = st.builds(req.part, kinds, values, mostly_utf8)
hosts = st.sampled_from(["web.tpi.test", "a", "b.c", "A_b.c", "*.x", "x.", "1.2.3.4"]) | letters
names = st.one_of(
    hosts.map(lambda name: tlv(0x82, name.encode())),
    letters.map(lambda name: tlv(0x81, name.encode())),
    st.binary(max_size=17).map(lambda octets: tlv(0x87, octets)),
    letters.map(req.upn),
    st.builds(lambda realm, name: req.krb5(realm, *name), letters, st.lists(letters, max_size=3)),
    st.builds(tlv, st.integers(0x80, 0xBF).filter(lambda tag: tag & 0x1F != 0x1F), st.binary(max_size=6)),
)
wanted = st.builds(
    lambda subject, sans, more, critical: request(
        subject,
        (
            [tlv(0x30, req.oid(req.SAN), tlv(1, critical), tlv(4, tlv(0x30, *sans)))]
            if critical
            else [req.sans(*sans)]
        )
        * (2 if more == "twice" else 1),
        version=b"\x01" if more == "version" else b"\x00",
    ),
    st.lists(parts, max_size=2).map(lambda some: [*some, req.part(req.CN, b"web.tpi.test")])
    | st.lists(parts, max_size=3),
    st.lists(names, max_size=3),
    st.sampled_from(["", "", "", "", "twice", "version"]),
    st.sampled_from([b"", b"", b"\xff", b"\0", b"\1"]),
)


def taken(text: str) -> Csr | None:
    try:
        return read_csr(text)
    except CsrError:
        return None


@some
@given(wanted, st.sampled_from([bare, pem]))
def test_what_is_taken_is_read_so_by_cryptography(encoded: bytes, make: type) -> None:
    found = taken(make(encoded))
    if found is None:
        return
    again = x509.load_der_x509_csr(encoded)
    assert [one.value for one in again.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)] == [
        found.common_name
    ]
    try:
        names = again.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        assert found.names == ()
        return
    assert names.get_values_for_type(x509.DNSName) == [
        one.name for one in found.names if isinstance(one, Dns)
    ]
    assert len(list(names)) == len(found.names)


@few
@given(wanted)
def test_what_is_taken_is_read_so_by_openssl(encoded: bytes) -> None:
    found = taken(bare(encoded))
    if found is None:
        return
    ran = subprocess.run(
        [
            "openssl",
            "req",
            "-inform",
            "DER",
            "-noout",
            "-verify",
            "-text",
            "-nameopt",
            "sep_multiline,utf8,sname",
        ],
        input=encoded,
        capture_output=True,
        check=False,
    )
    said = ran.stdout.decode() + ran.stderr.decode()
    assert ran.returncode == 0, said
    assert "verify OK" in said
    subject = said.partition("Subject:")[2].partition("Subject Public Key Info")[0]
    assert [line.strip() for line in subject.splitlines() if line.strip().startswith("CN=")] == [
        f"CN={found.common_name}"
    ]
    shown = [
        one.strip().removeprefix("DNS:")
        for one in said.replace("\n", ",").split(",")
        if one.strip().startswith("DNS:")
    ]
    assert shown == [one.name for one in found.names if isinstance(one, Dns)]


@some
@given(
    st.recursive(
        st.binary(max_size=5).map(lambda content: tlv(4, content)),
        lambda inner: st.lists(inner, max_size=3).map(lambda all_: tlv(0x30, *all_)),
    ),
    st.data(),
)
def test_strict_der_has_one_encoding(encoded: bytes, data: st.DataObject) -> None:
    whole = der.read(encoded)
    assert whole.tag == encoded[0]
    assert rewritten(whole) == encoded
    changed = bytearray(encoded)
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        other = der.read(bytes(changed))
    except DerError:
        return
    assert rewritten(other) == bytes(changed)


def rewritten(element: der.Element) -> bytes:
    """Write an element anew; what is strict has no second encoding."""
    return (
        tlv(element.tag, *(rewritten(one) for one in element.children))
        if element.children
        else tlv(element.tag, element.content)
    )


@some
@given(st.binary(max_size=40))
def test_any_bytes_are_strict_der_or_not(data: bytes) -> None:
    try:
        found = der.read(data)
    except DerError:
        return
    assert rewritten(found) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x1f\x01\x00",
        b"\x04\x81\x01x",
        b"\x04\x82\x00\x80" + bytes(128),
        b"\x04\x85\x00\x00\x00\x00\x01x",
        b"\x24\x03\x04\x01x",
        b"\x10\x00",
        b"\x01\x01\x01",
        b"\x02\x00",
        b"\x02\x02\x00\x01",
        b"\x02\x02\xff\xff",
        b"\x03\x00",
        b"\x03\x01\x01",
        b"\x03\x02\x01\x01",
        b"\x03\x02\x08\x00",
        b"\x05\x01\x00",
        b"\x06\x00",
        b"\x06\x02\x2a\x80",
        b"\x06\x03\x2a\x80\x01",
        b"\x31\x06\x04\x01b\x04\x01a",
        tlv(0x30, *[b""] * 1) * 2,
    ],
)
def test_another_encoding_is_none(data: bytes) -> None:
    with pytest.raises(DerError):
        der.read(data)


def test_the_nesting_ends() -> None:
    data = b""
    for _ in range(der.MAX_DEPTH):
        data = tlv(0x30, data)
    der.read(data)
    for _ in range(2):
        data = tlv(0x30, data)
    with pytest.raises(DerError, match="deep"):
        der.read(data)


def test_integers_and_strings_in_their_one_form() -> None:
    for data in (
        b"\x02\x01\x00",
        b"\x02\x02\x00\xff",
        b"\x02\x02\xff\x7f",
        b"\x03\x01\x00",
        b"\x03\x02\x01\x02",
        b"\x05\x00",
    ):
        assert der.read(data).content == data[2:]
    assert der.oid(der.read(req.oid("2.999.3"))) == "2.999.3"
    assert der.oid(der.read(req.oid("0.9"))) == "0.9"
    with pytest.raises(DerError):
        der.oid(der.read(b"\x05\x00"))
