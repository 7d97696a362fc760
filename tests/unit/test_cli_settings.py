"""Which server, and whom to trust."""

from pathlib import Path

import pytest

from ipa_tpi.cli.settings import read_settings
from ipa_tpi.errors import BadInputError, ConfigError


def _write(folder: Path, text: str) -> Path:
    (folder / "default.conf").write_text(text)
    return folder


def test_default_conf_of_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(
        tmp_path,
        "#File modified by ipa-client-install\n[global]\nserver = ipa1.tpi.test\nhost = c.tpi.test\nx = 100%\n",
    )
    monkeypatch.setenv("IPA_CONFDIR", str(tmp_path))
    settings = read_settings(None, None)
    assert settings.server_url == "https://ipa1.tpi.test"
    assert settings.server_host == "ipa1.tpi.test"
    assert settings.ca_file == str(tmp_path / "ca.crt")
    assert settings.given == ()


def test_default_conf_of_a_server_names_only_itself(tmp_path: Path) -> None:
    folder = _write(tmp_path, "[global]\nhost = ipa1.tpi.test\n")
    assert read_settings(None, str(folder)).server_host == "ipa1.tpi.test"


def test_the_command_line_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path, "[global]\nserver = ipa1.tpi.test\n")
    monkeypatch.setenv("IPA_CONFDIR", "/nonexistent")
    for config in (str(folder), str(folder / "default.conf")):
        settings = read_settings("ipa2.tpi.test:8443", config)
        assert settings.server_url == "https://ipa2.tpi.test:8443"
        assert settings.server_host == "ipa2.tpi.test"
        assert settings.ca_file == str(tmp_path / "ca.crt")
        assert settings.given == ("--config", config, "--server", "ipa2.tpi.test:8443")


def test_a_server_is_enough(tmp_path: Path) -> None:
    assert read_settings("https://ipa2.tpi.test", str(tmp_path)).server_url == "https://ipa2.tpi.test"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no server"),
        (b"[other]\nserver = x\n", "names no server"),
        (b"[global]\nserver =\n", "names no server"),
        (b"server = x\n", "not valid"),
        (b"[global]\nserver = a\nserver = b\n", "not valid"),
        (b"\xff\xfe", "cannot read"),
        (None, "does not exist"),
    ],
)
def test_what_does_not_name_a_server(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "default.conf").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_settings(None, str(tmp_path))


def test_a_server_that_is_none(tmp_path: Path) -> None:
    for server in ("https://", "https://[::1", "[x"):
        with pytest.raises(BadInputError, match="is not a server"):
            read_settings(server, str(tmp_path))
