"""The man page says what ``--help`` says, and nothing else."""

import contextlib
import io
import json
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from ipa_tpi import __version__, wire
from ipa_tpi.cli.arguments import DEFAULT_LISTED, DEFAULT_WAIT_SECONDS, MAX_LISTED, parse
from ipa_tpi.cli.problem import problem_document
from ipa_tpi.cli.waiting import USUAL
from ipa_tpi.errors import STATE_EXIT_STATUS

PAGE = Path(__file__).parents[2] / "docs" / "man" / "ipa-tpi.1"
REQUEST_VERBS = (
    "create",
    "list",
    "show",
    "approve",
    "deny",
    "withdraw",
    "cancel",
    "wait",
    "prove",
    "approvers",
)
DEEDS = ("policy test", "rule find", "rule show", "operation find", "operation show")
VERBS = (*REQUEST_VERBS, "whoami", "operations", "hosts", "converge", "dogtag", "completion", *DEEDS)
FOREIGN = {"converge", "dogtag"}


def _help(*argv: str) -> str:
    written = io.StringIO()
    with contextlib.redirect_stdout(written), pytest.raises(SystemExit):
        parse([*argv, "--help"])
    return written.getvalue()


def _plain() -> str:
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", "")
    return re.sub(r"\\f[BIR]", "", text).replace("\\-", "-")


def _options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z]+|(?<![\w-])-[a-z]\b", text))


def test_options_are_those_of_help() -> None:
    known = set().union(
        *(_options(_help(*argv)) for argv in ((), *(verb.split() for verb in VERBS if verb not in FOREIGN)))
    )
    assert _options(_plain()) == known


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_names_its_own_options(verb: str) -> None:
    general = _options(_help())
    own = _options(_help(*verb.split())) - general if verb not in FOREIGN else set()
    body = _plain().split(".SH VERBS")[1].split(".SH OPTIONS")[0]
    heads = [line for line in body.splitlines() if re.match(rf"(\.B )?{verb}\b", line)]
    assert len(heads) == 1
    assert _options(heads[0]) == own


def test_both_ways_to_a_verb_are_the_same() -> None:
    for verb in REQUEST_VERBS:
        assert _help("request", verb).replace("ipa-tpi request", "ipa-tpi").split() == _help(verb).split()


def test_figures() -> None:
    text = _plain()
    assert f"ipa-tpi {__version__}" in text
    assert f"; {DEFAULT_WAIT_SECONDS} without it" in text
    assert f"; {DEFAULT_LISTED} without it, and no more than {MAX_LISTED}." in text
    assert (DEFAULT_LISTED, MAX_LISTED) == (wire.DEFAULT_LISTED, wire.MAX_LISTED)
    assert USUAL.refused_seconds == 60
    assert "is tried for a minute" in text
    assert all(re.search(rf"\b{state}\b", text) for state in STATE_EXIT_STATUS)
    listed = {int(number) for number in re.findall(r"^\.B (\d+)$", text, re.MULTILINE)}
    assert listed == {*STATE_EXIT_STATUS.values(), 1, 2, 64, 130}


def test_the_members_of_documents() -> None:
    part = _plain().split(".SH OUTPUT FOR PROGRAMS")[1].split(".SH ")[0]
    words = set(re.findall(r"\w+", part))
    assert json.loads(problem_document("not-found", "x", 2)).keys() <= words
    for shape in (wire.RequestList, wire.OperationList):
        assert {field.name for field in msgspec.structs.fields(shape)} <= words
    sums = {"missing", "available", "enough", "candidates"}
    assert sums <= {field.name for field in msgspec.structs.fields(wire.ApproversView)}
    assert sums <= words


def test_it_is_a_man_page_without_warnings() -> None:
    done = subprocess.run(
        ["/usr/bin/groff", "-man", "-Tascii", "-ww", str(PAGE)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
