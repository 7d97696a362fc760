"""One person alone, or an account of the host, does not keep others from the executor (E11, K20)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ipa_tpi_validator.consuming import Pace, SocketConsumer

ASKED = ("ab" * 32, "p", "ipa")
UNREAD = b'{"ok":false,"code":"rate-limited","message":"too often; wait"}\n'
YES = b'{"ok":true}\n'


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        made.listen(1)
        yield made


def answers(listener: socket.socket, said: Sequence[bytes], *, reads: bool) -> threading.Thread:
    """Answer those who connect, one after the other; without reading what they say, as the executor refuses."""

    def serve() -> None:
        for each in said:
            with listener.accept()[0] as peer:
                if reads or each == YES:
                    peer.recv(65536)
                peer.sendall(each)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("reads", [True, False])
def test_r_e11_what_was_refused_unread_is_asked_again(
    tmp_path: Path, listener: socket.socket, *, reads: bool
) -> None:
    thread = answers(listener, [UNREAD, UNREAD, YES], reads=reads)
    assert SocketConsumer(str(tmp_path / "s")).consume(*ASKED, "alice@TPI.TEST") is None
    thread.join(5)


def test_r_e11_a_full_queue_is_waited_for(tmp_path: Path, listener: socket.socket) -> None:
    """An account of the host fills it; the executor takes them one by one."""
    with ExitStack() as others:
        number = 0
        while number < 100:
            other = others.enter_context(closing(socket.socket(socket.AF_UNIX)))
            other.settimeout(0)
            try:
                other.connect(str(tmp_path / "s"))
            except BlockingIOError:
                break
            number += 1
        assert 0 < number < 100
        waiting = SocketConsumer(str(tmp_path / "s"), 0.1).consume(*ASKED, "alice@TPI.TEST")
        assert waiting is not None
        assert waiting.reason == "executor-unreachable"
        timer = threading.Timer(0.1, lambda: answers(listener, [UNREAD] * number + [YES], reads=False))
        timer.start()
        assert SocketConsumer(str(tmp_path / "s")).consume(*ASKED, "alice@TPI.TEST") is None


def test_r_k20_each_has_a_share_of_his_own() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert [pace.allows("alice") for _ in range(10)] == [True] * 8 + [False] * 2
    assert pace.allows("bob")
    now = 0.5
    assert [pace.allows("alice") for _ in range(2)] == [True, False]
    now = 100.0
    for number in range(3000):
        assert pace.allows(str(number))
        now += 0.1
    assert len(pace._left) <= 1024
    assert [pace.allows("alice") for _ in range(9)] == [True] * 8 + [False]


def test_r_k20_who_asks_too_often_is_not_handed_on(tmp_path: Path, listener: socket.socket) -> None:
    thread = answers(listener, [YES] * 9, reads=True)
    consumer = SocketConsumer(str(tmp_path / "s"), pace=Pace(lambda: 0.0))
    found = [consumer.consume(*ASKED, "alice@TPI.TEST") for _ in range(10)]
    assert found[:8] == [None] * 8
    assert [one.reason for one in found[8:] if one is not None] == ["rate-limited"] * 2
    assert consumer.consume(*ASKED, "bob@TPI.TEST") is None
    thread.join(5)
