"""The executor's process: ``ipa-tpi-executor [--config FILE] [run | init | polkit-rules]``."""

import argparse
import logging
import os
import signal
import socket as sockets
import sys
import threading
from datetime import datetime
from typing import Final

from ipa_tpi import __version__
from ipa_tpi.adapters.audit import open_audit
from ipa_tpi.adapters.directory import LdapDirectory, approve_permission_dn, executor_dn, open_directory
from ipa_tpi.adapters.gss import GssVerifier, keytab_credentials
from ipa_tpi.adapters.systemd import Systemd
from ipa_tpi.adapters.validation import ValidationSocket
from ipa_tpi.config import ExecutorConfig, read_executor_config, read_floor
from ipa_tpi.errors import EXIT_ERROR, EXIT_OK, TpiError, UnavailableError
from ipa_tpi.executor import claims
from ipa_tpi.executor.claims import Claims
from ipa_tpi.executor.dispatch import Dispatcher, Place
from ipa_tpi.executor.operations import check_floor
from ipa_tpi.executor.polkit import render_rule
from ipa_tpi.executor.publication import Publication
from ipa_tpi.executor.receipts import Receipts
from ipa_tpi.executor.schedule import Schedule
from ipa_tpi.executor.socket import LocalSocket, uid_of
from ipa_tpi.executor.watch import Watch
from ipa_tpi.model import Floor, Json
from ipa_tpi.ports import Audit
from ipa_tpi.wire import SocketMessage

_LOG = logging.getLogger(__name__)
_WORKERS: Final = 8  # R-A05: a restart that takes its minute blocks no other request
_RETRY_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_RETRY_REFUSED_SECONDS: Final = 30.0
_USER: Final = "ipatpi-exec"


