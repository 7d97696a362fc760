"""A realm of its own for tests of access, its people bound with their tickets, and entries of every kind.

Over LDAPI root is Directory Manager, above every ACI; so everybody else here comes in over TCP with a Kerberos ticket.
"""

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ldap
import pytest
from acls_cast import ANONYMOUS, DIRECTORY_MANAGER, HERE, IVAN, JUDY, POLICY_EXECUTOR, SERVICES
from ldap.controls.simple import ManageDSAITControl

from lab import directory, gss_bind, kdc, realm
from lab.layout import Layout
from lab.people import host_dn, service_dn

ANSWERS = (
    "ipaTpiApproval",
    "ipaTpiDenial",
    "ipaTpiWithdrawal",
    "ipaTpiCancellation",
    "ipaTpiProof",
    "ipaTpiPreview",
    "ipaTpiReceipt",
    "ipaTpiExecution",
    "ipaTpiResult",
)
DIGEST = "ab" * 32
# A referral is an entry like others.
_AS_IT_IS = [ManageDSAITControl(criticality=True)]
_PASSWORD = "Secret.1-of-two"
_FILLED = {
    "ipaTpiPreview": {"ipaTpiBody": "{}", "ipaTpiDigest": DIGEST},
    "ipaTpiProof": {
        "ipaTpiProofKind": "gss",
        "ipaTpiPurpose": "approve",
        "ipaTpiDigest": DIGEST,
        "ipaTpiToken": "token",
        "ipaTpiMic": "mic",
    },
    "ipaTpiReceipt": {"ipaTpiRefersTo": str(uuid.UUID(int=0)), "ipaTpiOutcome": "verified"},
    "ipaTpiExecution": {"ipaTpiNonce": "nonce"},
    "ipaTpiResult": {"ipaTpiOutcome": "executed"},
}


@dataclass(frozen=True)
class Draft:
    """An entry before it is added."""

    dn: str
    attributes: dict[str, tuple[str, ...]]

    def having(self, **more: str | tuple[str, ...]) -> "Draft":
        """Return it with further values."""
        values = dict(self.attributes)
        for name, added in more.items():
            values[name] = (*values.get(name, ()), *((added,) if isinstance(added, str) else added))
        return Draft(self.dn, values)

    def below(self, place: str) -> "Draft":
        """Return it in another place."""
        return Draft(f"{self.dn.partition(',')[0]},{place}", self.attributes)

    def modlist(self) -> list[tuple[str, list[bytes]]]:
        return [(name, [value.encode() for value in values]) for name, values in self.attributes.items()]


