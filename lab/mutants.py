"""What a mutant is, and which of them the unit tests of `ipa_tpi/decide` notice.

Mutants inside functions are made and run by mutmut.  Mutmut leaves out what lies outside of functions (the
tables, patterns and limits that decide as much as code does, and defaults of values) and functions with a
decorator; those are made here, with mutmut's own operators, and each is run as a changed copy of its module.
"""

import ast
import difflib
import importlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from typing import Final

import libcst
import pytest
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import MutationVisitor, deep_replace, mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

PACKAGE: Final = "ipa_tpi/decide"
WORKERS: Final = 2
_COPIED: Final = ("ipa_tpi", "acls", "lab", "tests", "pyproject.toml")
_OPTIONS: Final = (
    "-q",
    "-p",
    "no:cacheprovider",
    "--hypothesis-profile=ci",
)  # ci: the same examples each time
_KILLED: Final = frozenset({1, 3})  # of mutmut: a test failed, or pytest itself did
_TIMEOUT: Final = frozenset({24, 36, 152, 255, -24})
_HEAVY: Final = ("cryptography.x509", "gssapi", "hypothesis", "ldap", "msgspec", "rfc8785", "unittest.mock")
_OUTSIDE: Final = "(module)"


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


def copy_tree(root: Path, tree: Path) -> None:
    """Copy what the tests need, and say there what mutmut is to do.

    Args:
        root: The repository.
        tree: Where; what was there is removed.
    """
    _copy(root, tree)
    settings = {
        "source_paths": ["ipa_tpi"],
        "only_mutate": [f"{PACKAGE}/*"],
        "also_copy": ["acls", "lab"],
        "pytest_add_cli_args": list(_OPTIONS),
        "pytest_add_cli_args_test_selection": _tests(root),
        "use_git_change_detection": False,
        "track_dependencies": False,
    }
    with (tree / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n")
        file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def inside_functions(tree: Path, chosen: Iterable[str]) -> Iterator[tuple[str, Tally]]:
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


def outside_functions(tree: Path, chosen: Iterable[str]) -> Iterator[tuple[str, Tally]]:
    """Make and run the mutants that mutmut leaves out.

    Args:
        tree: A copy of the repository.
        chosen: Modules.

    Yields:
        Each module with its tally.

    Raises:
        RuntimeError: The tests fail without any change.
    """
    for name in _HEAVY:
        importlib.import_module(name)
    # A process for each, forked off from this one, which has read what no change is about.
    with multiprocessing.get_context("fork").Pool(WORKERS, maxtasksperchild=1) as pool:
        anything = (tree / PACKAGE / "units.py").read_text(encoding="utf-8")
        if not pool.apply(_survives, (tree, "units", anything)):
            raise RuntimeError("the tests fail without any change; mend them")
        for module in chosen:
            source = (tree / PACKAGE / f"{module}.py").read_text(encoding="utf-8")
            made = list(_outside(module, source))
            tasks = [(tree, module, code) for _, code in made]
            survived = pool.starmap(_survives, tasks, chunksize=1)
            print(
                f"{module}: {survived.count(True)} of {len(made)} mutants outside functions survive",
                flush=True,
            )
            survivors = tuple(mutant for (mutant, _), alive in zip(made, survived, strict=True) if alive)
            yield module, Tally(len(made) - len(survivors), 0, survivors)


def _check_names(tree: Path) -> None:
    # Mutmut takes it for a kill where pytest does not find a test again by its name, in the process that ran it before.
    known = json.loads((tree / "mutants" / "mutmut-stats.json").read_text(encoding="utf-8"))
    names = sorted(known["duration_by_test"])
    twice = "import sys, pytest; sys.exit(any([pytest.main(sys.argv[1:]), pytest.main(sys.argv[1:])]))"
    command = [sys.executable, "-c", twice, "--collect-only", "-qq", *_OPTIONS, *names]
    subprocess.run(command, cwd=tree / "mutants", check=True, stdout=subprocess.DEVNULL)


def _tests(root: Path) -> list[str]:
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
        module, min(places, key=lambda number: abs(number - guess)), scope, _joined(was), _joined(now)
    )


def _joined(lines: Iterable[str]) -> str:
    return " ".join(line.strip() for line in lines)


class _Everywhere(MutationVisitor):  # type: ignore[misc]  # the library is in a venv of its own
    """Mutates decorated functions as well."""

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.FunctionDef) and node.decorators:
            return False
        return bool(super()._skip_node_and_children(node))


def _outside(module: str, source: str) -> Iterator[tuple[Mutant, str]]:
    visitor = _Everywhere(mutation_operators, IgnoredCode(set(), set(), set()))
    parsed = MetadataWrapper(libcst.parse_module(source)).visit(visitor)
    before = source.splitlines()
    for change in visitor.mutations:
        function = change.contained_by_top_level_function
        if isinstance(function, libcst.FunctionDef) and not function.decorators:
            continue
        code = deep_replace(parsed, change.original_node, change.mutated_node).code
        after = code.splitlines()
        steps = [
            step for step in difflib.SequenceMatcher(None, before, after).get_opcodes() if step[0] != "equal"
        ]
        was = [line for _, start, end, _, _ in steps for line in before[start:end]]
        now = [line for _, _, _, start, end in steps for line in after[start:end]]
        line = steps[0][1] + 1
        yield Mutant(module, line, _scope(source, line), _joined(was), _joined(now)), code


def _scope(source: str, line: int) -> str:
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0):
            return node.name
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or 0):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            return ast.unparse(target)
    return _OUTSIDE


class _Changed(MetaPathFinder, InspectLoader):
    """Finds one module, and reads it from a text."""

    def __init__(self, name: str, code: str) -> None:
        self.name, self.code = name, code

    def find_spec(self, fullname: str, *_others: object) -> ModuleSpec | None:
        """Find the module."""
        return spec_from_loader(fullname, self, is_package=False) if fullname == self.name else None

    def get_source(self, _fullname: str) -> str:
        """Give its text."""
        return self.code


def _survives(tree: Path, module: str, code: str) -> bool:
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.meta_path.insert(0, _Changed(f"ipa_tpi.decide.{module}", code))
    every = _tests(tree)
    first = f"tests/unit/test_decide_{'policy' if module == 'definition' else module}.py"
    parts = [names for names in ([first], [name for name in every if name != first]) if names[0] in every]
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        return all(pytest.main(["-x", *_OPTIONS, *names]) == pytest.ExitCode.OK for names in parts)