class Executor:
    """The running executor: the workers, the watch and the socket, wired by hand.

    Args:
        config: The configuration.
        floor: The floor.
        journal: The open journal.
        audit: The audit trail.
    """

    def __init__(self, config: ExecutorConfig, floor: Floor, journal: Claims, audit: Audit) -> None:
        self._config = config
        self._floor = floor
        self._journal = journal
        self._audit = audit
        self._principal = f"tpi/{config.host}@{config.realm}"
        self._me = executor_dn(config.host, config.realm, config.suffix)
        self._schedule = Schedule()
        self._watch = Watch(
            self._connect, self._schedule, journal, self._me, config.poll_seconds, claims.utc_now
        )
        self._socket = LocalSocket(
            config.socket,
            {
                "nudge": (uid_of(config.nudge_user), self._nudge),
                "health": (uid_of(config.health_user), self._health),
            },
            audit,
        )
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(_WORKERS)
        ]

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set."""
        self._audit.record("executor-started", version=__version__, host=self._config.host)
        self._watch.start()
        self._socket.start()
        for worker in self._workers:
            worker.start()
        _notify("READY=1")
        stop.wait()
        _notify("STOPPING=1")
        self._socket.stop()
        self._schedule.stop()
        self._watch.stop()
        for worker in self._workers:
            worker.join(timeout=5)
        self._audit.record("executor-stopped", host=self._config.host)

    def _connect(self) -> LdapDirectory:
        config = self._config
        ccache = f"MEMORY:{threading.current_thread().name}"
        credentials = keytab_credentials(config.keytab, self._principal, ccache)
        return open_directory(
            config.ldap_uri, config.ldap_host, config.suffix, credentials, self._floor.person_attribute
        )

    def _work(self) -> None:
        directory: LdapDirectory | None = None
        failures: dict[str, int] = {}
        while (request_id := self._schedule.take()) is not None:
            try:
                directory = directory or self._connect()
                self._later(request_id, self._dispatcher(directory).process(request_id))
                failures.pop(request_id, None)
            except UnavailableError as error:
                count = failures[request_id] = failures.get(request_id, 0) + 1
                pause = _RETRY_SECONDS[min(count, len(_RETRY_SECONDS)) - 1]
                _LOG.warning("%s: %s; next try in %.1f s", request_id, error, pause)
                self._schedule.wake_in(request_id, pause)
                _close(directory)
                directory = None
            except TpiError as error:
                self._deny(request_id, error.code, error.message)
                self._schedule.wake_in(request_id, _RETRY_REFUSED_SECONDS)
            except Exception:  # noqa: BLE001 (the outermost loop: nothing is run, and it is seen)
                _LOG.exception("%s: an error that should not be", request_id)
                self._deny(request_id, "error", "internal error; see the log of the executor")
                _close(directory)
                directory = None
            finally:
                self._schedule.done(request_id)
        _close(directory)

    def _later(self, request_id: str, moment: datetime | None) -> None:
        if moment is not None:
            self._schedule.wake_in(request_id, (moment - claims.utc_now()).total_seconds())

    def _deny(self, request_id: str, code: str, message: str) -> None:
        try:
            self._audit.record("not-run", request=request_id, code=code, message=message)
        except UnavailableError as error:
            _LOG.error("%s: %s; and the audit failed: %s", request_id, message, error)

    def _dispatcher(self, directory: LdapDirectory) -> Dispatcher:
        config = self._config
        publication = Publication(directory, self._journal, self._me)
        verifier = GssVerifier(config.keytab, self._principal)
        place = Place(self._me, config.host, config.realm, self._floor, approve_permission_dn(config.suffix))
        receipts = Receipts(directory, self._journal, publication, verifier, self._audit, config.realm)
        return Dispatcher(
            place,
            directory,
            self._journal,
            receipts,
            publication,
            Systemd(),
            ValidationSocket(config.validator_socket, config.validator_network_socket),
            self._audit,
            claims.utc_now,
        )

    def _nudge(self, message: SocketMessage) -> dict[str, Json]:
        if message.id is not None:
            self._schedule.wake(message.id)
        return {}

    def _health(self, _message: SocketMessage) -> dict[str, Json]:
        return {
            "version": __version__,
            "watching": self._watch.connected.is_set(),
            "waiting": self._schedule.depth(),
            "journal_started": self._journal.started.isoformat(),
        }


def main(argv: list[str] | None = None) -> int:
    """Run the executor's command line.

    Args:
        argv: Arguments; those of the process when left out.

    Returns:
        The exit status: 0, or 1 with a message on standard error.
    """
    parser = argparse.ArgumentParser(
        prog="ipa-tpi-executor", description="The executor of ipa-tpi on this host."
    )
    parser.add_argument(
        "--config", default="/etc/ipa/tpi/executor.toml", help="configuration file (default: %(default)s)"
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "verb",
        nargs="?",
        default="run",
        choices=("run", "init", "polkit-rules"),
        help="run the daemon (default), make the journal of a new host, or print the polkit rule of this floor",
    )
    arguments = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        config = read_executor_config(arguments.config)
        floor = read_floor(config.floor)
        check_floor(floor)
        if arguments.verb == "polkit-rules":
            sys.stdout.write(render_rule(floor, _USER))
        elif arguments.verb == "init":
            claims.create(config.journal, config.host, claims.utc_now())
            sys.stdout.write(f"made the journal {config.journal}; requests made before now will be refused\n")
        else:
            _run(config, floor)
    except TpiError as error:
        sys.stderr.write(f"ipa-tpi-executor: ERROR: {error.message}\n")
        return EXIT_ERROR
    return EXIT_OK


def _run(config: ExecutorConfig, floor: Floor) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    audit = open_audit(config.audit, "executor")
    journal = Claims(config.journal, config.host)
    try:
        Executor(config, floor, journal, audit).run(stop)
    finally:
        journal.close()


def _close(directory: LdapDirectory | None) -> None:
    if directory is not None:
        directory.close()


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); without NOTIFY_SOCKET nothing is told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(state.encode())