@dataclass
class World:
    """The realm, everybody's connection, and Directory Manager's."""

    layout: Layout
    description: dict[str, Any]
    root: Any
    connections: dict[str, Any] = field(default_factory=dict)

    @property
    def top(self) -> str:
        return f"cn=tpi,{self.layout.suffix}"

    @property
    def requests(self) -> str:
        return f"cn=requests,{self.top}"

    def dn(self, who: str) -> str:
        """Return somebody's entry."""
        service, slash, host = who.partition("/")
        if not slash:
            return f"uid={who},cn=users,cn=accounts,{self.layout.suffix}"
        if service == "host":
            return host_dn(self.layout, host)
        return service_dn(self.layout, service, host)

    def bound(self, who: str) -> Any:
        """Return somebody's own connection."""
        if who not in self.connections:
            self.connections[who] = self._bind(who)
        return self.connections[who]

    def _bind(self, who: str) -> Any:
        if who == DIRECTORY_MANAGER:
            return directory.connect(self.layout)
        if who == ANONYMOUS:
            connection = ldap.initialize(self.layout.ldap_uri)
            connection.set_option(ldap.OPT_TIMEOUT, 10)
            return connection
        ccache = self.ccache(who)
        if who in SERVICES:
            keytab = self.description["keytabs"][SERVICES[who]]
            subprocess.run(["kinit", "-c", ccache, "-k", "-t", keytab, who], check=True, timeout=20)
        else:
            password = self.description["people"].get(who, {"password": _PASSWORD})["password"] + "\n"
            command = ["kinit", "-c", ccache, who]
            subprocess.run(
                command, input=password.encode(), stdout=subprocess.DEVNULL, check=True, timeout=20
            )
        connection = gss_bind.bind(self.layout.ldap_uri, ccache, self.layout.host, caller=f"{who}@TPI.TEST")
        assert connection.whoami_s().lower() == f"dn: {self.dn(who)}".lower()
        return connection

    def ccache(self, who: str) -> str:
        """Return the name of somebody's credentials cache."""
        return f"FILE:{self.layout.root}/ccache-{id(self)}-{who.replace('/', '-')}"

    def again(self) -> "World":
        """Return the same realm with connections of its own, for another thread."""
        return World(self.layout, self.description, directory.connect(self.layout))

    def request(self, executor: str = HERE, number: str | None = None) -> Draft:
        """Return a new request."""
        number = number or str(uuid.uuid4())
        values = {
            "objectClass": ("ipaTpiRequest",),
            "ipaTpiRequestId": (number,),
            "ipaTpiOperationName": ("dirsrv.restart",),
            "ipaTpiOperationDigest": (DIGEST,),
            "ipaTpiTarget": (executor.partition("/")[2],),
            "ipaTpiExecutor": (self.dn(executor),),
            "ipaTpiParameters": ('{"instance":"TPI-TEST"}',),
            "ipaTpiReason": ("a reason",),
            "ipaTpiInterface": ("cli",),
            "ipaTpiDigest": (DIGEST,),
        }
        return Draft(f"ipaTpiRequestId={number},{self.requests}", values)

    def answer(self, kind: str, above: str) -> Draft:
        """Return a new answer of a kind below a request."""
        number = str(uuid.uuid4())
        values = {"objectClass": kind, "ipaTpiEntryId": number} | _FILLED.get(kind, {"ipaTpiDigest": DIGEST})
        return Draft(f"ipaTpiEntryId={number},{above}", {name: (value,) for name, value in values.items()})

    def policy(self, kind: str) -> Draft:
        """Return a new entry of a kind that is no answer."""
        number = str(uuid.uuid4())
        drafts = {
            "ipaTpiRequest": self.request(),
            "ipaTpiOperation": self._named(f"x.{number}", "cn=tpioperations", "ipaTpiOperation"),
            "ipaTpiOperationGroup": self._named(number, "cn=tpioperationgroups", "ipaTpiOperationGroup"),
            "ipaTpiRule": Draft(
                f"ipaUniqueID={number},cn=tpirules,{self.top}",
                {
                    "objectClass": ("ipaAssociation", "ipaTpiRule"),
                    "ipaUniqueID": (number,),
                    "cn": (number,),
                    "ipaTpiRight": ("approve",),
                    "description": ("x",),
                },
            ),
            "ipaTpiAnchor": Draft(
                f"ipaTpiEntryId={number},cn=anchors,{self.top}",
                {
                    "objectClass": ("ipaTpiAnchor",),
                    "ipaTpiEntryId": (number,),
                    "ipaTpiExecutor": (self.dn(HERE),),
                    "ipaTpiSequence": ("1",),
                    "ipaTpiHead": (DIGEST,),
                },
            ),
            "nsContainer": Draft(
                f"cn={number},{self.top}", {"objectClass": ("nsContainer",), "cn": (number,)}
            ),
            "groupOfNames": Draft(
                f"cn={number},{self.top}", {"objectClass": ("groupOfNames",), "cn": (number,)}
            ),
        }
        return drafts[kind]

    def _named(self, name: str, container: str, kind: str) -> Draft:
        values = {"objectClass": (kind,), "cn": (name,), "description": ("x",)}
        return Draft(f"cn={name},{container},{self.top}", values)

    def add(self, who: str, draft: Draft) -> str:
        """Add an entry as somebody, and return its DN."""
        self.bound(who).add_s(draft.dn, draft.modlist())
        return draft.dn

    def remove(self, dn: str) -> None:
        """Remove an entry and what is below it, as Directory Manager, if it is there."""
        hidden = "(|(objectClass=*)(objectClass=ldapSubEntry)(objectClass=nsTombstone))"
        with suppress(ldap.NO_SUCH_OBJECT):
            found = self.root.search_ext_s(dn, ldap.SCOPE_SUBTREE, hidden, ["1.1"], serverctrls=_AS_IT_IS)
            for one in sorted((one for one, _ in found), key=len, reverse=True):
                self.root.delete_ext_s(one, serverctrls=_AS_IT_IS)

    @contextmanager
    def values(self, dn: str, attribute: str, *values: str) -> Iterator[None]:
        """Let an entry have further values for a while."""
        encoded = [value.encode() for value in values]
        self.root.modify_s(dn, [(ldap.MOD_ADD, attribute, encoded)])
        try:
            yield
        finally:
            self.root.modify_s(dn, [(ldap.MOD_DELETE, attribute, encoded)])

    @contextmanager
    def without(self, dn: str, attribute: str, *values: str) -> Iterator[None]:
        """Let an entry lack values for a while."""
        encoded = [value.encode() for value in values]
        self.root.modify_s(dn, [(ldap.MOD_DELETE, attribute, encoded)])
        try:
            yield
        finally:
            self.root.modify_s(dn, [(ldap.MOD_ADD, attribute, encoded)])


