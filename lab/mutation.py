"""Publishes the mutation score of `ipa_tpi/decide`: `python -m lab.mutation FOLDER [MODULE,MODULE…] [resume]`.

It changes the decision core in every small way (see `lab.mutants`, `lab.mutants_outside`), counts what the unit tests notice, and
prints score and survivors.  The results of each module are kept in FOLDER; once there are some of all modules
as they are now, it writes docs/mutation.md.  It fails where the score
is below `LEAST_PERCENT`, a survivor has no explanation in tests/mutation.toml, or an explanation no survivor.
An explained survivor counts against the score all the same.
"""

import hashlib
import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from lab.mutants import PACKAGE, Mutant, Tally, copy_tree, inside_functions, modules
from lab.mutants_outside import outside_functions

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "docs" / "mutation.md"
EXPLAINED: Final = ROOT / "tests" / "mutation.toml"
LEAST_PERCENT: Final = 95.0
_HEAD: Final = """# Mutation score of the decision core

Written by `make mutation`; do not edit. Last run on {date} with [mutmut](https://github.com/boxed/mutmut) {tool}.

**{score:.1f} %** of {total} mutants are noticed by the unit tests `tests/unit/test_decide_*.py` (at least {least:.0f} % are demanded).

A mutant is one small change of `ipa_tpi/decide`: another operator, number, string or argument, a condition
turned round, a value replaced by nothing. Mutmut makes and runs those inside functions; what lies outside of
functions (tables, patterns, limits, defaults) is changed by its operators as well, and run by `lab/mutants_outside.py`.
A survivor is a change that no test noticed; each is explained below, and counts against the score all the
same. The explanations are kept in `tests/mutation.toml`; a survivor without one, and one without a survivor,
fails the run.{resumed}

"""
_RESUMED: Final = """
What an earlier run noticed was not tried again in this one, where the function is still the same."""


