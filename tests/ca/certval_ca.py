"""The certificate validator where it belongs, behind the real Dogtag, and Dogtag's certificates, counted.

For each attack there are two profiles that are alike but for the program that Dogtag asks: the validator, and one that
says yes to everything.  What the second issues is what an attacker would have got without the first.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap
from ca_host import Answer, CaHost
from ca_profile import profile_text
from certval_tree import HOSTS, acl, planted

from lab.ca_network import CA_HOST, IPA_HOST
from lab.ca_spawn import LDAPI
from lab.entries import Entry, entry
from lab.gss_bind import bind
from lab.layout import REALM

PROGRAM = Path("/usr/libexec/ipa/ipa-pki-validate-cert-request")
SETTINGS = Path("/etc/ipa/tpi/certval.toml")
AUTHORITY = "/etc/ipa/ca.crt"
OPERATORS = "cn=tpi-operators,cn=groups,cn=accounts,dc=tpi,dc=test"
SERVICES = "cn=services,cn=accounts,dc=tpi,dc=test"
SOCKET, SERVICE = "ipa-tpi-certval.socket", "ipa-tpi-certval.service"
YES = Path("/bin/true")
# As docs/validation-contract.md has it.
CONSTRAINT = {
    "env.KRB5CCNAME": "auth_token.PRINCIPAL.KRB5CCNAME",
    "env.IPA_SUBJECT": "auth_token.PRINCIPAL.IPA_SUBJECT",
    "env.IPA_REQUEST_TYPE": "cert_request_type",
    "env.IPA_AUTH_MANAGER": "auth_token.authMgrInstName",
}
_SET = "policyset.serverCertSet"
_ALTNAMES = {
    "default.class_id": "userExtensionDefaultImpl",
    "default.name": "names",
    "default.params.userExtOID": "2.5.29.17",
    "constraint.class_id": "noConstraintImpl",
    "constraint.name": "none",
}


@dataclass(frozen=True)
class Scene:
    """A CA under attack.

    Attributes:
        ca: it.
        profile: asks the validator.
        lenient: is the same, and asks a program that accepts.
    """

    ca: CaHost
    profile: str
    lenient: str

    def refused(self, answer: Answer, code: int) -> str:
        """Make sure that the validator refused, with one of FreeIPA's codes, and return what it said."""
        status, said = outcome(answer)
        assert status == "rejected", (status, said)
        told = json.loads(said)
        assert told["code"] == code, told
        return str(told["message"])


def outcome(answer: Answer) -> tuple[str, str]:
    """Return a request's state at Dogtag, and what was said to it, or the certificate's number."""
    assert answer.status == 200, answer
    (entry,) = answer.json["entries"]
    return entry["requestStatus"], entry.get("errorMessage") or entry.get("certId") or ""


def issued() -> set[str]:
    """Return the numbers of all certificates that Dogtag has issued, from its own directory."""
    connection = ldap.initialize(LDAPI)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    try:
        found = connection.search_ext_s(
            "ou=certificateRepository,ou=ca,o=ipaca", ldap.SCOPE_ONELEVEL, "(cn=*)", ["cn"]
        )
    finally:
        connection.unbind_s()
    return {values["cn"][0].decode() for _, values in found}


@contextmanager
def nothing_issued() -> Iterator[None]:
    """Make sure that no certificate is issued while the block runs."""
    before = issued()
    assert before
    yield
    assert issued() == before


@contextmanager
def validator(ca: CaHost) -> Iterator[str]:
    """Give the directory what FreeIPA's has, for the validator that the host has, while the block runs.

    Yields:
        The name of a profile for which there are CA ACLs: one for all hosts and services, one for the operators.
    """
    systemctl("restart", SOCKET)
    name = f"certval{uuid.uuid4().hex[:8]}"
    try:
        with directory(ca) as root, planted(root, CA_HOST, REALM, 5, name), services(root):
            yield name
    finally:
        systemctl("restart", SOCKET)
        systemctl("stop", SERVICE)


