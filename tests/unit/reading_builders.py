"""A reading operation in the small invented domain of `decide_builders`: its definition, its rule, a request for it."""

from dataclasses import replace
from typing import Any

from decide_builders import ALICE, FLOOR, RESTART, SUFFIX, Entries, definition, facts, policy, request, rule

from ipa_tpi.decide.authorization import Facts
from ipa_tpi.decide.definition import load_operation
from ipa_tpi.model import FloorOperation, Operation, Policy, Right

STATUS_DN = f"cn=dirsrv.status,cn=tpioperations,cn=tpi,{SUFFIX}"
FLOOR_TOO = replace(
    FLOOR,
    operations={
        **FLOOR.operations,
        "dirsrv.status": FloorOperation(1, proof=True, instances=frozenset({"DS01"})),
    },
)


def loaded() -> Operation:
    """Give the definition of dirsrv.status."""
    made = load_operation(STATUS_DN, definition(cn="dirsrv.status", ipatpirequiredapprovals="0"))
    assert isinstance(made, Operation), made
    return made


def rules() -> Policy:
    """Give a policy in which the operators may ask for both."""
    ask = rule("operators ask", Right.REQUEST, operations=frozenset({STATUS_DN, RESTART.dn}))
    return policy(ask, operations={RESTART.name: RESTART, "dirsrv.status": loaded()})


def asked(**changes: Any) -> Any:
    """Give a request for the status."""
    return request(operation="dirsrv.status", operation_digest=loaded().digest, **changes)


def reading(*more: Any, **changes: Any) -> Facts:
    """Give facts in which the status may be told."""
    wanted = changes.pop("asked", None) or asked()
    proof = Entries(wanted).proof(ALICE, "request", 0)
    return facts(proof, *more, asked=wanted, policy=rules(), floor=FLOOR_TOO, **changes)
