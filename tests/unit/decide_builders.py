"""Values of a small invented domain, for the tests of the decision core: people, policy, a request, its entries.

Each function gives one value that is right in every respect; a test changes what it is about.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ipa_tpi.decide.approval import Case, Terms, Verified, Voice
from ipa_tpi.decide.authorization import Facts, Memory, Setting
from ipa_tpi.decide.definition import load_operation
from ipa_tpi.decide.digest import approval_digest, preview_body, request_digest, sha256
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.decide.intake import RawEntry
from ipa_tpi.model import (
    Account,
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Floor,
    FloorOperation,
    HostEntry,
    Kind,
    Operation,
    Policy,
    Preview,
    Proof,
    Purpose,
    Receipt,
    Refuse,
    Request,
    Result,
    Right,
    Rule,
    Subtree,
    Withdrawal,
)

REALM = "TPI.TEST"
SUFFIX = "dc=tpi,dc=test"
HOST = "ipa1.tpi.test"
T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
OLD = T0 - timedelta(days=100)
REQUEST_ID = "7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10"
REQUEST_DN = f"ipatpirequestid={REQUEST_ID},cn=requests,cn=tpi,{SUFFIX}"
OPERATION_DN = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
EXECUTOR = f"krbprincipalname=tpi/{HOST}@tpi.test,cn=services,cn=accounts,{SUFFIX}"
OTHER_EXECUTOR = f"krbprincipalname=tpi/other.tpi.test@tpi.test,cn=services,cn=accounts,{SUFFIX}"
APPROVE_PERMISSION = f"cn=tpi approve,cn=permissions,cn=pbac,{SUFFIX}"
OPERATORS = f"cn=tpi-operators,cn=groups,cn=accounts,{SUFFIX}"
DAY = f"cn=tpi-operators-day,cn=groups,cn=accounts,{SUFFIX}"
REQUESTERS = f"cn=tpi-requesters,cn=groups,cn=accounts,{SUFFIX}"


def at(seconds: float) -> datetime:
    """Give a moment, in seconds after the request was made."""
    return T0 + timedelta(seconds=seconds)


def an_id(number: int) -> str:
    """Give an entry id that sorts by its number."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def dn_of(uid: str) -> str:
    """Give the normal DN of a person."""
    return f"uid={uid.lower()},cn=users,cn=accounts,{SUFFIX}"


def person(uid: str, number: str | None = None, **changes: Any) -> Account:
    """Give an operator; `number` is the person attribute's value, of its own where left out."""
    account = Account(
        dn=dn_of(uid),
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, uid)),
        principal=f"{uid}@{REALM}",
        kind=Kind.PERSON,
        created=OLD,
        persons=(number if number is not None else f"no-{uid}",),
        member_of=frozenset({OPERATORS, DAY, APPROVE_PERMISSION}),
        display_name=uid.title(),
    )
    return replace(account, **changes)


def machine(kind: Kind = Kind.HOST, name: str = "client1.tpi.test", **changes: Any) -> Account:
    """Give a host or a service that holds a key."""
    container, rdn, principal = {
        Kind.HOST: ("computers", f"fqdn={name}", f"host/{name}@{REALM}"),
        Kind.SERVICE: ("services", f"krbprincipalname=app/{name}@tpi.test", f"app/{name}@{REALM}"),
    }[kind]
    account = Account(
        dn=f"{rdn},cn={container},cn=accounts,{SUFFIX}",
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, principal)),
        principal=principal,
        kind=kind,
        created=OLD,
    )
    return replace(account, **changes)


ALICE, BOB, CAROL, DAVE = person("alice"), person("bob"), person("carol"), person("dave")
TARGET = HostEntry(f"fqdn={HOST},cn=computers,cn=accounts,{SUFFIX}", HOST)

