"""What everybody tries in the access matrix, second part: changing what is there, acting for another."""

import uuid
from collections.abc import Iterator
from typing import Any

import ldap
from acls_cast import ANONYMOUS, DIRECTORY_MANAGER, HERE, OTHER, POLICY_EXECUTOR
from acls_deeds import Deed, Trial, adds, compares, misplaced, reads, touching
from acls_disguises import DOOR, clothed, planted
from acls_stage import Stage, Thing, restore
from ldap.controls.simple import ProxyAuthzControl

OUT = "out of cn=tpi"


def trials(stage: Stage, who: str, *, opened: bool) -> Iterator[Trial]:
    """Yield everything that somebody tries, in the order of the table.

    Nothing is read where everything is open at the suffix: policy is then open to everybody, and whether 389-ds
    shows a request depends on what it showed before (test_acls_attacks.py).
    """
    if not opened:
        yield from reads(stage)
        yield from compares(stage)
    yield from adds(stage)
    yield from misplaced(stage)
    if who != DIRECTORY_MANAGER:  # who could make referrals, tombstones and hidden entries
        yield from planted(stage, who)
        yield from clothed(stage, who)
    yield from changes(stage)
    yield from memberships(stage, who)
    yield from proxied(stage, who)
    yield from renames(stage)
    # Moving what has something below it, there and back, confuses 389-ds 2.3; only one could.
    yield from moves(stage, containers=who != DIRECTORY_MANAGER)
    yield from deletions(stage)


def leaves(stage: Stage) -> Iterator[Thing]:
    """Yield what has nothing below it; of the requests those that nobody has answered."""
    yield from (thing for thing in stage.things if thing.kind not in {"container", "ipaTpiRequest"})
    yield from stage.fresh


def changes(stage: Stage) -> Iterator[Trial]:
    """Every attribute that an entry has is written as it is; what could be added to any entry is added."""
    for thing in stage.things:
        if thing.executor == OTHER and thing.kind not in {"ipaTpiRequest", "ipaTpiResult"}:
            continue  # as for the executor of this host
        has = stage.values[thing.dn]
        for name, values in has.items():
            if name != "objectClass":
                yield changing(stage, thing, name, (ldap.MOD_REPLACE, name, values))
        if "aci" in has:
            yield changing(
                stage,
                thing,
                "all aci away",
                (ldap.MOD_DELETE, "aci", None),
                (ldap.MOD_ADD, "aci", has["aci"]),
            )
        for name, value in {
            "objectClass": "extensibleObject",
            "a new aci": DOOR,
            "nsAccountLock": "true",
            "nsRoleDN": stage.world.dn("alice"),
        }.items():
            change = (ldap.MOD_ADD, name.removeprefix("a new "), [value.encode()])
            yield changing(stage, thing, name, change, (ldap.MOD_DELETE, *change[1:]))


def changing(
    stage: Stage, thing: Thing, name: str, change: tuple[int, str, Any], *back: tuple[int, str, Any]
) -> Trial:
    return Trial(
        touching("change", thing, name),
        lambda c: c.modify_ext(thing.dn, [change]),
        (lambda: stage.world.root.modify_s(thing.dn, list(back))) if back else (lambda: None),
    )


def memberships(stage: Stage, who: str) -> Iterator[Trial]:
    """Somebody puts himself and another into the groups, or takes himself out; his own DN is a right of its own."""
    world = stage.world
    for group in (thing for thing in stage.things if thing.kind == "group"):
        has = stage.values[group.dn]
        for name, person in (("himself", who), ("dave", "dave")):
            if person == ANONYMOUS:
                continue  # nobody's DN
            member = world.dn(person).encode()
            way, back = (
                (ldap.MOD_DELETE, ldap.MOD_ADD)
                if member in has["member"]
                else (ldap.MOD_ADD, ldap.MOD_DELETE)
            )
            yield Trial(
                touching("enrol", group, name),
                lambda c, dn=group.dn, change=(way, "member", [member]): c.modify_ext(dn, [change]),
                lambda dn=group.dn, change=(back, "member", [member]): world.root.modify_s(dn, [change]),
                alone=True,
            )


def proxied(stage: Stage, who: str) -> Iterator[Trial]:
    """Somebody does by proxied authorization what another may do."""
    world = stage.world
    above = stage.fresh[0]
    for whom, draft in (
        ("bob", world.answer("ipaTpiApproval", above.dn)),
        ("alice", world.request()),
        (HERE, world.answer("ipaTpiResult", above.dn)),
        (POLICY_EXECUTOR, world.policy("ipaTpiRule")),
    ):
        control = ProxyAuthzControl(criticality=True, authzId=f"dn: {world.dn(whom)}".encode())
        if whom != who:
            kind = draft.attributes["objectClass"][-1]
            yield Trial(
                Deed("impersonate", whom, kind, "to add it", kind),
                lambda c, draft=draft, control=control: c.add_ext(draft.dn, draft.modlist(), [control]),
                lambda draft=draft: world.remove(draft.dn),
            )
            yield Trial(
                Deed("impersonate", whom, "a request", "to read it", "ipaTpiRequest"),
                lambda c, control=control: c.search_ext(above.dn, ldap.SCOPE_BASE, serverctrls=[control]),
            )


def renames(stage: Stage) -> Iterator[Trial]:
    for thing in leaves(stage):
        rdn, _, above = thing.dn.partition(",")
        new = f"{rdn.partition('=')[0]}={uuid.uuid4()}"
        yield Trial(
            touching("rename", thing),
            lambda c, dn=thing.dn, new=new: c.rename(dn, new, None, 1),
            lambda new=f"{new},{above}", rdn=rdn: stage.world.root.rename_s(new, rdn, None, 1),
            alone=True,
        )


def moves(stage: Stage, *, containers: bool) -> Iterator[Trial]:
    """Entries are moved out of cn=tpi, and prepared ones in."""
    world = stage.world
    outside = f"cn=alt,{world.layout.suffix}"
    larger = [thing for thing in stage.things if thing.kind == "container"] if containers else []
    for thing in (*larger, *leaves(stage)):
        yield moving(stage, touching("move", thing, OUT), thing.dn, outside)
        if thing.executor == HERE and thing.kind != "ipaTpiRequest":
            yield moving(
                stage,
                touching("move", thing, "below another request"),
                thing.dn,
                stage.fresh[0].dn,
            )
    for thing, home in stage.prepared:
        yield moving(stage, touching("move", thing, "in"), thing.dn, home)


def moving(stage: Stage, deed: Deed, dn: str, place: str) -> Trial:
    rdn, _, above = dn.partition(",")
    return Trial(
        deed,
        lambda c: c.rename(dn, rdn, place, 0),
        lambda: stage.world.root.rename_s(f"{rdn},{place}", rdn, above, 0),
        alone=True,
    )


def deletions(stage: Stage) -> Iterator[Trial]:
    for thing in leaves(stage):
        yield deleting(stage, thing)


def deleting(stage: Stage, thing: Thing) -> Trial:
    return Trial(
        touching("delete", thing),
        lambda c: c.delete_ext(thing.dn),
        lambda: restore(stage.world, thing, stage.values[thing.dn]),
        alone=True,
    )
