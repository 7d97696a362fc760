"""A slow, obviously right model of who may do what and of what becomes of a request.

It was written from the design, the requirements and the manuals, apart from `ipa_tpi.decide`, of which it
imports nothing.  It knows no index, no early end and no cleverness: it walks every path, tries every order,
and asks the same question again where it needs the answer again.  `test_against_model.py` compares.

A world is plain: accounts, and groups with their direct members, as they are in the directory at one moment.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import permutations


@dataclass(frozen=True)
class Someone:
    """An account at one moment; `kind` is person, host or service."""

    dn: str
    unique_id: str
    principal: str
    created: datetime
    kind: str = "person"
    persons: tuple[str, ...] = ()
    locked: bool = False
    expires: datetime | None = None


@dataclass(frozen=True)
class Law:
    """A rule as an administrator wrote it."""

    name: str
    rights: frozenset[str]
    users: frozenset[str] = frozenset()
    every_user: bool = False
    machines: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    every_host: bool = False
    operations: frozenset[str] = frozenset()
    every_operation: bool = False
    enabled: bool = True


@dataclass(frozen=True)
class Deed:
    """An operation, with what the target's floor says of it."""

    dn: str
    enabled: bool = True
    approvals: int = 1
    floor_approvals: int = 1
    on_floor: bool = True
    proof: bool = True
    approval_seconds: int = 300
    execution_seconds: int = 300
    timeout_seconds: int = 60
    groups: frozenset[str] = frozenset()
    stages: tuple[tuple[int, int, str], ...] = ()
    minimum_age_seconds: int = 0


@dataclass(frozen=True)
class World:
    """The directory at one moment.

    Attributes:
        members: By the DN of a group, role, host group or operation group, its direct members.
        changed: By the same DN, when it was last changed.
        coarse: DN of the role without which the directory lets nobody add an approval or a denial.
    """

    accounts: tuple[Someone, ...]
    members: dict[str, frozenset[str]]
    changed: dict[str, datetime]
    laws: tuple[Law, ...]
    coarse: str
    person_attribute: bool = True
    realm: str = "TPI.TEST"


@dataclass(frozen=True)
class Note:
    """An entry below a request.

    Attributes:
        what: preview, approval, denial, withdrawal, cancellation, execution or result.
        about: Which digest it bears: right, or anything else.
        says: The outcome of a result, the nonce of an execution, the body of a preview.
    """

    id: str
    what: str
    who: str
    when: datetime
    about: str = "right"
    says: str = ""
    conflict: bool = False


@dataclass(frozen=True)
class Ask:
    """A request with what lies below it and with what the target's executor remembers.

    Attributes:
        first_seen: By entry id (the request's is "request"), when the executor saw it first.
        first_sight: By DN, who was behind it at first sight: unique id, principal and person.
        proven: Who has a verified proof, and for what: (dn, purpose, which digest).
        journal: The ids of entries that the executor wrote itself.
        own_preview: The body of the preview that it journalled, or None.
        nonce: Of its own intent, if there is one that is not claimed.
    """

    who: str
    when: datetime
    host: str
    notes: tuple[Note, ...]
    executor: str
    first_seen: dict[str, datetime] = field(default_factory=dict)
    first_sight: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    proven: frozenset[tuple[str, str, str]] = frozenset()
    journal: frozenset[str] = frozenset()
    own_preview: str | None = None
    nonce: str = ""
    skew_seconds: int = 5


@dataclass(frozen=True)
class Verdict:
    """The model's answer: what to do (run, wait, never), the state, and the ids of the approvals that count."""

    answer: str
    state: str
    counted: tuple[str, ...]


# Who is who


def is_called(world: World, name: str) -> Someone | None:
    """Whom does an authenticated principal name?  The one whose canonical name it is, to the letter."""
    for someone in world.accounts:
        if someone.principal == name and name.endswith(f"@{world.realm}"):
            return someone
    return None


