"""Fakes of the ports, in memory: a directory that behaves as the real one does, a clock, an audit, a nudger.

`FakeRealm` holds what a directory server holds; ``realm.bind(principal)`` gives it as one caller
sees it.  Entries are kept raw and read by the product's own `decide.intake`, so an entry that the
real directory would give back as malformed is malformed here too.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ipa_tpi.decide.definition import load_operation
from ipa_tpi.decide.digest import operation_digest, preview_body, sha256
from ipa_tpi.decide.intake import RawEntry, read_child, read_request
from ipa_tpi.errors import AuditError, DirectoryRefusedError, RefusedError, TpiError
from ipa_tpi.model import (
    Account,
    Child,
    Floor,
    FloorOperation,
    Group,
    HostEntry,
    Json,
    Kind,
    Operation,
    Policy,
    Refuse,
    Right,
    Rule,
    Subtree,
)
from ipa_tpi.ports import Directory, Heading, NewEntry, People, Query

REALM = "TPI.TEST"
SUFFIX = "dc=tpi,dc=test"
HOST = "localhost"
OTHER_HOST = "other.tpi.test"
OPERATION = "dirsrv.restart"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

_VOICES = frozenset({"ipatpirequest", "ipatpiapproval", "ipatpidenial"})
_PERSONAL = frozenset({"ipatpiapproval", "ipatpidenial", "ipatpiwithdrawal"})
_EXECUTORS = frozenset({"ipatpipreview", "ipatpireceipt", "ipatpiexecution", "ipatpiresult"})


class FakeClock:
    """A clock that stands until it is told to go on."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@dataclass
class FakeAudit:
    """Keeps its records; refuses to write the events named in `broken`, or all with ``*``."""

    records: list[dict[str, Json]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def record(self, event: str, **fields: Json) -> None:
        """Keep one record."""
        if {event, "*"} & self.broken:
            raise AuditError("the disk is full")
        self.records.append({"event": event, **fields})

    def events(self) -> list[str]:
        """Give the names, in order."""
        return [str(record["event"]) for record in self.records]

    def codes(self) -> list[str]:
        """Give the codes of refusals and failures, in order."""
        return [str(record["code"]) for record in self.records if "code" in record]


@dataclass
class FakeNudger:
    """Keeps the ids that it was nudged with."""

    ids: list[str] = field(default_factory=list)

    def nudge(self, request_id: str) -> None:
        """Keep one."""
        self.ids.append(request_id)


def person_dn(uid: str) -> str:
    """Give the normal DN of a person."""
    return f"uid={uid.lower()},cn=users,cn=accounts,{SUFFIX}"


def executor_dn(host: str = HOST) -> str:
    """Give the normal DN of a host's executor."""
    return f"krbprincipalname=tpi/{host}@{REALM.lower()},cn=services,cn=accounts,{SUFFIX}"


def permission_dn(name: str) -> str:
    """Give the normal DN of a permission."""
    return f"cn={name.lower()},cn=permissions,cn=pbac,{SUFFIX}"


def group_dn(name: str) -> str:
    """Give the normal DN of a group."""
    return f"cn={name},cn=groups,cn=accounts,{SUFFIX}"


def operation_of(attributes: Mapping[str, str | list[str]]) -> Operation:
    """Load an operation as the directory would."""
    raw = {
        name.lower(): [value.encode() for value in ([given] if isinstance(given, str) else given)]
        for name, given in attributes.items()
    }
    loaded = load_operation(f"cn={attributes['cn']},cn=tpioperations,cn=tpi,{SUFFIX}", raw)
    assert isinstance(loaded, Operation), loaded
    assert loaded.digest == operation_digest(raw)
    return loaded


RESTART: Mapping[str, str | list[str]] = {
    "objectClass": ["top", "ipaTpiOperation"],
    "cn": OPERATION,
    "ipaEnabledFlag": "TRUE",
    "ipaTpiParameterSchema": '{"instance":{"pattern":"[A-Za-z0-9_-]{1,64}"}}',
    "ipaTpiRequiredApprovals": "1",
    "ipaTpiApprovalSeconds": "300",
    "ipaTpiExecutionSeconds": "300",
    "ipaTpiTimeoutSeconds": "60",
    "ipaTpiInterface": ["cli", "web", "framework"],
}

FLOOR = Floor(
    operations={OPERATION: FloorOperation(1, proof=True, instances=frozenset({"DS01", "TPI-TEST"}))},
    person_attribute="employeeNumber",
    pending_per_person=10,
    pending_per_operation=3,
)


def _person(uid: str, number: str, *groups: str, permissions: Sequence[str] = ()) -> Account:
    return Account(
        dn=person_dn(uid),
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_URL, uid)),
        principal=f"{uid}@{REALM}",
        kind=Kind.PERSON,
        created=START - timedelta(days=100),
        persons=(number,),
        member_of=frozenset({*(group_dn(name) for name in groups), *map(permission_dn, permissions)}),
        display_name=uid.title(),
    )


