"""Every refusal and error in the source: a stable code that the tables know, a message in two parts, a record (STYLE: Errors; A08).

The source is read, not run, so that a call which no other test reaches is looked at too.  A message says
what happened, then what to do next; the two are parted by a semicolon or a full stop.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ipa_tpi import errors
from ipa_tpi.errors import HTTP_STATUS, TpiError, exit_status
from ipa_tpi.model import Outcome, State

PACKAGE = Path(errors.__file__).parent
PACKAGES = (PACKAGE, PACKAGE.parent / "upgrade" / "ipa_tpi_upgrade")
CODES = PACKAGE.parent / "docs" / "codes.md"
CLASSES = {
    name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, TpiError)
}
VALUES = ("Refuse", "NotYet")
TWO_PARTS = re.compile(r"(; |\. )\S")
# What is not written at the call: the code or message of a refusal or an error that was made elsewhere, and looked
# at there; a code out of a table; a message made in the lines before; what was wrong with an entry that was read.
CODE_FROM_ELSEWHERE = re.compile(r"(\w+\.)+code( or '[a-z-]+')?|code")
MESSAGE_FROM_ELSEWHERE = re.compile(
    r"(\w+\.)+message|message|policy\.malformed\[name\]|_said\(seen, dn\)|next\(iter\(sorted\(case\.subtree\.malformed\.values\(\)\)\)\)"
)
REFUSING_EVENTS = frozenset(
    {
        "approval-refused",
        "history",
        "not-run",
        "outcome",
        "proof-refused",
        "refused",
        "reload-refused",
        "socket-refused",
        "Event.REFUSED.value",
    }
)


@dataclass(frozen=True)
class Site:
    """A call in the source."""

    path: Path
    call: ast.Call

    def __str__(self) -> str:
        """Tell where."""
        return f"{self.path.relative_to(PACKAGE.parent)}:{self.call.lineno}"


def calls() -> Iterator[Site]:
    """Give every call in the packages."""
    for path in sorted(path for package in PACKAGES for path in package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield Site(path, node)


def named(call: ast.Call) -> str:
    """Give the name that is called, without what stands before its last dot."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


ALL = list(calls())
MADE = [site for site in ALL if named(site.call) in {*CLASSES, *VALUES}]


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    """Give an argument, however it was given."""
    if len(call.args) > position:
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def code_of(call: ast.Call) -> ast.expr | None:
    """Give the expression of a refusal's or an error's code; None for the class's own."""
    if named(call) in VALUES:
        return argument(call, 0, "code")
    return next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)


def written(node: ast.expr) -> str | None:
    """Give a text as far as it stands in the source, with {} for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def test_there_is_something_to_look_at() -> None:
    assert len(MADE) > 200
    assert {named(site.call) for site in MADE} >= {"Refuse", "NotYet", "RefusedError", "JournalError"}


def test_every_code_is_in_the_tables() -> None:
    wrong = []
    for site in MADE:
        code = code_of(site.call)
        text = written(code) if code is not None else CLASSES[named(site.call)].code
        if text is None and code is not None:
            source = ast.unparse(code)
            wrong += [] if CODE_FROM_ELSEWHERE.fullmatch(source) else [f"{site}: {source}"]
        elif text not in HTTP_STATUS:
            wrong.append(f"{site}: {text}")
    assert wrong == []


def test_every_message_says_what_happened_and_what_to_do_next() -> None:
    wrong = []
    for site in MADE:
        message = argument(site.call, 1 if named(site.call) in VALUES else 0, "message")
        assert message is not None, site
        text = written(message)
        if text is None:
            source = ast.unparse(message)
            wrong += [] if MESSAGE_FROM_ELSEWHERE.fullmatch(source) else [f"{site}: {source}"]
        elif TWO_PARTS.search(text) is None:
            wrong.append(f"{site}: {text}")
    assert wrong == []


def test_every_record_of_a_refusal_bears_its_code() -> None:
    """A08: a record without a code cannot be counted, searched for, or explained."""
    seen = set()
    for site in ALL:
        if named(site.call) != "record" or not site.call.args:
            continue
        first = site.call.args[0]
        event = written(first) or ast.unparse(first)
        if event in REFUSING_EVENTS:
            seen.add(event)
            assert "code" in {keyword.arg for keyword in site.call.keywords}, f"{site}: {event}"
    assert seen == REFUSING_EVENTS


def test_no_code_of_the_tables_is_unused() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "errors.py"
    )
    used = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', source))
    used |= (
        {each.code for each in CLASSES.values()}
        | {outcome.value for outcome in Outcome}
        | {state.value for state in State}
    )
    assert sorted(HTTP_STATUS.keys() - used) == []


def rows() -> dict[str, tuple[str, ...]]:
    """Give the rows of docs/codes.md by their code."""
    found = re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", CODES.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == len(dict(found)), "a code stands there twice"
    return {code: tuple(cell.strip() for cell in rest.split("|")) for code, rest in found}


def test_every_code_is_explained_and_nothing_else() -> None:
    assert list(rows()) == list(HTTP_STATUS)


@pytest.mark.parametrize("code", HTTP_STATUS)
def test_its_row_tells_status_exit_status_what_happened_and_what_to_do(code: str) -> None:
    http, status, happened, to_do = rows()[code]
    assert (http, status) == (str(HTTP_STATUS[code]), str(exit_status(code)))
    for text in (happened, to_do):
        assert re.fullmatch(r"([A-Z`]|systemd ).{5,}[.]", text), text
