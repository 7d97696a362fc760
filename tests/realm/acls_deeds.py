"""What everybody tries in the access matrix, first part: reading and adding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ldap
from acls_cast import HERE, OTHER
from acls_stage import CONTAINERS, GROUPS, POLICY, VOICES, Stage, Thing
from acls_world import ANSWERS, Draft

OF_EACH_RULE = ("ipaTpiApproval", "ipaTpiCancellation", "ipaTpiProof", "ipaTpiResult")


@dataclass(frozen=True)
class Deed:
    """What is tried, as the model and the table know it.

    Args:
        verb: what is done; a heading of the table.
        place: where, in words.
        name: which entry there: a class, or the name of a container or group.
        item: more closely what: an attribute, a further class, a direction.
        kind: class of the entry that is added or touched.
        thing: the entry that is touched, or the request below which something is added.
    """

    verb: str
    place: str
    name: str
    item: str
    kind: str
    thing: Thing | None = None


def touching(verb: str, thing: Thing, item: str = "") -> Deed:
    """Return what is done to an entry that is there."""
    return Deed(verb, thing.place, thing.name, item, thing.kind, thing)


@dataclass(frozen=True)
class Trial:
    """A deed and how it is done over a connection."""

    deed: Deed
    send: Callable[[Any], int]
    undo: Callable[[], object] = lambda: None
    alone: bool = False


def reads(stage: Stage) -> Iterator[Trial]:
    for thing in stage.things:
        # A container has no user attributes but class and name.
        yield Trial(
            touching("read", thing),
            lambda c, dn=thing.dn: c.search_ext(dn, ldap.SCOPE_BASE, attrlist=["*", "+"]),
        )


def compares(stage: Stage) -> Iterator[Trial]:
    for thing in stage.things:
        if thing.kind != "container":  # of which FreeIPA shows name and class to everybody
            yield Trial(
                touching("compare", thing),
                lambda c, dn=thing.dn, name=thing.attribute: c.compare_ext(dn, name, b"x"),
            )


def adds(stage: Stage) -> Iterator[Trial]:
    for executor in (HERE, OTHER):
        yield adding(
            stage,
            Deed("add", f"for {executor}", "ipaTpiRequest", "", "ipaTpiRequest"),
            stage.world.request(executor),
        )
    for above in stage.fresh:
        for kind in ANSWERS:
            # Of the two voices only one could pass the plugin; each is taken back before the next is tried.
            deed = Deed("add", f"below {above.place}", kind, "", kind, above)
            yield adding(stage, deed, stage.world.answer(kind, above.dn), alone=kind in VOICES)
    for kind in (*POLICY, "ipaTpiAnchor"):
        yield adding(stage, Deed("add", "in its container", kind, "", kind), stage.world.policy(kind))
    for kind in ("nsContainer", "groupOfNames"):
        yield adding(stage, Deed("add", "below cn=tpi", kind, "", kind), stage.world.policy(kind))


def adding(stage: Stage, deed: Deed, draft: Draft, *, alone: bool = False) -> Trial:
    return Trial(
        deed,
        lambda c: c.add_ext(draft.dn, draft.modlist()),
        lambda: stage.world.remove(draft.dn),
        alone=alone,
    )


def misplaced(stage: Stage) -> Iterator[Trial]:
    """Every kind where it does not belong; of the answers one of each rule."""
    world = stage.world
    spots = {"cn=tpi": world.top} | {
        f"cn={name}": f"cn={name},{world.top}" for name in (*CONTAINERS, *GROUPS)
    }
    spots |= {"a request": stage.fresh[-1].dn, "an answer": stage.thing("ipaTpiApproval").dn}
    spots |= {f"an {kind}": stage.thing(kind).dn for kind in ("ipaTpiOperation", "ipaTpiAnchor")}
    homes = {"ipaTpiRequest": "cn=requests", "ipaTpiAnchor": "cn=anchors"}
    homes |= dict(zip(POLICY, ("cn=tpioperations", "cn=tpioperationgroups", "cn=tpirules"), strict=True))
    homes |= dict.fromkeys(OF_EACH_RULE, "a request") | {"nsContainer": "cn=tpi"}
    for kind, home in homes.items():
        for spot, dn in spots.items():
            if spot != home:
                draft = world.answer(kind, dn) if kind in ANSWERS else world.policy(kind).below(dn)
                yield adding(stage, Deed("misplace", f"below {spot}", kind, "", kind), draft)