def _service(name: str, host: str) -> Account:
    principal = f"{name}/{host}@{REALM}"
    return Account(
        dn=f"krbprincipalname={principal.lower()},cn=services,cn=accounts,{SUFFIX}",
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_URL, principal)),
        principal=principal,
        kind=Kind.SERVICE,
        created=START - timedelta(days=100),
    )


def _people() -> list[Account]:
    both = ("TPI Request", "TPI Approve")
    operators = ("tpi-operators-day", "tpi-operators")
    return [
        *(
            _person(uid, number, *operators, permissions=both)
            for uid, number in (("alice", "1001"), ("bob", "1002"), ("carol", "1003"))
        ),
        _person("erin", "1006", *operators, permissions=both),
        _person("erin-admin", "1006", *operators, "admins", permissions=both),
        _person("dave", "1004"),
        _person("adam", "1005", "admins"),
        _person("frank", "1007", permissions=("TPI Audit",)),
        _person("grace", "1008", "tpi-requesters", permissions=("TPI Request",)),
        _service("tpi", HOST),
        _service("tpi", OTHER_HOST),
    ]


def _rules(operation: Operation) -> tuple[Rule, ...]:
    hosts = frozenset({_host(HOST).dn, _host(OTHER_HOST).dn})

    def rule(name: str, right: Right, group: str) -> Rule:
        return Rule(
            dn=f"ipauniqueid={name},cn=tpirules,cn=tpi,{SUFFIX}",
            name=name,
            enabled=True,
            rights=frozenset({right}),
            members=frozenset({group_dn(group)}),
            hosts=hosts,
            operations=frozenset({operation.dn}),
        )

    return (
        rule("operators ask", Right.REQUEST, "tpi-operators"),
        rule("operators approve", Right.APPROVE, "tpi-operators"),
        rule("requesters ask", Right.REQUEST, "tpi-requesters"),
    )


def _host(fqdn: str) -> HostEntry:
    return HostEntry(f"fqdn={fqdn},cn=computers,cn=accounts,{SUFFIX}", fqdn)


