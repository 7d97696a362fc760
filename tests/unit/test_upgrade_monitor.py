"""Certificates between our own parts: how long they are good, in ipa-healthcheck's words (E07)."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ipa_tpi_upgrade.monitor import Level, expiries

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(days: float, begins: datetime = NOW - timedelta(days=900)) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ipa-tpi executor")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(255)
        .not_valid_before(begins)
        .not_valid_after(NOW + timedelta(days=days))
        .sign(KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


@pytest.mark.parametrize(
    ("days", "level", "left"),
    [
        (365, Level.SUCCESS, 365),
        (28, Level.SUCCESS, 28),
        (27.9, Level.WARNING, 27),
        (7, Level.WARNING, 7),
        (6.9, Level.ERROR, 6),
        (0, Level.ERROR, 0),
        (-0.1, Level.CRITICAL, -1),
        (-400, Level.CRITICAL, -400),
    ],
)
def test_r_e07_days_left(days: float, level: Level, left: int, tmp_path: Path) -> None:
    path = tmp_path / "executor.pem"
    path.write_bytes(certificate(days))
    (finding,) = expiries([path], NOW)
    assert (finding.result, finding.kw["days"]) == (level, left)
    assert str(path) in str(finding.kw["msg"])


def test_a_certificate_of_tomorrow_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "executor.pem"
    path.write_bytes(certificate(365, begins=NOW + timedelta(hours=1)))
    assert expiries([path], NOW)[0].result is Level.ERROR


def test_every_certificate_of_a_file_counts_and_keys_do_not(tmp_path: Path) -> None:
    key = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "both.pem"
    path.write_bytes(key + certificate(365) + certificate(3))
    assert [finding.result for finding in expiries([path], NOW)] == [Level.SUCCESS, Level.ERROR]


@pytest.mark.parametrize(
    "content", [None, b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"]
)
def test_what_cannot_be_seen_is_not_good(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "executor.pem"
    if content is not None:
        path.write_bytes(content)
    (finding,) = expiries([path], NOW)
    assert finding.result is Level.ERROR
    assert "executor.pem" in str(finding.kw["msg"])


def test_thresholds_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "executor.pem"
    path.write_bytes(certificate(40))
    assert expiries([path], NOW, warning_days=60)[0].result is Level.WARNING
    assert expiries([path], NOW, warning_days=60, error_days=41)[0].result is Level.ERROR


def test_the_object_is_ipa_healthchecks(tmp_path: Path) -> None:
    path = tmp_path / "executor.pem"
    path.write_bytes(certificate(40))
    found = json.loads(json.dumps(expiries([path], NOW)[0].as_json(NOW, 0.25)))
    assert list(found) == ["source", "check", "result", "uuid", "when", "duration", "kw"]
    assert found["when"] == "20260601120000Z"
    assert found["duration"] == "0.250000"
    assert re.fullmatch(r"[0-9a-f-]{36}", found["uuid"])
    assert found["kw"] == {
        "key": str(path),
        "subject": "CN=ipa-tpi executor",
        "serial": "ff",
        "expiration_date": "20260711120000Z",
        "days": 40,
        "msg": f"the certificate in {path} expires in 40 days.",
    }
