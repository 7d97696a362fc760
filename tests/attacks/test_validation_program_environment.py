"""Attack: have a variable of one's own in the environment of a validation program.

What an attacker would gain: LD_PRELOAD, PATH or PYTHONPATH make a program do anything, and TPI_REQUESTER or
TPI_APPROVERS of his choice make it judge another request than the one that will run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from validators import ACCEPT, NAME, QUESTION, Watched, ask, watched
from world import HOST, REALM, World

from ipa_tpi.contract import VARIABLES
from ipa_tpi.errors import TpiError

# Refuse with what they were given.
NAMES = """\
#!/usr/bin/python3 -I
import json, os, sys
print(json.dumps({"code": 1, "name": "Told", "message": " ".join(sorted(os.environ)), "data": {}}))
sys.exit(1)
"""
VALUES = """\
#!/usr/bin/python3 -I
import json, os, sys
told = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
print(json.dumps({"code": 1, "name": "Told", "message": json.dumps(told), "data": {}}))
sys.exit(1)
"""


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


def test_r_k05_it_gets_the_variables_of_the_contract_and_two_more(program: Watched) -> None:
    program.install(NAMES)
    view = program.refused("validation-refused")
    names = set(view.result.excerpt.partition(": ")[2].split())
    # Python sets LC_CTYPE for itself where it finds no locale.
    assert names - {"LC_CTYPE"} == VARIABLES | {"PATH", "LANG"}


def test_r_k05_it_is_told_the_truth(program: Watched) -> None:
    program.install(VALUES)
    view = program.refused("validation-refused")
    assert json.loads(view.result.excerpt.removeprefix("validation-refused: ")) == {
        "TPI_REQUESTER": f"alice@{REALM}",
        "TPI_APPROVERS": f"bob@{REALM}",
        "TPI_OPERATION": "dirsrv.restart",
        "TPI_TARGET": HOST,
        "TPI_PARAMETERS": '{"instance":"DS01"}',
        "TPI_REASON": "watched by a program",
        "TPI_TICKET": "OPS-1742",
        "TPI_REQUEST_ID": view.id,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
    }


@pytest.mark.parametrize(
    "reason", ["why\nTPI_APPROVERS=carol@TPI.TEST", "why\0PATH=/tmp", "why\rPATH=/tmp", "why\u2028PATH=/tmp"]
)
def test_r_k11_no_reason_reaches_it_that_could_be_more_than_one_value(program: Watched, reason: str) -> None:
    with pytest.raises(TpiError) as caught:
        program.world.request("alice", reason=reason)
    assert caught.value.code == "text-not-allowed"


@pytest.mark.parametrize(
    "change",
    [
        {"LD_PRELOAD": "/tmp/evil.so"},
        {"PATH": "/tmp"},
        {"PYTHONPATH": "/tmp"},
        {"TPI_MORE": "x"},
        {"TPI_REASON\nLD_PRELOAD": "/tmp/evil.so"},
        {"TPI_REASON=x\0LD_PRELOAD": "/tmp/evil.so"},
        {"TPI_REASON": "why\nLD_PRELOAD=/tmp/evil.so"},
        {"TPI_REASON": "why\0LD_PRELOAD=/tmp/evil.so"},
    ],
)
def test_r_k05_the_service_itself_lets_nothing_in(program: Watched, change: dict[str, str]) -> None:
    """Whoever has the executor's account says what he likes, and starts nothing by it."""
    program.install(ACCEPT)
    refusal = ask(NAME, question={**QUESTION, **change})
    assert refusal is not None
    assert refusal.code == "validation-failed"
    assert "not exactly those of the contract" in refusal.message or "control character" in refusal.message
    assert ask(NAME) is None


def test_r_k05_a_variable_that_is_left_out_is_missed(program: Watched) -> None:
    program.install(ACCEPT)
    short = {name: value for name, value in QUESTION.items() if name != "TPI_APPROVERS"}
    refusal = ask(NAME, question=short)
    assert refusal is not None
    assert refusal.code == "validation-failed"
