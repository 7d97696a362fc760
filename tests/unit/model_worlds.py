"""Generated worlds for `test_against_model.py`, and what the decision core is given of them.

A world is drawn as a usual one in which almost everything is right, with a few changes to it: that keeps
both answers frequent.  `World` and `Ask` are the slow model's; `facts_of` turns them into the core's values.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from decide_builders import APPROVE_PERMISSION, EXECUTOR, HOST, OLD, REALM, RESTART, SUFFIX, T0, an_id, at
from hypothesis import strategies as st
from slow_model import Ask, Deed, Law, Note, Someone, World, plain

from ipa_tpi.decide.approval import Verified
from ipa_tpi.decide.authorization import Facts, Memory
from ipa_tpi.decide.digest import approval_digest, preview_body, request_digest, sha256
from ipa_tpi.decide.identity import identity_of
from ipa_tpi.model import (
    Account,
    Approval,
    Cancellation,
    Child,
    Denial,
    Execution,
    Floor,
    FloorOperation,
    Group,
    HostEntry,
    Kind,
    Operation,
    Outcome,
    Policy,
    Preview,
    Request,
    Result,
    Right,
    Rule,
    Stage,
    Subtree,
    Withdrawal,
)

PEOPLE = ("alice", "bob", "carol", "dave", "erin", "erin-admin", "Heidi")
NOW = 60


def person_dn(uid: str) -> str:
    """Give a person's DN."""
    return f"uid={uid.lower()},cn=users,cn=accounts,{SUFFIX}"


def group_dn(name: str, container: str = "groups,cn=accounts") -> str:
    """Give a group's DN; the same name may stand in several containers."""
    return f"cn={name},cn={container},{SUFFIX}"


MACHINE = f"fqdn=client1.tpi.test,cn=computers,cn=accounts,{SUFFIX}"
SERVICE = f"krbprincipalname=app/client1.tpi.test@tpi.test,cn=services,cn=accounts,{SUFFIX}"
TARGET = f"fqdn={HOST},cn=computers,cn=accounts,{SUFFIX}"
OPS, DAY, NIGHT, AUDIT = (group_dn(name) for name in ("ops", "day", "night", "audit"))
ROLE = group_dn("ops", "roles,cn=accounts")  # named as a group is
SERVERS, RACK = (group_dn(name, "hostgroups,cn=accounts") for name in ("servers", "ops"))
CRITICAL = group_dn("critical", "tpioperationgroups,cn=tpi")
HARMLESS = group_dn("ops", "tpioperationgroups,cn=tpi")
OTHER_DEED = f"cn=other.verb,cn=tpioperations,cn=tpi,{SUFFIX}"
DEED = RESTART.dn
USER_GROUPS = (OPS, DAY, NIGHT, AUDIT, ROLE)
EVERYBODY = tuple(person_dn(uid) for uid in PEOPLE)


@dataclass(frozen=True)
class Scene:
    """Everything that one comparison is about."""

    world: World
    ask: Ask
    deed: Deed
    now: datetime
    then: World


def somebody(uid: str) -> Someone:
    """Give an account that is right in every respect; erin and erin-admin are two."""
    return Someone(person_dn(uid), f"id-{uid.lower()}", f"{uid}@{REALM}", OLD, persons=(f"no-{uid.lower()}",))


