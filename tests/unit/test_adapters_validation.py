"""The executor's side of the validation sockets: a lost program refuses, one that was not begun is an outage."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipa_tpi.adapters import validation
from ipa_tpi.adapters.validation import ValidationSocket
from ipa_tpi.contract import BEGUN
from ipa_tpi.errors import ValidatorUnavailableError
from ipa_tpi.model import Refuse

YES = b'{"accepted":true,"code":"","message":""}\n'
QUESTION = {"TPI_REASON": "wh\u00fd"}

Behaviour = Callable[[socket.socket], None]


def says(*pieces: bytes) -> Behaviour:
    def behave(peer: socket.socket) -> None:
        for piece in pieces:
            peer.sendall(piece)
            time.sleep(0.01)

    return behave


@contextmanager
def service(path: Path, behave: Behaviour, heard: list[bytes] | None = None) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                line = peer.makefile("rb").readline()
                if heard is not None:
                    heard.append(line)
                behave(peer)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        thread.join(5)


def ask(folder: Path, behave: Behaviour, heard: list[bytes] | None = None) -> Refuse | None:
    with service(folder / "s", behave, heard):
        return ValidationSocket(str(folder / "s"), str(folder / "n"), str(folder)).ask("probe", QUESTION, 7)


def test_the_question_is_one_line(tmp_path: Path) -> None:
    heard: list[bytes] = []
    assert ask(tmp_path, says(BEGUN, YES), heard) is None
    assert json.loads(heard[0]) == {"program": "probe", "environment": QUESTION, "timeout_seconds": 7}


def test_a_program_with_network_is_asked_for_at_the_other_door(tmp_path: Path) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "probe").symlink_to("nowhere")
    asked = ValidationSocket(str(tmp_path / "none"), str(tmp_path / "n"), str(tmp_path / "network"))
    with service(tmp_path / "n", says(BEGUN, YES)):
        assert asked.ask("probe", QUESTION, 7) is None


@pytest.mark.parametrize("pieces", [(BEGUN + YES,), (BEGUN[:5], BEGUN[5:] + YES[:9], YES[9:]), (YES,)])
def test_yes_is_yes_however_it_comes(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    assert ask(tmp_path, says(*pieces)) is None


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (b'{"accepted":false,"code":"validation-refused","message":"no"}\n', "validation-refused", "no"),
        (b'{"accepted":false,"code":"validation-timeout","message":"late"}\n', "validation-timeout", "late"),
        (b'{"accepted":true,"code":"validation-refused","message":"no"}\n', "validation-refused", "no"),
        (b'{"accepted":true,"code":"","message":"but"}\n', "validation-failed", "but"),
        (b'{"accepted":false}\n', "validation-failed", "the validation program probe refused"),
        (b'{"accepted":false,"code":"executed","message":"x"}\n', "validation-failed", "x"),
        (b'{"accepted":false,"code":"","message":"a\\u202eb"}\n', "validation-failed", "'a\\u202eb'"),
        (b'{"accepted":1}\n', "validation-failed", "gave no answer"),
        (b'{"accepted":true,"x":1}\n', "validation-failed", "gave no answer"),
        (b'{"accepted":true}', "", ""),
        (b"\xff\n", "validation-failed", "gave no answer"),
        (b"[" * 5000 + b"\n", "validation-failed", "gave no answer"),
        (b"x" * 70000, "validation-failed", "gave no answer"),
        (b"", "validation-failed", "gave no answer"),
    ],
)
def test_what_comes_after_it_has_begun(tmp_path: Path, said: bytes, code: str, message: str) -> None:
    refusal = ask(tmp_path, says(BEGUN, said))
    if not code:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.code == code
    assert message in refusal.message
    assert len(refusal.message) <= 500


def test_a_refusal_to_begin_is_a_refusal(tmp_path: Path) -> None:
    refusal = ask(tmp_path, says(b'{"accepted":false,"code":"validation-failed","message":"unsafe"}\n'))
    assert refusal == Refuse("validation-failed", "unsafe")


def reset(peer: socket.socket) -> None:
    peer.close()


def hang(_peer: socket.socket) -> None:
    time.sleep(1)


def test_what_was_not_begun_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = ValidationSocket(str(tmp_path / "none"), str(tmp_path / "n"), str(tmp_path))
    with pytest.raises(ValidatorUnavailableError, match="No such file"):
        nobody.ask("probe", QUESTION, 7)
    with pytest.raises(ValidatorUnavailableError, match="closed"):
        ask(tmp_path, reset)
    (tmp_path / "s").unlink()
    monkeypatch.setattr(validation, "_STARTING_SECONDS", 0.2)
    with pytest.raises(ValidatorUnavailableError):
        ask(tmp_path, hang)


def test_an_answer_that_is_late_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_GRACE_SECONDS", -6.8)

    def begin(peer: socket.socket) -> None:
        peer.sendall(BEGUN)
        time.sleep(1)

    refusal = ask(tmp_path, begin)
    assert refusal is not None
    assert refusal.code == "validation-timeout"
