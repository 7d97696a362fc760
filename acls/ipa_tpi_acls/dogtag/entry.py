"""The entry that holds the ACLs for the realm: compared, shown as a difference, written in one change (D07)."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import ldap

from ipa_tpi.errors import ConfigError
from ipa_tpi_acls.connection import Directory
from ipa_tpi_acls.containers import Entry

NAME = "tpi-acls"  # as CS.cfg's searchBase has it; aclResources would be taken for Dogtag's own
_CLASSES = ("top", "CertACLS")


@dataclass(frozen=True, slots=True)
class Difference:
    """What the directory holds, and what it should hold.

    Attributes:
        dn: The entry.
        present: Its values, sorted; None where there is no such entry.
        wanted: What they should be, sorted.
    """

    dn: str
    present: tuple[str, ...] | None
    wanted: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing is to be changed."""
        return self.present == self.wanted

    def text(self) -> str:
        """Give a unified diff; empty where nothing is to be changed."""
        lines = difflib.unified_diff(
            self.present or (), self.wanted, f"{self.dn} (now)", f"{self.dn} (then)", lineterm="", n=0
        )
        return "".join(f"{line}\n" for line in lines)


def compare(directory: Directory, base: str, wanted: Sequence[str]) -> Difference:
    """Compare the entry with what it should be.

    Args:
        directory: Dogtag's database, bound as Directory Manager.
        base: Dogtag's base DN there, mostly ``o=ipaca``.
        wanted: Values.

    Returns:
        The difference.

    Raises:
        ConfigError: There is no such base, it is itself such an entry, or a second entry of this class below our
            own would be found first: Dogtag takes any of them.
    """
    held = directory.values(base, "objectClass")
    if held is None:
        raise ConfigError(f"this directory holds no {base}; give Dogtag's base DN with --base")
    if "certacls" in (name.lower() for name in held["objectclass"]):
        raise ConfigError(f"{base} holds ACLs itself, of Dogtag's own; give Dogtag's base DN with --base")
    dn = f"cn={NAME},{base}"
    found = directory.search(dn, ldap.SCOPE_SUBTREE, "(objectClass=CertACLS)", "resourceACLS")
    others = [entry.dn for entry in found if entry.dn.lower().replace(" ", "") != dn.lower()]
    if others:
        raise ConfigError(
            f"{others[0]} holds ACLs too, and Dogtag takes whichever it finds first; remove that entry"
        )
    present = tuple(sorted(found[0].attributes.get("resourceacls", ()))) if found else None
    return Difference(dn, present, tuple(sorted(wanted)))


def apply(directory: Directory, difference: Difference) -> bool:
    """Write what is to be changed, all of it or nothing.

    Args:
        directory: As before.
        difference: As `compare` gave it.

    Returns:
        Whether anything was written.  The CA reads ACLs only when it starts.
    """
    if difference.same:
        return False
    if difference.present is None:
        values = {"objectClass": _CLASSES, "cn": (NAME,), "resourceACLS": difference.wanted}
        directory.add(Entry(difference.dn, values))
    else:
        change = (ldap.MOD_REPLACE, "resourceACLS", [value.encode() for value in difference.wanted])
        directory.modify(difference.dn, [change])
    return True