class FakeRealm:
    """What the directory server holds, and what its plugins and ACIs do.

    Attributes:
        clock: Its clock.
        accounts: By DN.
        aliases: Further principal names, with the DN that they lead to.
        policy: Rules and operations.
        groups: Groups and roles as entries, by DN.
        entries: Every entry below cn=requests: the request's id, the entry's id (empty for the
            request itself), and the entry.
        unreadable: The ACIs let nobody read requests.
        failing: Raised by the next calls of the methods named here, as often as it stands there.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.accounts = {account.dn: account for account in _people()}
        self.aliases = {f"alice.smith@{REALM}": person_dn("alice"), f"ALICE@{REALM}": person_dn("alice")}
        operation = operation_of(RESTART)
        self.policy = Policy(_rules(operation), {operation.name: operation})
        self.hosts = {fqdn: _host(fqdn) for fqdn in (HOST, OTHER_HOST)}
        self.groups: dict[str, Group] = {}
        self.entries: list[tuple[str, str, RawEntry]] = []
        self.unreadable = False
        self.failing: dict[str, list[Exception]] = {}

    def bind(self, principal: str) -> FakeDirectory:
        """Give the directory as one principal sees it."""
        return FakeDirectory(self, self._bound(principal).dn)

    def change(self, uid: str, **changes: object) -> None:
        """Change a person's account."""
        dn = person_dn(uid)
        self.accounts[dn] = replace(self.accounts[dn], **changes)  # type: ignore[arg-type]

    def define(self, **changes: str | list[str]) -> Operation:
        """Replace the operation's definition."""
        operation = operation_of({**RESTART, **changes})
        self.policy = replace(self.policy, operations={operation.name: operation})
        return operation

    def without_rule(self, name: str) -> None:
        """Take a rule away."""
        self.policy = replace(
            self.policy, rules=tuple(rule for rule in self.policy.rules if rule.name != name)
        )

    def as_executor(self, host: str = HOST) -> FakeDirectory:
        """Give the directory as a host's executor sees it."""
        return self.bind(f"tpi/{host}@{REALM}")

    def plant(self, creator: str, request_id: str, entry: NewEntry) -> None:
        """Put an entry there that no ACI was asked about, as Directory Manager could."""
        self._keep(creator, request_id, entry)

    def _bound(self, principal: str) -> Account:
        for account in self.accounts.values():
            if principal == account.principal or self.aliases.get(principal) == account.dn:
                return account
        raise DirectoryRefusedError(f"nobody is called {principal}")

    def _keep(self, creator: str, request_id: str, entry: NewEntry) -> None:
        classes = [b"top", entry.object_class.encode()]
        if entry.object_class.lower() in _VOICES:
            classes.append(b"ipaTpiVoice")
        attributes = {name.lower(): list(values) for name, values in entry.attributes.items()}
        attributes["objectclass"] = classes
        if "ipatpiexecutor" in attributes:
            attributes["ipatpiexecutor"] = [value.lower() for value in attributes["ipatpiexecutor"]]
        top = f"ipatpirequestid={request_id},cn=requests,cn=tpi,{SUFFIX}"
        is_request = entry.object_class.lower() == "ipatpirequest"
        if any(not value for values in attributes.values() for value in values):
            raise AssertionError("389-ds takes no empty value")
        attributes["ipatpirequestid" if is_request else "ipatpientryid"] = [entry.entry_id.encode()]
        dn = top if is_request else f"ipatpientryid={entry.entry_id},{top}"
        raw = RawEntry(dn, creator, self.clock().replace(microsecond=0), attributes)
        self.entries.append((request_id, "" if is_request else entry.entry_id, raw))


