"""Writes docs/traceability.md: each requirement, where code enforces it, and the test that bears its name.

`python -m lab.traceability` writes it; with `--check` it only says whether it is true (exit status 1 if not).
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "traceability.md"
CODE = ("ipa_tpi", "acls", "upgrade", "httpd", "systemd", "validator")
_CITED = re.compile(r"\bR-([A-Z])([0-9]{2})\b")
_TEST = re.compile(r"def (test_r_([a-z])([0-9]{2})_[a-z0-9_]+)")
_SUFFIXES = frozenset({".py", ".conf", ".service", ".yaml", ".wsgi"})
_HEAD = """# Traceability

Written by `python -m lab.traceability` from the code and the tests; do not edit.
An id that code cites and no test bears in its name is not done, whatever the code says; several are begun
here and finished by later work. What each id demands: [requirements.md](requirements.md).

| id | enforced in | shown by |
|---|---|---|
"""


def render() -> str:
    """Return the document."""
    cited: dict[str, set[str]] = defaultdict(set)
    shown: dict[str, set[str]] = defaultdict(set)
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file():
                for letter, number in _CITED.findall(path.read_text(encoding="utf-8")):
                    cited[letter + number].add(str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, letter, number in _TEST.findall(path.read_text(encoding="utf-8")):
            shown[letter.upper() + number].add(f"{path.relative_to(ROOT)}::{name}")
    rows = [
        f"| {key} | {_cell(cited[key])} | {_cell(shown[key]) or '**none yet**'} |"
        for key in sorted(cited.keys() | shown.keys())
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _cell(names: set[str]) -> str:
    return "<br>".join(f"`{name}`" for name in sorted(names))


def main() -> int:
    """Write the document, or with `--check` compare it; return the exit status."""
    text = render()
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            print(
                "docs/traceability.md is not true any more; run: python -m lab.traceability", file=sys.stderr
            )
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
