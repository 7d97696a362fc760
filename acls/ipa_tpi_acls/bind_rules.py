"""Bind rules of 389-ds ACIs as values that can be negated.

Every `allow (add)` has a `deny (add)` that is its exact opposite: an allow alone would be widened by any
other allow in the tree (FreeIPA's "Admin can manage any entry"), and 389-ds evaluates denies first. Both
texts come from one value, so they cannot drift apart.
"""

from dataclasses import dataclass
from typing import Protocol


class BindRule(Protocol):
    """Who an ACI is about."""

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        ...

    def opposite(self) -> "BindRule":
        """Return the rule that holds for exactly everybody else."""
        ...


@dataclass(frozen=True)
class Member:
    """Members of one of these groups, through any depth of nesting."""

    groups: tuple[str, ...]
    negated: bool = False

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        sign = "!=" if self.negated else "="
        return f'groupdn {sign} "{" || ".join(f"ldap:///{group}" for group in self.groups)}"'

    def opposite(self) -> "Member":
        """Return the rule for everybody outside these groups."""
        return Member(self.groups, not self.negated)


@dataclass(frozen=True)
class NamedBy:
    """The DN that an attribute holds; `attribute` may begin with `parent[levels].`.

    Each ACI may hold one such rule on the same level only: with two of them in one `or`, 389-ds 2.3 fails
    after an add with the post-read control.
    """

    attribute: str
    negated: bool = False

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return f'{"not " if self.negated else ""}userattr = "{self.attribute}#USERDN"'

    def opposite(self) -> "NamedBy":
        """Return the rule for everybody whom the attribute does not name."""
        return NamedBy(self.attribute, not self.negated)


@dataclass(frozen=True)
class Anyone:
    """Everybody, anonymous included."""

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return 'userdn = "ldap:///anyone"'

    def opposite(self) -> BindRule:
        """Refuse: an ACI about nobody says nothing."""
        raise NotImplementedError("an ACI about nobody has no use")


@dataclass(frozen=True)
class Both:
    """Who satisfies both rules. Not nested, so the text needs no parentheses."""

    first: Member | NamedBy
    second: Member | NamedBy

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return f"{self.first.text()} and {self.second.text()}"

    def opposite(self) -> "Either":
        """Return the rule for who lacks at least one (De Morgan)."""
        return Either(self.first.opposite(), self.second.opposite())


@dataclass(frozen=True)
class Either:
    """Who satisfies at least one of the rules. Not nested, so the text needs no parentheses."""

    first: Member | NamedBy
    second: Member | NamedBy

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return f"{self.first.text()} or {self.second.text()}"

    def opposite(self) -> Both:
        """Return the rule for who satisfies neither (De Morgan)."""
        return Both(self.first.opposite(), self.second.opposite())
