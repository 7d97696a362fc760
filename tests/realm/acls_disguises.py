"""What everybody tries in the access matrix, third part: adding what he may add, with something else in it."""

import uuid
from collections.abc import Iterator

from acls_deeds import Deed, Trial, adding
from acls_model import may_add
from acls_stage import POLICY, Stage, Thing
from acls_world import ANSWERS, Draft

DOOR = '(targetattr = "*")(version 3.0; acl "x"; allow (all) userdn = "ldap:///anyone";)'
AT_HOME = "in its container"
PLAIN = ("ipaTpiRequest", *POLICY, "ipaTpiAnchor")


def plants(stage: Stage) -> dict[str, dict[str, str]]:
    """What grants, hides or names something, and is hung on an entry that is added."""
    world = stage.world
    classes = {
        name: {"objectClass": name} for name in ("extensibleObject", "ldapSubEntry", "nsTombstone", "glue")
    }
    return classes | {
        "aci": {"aci": DOOR},
        "nsRoleDN": {"nsRoleDN": world.dn("alice")},
        "nsAccountLock": {"nsAccountLock": "true"},
        "nsds5ReplConflict": {"nsds5ReplConflict": "naming"},
        "referral": {"objectClass": "referral", "ref": "ldap://elsewhere/"},
        "nsContainer": {"objectClass": "nsContainer", "cn": "x"},
        "krbPrincipalName": {"objectClass": "krbPrincipalAux", "krbPrincipalName": "NEW@TPI.TEST"},
        "krbCanonicalName": {"objectClass": "krbPrincipalAux", "krbCanonicalName": "NEW@TPI.TEST"},
        "userPassword": {"objectClass": "person", "cn": "x", "sn": "x", "userPassword": "Secret.1-of-two"},
        "a class by its number": {"objectClass": "1.3.6.1.4.1.1466.101.120.111"},
    }


def addable(stage: Stage, who: str) -> Iterator[tuple[Draft, str, Thing | None, str]]:
    """Yield what somebody may add: the entry, its kind, the request that it is below, and where that is in words."""
    for kind in PLAIN:
        if may_add(who, kind, None):
            yield stage.world.policy(kind), kind, None, AT_HOME
    for above in stage.fresh:
        for kind in ANSWERS:
            if may_add(who, kind, above):
                yield stage.world.answer(kind, above.dn), kind, above, f"below {above.place}"


def planted(stage: Stage, who: str) -> Iterator[Trial]:
    for name, plant in plants(stage).items():
        for draft, kind, above, where in addable(stage, who):
            yield adding(stage, Deed("plant", where, kind, name, kind, above), hung(draft, plant))


def hung(draft: Draft, plant: dict[str, str]) -> Draft:
    """Return an entry with something hung on it; a principal's name has to be new each time."""
    new = {name: value.replace("NEW", str(uuid.uuid4())) for name, value in plant.items()}
    has = {name for name in new if name in draft.attributes and name != "objectClass"}
    return draft.having(**{name: value for name, value in new.items() if name not in has})


def clothed(stage: Stage, who: str) -> Iterator[Trial]:
    """Entries of two kinds at once: what he may add with any other, and everything of policy."""
    world = stage.world
    others = [(kind, None, AT_HOME) for kind in PLAIN if not may_add(who, kind, None)]
    for second in (*ANSWERS, *PLAIN):
        drafts = [*addable(stage, who), *((world.policy(kind), kind, *rest) for kind, *rest in others)]
        for draft, first, above, where in drafts:
            if first != second:
                other = world.answer(second, world.top) if second in ANSWERS else world.policy(second)
                classes = (*draft.attributes["objectClass"], *other.attributes["objectClass"])
                both = Draft(draft.dn, other.attributes | draft.attributes | {"objectClass": classes})
                yield adding(stage, Deed("disguise", where, first, f"and {second}", first, above), both)