# Who is where


def inside(world: World, member: str, group: str, path: tuple[str, ...] = ()) -> bool:
    """Is `member` in `group`, however deep?  Every way that visits no group twice is walked."""
    for one in world.members.get(group, frozenset()):
        if one == member:
            return True
        if one not in path and inside(world, member, one, (*path, group)):
            return True
    return False


def is_or_is_inside(world: World, member: str, named: frozenset[str]) -> bool:
    """Is `member` one of those named, or in one of them?"""
    return any(member == name or inside(world, member, name) for name in named)


def account_at(world: World, dn: str) -> Someone | None:
    """Who has this DN now?"""
    found = [someone for someone in world.accounts if someone.dn == dn]
    return found[0] if found else None


def plain(text: str) -> str:
    """Letter case and surplus spaces distinguish nobody."""
    return " ".join(text.casefold().split())


def same_human(world: World, one: Someone, other: Someone) -> bool:
    """Could these two be one human being (K02, X09)?  Anything that they share says yes."""
    if one.dn == other.dn or one.unique_id.lower() == other.unique_id.lower():
        return True
    if plain(one.principal) == plain(other.principal):
        return True
    if not world.person_attribute:
        return False
    return any(plain(a) == plain(b) for a in one.persons for b in other.persons)


def usable(world: World, someone: Someone | None, now: datetime) -> bool:
    """May this account take part at all?"""
    if someone is None or someone.locked or not someone.principal.endswith(f"@{world.realm}"):
        return False
    if someone.expires is not None and someone.expires <= now:
        return False
    return not (world.person_attribute and someone.kind == "person" and len(someone.persons) != 1)


# What the rules say


def law_fits(world: World, law: Law, right: str, who: Someone, deed: str, host: str) -> bool:
    """Does this one rule give it?  All of its dimensions must match; an empty one matches nobody."""
    if not law.enabled or right not in law.rights:
        return False
    if who.kind == "person":
        someone = law.every_user or is_or_is_inside(world, who.dn, law.users)
    else:
        someone = right == "request" and is_or_is_inside(world, who.dn, law.machines)
    somewhere = law.every_host or is_or_is_inside(world, host, law.hosts)
    something = law.every_operation or is_or_is_inside(world, deed, law.operations)
    return someone and somewhere and something


def may(world: World, right: str, who: Someone, deed: Deed, host: str) -> bool:
    """May this account request or approve this operation on this host (K03)?"""
    if not deed.enabled:
        return False
    return any(law_fits(world, law, right, who, deed.dn, host) for law in world.laws)


def membership_is_old(world: World, who: Someone, named: str, then: datetime) -> bool:
    """Has no group between this account and what is named been changed since (X11)?"""
    if who.dn == named:
        return True
    if not inside(world, who.dn, named):
        return False
    for group in world.members:
        between = group == named or inside(world, group, named)
        if between and inside(world, who.dn, group) and world.changed[group] > then:
            return False
    return True


def old_enough(world: World, right: str, who: Someone, deed: Deed, host: str, now: datetime) -> bool:
    """Is the account, and one way to the right, as old as the operation demands (X11)?

    Whoever is in a group that the operation names is in it for that long too, or does not count at all.
    """
    if not deed.minimum_age_seconds:
        return True
    then = now - timedelta(seconds=deed.minimum_age_seconds)
    if who.created > then:
        return False
    for group in [*deed.groups, *(group for _, _, group in deed.stages)]:
        if inside(world, who.dn, group) and not membership_is_old(world, who, group, then):
            return False
    for law in world.laws:
        if law_fits(world, law, right, who, deed.dn, host):
            if who.kind == "person" and law.every_user:
                return True
            for named in law.users if who.kind == "person" else law.machines:
                if membership_is_old(world, who, named, then):
                    return True
    return False


# What the executor believes of whoever took part


