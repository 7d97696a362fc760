"""Rules, operations and operation groups by the search: all of them, or those about some operations.

Where they are few, one search reads them all.  Where they are many, one reads the operations in
question with all groups, and a second, indexed one every rule that names them: what that costs does
not depend on how many rules there are for other operations.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import ldap.filter

from ipa_tpi.adapters.people import Entry, parent_of
from ipa_tpi.decide.definition import load_operation, load_rule
from ipa_tpi.errors import DirectoryLimitError
from ipa_tpi.model import Operation, Policy, Refuse, Rule

# A filter, and how many entries it may bring (0: as many as the directory gives); as `directory.LdapDirectory` reads.
Search = Callable[[str, int], list[Entry]]

_RULES: Final = ("cn=tpirules", b"ipatpirule")
_OPERATIONS: Final = ("cn=tpioperations", b"ipatpioperation")
_GROUPS: Final = ("cn=tpioperationgroups", b"ipatpioperationgroup")
_EVERYTHING: Final = (
    "(|(objectClass=ipaTpiRule)(objectClass=ipaTpiOperation)(objectClass=ipaTpiOperationGroup))"
)
_AT_ONCE: Final = 100
_DIGITS: Final = "-0123456789abcdef"  # in the directory's order
_LONGEST_PREFIX: Final = 4


def read_policy(search: Search, top: str, about: frozenset[str] | None) -> Policy:
    """Read what LDAP says about who may do what.

    Args:
        search: Searches the subtree of `top`.
        top: Normal DN of the container that holds the three containers.
        about: Names of operations that suffice where the policy is large; None reads all of it.

    Returns:
        The policy; not `whole` where only a part was read.

    Raises:
        DirectoryLimitError: There are more operations and groups than the directory gives at once.
    """
    try:
        return _to_policy(search(_EVERYTHING, _AT_ONCE), top)
    except DirectoryLimitError:
        return _read_part(search, top, about) if about is not None else _read_whole(search, top)


def read_operations(search: Search, top: str) -> Policy:
    """Read all operations, and no rules; see `read_policy`."""
    return replace(_to_policy(search("(objectClass=ipaTpiOperation)", 0), top), whole=False)


def _read_whole(search: Search, top: str) -> Policy:
    found = search("(|(objectClass=ipaTpiOperation)(objectClass=ipaTpiOperationGroup))", 0)
    return _to_policy(found + _rules(search), top)


def _read_part(search: Search, top: str, about: frozenset[str]) -> Policy:
    names = "".join(ldap.filter.filter_format("(cn=%s)", [name]) for name in sorted(about))
    found = search(f"(|(&(objectClass=ipaTpiOperation)(|{names}))(objectClass=ipaTpiOperationGroup))", 0)
    members = _members(_below(_GROUPS, found, top))
    reached = {dn for dn, _ in _below(_OPERATIONS, found, top)}
    while more := {dn for dn, held in members.items() if held & reached} - reached:
        reached |= more
    naming = "".join(ldap.filter.filter_format("(ipaTpiMemberOperation=%s)", [dn]) for dn in sorted(reached))
    found += _rules(search, f"(|(ipaTpiOperationCategory=all){naming})")
    return replace(_to_policy(found, top), whole=False)


def _rules(search: Search, wanted: str = "", low: str = "", high: str = "") -> list[Entry]:
    """Search rules; by ranges of their ids where there are more than one search gives or looks through."""
    # R-K03: all count, however many; FreeIPA's own evaluation goes wrong where its search ends, above 100.
    part = (f"(ipaUniqueID>={low})" if low else "") + (f"(ipaUniqueID<={high})" if high else "")
    try:
        return search(f"(&(objectClass=ipaTpiRule){wanted}{part})", 0)
    except DirectoryLimitError:
        if len(low) > _LONGEST_PREFIX or (high and not low):
            raise
    bounds = [low, *(low + digit for digit in _DIGITS), high]
    found = (rule for ends in pairwise(bounds) for rule in _rules(search, wanted, *ends))
    return list(dict(found).items())  # who stands on a bound lies in both ranges


def _to_policy(found: Sequence[Entry], top: str) -> Policy:
    entries = dict(_below(_RULES, found, top))
    rules = {dn: load_rule(dn, raw) for dn, raw in entries.items()}
    operations: dict[str, Operation] = {}
    malformed: dict[str, str] = {}
    for dn, raw in _below(_OPERATIONS, found, top):
        loaded = load_operation(dn, raw)
        name = _name(raw.get("cn", ()))
        if isinstance(loaded, Operation):
            operations[name] = loaded
        else:
            malformed[name] = loaded.message
    broken = {dn: rule.message for dn, rule in rules.items() if isinstance(rule, Refuse)}
    return Policy(
        rules=tuple(rule for rule in rules.values() if isinstance(rule, Rule)),
        operations=operations,
        malformed=malformed,
        operation_groups=_members(_below(_GROUPS, found, top)),
        broken_rules=broken,
        broken_names={dn: _name(entries[dn].get("cn", ())) for dn in broken},
    )


def _below(container: tuple[str, bytes], found: Sequence[Entry], top: str) -> list[Entry]:
    parent, name = f"{container[0]},{top}", container[1]
    return [
        (dn, raw)
        for dn, raw in found
        if parent_of(dn) == parent and name in (value.lower() for value in raw.get("objectclass", ()))
    ]


def _members(found: Sequence[Entry]) -> dict[str, frozenset[str]]:
    return {dn: frozenset(value.decode() for value in raw.get("member", ())) for dn, raw in found}


def _name(values: Sequence[bytes]) -> str:
    return next(iter(values), b"").decode("utf-8", "replace")
