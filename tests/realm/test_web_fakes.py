"""The fake directory and the real one answer alike, so that what the unit tests show of the flow is so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from web_service import Service

from ipa_tpi.errors import TpiError
from ipa_tpi.model import Approval, Kind, Preview, Subtree
from ipa_tpi.ports import Directory, NewEntry, Query
from lab.session import Session
from tests.fakes import (
    HOST,
    OPERATION,
    OTHER_HOST,
    REALM,
    FakeRealm,
    executor_dn,
    new_id,
    permission_dn,
    person_dn,
)

ZERO = b"0" * 64


@dataclass
class Both:
    """A realm, fake or real, as the port shows it."""

    bind: Callable[[str], Directory]
    opened: dict[str, Directory] = field(default_factory=dict)

    def as_(self, name: str) -> Directory:
        """Give the directory as somebody sees it: a person's uid, or a service's principal."""
        if name not in self.opened:
            self.opened[name] = self.bind(name)
        return self.opened[name]

    def request(self, name: str = "alice", **changes: bytes) -> str:
        """Add a request, past the flow."""
        entry = a_request(**changes)
        self.as_(name).add_request(entry)
        return entry.entry_id

    def load(self, request_id: str, name: str = "frank") -> Subtree:
        """Load what must be there."""
        tree = self.as_(name).load(request_id)
        assert tree is not None
        return tree


@pytest.fixture(scope="module", params=["fake", "real"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    if request.param == "fake":
        fake = FakeRealm()
        yield Both(lambda name: fake.bind(name if "/" in name else f"{name}@{REALM}"))
    else:
        realm: Session = request.getfixturevalue("realm")
        service = Service(realm)
        executors = {
            f"tpi/{HOST}@{REALM}": "tpi",
            f"tpi/{OTHER_HOST}@{REALM}": "tpi_other",
        }
        yield Both(
            lambda name: (
                service._directory(realm.kinit_keytab(executors[name]), name)
                if name in executors
                else service.directory(name)
            )
        )


EXECUTOR = f"tpi/{HOST}@{REALM}"
OTHER_EXECUTOR = f"tpi/{OTHER_HOST}@{REALM}"


def a_request(**changes: bytes) -> NewEntry:
    values = {
        "ipaTpiOperationName": OPERATION.encode(),
        "ipaTpiOperationDigest": ZERO,
        "ipaTpiTarget": HOST.encode(),
        "ipaTpiExecutor": f"krbprincipalname={EXECUTOR},cn=services,cn=accounts,dc=tpi,dc=test".encode(),
        "ipaTpiParameters": b'{"instance":"DS01"}',
        "ipaTpiInterface": b"cli",
        "ipaTpiDigest": ZERO,
        **changes,
    }
    return NewEntry(new_id(), "ipaTpiRequest", {name: [value] for name, value in values.items()})


def a_word(name: str, entry_id: str = "") -> NewEntry:
    return NewEntry(entry_id or new_id(), f"ipaTpi{name}", {"ipaTpiDigest": [ZERO]})


def a_proof() -> NewEntry:
    values = {
        "ipaTpiProofKind": [b"gss"],
        "ipaTpiPurpose": [b"request"],
        "ipaTpiDigest": [ZERO],
        "ipaTpiToken": [b"\x00\xff"],
        "ipaTpiMic": [b"\x01"],
    }
    return NewEntry(new_id(), "ipaTpiProof", values)


def a_preview() -> NewEntry:
    return NewEntry(new_id(), "ipaTpiPreview", {"ipaTpiBody": [b"{}"], "ipaTpiDigest": [ZERO]})


def code_of(act: Callable[[], object]) -> str:
    try:
        act()
    except TpiError as error:
        return error.code
    return ""


def test_who_am_i(both: Both) -> None:
    assert both.as_("alice").whoami() == person_dn("alice")
    assert both.as_(EXECUTOR).whoami() == executor_dn()


def test_accounts(both: Both) -> None:
    directory = both.as_("bob")
    alice = directory.account(f"alice@{REALM}")
    assert alice is not None
    assert (alice.dn, alice.principal, alice.kind) == (person_dn("alice"), f"alice@{REALM}", Kind.PERSON)
    assert (alice.persons, alice.disabled, alice.expires) == (("1001",), False, None)
    assert permission_dn("TPI Approve") in alice.member_of
    assert directory.account_by_dn(alice.dn) == alice
    alias = directory.account(f"alice.smith@{REALM}")
    assert alias is not None
    assert alias.principal == f"alice@{REALM}"
    assert directory.account(f"nobody@{REALM}") is None
    assert directory.account_by_dn(person_dn("nobody")) is None
    erin, other = (directory.account(f"{uid}@{REALM}") for uid in ("erin", "erin-admin"))
    assert erin is not None
    assert other is not None
    assert erin.persons == other.persons
    grace = directory.account(f"grace@{REALM}")
    assert grace is not None
    assert permission_dn("TPI Approve") not in grace.member_of


def test_policy_and_hosts(both: Both) -> None:
    policy = both.as_("alice").policy()
    assert OPERATION in policy.operations
    assert policy.malformed == {}
    assert policy.operations[OPERATION].interfaces == {"cli", "web", "framework"}
    assert {rule.name for rule in policy.rules} == {"operators ask", "operators approve", "requesters ask"}
    host = both.as_("alice").host(HOST)
    assert host is not None
    assert (host.fqdn, both.as_("alice").host("nowhere.tpi.test")) == (HOST, None)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("alice", ""),
        ("grace", ""),
        ("erin-admin", ""),
        ("dave", "directory-refused"),
        ("adam", "directory-refused"),
        ("frank", "directory-refused"),
        (EXECUTOR, "directory-refused"),
    ],
)
def test_who_adds_a_request(both: Both, name: str, code: str) -> None:
    assert code_of(lambda: both.request(name)) == code


def test_what_lies_there_is_what_was_added(both: Both) -> None:
    request_id = both.request(ipaTpiReason="es hängt".encode(), ipaTpiTicket=b"T-1")
    request = both.load(request_id).request
    assert (request.id, request.creator, request.executor) == (request_id, person_dn("alice"), executor_dn())
    assert (request.parameters, request.reason, request.ticket) == ({"instance": "DS01"}, "es hängt", "T-1")
    assert request.created.microsecond == 0
    proof = a_proof()
    both.as_("alice").add_child(request_id, proof)
    (child,) = both.load(request_id).children
    assert (child.entry_id, child.creator) == (proof.entry_id, person_dn("alice"))
    assert getattr(child, "token", b"") == b"\x00\xff"


def test_an_id_is_taken_once(both: Both) -> None:
    entry = a_request()
    both.as_("alice").add_request(entry)
    assert code_of(lambda: both.as_("bob").add_request(entry)) == "id-taken"
    child = a_word("Approval")
    both.as_("bob").add_child(entry.entry_id, child)
    assert code_of(lambda: both.as_("carol").add_child(entry.entry_id, child)) == "id-taken"


@pytest.mark.parametrize("kind", ["Approval", "Denial", "Withdrawal"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bob", ""),
        ("alice", "directory-refused"),
        ("grace", "directory-refused"),
        ("adam", "directory-refused"),
        ("frank", "directory-refused"),
        (EXECUTOR, "directory-refused"),
    ],
)
def test_who_adds_a_voice(both: Both, kind: str, name: str, code: str) -> None:
    request_id = both.request()
    assert code_of(lambda: both.as_(name).add_child(request_id, a_word(kind))) == code


@pytest.mark.parametrize(
    ("first", "second"), [("Approval", "Approval"), ("Approval", "Denial"), ("Denial", "Approval")]
)
def test_a_voice_is_used_once(both: Both, first: str, second: str) -> None:
    request_id = both.request()
    both.as_("bob").add_child(request_id, a_word(first))
    assert code_of(lambda: both.as_("bob").add_child(request_id, a_word(second))) == "already-voiced"
    both.as_("bob").add_child(request_id, a_word("Withdrawal"))
    assert code_of(lambda: both.as_("bob").add_child(request_id, a_word(second))) == "already-voiced"
    assert len(both.load(request_id).of(Approval)) <= 1


@pytest.mark.parametrize(
    ("name", "code"), [("alice", ""), ("bob", "directory-refused"), ("adam", "directory-refused")]
)
def test_who_cancels(both: Both, name: str, code: str) -> None:
    request_id = both.request()
    assert code_of(lambda: both.as_(name).add_child(request_id, a_word("Cancellation"))) == code


@pytest.mark.parametrize(
    ("name", "code"),
    [("alice", ""), ("bob", ""), ("grace", "directory-refused"), ("dave", "directory-refused")],
)
def test_who_proves(both: Both, name: str, code: str) -> None:
    request_id = both.request()
    assert code_of(lambda: both.as_(name).add_child(request_id, a_proof())) == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (EXECUTOR, ""),
        (OTHER_EXECUTOR, "directory-refused"),
        ("alice", "directory-refused"),
        ("bob", "directory-refused"),
    ],
)
def test_who_previews(both: Both, name: str, code: str) -> None:
    request_id = both.request()
    assert code_of(lambda: both.as_(name).add_child(request_id, a_preview())) == code
    assert len(both.load(request_id).of(Preview)) == (code == "")


def test_below_what_is_not_there(both: Both) -> None:
    assert code_of(lambda: both.as_("bob").add_child(new_id(), a_word("Approval"))) != ""
    assert both.as_("bob").load(new_id()) is None


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("grace", True),
        ("alice", True),
        ("frank", True),
        (EXECUTOR, True),
        ("dave", False),
        ("adam", False),
        (OTHER_EXECUTOR, False),
    ],
)
def test_who_sees_it(both: Both, name: str, sees: bool) -> None:
    request_id = both.request("grace")
    directory = both.as_(name)
    assert (directory.load(request_id) is not None) is sees
    assert (request_id in [tree.request.id for tree in directory.find(Query())]) is sees


def test_finding(both: Both) -> None:
    request_id = both.request("erin")
    tree = both.load(request_id)
    frank = both.as_("frank")

    def found(query: Query) -> bool:
        return request_id in [one.request.id for one in frank.find(query)]

    assert found(Query(creator=person_dn("erin")))
    assert not found(Query(creator=person_dn("bob")))
    assert found(Query(executor=executor_dn()))
    assert not found(Query(executor=executor_dn(OTHER_HOST)))
    assert found(Query(since=tree.request.created))
    assert not found(Query(since=tree.request.created.replace(year=tree.request.created.year + 1)))


def test_what_is_malformed_is_told(both: Both) -> None:
    request_id = both.request(ipaTpiParameters=b'{"b":1}')
    assert code_of(lambda: both.as_("frank").load(request_id)) == "malformed-request"
    assert request_id not in [tree.request.id for tree in both.as_("frank").find(Query())]


def test_who_has_a_permission(both: Both) -> None:
    for name in ("alice", "grace", "frank"):
        found = {one.dn: one for one in both.as_(name).candidates(permission_dn("TPI Approve"))}
        uids = ("alice", "bob", "carol", "erin", "erin-admin")
        assert found.keys() == {person_dn(uid) for uid in uids}, name
        assert found == {dn: both.as_(name).account_by_dn(dn) for dn in found}
        auditors = [one.dn for one in both.as_(name).candidates(permission_dn("TPI Audit"))]
        assert auditors == [person_dn("frank")]
        assert both.as_(name).candidates(permission_dn("TPI Nothing (*)")) == []


def test_which_hosts_have_an_executor(both: Both) -> None:
    assert both.as_("alice").targets() == sorted((HOST, OTHER_HOST))
    assert both.as_("frank").targets() == sorted((HOST, OTHER_HOST))


def test_finding_by_the_beginning_of_an_id(both: Both) -> None:
    request_id = both.request("erin")
    found = both.as_("frank").find(Query(prefix=request_id[:8]))
    assert [tree.request.id for tree in found] == [request_id]
    assert both.as_("frank").find(Query(prefix="0" * 8)) == []
