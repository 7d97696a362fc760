"""Every command line that is printed anywhere, as a hint or an example, is one that the command line takes.

A hint stands between quotation marks, or after a colon; what is filled in at run time is filled in here.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ipa_tpi.cli.arguments import parse
from ipa_tpi.cli.main import main
from ipa_tpi.cli.settings import Settings
from ipa_tpi.cli.sheets import command
from ipa_tpi.errors import TpiError

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "ipa_tpi").rglob("*.py"), *(ROOT / "acls").rglob("*.py")])
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "man").iterdir()),
    *sorted((ROOT / "docs").glob("*.md")),
]
WHOLE_ID = "6642973e-6380-4a18-b836-e574d0cb660c"
VERBS_IN_HINTS = {"approve", "prove"}  # for `{verb}`, which a prompt fills in
HINT = re.compile(r"'(?:sudo )?ipa-tpi ([^']*)'|(?<=: )(?:sudo )?ipa-tpi ([^;,()\n]*)")
NO_HINT = re.compile(r"(?:here|is|one|\d)\b")  # the product's name
EXAMPLE = re.compile(r"^(?:\w+[$#] +|source <\()?ipa-tpi +([a-z].*?)(?:\)| [>#].*)?$", re.MULTILINE)
CODE = re.compile(r"`ipa-tpi ([^`]+)`")


def _texts(source: Path) -> Iterator[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    within = {id(part) for node in formatted for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in within:
            yield from _filled(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within:
            yield node.value


def _filled(node: ast.JoinedStr) -> Iterator[str]:
    def text(verb: str) -> str:
        return "".join(
            str(part.value)
            if isinstance(part, ast.Constant)
            else verb
            if isinstance(part, ast.FormattedValue) and ast.unparse(part.value) == "verb"
            else WHOLE_ID
            for part in node.values
        )

    yield from sorted({text(verb) for verb in VERBS_IN_HINTS})


def _hints() -> list[tuple[str, str]]:
    found = []
    for source in SOURCES:
        for text in _texts(source):
            for match in HINT.finditer(text):
                line = (match[1] or match[2]).rstrip(". ")
                if not NO_HINT.match(line):
                    found.append((source.stem, line))
    return sorted(set(found))


def _examples() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("\\-", "-")
        text = re.sub(r"\\f[BIR]", "", text)
        found += [(document.name, line) for line in [*EXAMPLE.findall(text), *CODE.findall(text)]]
    return sorted(set(found))


def _takes(line: str) -> None:
    words = shlex.split(line)
    if words[0] in {"converge", "dogtag"}:
        with suppress(SystemExit):
            assert main([*words, "--help"]) == 0
        return
    try:
        parse(words)
    except TpiError as error:
        raise AssertionError(f"ipa-tpi {line}: {error.message}") from error
    except SystemExit as end:
        if end.code:
            raise


@pytest.mark.parametrize(("where", "line"), _hints())
def test_a_hint_can_be_run(where: str, line: str) -> None:
    assert where
    _takes(line)


@pytest.mark.parametrize(("where", "line"), _examples())
def test_an_example_can_be_run(where: str, line: str) -> None:
    assert where
    _takes(line)


def test_hints_are_found() -> None:
    """None is overlooked: each mention of a verb in a text that is shown is one of them."""
    hints = _hints()
    assert len(hints) > 25
    assert {line.split()[0] for _, line in hints} >= {
        "approve",
        "cancel",
        "converge",
        "hosts",
        "list",
        "operations",
        "prove",
        "show",
    }
    verbs = "|".join(sorted({line.split()[0] for _, line in hints}))
    for source in SOURCES:
        mentioned = sum(
            len(re.findall(rf"ipa-tpi (?:{verbs})\b", text)) for text in _shown(source) if "``" not in text
        )
        taken = sum(
            bool(re.match(rf"(?:{verbs})\b", match[1] or match[2]))
            for text in _shown(source)
            if "``" not in text
            for match in HINT.finditer(text)
        )
        assert mentioned == taken, source


def _shown(source: Path) -> list[str]:
    """Give the texts that are not docstrings or the name of a program."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    nodes = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef))]
    documented = {ast.get_docstring(node, clean=False) for node in nodes}
    return [
        text
        for text in _texts(source)
        if text not in documented and text not in {"ipa-tpi converge", "ipa-tpi dogtag"}
    ]


def test_a_command_that_names_the_server_can_be_run() -> None:
    verbs = {
        verb
        for source in SOURCES
        for verb in re.findall(r"\bcommand\(settings, [\"'](\w+)[\"']", source.read_text(encoding="utf-8"))
    }
    assert verbs == {"approve", "approvers", "show", "wait"}
    given = ("--config", "/a b", "--server", "x:1")
    for verb in sorted(verbs):
        line = command(Settings(server_url="", server_host="", ca_file="", given=given), verb, WHOLE_ID)
        options = parse(shlex.split(line)[1:])
        assert (options.verb, options.id, options.config, options.server) == (verb, WHOLE_ID, "/a b", "x:1")
