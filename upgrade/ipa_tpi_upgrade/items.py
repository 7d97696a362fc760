"""Values that are made of items: comma lists, and the alternatives of a regular expression.

An item is added behind (or before) what is there, and taken out again, without touching how the rest is written.
"""

from collections.abc import Iterator, Sequence

from ipa_tpi_upgrade.step import Kind


def parts(value: str, kind: Kind) -> tuple[str, ...]:
    """Return the items of a value, in their order, without blanks around those of a list."""
    if kind is Kind.LIST:
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return tuple(value[start:end] for start, end in _alternatives(value)) if value else ()


def with_items(value: str, items: Sequence[str], kind: Kind) -> str:
    """Return the value with further items.

    Those of a list come last. Alternatives come first, so that no flag or open quotation in the pattern that is
    there reaches ours; ours must hold no capturing group, so that its back references stay true.
    """
    if kind is Kind.LIST:
        head = value.rstrip().removesuffix(",").rstrip()
        return ", ".join([head, *items] if head else items)
    return "|".join([*items, value] if value else items)


def without_items(value: str, items: Sequence[str], kind: Kind) -> str:
    """Return the value without some items; the others stay as they are written."""
    unwanted = set(items)
    if kind is Kind.LIST:
        kept = [item for item in value.split(",") if item.strip() not in unwanted]
        return ",".join(kept).strip() if any(item.strip() for item in kept) else ""
    return "|".join(item for item in parts(value, kind) if item not in unwanted)


def added(before: str | None, after: str, kind: Kind) -> tuple[str, ...]:
    """Return the items that a change added."""
    old = set(parts(before or "", kind))
    return tuple(item for item in parts(after, kind) if item not in old)


def _alternatives(pattern: str) -> Iterator[tuple[int, int]]:
    """Find the alternatives at the top level of a regular expression of Java: start and end of each."""
    start = depth = index = 0
    in_class = 0
    while index < len(pattern):
        character = pattern[index]
        if pattern.startswith(r"\Q", index):
            end = pattern.find(r"\E", index + 2)
            index = len(pattern) if end < 0 else end + 2
            continue
        if character == "\\":
            index += 2
            continue
        if character == "[":
            in_class += 1
        elif character == "]" and in_class:
            in_class -= 1
        elif not in_class and character in "()":
            depth += 1 if character == "(" else -1
        elif not in_class and depth == 0 and character == "|":
            yield start, index
            start = index + 1
        index += 1
    yield start, len(pattern)
