"""The directory as converge sees it: a bound connection whose failures are messages for people."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import ldap
import ldap.ldapobject
import ldap.modlist

from ipa_tpi.errors import ConfigError, DirectoryUnavailableError, TpiError
from ipa_tpi_acls.containers import Entry

TIMEOUT_SECONDS = 30
TASK_SECONDS = 600
TASK_POLL_SECONDS = 0.02

Values = dict[str, tuple[str, ...]]
Modification = tuple[int, str, list[bytes] | None]

ROOT = "cn=directory manager"


class Directory:
    """A connection bound as Directory Manager.

    Args:
        connection: python-ldap's connection, already bound.
    """

    def __init__(self, connection: ldap.ldapobject.LDAPObject) -> None:
        self._connection = connection

    def values(self, dn: str, *attributes: str) -> Values | None:
        """Read one entry.

        Args:
            dn: the entry.
            attributes: names of attributes, operational ones included; all user attributes if none.

        Returns:
            Its attributes with lower-case names, or None if there is no such entry.
        """
        found = self.search(dn, ldap.SCOPE_BASE, "(objectClass=*)", *attributes)
        return found[0].attributes if found else None

    def search(self, base: str, scope: int, filterstr: str, *attributes: str) -> list[Entry]:
        """Search.

        Returns:
            What was found, attribute names in lower case; empty if `base` does not exist.
        """
        with _told(f"reading {base}"):
            try:
                found = self._connection.search_s(base, scope, filterstr, list(attributes) or None)
            except ldap.NO_SUCH_OBJECT:
                return []
        return [
            Entry(dn, {name.lower(): tuple(map(_text, values)) for name, values in attrs.items()})
            for dn, attrs in found
            if dn is not None
        ]

    def add(self, entry: Entry) -> None:
        """Add an entry."""
        encoded = {name: [value.encode() for value in values] for name, values in entry.attributes.items()}
        with _told(f"adding {entry.dn}"):
            self._connection.add_s(entry.dn, ldap.modlist.addModlist(encoded))

    def modify(self, dn: str, changes: list[Modification]) -> None:
        """Change an entry, all of the changes or none."""
        with _told(f"changing {dn}"):
            self._connection.modify_s(dn, changes)

    def reindex(self, backend: str, attributes: tuple[str, ...]) -> None:
        """Rebuild indexes of a database and wait until that is done.

        Raises:
            TpiError: the server's task failed, or did not end within TASK_SECONDS.
        """
        name = f"ipa-tpi {time.time_ns()}"
        task = Entry(
            f"cn={name},cn=index,cn=tasks,cn=config",
            {
                "objectClass": ("top", "extensibleObject"),
                "cn": (name,),
                "nsInstance": (backend,),
                "nsIndexAttribute": attributes,
            },
        )
        self.add(task)
        give_up = time.monotonic() + TASK_SECONDS
        while time.monotonic() < give_up:
            state = self.values(task.dn, "nsTaskExitCode", "nsTaskStatus") or {}
            if code := state.get("nstaskexitcode"):
                if code != ("0",):
                    status = " ".join(state.get("nstaskstatus", ()))
                    raise TpiError(f"reindexing {backend} failed: {status}; see the server's errors log")
                return
            time.sleep(TASK_POLL_SECONDS)
        raise TpiError(f"reindexing {backend} did not end in {TASK_SECONDS} s; see {task.dn} and run again")


@contextmanager
def connect(uri: str) -> Iterator[Directory]:
    """Open a connection as root over a local socket.

    Args:
        uri: an ldapi:// URI.

    Yields:
        The directory, bound as Directory Manager.

    Raises:
        ConfigError: `uri` is not ldapi, or the server does not map this user to Directory Manager.
        DirectoryUnavailableError: the server does not answer.
    """
    if not uri.startswith("ldapi://"):
        raise ConfigError(f"{uri!r} is not a local socket; give an ldapi:// URI and run this on the server")
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, TIMEOUT_SECONDS)
    connection.set_option(ldap.OPT_TIMEOUT, TIMEOUT_SECONDS)
    try:
        with _told(f"connecting to {uri}"):
            connection.sasl_non_interactive_bind_s("EXTERNAL")
        yield root(connection)
    finally:
        connection.unbind_s()


def root(connection: ldap.ldapobject.LDAPObject) -> Directory:
    """Return the directory behind a connection that is bound as Directory Manager.

    Raises:
        ConfigError: it is bound as somebody else, who could not read what is there.
    """
    with _told("asking the server who we are"):
        me = connection.whoami_s()
    if me.removeprefix("dn:").strip().lower() != ROOT:
        who = me or "nobody"
        raise ConfigError(
            f"the directory knows this caller as {who}, not as Directory Manager; run this as root"
        )
    return Directory(connection)


def _text(value: bytes) -> str:
    """Decode a value; what is not UTF-8 only has to be different from what we write."""
    return value.decode(errors="surrogateescape")


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Turn python-ldap's errors into ours, with what was being done."""
    try:
        yield
    except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.UNAVAILABLE, ldap.BUSY) as error:
        raise DirectoryUnavailableError(
            f"{doing}: the directory does not answer ({_reason(error)}); see that it runs and try again"
        ) from error
    except ldap.INAPPROPRIATE_AUTH as error:
        raise ConfigError(
            f"{doing}: the directory does not accept this user ({_reason(error)}); "
            "run this as root, with nsslapd-ldapiautobind on"
        ) from error
    except ldap.LDAPError as error:
        raise TpiError(f"{doing}: the directory refused it ({_reason(error)})") from error


def _reason(error: ldap.LDAPError) -> str:
    """Return the server's own words for an error."""
    told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = [str(told[key]) for key in ("desc", "info") if told.get(key)]
    return ": ".join(words) or type(error).__name__
