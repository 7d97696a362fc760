"""What a mutant is, and which of them the unit tests of `ipa_tpi/decide` notice.

Mutants inside functions are made and run by mutmut.  Mutmut leaves out what lies outside of functions (the
tables, patterns and limits that decide as much as code does, and defaults of values) and functions with a
decorator; those are made here, with mutmut's own operators, and each is run as a changed copy of its module.
"""

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import libcst
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
_RUN_SECONDS: Final = 300
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
        fate: ``killed``, ``timeout`` or ``survived``.
    """

    module: str
    line: int
    scope: str
    was: str
    now: str
    fate: str = "survived"

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
    """
    folders = [tree / f"worker-{number}" for number in range(WORKERS)]
    for folder in folders:
        _copy(tree, folder)
    free = list(folders)

    def run(module: str, mutant: Mutant, code: str) -> Mutant:
        folder = free.pop()
        try:
            return _run(folder, module, mutant, code)
        finally:
            free.append(folder)

    with ThreadPoolExecutor(WORKERS) as pool:
        for module in chosen:
            source = (tree / PACKAGE / f"{module}.py").read_text(encoding="utf-8")
            made = list(_outside(module, source))
            done = list(pool.map(lambda pair, name=module: run(name, *pair), made))
            print(f"{module}: {len(done)} mutants outside functions", flush=True)
            fates = [mutant.fate for mutant in done]
            survivors = tuple(mutant for mutant in done if mutant.fate == "survived")
            yield module, Tally(fates.count("killed"), fates.count("timeout"), survivors)


def _check_names(tree: Path) -> None:
    # Mutmut takes it for a kill where pytest does not find a test again by its name, in the process that ran it before.
    known = json.loads((tree / "mutants" / "mutmut-stats.json").read_text(encoding="utf-8"))
    names = sorted(known["duration_by_test"])
    twice = "import sys, pytest; sys.exit(any([pytest.main(sys.argv[1:]), pytest.main(sys.argv[1:])]))"
    command = [sys.executable, "-c", twice, "--collect-only", "-qq", *_OPTIONS, *names]
    subprocess.run(command, cwd=tree / "mutants", check=True, stdout=subprocess.DEVNULL)


def _tests(root: Path, first: str = "") -> list[str]:
    found = sorted(path.relative_to(root) for path in (root / "tests" / "unit").glob("test_decide_*.py"))
    return [str(path) for path in sorted(found, key=lambda path: path.stem != f"test_decide_{first}")]


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


def _run(folder: Path, module: str, mutant: Mutant, code: str) -> Mutant:
    path = folder / PACKAGE / f"{module}.py"
    original = path.read_text(encoding="utf-8")
    first = "policy" if module == "definition" else module
    command = [sys.executable, "-m", "pytest", "-x", *_OPTIONS, *_tests(folder, first)]
    path.write_text(code, encoding="utf-8")
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            check=False,
            timeout=_RUN_SECONDS,
            capture_output=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        fate = "survived" if ended.returncode == 0 else "killed"
    except subprocess.TimeoutExpired:
        fate = "timeout"
    finally:
        path.write_text(original, encoding="utf-8")
    return Mutant(mutant.module, mutant.line, mutant.scope, mutant.was, mutant.now, fate)
