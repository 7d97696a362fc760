"""Mutants of what lies outside of functions, and of functions with a decorator: mutmut leaves both out.

They are the tables, patterns and limits that decide as much as code does, and the defaults of values.  They are
made with mutmut's own operators; each is run in a process of its own, in which its module is read from memory.
"""

import ast
import difflib
import hashlib
import importlib
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
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

from lab.mutants import NOTICED, OPTIONS, PACKAGE, WORKERS, Mutant, Tally, joined, tests

_HEAVY: Final = ("cryptography.x509", "gssapi", "hypothesis", "ldap", "msgspec", "rfc8785", "unittest.mock")
_OUTSIDE: Final = "(module)"


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
        if not pool.apply(_survives, [(tree, "units", anything)]):
            raise RuntimeError("the tests fail without any change; mend them")
        for module in chosen:
            source = (tree / PACKAGE / f"{module}.py").read_text(encoding="utf-8")
            made = {_digest(code): (mutant, code) for mutant, code in _outside(module, source)}
            noticed = tree / NOTICED / f"{module}.json"
            known = set(json.loads(noticed.read_text(encoding="utf-8")) if noticed.exists() else ())
            new = [name for name in made if name not in known]
            fates = pool.imap(_survives, [(tree, module, made[name][1]) for name in new])
            noticed.parent.mkdir(exist_ok=True)
            for name, alive in zip(new, fates, strict=True):
                known |= set() if alive else {name}
                noticed.write_text(json.dumps(sorted(known)), encoding="utf-8")
            survivors = tuple(made[name][0] for name in new if name not in known)
            print(f"{module}: {len(survivors)} of {len(made)} mutants outside functions survive", flush=True)
            yield module, Tally(len(made) - len(survivors), 0, survivors)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


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
        yield Mutant(module, line, _scope(source, line), joined(was), joined(now)), code


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


def _survives(task: tuple[Path, str, str]) -> bool:
    tree, module, code = task
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.meta_path.insert(0, _Changed(f"ipa_tpi.decide.{module}", code))
    every = tests(tree)
    first = f"tests/unit/test_decide_{'policy' if module == 'definition' else module}.py"
    parts = [names for names in ([first], [name for name in every if name != first]) if names[0] in every]
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        return all(pytest.main(["-x", *OPTIONS, *names]) == pytest.ExitCode.OK for names in parts)
