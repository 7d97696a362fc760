"""Attack: ask the validation service without being the executor, or as often as one can.

What an attacker would gain: programs run at his wish and with his questions, or a service that has no time for the
executor's.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from validators import ACCEPT, NAME, QUESTION, SOCKET, Watched, as_account, ask, log, nothing_left, watched
from world import World, eventually

from ipa_tpi.contract import BEGUN, Question
from ipa_tpi.errors import ValidatorUnavailableError
from ipa_tpi.model import Refuse

MOST = 16
ASKERS = 20
GO = Path("/etc/ipa/tpi/lab-go")


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
    program.install(f"#!/bin/sh\nwhile [ ! -e {GO} ]; do sleep 0.1; done\n")
    line = msgspec.json.encode(Question(NAME, dict(QUESTION), 50)) + b"\n"
    begun: list[bytes] = []
    answers: list[bytes] = []
    with as_account("ipatpi-exec"):
        threads = [threading.Thread(target=_ask, args=(line, begun, answers)) for _ in range(ASKERS)]
        for thread in threads:
            thread.start()
        # Those who are served wait for us; the others have been turned away.
        eventually(lambda: len(begun) == ASKERS, 40)
    GO.touch()
    try:
        for thread in threads:
            thread.join()
    finally:
        GO.unlink()
    # Who was turned away has heard nothing, and so knows that nothing was begun.
    assert sorted(begun) == [b""] * (ASKERS - MOST) + [BEGUN] * MOST
    assert sorted(answers) == [b""] * (ASKERS - MOST) + [b'{"accepted":true,"code":"","message":""}\n'] * MOST
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


def _ask(line: bytes, begun: list[bytes], answers: list[bytes]) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(90)
        try:
            peer.connect(SOCKET)
            peer.sendall(line)
            with peer.makefile("rb") as said:
                begun.append(said.readline())
                answers.append(said.readline())
        except (BrokenPipeError, ConnectionResetError):
            begun.append(b"")
            answers.append(b"")
