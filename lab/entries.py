"""Entries of a directory as values, and how they get into LDIF or into a running server."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ldap

Attributes = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Entry:
    """One entry: its DN and its attributes, each with one value or more."""

    dn: str
    attributes: Attributes


def entry(dn: str, classes: str, **attributes: str | Sequence[str]) -> Entry:
    """Return an entry written compactly.

    Args:
        dn: its name.
        classes: object classes separated by blanks, `top` left out.
        attributes: a value or a list of values each.
    """
    listed = {name: [value] if isinstance(value, str) else list(value) for name, value in attributes.items()}
    return Entry(dn, {"objectClass": ["top", *classes.split()]} | listed)


def to_ldif(item: Entry) -> str:
    """Return an entry as an LDIF record with a blank line at its end (RFC 2849)."""
    lines = [_line("dn", item.dn)]
    lines += [_line(name, value) for name, values in item.attributes.items() for value in values]
    return "\n".join(lines) + "\n\n"


def add_all(connection: Any, entries: Iterable[Entry]) -> None:  # noqa: ANN401 (python-ldap has no types)
    """Add entries to a running server, in order; an entry that is there already is left as it is.

    Args:
        connection: an LDAPObject bound as somebody who may.
        entries: parents before children.
    """
    for item in entries:
        values = [(name, [value.encode() for value in values]) for name, values in item.attributes.items()]
        try:
            connection.add_ext_s(item.dn, values)
        except ldap.ALREADY_EXISTS:
            continue


def add_values(connection: Any, dn: str, attributes: Attributes) -> None:  # noqa: ANN401
    """Add values to an entry of a running server, in one change; those that are there already are passed over.

    Args:
        connection: an LDAPObject bound as somebody who may.
        dn: the entry.
        attributes: what to add.
    """
    ((_, present),) = connection.search_ext_s(dn, ldap.SCOPE_BASE, attrlist=list(attributes))
    held = {name.lower(): {_fold(name, value) for value in values} for name, values in present.items()}
    changes = []
    for name, values in attributes.items():
        written = [value.encode() for value in values]
        missing = [value for value in written if _fold(name, value) not in held.get(name.lower(), ())]
        if missing:
            changes.append((ldap.MOD_ADD, name, missing))
    if changes:
        connection.modify_ext_s(dn, changes)


def _fold(name: str, value: bytes) -> bytes:
    # ALICE@TPI.TEST is another name than alice@TPI.TEST, but classes are the same in any case.
    return value.lower() if name.lower() == "objectclass" else value


def _line(name: str, value: str) -> str:
    """Return one attribute line, base64 where RFC 2849 asks for it."""
    safe = (
        value.isascii()
        and value.isprintable()
        and not value.startswith((" ", ":", "<"))
        and not value.endswith(" ")
    )
    return f"{name}: {value}" if safe else f"{name}:: {base64.b64encode(value.encode()).decode()}"
