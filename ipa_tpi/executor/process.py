"""The running executor: workers, watch, socket and retention, wired by hand; how it starts, and how it ends.

What is being worked on when it is told to end is finished, for `stop_seconds` at most: what it
claimed by then and has not ended shows as indeterminate after the next start, by the journal (K13).
A part that ends by itself ends the whole, since half an executor is none; systemd starts it again.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from typing import Final, Protocol

from ipa_tpi import __version__
from ipa_tpi.adapters.directory import approve_permission_dn, executor_dn
from ipa_tpi.config import ExecutorConfig
from ipa_tpi.errors import AuditError, TpiError
from ipa_tpi.executor.claims import Claims
from ipa_tpi.executor.consuming import Consuming, Patience
from ipa_tpi.executor.dispatch import Dispatcher, Place
from ipa_tpi.executor.evidence import Evidence
from ipa_tpi.executor.limits import SocketLimits
from ipa_tpi.executor.publication import Entries, Publication
from ipa_tpi.executor.receipts import Receipts
from ipa_tpi.executor.retention import Removable, Retention, Rule
from ipa_tpi.executor.schedule import Schedule
from ipa_tpi.executor.sessions import Sessions
from ipa_tpi.executor.socket import LocalSocket, Verb, uid_of
from ipa_tpi.executor.troubles import Troubles
from ipa_tpi.executor.turns import Turns
from ipa_tpi.executor.watch import Watch, Watched
from ipa_tpi.executor.worker import Worker
from ipa_tpi.model import Floor, Json
from ipa_tpi.ports import Audit, Authority, Directory, ProofVerifier, ServiceManager, Validators
from ipa_tpi.wire import SocketMessage

_LOG: Final = logging.getLogger(__name__)
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WORKERS: Final = 8  # R-A05: a restart that takes its minute blocks no other request
DIED: Final = 0
_NOTICE_SECONDS: Final = 15  # for the last records, beside `stop_seconds`
_LEAVE_SECONDS: Final = 3.0


class Bound(Directory, Watched, Entries, Removable, Protocol):
    """The directory, bound as tpi/HOST, with all that the executor needs of it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the executor reaches.

    Attributes:
        connect: Opens the directory.
        services: systemd.
        authority: Reaches the CA with what a proof yielded.
        validators: Runs validation programs.
        verifier: Holds the keytab.
        audit: The audit trail.
        clock: Tells the time in UTC.
        notify: Tells systemd how the executor is, in the form of sd_notify(3).
        signals: The numbers of the signals that came: SIGHUP is refused, any other ends it.
    """

    connect: Callable[[], Bound]
    services: ServiceManager
    authority: Callable[[object], Authority]
    validators: Validators
    verifier: ProofVerifier
    audit: Audit
    clock: Callable[[], datetime]
    notify: Callable[[str], None]
    signals: SimpleQueue[int]


class Executor:
    """The running executor.

    Args:
        config: The configuration.
        floor: The floor.
        journal: The open journal.
        outside: What it reaches.

    Raises:
        ConfigError: The socket cannot be made, or one of its users does not exist.
    """

    def __init__(self, config: ExecutorConfig, floor: Floor, journal: Claims, outside: Outside) -> None:
        self._config = config
        self._journal = journal
        self._outside = outside
        self._me = executor_dn(config.host, config.realm, config.suffix)
        permission = approve_permission_dn(config.suffix)
        self._place = Place(self._me, config.host, config.realm, floor, permission)
        self._stop = threading.Event()
        self._schedule = Schedule()
        self._evidence = Evidence()
        self._watch = Watch(
            outside.connect,
            self._schedule,
            journal,
            self._me,
            config.poll_seconds,
            outside.clock,
            stop=self._stop,
        )
        self._retention = Retention(
            outside.connect,
            journal,
            self._schedule,
            outside.audit,
            Rule(self._me, config.retention_days),
            outside.clock,
            stop=self._stop,
        )
        self._turns = Turns()
        self._sessions = Sessions(self._open_session)
        verbs: dict[str, tuple[int, Verb]] = {
            "nudge": (uid_of(config.nudge_user), self._nudge),
            "health": (uid_of(config.health_user), self._health),
        }
        if config.consume_user:
            consuming = Consuming(
                journal,
                self._sessions,
                self._turns,
                outside.audit,
                self._schedule.wake,
                outside.clock,
                Patience(),
            )
            verbs |= {"consume": (uid_of(config.consume_user), consuming.consume)}
        self._socket = LocalSocket(config.socket, verbs, outside.audit, _limits(config))
        self._workers, self._others = self._threads()

    def run(self) -> bool:
        """Run until a signal ends it.

        Returns:
            Whether all that was begun has ended, so that the journal may be closed.

        Raises:
            AuditError: The start or the end could not be recorded.
            TpiError: A part of it ended by itself.
        """
        self._outside.audit.record("executor-started", version=__version__, host=self._config.host)
        with _signals_kept_from_threads():
            for thread in (*self._workers, *self._others):
                thread.start()
        self._outside.notify("READY=1")
        while (number := self._outside.signals.get()) == signal.SIGHUP:
            self._refuse_to_reload()
        is_idle = self._end()
        if number == DIED:
            raise TpiError("a part of the executor ended by itself; see its log, and start it again")
        return is_idle

    def _end(self) -> bool:
        seconds = self._config.stop_seconds
        self._outside.notify(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={(seconds + _NOTICE_SECONDS) * 1_000_000}")
        self._stop.set()
        self._schedule.stop()
        self._socket.stop()
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        for other in self._others:
            other.join(_LEAVE_SECONDS)
        unfinished = sorted(self._schedule.busy())
        for request_id in unfinished:
            _LOG.warning(
                "%s: it is still being worked on after %d s; if it was claimed, it will show as indeterminate",
                request_id,
                seconds,
            )
        self._outside.audit.record(
            "executor-stopped", host=self._config.host, unfinished=" ".join(unfinished)
        )
        return not any(thread.is_alive() for thread in (*self._workers, *self._others))

    def _refuse_to_reload(self) -> None:
        # Floor, polkit rule and what is being judged have to be of one moment, so only a restart changes them.
        _LOG.warning("SIGHUP: nothing is read again while it runs; use: systemctl restart ipa-tpi-executor")
        try:
            self._outside.audit.record("reload-refused", host=self._config.host, code="restart-needed")
        except AuditError as error:
            _LOG.error("%s", error)  # nothing was done that would have to be told

    def _threads(self) -> tuple[list[threading.Thread], list[threading.Thread]]:
        troubles = Troubles()
        outside = self._outside
        workers = {
            f"worker-{number}": Worker(
                self._sessions, self._schedule, outside.audit, troubles, outside.clock, self._stop.wait
            ).run
            for number in range(WORKERS)
        }
        others = {
            "watch": self._watch.listen,
            "poll": self._watch.poll,
            "socket": self._socket.serve,
            "retention": self._retention.run,
        }
        return self._named(workers), self._named(others)

    def _named(self, targets: dict[str, Callable[[], None]]) -> list[threading.Thread]:
        return [
            threading.Thread(target=self._guard, args=(name, target), name=name, daemon=True)
            for name, target in targets.items()
        ]

    def _guard(self, name: str, target: Callable[[], None]) -> None:
        try:
            target()
        except Exception:  # noqa: BLE001 (the outermost frame of a thread: it is seen, and ends the whole)
            _LOG.exception("%s: an error that should not be; the executor ends", name)
        finally:
            if not self._stop.is_set():
                self._outside.signals.put(DIED)

    def _open_session(self) -> "_Session":
        directory = self._outside.connect()
        publication = Publication(directory, self._journal, self._me)
        receipts = Receipts(
            self._journal,
            publication,
            self._outside.verifier,
            self._outside.audit,
            self._config.realm,
            self._evidence,
        )
        dispatcher = Dispatcher(
            self._place,
            directory,
            self._journal,
            receipts,
            publication,
            self._outside.services,
            self._outside.authority,
            self._outside.validators,
            self._outside.audit,
            self._outside.clock,
            self._turns,
        )
        return _Session(dispatcher, directory)

    def _nudge(self, message: SocketMessage) -> dict[str, Json]:
        if message.id is not None:
            self._schedule.wake(message.id)
        return {}

    def _health(self, _message: SocketMessage) -> dict[str, Json]:
        return {
            "version": __version__,
            "watching": self._watch.is_connected(),
            "waiting": self._schedule.depth(),
            "working": len(self._schedule.busy()),
            "connections": self._socket.depth(),
            "refused": self._socket.refused(),
            "journal_started": self._journal.started.isoformat(),
        }


class _Session:
    """The ten steps on one connection; see `sessions.Session`."""

    def __init__(self, dispatcher: Dispatcher, directory: Bound) -> None:
        self.process = dispatcher.process
        self.release = dispatcher.release
        self.conclude = dispatcher.conclude
        self.close = directory.close


@contextmanager
def _signals_kept_from_threads() -> Iterator[None]:
    """Have threads that start in here take no signal.

    One that comes while the process stands still (SIGSTOP, a debugger) may be given to any thread; only the first one
    runs Python's handlers, and it would not wake for that.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _limits(config: ExecutorConfig) -> SocketLimits:
    return SocketLimits(
        connections=config.socket_connections,
        connections_per_second=config.socket_connections_per_second,
        message_bytes=config.socket_message_bytes,
        answer_bytes=config.socket_answer_bytes,
        timeout_seconds=config.socket_timeout_seconds,
        audit_seconds=config.socket_audit_seconds,
    )