def remembered_otherwise(world: World, ask: Ask, someone: Someone) -> bool:
    """Was somebody else behind this DN when the executor first saw it?"""
    if someone.dn not in ask.first_sight:
        return False
    unique_id, principal, person = ask.first_sight[someone.dn]
    if not world.person_attribute:
        return (unique_id, principal) != (someone.unique_id, someone.principal)
    now = min((plain(value) for value in someone.persons), default="")
    return (unique_id, principal, person) != (someone.unique_id, someone.principal, now)


def spoiled(world: World, ask: Ask, dn: str, now: datetime) -> bool:
    """Is the account behind this DN gone, unusable, changed, or younger than the request?"""
    someone = account_at(world, dn)
    if someone is None or not usable(world, someone, now):
        return True
    return remembered_otherwise(world, ask, someone) or someone.created > ask.when


def may_voice(world: World, ask: Ask, deed: Deed, dn: str, now: datetime) -> bool:
    """Would an approval by whoever has this DN count, as far as the person is concerned?"""
    someone, requester = account_at(world, dn), account_at(world, ask.who)
    if someone is None or requester is None or spoiled(world, ask, dn, now):
        return False
    if someone.kind != "person" or same_human(world, someone, requester):
        return False
    if not inside(world, dn, world.coarse) or not may(world, "approve", someone, deed, ask.host):
        return False
    return old_enough(world, "approve", someone, deed, ask.host, now)


# Enough approvals


def number_needed(world: World, ask: Ask, deed: Deed) -> int:
    """How many must approve, besides the requester (K08, X13)?"""
    requester = account_at(world, ask.who)
    least = 1 if requester is not None and requester.kind == "person" else 2
    return max(least, deed.approvals, deed.floor_approvals, sum(count for _, count, _ in deed.stages))


def all_find_a_place(world: World, people: list[Someone], places: list[str]) -> bool:
    """Can these people be seated, each at a place of a group that he is in?  Every seating is tried."""
    if len(people) > len(places):
        return False
    return any(
        all(inside(world, who.dn, seat) for who, seat in zip(people, seats, strict=True))
        for seats in permutations(places, len(people))
    )


def has_turn(world: World, deed: Deed, taken: list[Someone], who: Someone) -> bool:
    """Is it this person's turn, after those who count already?"""
    before = 0
    for order in sorted({order for order, _, _ in deed.stages}):
        places = [group for number, count, group in deed.stages if number == order for _ in range(count)]
        if len(taken) < before + len(places):
            return all_find_a_place(world, [*taken[before:], who], places)
        before += len(places)
    return True


def enough(world: World, ask: Ask, deed: Deed, taken: list[Someone]) -> bool:
    """Is the quorum complete?"""
    everyone = all(any(inside(world, who.dn, group) for who in taken) for group in deed.groups)
    return len(taken) >= number_needed(world, ask, deed) and everyone


def could_be_satisfied(world: World, ask: Ask, deed: Deed, people: list[Someone]) -> bool:
    """Is there any order in which some of these people, one after the other, complete the quorum?"""
    for number in range(len(people) + 1):
        for order in permutations(people, number):
            turns = [has_turn(world, deed, list(order[:place]), who) for place, who in enumerate(order)]
            if all(turns) and enough(world, ask, deed, list(order)):
                return True
    return False


# Which entries have an effect


def moment(ask: Ask, note: Note) -> datetime:
    """When an entry came: the directory's stamp, or the executor's first sight if that was earlier."""
    return min(note.when, ask.first_seen.get(note.id, note.when))


def approval_deadline(ask: Ask, deed: Deed) -> datetime:
    """Until when approvals are taken."""
    came = min(ask.when, ask.first_seen.get("request", ask.when))
    return came + timedelta(seconds=deed.approval_seconds)


def in_order(ask: Ask, notes: list[Note]) -> list[Note]:
    """By their moments, and by id where these are the same."""
    return sorted(notes, key=lambda note: (moment(ask, note), note.id))