def load_explanations(path: Path) -> dict[tuple[str, str, str], str]:
    """Read why survivors do not matter.

    Args:
        path: A TOML file of tables ``survivor`` with ``in``, ``was``, ``now`` and ``why``.

    Returns:
        Each reason by `Mutant.key`.

    Raises:
        ValueError: One stands there twice, or gives no reason.
    """
    found: dict[tuple[str, str, str], str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", []):
        key = (entry["in"], entry["was"], entry["now"])
        if key in found or not entry["why"].strip():
            raise ValueError(f"{path.name}: {key} stands there twice or without a reason; mend it")
        found[key] = entry["why"].strip()
    return found


def faults(tallies: Mapping[str, Tally], explained: Mapping[tuple[str, str, str], str]) -> list[str]:
    """Tell what is wrong with a run.

    Args:
        tallies: By module.
        explained: See `load_explanations`; of modules that were not run nothing is said.

    Returns:
        One line for each fault.
    """
    survivors = [mutant for tally in tallies.values() for mutant in tally.survivors]
    keys = {mutant.key for mutant in survivors}
    found = [f"survives unexplained: {_place(mutant)}" for mutant in survivors if mutant.key not in explained]
    found += [
        f"explained, and does not survive: {' | '.join(key)}"
        for key in sorted(explained.keys() - keys)
        if key[0].partition(".")[0] in tallies
    ]
    if score(tallies) < LEAST_PERCENT:
        found.append(f"the score is {score(tallies):.1f} %, and {LEAST_PERCENT:.0f} % are demanded")
    return found


def score(tallies: Mapping[str, Tally]) -> float:
    """Give the percentage of mutants that were noticed; 0 where there are none."""
    total = sum(tally.total for tally in tallies.values())
    lost = sum(len(tally.survivors) for tally in tallies.values())
    return 100 * (total - lost) / total if total else 0.0


def render(tallies: Mapping[str, Tally], explained: Mapping[tuple[str, str, str], str]) -> str:
    """Return the tables: modules, then survivors."""
    lines = [
        "| module | mutants | killed | timed out | survived | score |",
        "|---|---|---|---|---|---|",
    ]
    for module, tally in tallies.items():
        lines.append(_row(f"`{module}`", {module: tally}))
    lines += [_row("**all**", tallies), "", "| where | survivor | why it does not matter |", "|---|---|---|"]
    for mutant in sorted(mutant for tally in tallies.values() for mutant in tally.survivors):
        change = f"{_code(mutant.was)}<br>→ {_code(mutant.now)}"
        lines.append(
            f"| `decide/{mutant.module}.py:{mutant.line}` {mutant.scope} | {change} | {explained.get(mutant.key, '**unexplained**')} |"
        )
    return "\n".join(lines) + "\n"


def keep(folder: Path, tree: Path, module: str, tally: Tally) -> None:
    """Keep what became of a module's mutants, with the digest of the module as it was run."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {"source": _digest(tree, module), **asdict(tally)}
    (folder / f"{module}.json").write_text(json.dumps(known, indent=1), encoding="utf-8")


def recall(folder: Path, names: list[str]) -> dict[str, Tally]:
    """Give what was kept of those modules that have not changed since."""
    found = {}
    for name in names:
        path = folder / f"{name}.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if known.get("source") == _digest(ROOT, name):
            survivors = tuple(Mutant(**each) for each in known["survivors"])
            found[name] = Tally(known["killed"], known["timeout"], survivors)
    return found


def main() -> int:
    """Run it; return the exit status."""
    folder = Path(sys.argv[1])
    tree, kept = folder / "tree", folder / "results"
    every = modules(ROOT)
    chosen = [name for name in sys.argv[2:3] and sys.argv[2].split(",") if name] or every
    if not set(chosen) <= set(every):
        print(f"there is no such module; choose of: {', '.join(every)}", file=sys.stderr)
        return 2
    explained = load_explanations(EXPLAINED)
    resume = bool(sys.argv[3:4] and sys.argv[3])
    copy_tree(ROOT, tree, resume=resume)
    parts: dict[str, list[Tally]] = defaultdict(list)
    for run in (inside_functions, outside_functions):
        for module, tally in run(tree, chosen):
            parts[module].append(tally)
    for module, found in parts.items():
        keep(kept, tree, module, _sum(found))
    tallies = recall(kept, every)
    tables = render(tallies, explained)
    print(tables)
    wrong = faults(tallies, explained)
    if list(tallies) == every:
        head = _HEAD.format(
            date=datetime.now(UTC).date(),
            tool=version("mutmut"),
            score=score(tallies),
            total=sum(tally.total for tally in tallies.values()),
            least=LEAST_PERCENT,
            resumed=_RESUMED if resume else "",
        )
        TARGET.write_text(head + tables, encoding="utf-8")
    else:
        print(f"not run yet as they are now: {', '.join(name for name in every if name not in tallies)}")
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


def _digest(root: Path, module: str) -> str:
    return hashlib.sha256((root / PACKAGE / f"{module}.py").read_bytes()).hexdigest()


def _sum(found: list[Tally]) -> Tally:
    return Tally(
        sum(tally.killed for tally in found),
        sum(tally.timeout for tally in found),
        tuple(mutant for tally in found for mutant in tally.survivors),
    )


def _row(name: str, tallies: Mapping[str, Tally]) -> str:
    whole = _sum(list(tallies.values()))
    shown = f"{score(tallies):.1f} %" if whole.total else "none"
    return f"| {name} | {whole.total} | {whole.killed} | {whole.timeout} | {len(whole.survivors)} | {shown} |"


def _place(mutant: Mutant) -> str:
    # As it is to stand in tests/mutation.toml, but for the reason.
    lines = [
        f"{name} = {json.dumps(text)}" for name, text in zip(("in", "was", "now"), mutant.key, strict=True)
    ]
    return "\n".join([f"{mutant.module}.py:{mutant.line}", "[[survivor]]", *lines, 'why = ""', ""])


def _code(text: str) -> str:
    return f"`` {text} ``".replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
