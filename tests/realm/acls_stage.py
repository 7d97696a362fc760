"""What is expected of the access to each entry, and a stage with one of each.

The lists say it in the words of DESIGN.md and know nothing of how the ACIs are made.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import ldap
from acls_world import ANONYMOUS, HERE, OTHER, Draft, World, everybody

OPERATORS = {"alice", "bob", "carol", "erin", "erin-admin"}
REQUESTERS = OPERATORS | {"grace"}
# Heidi is made an approver who may not request.
APPROVERS = OPERATORS | {"Heidi"}
AUDITORS = {"frank"}
ADMINS = {"adam", "erin-admin"}
EXECUTORS = {HERE, OTHER}

VOICES = ("ipaTpiApproval", "ipaTpiDenial", "ipaTpiWithdrawal")
OF_THE_EXECUTOR = ("ipaTpiPreview", "ipaTpiReceipt", "ipaTpiExecution", "ipaTpiResult")
POLICY = ("ipaTpiOperation", "ipaTpiOperationGroup", "ipaTpiRule")
CONTAINERS = ("", "tpioperations", "tpioperationgroups", "tpirules", "requests", "anchors")
GROUPS = ("executors", "policy-executors")

ALLOWED, REFUSED = "allowed", "refused"

NOBODY = "no policy executor"
ROWS = [(NOBODY, who) for who in everybody()]
# A policy executor changes the rights of nobody else; these are the ones for whom that could fail.
ROWS += [(OTHER, who) for who in (OTHER, HERE, "adam", "erin-admin", "dave")]
NAMED_ROWS = [row for row in ROWS if row[1] != ANONYMOUS]
# One of each that may add something, and two who may not.
SOME = ("alice", "erin-admin", "grace", "Heidi", "adam", "dave", HERE, OTHER)
ADDING_ROWS = [(NOBODY, who) for who in SOME] + [(OTHER, OTHER)]


@dataclass(frozen=True)
class Thing:
    """An entry that is there: its kind, and for what lies below cn=requests who made it and whom it names."""

    dn: str
    kind: str
    made_by: str = ""
    requester: str = ""
    executor: str = ""


@dataclass(frozen=True)
class Stage:
    """The realm with two requests, answered in full, and one entry of each kind of policy."""

    world: World
    things: tuple[Thing, ...]
    # Requests without answers: by grace, who may not approve, for our executor; by carol for the other.
    fresh: tuple[Thing, ...]
    policy_executors: frozenset[str]


def may_add(who: str, kind: str, stage: Stage, above: Thing | None = None) -> bool:
    if kind == "ipaTpiRequest":
        return who in REQUESTERS
    if kind == "ipaTpiAnchor":
        return who in EXECUTORS
    if kind in POLICY:
        return who in stage.policy_executors
    if above is None:
        return False
    if kind in VOICES:
        return who in APPROVERS and who != above.requester
    if kind == "ipaTpiCancellation":
        return who == above.requester
    if kind == "ipaTpiProof":
        return who == above.requester or who in APPROVERS
    return kind in OF_THE_EXECUTOR and who in EXECUTORS and who == above.executor


def may_change(who: str, thing: Thing, stage: Stage) -> bool:
    return who in stage.policy_executors and thing.kind in POLICY


def may_delete(who: str, thing: Thing, stage: Stage) -> bool:
    return who in stage.policy_executors and (thing.kind in POLICY or thing.requester != "")


def may_read(who: str, thing: Thing, stage: Stage) -> bool:
    if who in APPROVERS | AUDITORS | stage.policy_executors:
        return True
    if thing.requester:
        return who in {thing.requester, thing.made_by, thing.executor}
    # FreeIPA's administrators read policy, as they read everything outside cn=requests.
    return who in REQUESTERS | EXECUTORS | ADMINS


@contextmanager
def staged(world: World, policy_executor: str) -> Iterator[Stage]:
    """Set the stage.

    Args:
        world: the realm.
        policy_executor: who is one meanwhile, or NOBODY.
    """
    chosen = frozenset({policy_executor} - {NOBODY})
    with ExitStack() as stack:
        for who in chosen:
            stack.enter_context(world.values(f"cn=policy-executors,{world.top}", "member", world.dn(who)))
        sides = (("grace", HERE), ("carol", OTHER))
        fresh = tuple(_request(world, who, executor) for who, executor in sides)
        full = tuple(_request(world, who, executor) for who, executor in sides)
        answers = tuple(thing for above in full for thing in _answers(world, above))
        policy = tuple(Thing(as_root(world, world.policy(kind)), kind) for kind in (*POLICY, "ipaTpiAnchor"))
        containers = tuple(
            Thing(f"cn={name},{world.top}" if name else world.top, "container") for name in CONTAINERS
        )
        groups = tuple(Thing(f"cn={name},{world.top}", "group") for name in GROUPS)
        yield Stage(world, (*fresh, *full, *answers, *policy, *containers, *groups), fresh, chosen)
        for thing in (*fresh, *full, *policy):
            world.remove(thing.dn)


def _request(world: World, who: str, executor: str) -> Thing:
    dn = world.add(who, world.request(executor))
    return Thing(dn, "ipaTpiRequest", made_by=who, requester=who, executor=executor)


def _answers(world: World, above: Thing) -> Iterator[Thing]:
    """Let those add each kind of answer who may."""
    makers = dict.fromkeys(OF_THE_EXECUTOR, above.executor)
    makers |= {
        "ipaTpiApproval": "bob",
        "ipaTpiDenial": "Heidi",
        "ipaTpiWithdrawal": "bob",
        "ipaTpiProof": "bob",
    }
    makers |= {"ipaTpiCancellation": above.requester}
    for kind, maker in makers.items():
        dn = world.add(maker, world.answer(kind, above.dn))
        yield Thing(dn, kind, maker, above.requester, above.executor)


def as_root(world: World, draft: Draft) -> str:
    world.root.add_s(draft.dn, draft.modlist())
    return draft.dn


def attempt(operation: Callable[..., object], *arguments: object) -> str:
    """Try something, and say how it ended: refused only if it was for want of rights."""
    try:
        operation(*arguments)
    except ldap.INSUFFICIENT_ACCESS:
        return REFUSED
    except ldap.INAPPROPRIATE_AUTH:
        return REFUSED  # anonymous, which this realm does not let in at all
    except ldap.LDAPError as error:
        return f"{type(error).__name__}: {error.args[0].get('info', '') if error.args else ''}"
    return ALLOWED


def trial(world: World, who: str, draft: Draft) -> str:
    """Try to add an entry, and leave none behind."""
    ended = attempt(world.add, who, draft)
    if ended == ALLOWED:
        world.remove(draft.dn)
    return ended


def wrong(found: list[tuple[str, str, bool]]) -> list[str]:
    """Return what ended otherwise than it should have: what was tried, how it ended, whether it was right."""
    return [
        f"{what}: {ended}, should be {ALLOWED if may else REFUSED}"
        for what, ended, may in found
        if ended != (ALLOWED if may else REFUSED)
    ]


def restore(world: World, thing: Thing) -> None:
    """Add a deleted entry again under its old name, as who made it."""
    attribute, _, number = thing.dn.partition(",")[0].partition("=")
    if thing.kind == "ipaTpiRequest":
        world.add(thing.made_by, world.request(thing.executor, number))
        return
    above = thing.dn.partition(",")[2]
    draft = world.policy(thing.kind) if thing.kind in POLICY else world.answer(thing.kind, above)
    renamed = Draft(thing.dn, draft.attributes | {attribute: (number,)})
    if thing.kind in POLICY:
        as_root(world, renamed)
    else:
        world.add(thing.made_by, renamed)


def members(world: World, group: str) -> list[bytes]:
    ((_, attributes),) = world.root.search_s(group, ldap.SCOPE_BASE, "(objectClass=*)", ["member"])
    return attributes.get("member", [])
