"""CA ACLs: which CA may issue by which profile for whom (facts B.2).

Rules:

1. Nothing is permitted but by an ACL that is enabled and whose CA, profile and subject all match.
2. CA: every one, or one that is named; an ACL that names none is about the CA ``ipa`` alone.
3. Profile: every one, or one that is named; an ACL that names none is about none.
4. Subject: only the column of its own kind counts (user, host, service): everybody, its name, or a group
   that it is in, directly or not.  Services are in no groups.
5. Names are compared caselessly, as Unicode has it.
6. No ACL forbids: one that matches is enough, wherever it stands, however many there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ipa_tpi_validator.snapshot import CaAcl, Kind

HOST_CA: Final = "ipa"


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom.

    Attributes:
        kind: What it is.
        name: Login, host name, or a service's whole principal.
        groups: As in `snapshot.Entry`.
    """

    kind: Kind
    name: str
    groups: frozenset[str] = frozenset()


def permits(acls: Iterable[CaAcl], ca: str, profile: str, subject: Subject) -> bool:
    """Tell whether a CA may issue by a profile for a subject.

    Args:
        acls: All that there are.
        ca: The CA's name.
        profile: The profile's.
        subject: For whom.
    """
    return any(_matches(acl, ca, profile, subject) for acl in acls)


def _matches(acl: CaAcl, ca: str, profile: str, subject: Subject) -> bool:
    return (
        acl.enabled
        and (acl.any_ca or _is_among(ca, acl.cas or {HOST_CA}))
        and (acl.any_profile or _is_among(profile, acl.profiles))
        and _is_for(acl, subject)
    )


def _is_for(acl: CaAcl, subject: Subject) -> bool:
    if subject.kind in acl.anybody or _is_among(subject.name, acl.members.get(subject.kind, ())):
        return True
    if subject.kind is Kind.SERVICE:
        return False
    groups = {group.casefold() for group in acl.groups.get(subject.kind, ())}
    return not groups.isdisjoint(group.casefold() for group in subject.groups)


def _is_among(name: str, names: Iterable[str]) -> bool:
    return name.casefold() in {one.casefold() for one in names}
