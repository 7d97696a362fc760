"""Configuration files, read strictly: an unknown key, a wrong type or an unsafe file stops the start.

Three files, all TOML: ``web.toml``, ``executor.toml`` and the host's ``floor.toml`` (X13).
"""

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from ipa_tpi.errors import ConfigError
from ipa_tpi.model import Floor, FloorOperation

MAX_MESSAGE_BYTES: Final = 1024 * 1024  # R-E03
MAX_ANSWER_BYTES: Final = 10 * 1024 * 1024  # R-E12
# R-K17: a month and more beyond what `decide.definition.LONGEST_LIFE` allows.
SHORTEST_RETENTION_DAYS: Final = 90

Positive = Annotated[int, msgspec.Meta(ge=1, le=86400)]
Realm = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]([A-Z0-9.-]*[A-Z0-9])?\Z")]
Suffix = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9.-]*=[^,=]+(,[A-Za-z][A-Za-z0-9.-]*=[^,=]+)*\Z")
]
HostName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z")]
Origin = Annotated[str, msgspec.Meta(pattern=r"^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?\Z")]
FilePath = Annotated[str, msgspec.Meta(pattern=r"^/[^\0]*\Z")]
MaybePath = Annotated[str, msgspec.Meta(pattern=r"^(/[^\0]*)?\Z")]
User = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
MaybeUser = Annotated[str, msgspec.Meta(max_length=255)]
Trail = Annotated[str, msgspec.Meta(pattern=r"^(journald|file:/[^\0]*)\Z")]
_LDAP_URI: Final = re.compile(
    r"ldapi://%2[Ff][A-Za-z0-9._%-]+/?|ldaps://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?/?"
)
# R-E21: nothing but these tells us who answers; see _Place.
LdapUri = Annotated[str, msgspec.Meta(pattern=rf"^({_LDAP_URI.pattern})\Z")]
C = TypeVar("C")


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both programs have to know.

    Attributes:
        realm: The Kerberos realm, upper case.
        suffix: The directory's suffix, such as dc=example,dc=test.
        host: This server's canonical name.
        ldap_uri: Where the directory answers: ldapi or ldaps, and nothing else.
        ldap_host: The host part of the directory's service principal.
        floor: Path of the floor file.
        audit: ``journald``, or ``file:`` and a path.
    """

    realm: Realm
    suffix: Suffix
    host: HostName
    ldap_uri: str
    ldap_host: HostName
    floor: FilePath
    audit: Trail = "journald"

    def __post_init__(self) -> None:
        # R-E21: the bind proves us to the directory and not the directory to us (adapters.gss.bind).
        if _LDAP_URI.fullmatch(self.ldap_uri) is None:
            raise ValueError(
                f"ldap_uri is {self.ldap_uri!a}, and nothing but ldapi:// (with the socket's path, as "
                "ldapi://%2Frun%2Fslapd.socket) and ldaps://HOST tell us who answers; write one of them"
            )


class WebConfig(_Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``/etc/ipa/tpi/web.toml``.

    Attributes:
        origin: The only Origin that a browser may post from, as scheme, host and port.
        executor_socket: Path of this host's executor's socket; empty where there is none.
    """

    origin: Origin
    executor_socket: MaybePath = ""


class DogtagConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``[dogtag]`` of executor.toml, on a CA's host: the executor's own way into Dogtag (D16).

    Attributes:
        ca_file: Path of the PEM of who issued Apache's certificate.
        port: Of the operator location's listener on the loopback address.
    """

    ca_file: FilePath = "/etc/ipa/ca.crt"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8444


class ExecutorConfig(_Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``/etc/ipa/tpi/executor.toml``.

    Attributes:
        keytab: Path of the keytab of tpi/HOST.
        journal: Path of the claims journal, made by ``ipa-tpi-executor init``.
        socket: Path of the local socket.
        nudge_user: The only user who may say ``nudge``.
        health_user: The only user who may say ``health``.
        consume_user: The only user who may say ``consume``, on a CA's host that of the certificate validator; empty
            where nobody may.
        validator_socket: Path of the socket behind which validation programs without network run.
        validator_network_socket: Path of the socket behind which those with network run.
        poll_seconds: How often the directory is searched beside the persistent search.
        stop_seconds: How long the end waits for what is being done.
        retention_days: How long after its end a request stays in the directory (K17).
        socket_connections: How many connections are served at once, in equal shares for the users.
        socket_connections_per_second: How many connections one user may open (E01).
        socket_message_bytes: The longest line that is read (E03).
        socket_answer_bytes: The longest answer (E12).
        socket_timeout_seconds: How long a connection may take for its line, and for the answer.
        socket_audit_seconds: How long refusals of one user that repeat themselves are summed up.
        dogtag: On a CA's host, how the executor reaches it.
    """

    keytab: FilePath
    journal: FilePath
    socket: FilePath
    nudge_user: User = "ipatpi-web"
    health_user: User = "root"
    consume_user: MaybeUser = ""
    validator_socket: FilePath = "/run/ipa-tpi-validate/validate.sock"
    validator_network_socket: FilePath = "/run/ipa-tpi-validate/validate-network.sock"
    poll_seconds: Positive = 10
    stop_seconds: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 90
    retention_days: Annotated[int, msgspec.Meta(ge=SHORTEST_RETENTION_DAYS, le=36500)] = 400
    socket_connections: Annotated[int, msgspec.Meta(ge=2, le=40)] = 10
    socket_connections_per_second: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    socket_message_bytes: Annotated[int, msgspec.Meta(ge=256, le=MAX_MESSAGE_BYTES)] = MAX_MESSAGE_BYTES
    socket_answer_bytes: Annotated[int, msgspec.Meta(ge=1024, le=MAX_ANSWER_BYTES)] = MAX_ANSWER_BYTES
    socket_timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 2
    socket_audit_seconds: Positive = 60
    dogtag: DogtagConfig | None = None


class _FloorOperation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    required_approvals: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    proof: bool = True
    fresh_seconds: Annotated[int, msgspec.Meta(ge=0, le=86400)] = 0
    instances: list[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]] = []
    units: list[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9:_.@\\-]{1,255}\Z")]] = []


class _Floor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    person_attribute: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?\Z")] = ""
    clock_skew_seconds: Annotated[int, msgspec.Meta(ge=0, le=300)] = 5
    pending_per_person: Positive = 10
    pending_per_operation: Positive = 3
    operations: dict[str, _FloorOperation] = {}


def read_web_config(path: str) -> WebConfig:
    """Read the web service's configuration.

    Args:
        path: The file.

    Returns:
        The values.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or holds an unknown or wrong value.
    """
    return _read(path, WebConfig)


def read_executor_config(path: str) -> ExecutorConfig:
    """Read the executor's configuration.

    Args:
        path: The file.

    Returns:
        The values.

    Raises:
        ConfigError: As `read_web_config`; also when others than root and the process's own user
            could change the file.
    """
    return read_own(path, ExecutorConfig)


def read_floor(path: str) -> Floor:
    """Read the host's floor file (X13).

    Args:
        path: The file.

    Returns:
        The floor.

    Raises:
        ConfigError: As `read_executor_config`.
    """
    raw = read_own(path, _Floor)
    if len({name.lower() for name in raw.operations}) != len(raw.operations):
        raise ConfigError(f"{path} names an operation twice, in different letter case; keep one of them.")
    operations = {
        name.lower(): FloorOperation(
            required_approvals=entry.required_approvals,
            proof=entry.proof,
            instances=frozenset(entry.instances),
            units=frozenset(entry.units),
            fresh_seconds=entry.fresh_seconds,
        )
        for name, entry in raw.operations.items()
    }
    return Floor(
        operations=operations,
        person_attribute=raw.person_attribute,
        clock_skew_seconds=raw.clock_skew_seconds,
        pending_per_person=raw.pending_per_person,
        pending_per_operation=raw.pending_per_operation,
    )


def read_own(path: str, shape: type[C]) -> C:
    """Read a configuration file that nobody but root, or the process's own user, can change.

    Args:
        path: The file.
        shape: What it holds.

    Returns:
        The values.

    Raises:
        ConfigError: As `read_executor_config`.
    """
    _demand_owner(path)
    return _read(path, shape)


def _read(path: str, shape: type[C]) -> C:
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        return msgspec.convert(data, type=shape)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}. Create it, or mend its permissions.") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path} is not valid: {error}. Correct the file and start again.") from error


def _demand_owner(path: str) -> None:
    # R-E19, R-X13: whoever could write the floor could loosen it.
    try:
        status = Path(path).stat()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error}. Create it, or mend its permissions.") from error
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{path} can be changed by others than its owner root. "
            f"Run: chown root:root {path} && chmod 644 {path}",
        )
