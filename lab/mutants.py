"""What a mutant is, and which of those inside functions the unit tests of `ipa_tpi/decide` notice.

Mutmut makes and runs these; see `lab.mutants_outside` for the others.
"""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGE: Final = "ipa_tpi/decide"
WORKERS: Final = 2
_COPIED: Final = ("ipa_tpi", "acls", "lab", "tests", "pyproject.toml")
# The profile ci of hypothesis takes the same examples each time.
OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "--hypothesis-profile=ci")
NOTICED: Final = "noticed"
_KILLED: Final = frozenset({1, 3})  # of mutmut: a test failed, or pytest itself did
_TIMEOUT: Final = frozenset({24, 36, 152, 255, -24})


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """One small change.

    Attributes:
        module: Of the package, such as ``quorum``.
        line: In the file, where the change begins.
        scope: The function, the class, or ``(module)``.
        was: The changed lines, joined by blanks.
        now: What they become.
    """

    module: str
    line: int
    scope: str
    was: str
    now: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from every other when lines move."""
        return f"{self.module}.{self.scope}", self.was, self.now


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a module's mutants."""

    killed: int
    timeout: int
    survivors: tuple[Mutant, ...]

    @property
    def total(self) -> int:
        """How many there were."""
        return self.killed + self.timeout + len(self.survivors)


def modules(root: Path) -> list[str]:
    """Name the modules of the package."""
    return sorted(path.stem for path in (root / PACKAGE).glob("*.py"))


def copy_tree(root: Path, tree: Path, *, resume: bool) -> None:
    """Copy what the tests need, and say there what mutmut is to do.

    Args:
        root: The repository.
        tree: Where; what was there is removed.
        resume: Keep what an earlier run there noticed: mutmut does not try it again where a function is the same,
            nor do we where a module is.
    """
    known = {path.relative_to(tree): path.read_text(encoding="utf-8") for path in _known(tree) if resume}
    _copy(root, tree)
    for name, text in known.items():
        verdicts = json.loads(text)
        if name.suffix == ".meta":
            found = verdicts["exit_code_by_key"]
            found.update({key: None for key, status in found.items() if status not in _KILLED})
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(json.dumps(verdicts), encoding="utf-8")
    settings = {
        "source_paths": ["ipa_tpi"],
        "only_mutate": [f"{PACKAGE}/*"],
        "also_copy": ["acls", "lab"],
        "pytest_add_cli_args": list(OPTIONS),
        "pytest_add_cli_args_test_selection": tests(root),
        "use_git_change_detection": False,
        "track_dependencies": False,
    }
    with (tree / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n")
        file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def inside_functions(tree: Path, chosen: list[str]) -> Iterator[tuple[str, Tally]]:
    """Run mutmut and read what became of its mutants.

    Args:
        tree: A copy of the repository.
        chosen: Modules.

    Yields:
        Each module with its tally.

    Raises:
        subprocess.CalledProcessError: Mutmut failed, as it does when the tests fail without any change; or a
            test's name is not stable.
    """
    mutmut = [sys.executable, "-m", "mutmut"]
    patterns = [f"ipa_tpi.decide.{module}.*" for module in chosen if _has_functions(tree, module)]
    if chosen == modules(tree):
        patterns = []  # what is named is run again also where it is known
    subprocess.run([*mutmut, "run", "--max-children", str(WORKERS), *patterns], cwd=tree, check=True)
    _check_names(tree)
    for module in chosen:
        known = tree / "mutants" / PACKAGE / f"{module}.py.meta"
        fates = json.loads(known.read_text(encoding="utf-8"))["exit_code_by_key"] if known.exists() else {}
        survivors = []
        for name in (name for name, status in fates.items() if status not in _KILLED | _TIMEOUT):
            shown = subprocess.run(
                [*mutmut, "show", name], cwd=tree, check=True, capture_output=True, text=True
            )
            scope = name.partition(".x_")[2].partition("__mutmut_")[0]
            survivors.append(_located(tree, module, scope, shown.stdout.splitlines()))
        killed = sum(status in _KILLED for status in fates.values())
        yield module, Tally(killed, len(fates) - killed - len(survivors), tuple(survivors))


def _known(tree: Path) -> list[Path]:
    return [*(tree / "mutants" / PACKAGE).glob("*.meta"), *(tree / NOTICED).glob("*.json")]


def _check_names(tree: Path) -> None:
    # Mutmut takes it for a kill where pytest does not find a test again by its name, in the process that ran it before.
    known = json.loads((tree / "mutants" / "mutmut-stats.json").read_text(encoding="utf-8"))
    names = sorted(known["duration_by_test"])
    twice = "import sys, pytest; sys.exit(any([pytest.main(sys.argv[1:]), pytest.main(sys.argv[1:])]))"
    command = [sys.executable, "-c", twice, "--collect-only", "-qq", *OPTIONS, *names]
    subprocess.run(command, cwd=tree / "mutants", check=True, stdout=subprocess.DEVNULL)


def tests(root: Path) -> list[str]:
    """Name the files of tests that are about the package."""
    return sorted(str(path.relative_to(root)) for path in (root / "tests" / "unit").glob("test_decide_*.py"))


def _has_functions(tree: Path, module: str) -> bool:
    parsed = ast.parse((tree / PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) for node in parsed.body)


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in _COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source / name, target / name)


def _located(tree: Path, module: str, scope: str, diff: list[str]) -> Mutant:
    was = [line[1:] for line in diff if line.startswith("-") and not line.startswith("---")]
    now = [line[1:] for line in diff if line.startswith("+") and not line.startswith("+++")]
    lines = (tree / PACKAGE / f"{module}.py").read_text(encoding="utf-8").splitlines()
    begun = next(number for number, line in enumerate(lines, 1) if line.startswith(f"def {scope}("))
    hunk = next(line for line in diff if line.startswith("@@"))
    context = next(i for i, line in enumerate(diff[diff.index(hunk) + 1 :]) if line[:1] in {"-", "+"})
    guess = begun + int(hunk.split()[1].removeprefix("-").partition(",")[0]) - 1 + context
    places = [number for number, line in enumerate(lines, 1) if was and line == was[0]] or [guess]
    return Mutant(
        module, min(places, key=lambda number: abs(number - guess)), scope, joined(was), joined(now)
    )


def joined(lines: Iterable[str]) -> str:
    """Give changed lines as one."""
    return " ".join(line.strip() for line in lines)
