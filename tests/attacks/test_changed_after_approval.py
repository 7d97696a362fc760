"""What two people agreed on is changed before it runs: the request, the preview, the approval, the definition, the rules.

Whoever writes the directory (Directory Manager) would have something else run on their word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import ldap
import pytest
from stepping import paused, stepped, walk_to
from straight import NOBODY, OPERATION_DN, OTHER, changed, child_dn, ended, never_intended, request_dn
from world import SUFFIX, World

RULES = f"cn=tpirules,cn=tpi,{SUFFIX}"

Change = Callable[[World, str], AbstractContextManager[None]]


def request_with(name: str, value: bytes) -> Change:
    """Change one value of the request; it stays changed, and goes with the request."""

    @contextmanager
    def change(world: World, request_id: str) -> Iterator[None]:
        world.root().modify_s(request_dn(request_id), [(ldap.MOD_REPLACE, name, [value])])
        yield

    return change


def child_with(kind: str, name: str, value: bytes) -> Change:
    """Change one value of what lies below the request."""

    @contextmanager
    def change(world: World, request_id: str) -> Iterator[None]:
        for raw in world.of_class(request_id, kind):
            dn = child_dn(request_id, raw["ipaTpiEntryId"][0].decode())
            world.root().modify_s(dn, [(ldap.MOD_REPLACE, name, [value])])
        yield

    return change


@contextmanager
def another_preview(world: World, request_id: str) -> Iterator[None]:
    """Have body and digest of the preview changed so that they fit."""
    (raw,) = world.of_class(request_id, "ipaTpiPreview")
    body = raw["ipaTpiBody"][0].replace(b"active", b"failed")
    assert body != raw["ipaTpiBody"][0]
    values = {"ipaTpiBody": body, "ipaTpiDigest": hashlib.sha256(body).hexdigest().encode()}
    dn = child_dn(request_id, raw["ipaTpiEntryId"][0].decode())
    world.root().modify_s(dn, [(ldap.MOD_REPLACE, name, [value]) for name, value in values.items()])
    yield


def definition_with(**values: list[bytes]) -> Change:
    """Change the operation's definition for a while."""
    return lambda world, _: changed(world.root(), OPERATION_DN, **values)


@contextmanager
def deleted(world: World, dn: str) -> Iterator[None]:
    root = world.root()
    ((_, raw),) = root.search_s(dn, ldap.SCOPE_BASE)
    root.delete_s(dn)
    try:
        yield
    finally:
        root.add_s(dn, [(name, values) for name, values in raw.items() if name.lower() != "memberof"])


@contextmanager
def rules_off(world: World, _: str) -> Iterator[None]:
    """Have all rules that give the right to approve disabled."""
    root = world.root()
    with ExitStack() as stack:
        for dn, _raw in root.search_s(RULES, ldap.SCOPE_ONELEVEL, "(ipaTpiRight=request)"):
            stack.enter_context(changed(root, dn, ipaEnabledFlag=[b"FALSE"]))
        yield


SEEN = "seen-entry-changed"
CHANGES: dict[str, tuple[Change, str]] = {
    "the unit": (request_with("ipaTpiParameters", b'{"instance":"DS02"}'), SEEN),
    "the reason": (request_with("ipaTpiReason", b"another reason"), SEEN),
    "the request's digest": (request_with("ipaTpiDigest", NOBODY.hex().encode()), SEEN),
    "the target": (request_with("ipaTpiTarget", OTHER.encode()), "wrong-target"),
    "the preview": (another_preview, SEEN),
    "a receipt": (child_with("ipaTpiReceipt", "ipaTpiOutcome", b"proof-invalid"), SEEN),
    "its number of approvals": (definition_with(ipaTpiRequiredApprovals=[b"2"]), "operation-changed"),
    "its windows": (definition_with(ipaTpiExecutionSeconds=[b"86400"]), "operation-changed"),
    "its parameters": (definition_with(ipaTpiParameterSchema=[b'{"instance":{"pattern":".*"}}']), "operation-changed"),
    "its end": (definition_with(ipaEnabledFlag=[b"FALSE"]), "operation-disabled"),
    "its form": (definition_with(ipaTpiRequiredApprovals=[b"0"]), "operation-malformed"),
    "its absence": (lambda world, _: deleted(world, OPERATION_DN), "unknown-operation"),
    "the rules": (rules_off, "no-rule"),
}  # fmt: skip


@pytest.fixture
def request_id(world: World) -> str:
    return world.request("alice")


def test_what_is_not_about_the_operation_changes_nothing(world: World, request_id: str) -> None:
    """The same hold-ups; a new description, and a definition that is the old one again, are no other definition."""
    before = world.starts()
    second = world.request("alice")
    with paused(world.pid()):
        world.approve("bob", request_id)
        for value in (b"86400", b"300"):
            world.root().modify_s(OPERATION_DN, [(ldap.MOD_REPLACE, "ipaTpiExecutionSeconds", [value])])
    world.wait_state(request_id, "executed")
    with changed(world.root(), OPERATION_DN, description=[b"restarts it"]):
        with stepped(world) as stepper:
            world.approve("bob", second)
            walk_to(world, stepper, second, "4")
        world.wait_state(second, "executed")
    assert len(world.starts()) == len(before) + 2


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_after_the_approval_does_not_run(world: World, request_id: str, what: str) -> None:
    change, code = CHANGES[what]
    before = world.invocation()
    with ExitStack() as meanwhile:
        with paused(world.pid()):
            world.approve("bob", request_id)
            meanwhile.enter_context(change(world, request_id))
        assert ended(world, request_id) == ("denied", code)
        never_intended(world, request_id)
    assert world.invocation() == before


@pytest.mark.parametrize("what", ["the unit", "the preview", "its windows", "its end", "the rules"])
def test_the_last_look_sees_the_change(world: World, request_id: str, what: str) -> None:
    """The executor has promised it to itself already, and looks once more before it claims."""
    change, code = CHANGES[what]
    before = world.invocation()
    with ExitStack() as meanwhile:
        with stepped(world) as stepper:
            world.approve("bob", request_id)
            walk_to(world, stepper, request_id, "4")
            meanwhile.enter_context(change(world, request_id))
        assert ended(world, request_id) == ("denied", code)
    assert world.audit(request_id, "claim") == []
    assert world.invocation() == before


def test_an_approval_that_was_changed_is_not_the_one_that_was_counted(world: World) -> None:
    """Two are needed.  Bob's approval was seen and counted; what is there when carol speaks is another."""
    before = world.invocation()
    with changed(world.root(), OPERATION_DN, ipaTpiRequiredApprovals=[b"2"]):
        request_id = world.request("alice")
        world.approve("bob", request_id)
        world.wait_for("carol", request_id, lambda view: any(one.counts for one in view.approvals))
        with child_with("ipaTpiApproval", "ipaTpiComment", b"I never said that")(world, request_id):
            world.approve("carol", request_id)
        assert ended(world, request_id) == ("denied", SEEN)
        never_intended(world, request_id)
    assert world.invocation() == before
