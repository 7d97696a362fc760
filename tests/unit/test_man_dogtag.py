"""ipa-tpi-dogtag(8) says what the two programs' ``--help`` says; docs/dogtag.md and the threat model name tests that exist."""

import contextlib
import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ipa_tpi import __version__
from ipa_tpi_acls.dogtag.command import command as acls
from ipa_tpi_upgrade import records
from ipa_tpi_upgrade.command import main as steps
from ipa_tpi_upgrade.sssd import DECLARATION

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "man" / "ipa-tpi-dogtag.8"
OPTION = r"(?<![\w-])--[a-z]+(?:-[a-z]+)*"
FOLDERS = ("attacks", "box", "ca", "conformance", "realm", "unit")


def plain() -> str:
    text = re.sub(r"\\f[BIRP]", "", PAGE.read_text(encoding="utf-8")).replace("\\-", "-")
    return re.sub(r"^\.[BI]+R? ", "", text, flags=re.MULTILINE)


def part(heading: str) -> str:
    found = re.search(rf"^\.S[HS] {heading}\n(.*?)(?=^\.S[HS] |\Z)", plain(), re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def told(program: Callable[[list[str]], int], *words: str) -> str:
    written = io.StringIO()
    with contextlib.redirect_stdout(written), pytest.raises(SystemExit):
        program([*words, "--help"])
    return written.getvalue()


def heads(text: str) -> set[str]:
    return {name for line in re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE) for name in line.split()}


@pytest.mark.parametrize("deed", ["show", "diff", "apply"])
def test_options_and_verbs_of_acls(deed: str) -> None:
    assert deed in heads(part("ACLS"))
    assert set(re.findall(OPTION, told(acls, "acls", deed))) - {"--help"} <= set(
        re.findall(OPTION, part("Options of acls"))
    )


def test_options_and_verbs_of_steps() -> None:
    known = told(steps)
    assert set(re.findall(OPTION, part("Options of steps"))) == set(re.findall(OPTION, known))
    verbs = set(re.findall(r"^    ([a-z]+) +\S", known, re.MULTILINE))
    assert verbs == {"diff", "apply", "verify", "rollback", "apache"}
    assert verbs <= heads(part("STEPS"))


def test_files_are_those_of_the_code() -> None:
    assert {str(DECLARATION), str(records.FOLDER)} <= heads(part("FILES"))


def test_it_is_a_man_page_without_warnings() -> None:
    assert f"ipa-tpi {__version__}" in plain()
    groff = ["/usr/bin/groff", "-man", "-Tascii", "-ww", str(PAGE)]
    done = subprocess.run(groff, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("document", ["dogtag.md", "threat-model.md"])
def test_tests_that_are_named_exist(document: str) -> None:
    """What they say is shown, is: by the tests of a file, or of files that begin so, or by one of them."""
    files = {
        path.stem: path.read_text()
        for folder in FOLDERS
        for path in (ROOT / "tests" / folder).glob("test_*.py")
    }
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    last = ""
    for file, name in re.findall(r"`(?:tests/\w+/)?(test_\w+|…)\*?(?:::(test_\w+))?`", text):
        last = last if file == "…" else file
        among = [held for stem, held in files.items() if stem.startswith(last) or f"def {last}" in held]
        assert among, last
        assert not name or any(f"def {name}(" in held for held in among), f"{last}::{name}"
