"""A running realm as tests and benchmarks use it: its figures, and tickets and connections for its people."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import directory
from lab.gss_bind import bind
from lab.realm import Realm, describe

_SERVICES = {"tpi": "tpi", "http": "HTTP", "ldap": "ldap", "host": "host"}


class Session:
    """A realm in use.

    The attributes are those of `python -m lab.realm env --json`. Credentials caches are plain paths, good for
    KRB5CCNAME, for `store={"ccache": …}` and for `open`.

    Args:
        started: the realm.
    """

    def __init__(self, started: Realm) -> None:
        self.started = started
        self.layout = started.layout
        facts = describe(started)
        self.realm: str = facts["realm"]
        self.suffix: str = facts["suffix"]
        self.host: str = facts["host"]
        self.ldap_uri: str = facts["ldap_uri"]
        self.ldapi_uri: str = facts["ldapi_uri"]
        self.url: str = facts["url"]
        self.http_url: str = facts["http_url"]
        self.ca_file: str = facts["ca_file"]
        self.krb5_config: str = facts["krb5_config"]
        self.people: dict[str, dict[str, str]] = facts["people"]
        self.keytabs: dict[str, str] = facts["keytabs"]
        self.pids: dict[str, int] = facts["pids"]
        self.root = Path(facts["root"])
        self.config: dict[str, str] = facts["config"]
        self.default_conf: str = facts["default_conf"]
        self._numbers = itertools.count(1)
        self._ccaches = self.root / "ccaches"
        self._ccaches.mkdir(mode=0o700, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a client program of this realm, without any tickets."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KRB5")}
        return inherited | {
            "KRB5_CONFIG": self.krb5_config,
            "KRB5CCNAME": f"FILE:{self._ccaches / 'nobody'}",
            "LDAPSASL_NOCANON": "on",
        }

    def kinit(self, person: str, *, principal: str | None = None, arguments: Sequence[str] = ()) -> str:
        """Get a ticket by password and return the path of a new credentials cache.

        Args:
            person: name of the person, whose password is used.
            principal: another name to ask for, such as an alias; default: the canonical one.
            arguments: further options of kinit, as `["-F"]` or `["-S", "tpi/localhost"]`.

        Raises:
            RuntimeError: the KDC refused.
        """
        known = self.people[person]
        return self._kinit([*arguments, principal or known["principal"]], known["password"] + "\n")

    def kinit_keytab(
        self, keytab: str, *, principal: str | None = None, arguments: Sequence[str] = ()
    ) -> str:
        """Get a ticket with a keytab and return the path of a new credentials cache.

        Args:
            keytab: key of `keytabs`, or a path.
            principal: whose; default: the one that the keytab is for.
            arguments: further options of kinit.

        Raises:
            RuntimeError: the KDC refused.
        """
        path = self.keytabs.get(keytab, keytab)
        if principal is None:
            service, host = (
                ("tpi", "other.tpi.test") if keytab == "tpi_other" else (_SERVICES[keytab], self.host)
            )
            principal = f"{service}/{host}@{self.realm}"
        return self._kinit(["-k", "-t", path, *arguments, principal], "")

    def ldap_as(self, ccache: str) -> Any:  # noqa: ANN401 (python-ldap has no types)
        """Return a connection over TCP, bound with the tickets of a credentials cache."""
        return bind(self.ldap_uri, ccache, self.host)

    def ldap_root(self) -> Any:  # noqa: ANN401
        """Return a connection over LDAPI, bound as Directory Manager."""
        return directory.connect(self.layout)

    def run(
        self, command: Sequence[str], *, ccache: str | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a client program; its exit status is the caller's business.

        Args:
            command: program and arguments.
            ccache: whose tickets it gets.
            text: what it reads from standard input.
        """
        environment = self.environment | ({"KRB5CCNAME": f"FILE:{ccache}"} if ccache else {})
        return subprocess.run(
            list(command),
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _kinit(self, arguments: Sequence[str], text: str) -> str:
        ccache = self._ccaches / str(next(self._numbers))
        done = self.run(["/usr/bin/kinit", *arguments], ccache=str(ccache), text=text)
        if done.returncode != 0:
            raise RuntimeError(f"kinit {' '.join(arguments)} failed: {done.stderr.strip()}")
        return str(ccache)


@contextmanager
def kerberos_environment(session: Session) -> Iterator[None]:
    """Make this process a client of the realm, without tickets of its own, for as long as the context is open."""
    saved = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("KRB5"):
            del os.environ[name]
    os.environ.update(
        {name: session.environment[name] for name in ("KRB5_CONFIG", "KRB5CCNAME", "LDAPSASL_NOCANON")}
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
