"""`ipa-tpi dogtag acls` on the CA host, as its administrator uses it, and the CA that reads them when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ldap
import requests

from lab.ca_settings import CONTROLLED
from lab.ca_spawn import LDAPI
from lab.layout import CA_HOST, SUFFIX

ENTRY = {"ca": "cn=tpi-acls,o=ipaca", "kra": "cn=tpi-acls,o=kra,o=ipaca"}
LAB = ",".join(CONTROLLED)
READY_SECONDS = 120.0
PROGRAM = ("/usr/bin/ipa-tpi", "dogtag", "acls")
# What is installed, not the checkout from which the tests run.
OWN_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def acls(
    deed: str, *options: str, subsystem: str = "ca", controlled: str = LAB
) -> subprocess.CompletedProcess[str]:
    """Run the command; `controlled` is which operations take two persons."""
    where = ["--subsystem", subsystem, "--ldap-uri", LDAPI, "--suffix", SUFFIX]
    command = [*PROGRAM, deed, *where, "--controlled", controlled, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=OWN_ENVIRONMENT)


def restart() -> None:
    """Restart Dogtag, and wait until it answers."""
    subprocess.run(["systemctl", "restart", "pki-tomcatd@pki-tomcat"], check=True)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if all(_runs(subsystem) for subsystem in ENTRY):
            return
        time.sleep(0.1)
    raise AssertionError(f"Dogtag does not run after {READY_SECONDS:.0f} s")


def _runs(subsystem: str) -> bool:
    try:
        url = f"http://{CA_HOST}:8080/{subsystem}/admin/{subsystem}/getStatus"
        return "<Status>running</Status>" in requests.get(url, timeout=10).text
    except requests.RequestException:
        return False


@contextmanager
def directory() -> Iterator[Any]:
    """Open Dogtag's directory as its Directory Manager."""
    connection = ldap.initialize(LDAPI)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    try:
        yield connection
    finally:
        connection.unbind_s()


def held(dn: str) -> set[str]:
    """Return the ACLs that an entry holds."""
    with directory() as connection:
        ((_, attributes),) = connection.search_s(dn, ldap.SCOPE_BASE)
    return {value.decode() for value in attributes["resourceACLS"]}


def change(dn: str, how: int, values: Sequence[str]) -> None:
    """Change an entry's ACLs by hand."""
    with directory() as connection:
        connection.modify_s(dn, [(how, "resourceACLS", [value.encode() for value in values])])


def shown(subsystem: str, controlled: str) -> set[str]:
    """Return what the command says the ACLs should be."""
    found = acls("show", "--json", subsystem=subsystem, controlled=controlled)
    assert found.returncode == 0, found
    return set(json.loads(found.stdout)["acls"])