USUAL = World(
    accounts=(
        *(somebody(uid) for uid in PEOPLE),
        Someone(MACHINE, "id-machine", f"host/client1.tpi.test@{REALM}", OLD, "host"),
        Someone(SERVICE, "id-service", f"app/client1.tpi.test@{REALM}", OLD, "service"),
    ),
    members={
        OPS: frozenset({DAY}),
        DAY: frozenset(EVERYBODY),
        NIGHT: frozenset({person_dn("bob"), person_dn("erin")}),
        AUDIT: frozenset({person_dn("carol")}),
        ROLE: frozenset(),
        SERVERS: frozenset({TARGET}),
        RACK: frozenset({SERVERS}),
        CRITICAL: frozenset({DEED}),
        HARMLESS: frozenset({OTHER_DEED}),
        APPROVE_PERMISSION: frozenset({OPS}),
    },
    changed={},
    laws=(
        Law(
            "ask",
            frozenset({"request"}),
            users=frozenset({OPS}),
            hosts=frozenset({TARGET}),
            operations=frozenset({DEED}),
        ),
        Law(
            "approve",
            frozenset({"approve"}),
            users=frozenset({OPS}),
            hosts=frozenset({SERVERS}),
            operations=frozenset({CRITICAL}),
        ),
        Law(
            "machines",
            frozenset({"request"}),
            machines=frozenset({MACHINE, SERVICE}),
            every_host=True,
            operations=frozenset({DEED}),
        ),
    ),
    coarse=APPROVE_PERMISSION,
)
USUAL = replace(USUAL, changed=dict.fromkeys(USUAL.members, OLD))

# Strategies

# Whoever asks and whoever approves in a usual scene is changed more often.
one_of_them = st.sampled_from((*EVERYBODY, *EVERYBODY[:2], *EVERYBODY[:2]))
seconds = st.sampled_from([*range(-1, 65), 0, 1, *([10, 11, 20, 30] * 6), 299, 300, 301, 310, 311])


def _changed(world: World, which: str, /, **changes: object) -> World:
    """Give the world with one account changed."""
    return replace(
        world,
        accounts=tuple(replace(who, **changes) if who.dn == which else who for who in world.accounts),  # type: ignore[arg-type]
    )


def _of(world: World, dn: str) -> Someone:
    return next((who for who in world.accounts if who.dn == dn), somebody("nobody"))


@st.composite
def accounts_changed(draw: st.DrawFn, world: World) -> World:
    """Something about one account is different."""
    dn, other = draw(one_of_them), draw(one_of_them)
    twin = _of(world, other)
    disguise = draw(st.sampled_from([str, str.upper, str.title, lambda text: f" {text} "]))
    changes: dict[str, object] = draw(
        st.sampled_from(
            [
                {"locked": True},
                {"expires": at(NOW)},
                {"expires": at(NOW + 1)},
                {"expires": at(NOW - 1)},
                {"created": at(1)},
                {"created": at(-100)},
                {"persons": ()},
                {"persons": ("no-1", "no-2")},
                {"persons": tuple(disguise(person) for person in twin.persons)},
                {"principal": draw(st.sampled_from([twin.principal.upper(), twin.principal.lower()]))},
                {"unique_id": twin.unique_id},
            ]
        )
    )
    return _changed(world, dn, **changes)


@st.composite
def account_replaced(draw: st.DrawFn, world: World) -> World:
    """Somebody is renamed, deleted, made again under the same name, or takes the name of another."""
    dn, other = draw(one_of_them), draw(one_of_them)
    who, twin = _of(world, dn), _of(world, other)
    how = draw(st.sampled_from(["renamed", "gone", "made again", "takes the name"]))
    if how == "renamed":
        changed = replace(who, dn=person_dn("renamed"), principal=f"renamed@{REALM}")
        members = {
            name: frozenset(changed.dn if one == dn else one for one in inner)
            for name, inner in world.members.items()
        }
        return replace(_changed(world, dn, dn=changed.dn, principal=changed.principal), members=members)
    if how == "gone":
        return replace(world, accounts=tuple(one for one in world.accounts if one.dn != dn))
    if how == "made again":
        return _changed(
            world, dn, unique_id=f"{who.unique_id}-again", created=at(draw(st.sampled_from([-10, 5])))
        )
    rest = tuple(one for one in world.accounts if one.dn not in {dn, other})
    return replace(world, accounts=(*rest, replace(twin, dn=dn, principal=who.principal)))


