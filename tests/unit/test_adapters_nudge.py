"""Waking the executor: one line, and never an error."""

from __future__ import annotations

import json
import logging
import socket
import time
from pathlib import Path

import pytest

from ipa_tpi.adapters.nudge import open_nudger
from tests.fakes import new_id


def test_one_line(tmp_path: Path) -> None:
    path, request_id = str(tmp_path / "socket"), new_id()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as executor:
        executor.bind(path)
        executor.listen(1)
        open_nudger(path).nudge(request_id)
        connection, _ = executor.accept()
        with connection:
            line = connection.makefile("rb").read()
    assert line.endswith(b"\n")
    assert json.loads(line) == {"verb": "nudge", "id": request_id}


def test_nobody_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_nudger(str(tmp_path / "none")).nudge(new_id())
    assert "was not woken" in caplog.text


def test_somebody_who_does_not_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as executor:
        executor.bind(path)
        executor.listen(0)
        start = time.monotonic()
        for _ in range(3):  # the backlog fills, then connecting has to wait
            open_nudger(path).nudge(new_id())
        assert time.monotonic() - start < 2


def test_a_path_that_is_too_long(caplog: pytest.LogCaptureFixture) -> None:
    open_nudger("/" + "x" * 200).nudge(new_id())
    assert "was not woken" in caplog.text


def test_no_executor_here() -> None:
    open_nudger("").nudge(new_id())