@contextmanager
def directory(ca: CaHost) -> Iterator[Any]:
    """Give the realm's directory, as one of its administrators."""
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, AUTHORITY)
    root = bind(f"ldaps://{IPA_HOST}", ca.ccache("adam").removeprefix("FILE:"), IPA_HOST)
    try:
        yield root
    finally:
        root.unbind_s()


@contextmanager
def scene(ca: CaHost) -> Iterator[Scene]:
    """Make both profiles, and what the validator is to find in the directory, for as long as the block runs."""
    with validator(ca) as name:
        yield Scene(ca, make_profile(ca, name, PROGRAM), make_profile(ca, f"{name}yes", YES))


@contextmanager
def written(path: Path, text: str) -> Iterator[None]:
    """Let a file say something else while the block runs."""
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


@contextmanager
def services(root: Any) -> Iterator[None]:
    """Let this host manage a service of another one; a further service is not its own.  Operators may use any profile."""
    manager = f"fqdn={CA_HOST},{HOSTS}"
    made = [
        _service("HTTP/web.tpi.test", manager),
        _service("HTTP/lone.tpi.test", f"fqdn=lone.tpi.test,{HOSTS}"),
    ]
    # The profiles that tests make: for the same people as the one that is planted.
    made.append(acl(90, memberUser=[OPERATORS], ipaCertProfileCategory="all"))
    for one in made:
        values = [(name, [value.encode() for value in told]) for name, told in one.attributes.items()]
        root.add_s(one.dn, values)
    try:
        yield
    finally:
        for one in made:
            root.delete_s(one.dn)


def make_profile(
    ca: CaHost, name: str, program: Path, timeout_seconds: int = 10, gate: str = "", **more: str
) -> str:
    """Make and enable a profile that takes whoever has a session, as FreeIPA's do, and asks a program.

    Args:
        ca: where, by alice.
        name: its id.
        program: what it asks.
        timeout_seconds: how long it waits.
        gate: a group that Dogtag itself is to ask for.
        more: further variables, or other sources of the known ones.
    """
    lines = [
        line
        for line in profile_text(name, program, timeout_seconds=timeout_seconds).splitlines()
        if not line.startswith("authz.acl=") and ".constraint.params.env." not in line
    ]
    (order,) = (line for line in lines if line.startswith(f"{_SET}.list="))
    (constraint,) = (line for line in lines if line.endswith(".class_id=externalProcessConstraintImpl"))
    last = constraint.removeprefix(f"{_SET}.").partition(".")[0]
    lines[lines.index(order)] = f"{order.removesuffix(last)}90,{last}"
    lines += [f"{_SET}.90.{key}={value}" for key, value in _ALTNAMES.items()]
    # Any key and any subject: here nobody decides but the program.
    for kind in ("keyConstraintImpl", "subjectNameConstraintImpl"):
        lines = [line.replace(kind, "noConstraintImpl") for line in lines]
    if gate:
        lines.append(f'authz.acl=group="{gate}"')
    told = CONSTRAINT | {f"env.{key}": value for key, value in more.items()}
    lines += [f"{_SET}.{last}.constraint.params.{key}={value}" for key, value in told.items()]
    made = ca.call("alice", "POST", "/profiles/raw", raw="\n".join(lines) + "\n")
    assert made.status == 201, made
    enabled = ca.call("alice", "POST", f"/profiles/{name}?action=enable")
    assert enabled.status == 204, enabled
    return name


def systemctl(*arguments: str) -> None:
    """Run systemctl; to it, a unit that is started as often as here is a broken one."""
    if arguments[0] in {"start", "restart"}:
        subprocess.run(["systemctl", "reset-failed", *arguments[1:]], check=False, capture_output=True)
    subprocess.run(["systemctl", *arguments], check=True, capture_output=True)


def _service(name: str, manager: str) -> Entry:
    principal = f"{name}@{REALM}"
    return entry(
        f"krbPrincipalName={principal},{SERVICES}",
        "ipaObject ipaService pkiUser krbPrincipalAux",
        ipaUniqueID=f"id-{name.replace('/', '-')}",
        krbPrincipalName=principal,
        krbCanonicalName=principal,
        managedBy=manager,
    )