@st.composite
def groups_changed(draw: st.DrawFn, world: World) -> World:
    """A membership more or less, also one that makes a circle, or a group changed lately."""
    group = draw(st.sampled_from([*USER_GROUPS, APPROVE_PERMISSION]))
    how = draw(st.sampled_from(["add", "take", "lately"]))
    if how == "lately":
        return replace(world, changed=world.changed | {group: at(draw(st.sampled_from([-90, -40, 0])))})
    there = world.members[group]
    if how == "take":
        gone = draw(st.sampled_from(sorted(there))) if there else ""
        return replace(world, members=world.members | {group: there - {gone}})
    more = draw(st.sampled_from([*EVERYBODY, *USER_GROUPS]))
    return replace(world, members=world.members | {group: there | {more}})


@st.composite
def laws_changed(draw: st.DrawFn, world: World) -> World:
    """A rule is different, gone, or there are more."""
    number = draw(st.integers(0, len(world.laws) - 1))
    law = world.laws[number]
    changes: dict[str, object] = draw(
        st.sampled_from(
            [
                {"enabled": False},
                {"rights": frozenset()},
                {"rights": frozenset({"request", "approve"})},
                {"users": frozenset()},
                {"users": frozenset({NIGHT, person_dn("carol")})},
                {"users": frozenset({ROLE})},
                {"every_user": True, "users": frozenset()},
                {"machines": frozenset({MACHINE})},
                {"hosts": frozenset()},
                {"hosts": frozenset({RACK})},
                {"every_host": True, "hosts": frozenset()},
                {"operations": frozenset()},
                {"operations": frozenset({HARMLESS})},
                {"operations": frozenset({CRITICAL, OTHER_DEED})},
                {"every_operation": True, "operations": frozenset()},
            ]
        )
    )
    changed = replace(law, **changes)  # type: ignore[arg-type]
    if draw(st.booleans()):
        return replace(world, laws=(*world.laws, changed))
    return replace(world, laws=(*world.laws[:number], changed, *world.laws[number + 1 :]))


@st.composite
def other_members_changed(draw: st.DrawFn, world: World) -> World:
    """Host groups and groups of operations hold other things, or each other in a circle."""
    group, member = draw(
        st.sampled_from(
            [(SERVERS, RACK), (RACK, TARGET), (CRITICAL, HARMLESS), (HARMLESS, DEED), (HARMLESS, CRITICAL)]
        )
    )
    there = world.members[group]
    changed = there | {member} if draw(st.booleans()) else frozenset()
    return replace(world, members=world.members | {group: frozenset(changed)})


CHANGES = (accounts_changed, groups_changed, groups_changed, laws_changed, other_members_changed)


@st.composite
def worlds(draw: st.DrawFn, most: int = 5) -> World:
    """Draw a directory."""
    world = replace(USUAL, person_attribute=draw(st.sampled_from([True, True, True, False])))
    if draw(st.booleans()):
        world = _changed(world, person_dn("erin-admin"), persons=("NO-Erin",))
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=most)):
        world = draw(change(world))
    return world


@st.composite
def deeds(draw: st.DrawFn, *, staged: bool = False) -> Deed:
    """Draw an operation: numbers, groups, stages, windows, age."""
    groups = st.sampled_from([OPS, DAY, NIGHT, AUDIT, ROLE])
    stages = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2), groups), max_size=3))
    kept = {
        (order, group): (order, count, group) for order, count, group in stages
    }  # a group once in an order
    return Deed(
        DEED,
        enabled=draw(st.sampled_from([True] * 19 + [False])),
        approvals=draw(st.sampled_from([1, 1, 1, 2, 3])),
        floor_approvals=draw(st.sampled_from([1, 1, 1, 2])),
        on_floor=draw(st.sampled_from([True] * 19 + [False])),
        proof=draw(st.sampled_from([True, True, False])),
        execution_seconds=draw(st.sampled_from([300, 300, 30, 10])),
        timeout_seconds=draw(st.sampled_from([60, 10])),
        groups=draw(st.frozensets(groups, max_size=2)) if staged or draw(st.booleans()) else frozenset(),
        stages=tuple(sorted(kept.values())) if staged or draw(st.booleans()) else (),
        minimum_age_seconds=draw(st.sampled_from([0, 0, 0, 100, 150])),
    )


