"""The access matrix: everybody tries everything, as FreeIPA is and with the suffix opened; docs/access-matrix.md.

PYTHONPATH=.:acls python tests/realm/acls_matrix.py     writes the document anew
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from acls_cast import (
    ANONYMOUS,
    DIRECTORY_MANAGER,
    EVERYBODY,
    HERE,
    IVAN,
    OTHER,
    POLICY_EXECUTOR,
    POLICY_EXECUTORS,
)
from acls_deeds import Trial
from acls_model import expected
from acls_more_deeds import trials
from acls_run import AT_ONCE, Mark, Results, outcomes
from acls_stage import Stage, joined, staged
from acls_tables import rows, sections, who_is_who
from acls_world import World, new_world

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "access-matrix.md"
OPEN = '(targetattr = "*")(version 3.0; acl "open"; allow (all, selfwrite, proxy, moddn) userdn = "ldap:///anyone";)'
# A change of an ACI counts a moment after it was answered.
ACI_SECONDS = 0.2

THREADS = 2
# With the suffix opened: one of each. bob, carol and erin are what alice is, frank and the services what dave is;
# Directory Manager is above it all.
OPENED_COLUMNS = (
    "alice",
    "dave",
    "adam",
    "erin-admin",
    "grace",
    "Heidi",
    IVAN,
    "HTTP/localhost",
    HERE,
    OTHER,
    POLICY_EXECUTOR,
    ANONYMOUS,
)

Matrix = Mapping[str, Results]

_HEAD = """# Access matrix

Written by `python tests/realm/acls_matrix.py` from what a live 389-ds answered; do not edit. The test
`tests/realm/test_acls_matrix.py` tries all of it again, and compares it with this file and with what
`tests/realm/acls_model.py` computes from the rules of the design, which knows nothing of how the ACIs are made.

What each ACI and each setting is needed for: [access-drop-one.md](access-drop-one.md).

## Who
"""
_LEGEND = """
## How to read it

**yes**: it was done. **·**: the directory refused it for want of rights, or showed nothing. **name**: class and name
only, which FreeIPA shows of its containers to everybody. Empty: not tried (who may not ask has no request of his own;
nothing is hung on an entry that he may not add at all; nobody acts for himself by proxy).

Lines that end alike are one line. `own request` is one of the person in the column; `another's request for X` one of
somebody who is in no column, for the executor X. What the directory lets be added is not yet believed: the executor
judges each entry anew.

## As FreeIPA is

FreeIPA's own access rules at the suffix, "Admin can manage any entry" among them.
"""
_OPENED = """## With the suffix opened

An administrator has added at the suffix, where he may: let everybody do everything, `selfwrite`, `proxy` and `moddn`
included. Below cn=tpi all is as above but for these lines: who may write policy then needs no form for it. One of each
kind tries it: bob, carol and erin are what alice is, frank and the other services what dave is. Reading is no part of
this: policy is then readable.
"""


@contextmanager
def open_suffix(world: World, aci: str = OPEN) -> Iterator[None]:
    """Let everybody do everything at the suffix."""
    with world.values(world.layout.suffix, "aci", aci):
        time.sleep(ACI_SECONDS)
        yield
    time.sleep(ACI_SECONDS)


def everything(world: World, *, opened: bool) -> Matrix:
    """Let everybody try everything; those who may change nothing two at a time."""
    columns = OPENED_COLUMNS if opened else EVERYBODY
    worlds: SimpleQueue[World] = SimpleQueue()
    for _ in range(THREADS):
        worlds.put(world.again())
    with staged(world) as stage, ThreadPoolExecutor(THREADS) as pool:

        def one(who: str) -> Results:
            mine = worlds.get()
            try:
                return tried(replace(stage, world=mine), who, opened=opened)
            finally:
                worlds.put(mine)

        mighty = POLICY_EXECUTORS | {DIRECTORY_MANAGER}
        harmless = [who for who in columns if who not in mighty]
        found = dict(zip(harmless, pool.map(one, harmless), strict=True))
        found |= {who: tried(stage, who, opened=opened) for who in columns if who in mighty}
    return {who: found[who] for who in columns}


def tried(stage: Stage, who: str, *, opened: bool) -> Results:
    """Let somebody try everything."""
    with joined(stage, who) as his:
        # Directory Manager's deeds all succeed, so they would get in each other's way.
        at_once = 1 if who == DIRECTORY_MANAGER else AT_ONCE
        deeds = orderly(trials(his, who, opened=opened), who, opened)
        return outcomes(stage.world.bound(who), deeds, at_once)


def orderly(found: Iterable[Trial], who: str, opened: bool) -> Iterator[Trial]:
    """Let deeds that should be refused not wait for each other."""
    for trial in found:
        refused = expected(who, trial.deed, opened=opened) is Mark.NO
        yield replace(trial, alone=False) if refused else trial


def wrong(matrix: Matrix, *, opened: bool) -> list[str]:
    """Return what ended otherwise than the model says."""
    return [
        f"{who}: {deed.verb} {deed.place}: {deed.name} {deed.item}: {outcome}, should be {right}"
        for who, results in matrix.items()
        for deed, outcome in results.items()
        if outcome is not (right := expected(who, deed, opened=opened))
    ]


def document(plain: Matrix, opened: Matrix) -> str:
    """Return docs/access-matrix.md."""
    same = rows({who: plain[who] for who in OPENED_COLUMNS}, OPENED_COLUMNS)
    other = {row: marks for row, marks in rows(opened, OPENED_COLUMNS).items() if marks != same.get(row)}
    as_is = sections(rows(plain, EVERYBODY), EVERYBODY)
    lines = [_HEAD, *who_is_who(), _LEGEND, *as_is, _OPENED, *sections(other, OPENED_COLUMNS)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Write the document; return the exit status."""
    with new_world() as world:
        plain = everything(world, opened=False)
        with open_suffix(world):
            opened = everything(world, opened=True)
    faults = [*wrong(plain, opened=False), *wrong(opened, opened=True)]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    tried = sum(len(results) for matrix in (plain, opened) for results in matrix.values())
    refused = sum(list(results.values()).count(Mark.NO) for m in (plain, opened) for results in m.values())
    sys.stdout.write(
        f"{tried} deeds tried, {refused} refused, {len(faults)} otherwise than the design says\n"
    )
    DOCUMENT.write_text(document(plain, opened), encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
