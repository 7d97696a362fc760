"""A stage for the access matrix: one entry of each kind, and requests of somebody who is in no column."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import ldap
from acls_cast import DIRECTORY_MANAGER, HERE, JUDY, OTHER, POLICY_EXECUTOR
from acls_world import Draft, World

VOICES = ("ipaTpiApproval", "ipaTpiDenial")
OF_THE_EXECUTOR = ("ipaTpiPreview", "ipaTpiReceipt", "ipaTpiExecution", "ipaTpiResult")
POLICY = ("ipaTpiOperation", "ipaTpiOperationGroup", "ipaTpiRule")
CONTAINERS = ("tpioperations", "tpioperationgroups", "tpirules", "requests", "anchors")
GROUPS = ("executors", "policy-executors")
OWN = "own request"


@dataclass(frozen=True)
class Thing:
    """An entry that is there: its kind, place and name in the table; below cn=requests who made it and whom it names."""

    dn: str
    kind: str
    place: str
    name: str
    made_by: str = ""
    requester: str = ""
    executor: str = ""

    @property
    def attribute(self) -> str:
        """An attribute that it has and that says something."""
        if self.kind in {"container", "group"}:
            return "cn"
        special = {
            "ipaTpiReceipt": "ipaTpiOutcome",
            "ipaTpiExecution": "ipaTpiNonce",
            "ipaTpiResult": "ipaTpiOutcome",
        }
        special |= dict.fromkeys(POLICY, "description") | {"ipaTpiAnchor": "ipaTpiHead"}
        return special.get(self.kind, "ipaTpiDigest")


@dataclass(frozen=True)
class Stage:
    """The realm with entries in it.

    Args:
        world: the realm.
        things: the entries.
        fresh: requests that nobody has answered.
        prepared: entries of ours that lie outside cn=tpi, with the place where they would belong.
    """

    world: World
    things: tuple[Thing, ...]
    fresh: tuple[Thing, ...]
    prepared: tuple[tuple[Thing, str], ...]

    @cached_property
    def values(self) -> dict[str, dict[str, list[bytes]]]:
        """The user attributes and ACIs of every entry, by its DN."""
        found = self.world.root.search_s(self.world.top, ldap.SCOPE_SUBTREE, attrlist=["*", "aci"])
        by_dn = {dn.lower(): attributes for dn, attributes in found}
        return {thing.dn: by_dn[thing.dn.lower()] for thing in (*self.things, *self.fresh)}

    def thing(self, kind: str) -> Thing:
        """Return the first entry of a kind."""
        return next(thing for thing in self.things if thing.kind == kind)


def others(executor: str) -> str:
    return f"another's request for {executor}"


@contextmanager
def staged(world: World) -> Iterator[Stage]:
    """Set the stage, and clear it."""
    things = [Thing(world.top, "container", "containers", "cn=tpi")]
    things += [
        Thing(f"cn={name},{world.top}", "container", "containers", f"cn={name}") for name in CONTAINERS
    ]
    things += [Thing(f"cn={name},{world.top}", "group", "groups", f"cn={name}") for name in GROUPS]
    policy = [
        Thing(as_root(world, world.policy(kind)), kind, "policy, anchors", kind)
        for kind in (*POLICY, "ipaTpiAnchor")
    ]
    named = (HERE, OTHER, POLICY_EXECUTOR)
    full = [request(world, JUDY, executor, others(executor)) for executor in named]
    answers = [thing for above in full for thing in answered(world, above)]
    fresh = [request(world, JUDY, executor, others(executor)) for executor in (HERE, OTHER)]
    prepared = tuple(_prepared(world, fresh[0].dn))
    try:
        yield Stage(world, (*things, *policy, *full, *answers), tuple(fresh), prepared)
    finally:
        for thing in (*policy, *full, *fresh, *(thing for thing, _ in prepared)):
            world.remove(thing.dn)


def _prepared(world: World, above: str) -> Iterator[tuple[Thing, str]]:
    outside = f"cn=alt,{world.layout.suffix}"
    drafts = [(kind, world.policy(kind)) for kind in ("ipaTpiRequest", *POLICY, "ipaTpiAnchor")]
    drafts += [(kind, world.answer(kind, above)) for kind in ("ipaTpiApproval", "ipaTpiResult")]
    for kind, draft in drafts:
        dn = as_root(world, draft.below(outside))
        yield Thing(dn, kind, "outside cn=tpi", kind), draft.dn.partition(",")[2]


@contextmanager
def joined(stage: Stage, who: str) -> Iterator[Stage]:
    """Let somebody have a request of his own on the stage, if he may ask."""
    world = stage.world
    if who == DIRECTORY_MANAGER:  # whose every request is as good as another
        yield stage
        return
    try:
        full, fresh = (request(world, who, HERE, OWN) for _ in range(2))
    except ldap.INSUFFICIENT_ACCESS:
        yield stage
        return
    try:
        yield Stage(
            world, (*stage.things, full, *answered(world, full)), (*stage.fresh, fresh), stage.prepared
        )
    finally:
        for thing in (full, fresh):
            world.remove(thing.dn)


def request(world: World, who: str, executor: str, place: str) -> Thing:
    dn = world.add(who, world.request(executor))
    return Thing(dn, "ipaTpiRequest", place, "ipaTpiRequest", made_by=who, requester=who, executor=executor)


def answered(world: World, above: Thing) -> Iterator[Thing]:
    """Let those add each kind of answer who may."""
    approver = "bob" if above.requester != "bob" else "carol"
    makers = dict.fromkeys(OF_THE_EXECUTOR, above.executor)
    makers |= {"ipaTpiApproval": approver, "ipaTpiDenial": "erin" if above.requester != "erin" else "alice"}
    makers |= {"ipaTpiWithdrawal": approver, "ipaTpiProof": approver, "ipaTpiCancellation": above.requester}
    for kind, maker in makers.items():
        dn = world.add(maker, world.answer(kind, above.dn))
        yield Thing(dn, kind, above.place, kind, maker, above.requester, above.executor)


def as_root(world: World, draft: Draft) -> str:
    world.root.add_s(draft.dn, draft.modlist())
    return draft.dn


def restore(world: World, thing: Thing, has: dict[str, list[bytes]]) -> None:
    """Add a deleted entry again, as who made it."""
    (world.bound(thing.made_by) if thing.made_by else world.root).add_s(thing.dn, list(has.items()))
