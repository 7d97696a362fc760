"""Is this the last directory server of the topology that runs (K05)?

Rules:

1. It serves operations that end a directory server, for a while or for good, and refuses any other: a check
   that does not fit its operation would check nothing.
2. An instance that is not the topology's is none of its business.
3. Which servers belong to the topology stands in a file of root's on this host, not in the directory, where one
   person who may add a server could add one that always answers.
4. Another server counts if it answers over TLS that is verified, under its own name, and says that it serves the
   topology's suffix.

What it cannot see: that two servers are about to be stopped at the same moment, and how far the other has replicated.
"""

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import ldap
import ldap.dn
import msgspec

from ipa_tpi.programs.answer import ACCESS, INVALID, SETTINGS, RefusalError, question, refuse
from ipa_tpi.programs.settings import read_settings

SETTINGS_FILE: Final = "/etc/ipa/tpi/topology.toml"
OPERATIONS: Final = frozenset({"dirsrv.restart", "dirsrv.stop"})

_GRACE_SECONDS: Final = 1.0

Probe = Callable[[str, "TopologySettings"], None]


class TopologySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``/etc/ipa/tpi/topology.toml``; the same on every server.

    Attributes:
        version: 1.
        instance: The instance on this host that belongs to the topology.
        suffix: The suffix that all its servers serve.
        servers: The full names of all its servers, this one too; one name for each.
        ca_file: Who may have signed their certificates.
        timeout_seconds: How long one may take to answer; all are asked at once.
    """

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    instance: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    suffix: Annotated[str, msgspec.Meta(pattern=r"=")]
    servers: Annotated[
        list[Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}\Z")]],
        msgspec.Meta(min_length=1, max_length=20),
    ]
    ca_file: str = "/etc/ipa/ca.crt"
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=8)] = 4


class NoAnswerError(Exception):
    """A server does not count; the message says why, for the log."""


def ask_root_dse(server: str, settings: TopologySettings) -> None:
    """Ask a server, without a name, which suffixes it serves.

    Args:
        server: Its full name.
        settings: The site's.

    Raises:
        NoAnswerError: It did not answer as one of the topology.
    """
    try:
        connection = ldap.initialize(f"ldaps://{server}")
        for option, value in (
            (ldap.OPT_PROTOCOL_VERSION, ldap.VERSION3),
            (ldap.OPT_REFERRALS, 0),
            (ldap.OPT_NETWORK_TIMEOUT, settings.timeout_seconds),
            (ldap.OPT_TIMEOUT, settings.timeout_seconds),
            (ldap.OPT_X_TLS_CACERTFILE, settings.ca_file),
            (ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND),
            (ldap.OPT_X_TLS_NEWCTX, 0),  # the last one: it makes the others count
        ):
            connection.set_option(option, value)
        found = connection.search_ext_s(
            "", ldap.SCOPE_BASE, "(objectClass=*)", ["namingContexts"], timeout=settings.timeout_seconds
        )
    except (ldap.LDAPError, ValueError) as error:
        raise NoAnswerError(f"{server}: {error}") from error
    served = {
        _normal(value.decode("utf-8", "replace"))
        for _, entry in found
        for value in entry.get("namingContexts", [])
    }
    if _normal(settings.suffix) not in served:
        raise NoAnswerError(f"{server} does not serve {settings.suffix}")


def check(environment: Mapping[str, str], settings: TopologySettings, probe: Probe = ask_root_dse) -> None:
    """Check that another server of the topology answers.

    Args:
        environment: The variables of the question.
        settings: The site's.
        probe: Asks one server.

    Raises:
        RefusalError: None does, or the question is not one for this program.
    """
    operation, target = environment["TPI_OPERATION"], environment["TPI_TARGET"]
    instance = json.loads(environment["TPI_PARAMETERS"]).get("instance")
    if operation not in OPERATIONS or not isinstance(instance, str):
        raise RefusalError(f"last-directory-server does not serve the operation {operation}", INVALID)
    if instance != settings.instance:
        return
    if target not in settings.servers:
        raise RefusalError(f"{target} is not among the servers in {SETTINGS_FILE} on {target}", SETTINGS)
    others = sorted(set(settings.servers) - {target})
    if not _any_answers(others, settings, probe):
        raise RefusalError(
            f"{instance} on {target} is the last directory server of the topology that answers",
            ACCESS,
            host=target,
        )


def _any_answers(servers: list[str], settings: TopologySettings, probe: Probe) -> bool:
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def ask(server: str) -> None:
        try:
            probe(server, settings)
        except NoAnswerError as error:
            sys.stderr.write(f"{error}\n")
            answers.put(item=False)
        else:
            answers.put(item=True)

    for server in servers:
        # Daemons: one that hangs holds nobody up.
        threading.Thread(target=ask, args=(server,), daemon=True).start()
    deadline = time.monotonic() + settings.timeout_seconds + _GRACE_SECONDS
    try:
        return any(answers.get(timeout=max(deadline - time.monotonic(), 0)) for _ in servers)
    except queue.Empty:
        return False


def _normal(dn: str) -> str:
    try:
        return str(ldap.dn.dn2str(ldap.dn.str2dn(dn.lower())))
    except (ldap.DECODING_ERROR, UnicodeDecodeError):
        return dn


def main() -> int:
    """Be the program."""
    try:
        check(question(), read_settings(SETTINGS_FILE, TopologySettings))
    except RefusalError as error:
        return refuse(error)
    return 0
