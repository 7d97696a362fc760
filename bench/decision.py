"""The pure decision beside itself: 10 rules and 10 operations, 10 000 rules and 1 000 operations.

Needs no realm.  What is measured is `decide.policy.may`, for a person whom a rule allows and for one whom none does,
after the index of rules was made (which is done once for each reading of the policy, and shown apart), and the whole
of `decide.authorization.authorize` for a request with one approval.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.table import Row, render
from ipa_tpi.decide.approval import Verified
from ipa_tpi.decide.authorization import Facts, Memory, authorize
from ipa_tpi.decide.digest import approval_digest, preview_body, request_digest, sha256
from ipa_tpi.decide.policy import may
from ipa_tpi.model import (
    Account,
    Allow,
    Approval,
    Floor,
    FloorOperation,
    HostEntry,
    Kind,
    Operation,
    Policy,
    Preview,
    Purpose,
    Refuse,
    Request,
    Right,
    Rule,
    Subtree,
)

_SUFFIX: Final = "dc=example,dc=test"
_NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
_OLD: Final = _NOW - timedelta(days=365)
_HOST: Final = "ipa1.example.test"
_EXECUTOR: Final = f"krbprincipalname=tpi/{_HOST}@EXAMPLE.TEST,cn=services,cn=accounts,{_SUFFIX}"
_PERMISSION: Final = f"cn=tpi approve,cn=permissions,cn=pbac,{_SUFFIX}"
_SIZES: Final = ((10, 10), (10_000, 1_000))
_ROUNDS: Final = 3000


@dataclass(frozen=True)
class _Scene:
    policy: Policy
    operation: Operation
    facts: Facts


def main() -> None:
    """Print the table."""
    rows = []
    peers: dict[str, str] = {}
    for rules, operations in _SIZES:
        scene = _scene(rules, operations)
        size = f"{rules} rules, {operations} operations"
        began = time.perf_counter()
        scene.policy.rules_for(scene.operation.dn)
        rows.append(_row(f"index, once a reading, {size}", [time.perf_counter() - began], peers, ""))
        for what, call, wanted in _questions(scene):
            found = call()
            if not isinstance(found, wanted):
                raise TypeError(f"{what}, {size}: {found}")
            target = "" if rules == _SIZES[0][0] else "2 x"
            rows.append(_row(f"{what}, {size}", _timed(call), peers, target))
    print(render(rows))


def _questions(scene: _Scene) -> tuple[tuple[str, Callable[[], object], type], ...]:
    policy, operation, host = scene.policy, scene.operation, scene.facts.host
    bob, eve = _person("bob", "staff"), _person("eve", "nobody")
    return (
        ("may approve", lambda: may(policy, Right.APPROVE, bob, operation, host), Allow),
        ("may not approve", lambda: may(policy, Right.APPROVE, eve, operation, host), Refuse),
        ("authorize", lambda: authorize(scene.facts, "dispatch").decision, Allow),
    )


def _row(what: str, seconds: list[float], peers: dict[str, str], target: str) -> Row:
    kind = what.partition(",")[0]
    cells = [
        f"{sorted(seconds)[int(share * (len(seconds) - 1))] * 1e6:.1f} us" for share in (0.5, 0.95, 0.99)
    ]
    row = Row(what, str(len(seconds)), *cells, peer=peers.get(kind, ""), target=target)
    peers.setdefault(kind, f"{cells[0]} with 10")
    return row


def _timed(call: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return found


def _person(uid: str, group: str) -> Account:
    return Account(
        dn=f"uid={uid},cn=users,cn=accounts,{_SUFFIX}",
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, uid)),
        principal=f"{uid}@EXAMPLE.TEST",
        kind=Kind.PERSON,
        created=_OLD,
        member_of=frozenset({f"cn={group},cn=groups,cn=accounts,{_SUFFIX}", _PERMISSION}),
    )


def _operation(number: int) -> Operation:
    name = f"bench.op{number}"
    return Operation(
        dn=f"cn={name},cn=tpioperations,cn=tpi,{_SUFFIX}",
        name=name,
        digest=sha256(name.encode()),
        enabled=True,
        parameters={},
        required_approvals=1,
        approval_seconds=300,
        execution_seconds=300,
        timeout_seconds=60,
        interfaces=frozenset({"cli"}),
    )


def _rule(number: int, operation: Operation, host: HostEntry) -> Rule:
    # Ten rules for each operation, of which the last one names the people who are asked about.
    group = "staff" if number % 10 == 9 else f"others{number}"  # noqa: PLR2004
    return Rule(
        dn=f"ipauniqueid={number},cn=tpirules,cn=tpi,{_SUFFIX}",
        name=f"rule {number}",
        enabled=True,
        rights=frozenset({Right.REQUEST, Right.APPROVE}),
        members=frozenset({f"cn={group},cn=groups,cn=accounts,{_SUFFIX}"}),
        hosts=frozenset({host.dn}),
        operations=frozenset({operation.dn}),
    )


def _scene(rules: int, operations: int) -> _Scene:
    host = HostEntry(f"fqdn={_HOST},cn=computers,cn=accounts,{_SUFFIX}", _HOST)
    known = [_operation(number) for number in range(operations)]
    each = rules // min(operations, rules // 10)
    made = tuple(_rule(number, known[number // each], host) for number in range(rules))
    policy = Policy(made, {operation.name: operation for operation in known})
    return _Scene(policy, known[0], _facts(policy, known[0], host))


def _facts(policy: Policy, operation: Operation, host: HostEntry) -> Facts:
    alice, bob = _person("alice", "staff"), _person("bob", "staff")
    request_dn = f"ipatpirequestid=1,cn=requests,cn=tpi,{_SUFFIX}"
    bare = Request(
        id="7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10",
        operation=operation.name,
        operation_digest=operation.digest,
        target=_HOST,
        executor=_EXECUTOR,
        parameters={},
        reason="",
        ticket="",
        interface="cli",
        digest=b"",
        dn=request_dn,
        creator=alice.dn,
        created=_NOW,
    )
    request = replace(bare, digest=request_digest(bare, alice.principal))
    body = preview_body({"action": "restart"}, {})
    about = approval_digest(request.digest, sha256(body))
    preview = Preview("p", f"ipatpientryid=p,{request_dn}", _EXECUTOR, _NOW, body=body, digest=sha256(body))
    approval = Approval("a", f"ipatpientryid=a,{request_dn}", bob.dn, _NOW, digest=about)
    memory = Memory(
        journal_started=_OLD,
        written=frozenset({"p"}),
        verified=frozenset(
            {Verified(alice.dn, Purpose.REQUEST, request.digest), Verified(bob.dn, Purpose.APPROVE, about)}
        ),
        preview_digest=sha256(body),
    )
    return Facts(
        me=_EXECUTOR,
        target=_HOST,
        realm="EXAMPLE.TEST",
        now=_NOW,
        subtree=Subtree(request, (preview, approval)),
        policy=policy,
        host=host,
        floor=Floor({operation.name: FloorOperation(1, proof=True)}),
        accounts={alice.dn: alice, bob.dn: bob},
        approve_permission=_PERMISSION,
        memory=memory,
    )


if __name__ == "__main__":
    main()
