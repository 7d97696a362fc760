"""Client processes: each sends what it is given, back to back, and times every answer.

They use the client that ships (`ipa_tpi.client.transport`): http.client on a connection that stays open, and a
fresh Negotiate token for each request, whose making is part of the time.
"""

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from ipa_tpi.client.tickets import GssTickets
from ipa_tpi.client.transport import Transport
from ipa_tpi.errors import TpiError

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One request to send."""

    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Volley:
    """What one client sends in one go.

    Attributes:
        ccache: Whose tickets.
        warm: Sent first and not timed, so that the connection is open.
        shots: Sent one after the other.
    """

    ccache: str
    warm: Shot
    shots: tuple[Shot, ...]


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer: when the request began (seconds since 1970) and how long it took."""

    began: float
    seconds: float


class BenchError(RuntimeError):
    """The run is worth nothing; the message says why."""


class Clients:
    """Processes that wait for volleys; a context manager.

    Args:
        count: How many.
        url: The server.
        ca_file: Its authority's certificate.
    """

    def __init__(self, count: int, url: str, ca_file: str) -> None:
        start = multiprocessing.get_context("fork")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(count):
            ours, theirs = start.Pipe()
            process = start.Process(target=_serve, args=(theirs, url, ca_file), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(timeout=5)

    def fire(self, volleys: Sequence[Volley]) -> list[Timed]:
        """Send volleys at the same time, one from each process.

        Args:
            volleys: At most one a process.

        Returns:
            All answers' times, client after client.

        Raises:
            BenchError: Something was not answered with success.
        """
        pipes = self._pipes[: len(volleys)]
        for pipe, volley in zip(pipes, volleys, strict=True):
            pipe.send(volley)
        _answers(pipes)  # every connection is open now
        for pipe in pipes:
            pipe.send("go")
        return [timed for answer in _answers(pipes) for timed in answer]


def _answers(pipes: Sequence[Connection]) -> list[list[Timed]]:
    answers = [pipe.recv() for pipe in pipes]
    for answer in answers:
        if isinstance(answer, str):
            raise BenchError(answer)
    return answers


def _serve(pipe: Connection, url: str, ca_file: str) -> None:
    transports: dict[str, Transport] = {}
    while (volley := pipe.recv()) is not None:
        try:
            transport = transports.get(volley.ccache)
            if transport is None:
                transport = Transport(url, ca_file, GssTickets(volley.ccache), _TIMEOUT_SECONDS)
                transports[volley.ccache] = transport
            transport.ask(volley.warm.method, volley.warm.path)
            pipe.send([])
            pipe.recv()
            pipe.send([_time(transport, shot) for shot in volley.shots])
        except TpiError as error:
            pipe.send(f"{error.code}: {error.message}")


def _time(transport: Transport, shot: Shot) -> Timed:
    began, tick = time.time(), time.perf_counter()
    transport.ask(shot.method, shot.path, shot.body)
    return Timed(began, time.perf_counter() - tick)
