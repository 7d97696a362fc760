"""Requests that are read in two ways, sent to the real CA: what the validator looks at has to be what Dogtag signs (D09, D10).

Each is sent twice.  By a profile whose program says yes to everything it shows what an attacker gains: a certificate
in another name than the one that was looked at, or in a name that nobody checked.  By the same profile with the
validator it is refused, and Dogtag's own directory shows that nothing was issued.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cryptography_vectors
import pytest
from apache import weakened
from ca_host import HOST, Answer, CaHost
from certval_ca import Scene, nothing_issued, outcome, scene
from certval_requests import CN, ORGANISATION, bare, dns, part, pem, request, simple
from cryptography import x509
from other_requests import cmc, crmf

from lab.ca_settings import SITE

JSON, XML = "application/json", "application/xml"
NEW = "NEW CERTIFICATE REQUEST"
# What alice may have, and what she may not: a host that neither she nor this host manages.
OWN, EVIL = "alice", "lone.tpi.test"
MANAGED = "web.tpi.test"


def aligned(name: str) -> bytes:
    """Make a request whose base64 needs no padding at its end, so that more can follow it."""
    for number in range(1, 20):
        made = request([part(ORGANISATION, b"x" * number), part(CN, name.encode())])
        if len(made) % 3 == 0:
            return made
    raise AssertionError


def named(*names: str) -> bytes:
    return request([part(CN, name.encode()) for name in names])


@dataclass(frozen=True)
class Attack:
    """A request by which somebody tries to get more than is his.

    Attributes:
        text: makes it; a folder is there for what it needs.
        gains: the names that the certificate would bear.
        says: part of the validator's refusal.
        code: of it.
        kind: what the request is said to be.
        caller: who sends it.
    """

    text: Callable[[Path], str]
    gains: Sequence[str]
    says: str
    code: int = 3009
    kind: str = "pkcs10"
    caller: str = "alice"


ATTACKS = {
    # Dogtag takes all marks away, decodes what is left, and signs the first; openssl and cryptography see one of them.
    "two blocks": Attack(lambda _: pem(aligned(EVIL)) + pem(named(OWN)), [EVIL], "several blocks"),
    "a new block and another": Attack(
        lambda _: pem(aligned(EVIL), NEW) + pem(named(OWN)), [EVIL], "NEW CERTIFICATE REQUEST"
    ),
    "base64 before the block": Attack(
        lambda _: f"{bare(aligned(EVIL))}\n{pem(named(OWN))}", [EVIL], "before, after or instead"
    ),
    # By itself it gains nothing; it is what Dogtag and the rest of the world do not agree about.
    "a new header": Attack(lambda _: pem(named(OWN), NEW), [OWN], "NEW CERTIFICATE REQUEST"),
    "bytes behind it": Attack(lambda _: pem(aligned(EVIL) + named(OWN)), [EVIL], "not strict"),
    "a byte behind it": Attack(lambda _: pem(named(OWN) + b"\0"), [OWN], "not strict"),
    # These are no PKCS #10: nothing but Dogtag reads them as it does.
    "crmf": Attack(lambda _: crmf(EVIL), [EVIL], "only PKCS #10", kind="crmf"),
    "cmc": Attack(lambda folder: cmc(EVIL, folder), [EVIL], "only PKCS #10", kind="cmc"),
    # FreeIPA checks the last one, Dogtag's own rules take the first.
    "two common names, the good one last": Attack(
        lambda _: pem(named(EVIL, OWN)), [EVIL, OWN], "several Common Names"
    ),
    "two common names, the good one first": Attack(
        lambda _: pem(named(OWN, EVIL)), [OWN, EVIL], "several Common Names"
    ),
    # Whoever ends a name at a NUL or a newline sees another host.
    "nul in the common name": Attack(
        lambda _: pem(named(f"{OWN}\0.{EVIL}")), [f"{OWN}\0.{EVIL}"], "control characters"
    ),
    "newline in the common name": Attack(
        lambda _: pem(named(f"{OWN}\nCN={EVIL}")), [f"{OWN}\nCN={EVIL}"], "control characters"
    ),
    "nul in a host's name": Attack(
        lambda _: pem(simple(MANAGED, dns(f"{EVIL}\0.{MANAGED}"))),
        [MANAGED, f"{EVIL}\0.{MANAGED}"],
        "no name of a host",
        caller=HOST,
    ),
    "newline in a host's name": Attack(
        lambda _: pem(simple(MANAGED, dns(f"{MANAGED}\n{EVIL}"))),
        [MANAGED, f"{MANAGED}\n{EVIL}"],
        "no name of a host",
        caller=HOST,
    ),
    "a wildcard": Attack(
        lambda _: pem(simple(MANAGED, dns("*.tpi.test"))),
        [MANAGED, "*.tpi.test"],
        "does not exist",
        4001,
        caller=HOST,
    ),
    # Who may have one name asks for another beside it.
    "a host that the caller does not manage": Attack(
        lambda _: pem(simple(MANAGED, dns(MANAGED), dns(EVIL))),
        [MANAGED, MANAGED, EVIL],
        f"with subject alt name '{EVIL}'",
        2100,
        caller=HOST,
    ),
    "a host for a person": Attack(
        lambda _: pem(simple(OWN, dns(EVIL))), [OWN, EVIL], "forbidden for user principals"
    ),
    # Dogtag's log, audit trail and directory keep all of it.
    "90 KB": Attack(
        lambda _: pem(simple(OWN, *(dns(f"h{number:05}.tpi.test") for number in range(4000)))),
        [OWN, *(f"h{number:05}.tpi.test" for number in range(4000))],
        "more than 65536 bytes",
    ),
}


@pytest.fixture(scope="module")
def attacked(ca: CaHost) -> Iterator[Scene]:
    with scene(ca) as found:
        yield found


def names(certificate: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    """Return whom a certificate, or a request for one, is for: its common names, and its alternative names of hosts."""
    found = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    try:
        more = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return found
    return found + more.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("name", ATTACKS)
def test_r_d10_what_dogtag_would_sign_is_what_was_looked_at(
    attacked: Scene, tmp_path: Path, name: str
) -> None:
    attack = ATTACKS[name]
    text = attack.text(tmp_path)
    status, number = outcome(attacked.ca.enroll(attack.caller, attacked.lenient, text, kind=attack.kind))
    assert status == "complete", number
    assert names(attacked.ca.certificate(number)) == attack.gains
    with nothing_issued():
        answer = attacked.ca.enroll(attack.caller, attacked.profile, text, kind=attack.kind)
        assert attack.says in attacked.refused(answer, attack.code)


def test_the_same_without_the_attack_is_issued(attacked: Scene) -> None:
    """What is refused above is refused for what was done to it."""
    for caller, made, expected in (
        ("alice", named(OWN), [OWN]),
        (HOST, simple(MANAGED, dns(MANAGED)), [MANAGED, MANAGED]),
    ):
        status, number = outcome(attacked.ca.enroll(caller, attacked.profile, pem(made)))
        assert status == "complete", number
        assert names(attacked.ca.certificate(number)) == expected


def test_r_d09_what_does_not_fit_a_programs_environment_is_refused_by_dogtag(attacked: Scene) -> None:
    """A request of 200 KB: Dogtag cannot start any program with it, and takes that for a refusal."""
    text = pem(simple(OWN, *(dns(f"h{number:05}.tpi.test") for number in range(8500))))
    assert len(text) > 190_000
    with nothing_issued():
        for profile in (attacked.profile, attacked.lenient):
            status, said = outcome(attacked.ca.enroll("alice", profile, text))
            assert status == "rejected"
            assert said.startswith("Caught exception while executing command")


def vectors() -> Iterator[tuple[str, bytes]]:
    """Give the requests among the public test vectors of the project cryptography, in DER."""
    root = Path(cryptography_vectors.__file__).parent / "x509"
    paths = {*(root / "requests").iterdir(), *(path for path in root.rglob("*csr*") if path.is_file())}
    for path in sorted(paths):
        content = path.read_bytes()
        if b"-----BEGIN" in content:
            lines = content.decode().partition("REQUEST-----\n")[2].partition("-----END")[0]
            content = base64.b64decode("".join(lines.split()))
        yield path.name, content


def test_r_d10_no_public_vector_that_is_taken_is_read_otherwise_by_dogtag(attacked: Scene) -> None:
    """What openssl and the validator agree about (tests/unit), Dogtag signs as they read it."""
    signed = []
    for name, encoded in vectors():
        answer = attacked.ca.enroll("alice", attacked.profile, pem(encoded))
        # A kind of key or of subject that Dogtag does not take; or the validator does not take it for a request.
        if answer.status != 200 or '"name":"csr"' in outcome(answer)[1]:
            continue
        status, number = outcome(attacked.ca.enroll("alice", attacked.lenient, pem(encoded)))
        assert status == "complete", (name, number)
        issued, asked = attacked.ca.certificate(number), x509.load_der_x509_csr(encoded)
        assert issued.public_key() == asked.public_key(), name
        assert names(issued) == names(asked), name
        signed.append(name)
    assert len(signed) >= 5, signed


def renewals(profile: str) -> Iterator[tuple[str, bytes, str]]:
    """Give ways to ask for the renewal of the CA's first administrator, as bodies and what they are said to be."""
    text = json.dumps({"ProfileID": profile, "Renewal": True, "SerialNumber": "0x6", "Input": []})
    yield "plain", text.encode(), JSON
    yield "on lines", text.replace('"Renewal": true', '"Renewal"\n:\ntrue').encode(), JSON
    yield "twice", text.replace("{", '{"Renewal": false, ', 1).encode(), JSON
    yield "as a text", text.replace("true", '"true"').encode(), JSON
    yield "by number", text.replace("Renewal", "\\u0052enewal").encode(), JSON
    for encoding in ("utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32-be"):
        yield encoding, text.encode(encoding), JSON
    yield "late", text.replace("{", "{" + " " * 100_000, 1).encode(), JSON
    for split in range(8180, 8196):
        yield f"at {split}", text.replace("{", "{" + " " * split, 1).encode(), JSON
    inside = f"<ProfileID>{profile}</ProfileID><SerialNumber>0x6</SerialNumber>"
    flag = "<Ren&#101;wal>true</Ren&#101;wal>"
    yield (
        "xml",
        f"<CertEnrollmentRequest><Renewal>true</Renewal>{inside}</CertEnrollmentRequest>".encode(),
        XML,
    )
    entity = f'<!DOCTYPE x [<!ENTITY r "{flag}">]><CertEnrollmentRequest>&r;{inside}</CertEnrollmentRequest>'
    yield "xml with an entity", entity.encode(), XML
    yield (
        "form",
        f"profileId={profile}&renewal=true&serialNumber=0x6".encode(),
        "application/x-www-form-urlencoded",
    )


def test_r_d10_nobody_renews_past_the_validator(attacked: Scene) -> None:
    """dave, in no group, renews what the CA itself was given when it was made: its own profiles ask nobody."""

    def ask(body: bytes, kind: str) -> Answer:
        headers = {"Content-Type": kind}
        return attacked.ca.call("dave", "POST", "/certrequests", raw=body, headers=headers)

    ways = {name: (body, kind) for name, body, kind in renewals(attacked.profile)}
    with nothing_issued():
        for name, (body, kind) in ways.items():
            assert ask(body, kind).status in {400, 413, 415}, name
    with weakened({"SetInputFilter tpi-only-enrolment": ""}, SITE):
        for name in ("plain", "by number", "utf-16-be", "late", "xml"):
            status, number = outcome(ask(*ways[name]))
            assert status == "complete", name
            assert "CN=caadmin" in attacked.ca.certificate(number).subject.rfc4514_string()