@contextmanager
def new_world() -> Iterator[World]:
    """Start a realm, with those in it whom only these tests have, and end it."""
    folder = Path(tempfile.mkdtemp(prefix="aclw-"))
    started = realm.up(folder)
    with pytest.MonkeyPatch.context() as patch:
        try:
            patch.setenv("KRB5_CONFIG", str(started.layout.kdc.krb5_conf))
            world = World(started.layout, realm.describe(started), directory.connect(started.layout))
            complete(world)
            yield world
        finally:
            realm.stop(started)
            shutil.rmtree(folder)


def complete(world: World) -> None:
    """Add the people, the service and the memberships that the laboratory does not have; let anonymous in."""
    accounts, root = f"cn=accounts,{world.layout.suffix}", world.root
    for who in (IVAN, JUDY):
        person = {"objectClass": ("person", "inetUser"), "cn": (who,), "sn": (who,)}
        root.add_s(world.dn(who), Draft(world.dn(who), person | {"uid": (who,)}).modlist())
    keytab = world.layout.root / "policy.keytab"
    commands = [f"addprinc -x dn={world.dn(who)} -pw {_PASSWORD} {who}" for who in (IVAN, JUDY)]
    commands += [f"addprinc -randkey -x containerdn=cn=services,{accounts} {POLICY_EXECUTOR}"]
    commands += [f"ktadd -norandkey -k {keytab} {POLICY_EXECUTOR}"]
    kdc._run(world.layout, [kdc.KADMIN, "-r", world.layout.realm], "\n".join(commands) + "\n")
    world.description["keytabs"]["tpi_policy"] = str(keytab)
    for group, who in (
        (f"cn=admins,cn=groups,{accounts}", IVAN),
        (f"cn=tpi-requesters,cn=groups,{accounts}", JUDY),
        (f"cn=TPI Approver,cn=roles,{accounts}", "Heidi"),
        (f"cn=executors,{world.top}", POLICY_EXECUTOR),
        (f"cn=policy-executors,{world.top}", POLICY_EXECUTOR),
        (f"cn=policy-executors,{world.top}", IVAN),
    ):
        root.modify_s(group, [(ldap.MOD_ADD, "member", [world.dn(who).encode()])])
    settings = {"nsslapd-allow-anonymous-access": b"on", "nsslapd-accesslog-logging-enabled": b"off"}
    root.modify_s("cn=config", [(ldap.MOD_REPLACE, name, [value]) for name, value in settings.items()])
