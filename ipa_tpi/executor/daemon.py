"""The executor's command line, and what is real outside it: ``ipa-tpi-executor [--config FILE] [run | init | polkit-rules | retention]``."""

import argparse
import logging
import os
import signal
import socket as sockets
import sys
import threading
from functools import partial
from queue import SimpleQueue
from typing import Final

from ipa_tpi import __version__
from ipa_tpi.adapters.audit import open_audit
from ipa_tpi.adapters.directory import LdapDirectory, executor_dn, open_directory
from ipa_tpi.adapters.gss import GssVerifier, keytab_credentials
from ipa_tpi.adapters.systemd import Systemd
from ipa_tpi.adapters.validation import ValidationSocket
from ipa_tpi.config import ExecutorConfig, read_executor_config, read_floor
from ipa_tpi.errors import EXIT_ERROR, EXIT_OK, AuthorityUnavailableError, TpiError
from ipa_tpi.executor.claims import Claims, utc_now
from ipa_tpi.executor.journal import create, reading
from ipa_tpi.executor.operations import check_floor, check_ways
from ipa_tpi.executor.polkit import render_rule
from ipa_tpi.executor.process import SIGNALS, Executor, Outside
from ipa_tpi.executor.retention import Rule, foresee
from ipa_tpi.model import Floor
from ipa_tpi.ports import Authority

_LOG: Final = logging.getLogger(__name__)
_USER: Final = "ipatpi-exec"


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
        choices=("run", "init", "polkit-rules", "retention"),
        help="run the daemon (default), make the journal of a new host, print the polkit rule of this floor, or "
        "show which requests it would remove now",
    )
    arguments = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        config = read_executor_config(arguments.config)
        floor = read_floor(config.floor)
        check_floor(floor)
        check_ways(floor, to_ca=config.dogtag is not None)
        if arguments.verb == "polkit-rules":
            sys.stdout.write(render_rule(floor, _USER))
        elif arguments.verb == "init":
            create(config.journal, config.host, utc_now())
            sys.stdout.write(f"made the journal {config.journal}; requests made before now will be refused\n")
        elif arguments.verb == "retention":
            _foresee(config, floor)
        else:
            _run(config, floor)
    except TpiError as error:
        sys.stderr.write(f"ipa-tpi-executor: ERROR: {error.message}\n")
        return EXIT_ERROR
    return EXIT_OK


def _foresee(config: ExecutorConfig, floor: Floor) -> None:
    connect = partial(_connect, config, floor, f"tpi/{config.host}@{config.realm}")
    rule = Rule(executor_dn(config.host, config.realm, config.suffix), config.retention_days)
    with reading(config.journal) as rows:
        sys.stdout.writelines(foresee(connect, rows, rule, utc_now()))


def _run(config: ExecutorConfig, floor: Floor) -> None:
    signals = SimpleQueue[int]()
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: signals.put(number))
    principal = f"tpi/{config.host}@{config.realm}"
    outside = Outside(
        connect=partial(_connect, config, floor, principal),
        services=Systemd(),
        authority=partial(_authority, config),
        validators=ValidationSocket(config.validator_socket, config.validator_network_socket),
        verifier=GssVerifier(config.keytab, principal, evidence=config.dogtag is not None),
        audit=open_audit(config.audit, "executor"),
        clock=utc_now,
        notify=_notify,
        signals=signals,
    )
    journal = Claims(config.journal, config.host)
    if Executor(config, floor, journal, outside).run():
        journal.close()
    # Otherwise somebody still works on it: the end of the process lets go of it.


def _connect(config: ExecutorConfig, floor: Floor, principal: str) -> LdapDirectory:
    # A cache for each thread: two that renew one would find each other's half.
    ccache = f"MEMORY:{threading.current_thread().name}"
    return open_directory(
        config.ldap_uri,
        config.ldap_host,
        config.suffix,
        keytab_credentials(config.keytab, principal, ccache),
        floor.person_attribute,
    )


def _authority(config: ExecutorConfig, evidence: object) -> Authority:
    """Reach this host's CA as whose proof it was."""
    place = config.dogtag
    if place is None:
        raise AuthorityUnavailableError("executor.toml has no [dogtag], so there is no way to a CA; add it")
    # Where there is no CA, nothing here loads HTTP and TLS.
    from ipa_tpi.adapters.dogtag import Dogtag  # noqa: PLC0415
    from ipa_tpi.adapters.dogtag_transport import OperatorLocation, ProxyTicket  # noqa: PLC0415

    location = OperatorLocation(config.host, place.port, place.ca_file)
    return Dogtag(ProxyTicket(location, evidence))


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); without NOTIFY_SOCKET nothing is told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(state.encode())
    except OSError as error:
        _LOG.warning("systemd could not be told %s: %s", state.partition("\n")[0], error)