def the_preview(ask: Ask) -> Note | None:
    """What the target would do: one preview of its own, or several that say the same as its journal."""
    found = [note for note in ask.notes if note.what == "preview" and note.who == ask.executor]
    if any(note.says != ask.own_preview for note in found):
        return None
    return found[0] if found else None


def fits(world: World, ask: Ask, deed: Deed, withdrawn: frozenset[str], note: Note, now: datetime) -> bool:
    """Would this approval count, if nobody else had approved?"""
    if note.about != "right" or the_preview(ask) is None or note.who in withdrawn:
        return False
    if moment(ask, note) >= approval_deadline(ask, deed) or note.when < ask.when:
        return False  # stamps have whole seconds: what bears the end's came after it
    if deed.proof and (note.who, "approve", "right") not in ask.proven:
        return False
    return may_voice(world, ask, deed, note.who, now)


def counting(
    world: World, ask: Ask, deed: Deed, withdrawn: frozenset[str], notes: list[Note], now: datetime
) -> list[Note]:
    """Which of these entries are approvals that count, if these people have withdrawn?

    One by one; of those of one second, one whose turn it is comes before one whose turn it is not yet.
    """
    left = in_order(ask, [note for note in notes if note.what == "approval"])
    found: list[Note] = []
    while left:
        moments = [note for note in left if moment(ask, note) == moment(ask, left[0])]
        people = people_of(world, found)
        ready = [note for note in moments if counts_next(world, ask, deed, withdrawn, note, people, now)]
        if ready:
            found.append(ready[0])
        left.remove(ready[0] if ready else moments[0])
    return found


def counts_next(
    world: World,
    ask: Ask,
    deed: Deed,
    withdrawn: frozenset[str],
    note: Note,
    taken: list[Someone],
    now: datetime,
) -> bool:
    """Does this approval count, after those who count already?"""
    someone = account_at(world, note.who)
    if someone is None or not fits(world, ask, deed, withdrawn, note, now):
        return False
    if any(same_human(world, someone, other) for other in taken):
        return False
    return has_turn(world, deed, taken, someone)


def people_of(world: World, notes: list[Note]) -> list[Someone]:
    """Who wrote these?"""
    return [who for note in notes if (who := account_at(world, note.who)) is not None]


def deadline(world: World, ask: Ask, deed: Deed, counted: list[Note]) -> datetime:
    """When the window that runs now ends."""
    for number in range(1, len(counted) + 1):
        if enough(world, ask, deed, people_of(world, counted[:number])):
            return moment(ask, counted[number - 1]) + timedelta(seconds=deed.execution_seconds)
    return approval_deadline(ask, deed)


def timely(world: World, ask: Ask, deed: Deed, veto: Note, now: datetime) -> bool:
    """Was this veto stamped before the deadline that held at its moment?  Earlier ones are judged anew each time."""
    withdrawals = [note for note in ask.notes if note.what == "withdrawal"]
    earlier = [note for note in withdrawals if (moment(ask, note), note.id) < (moment(ask, veto), veto.id)]
    withdrawn = frozenset(note.who for note in earlier if timely(world, ask, deed, note, now))
    there = [note for note in ask.notes if moment(ask, note) <= moment(ask, veto)]
    counted = counting(world, ask, deed, withdrawn, there, now)
    return moment(ask, veto) <= deadline(world, ask, deed, counted)


def denies(world: World, ask: Ask, deed: Deed, note: Note, now: datetime) -> bool:
    """Does this entry alone keep the request from running?"""
    if note.what in {"preview", "receipt", "execution", "result"} and note.who != ask.executor:
        return True  # forged
    if note.conflict or (note.who == ask.executor and note.id not in ask.journal):
        return True
    if note.what == "preview":
        return note.says != ask.own_preview
    if note.what in {"approval", "execution", "result"} or not timely(world, ask, deed, note, now):
        return False
    if note.what == "cancellation":
        return True  # another's is forged
    if account_at(world, note.who) is None or not inside(world, note.who, world.coarse):
        return True  # the directory should have refused it
    return note.what == "denial" and (
        spoiled(world, ask, note.who, now) or says_no(world, ask, deed, note.who)
    )


