"""docs/published-failures.md names a test for each row, and each of them is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = [
    line.split("|")
    for line in (ROOT / "docs/published-failures.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [0-9]+ \|", line)
]


def test_every_row_is_there_once() -> None:
    assert [int(row[1]) for row in ROWS] == list(range(1, 22))


def test_every_row_has_tests_that_are_there_or_says_why_not() -> None:
    for row in ROWS:
        named = re.findall(r"`(test_\w+)(?:::(test_\w+))?`", row[5])
        assert named or ("cannot apply" in row[4] and row[5].strip() == "none"), row[1]
        for file, name in named:
            texts = [
                (ROOT / "tests" / folder / f"{file}.py").read_text(encoding="utf-8")
                for folder in ("attacks", "unit")
                if (ROOT / "tests" / folder / f"{file}.py").exists()
                and (folder, file) != ("unit", Path(__file__).stem)
            ]
            assert any(f"def {name}(" in text for text in texts) if name else texts, (row[1], file, name)
