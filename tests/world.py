"""The box from inside: people, their tickets, the service, the directory, the executor, systemd.

Tests that use it run as root inside a box (`make box`), where every process has its own uid.  Nothing
here stands in for a part of the product: people run the installed `ipa-tpi` under their own accounts.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gssapi
import ldap
import pytest

from ipa_tpi.adapters.directory import LdapDirectory, open_directory
from ipa_tpi.adapters.gss import KRB5, caller_credentials, keytab_credentials
from ipa_tpi.client import TpiClient
from ipa_tpi.client.wish import Wish
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.model import Purpose
from lab.people import PEOPLE

REALM = "TPI.TEST"
SUFFIX = "dc=tpi,dc=test"
HOST = "ipa1.tpi.test"
URL = f"https://{HOST}"
CA = "/etc/ipa/ca.crt"
LDAPI = "ldapi://%2Frun%2Fslapd-TPI-TEST.socket"
UNIT = "dirsrv@DS01.service"
EXECUTOR = "ipa-tpi-executor.service"
JOURNAL = "/var/lib/ipa-tpi-executor/journal.sqlite"
KEYTAB = "/etc/ipa/tpi/tpi.keytab"
SOCKET = "/run/ipa-tpi-executor/executor.sock"
REQUESTS = f"cn=requests,cn=tpi,{SUFFIX}"

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class World:
    """What a test can do.

    Args:
        people: As `lab.people` has them: name to password and principal.
    """

    def __init__(self, people: dict[str, dict[str, str]]) -> None:
        self.people = people
        self.tickets: set[str] = set()

    # --- people ---------------------------------------------------------------

    def ccache(self, person: str) -> str:
        """Give the path of a person's ticket cache, with a fresh ticket in it the first time."""
        path = f"/tmp/krb5cc_{pwd.getpwnam(person).pw_uid}"
        if person not in self.tickets:
            self.kinit(person)
            self.tickets.add(person)
        return path

    def kinit(self, person: str, *arguments: str, principal: str = "", ccache: str = "") -> Done:
        """Get a ticket under the person's own account."""
        known = self.people[person]
        target = ccache or f"/tmp/krb5cc_{pwd.getpwnam(person).pw_uid}"
        command = ["/usr/bin/kinit", "-c", target, *arguments, principal or known["principal"]]
        return self.run(person, command, text=known["password"] + "\n")

    def run(self, user: str, command: Sequence[str], text: str = "", **environment: str) -> Done:
        """Run a command under an account, with nothing of root's environment."""
        entry = pwd.getpwnam(user)
        clean = {
            "HOME": entry.pw_dir,
            "USER": user,
            "LOGNAME": user,
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            **environment,
        }
        prefix = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={entry.pw_gid}", "--init-groups", "--"]
        done = subprocess.run(
            [*prefix, *command],
            env=clean,
            input=text,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            cwd="/",
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def cli(self, person: str, *arguments: str, text: str = "", **environment: str) -> Done:
        """Run the installed `ipa-tpi` as a person who has a ticket."""
        self.ccache(person)
        return self.run(person, ["/usr/bin/ipa-tpi", *arguments], text=text, **environment)

    def api(self, person: str) -> TpiClient:
        """Give a client of the web service with a person's ticket."""
        return TpiClient(URL, CA, ccache=f"FILE:{self.ccache(person)}")

    def proof(
        self, person: str, purpose: Purpose, digest: bytes, target: str = f"tpi/{HOST}@{REALM}"
    ) -> tuple[bytes, bytes]:
        """Make a token and a MIC with a person's own ticket."""
        return make_proof(f"FILE:{self.ccache(person)}", mic_text(purpose, digest), target)

    # --- the directory --------------------------------------------------------

    def directory(self, person: str) -> LdapDirectory:
        """Open the directory with a person's own ticket, past the web service."""
        credentials = caller_credentials(f"FILE:{self.ccache(person)}", self.people[person]["principal"])
        return open_directory(LDAPI, HOST, SUFFIX, credentials, "employeeNumber")

    def ldap(self, person: str) -> Any:
        """Give the bare connection of a person."""
        return self.directory(person)._connection

    def service(self, keytab: str, principal: str) -> Any:
        """Give a bare connection bound with a keytab."""
        credentials = keytab_credentials(keytab, principal, f"MEMORY:{uuid.uuid4()}")
        return open_directory(LDAPI, HOST, SUFFIX, credentials)._connection

    def root(self) -> Any:
        """Give a connection as Directory Manager."""
        connection = ldap.initialize(LDAPI)
        connection.sasl_non_interactive_bind_s("EXTERNAL")
        return connection

    def children(self, request_id: str) -> list[tuple[str, dict[str, list[bytes]]]]:
        """Read all that lies below a request, as Directory Manager sees it."""
        base = f"ipaTpiRequestId={request_id},{REQUESTS}"
        found = self.root().search_s(
            base, ldap.SCOPE_ONELEVEL, "(objectClass=*)", ["*", "creatorsName", "createTimestamp"]
        )
        return [(dn, attributes) for dn, attributes in found if dn]

    def of_class(self, request_id: str, name: str) -> list[dict[str, list[bytes]]]:
        """Give the entries of one class below a request."""
        wanted = name.lower().encode()
        return [
            raw
            for _, raw in self.children(request_id)
            if wanted in [value.lower() for value in raw["objectClass"]]
        ]

    def of_class_when_up(self, request_id: str, name: str) -> list[dict[str, list[bytes]]]:
        """Give what `of_class` gives, and nothing while the directory is down."""
        try:
            return self.of_class(request_id, name)
        except (ldap.SERVER_DOWN, ldap.NO_SUCH_OBJECT):
            return []

    # --- the executor and systemd ---------------------------------------------

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl as root."""
        done = subprocess.run(
            ["/usr/bin/systemctl", *arguments], capture_output=True, text=True, timeout=90, check=False
        )
        return done.stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """Give one property of a unit."""
        return self.systemctl("show", "-P", name, unit)

    def invocation(self, unit: str = UNIT) -> str:
        """Give the id that systemd gives to each start of a unit."""
        return self.show(unit, "InvocationID")

    def starts(self, unit: str = UNIT) -> list[str]:
        """Give the invocation ids of all starts of a unit, from systemd's own journal."""
        out = subprocess.run(
            [
                "/usr/bin/journalctl",
                "-o",
                "json",
                "--output-fields=INVOCATION_ID,JOB_RESULT,JOB_TYPE,MESSAGE_ID",
                "UNIT=" + unit,
                "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        ).stdout
        return [json.loads(line).get("INVOCATION_ID", "") for line in out.splitlines()]

    def pid(self, unit: str = EXECUTOR) -> int:
        """Give the main process of a unit."""
        return int(self.show(unit, "MainPID"))

    def kill(self, unit: str = EXECUTOR) -> None:
        """End the main process of a unit with SIGKILL."""
        pid = self.pid(unit)
        if pid <= 0:  # kill(2) would take that for our own process group
            raise AssertionError(f"{unit} does not run")
        os.kill(pid, signal.SIGKILL)

    def halt(self, unit: str = EXECUTOR) -> None:
        """Have a unit down at once: killed, and not started again by systemd."""
        pid = self.pid(unit)
        if pid > 0:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.systemctl("stop", unit)
        self.systemctl("reset-failed", unit)

    def audit(self, request_id: str = "", event: str = "") -> list[dict[str, Any]]:
        """Read the audit trail of web service and executor from the system's journal."""
        only = [f"IPA_TPI_REQUEST={request_id}"] if request_id else []
        out = subprocess.run(
            ["/usr/bin/journalctl", "-o", "json", "-t", "ipa-tpi-executor", "-t", "ipa-tpi-web", *only],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        ).stdout
        records = []
        for line in out.splitlines():
            message = json.loads(line).get("MESSAGE")
            if isinstance(message, str) and message.startswith("{"):
                records.append(json.loads(message))
        return [
            record
            for record in records
            if (not request_id or record.get("request") == request_id)
            and (not event or record.get("event") == event)
        ]

    def claims(self, statement: str, *values: object) -> list[Any]:
        """Ask the executor's journal, read-only.

        The connection is closed at once: SQLite shares the WAL's index among all connections of a process, so one
        that outlived a restart of the executor would show the next ones what was there before it.
        """
        with closing(sqlite3.connect(f"file:{JOURNAL}?mode=ro", uri=True, timeout=5)) as database:
            return database.execute(statement, values).fetchall()

    # --- a request's way ------------------------------------------------------

    def request(self, person: str = "alice", instance: str = "DS01", **fields: str) -> str:
        """Ask for a restart, and wait until the target has shown what it would do."""
        wish = Wish(
            "dirsrv.restart", HOST, {"instance": instance}, fields.get("reason", ""), fields.get("ticket", "")
        )
        view = self.api(person).create(wish)
        self.wait_for(person, view.id, lambda now: now.state != "awaiting-preview")
        return str(view.id)

    def approve(self, person: str, request_id: str) -> Any:
        """Approve as the CLI does, after a look."""
        api = self.api(person)
        return api.approve(api.show(request_id), "")

    def wait_for(
        self,
        person: str,
        request_id: str,
        condition: Callable[[Any], bool],
        seconds: float = PATIENCE_SECONDS,
    ) -> Any:
        """Look at a request until it is as expected."""
        api = self.api(person)
        end = time.monotonic() + seconds
        while True:
            view = api.show(request_id)
            if condition(view):
                return view
            if time.monotonic() > end:
                raise AssertionError(f"still {view.state} {view.code} {view.message}")
            time.sleep(0.05)

    def wait_state(
        self, request_id: str, *states: str, person: str = "bob", seconds: float = PATIENCE_SECONDS
    ) -> Any:
        """Wait until a request is in one of these states."""
        return self.wait_for(person, request_id, lambda view: view.state in states, seconds)


def make_proof(ccache: str, text: bytes, target: str) -> tuple[bytes, bytes]:
    """Make a token for a principal and a MIC over a text, with the tickets of a cache."""
    credentials = gssapi.Credentials(usage="initiate", store={"ccache": ccache}, mechs=[KRB5])
    flags = int(gssapi.RequirementFlag.integrity | gssapi.RequirementFlag.replay_detection)
    name = gssapi.Name(target, gssapi.NameType.kerberos_principal)
    context = gssapi.SecurityContext(name=name, creds=credentials, usage="initiate", mech=KRB5, flags=flags)
    token = context.step()
    return token, context.get_signature(text)


@contextmanager
def stopped(world: World, unit: str) -> Iterator[None]:
    """Have a unit stopped for a while."""
    world.systemctl("stop", unit)
    try:
        yield
    finally:
        world.systemctl("start", unit)


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for a condition; give its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("it did not come to that in time")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def world() -> World:
    """The box that this process runs in; anywhere else it is an error, never a skip."""
    if not Path("/run/systemd/system").exists() or os.uname().nodename != HOST:
        raise RuntimeError("these tests run inside a box, where every process has its own uid: make box")
    return World(
        {person.uid: {"password": person.password, "principal": person.principal(REALM)} for person in PEOPLE}
    )
