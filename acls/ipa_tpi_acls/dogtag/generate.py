"""Dogtag's ACLs from the declaration.

One value for each resource::

    RESOURCE:RIGHT,RIGHT:allow (RIGHT) group="A" && group="B";allow (RIGHT) user="anybody":WORDS

Dogtag cuts these texts at ``:``, ``;``, ``&&`` and ``||`` wherever they stand, evaluates from left to
right without parentheses, and drops rights that it does not expect without a word.  So every
alternative is an ``allow`` of its own, with at most one ``&&``, and a name that Dogtag would read
otherwise is refused.
"""

import re
from collections.abc import Iterable
from typing import Final

from ipa_tpi.errors import ConfigError
from ipa_tpi_acls.dogtag.declaration import CHANNEL_GROUP, Grant

_MISREAD: Final = re.compile(r'&&|\|\||!=|[;"\n\r\0]')
_ANYBODY: Final = 'user="anybody"'


def acl_values(grants: Iterable[Grant], suffix: str, controlled: frozenset[str]) -> tuple[str, ...]:
    """Make the values of ``resourceACLS``.

    Args:
        grants: The declaration.
        suffix: Of the domain, as its permissions' DNs are stored: Dogtag compares them letter by letter.
        controlled: Operations under two-person control.

    Returns:
        Sorted values, one for each resource.  What nobody may is denied to everybody by name: then an
        allow on a resource above it gives nothing either.

    Raises:
        ConfigError: The suffix has something in it that Dogtag would read as an operator.
    """
    by_resource: dict[str, list[Grant]] = {}
    for grant in grants:
        by_resource.setdefault(grant.resource, []).append(grant)
    return tuple(sorted(_value(resource, some, suffix, controlled) for resource, some in by_resource.items()))


def permission_dn(name: str, suffix: str) -> str:
    """Give a permission's DN as FreeIPA stores it and memberOf holds it.

    Args:
        name: The permission's cn.
        suffix: Of the domain.

    Raises:
        ConfigError: Dogtag would misread it.
    """
    dn = f"cn={name},cn=permissions,cn=pbac,{suffix}"
    if _MISREAD.search(dn) is not None:
        raise ConfigError(f"Dogtag cannot take {dn!a} as a group's name; use another suffix or permission")
    return dn


def _value(resource: str, grants: list[Grant], suffix: str, controlled: frozenset[str]) -> str:
    rights = ",".join(grant.right for grant in grants)
    entries = [entry for grant in grants for entry in _entries(grant, suffix, controlled)]
    words = "; ".join(dict.fromkeys(grant.why for grant in grants)).replace(":", ",").replace(";", ",")
    return f"{resource}:{rights}:{';'.join(entries)}:ipa-tpi - {words}"


def _entries(grant: Grant, suffix: str, controlled: frozenset[str]) -> list[str]:
    if grant.everybody:
        return [f"allow ({grant.right}) {_ANYBODY}"]
    if not grant.permissions:
        return [f"deny ({grant.right}) {_ANYBODY}"]
    # R-D16: alone, and by any other way than the executor's, it is refused.
    channel = f' && group="{CHANNEL_GROUP}"' if grant.operations & controlled else ""
    return [
        f'allow ({grant.right}) group="{permission_dn(name, suffix)}"{channel}' for name in grant.permissions
    ]
