"""The command line of `ipa-tpi converge`, as far as it goes without a directory."""

from pathlib import Path

import pytest

from ipa_tpi_acls.converge import run


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--nonsense"]) == 64
    assert "--nonsense" in capsys.readouterr().err


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "--dry-run" in capsys.readouterr().out


def test_a_network_uri_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--ldap-uri", "ldap://localhost", "--suffix", "dc=a"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("ipa-tpi: ERROR: ")
    assert "ldapi://" in err


def test_a_directory_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    socket = str(tmp_path / "none").replace("/", "%2F")
    assert run(["--ldap-uri", f"ldapi://{socket}", "--suffix", "dc=a"]) == 1
    assert "does not answer" in capsys.readouterr().err
