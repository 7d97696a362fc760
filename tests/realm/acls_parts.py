"""Takes the ACIs apart: every line, and every part of a line without which it would forbid less or allow more.

Of a deny: each right, each alternative of its filter, each alternative of its bind rule, the list of attributes. Of an
allow: the place, the classes, the filter, each condition of its bind rule, an attribute list that names some. The
other parts (a condition of a deny, a right of an allow) could only be missed by who has a right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ipa_tpi_acls.aci import instructions
from ipa_tpi_acls.bind_rules import Every, Member, NamedBy, Simple, Some
from ipa_tpi_acls.instruction import Aci

Without = Callable[[Aci], Aci | None]


@dataclass(frozen=True)
class Part:
    """A line or a part of one: its name, the entry that bears the line, the line, and how the part is taken out."""

    name: str
    dn: str
    aci: Aci
    without: Without


def parts(suffix: str) -> dict[str, Part]:
    """Return every part of every ACI by its name."""
    found = [
        Part(name, dn, aci, without)
        for dn, values in instructions(suffix).items()
        for aci in values
        for name, without in _parts(aci)
    ]
    named = {part.name: part for part in found}
    assert len(named) == len(found)
    return named


def _parts(aci: Aci) -> Iterator[tuple[str, Without]]:
    yield aci.name, lambda _: None
    for name, without in _of_deny(aci) if aci.effect == "deny" else _of_allow(aci):
        yield f"{aci.name}: {name}", without


def _of_deny(aci: Aci) -> Iterator[tuple[str, Without]]:
    if len(aci.rights) > 1:
        for right in aci.rights:
            yield (
                right,
                lambda a, gone=right: replace(a, rights=tuple(one for one in a.rights if one != gone)),
            )
    if aci.attributes == "*" and "read" not in aci.rights:  # which 389-ds denies without a list as well
        yield "targetattr", lambda a: replace(a, attributes="")
    if aci.entries.startswith("(|"):
        for one in _flat(aci.entries):
            yield _short(one), lambda a, gone=one: replace(a, entries=_rest(a.entries, gone))
    if isinstance(aci.who, Some):
        for rule in aci.who.rules:
            yield _word(rule), lambda a, gone=rule: replace(a, who=Some(_others(a.who.rules, gone)))


def _of_allow(aci: Aci) -> Iterator[tuple[str, Without]]:
    if aci.target:
        yield "target", lambda a: replace(a, target="", outside=False)
    if aci.entries:
        yield "targetfilter", lambda a: replace(a, entries="")
    if aci.classes:
        yield "targattrfilters", lambda a: replace(a, classes=())
    if aci.attributes not in {"", "*"}:
        yield "targetattr", lambda a: replace(a, attributes="*")
    if isinstance(aci.who, Every):
        for rule in aci.who.rules:
            yield _word(rule), lambda a, gone=rule: replace(a, who=Every(_others(a.who.rules, gone)))


def _others(rules: tuple[Simple, ...], gone: Simple) -> tuple[Simple, ...]:
    return tuple(one for one in rules if one != gone)


def _rest(entries: str, gone: str) -> str:
    return f"(|{''.join(one for one in _flat(entries) if one != gone)})"


def _flat(filterstr: str) -> Iterator[str]:
    """Yield the alternatives of a filter, those of an alternative within it included."""
    for one in _components(filterstr.removeprefix("(|").removesuffix(")")):
        if one.startswith("(|"):
            yield from _flat(one)
        else:
            yield one


def _components(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            yield text[start : position + 1]
            start = position + 1


def _short(filterstr: str) -> str:
    """Return a filter in a few words."""
    if filterstr.startswith("(!"):
        return "none of our classes"
    first, _, rest = filterstr.removeprefix("(&").strip("()").replace("objectClass=", "").partition(")(")
    if "(!" in f"({rest}":
        return f"{first} without {'ipaTpiExecutor' if 'ipaTpiExecutor' in rest else 'its classes'}"
    if filterstr.startswith("(&") and "cn=" not in rest:
        return f"{first} and another"
    return rest or first


def _word(rule: Simple) -> str:
    """Return a condition of a bind rule in a word."""
    if isinstance(rule, NamedBy):
        return f"{'not ' if rule.negated else ''}{rule.attribute.partition('.')[2]}"
    if isinstance(rule, Member):
        return f"{'not ' if rule.negated else ''}groupdn"
    raise TypeError(f"a part of a bind rule that has no name yet: {rule}")