class FakeDirectory:
    """Implements `ipa_tpi.ports.Directory` over a `FakeRealm`, bound as one account."""

    def __init__(self, realm: FakeRealm, dn: str) -> None:
        self._realm = realm
        self._dn = dn
        self.closed = False

    def close(self) -> None:
        """End the connection."""
        self.closed = True

    def whoami(self) -> str:
        """Tell who is bound."""
        self._maybe_fail("whoami")
        return self._dn

    def policy(self, about: frozenset[str] | None = None) -> Policy:
        """Give all rules and operations; here they are few."""
        del about
        self._maybe_fail("policy")
        return self._realm.policy

    def operations(self) -> Policy:
        """Give all operations, and no rules."""
        return replace(self.policy(), rules=(), whole=False)

    def account(self, principal: str) -> Account | None:
        """Find an account by any of its names."""
        self._maybe_fail("account")
        named = {dn for name, dn in self._realm.aliases.items() if name == principal}
        named |= {dn for dn, account in self._realm.accounts.items() if account.principal == principal}
        if len(named) > 1:
            raise RefusedError("several accounts", code="ambiguous-principal")
        return self._realm.accounts[named.pop()] if named else None

    def account_by_dn(self, dn: str) -> Account | None:
        """Find an account by its DN."""
        self._maybe_fail("account_by_dn")
        return self._realm.accounts.get(dn)

    def candidates(self, permission: str) -> Sequence[Account]:
        """Find the people who have a permission."""
        self._maybe_fail("candidates")
        everybody = self._realm.accounts.values()
        return [one for one in everybody if one.kind is Kind.PERSON and permission in one.member_of]

    def targets(self) -> Sequence[str]:
        """List the hosts that have an executor."""
        self._maybe_fail("targets")
        return sorted((HOST, OTHER_HOST))

    def groups(self, names: frozenset[str]) -> dict[str, Group]:
        """Find groups."""
        return {dn: group for dn, group in self._realm.groups.items() if dn in names}

    def host(self, fqdn: str) -> HostEntry | None:
        """Find a host."""
        return self._realm.hosts.get(fqdn)

    def load(self, request_id: str) -> Subtree | None:
        """Load a request, where the ACIs let this account see it."""
        self._maybe_fail("load")
        tops = [raw for rid, entry_id, raw in self._realm.entries if (rid, entry_id) == (request_id, "")]
        if not tops:
            return None
        request = read_request(tops[0])
        if isinstance(request, Refuse):
            raise RefusedError(request.message, code=request.code)
        if not self._sees(request_id):
            return None
        children: list[Child] = []
        malformed: dict[str, str] = {}
        for rid, entry_id, raw in self._realm.entries:
            if rid == request_id and entry_id:
                child = read_child(raw)
                if isinstance(child, Refuse):
                    malformed[raw.dn] = child.message
                else:
                    children.append(child)
        return Subtree(request, tuple(children), malformed)

    def meet(self, dns: Collection[str] = (), hosts: Collection[str] = (), principal: str = "") -> People:
        """Find accounts and hosts."""
        return People(
            self.account(principal) if principal else None,
            {dn: self.account_by_dn(dn) for dn in dns},
            {fqdn: self.host(fqdn) for fqdn in hosts},
        )

    def ids(self, query: Query) -> Sequence[str]:
        """List the ids of requests."""
        return [one.id for one in self.headings(query)]

    def headings(self, query: Query) -> Sequence[Heading]:
        """List requests."""
        self._maybe_fail("headings")
        return list(self._found(query))

    def answered(self, executor: str, since: datetime, until: datetime) -> frozenset[str]:
        """List requests with a result."""
        self._maybe_fail("answered")
        return frozenset(
            rid
            for rid, entry_id, raw in self._realm.entries
            if entry_id
            and _class(raw) == "ipatpiresult"
            and raw.creator == executor
            and since <= raw.created <= until
            and self._sees(rid)
        )

    def spoken(self, creator: str, since: datetime | None, until: datetime | None) -> frozenset[str]:
        """List requests with somebody's voice."""
        self._maybe_fail("spoken")
        return frozenset(
            rid
            for rid, entry_id, raw in self._realm.entries
            if entry_id
            and _class(raw) in {"ipatpiapproval", "ipatpidenial"}
            and raw.creator == creator
            and (since is None or since <= raw.created)
            and (until is None or raw.created <= until)
            and self._sees(rid)
        )

    def add_request(self, entry: NewEntry) -> None:
        """Add a request, as the ACIs and the RDN allow."""
        self._maybe_fail("add_request")
        if not self._has("TPI Request"):
            raise DirectoryRefusedError("the directory refused to add")
        if any(rid == entry.entry_id for rid, _, _ in self._realm.entries):
            raise RefusedError("there is an entry with this id already", code="id-taken")
        self._realm._keep(self._dn, entry.entry_id, entry)

    def add_child(self, request_id: str, entry: NewEntry) -> None:
        """Add an entry below a request, as ACIs, uniqueness and RDN allow."""
        self._maybe_fail(f"add_child {entry.object_class}")
        below = [(entry_id, raw) for rid, entry_id, raw in self._realm.entries if rid == request_id]
        requests = [raw for entry_id, raw in below if not entry_id]
        if not requests or not self._may_add(entry.object_class.lower(), requests[0]):
            raise DirectoryRefusedError("the directory refused to add")
        if any(entry_id == entry.entry_id for entry_id, _ in below):
            raise RefusedError("there is an entry with this id already", code="id-taken")
        voiced = any(_class(raw) in _VOICES and raw.creator == self._dn for _, raw in below)
        if entry.object_class.lower() in _VOICES and voiced:
            raise RefusedError("the directory holds a voice of yours already", code="already-voiced")
        self._realm._keep(self._dn, request_id, entry)

    def _found(self, query: Query) -> Iterator[Heading]:
        for request_id, entry_id, raw in self._realm.entries:
            if entry_id or not self._sees(request_id):
                continue
            executor, operation = (_text(raw, name) for name in ("ipatpiexecutor", "ipatpioperationname"))
            if (
                query.creator in {"", raw.creator}
                and query.executor in {"", executor}
                and query.operation in {"", operation}
                and query.target in {"", _text(raw, "ipatpitarget")}
                and request_id.startswith(query.prefix)
                and (query.since is None or raw.created >= query.since)
                and (query.until is None or raw.created <= query.until)
            ):
                below = sum(1 for rid, child, _ in self._realm.entries if rid == request_id and child)
                yield Heading(request_id, raw.created, operation, executor, below)

    def _sees(self, request_id: str) -> bool:
        (raw,) = (raw for rid, entry_id, raw in self._realm.entries if (rid, entry_id) == (request_id, ""))
        own = self._dn in {raw.creator, _text(raw, "ipatpiexecutor")}
        return not self._realm.unreadable and (own or self._has("TPI Approve") or self._has("TPI Audit"))

    def _may_add(self, kind: str, request: RawEntry) -> bool:
        own = request.creator == self._dn
        if kind in _PERSONAL:
            return self._has("TPI Approve") and not own
        if kind in _EXECUTORS:
            return self._dn.encode() in request.attributes["ipatpiexecutor"]
        return own or (kind == "ipatpiproof" and self._has("TPI Approve"))

    def _has(self, permission: str) -> bool:
        account = self._realm.accounts.get(self._dn)
        return account is not None and permission_dn(permission) in account.member_of

    def _maybe_fail(self, name: str) -> None:
        waiting = self._realm.failing.get(name, [])
        if waiting:
            raise waiting.pop(0)


