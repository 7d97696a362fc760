"""One access control instruction of 389-ds as a value, and the filters in it."""

from dataclasses import dataclass

from ipa_tpi_acls.bind_rules import Anyone, BindRule

READ = ("read", "search", "compare")
# `selfwrite` (adding or removing one's own DN) is no part of `write`: where a deny lacked it, an admin
# put himself into cn=executors.
WRITE = ("write", "selfwrite")
ANYONE = Anyone()


@dataclass(frozen=True, kw_only=True)
class Aci:
    """One access control instruction.

    Args:
        name: what it says, in a few words.
        rights: rights of 389-ds.
        who: whom it is about.
        effect: allow or deny.
        target: DN or pattern of DNs that it is about; where it lies and everything below, if empty.
        outside: it is about everything except `target`.
        entries: LDAP filter that the entry must match.
        attributes: attribute list of a targetattr, for rights on attributes.
        classes: the only object classes that an added entry may have.
    """

    name: str
    rights: tuple[str, ...]
    who: BindRule = ANYONE
    effect: str = "deny"
    target: str = ""
    outside: bool = False
    entries: str = ""
    attributes: str = ""
    classes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the value of the aci attribute."""
        sign = "!=" if self.outside else "="
        parts = [f'(target {sign} "ldap:///{self.target}")'] if self.target else []
        parts += [f'(targetfilter = "{self.entries}")'] if self.entries else []
        parts += [f'(targetattr = "{self.attributes}")'] if self.attributes else []
        parts += [f'(targattrfilters = "add=objectClass:{any_class(self.classes)}")'] if self.classes else []
        rule = f"{self.effect} ({', '.join(self.rights)}) {self.who.text()};"
        return f'{"".join(parts)}(version 3.0; acl "{self.name}"; {rule})'


def any_class(names: tuple[str, ...]) -> str:
    """Return a filter for entries that have at least one of these object classes."""
    return any_of(tuple(f"(objectClass={name})" for name in names))


def two_of(names: tuple[str, ...], others: tuple[str, ...] = ()) -> str:
    """Return a filter for entries with two of these object classes, or with one of them and one of the others."""
    rests = [(name, (*names[index:], *others)) for index, name in enumerate(names, start=1)]
    return any_of(tuple(f"(&(objectClass={name}){any_class(rest)})" for name, rest in rests if rest))


def any_of(filters: tuple[str, ...]) -> str:
    """Return a filter for entries that match at least one of these filters."""
    return filters[0] if len(filters) == 1 else f"(|{''.join(filters)})"
