"""Takes out each ACI, each part of one and each setting on the live server; docs/access-drop-one.md.

PYTHONPATH=.:acls python tests/realm/acls_drop_one.py     writes the document anew
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import ldap
from acls_attempts import Scene
from acls_cast import HERE
from acls_lines import APPOINTED, DISMISSED, LINES, LOST, OPENED, Line
from acls_matrix import ACI_SECONDS, open_suffix
from acls_parts import Part, parts
from acls_report import document
from acls_settings import SETTING_LINES, SETTINGS, dynamic
from acls_stage import staged
from acls_world import World, new_world

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "access-drop-one.md"
# How long a change may take to count on a busy machine.
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.02
ASK_FOR_THEMSELVES = ("alice", "grace", "erin-admin")


@dataclass(frozen=True)
class Outcome:
    """What a line showed: in which words the attempt was refused, and what was otherwise than the line says."""

    line: Line
    refused: str
    faults: tuple[str, ...] = ()


@contextmanager
def scene(world: World) -> Iterator[Scene]:
    """Set the stage, with a request of their own for those who try something with it."""
    dynamic(world)
    with staged(world) as stage:
        assert stage.values  # read before anything is deleted
        made = Scene(stage, {who: world.add(who, world.request()) for who in ASK_FOR_THEMSELVES})
        try:
            yield made
        finally:
            # A planted tombstone, once gone, still counts as an entry below.
            with suppress(ldap.NOT_ALLOWED_ON_NONLEAF):
                for dn in made.own.values():
                    world.remove(dn)


def outcomes(made: Scene) -> dict[Line, Outcome]:
    """Try every line; those before which the same was done, one after the other."""
    found = {line: loss(made, line) for line in LOST}
    lines = (*LINES, *SETTING_LINES)
    for before in dict.fromkeys(line.before for line in lines):
        with ExitStack() as stack:
            for what in before:
                stack.enter_context(_done(made.world, what))
            time.sleep(ACI_SECONDS if before else 0)
            found |= {line: attack(made, line) for line in lines if line.before == before}
    return found


def attack(made: Scene, line: Line) -> Outcome:
    """Show that an attempt fails with everything in place, and with one part of several; and succeeds without."""
    refused, faults = _soon(lambda: line.attempt.refusal(made)), []
    if not refused:
        faults.append("succeeds with everything in place")
    for part in line.parts if len(line.parts) > 1 else ():
        with taken_out(made.world, (part,)):
            time.sleep(ACI_SECONDS)
            if not line.attempt.refusal(made):
                faults.append(f"succeeds without {part} alone")
    with taken_out(made.world, line.parts):
        if not _soon(lambda: not line.attempt.refusal(made)):
            faults.append(f"fails even without: {line.attempt.refusal(made)}")
    return Outcome(line, str(refused), tuple(faults))


def loss(made: Scene, line: Line) -> Outcome:
    """Show that an attempt succeeds with everything in place, and fails without."""
    faults = [] if _soon(lambda: not line.attempt.refusal(made)) else ["fails with everything in place"]
    with taken_out(made.world, line.parts):
        refused = _soon(lambda: line.attempt.refusal(made))
    if not refused:
        faults.append("succeeds even without")
    return Outcome(line, str(refused), tuple(faults))


def _soon(holds: Callable[[], object]) -> object:
    """Wait until something holds, and return it; or what it was at last."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()) and time.monotonic() < give_up:
        time.sleep(PAUSE_SECONDS)
    return found


@contextmanager
def _done(world: World, what: str) -> Iterator[None]:
    """Do what was done before an attempt, and undo it."""
    accounts, dn = f"cn=accounts,{world.layout.suffix}", world.dn(HERE)
    ways = {
        OPENED: lambda: open_suffix(world),
        APPOINTED: lambda: world.values(f"cn=TPI Approver,cn=roles,{accounts}", "member", dn),
        DISMISSED: lambda: world.without(f"cn=executors,{world.top}", "member", dn),
    }
    with ways[what]():
        yield


@contextmanager
def taken_out(world: World, names: tuple[str, ...]) -> Iterator[None]:
    """Take parts of ACIs and settings out of the live server, and put them back."""
    known = parts(world.layout.suffix)
    ours = [known[name] for name in names if name in known]
    with ExitStack() as stack:
        for dn in {part.dn for part in ours}:
            stack.enter_context(_without(world, dn, [part for part in ours if part.dn == dn]))
        for name in (one for one in names if one not in known):
            stack.enter_context(SETTINGS[name].taken_out(world))
        yield


@contextmanager
def _without(world: World, dn: str, gone: list[Part]) -> Iterator[None]:
    """Take parts out of the ACIs of one entry."""
    ((_, has),) = world.root.search_s(dn, ldap.SCOPE_BASE, attrlist=["aci"])
    left = {value.decode() for value in has["aci"]}
    for text in {part.aci.text() for part in gone}:
        left.remove(text)  # an error if the server does not have it
        same = [part for part in gone if part.aci.text() == text]
        aci = same[0].aci
        for part in same:
            aci = part.without(aci) if aci else None
        left |= {aci.text()} if aci else set()
    world.root.modify_s(dn, [(ldap.MOD_REPLACE, "aci", [text.encode() for text in left] or None)])
    try:
        yield
    finally:
        world.root.modify_s(dn, [(ldap.MOD_REPLACE, "aci", has["aci"])])


def faults(found: dict[Line, Outcome]) -> list[str]:
    """Return what was otherwise than the lines say."""
    return [
        f"{' + '.join(line.parts)}: {line.attempt.who} {line.attempt.words}: {fault}"
        for line, outcome in found.items()
        for fault in outcome.faults
    ]


def main() -> int:
    """Write the document; return the exit status."""
    with new_world() as world, scene(world) as made:
        found = outcomes(made)
        suffix = world.layout.suffix
    wrong = faults(found)
    sys.stdout.writelines(f"{one}\n" for one in wrong)
    refusals = {line: outcome.refused for line, outcome in found.items()}
    DOCUMENT.write_text(document(refusals, suffix), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
