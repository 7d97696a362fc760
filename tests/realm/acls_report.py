"""docs/access-drop-one.md from what happened."""

from collections.abc import Iterator, Mapping

from acls_lines import LOST, Line
from acls_parts import parts
from acls_settings import NO_PROTECTION, SETTINGS

from ipa_tpi_acls.aci import instructions

_HEAD = """# What each access rule is needed for

Written by `python tests/realm/acls_drop_one.py` from what a live 389-ds answered; do not edit. The test
`tests/realm/test_acls_drop_one.py` does all of it again: it takes out each line that `ipa-tpi converge` writes, each
part of a line without which it would forbid less or allow more, and each setting, one at a time, and shows which
attack then succeeds. It fails if a line, part or setting has no attack, and if this file is not true any more.

Each attack was refused with everything in place, in the words of the last column. Where several cover each other,
taking out one of them alone helped nobody, taking out all did; such a set stands with each of its members.
An `allow` has a line that says who could no longer do what he has to.

Who everybody is, and what each may do: [access-matrix.md](access-matrix.md). SUFFIX stands for the suffix.
"""
_COLUMNS = "| taken out | then | which is | with it |\n|---|---|---|---|"


def document(refusals: Mapping[Line, str], suffix: str) -> str:
    """Return the document.

    Args:
        refusals: each line, and how it was refused.
        suffix: the realm's suffix.
    """
    lines = [_HEAD]
    known = parts(suffix)
    for dn, values in instructions(suffix).items():
        lines.append(f"## {dn.removesuffix(suffix)}SUFFIX\n")
        for aci in values:
            lines += [f"### {aci.name}\n", "```", aci.text().replace(suffix, "SUFFIX"), "```\n", _COLUMNS]
            names = [name for name, part in known.items() if part.aci == aci]
            lines += [
                row for name in names for row in _rows(name, name.removeprefix(f"{aci.name}: "), refusals)
            ]
            lines.append("")
    lines += ["## Settings\n", _COLUMNS]
    lines += [row for name in SETTINGS for row in _rows(name, name, refusals)]
    lines += [
        "\n## What is no protection\n",
        "What `ipa-tpi converge` also writes, and why nobody gains by its absence:\n",
    ]
    lines += [f"- {name}: {why}" for name, why in NO_PROTECTION.items()]
    return "\n".join(lines) + "\n"


def _rows(name: str, short: str, refusals: Mapping[Line, str]) -> Iterator[str]:
    """Yield a row for each line that takes a part out."""
    whole = short == name and name not in SETTINGS
    for line, refused in refusals.items():
        if name not in line.parts:
            continue
        others = [one for one in line.parts if one != name]
        gone = "the whole line" if whole else short
        gone += "".join(f"<br>and “{one}”" for one in others)
        before = f"<br>after {' and '.join(line.before)}" if line.before else ""
        if line in LOST:
            yield f"| {gone} | **{line.attempt.who}** no longer {line.attempt.words} | lost: {line.gain} | done |"
        else:
            yield f"| {gone} | **{line.attempt.who}** {line.attempt.words}{before} | {line.gain} | {refused} |"