SCHEMA = '{"instance":{"pattern":"[A-Za-z0-9_-]{1,64}"}}'
DEFINITION: Mapping[str, tuple[bytes, ...]] = {
    "objectclass": (b"top", b"ipaTpiOperation"),
    "cn": (b"dirsrv.restart",),
    "ipaenabledflag": (b"TRUE",),
    "ipatpiparameterschema": (SCHEMA.encode(),),
    "ipatpirequiredapprovals": (b"1",),
    "ipatpiapprovalseconds": (b"300",),
    "ipatpiexecutionseconds": (b"300",),
    "ipatpitimeoutseconds": (b"60",),
    "ipatpiinterface": (b"cli", b"web", b"framework"),
}


def definition(**changes: str | list[str] | list[bytes] | None) -> dict[str, tuple[bytes, ...]]:
    """Give the attributes of an operation's entry; None takes one away."""
    attributes = dict(DEFINITION)
    for name, given in changes.items():
        attributes.pop(name, None)
        if given is not None:
            values = [given] if isinstance(given, str) else given
            attributes[name] = tuple(value.encode() if isinstance(value, str) else value for value in values)
    return attributes


def operation(**changes: Any) -> Operation:
    """Give the loaded operation, with some attributes of its entry changed."""
    loaded = load_operation(OPERATION_DN, definition(**changes))
    assert isinstance(loaded, Operation), loaded
    return loaded


RESTART = operation()


def rule(name: str = "operators approve", *rights: Right, **changes: Any) -> Rule:
    """Give an enabled rule for the operators, the target and the operation."""
    made = Rule(
        dn=f"ipauniqueid={uuid.uuid5(uuid.NAMESPACE_DNS, name)},cn=tpirules,cn=tpi,{SUFFIX}",
        name=name,
        enabled=True,
        rights=frozenset(rights or (Right.APPROVE,)),
        members=frozenset({OPERATORS}),
        hosts=frozenset({TARGET.dn}),
        operations=frozenset({OPERATION_DN}),
    )
    return replace(made, **changes)


MACHINES_ASK = rule(
    "machines ask",
    Right.REQUEST,
    members=frozenset(),
    requesting=frozenset({machine().dn, machine(Kind.SERVICE).dn}),
)
RULES = (rule("operators ask", Right.REQUEST), rule(), MACHINES_ASK)


def policy(*rules: Rule, **changes: Any) -> Policy:
    """Give a policy; with the usual rules where none are given."""
    return replace(Policy(rules or RULES, {RESTART.name: RESTART}), **changes)


FLOOR = Floor(
    operations={"dirsrv.restart": FloorOperation(1, proof=True, instances=frozenset({"DS01"}))},
    person_attribute="employeeNumber",
)


def request(requester: Account = ALICE, **changes: Any) -> Request:
    """Give a request whose stored digest is right for what it says."""
    bare = Request(
        id=REQUEST_ID,
        operation="dirsrv.restart",
        operation_digest=RESTART.digest,
        target=HOST,
        executor=EXECUTOR,
        parameters={"instance": "DS01"},
        reason="the index is broken",
        ticket="",
        interface="cli",
        digest=b"",
        dn=REQUEST_DN,
        creator=requester.dn,
        created=T0,
    )
    asked = replace(bare, **{name: value for name, value in changes.items() if name != "digest"})
    return replace(asked, digest=changes.get("digest", request_digest(asked, requester.principal)))


BODY = preview_body({"action": "restart", "unit": "dirsrv@DS01.service"}, {})


def about(asked: Request | None = None, body: bytes = BODY) -> bytes:
    """Give the approval digest of a request with a preview."""
    return approval_digest((asked or request()).digest, sha256(body))


