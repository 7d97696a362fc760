"""docs/validation-contract.md says what the code does, and its examples do what it says."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from validate_service import ENVIRONMENT, Service

from ipa_tpi import contract
from ipa_tpi.decide import altnames, armour, definition
from ipa_tpi.executor import dispatch
from ipa_tpi.programs import answer
from ipa_tpi.validate.verdict import read_refusal
from ipa_tpi_validator import environment, refusal

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "validation-contract.md").read_text(encoding="utf-8")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "libexec")
    yield made
    made.close()


def example(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_variables_are_those_of_the_code() -> None:
    assert set(re.findall(r"^\| `(TPI_[A-Z_]+)`", TEXT, re.MULTILINE)) == contract.VARIABLES
    for name, value in contract.SURROUNDINGS.items():
        assert f"`{name}={value}`" in TEXT


def test_the_figures_are_those_of_the_code() -> None:
    assert f"more than {contract.MAX_OUTPUT_BYTES} bytes refuse" in TEXT
    assert f"the first {contract.MAX_ERROR_BYTES} bytes go to the journal" in TEXT
    assert f"1 to {contract.MAX_MESSAGE_CHARACTERS} characters" in TEXT
    assert dispatch._VALIDATION_SECONDS == 10
    assert "ten seconds, or the operation's" in TEXT
    assert f"`{contract.FOLDER}/`" in TEXT
    assert f"`{contract.NETWORK_FOLDER}/`" in TEXT
    assert set(re.findall(r"`(validation-[a-z]+)`", TEXT)) == {
        "validation-refused",
        "validation-failed",
        "validation-timeout",
    }
    unit = (ROOT / "systemd" / "ipa-tpi-validate@.service").read_text(encoding="utf-8")
    assert "32 processes and 128 MB" in TEXT
    assert "TasksMax=32\nMemoryMax=128M\n" in unit


def test_a_name_is_the_same_in_the_directory_and_at_the_service() -> None:
    form = definition._PROGRAM.pattern
    assert f"`{form}`" in TEXT
    (meta,) = contract.ProgramName.__metadata__
    assert meta.pattern == rf"^{form}\Z"


def test_the_members_are_those_of_the_code() -> None:
    members = list(contract.Refusal.__struct_fields__)
    assert "{" + ",".join(f'"{name}":…' for name in members) + "}" in TEXT
    assert list(re.findall(r"^   \| `([a-z]+)` \|", TEXT, re.MULTILINE)) == members


def test_the_kinds_are_those_of_the_code() -> None:
    for code, name in (answer.ACCESS, answer.INVALID, answer.SETTINGS):
        assert re.search(rf"{code}\s+`{name}`", TEXT)


def test_our_programs_write_the_line_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer.refuse(answer.RefusalError("n\u00f6\nx" * 500, answer.INVALID, host="\u202e")) != 0
    refusal = read_refusal(capsys.readouterr().out.encode("ascii"))
    assert refusal is not None
    assert (refusal.code, refusal.name, refusal.data) == (3009, "ValidationError", {"host": "\u202e"})


def test_the_example_in_sh(service: Service, tmp_path: Path) -> None:
    frozen = tmp_path / "frozen"
    text = example("sh")
    assert "/etc/ipa/tpi/frozen" in text
    service.install(text.replace("/etc/ipa/tpi/frozen", str(frozen)))
    assert service.ask().answer["accepted"]
    frozen.touch()
    told = service.ask()
    assert (told.code, told.message) == (
        "validation-refused",
        "changes are frozen; ask the office for an exception",
    )


@pytest.mark.parametrize(("hour", "accepted"), [(7, False), (8, True), (17, True), (18, False)])
def test_the_example_in_python(service: Service, hour: int, *, accepted: bool) -> None:
    text = example("python")
    friday = dt.datetime(2026, 11, 20, hour, 30)  # noqa: DTZ001 (what a clock on the wall shows)
    assert text.count("datetime.datetime.now()") == 1
    text = text.replace("datetime.datetime.now()", repr(friday)).replace("/usr/bin/python3", sys.executable)
    service.install(text)
    environment = {**ENVIRONMENT, "TPI_PARAMETERS": json.dumps({"instance": "DS01"})}
    told = service.ask(environment=environment)
    assert told.answer["accepted"] is accepted
    if not accepted:
        assert (told.code, told.message.startswith("DS01 is only touched from")) == (
            "validation-refused",
            True,
        )
    # What goes wrong refuses.
    service.install(text.replace('["TPI_PARAMETERS"]', '["TPI_MISSPELT"]').replace("8 <=", "99 <="))
    assert service.ask(environment=environment).code == "validation-failed"


def test_what_a_profile_says_is_what_the_program_reads() -> None:
    part = TEXT.partition("### What a profile says\n")[2].partition("\n### ")[0]
    listed = set(re.findall(r"^\| `([A-Z0-9_]+)`", part, re.MULTILINE))
    assert listed == environment.VARIABLES | {environment.CCACHE}
    conveyed = dict(re.findall(r"params\.env\.(\w+)=(\S+)$", part, re.MULTILINE))
    assert conveyed.keys() == {environment.CCACHE, environment.SUBJECT, environment.TYPE, environment.MANAGER}
    assert f"at most {armour.MAX_TEXT_BYTES} characters" in part
    program = (ROOT / "validator" / "ipa-pki-validate-cert-request").read_text(encoding="utf-8")
    assert "LAST_SECONDS = 9\n" in program
    assert "answers within nine seconds" in TEXT
    assert f"more\nthan {altnames.MAX_NAMES} names" in TEXT
    assert f"{refusal.MAX_LINE_BYTES} bytes at most" in TEXT