def says_no(world: World, ask: Ask, deed: Deed, dn: str) -> bool:
    """Has this person's denial an effect?  It has none where only the rules say that he may not approve.

    The requester cancels rather than denies; what looks like another account of his denies.
    """
    someone, requester = account_at(world, dn), account_at(world, ask.who)
    if dn == ask.who:
        return False
    if someone is None or requester is None or same_human(world, someone, requester):
        return True
    return may(world, "approve", someone, deed, ask.host)


def impossible_times(ask: Ask, now: datetime) -> bool:
    """Is a stamp ahead of the clock, or older than the request?"""
    latest = now + timedelta(seconds=ask.skew_seconds)
    stamps = [ask.when, *(note.when for note in ask.notes)]
    return any(stamp > latest or stamp < ask.when for stamp in stamps)


def requester_fails(world: World, ask: Ask, deed: Deed, now: datetime) -> bool:
    """May whoever asked not ask any more?"""
    someone = account_at(world, ask.who)
    if someone is None or spoiled(world, ask, ask.who, now):
        return True
    if not may(world, "request", someone, deed, ask.host):
        return True
    return not old_enough(world, "request", someone, deed, ask.host, now)


# The state


def verdict(world: World, ask: Ask, deed: Deed, now: datetime, *, last: bool = False) -> Verdict:
    """What becomes of a request at a time; `last` asks as the executor does just before it acts."""
    withdrawals = [note for note in ask.notes if note.what == "withdrawal"]
    withdrawn = frozenset(note.who for note in withdrawals if timely(world, ask, deed, note, now))
    counted = counting(world, ask, deed, withdrawn, list(ask.notes), now)
    state = state_of(world, ask, deed, counted, now)
    return Verdict(answer_to(state, last=last), state, tuple(note.id for note in counted))


def state_of(world: World, ask: Ask, deed: Deed, counted: list[Note], now: datetime) -> str:
    """The state, by the precedence of the design."""
    begun = begun_or_ended(ask, deed, now)
    if begun:
        return begun
    for note in ask.notes:
        if note.what == "cancellation" and note.who == ask.who and timely(world, ask, deed, note, now):
            return "cancelled"
    if hopeless(world, ask, deed, now):
        return "denied"
    if now > deadline(world, ask, deed, counted):
        return "expired"
    if the_preview(ask) is None:
        return "awaiting-preview"
    if deed.proof and (ask.who, "request", "right") not in ask.proven:
        return "pending"
    return "approved" if enough(world, ask, deed, people_of(world, counted)) else "pending"


def begun_or_ended(ask: Ask, deed: Deed, now: datetime) -> str:
    """The state where the target's executor has begun, or ended; else nothing."""
    ours = [note for note in ask.notes if note.who == ask.executor]
    for note in ours:
        if note.what == "result":
            return note.says
    for note in ours:
        if note.what == "execution" and note.says != ask.nonce:
            ends = note.when + timedelta(seconds=deed.execution_seconds + deed.timeout_seconds)
            return "indeterminate" if now > ends else "executing"
    return ""


def hopeless(world: World, ask: Ask, deed: Deed, now: datetime) -> bool:
    """Does anything at all stand against it?"""
    if impossible_times(ask, now) or not deed.on_floor or requester_fails(world, ask, deed, now):
        return True
    return any(denies(world, ask, deed, note, now) for note in ask.notes)


def answer_to(state: str, *, last: bool) -> str:
    """Run it, wait, or never; at the last look nothing waits."""
    if state == "approved":
        return "run"
    return "wait" if state in {"pending", "awaiting-preview"} and not last else "never"
