"""Kerberos principals of the one realm, in the one spelling that is taken here.

One or two parts of plain characters and the realm; no escapes, no enterprise names, no third part.  What is
written otherwise is no principal here, although Kerberos could read it.
"""

import re
from dataclasses import dataclass
from typing import Final

_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._$+-]{0,254}"
_PRINCIPAL: Final = re.compile(rf"({_PART})(?:/({_PART}))?@([A-Z0-9][A-Z0-9.-]{{0,254}})")


class PrincipalError(ValueError):
    """It is no principal, or none of this realm."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A principal.

    Attributes:
        first: The login, or the service's name.
        second: The host; empty for a user.
        realm: The realm.
    """

    first: str
    second: str
    realm: str

    def __str__(self) -> str:
        """Write it as Kerberos does."""
        return f"{self.first}/{self.second}@{self.realm}" if self.second else f"{self.first}@{self.realm}"

    @property
    def is_user(self) -> bool:
        """Whether it has the form of a user's."""
        return not self.second

    @property
    def is_host(self) -> bool:
        """Whether it has the form of a host's."""
        return self.first == "host" and bool(self.second)

    @property
    def is_krbtgt(self) -> bool:
        """Whether it has the form of a ticket granting service's."""
        return self.first == "krbtgt" and bool(self.second)

    def at(self, host: str) -> "Principal":
        """Give the principal of the same service on another host.

        Args:
            host: Its name.
        """
        return Principal(self.first, host, self.realm)


def read(text: str, realm: str) -> Principal:
    """Read a principal of the realm.

    Args:
        text: Untrusted.
        realm: The realm.

    Returns:
        The principal.

    Raises:
        PrincipalError: It is none, or another realm's.
    """
    found = _PRINCIPAL.fullmatch(text)
    if found is None or found[3] != realm:
        raise PrincipalError(f"it is no principal of {realm}")
    return Principal(found[1], found[2] or "", found[3])


def read_or_none(text: str, realm: str) -> Principal | None:
    """Read a principal of the realm, where it is one.

    Args:
        text: Untrusted.
        realm: The realm.
    """
    try:
        return read(text, realm)
    except PrincipalError:
        return None


def same_name(one: str, other: str) -> bool:
    """Tell whether two names of hosts are the same: ASCII, letter case does not matter.

    Args:
        one: A name.
        other: A name.
    """
    return one.isascii() and other.isascii() and one.lower() == other.lower()