@dataclass
class Entries:
    """Makes entries below one request, each with an id of its own.

    Attributes:
        asked: The request.
        number: Of the last id.
    """

    asked: Request
    number: int = 0

    def _common(self, who: Account | str, seconds: float, *, conflict: bool = False) -> dict[str, Any]:
        self.number += 1
        entry_id = an_id(self.number)
        return {
            "entry_id": entry_id,
            "dn": f"ipatpientryid={entry_id},{REQUEST_DN}",
            "creator": who if isinstance(who, str) else who.dn,
            "created": self.asked.created + timedelta(seconds=seconds),
            "conflict": conflict,
        }

    def preview(self, seconds: float = 1, body: bytes = BODY, who: str = EXECUTOR, **more: Any) -> Preview:
        digest = more.pop("digest", sha256(body))
        return Preview(**self._common(who, seconds, **more), body=body, digest=digest)

    def approval(
        self, who: Account | str = BOB, seconds: float = 10, digest: bytes = b"", **more: Any
    ) -> Approval:
        return Approval(**self._common(who, seconds, **more), digest=digest or about(self.asked))

    def denial(self, who: Account | str = BOB, seconds: float = 10, **more: Any) -> Denial:
        return Denial(**self._common(who, seconds, **more), digest=about(self.asked))

    def withdrawal(self, who: Account | str = BOB, seconds: float = 20, **more: Any) -> Withdrawal:
        return Withdrawal(**self._common(who, seconds, **more), digest=about(self.asked))

    def cancellation(self, who: Account | str = ALICE, seconds: float = 20, **more: Any) -> Cancellation:
        return Cancellation(**self._common(who, seconds, **more), digest=self.asked.digest)

    def proof(
        self, who: Account | str = BOB, purpose: str = "approve", seconds: float = 10, **more: Any
    ) -> Proof:
        digest = more.pop("digest", self.asked.digest if purpose == "request" else about(self.asked))
        token = more.pop("token", b"token of " + str(self.number).encode())
        kind = more.pop("kind", "gss")
        common = self._common(who, seconds, **more)
        return Proof(**common, kind=kind, purpose=purpose, digest=digest, token=token, mic=b"mic")

    def receipt(self, refers_to: str, seconds: float = 11, who: str = EXECUTOR, **more: Any) -> Receipt:
        outcome = more.pop("outcome", "verified")
        return Receipt(**self._common(who, seconds, **more), refers_to=refers_to, outcome=outcome)

    def execution(
        self, nonce: str = "n1", seconds: float = 30, who: str = EXECUTOR, **more: Any
    ) -> Execution:
        return Execution(**self._common(who, seconds, **more), nonce=nonce)

    def result(
        self, outcome: str = "executed", seconds: float = 40, who: str = EXECUTOR, **more: Any
    ) -> Result:
        excerpt = more.pop("excerpt", "done")
        return Result(**self._common(who, seconds, **more), outcome=outcome, excerpt=excerpt)


def voices(*people: Account, forged: Iterable[Account] = ()) -> dict[str, Voice]:
    """Give voices that count for people, and a refused, forged one for others; the requester's own never counts."""
    own = Voice(Refuse("self-approval", "same user cannot self-approve"), identity=identity_of(ALICE))
    found = {ALICE.dn: own} | {who.dn: Voice(None, identity=identity_of(who)) for who in people}
    no_rule = Refuse("no-rule", "no rule")
    return found | {who.dn: Voice(no_rule, forged=True, identity=identity_of(who)) for who in forged}


def terms(approvals: int = 1, **changes: Any) -> Terms:
    """Give terms with both windows at 300 seconds and a timeout of 60."""
    return replace(Terms(approvals, 300, 300, 60), **changes)


def proven(asked: Request, *people: Account, requested: bool = True) -> frozenset[Verified]:
    """Give the verified proofs of the requester and of people who approved."""
    made = {Verified(who.dn, Purpose.APPROVE, about(asked)) for who in people}
    return frozenset(
        made | ({Verified(asked.creator, Purpose.REQUEST, asked.digest)} if requested else set())
    )


