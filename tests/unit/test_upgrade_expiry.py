"""ipa-tpi-expiry: what it says to whom, and that its page and its unit say the same (E07)."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ipa_tpi_upgrade import expiry

ROOT = Path(__file__).parents[2]
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(folder: Path, days: float) -> Path:
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=900))
        .not_valid_after(now + timedelta(days=days, minutes=5))
        .sign(KEY, hashes.SHA256())
    )
    path = folder / f"{days}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("days", "status", "priority", "level"),
    [(30, 0, 6, "SUCCESS"), (27, 0, 4, "WARNING"), (6, 1, 3, "ERROR"), (-3, 1, 2, "CRITICAL")],
)
def test_r_e07_each_certificate_is_a_line_with_its_weight(
    days: int,
    status: int,
    priority: int,
    level: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = certificate(tmp_path, days)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert expiry.main([str(path)]) == status
    assert capsys.readouterr().out.startswith(f"{level}: the certificate in {path} expire")
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    assert expiry.main([str(path)]) == status
    assert capsys.readouterr().out.startswith(f"<{priority}>the certificate in {path} expire")


def test_a_file_that_need_not_be_there_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, nothing = certificate(tmp_path, 100), tmp_path / "nothing.pem"
    assert expiry.main([str(good), "--if-present", str(nothing)]) == 0
    assert expiry.main([str(good), str(nothing)]) == 1
    assert expiry.main(["--if-present", str(good), "--if-present", str(certificate(tmp_path, 1))]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 + 2


def test_the_days_can_be_set_and_the_answer_be_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(certificate(tmp_path, 50))
    assert expiry.main(["--json", "--warning-days", "60", path]) == 0
    assert [found["result"] for found in json.loads(capsys.readouterr().out)] == ["WARNING"]
    assert expiry.main(["--error-days", "60", path]) == 1


@pytest.mark.parametrize("days", ["", "-1", "x", "1.5", "²"])
def test_what_is_no_number_of_days_is_refused(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        expiry.main([f"--warning-days={days}", "x.pem"])
    assert "is no number of days" in capsys.readouterr().err


def test_its_page_and_its_unit_name_its_options_and_files() -> None:
    page = (ROOT / "docs/man/ipa-tpi-expiry.8").read_text(encoding="utf-8").replace("\\-", "-")
    unit = (ROOT / "systemd/ipa-tpi-expiry.service").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z-]+", expiry._parser().format_help()))
    assert set(re.findall(r"(?<!systemctl )--[a-z-]+", page)) - {"--now", "--failed"} == options
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, *arguments = shlex.split(command)
    assert program in page
    parsed = expiry._parser().parse_args(arguments)
    files = [str(path) for path in (*parsed.file, *parsed.if_present)]
    assert len(files) == 3
    assert all(file in page for file in files)
    # R-E09: the key that lies beside.
    (hidden,) = re.findall(r"^InaccessiblePaths=(.*)$", unit, re.MULTILINE)
    assert {"-/var/lib/ipa/ra-agent.key", "-/var/lib/ipa/private"} <= set(hidden.split())
    assert f"{expiry.WARNING_DAYS} days is a warning" in page
    assert f"within {expiry.ERROR_DAYS} days" in page
