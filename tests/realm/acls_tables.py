"""Markdown tables of what happened: lines that end alike are one line."""

from collections.abc import Iterator, Mapping, Sequence

from acls_cast import WHAT_THEY_ARE
from acls_disguises import PLAIN
from acls_run import Mark, Results
from acls_world import ANSWERS

Row = tuple[str, str, str, str]
Marks = tuple[str, ...]

VERBS = {
    "read": "Reading an entry",
    "compare": "Comparing a value of an entry",
    "add": "Adding",
    "misplace": "Adding where it does not belong",
    "plant": "Adding with something in it that grants, hides or names",
    "disguise": "Adding as two kinds at once",
    "change": "Writing an attribute",
    "enrol": "Putting somebody into a group, or out of it",
    "impersonate": "Acting for another by proxied authorization",
    "rename": "Renaming",
    "move": "Moving",
    "delete": "Deleting",
}
# What is tried on any entry beside the attributes that it has.
_ON_ANY = {"aci", "all aci away", "a new aci", "objectClass", "nsAccountLock", "nsRoleDN"}
_KINDS = {*ANSWERS, *PLAIN}


def rows(results: Mapping[str, Results], columns: Sequence[str]) -> dict[Row, Marks]:
    """Return one line for each deed, with a mark for each column."""
    table: dict[Row, dict[str, str]] = {}
    for who, done in results.items():
        for deed, outcome in done.items():
            mark = outcome.value if isinstance(outcome, Mark) else f"error: {outcome}"
            table.setdefault((deed.verb, deed.place, deed.name, deed.item), {})[who] = mark
    return {row: tuple(marks.get(who, "") for who in columns) for row, marks in table.items()}


def sections(table: Mapping[Row, Marks], columns: Sequence[str]) -> Iterator[str]:
    """Yield the tables, one for each verb."""
    for verb, heading in VERBS.items():
        lines = {row[1:]: marks for row, marks in table.items() if row[0] == verb}
        if lines:
            yield f"### {heading}\n"
            yield f"| where | which | what | {' | '.join(columns)} |"
            yield f"|---|---|---|{'---|' * len(columns)}"
            yield from _merged(verb, lines)
            yield ""


def _merged(verb: str, lines: Mapping[tuple[str, str, str], Marks]) -> Iterator[str]:
    """Yield lines, those alike joined: first what is tried on an entry, then entries in a place, then places."""
    items: dict[tuple[str, str, Marks], list[str]] = {}
    for (place, name, item), marks in lines.items():
        items.setdefault((place, name, marks), []).append(item)
    names: dict[tuple[str, str, Marks], list[str]] = {}
    for (place, name, marks), what in items.items():
        names.setdefault((place, _in_words(verb, name, what), marks), []).append(name)
    places: dict[tuple[str, str, Marks], list[str]] = {}
    for (place, what, marks), which in names.items():
        places.setdefault((", ".join(which), what, marks), []).append(place)
    for (which, what, marks), where in places.items():
        yield f"| {'; '.join(where)} | {which} | {what} | {' | '.join(marks)} |"


def _in_words(verb: str, name: str, items: list[str]) -> str:
    if {f"and {kind}" for kind in _KINDS - {name}} == set(items):
        return "and each other kind"
    own = [item for item in items if item not in _ON_ANY]
    if verb == "change" and len(own) > 1 and _ON_ANY & set(items):
        return ", ".join(["each attribute that it has", *(item for item in items if item in _ON_ANY)])
    return ", ".join(items)


def who_is_who() -> Iterator[str]:
    """Yield a line for each kind of column."""
    for who, what in WHAT_THEY_ARE.items():
        yield f"- **{who}**: {what}"