def case(*children: Child, now: float = 60, asked: Request | None = None, **changes: Any) -> Case:
    """Give a case in which bob, carol and dave may approve and all their proofs are verified."""
    asked = asked or request()
    made = Case(
        subtree=Subtree(asked, tuple(children)),
        digest=asked.digest,
        terms=terms(),
        now=at(now),
        voices=voices(BOB, CAROL, DAVE),
        verified=proven(asked, BOB, CAROL, DAVE),
    )
    return replace(made, **changes)


def setting(**changes: Any) -> Setting:
    """Give what people are judged against."""
    made = Setting(policy(), RESTART, TARGET, FLOOR, at(60), APPROVE_PERMISSION)
    return replace(made, **changes)


def facts(*children: Child, now: float = 60, requester: Account = ALICE, **changes: Any) -> Facts:
    """Give facts in which everything is right for running the request, if `children` hold what it needs."""
    asked = changes.pop("asked", None) or request(requester)
    malformed = changes.pop("malformed", {})
    everyone = {who.dn: who for who in (requester, ALICE, BOB, CAROL, DAVE)}
    writers = {
        asked.creator,
        *(child.creator for child in children if not isinstance(child, (*_OFFICIAL, Proof))),
    }
    memory = changes.pop("memory", {})
    ours = frozenset(child.entry_id for child in children if isinstance(child, _OFFICIAL))
    remembered = Memory(
        journal_started=OLD,
        first_seen={},
        identities={dn: identity_of(everyone[dn]) for dn in writers if dn in everyone},
        written=ours,
        verified=proven(asked, BOB, CAROL, DAVE),
        preview_digest=sha256(BODY) if any(isinstance(child, Preview) for child in children) else None,
    )
    made = Facts(
        me=EXECUTOR,
        target=HOST,
        realm=REALM,
        now=at(now),
        subtree=Subtree(asked, tuple(children), malformed),
        policy=policy(),
        host=TARGET,
        floor=FLOOR,
        accounts={dn: everyone.get(dn) for dn in writers},
        approve_permission=APPROVE_PERMISSION,
        memory=replace(remembered, **memory),
    )
    return replace(made, **changes)


_OFFICIAL = (Preview, Receipt, Execution, Result)


def raw(classes: str, dn: str = REQUEST_DN, creator: str = ALICE.dn, **attributes: Any) -> RawEntry:
    """Give an entry as an adapter reads it; a value may be text, bytes, or a list of them; None leaves it out."""
    values: dict[str, list[bytes]] = {"objectclass": [name.encode() for name in classes.split()]}
    for name, given in attributes.items():
        listed = given if isinstance(given, list) else [given]
        if given is not None:
            values[name] = [item.encode() if isinstance(item, str) else item for item in listed]
    return RawEntry(dn, creator, T0, values)


def raw_request(asked: Request | None = None, **changes: Any) -> RawEntry:
    """Give the entry of a request."""
    asked = asked or request()
    attributes: dict[str, Any] = {
        "ipatpirequestid": asked.id,
        "ipatpioperationname": asked.operation,
        "ipatpioperationdigest": asked.operation_digest.hex(),
        "ipatpitarget": asked.target,
        "ipatpiexecutor": asked.executor,
        "ipatpiparameters": json.dumps(dict(asked.parameters), sort_keys=True, separators=(",", ":")),
        "ipatpireason": asked.reason or None,
        "ipatpiticket": asked.ticket or None,
        "ipatpiinterface": asked.interface,
        "ipatpidigest": asked.digest.hex(),
    }
    classes = changes.pop("classes", "top ipaTpiVoice ipaTpiRequest")
    return raw(classes, **(attributes | changes))


def refused_with(answer: object, code: str, *words: str) -> None:
    """Demand a refusal with this code, whose message holds these words."""
    assert isinstance(answer, Refuse), answer
    assert answer.code == code, answer
    for word in words:
        assert word in answer.message, answer.message
