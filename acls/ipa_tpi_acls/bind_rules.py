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
    """Whom an attribute names by DN; `attribute` may begin with `parent[levels].`."""

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
class Every:
    """Who satisfies all of these rules. Not nested, so the text needs no parentheses."""

    rules: tuple[Member | NamedBy, ...]

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return " and ".join(rule.text() for rule in self.rules)

    def opposite(self) -> "Some":
        """Return the rule for who lacks at least one (De Morgan)."""
        return Some(tuple(rule.opposite() for rule in self.rules))


@dataclass(frozen=True)
class Some:
    """Who satisfies at least one of these rules. Not nested, so the text needs no parentheses."""

    rules: tuple[Member | NamedBy, ...]

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return " or ".join(rule.text() for rule in self.rules)

    def opposite(self) -> Every:
        """Return the rule for who satisfies none (De Morgan)."""
        return Every(tuple(rule.opposite() for rule in self.rules))
