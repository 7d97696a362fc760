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
    """Members of one of these groups, directly or through other groups.

    Five groups deep, counted from this one (389-ds 2.3.1 and 3.3.0): a permission, its privilege and its role leave
    three for the site. Further down there is no answer, in an allow as well as in a deny; so in a rule with
    several parts this comes last.
    """

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
class Listed:
    """Whose own entry lists one of these groups in memberOf.

    Other than Member this has an answer at any depth of nesting: 389-ds gives up on a `groupdn` below the fifth
    group, and a deny of which any part has no answer denies. But it is only as true as memberOf, so it must not
    be what a right rests on.

    Args:
        base: DN above the entries that may be looked at.
        groups: the groups.
    """

    base: str
    groups: tuple[str, ...]
    negated: bool = False

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        sign = "!=" if self.negated else "="
        filters = "".join(f"(memberOf={group})" for group in self.groups)
        return f'userdn {sign} "ldap:///{self.base}??sub?(|{filters})"'

    def opposite(self) -> "Listed":
        """Return the rule for everybody whose entry lists none of them."""
        return Listed(self.base, self.groups, not self.negated)


@dataclass(frozen=True)
class Anyone:
    """Everybody, anonymous included."""

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return 'userdn = "ldap:///anyone"'

    def opposite(self) -> BindRule:
        """Refuse: an ACI about nobody says nothing."""
        raise NotImplementedError("an ACI about nobody has no use")


Simple = Member | NamedBy | Listed


@dataclass(frozen=True)
class Every:
    """Who satisfies all of these rules. Not nested, so the text needs no parentheses."""

    rules: tuple[Simple, ...]

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return " and ".join(rule.text() for rule in self.rules)

    def opposite(self) -> "Some":
        """Return the rule for who lacks at least one (De Morgan)."""
        return Some(tuple(rule.opposite() for rule in self.rules))


@dataclass(frozen=True)
class Some:
    """Who satisfies at least one of these rules. Not nested, so the text needs no parentheses."""

    rules: tuple[Simple, ...]

    def text(self) -> str:
        """Return the rule in ACI syntax."""
        return " or ".join(rule.text() for rule in self.rules)

    def opposite(self) -> Every:
        """Return the rule for who satisfies none (De Morgan)."""
        return Every(tuple(rule.opposite() for rule in self.rules))
