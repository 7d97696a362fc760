"""The ACIs on cn=tpi and below (DESIGN.md section 3).

The rules:
  1. Below cn=tpi nobody writes, deletes, moves, renames or acts by proxy, whatever an ACI further up allows;
     policy executors alone write policy, and delete by retention. `selfwrite`, `moddn` and `proxy` are rights
     of their own that neither `write` nor `all` covers, so each is named. Containers, audit anchors, and who is
     a policy executor, are for root alone to change.
  2. An entry is of one kind only; below cn=requests of one of request_acis.kinds(), and in its place.
  3. Each kind is added by exactly those whom that table names: an allow, and a deny that is its opposite.
  4. Nobody, whatever his rights, adds an entry with an attribute that grants or hides something (PLANTED).
  5. Requests are read by their requester, their executor, approvers, auditors and retention; policy and
     anchors by whoever takes part. We let nobody else read.
  6. Audit anchors are added by executors, below cn=anchors only.

What ACIs cannot say, readers check: that an entry has exactly a known set of classes (an administrator who
also holds a role can add further auxiliary ones), that no attribute bears an option (creatorsName;lang-en can be
added by whoever adds, and counts as creatorsName in filters), that a deny further up hides nothing, that retention
took a whole request, that a person was not renamed. Directory Manager, who is root over ldapi, plugins and
replication are above all ACIs.
"""

from ipa_tpi_acls.bind_rules import Member
from ipa_tpi_acls.instruction import READ, WRITE, Aci, any_class, any_of, two_of
from ipa_tpi_acls.layout import APPROVE_RIGHT, AUDIT_RIGHT, REQUEST_RIGHT, Layout
from ipa_tpi_acls.request_acis import request_acis, request_classes

ANCHOR = "ipaTpiAnchor"

# The policy containers, with the class of their entries and the classes that these inherit.
POLICY = {
    "tpioperations": ("ipaTpiOperation",),
    "tpioperationgroups": ("ipaTpiOperationGroup",),
    "tpirules": ("ipaTpiRule", "ipaAssociation"),
}

# Attributes that grant rights, disable or hide an entry or make it somebody who can bind, and classes that hide an entry
# from searches, make it accept any attribute, or let it pass for a container, which others read and retention spares.
PLANTED_ATTRIBUTES = (
    "aci",
    "nsRoleDN",
    "nsAccountLock",
    "nsds5ReplConflict",
    "krbPrincipalName",
    "krbCanonicalName",
    "krbPrincipalAliases",
    "krbPrincipalKey",
    "userPassword",
)
PLANTED_CLASSES = ("extensibleObject", "ldapSubEntry", "nsTombstone", "referral", "glue", "nsContainer")
# 389-ds takes the number of a class for the class, and keeps it as it is: extensibleObject, not seen by filters.
PLANTED_NUMBERS = ("0.*", "1.*", "2.*")


def acis(suffix: str) -> dict[str, tuple[str, ...]]:
    """Return the complete ACI sets of ipa-tpi's entries.

    Args:
        suffix: DN of the domain.

    Returns:
        For each DN, its aci values. An entry below cn=tpi that is not named here has none.
    """
    return {dn: tuple(aci.text() for aci in values) for dn, values in instructions(suffix).items()}


def instructions(suffix: str) -> dict[str, tuple[Aci, ...]]:
    """Return what acis() returns, as values that can be taken apart.

    Args:
        suffix: DN of the domain.
    """
    layout = Layout(suffix)
    sets: dict[str, tuple[Aci, ...]] = {
        layout.top: (*_guards(layout), _readers(layout)),
        layout.requests: request_acis(layout),
        layout.anchors: _anchors(layout),
        layout.executors: (_enrolment(layout),),
    }
    return sets | {
        layout.container(name): (_policy(layout, name, classes),) for name, classes in POLICY.items()
    }


def _guards(layout: Layout) -> tuple[Aci, ...]:
    """Rules 1, 2, 4 and 6 for the whole tree.  R-K19: no policy by one person, whatever he administers."""
    others = Member((layout.policy_executors,)).opposite()
    anchor = any_class((ANCHOR,))
    planted = (
        *(f"({name}=*)" for name in PLANTED_ATTRIBUTES),
        any_class((*PLANTED_CLASSES, *PLANTED_NUMBERS)),
    )
    return (
        Aci(
            name="tpi: only policy executors write or delete",
            rights=(*WRITE, "delete"),
            who=others,
            attributes="*",
        ),
        # The ACI above lets policy executors pass, who with a right from further up could then go on without root.
        Aci(
            name="tpi: only root changes containers, anchors and who changes policy",
            rights=(*WRITE, "delete"),
            entries=any_of(
                (
                    "(objectClass=nsContainer)",
                    anchor,
                    "(&(objectClass=groupOfNames)(cn=policy-executors))",
                )
            ),
            attributes="*",
        ),
        Aci(
            name="tpi: only policy executors add policy",
            rights=("add",),
            who=others,
            target=layout.requests,
            outside=True,
            entries=f"(!{anchor})",
        ),
        # The ACI above lets anchors pass everywhere.
        Aci(
            name="tpi: anchors lie below cn=anchors",
            rights=("add",),
            target=layout.anchors,
            outside=True,
            entries=anchor,
        ),
        # Executors may add anchors and policy executors policy; with a right from further up, both in one.
        Aci(
            name="tpi: of one kind only",
            rights=("add",),
            entries=two_of((ANCHOR, *(classes[0] for classes in POLICY.values())), request_classes(layout)),
        ),
        Aci(name="tpi: nobody writes an ACI", rights=("write",), attributes="aci"),
        Aci(name="tpi: nobody moves in or out, nobody acts for another", rights=("moddn", "proxy")),
        Aci(name="tpi: nothing planted", rights=("add",), entries=any_of(planted)),
    )


def _readers(layout: Layout) -> Aci:
    """Rule 5 for policy and anchors."""
    rights = (REQUEST_RIGHT, APPROVE_RIGHT, AUDIT_RIGHT)
    return Aci(
        name="tpi: who takes part reads policy and anchors",
        effect="allow",
        rights=READ,
        who=Member((*(layout.permission(name) for name in rights), layout.executors)),
        target=layout.requests,
        outside=True,
        attributes="*",
    )


def _policy(layout: Layout, container: str, classes: tuple[str, ...]) -> Aci:
    """Policy executors maintain the entries of one policy container."""
    return Aci(
        name=f"{container}: policy executors",
        effect="allow",
        rights=("add", "write", "delete", *READ),
        who=Member((layout.policy_executors,)),
        entries=any_class(classes[:1]),
        attributes="*",
        classes=("top", *classes),
    )


def _enrolment(layout: Layout) -> Aci:
    """Policy executors enrol and dismiss executors."""
    return Aci(
        name="executors: policy executors",
        effect="allow",
        rights=("write",),
        who=Member((layout.policy_executors,)),
        attributes="member",
    )


def _anchors(layout: Layout) -> tuple[Aci, ...]:
    """Rule 6. `ipaTpiExecutor` of an anchor is what its adder says; creatorsName is who it was."""
    executors = Member((layout.executors,))
    anchor = any_class((ANCHOR,))
    return (
        Aci(
            name="anchors: executors",
            effect="allow",
            rights=("add",),
            who=executors,
            target=f"ipaTpiEntryId=*,{layout.anchors}",
            classes=("top", ANCHOR),
        ),
        Aci(name="anchors: only executors", rights=("add",), who=executors.opposite(), entries=anchor),
    )
