"""What everybody may do, computed from the rules of DESIGN.md section 3 and of ipa_tpi_acls.aci.

An expectation of its own: it knows nothing of how the ACIs are made, so the committed table is more than a copy
of what the server did. Two states: FreeIPA's own rules; and `opened`, where adam has let everybody do everything
at the suffix, so that below cn=tpi only denies are left.
"""

from acls_cast import (
    ADMINS,
    APPROVERS,
    AUDITORS,
    DIRECTORY_MANAGER,
    EXECUTORS,
    POLICY_EXECUTORS,
    REQUESTERS,
)
from acls_deeds import Deed
from acls_run import Mark
from acls_stage import OF_THE_EXECUTOR, POLICY, Thing

PARTICIPANTS = REQUESTERS | APPROVERS | AUDITORS | EXECUTORS


def expected(who: str, deed: Deed, *, opened: bool) -> Mark:
    """Return how a deed has to end."""
    if who == DIRECTORY_MANAGER:
        return Mark.YES
    if deed.verb == "read":
        return readable(who, deed.thing, opened=opened)
    return Mark.YES if _may(who, deed, opened=opened) else Mark.NO


def readable(who: str, thing: Thing | None, *, opened: bool) -> Mark:
    """Participants read policy and anchors; a request is for its requester, executor, approvers and auditors."""
    assert thing is not None
    if thing.requester:
        by_role = who in APPROVERS | AUDITORS | POLICY_EXECUTORS
        concerned = who in {thing.requester, thing.made_by} or (who in EXECUTORS and who == thing.executor)
        return Mark.YES if by_role or concerned else Mark.NO
    readers = APPROVERS | AUDITORS | POLICY_EXECUTORS if thing.name == "cn=requests" else PARTICIPANTS
    if opened or who in readers | ADMINS:
        return Mark.YES
    return Mark.NAME if thing.kind == "container" else Mark.NO


def _may(who: str, deed: Deed, *, opened: bool) -> bool:
    # Who writes policy, and has a right from outside cn=tpi that asks for no form.
    at_large = who in POLICY_EXECUTORS and (opened or who in ADMINS)
    if deed.verb == "compare":
        return readable(who, deed.thing, opened=opened) is Mark.YES
    if deed.verb == "add":
        return may_add(who, deed.kind, deed.thing) or (deed.kind == "groupOfNames" and at_large)
    if deed.verb == "misplace":
        return _may_misplace(who, deed, at_large=at_large)
    if deed.verb in {"change", "rename", "enrol"}:
        return _may_change(who, deed, at_large=at_large)
    if deed.verb == "delete":
        return _may_delete(who, deed.thing, at_large=at_large)
    if deed.verb == "move" and deed.item == "out of cn=tpi":
        # 389-ds takes the right to delete here and to add there for the right to move: he could do both.
        return (
            at_large
            and deed.thing is not None
            and not deed.thing.requester
            and _may_delete(who, deed.thing, at_large=True)
        )
    # Nobody plants, disguises, moves in or impersonates.
    return False


def may_add(who: str, kind: str, above: Thing | None) -> bool:
    if kind == "ipaTpiRequest":
        return who in REQUESTERS
    if kind == "ipaTpiAnchor":
        return who in EXECUTORS
    if kind in POLICY:
        return who in POLICY_EXECUTORS
    if above is None:
        return False
    if kind in {"ipaTpiApproval", "ipaTpiDenial", "ipaTpiWithdrawal"}:
        return who in APPROVERS and who != above.requester
    if kind == "ipaTpiCancellation":
        return who == above.requester
    if kind == "ipaTpiProof":
        return who == above.requester or who in APPROVERS
    return kind in OF_THE_EXECUTOR and who in EXECUTORS and who == above.executor


def _may_misplace(who: str, deed: Deed, *, at_large: bool) -> bool:
    """Policy may lie anywhere in its container, where readers look at one level only."""
    if deed.kind == "ipaTpiOperation" and deed.place == "below an ipaTpiOperation":
        return who in POLICY_EXECUTORS
    if deed.kind == "ipaTpiAnchor" and deed.place == "below an ipaTpiAnchor":
        return who in EXECUTORS
    # Who has a right from outside may put other kinds beside policy, where nobody reads them.
    outside = deed.place not in {"below cn=requests", "below a request", "below an answer"}
    return at_large and outside and deed.kind not in {"ipaTpiAnchor", "nsContainer"}


def _may_change(who: str, deed: Deed, *, at_large: bool) -> bool:
    thing = deed.thing
    assert thing is not None
    if deed.item in {"aci", "a new aci", "all aci away"} or who not in POLICY_EXECUTORS:
        return False
    if thing.kind in POLICY:
        # A policy executor adds no classes, except with rights from outside.
        return deed.item != "objectClass" or at_large
    if thing.name == "cn=executors":
        return deed.verb == "enrol" or deed.item == "member" or at_large
    return False


def _may_delete(who: str, thing: Thing | None, *, at_large: bool) -> bool:
    """Policy by who maintains it; requests by retention, each by the executor that it names."""
    assert thing is not None
    if who not in POLICY_EXECUTORS:
        return False
    if thing.requester:
        return who == thing.executor
    if thing.kind in POLICY:
        return True
    return at_large and thing.name == "cn=executors"