@st.composite
def notes(draw: st.DrawFn, number: int, vetoes: tuple[str, ...]) -> Note:
    """Draw an entry by a person."""
    what = draw(st.sampled_from(["approval"] * 4 + [*vetoes]))
    who = draw(
        st.one_of(one_of_them, one_of_them, one_of_them, st.sampled_from([MACHINE, person_dn("alice")]))
    )
    return Note(
        an_id(draw(st.integers(1, 9)) * 100 + number),
        what,
        who,
        at(draw(seconds)),
        about=draw(st.sampled_from(["right"] * 7 + ["wrong"])) if what == "approval" else "right",
        conflict=draw(st.sampled_from([False] * 39 + [True])) if what == "approval" else False,
    )


@st.composite
def executors_notes(draw: st.DrawFn) -> list[Note]:
    """Draw what the target's executor, or somebody in its name, wrote."""
    preview = Note(an_id(1), "preview", EXECUTOR, at(1), says="a")
    more: list[Note] = draw(
        st.sampled_from(
            [
                *([[]] * 8),
                [replace(preview, id=an_id(2), says="b")],
                [Note(an_id(3), "execution", EXECUTOR, at(40), says="n1")],
                [Note(an_id(3), "execution", EXECUTOR, at(40), says="n2")],
                [Note(an_id(4), "result", EXECUTOR, at(50), says=draw(st.sampled_from(list(Outcome))).value)],
                [Note(an_id(4), "result", person_dn("bob"), at(50), says="executed")],
            ]
        )
    )
    return ([preview] if draw(st.sampled_from([True] * 7 + [False])) else []) + more


VOTERS = tuple(person_dn(uid) for uid in ("bob", "carol", "erin", "erin-admin"))


@st.composite
def quiet_scenes(draw: st.DrawFn) -> Scene:
    """Draw a request that may well run: it is about moments, people's second accounts, and who takes back what."""
    times = st.sampled_from([0, 0, 10, 29, 30, 31])
    kinds = st.sampled_from(["approval"] * 4 + ["withdrawal"] * 2 + ["denial", "cancellation"])
    entries = [Note(an_id(100), "approval", VOTERS[0], at(draw(times)))]
    for number in range(draw(st.integers(0, 3))):
        what = draw(kinds)
        who = person_dn("alice") if what == "cancellation" else draw(st.sampled_from(VOTERS))
        entries.append(Note(an_id(draw(st.sampled_from([50, 150])) + number), what, who, at(draw(times))))
    if draw(st.integers(0, 19)) == 13:
        entries[-1] = replace(entries[-1], conflict=True)
    world = replace(
        _changed(USUAL, person_dn("erin-admin"), persons=("NO-Erin",)), person_attribute=draw(st.booleans())
    )
    then = world
    if draw(st.booleans()):
        world = draw(draw(st.sampled_from([accounts_changed, account_replaced, groups_changed]))(world))
    deed = (
        draw(deeds())
        if draw(st.sampled_from([True, False, False]))
        else Deed(DEED, approvals=draw(st.sampled_from([1, 1, 2])))
    )
    deed = replace(
        deed,
        enabled=True,
        on_floor=True,
        execution_seconds=draw(st.sampled_from([30, 300])),
        approval_seconds=draw(st.sampled_from([31, 300])),
    )
    preview = Note(an_id(1), "preview", EXECUTOR, at(0), says="a")
    who = draw(st.sampled_from([person_dn("alice")] * 4 + [MACHINE]))
    unproven = draw(st.sampled_from([None] * 6 + [who, VOTERS[0]]))
    ask = Ask(
        who,
        T0,
        TARGET,
        tuple(draw(st.permutations([preview, *entries]))),
        EXECUTOR,
        first_sight=_first_sight(then),
        proven=frozenset(
            (dn, purpose, "right")
            for dn in (*EVERYBODY, MACHINE)
            for purpose in ("approve", "request")
            if dn != unproven
        ),
        journal=frozenset({preview.id}),
        own_preview="a",
    )
    return Scene(
        world, ask, deed, at(draw(st.sampled_from([31, 31, 31, 32, 40, 41, NOW, NOW, NOW, 61, 331]))), then
    )


