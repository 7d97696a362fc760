"""Attack: ask the validation service without being the executor, or as often as one can.

What an attacker would gain: programs run at his wish and with his questions, or a service that has no time for the
executor's.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
from validators import ACCEPT, QUESTION, SOCKET, Watched, as_account, ask, log, nothing_left, watched
from world import World, eventually

from ipa_tpi.contract import BEGUN, Question
from ipa_tpi.errors import ValidatorUnavailableError
from ipa_tpi.model import Refuse

MOST = 16
ASKERS = 20


@pytest.fixture(scope="module")
def program(world: World) -> Iterator[Watched]:
    with watched(world) as made:
        made.install(ACCEPT)
        made.runs()
        yield made


def test_r_e04_root_itself_is_refused(program: Watched) -> None:
    """The socket's mode keeps the others away; root it does not, and the service does."""
    refused = "refused: uid 0 may not ask for a validation program"
    before = log().count(refused)
    refusal: Refuse | None = Refuse("validation-failed", "cut off while it spoke")
    with suppress(ValidatorUnavailableError):
        refusal = ask(account="root")
    assert refusal is not None
    assert refusal.code == "validation-failed"
    assert eventually(lambda: log().count(refused) > before)
    assert ask() is None
    nothing_left(program.world)


def test_r_e11_many_at_once_are_served_or_turned_away(program: Watched) -> None:
    program.install("#!/bin/sh\nsleep 2\n")
    line = msgspec.json.encode(Question("lab-probe", dict(QUESTION), 20)) + b"\n"
    answers: list[bytes] = []
    with as_account("ipatpi-exec"):
        threads = [threading.Thread(target=_ask, args=(line, answers)) for _ in range(ASKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    served = [answer for answer in answers if answer]
    assert len(answers) == ASKERS
    # Who was turned away has heard nothing, and so knows that nothing was begun.
    assert 8 <= len(served) <= MOST
    assert set(served) == {BEGUN + b'{"accepted":true,"code":"","message":""}\n'}
    program.install(ACCEPT)
    program.runs()
    assert program.world.show("ipa-tpi-validate.socket", "ActiveState") == "active"


def test_r_e11_whoever_says_nothing_is_let_go(program: Watched) -> None:
    with as_account("ipatpi-exec"):
        peers = [socket.socket(socket.AF_UNIX) for _ in range(5)]
        for peer in peers:
            peer.settimeout(30)
            peer.connect(SOCKET)
            peer.sendall(b'{"program":')
    assert ask() is None
    for peer in peers:
        with peer:
            assert b"too long, or does not end" in peer.recv(1000)
    nothing_left(program.world)


def _ask(line: bytes, answers: list[bytes]) -> None:
    got = b""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        try:
            peer.connect(SOCKET)
            peer.sendall(line)
            while piece := peer.recv(4096):
                got += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
    answers.append(got)
