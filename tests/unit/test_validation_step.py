"""Step 3: the operation's validation program is asked once, before the intent, and its no is final (K05)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from decide_builders import RESTART, operation, policy
from executor_fakes import Box

from ipa_tpi.errors import ValidatorUnavailableError
from ipa_tpi.model import Refuse

WATCHED = operation(ipatpivalidationprogram="last-directory-server")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A host whose operation names a program."""
    made = Box(tmp_path)
    made.directory.rules = policy(operations={WATCHED.name: WATCHED})
    yield made
    made.close()


def approved(box: Box) -> None:
    """Alice asked, bob approved."""
    box.ask(operation_digest=WATCHED.digest, reason="why", ticket="OPS-1")
    box.process()
    box.clock.go(10)
    box.approve()


def test_the_program_is_asked_and_told_everything(box: Box) -> None:
    approved(box)
    assert box.validators.asked == []
    box.process()
    ((program, question, seconds),) = box.validators.asked
    assert (program, seconds) == ("last-directory-server", 10)
    assert question.pop("TPI_REQUEST_ID")
    assert json.loads(question.pop("TPI_PARAMETERS")) == {"instance": "DS01"}
    assert question == {
        "TPI_OPERATION": "dirsrv.restart",
        "TPI_TARGET": box.dispatcher.place.target,
        "TPI_REQUESTER": "alice@TPI.TEST",
        "TPI_APPROVERS": "bob@TPI.TEST",
        "TPI_REASON": "why",
        "TPI_TICKET": "OPS-1",
    }
    assert box.outcomes() == ["executed"]
    order = box.audit.events()
    assert order.index("validated") < order.index("intent")


def test_its_no_is_final(box: Box) -> None:
    approved(box)
    box.validators.answer = Refuse("validation-refused", "DS01 is the last one that runs")
    box.process()
    assert box.outcomes() == ["denied"]
    assert box.excerpt() == "validation-refused: DS01 is the last one that runs"
    assert box.directory.of("ipaTpiExecution") == []
    box.validators.answer = None
    box.process()
    assert (box.outcomes(), box.systemd.acts) == (["denied"], [])


def test_where_none_can_be_run_nothing_is(box: Box) -> None:
    approved(box)
    box.weather.fails["validators"] = ValidatorUnavailableError("the socket is gone")
    with pytest.raises(ValidatorUnavailableError):
        box.process()
    assert (box.outcomes(), box.systemd.acts) == ([], [])
    box.weather.calm()
    box.process()
    assert box.outcomes() == ["executed"]


def test_it_is_asked_no_longer_than_the_operation_may_take(box: Box) -> None:
    short = operation(ipatpivalidationprogram="x", ipatpitimeoutseconds="3")
    box.directory.rules = policy(operations={short.name: short})
    box.ask(operation_digest=short.digest)
    box.process()
    box.approve()
    box.process()
    assert [seconds for _, _, seconds in box.validators.asked] == [3]


def test_where_no_program_is_named_none_is_asked(box: Box) -> None:
    box.directory.rules = replace(policy(), operations={RESTART.name: RESTART})
    box.ask()
    box.process()
    box.approve()
    box.process()
    assert (box.validators.asked, box.outcomes()) == ([], ["executed"])