def _first_sight(world: World) -> dict[str, tuple[str, str, str]]:
    return {
        one.dn: (one.unique_id, one.principal, min(map(plain, one.persons), default=""))
        for one in world.accounts
    }


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Draw a request in a world that changes while it waits."""
    if draw(st.booleans()):
        return draw(quiet_scenes())
    then = draw(worlds(3))
    world = then
    for change in draw(st.lists(st.sampled_from([*CHANGES, account_replaced, account_replaced]), max_size=2)):
        world = draw(change(world))
    who = draw(st.sampled_from([person_dn("alice")] * 6 + [person_dn("Heidi"), MACHINE, SERVICE]))
    written = draw(executors_notes())
    vetoes = draw(
        st.sampled_from([(), (), ("withdrawal", "withdrawal"), ("denial", "withdrawal", "cancellation")])
    )
    entries = [draw(notes(number, vetoes)) for number in range(draw(st.integers(1, 6)))]
    lacking = draw(st.sampled_from([None] * 12 + [an_id(1), an_id(2), an_id(3), an_id(4)]))
    unproven = draw(st.sampled_from([None] * 3 + [who, person_dn("bob"), person_dn("carol")]))
    seen = {note.id: note.when for note in (*entries, *written)}
    early = draw(st.sampled_from([None] * 5 + ["request", *(note.id for note in entries)]))
    first_seen = {
        name: when - timedelta(seconds=15) for name, when in (seen | {"request": T0}).items() if name == early
    }
    ask = Ask(
        who,
        T0,
        TARGET,
        tuple(draw(st.permutations(entries + written))),
        EXECUTOR,
        first_seen=first_seen,
        first_sight=_first_sight(then),
        proven=frozenset(
            {(dn, "approve", "right") for dn in EVERYBODY if dn != unproven}
            | ({(who, "request", "right")} if who != unproven else set())
        ),
        journal=frozenset(note.id for note in written if note.who == EXECUTOR and note.id != lacking),
        own_preview="a" if any(note.what == "preview" for note in written) else None,
        nonce="n1",
    )
    now = at(draw(st.sampled_from([NOW] * 6 + [0, 40, 41, 299, 300, 301, 360, 610, 700])))
    return Scene(world, ask, draw(deeds()), now, then)


# What the core is given


def _groups_of(world: World, dn: str) -> frozenset[str]:
    """Give all groups that hold something, as the directory's memberOf does."""
    found: set[str] = set()
    while more := {group for group, inner in world.members.items() if inner & (found | {dn})} - found:
        found |= more
    return frozenset(found)


def account_of(world: World, who: Someone) -> Account:
    """Give an account as the core knows it."""
    return Account(
        dn=who.dn,
        unique_id=who.unique_id,
        principal=who.principal,
        kind=Kind(who.kind),
        created=who.created,
        persons=who.persons if world.person_attribute else (),
        member_of=_groups_of(world, who.dn),
        disabled=who.locked,
        expires=who.expires,
    )


def operation_of(deed: Deed) -> Operation:
    """Give a loaded operation."""
    return replace(
        RESTART,
        enabled=deed.enabled,
        required_approvals=deed.approvals,
        approval_seconds=deed.approval_seconds,
        execution_seconds=deed.execution_seconds,
        timeout_seconds=deed.timeout_seconds,
        required_groups=deed.groups,
        stages=tuple(Stage(order, count, group) for order, count, group in deed.stages),
        minimum_age_seconds=deed.minimum_age_seconds,
    )


def floor_of(deed: Deed) -> FloorOperation:
    """Give what the floor says of the operation."""
    return FloorOperation(deed.floor_approvals, proof=deed.proof, instances=frozenset({"DS01"}))