class FakeExecutor:
    """Writes what an executor writes, without deciding anything, into a fake or a real directory.

    Args:
        directory: Bound as the executor.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def preview(self, request_id: str, shown: Json = "restart") -> bytes:
        """Add a preview and give its digest."""
        body = preview_body(shown, {})
        self.add(request_id, "ipaTpiPreview", ipaTpiBody=body, ipaTpiDigest=sha256(body).hex().encode())
        return sha256(body)

    def receipt(self, request_id: str, purpose: str, outcome: str = "verified") -> None:
        """Add a receipt for every proof of one purpose."""
        tree = self._directory.load(request_id)
        assert tree is not None
        for child in tree.children:
            if getattr(child, "purpose", "") == purpose:
                self.add(
                    request_id,
                    "ipaTpiReceipt",
                    ipaTpiRefersTo=child.entry_id.encode(),
                    ipaTpiOutcome=outcome.encode(),
                )

    def execution(self, request_id: str) -> None:
        """Add an execution."""
        self.add(request_id, "ipaTpiExecution", ipaTpiNonce=b"1234")

    def result(self, request_id: str, outcome: str = "executed", excerpt: str = "done") -> None:
        """Add a result."""
        self.add(request_id, "ipaTpiResult", ipaTpiOutcome=outcome.encode(), ipaTpiExcerpt=excerpt.encode())

    def add(self, request_id: str, object_class: str, **values: bytes) -> None:
        """Add any entry."""
        entry = NewEntry(new_id(), object_class, {name: [value] for name, value in values.items()})
        self._directory.add_child(request_id, entry)


def new_id() -> str:
    """Make a UUID."""
    return str(uuid.uuid4())


@contextmanager
def refused(code: str, text: str = "") -> Iterator[None]:
    """Expect an error with exactly this code, and a message that matches."""
    with pytest.raises(TpiError, match=text or None) as caught:
        yield
    assert caught.value.code == code, (caught.value.code, caught.value.message)


def _text(raw: RawEntry, name: str) -> str:
    return raw.attributes[name][0].decode()


def _class(raw: RawEntry) -> str:
    names = {value.decode().lower() for value in raw.attributes["objectclass"]} - {"top", "ipatpivoice"}
    return names.pop()
