"""The fake directory and the real one answer alike, so that what the unit tests show of the flow is so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from web_service import Service

from ipa_tpi.errors import TpiError
from ipa_tpi.model import Approval, Kind, Preview, Subtree
from ipa_tpi.ports import Directory, Heading, NewEntry, People, Query
from lab.session import Session
from tests.fakes import (
    HOST,
    OPERATION,
    OTHER_HOST,
    REALM,
    SUFFIX,
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


def a_result() -> NewEntry:
    return NewEntry(new_id(), "ipaTpiResult", {"ipaTpiOutcome": [b"denied"], "ipaTpiExcerpt": [b"no"]})


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
    assert (request_id in directory.ids(Query())) is sees


def test_finding(both: Both) -> None:
    request_id = both.request("erin")
    tree = both.load(request_id)
    frank = both.as_("frank")

    def found(query: Query) -> bool:
        headings = {one.id: one for one in frank.headings(query)}
        assert sorted(headings) == sorted(frank.ids(query))
        wanted = Heading(request_id, tree.request.created, OPERATION, executor_dn())
        assert headings.get(request_id, wanted) == wanted
        return request_id in headings

    assert found(Query(creator=person_dn("erin")))
    assert not found(Query(creator=person_dn("bob")))
    assert found(Query(executor=executor_dn()))
    assert not found(Query(executor=executor_dn(OTHER_HOST)))
    assert found(Query(since=tree.request.created))
    assert not found(Query(since=tree.request.created + timedelta(seconds=1)))
    assert found(Query(until=tree.request.created))
    assert not found(Query(until=tree.request.created - timedelta(seconds=1)))
    assert found(Query(prefix=request_id[:8], creator=person_dn("erin")))
    assert not found(Query(prefix="0" * 8))
    assert not found(Query(creator="cn=nobody,dc=nowhere"))
    assert found(Query(target=tree.request.target, creator=person_dn("erin")))
    assert not found(Query(target=OTHER_HOST))


def test_what_is_malformed_is_told(both: Both) -> None:
    request_id = both.request(ipaTpiParameters=b'{"b":1}')
    assert code_of(lambda: both.as_("frank").load(request_id)) == "malformed-request"
    assert request_id in both.as_("frank").ids(Query())


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


def test_accounts_and_hosts_are_read_together_as_one_by_one(both: Both) -> None:
    uids = ("alice", "bob", "carol", "dave", "adam", "erin", "erin-admin", "frank", "grace", "nobody")
    elsewhere = ("", "cn=root", f"uid=alice,{SUFFIX}", f"uid=a+cn=b,cn=users,cn=accounts,{SUFFIX}")
    dns = {*map(person_dn, uids), executor_dn(), executor_dn(OTHER_HOST), *elsewhere[1:]}
    hosts = (HOST, OTHER_HOST, "nowhere.tpi.test", "*")
    for name in ("alice", "frank", EXECUTOR):
        directory = both.as_(name)
        people = directory.meet(dns, hosts, f"bob@{REALM}")
        assert people.accounts == {dn: directory.account_by_dn(dn) for dn in dns}
        assert people.hosts == {fqdn: directory.host(fqdn) for fqdn in hosts}
        assert people.named == directory.account(f"bob@{REALM}")
        assert [dn for dn, account in people.accounts.items() if account is None].count(
            person_dn("dave")
        ) == 0
        assert [fqdn for fqdn, host in people.hosts.items() if host is not None] == [HOST, OTHER_HOST]
    assert directory.meet((), (), f"*@{REALM}").named is None
    assert directory.meet((), (), f"BOB@{REALM}").named is None
    assert directory.meet() == People()


def test_which_requests_bear_a_result(both: Both) -> None:
    request_id, forged, other = (both.request("erin") for _ in range(3))
    both.as_(EXECUTOR).add_child(request_id, a_result())
    tree = both.load(request_id)
    (result,) = tree.children
    until = result.created
    frank = both.as_("frank")
    below = {one.id: one.below for one in frank.headings(Query(creator=person_dn("erin")))}
    assert (below[request_id], below[other]) == (1, 0)
    assert frank.answered(executor_dn(), tree.request.created, until) & {request_id, forged, other} == {
        request_id
    }
    assert request_id not in frank.answered(executor_dn(OTHER_HOST), tree.request.created, until)
    assert request_id not in frank.answered(
        executor_dn(), until + timedelta(seconds=1), until + timedelta(seconds=9)
    )
    assert request_id not in both.as_("dave").answered(executor_dn(), tree.request.created, until)


def test_which_requests_bear_somebodys_voice(both: Both) -> None:
    approved, denied, silent = (both.request("erin") for _ in range(3))
    both.as_("bob").add_child(approved, a_word("Approval"))
    both.as_("bob").add_child(approved, a_word("Withdrawal"))
    both.as_("bob").add_child(denied, a_word("Denial"))
    both.as_("carol").add_child(silent, a_word("Approval"))
    frank, mine = both.as_("frank"), {approved, denied, silent}
    assert frank.spoken(person_dn("bob"), None, None) & mine == {approved, denied}
    assert frank.spoken(person_dn("carol"), None, None) & mine == {silent}
    (voice,) = (child.created for child in both.load(denied).children)
    assert denied in frank.spoken(person_dn("bob"), voice, voice)
    assert denied not in frank.spoken(person_dn("bob"), voice + timedelta(seconds=1), None)
    assert denied not in frank.spoken(person_dn("bob"), None, voice - timedelta(seconds=1))
    assert both.as_("dave").spoken(person_dn("bob"), None, None) & mine == set()
    assert both.as_("erin").spoken(person_dn("bob"), None, None) & mine == {approved, denied}