def policy_of(world: World, deed: Deed) -> Policy:
    """Give rules, operations and groups of operations."""
    rules = tuple(
        Rule(
            dn=f"ipauniqueid={number},cn=tpirules,cn=tpi,{SUFFIX}",
            name=law.name,
            enabled=law.enabled,
            rights=frozenset(Right(right) for right in law.rights),
            members=law.users,
            all_users=law.every_user,
            requesting=law.machines,
            hosts=law.hosts,
            all_hosts=law.every_host,
            operations=law.operations,
            all_operations=law.every_operation,
        )
        for number, law in enumerate(world.laws)
    )
    operation = operation_of(deed)
    groups = {name: inner for name, inner in world.members.items() if "cn=tpioperationgroups" in name}
    return Policy(rules, {operation.name: operation}, operation_groups=groups)


def host_of(world: World) -> HostEntry:
    """Give the target's entry."""
    return HostEntry(TARGET, HOST, _groups_of(world, TARGET))


def groups_of(world: World) -> dict[str, Group]:
    """Give all groups as entries."""
    return {name: Group(name, world.changed[name], _groups_of(world, name)) for name in world.members}


def _request(scene: Scene) -> Request:
    requester = _of(scene.then, scene.ask.who)
    asked = Request(
        id="7d7a2a9e-5d2e-4f34-9c55-0f6a3a3b7a10",
        operation=RESTART.name,
        operation_digest=RESTART.digest,
        target=HOST,
        executor=EXECUTOR,
        parameters={"instance": "DS01"},
        reason="",
        ticket="",
        interface="cli",
        digest=b"",
        dn=f"ipatpirequestid=1,cn=requests,cn=tpi,{SUFFIX}",
        creator=scene.ask.who,
        created=scene.ask.when,
    )
    return replace(asked, digest=request_digest(asked, requester.principal))


def _body(says: str) -> bytes:
    return preview_body({"unit": says}, {})


def _child(note: Note, right: bytes) -> Child:
    common = (note.id, f"ipatpientryid={note.id}", note.who, note.when, note.conflict)
    digest = right if note.about == "right" else sha256(b"another")
    match note.what:
        case "preview":
            return Preview(*common, body=_body(note.says), digest=sha256(_body(note.says)))
        case "approval":
            return Approval(*common, digest=digest)
        case "denial":
            return Denial(*common, digest=digest)
        case "withdrawal":
            return Withdrawal(*common, digest=digest)
        case "cancellation":
            return Cancellation(*common, digest=digest)
        case "execution":
            return Execution(*common, nonce=note.says)
        case _:
            return Result(*common, outcome=note.says)


def facts_of(scene: Scene) -> Facts:
    """Give the core's facts of a scene."""
    world, ask, deed = scene.world, scene.ask, scene.deed
    asked = _request(scene)
    right = approval_digest(asked.digest, sha256(_body("a")))
    digests = {"approve": right, "request": asked.digest}
    writers = {ask.who, *(note.who for note in ask.notes)} - {EXECUTOR}
    now_there = {who.dn: account_of(world, who) for who in world.accounts}
    floor = {RESTART.name: floor_of(deed)}
    return Facts(
        me=EXECUTOR,
        target=HOST,
        realm=REALM,
        now=scene.now,
        subtree=Subtree(asked, tuple(_child(note, right) for note in ask.notes)),
        policy=policy_of(world, deed),
        host=host_of(world),
        floor=Floor(
            floor if deed.on_floor else {},
            person_attribute="employeeNumber" if world.person_attribute else "",
            clock_skew_seconds=ask.skew_seconds,
        ),
        accounts={dn: now_there.get(dn) for dn in writers},
        approve_permission=APPROVE_PERMISSION,
        memory=Memory(
            journal_started=OLD,
            first_seen={
                asked.id if name == "request" else name: when for name, when in ask.first_seen.items()
            },
            identities={
                who.dn: identity_of(account_of(scene.then, who))
                for who in scene.then.accounts
                if who.dn in writers
            },
            written=ask.journal,
            verified=frozenset(Verified(who, purpose, digests[purpose]) for who, purpose, _ in ask.proven),
            preview_digest=sha256(_body(ask.own_preview)) if ask.own_preview else None,
            own_nonce=ask.nonce,
        ),
        groups=groups_of(world),
    )
