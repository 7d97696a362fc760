"""The ACIs on cn=requests, generated from the table of kinds (rules 2, 3 and 5 of aci.py)."""

from dataclasses import dataclass

from ipa_tpi_acls.bind_rules import BindRule, Every, Listed, Member, NamedBy, Some
from ipa_tpi_acls.instruction import READ, WRITE, Aci, any_class, any_of, two_of
from ipa_tpi_acls.layout import APPROVE_RIGHT, AUDIT_RIGHT, REQUEST_RIGHT, Layout

REQUEST = "ipaTpiRequest"
VOICE = "ipaTpiVoice"
VOICES = (REQUEST, "ipaTpiApproval", "ipaTpiDenial")


@dataclass(frozen=True)
class Kind:
    """Classes of entries below cn=requests that the same people may add in the same place."""

    classes: tuple[str, ...]
    who: BindRule


def kinds(layout: Layout) -> tuple[Kind, ...]:
    """Return who may add what below cn=requests, requests first.

    `parent[1]` is the entry above: an answer lies directly below its request (rule 2), and who created the
    request and which executor it names was settled when it was added.
    """
    creator = NamedBy("parent[1].creatorsName")
    executor = NamedBy("parent[1].ipaTpiExecutor")
    approvers = Member((layout.permission(APPROVE_RIGHT),))
    return (
        Kind((REQUEST,), Member((layout.permission(REQUEST_RIGHT),))),
        # R-A04, R-K02: nobody answers his own request.
        Kind(("ipaTpiApproval", "ipaTpiDenial", "ipaTpiWithdrawal"), Every((creator.opposite(), approvers))),
        # Without a role: who lost his can still take his request back, which only denies.
        Kind(("ipaTpiCancellation",), creator),
        Kind(("ipaTpiProof",), Some((creator, approvers))),
        Kind(
            ("ipaTpiPreview", "ipaTpiReceipt", "ipaTpiExecution", "ipaTpiResult"),
            Every((executor, Member((layout.executors,)))),
        ),
    )


def request_classes(layout: Layout) -> tuple[str, ...]:
    """Return the classes of everything below cn=requests, that of requests first."""
    return tuple(name for kind in kinds(layout) for name in kind.classes)


def request_acis(layout: Layout) -> tuple[Aci, ...]:
    """Return the ACIs of cn=requests."""
    request, *answers = kinds(layout)
    a_request = f"ipaTpiRequestId=*,{layout.requests}"
    an_answer = f"ipaTpiEntryId=*,{a_request}"
    return (
        Aci(name="requests: nothing changes", rights=WRITE, attributes="*"),
        *_form(layout, a_request, an_answer),
        *_add_pair(request, a_request),
        *(aci for kind in answers for aci in _add_pair(kind, an_answer)),
        *_read(layout),
    )


def _form(layout: Layout, a_request: str, an_answer: str) -> tuple[Aci, ...]:
    """Rule 2: one kind, in its place.

    A star in a target crosses commas, so a pattern for a place also matches what lies deeper, and names of
    several values; hence the last three denies.
    """
    classes = request_classes(layout)
    request, answers = any_class(classes[:1]), any_class(classes[1:])
    return (
        Aci(name="requests: only entries of our form", rights=("add",), entries=_misshapen(layout, classes)),
        Aci(
            name="requests: a request lies directly below",
            rights=("add",),
            target=a_request,
            outside=True,
            entries=request,
        ),
        Aci(
            name="requests: an answer lies directly below a request",
            rights=("add",),
            target=an_answer,
            outside=True,
            entries=answers,
        ),
        Aci(
            name="requests: a name is one value",
            rights=("add",),
            target=f"ipaTpi*=*+*=*,{layout.requests}",
        ),
        Aci(
            name="requests: nothing below an answer",
            rights=("add",),
            target=f"ipaTpi*=*,ipaTpiEntryId=*,{layout.requests}",
        ),
        Aci(
            name="requests: no request below a request",
            rights=("add",),
            target=f"ipaTpi*=*,{a_request}",
            entries=request,
        ),
    )


def _misshapen(layout: Layout, classes: tuple[str, ...]) -> str:
    """Return a filter for entries that are none of these classes, or two, or otherwise not of our form."""
    # A filter cannot ask whether the executor is in cn=executors; the rule of the executor's answers does.
    executor = f"(ipaTpiExecutor=krbprincipalname=tpi/*,{layout.services})"
    return any_of(
        (
            f"(!{any_class(classes)})",
            f"(&(objectClass={VOICE})(!{any_class(VOICES)}))",
            f"(&(objectClass={REQUEST})(!{executor}))",
            two_of(classes),
        )
    )


def _add_pair(kind: Kind, place: str) -> tuple[Aci, Aci]:
    """Rule 3: the allow for a kind, and the deny for everybody else."""
    names = ", ".join(name.removeprefix("ipaTpi").lower() for name in kind.classes)
    entries = any_class(kind.classes)
    voice = (VOICE,) if set(kind.classes) & set(VOICES) else ()
    allow = Aci(
        name=f"requests: who adds {names}",
        effect="allow",
        rights=("add",),
        who=kind.who,
        target=place,
        classes=("top", *kind.classes, *voice),
    )
    deny = Aci(
        name=f"requests: nobody else adds {names}",
        rights=("add",),
        who=kind.who.opposite(),
        entries=entries,
    )
    return allow, deny


def _read(layout: Layout) -> tuple[Aci, ...]:
    """Rule 5, and retention.

    The deny is needed beside the allows for two reasons. It takes from FreeIPA's administrators what "Admin can
    manage any entry" gives them. And 389-ds (2.3.1, 3.3.0) remembers for a connection that no allow let it read
    an entry, and says the same of the next one to which the same ACIs apply: an executor that had once been
    refused a foreign request no longer saw its own, vetoes included. A refusal that came from a rule with
    `userattr` it computes anew.

    One ACI for each allow: with two `userattr` in one of them 389-ds 2.3 never answers an add with the post-read
    control.
    """
    policy = layout.policy_executors
    roles = (layout.permission(APPROVE_RIGHT), layout.permission(AUDIT_RIGHT), policy)
    creator, executor = NamedBy("parent[0,1].creatorsName"), NamedBy("parent[0,1].ipaTpiExecutor")
    readers: dict[str, BindRule] = {
        "approvers, auditors, retention": Member(roles),
        "the requester": creator,
        "the named executor": Every((executor, Member((layout.executors,)))),
    }
    reads = tuple(
        Aci(name=f"requests: read by {name}", effect="allow", rights=READ, who=who, attributes="*")
        for name, who in readers.items()
    )
    nobody_else = Aci(
        name="requests: read by nobody else",
        rights=READ,
        who=Some((creator, executor, Listed(layout.accounts, roles))).opposite(),
        entries="(!(objectClass=nsContainer))",
        attributes="*",
    )
    # R-K17: retention is the one deletion, by the executor whose journal knows that the request has ended. That it has
    # ended, or goes whole, no ACI can ask for.
    retention = Aci(
        name="requests: retention",
        effect="allow",
        rights=("delete",),
        who=Member((policy,)),
        entries="(!(objectClass=nsContainer))",
    )
    # A deny, since a policy executor may have a right from further up as well.
    own_only = Aci(
        name="requests: only the named executor removes",
        rights=("delete",),
        who=executor.opposite(),
        entries="(!(objectClass=nsContainer))",
    )
    return (*reads, nobody_else, retention, own_only)
