"""May this request run here, now (DESIGN sections 2 to 4): the executor's decision, from its own reads.

The web service uses the parts (`judge_requester`, `judge_voice`, `terms_of`) to answer early and
kindly; only `authorize` decides.  It is asked three times, with the same facts read anew:

* ``preview``: may the target show what it would do?  Everything about the request must hold, and
  its requester's proof must be verified.
* ``dispatch``: before the intent; the state must be ``approved``.
* ``last``: after the execution entry, just before the claim; the state, computed without our own
  execution entry, must still be ``approved``.  The last point at which a veto counts (K15).

Checks, in order, each by itself sufficient to refuse:

1. The request names this host as its target and this executor's DN.
2. It is not older than this journal, and not stamped ahead of our clock by more than the skew; no
   entry below it is.
3. No veto, execution or result that we have seen has vanished, nothing that we have seen is another
   now under the same id; no entry under our own DN lacks in
   our journal.
4. Its operation is usable, its definition has the digest that was asked for, and the floor allows
   operation and parameters.
5. Texts, interface and parameters are as the definition allows.
6. Its requester's account is the same as at first sight, usable, not made after the request, and
   may request by a rule.
7. Its digest, recomputed, is the stored one.
8. The state (`approval.standing`), with every voice judged anew.

A reading operation is asked about once, with the stage ``read``, and goes no other way: it is
allowed where an operation of the other kind could be shown.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from ipa_tpi.decide.approval import Case, Standing, Terms, Verified, Voice, required_approvals, standing
from ipa_tpi.decide.definition import is_reading
from ipa_tpi.decide.digest import request_digest
from ipa_tpi.decide.identity import (
    Identity,
    check_account,
    check_distinct,
    check_principal,
    check_unchanged,
    identity_of,
)
from ipa_tpi.decide.intake import check_parameters, check_text, fingerprint
from ipa_tpi.decide.policy import granting, may, usable_operation
from ipa_tpi.decide.quorum import Demand
from ipa_tpi.decide.units import check_unit
from ipa_tpi.model import (
    Account,
    Allow,
    Child,
    Floor,
    FloorOperation,
    Group,
    HostEntry,
    Kind,
    NotYet,
    Operation,
    Outcome,
    Policy,
    Refuse,
    Request,
    Right,
    Rule,
    State,
    Subtree,
)

Stage = Literal["preview", "read", "dispatch", "last"]
_WAS_APPROVED: Final = frozenset({State.PENDING, State.AWAITING_PREVIEW, State.EXPIRED})
_REQUESTER_GONE: Final = Refuse(
    "requester-gone", "the requester's account is gone (renamed or deleted); make a new request"
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the executor's journal remembers of a request.

    Attributes:
        journal_started: When the journal was made.
        first_seen: By request id or entry id.
        identities: By DN, who was behind it at first sight.
        seen: Entry ids of vetoes, executions and results that were seen once.
        fingerprints: By request id or entry id, what it was at first sight (`intake.fingerprint`).
        written: Entry ids that this executor wrote.
        verified: Proofs with a receipt.
        preview_digest: Of the preview that this executor made.
        own_nonce: Of the intent without a claim.
    """

    journal_started: datetime
    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    identities: Mapping[str, Identity] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    verified: frozenset[Verified] = frozenset()
    preview_digest: bytes | None = None
    own_nonce: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a request and its voices are judged against, all of one moment.

    Attributes:
        policy: Rules and operations.
        operation: The usable definition of the request's operation.
        host: The target's entry; None when the directory has none.
        floor: Names the person attribute.
        now: The time.
        approve_permission: Normal DN of the permission without which the directory lets nobody
            write an approval or a denial.
        groups: By DN, the groups that the people are members of; needed where an operation demands
            an age of memberships, and a group that is not there counts as young.
    """

    policy: Policy
    operation: Operation
    host: HostEntry | None
    floor: Floor
    now: datetime
    approve_permission: str
    groups: Mapping[str, Group] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the decision is about, read anew for each stage.

    Attributes:
        me: This executor's normal DN.
        target: This host's name.
        realm: The realm.
        now: This host's clock.
        subtree: The request.
        policy: Rules and operations.
        host: This host's entry.
        floor: This host's floor.
        accounts: By DN, the account of everyone who wrote below the request, or None.
        approve_permission: Normal DN of the permission that lets write approvals and denials.
        memory: The journal's.
        groups: As in `Setting`.
    """

    me: str
    target: str
    realm: str
    now: datetime
    subtree: Subtree
    policy: Policy
    host: HostEntry | None
    floor: Floor
    accounts: Mapping[str, Account | None]
    approve_permission: str
    memory: Memory
    groups: Mapping[str, Group] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Authorization:
    """The decision with what it rests on.

    Attributes:
        decision: `Allow`, `NotYet` or `Refuse`.
        standing: The state as computed; None where the request did not come that far.
    """

    decision: Allow | NotYet | Refuse
    standing: Standing | None = None


def authorize(facts: Facts, stage: Stage) -> Authorization:
    """Decide whether a request may go one stage on.

    Args:
        facts: Complete reads.
        stage: Which of the three.

    Returns:
        The decision.  `NotYet` waits; `Refuse` is final.
    """
    refusal = _check_place(facts) or _check_clock(facts) or _check_journal(facts)
    if refusal is not None:
        return Authorization(refusal)
    request = facts.subtree.request
    operation = usable_operation(facts.policy, request.operation)
    requester = facts.accounts.get(request.creator)
    floor = facts.floor.operations.get(request.operation)
    if isinstance(operation, Refuse):
        return Authorization(operation)
    if floor is None:  # R-X13
        return Authorization(
            Refuse(
                "operation-not-on-floor",
                f"the floor of {facts.target} does not allow {request.operation}; ask its administrator (ipa-tpi-floor(5))",
            ),
        )
    if is_reading(operation.name) != (stage == "read"):  # R-K02: no stage of one kind opens the other
        return Authorization(
            Refuse("not-reading", f"{operation.name} cannot be taken through the stage {stage}; report this")
        )
    setting = Setting(
        policy=facts.policy,
        operation=operation,
        host=facts.host,
        floor=facts.floor,
        now=facts.now,
        approve_permission=facts.approve_permission,
        groups=facts.groups,
    )
    refusal = check_definition(request, operation) or check_floor_parameters(request, floor, facts.target)
    if requester is None:
        return Authorization(refusal or _REQUESTER_GONE)
    refusal = (
        refusal
        or judge_requester(request, requester, setting)
        or check_principal(requester.principal, facts.realm)
        or _check_remembered(facts, request.creator)
        or _check_digest(request, requester)
    )
    if refusal is not None:
        return Authorization(refusal)
    case = _case(facts, setting, floor, requester)
    result = standing(case)
    return Authorization(_by_state(result, stage), result)


def terms_of(operation: Operation, floor: FloorOperation | None, requester: Account | None) -> Terms:
    """Combine definition and floor: the stricter of both, always (X13).

    Args:
        operation: The definition.
        floor: The target's floor for it; None where it is not known here.
        requester: Who requested.

    Returns:
        The terms.
    """
    least = required_approvals(
        operation.required_approvals,
        floor.required_approvals if floor is not None else 1,
        requester_is_person=requester is not None and requester.kind is Kind.PERSON,
    )
    return Terms(
        required_approvals=Demand(least, stages=operation.stages).total,
        groups=operation.required_groups,
        stages=operation.stages,
        approval_seconds=operation.approval_seconds,
        execution_seconds=operation.execution_seconds,
        timeout_seconds=operation.timeout_seconds,
        proof=floor.proof if floor is not None else True,
        indicators=operation.indicators,
    )


def check_definition(request: Request, operation: Operation) -> Refuse | None:
    """Compare a request with the operation's definition of now (K10, K14, E15).

    Args:
        request: The request.
        operation: A usable definition.

    Returns:
        None, or the first refusal.
    """
    if request.operation_digest != operation.digest:  # R-K10
        return Refuse(
            "operation-changed",
            f"the definition of {operation.name} is not the one that was asked for; make a new request",
        )
    if request.interface not in operation.interfaces:  # R-E15
        return Refuse(
            "interface-not-allowed",
            f"{operation.name} cannot be asked for through the interface {request.interface!a}; use another one",
        )
    if operation.reason_pattern and re.fullmatch(operation.reason_pattern, request.reason) is None:  # R-K14
        return Refuse(
            "reason-required",
            f"{operation.name} needs a reason that matches {operation.reason_pattern}; give --reason",
        )
    if operation.ticket_pattern and re.fullmatch(operation.ticket_pattern, request.ticket) is None:
        return Refuse(
            "ticket-required",
            f"{operation.name} needs a ticket that matches {operation.ticket_pattern}; give --ticket",
        )
    return (
        check_parameters(request.parameters, operation)
        or check_text(request.reason, "reason")
        or check_text(request.ticket, "ticket")
    )


def check_floor_parameters(request: Request, floor: FloorOperation, target: str) -> Refuse | None:
    """Compare a request's parameters with the floor (X13).

    Args:
        request: The request.
        floor: The floor's entry of its operation.
        target: The host, for the message.

    Returns:
        None, or a refusal ``below-floor``, ``unit-reserved`` or ``bad-parameters``.
    """
    for name, named in (("instance", floor.instances), ("unit", floor.units)):
        value = request.parameters.get(name)
        if value is not None and value not in named:
            allowed = ", ".join(sorted(named)) or "none"
            return Refuse(
                "below-floor",
                f"{target} allows {request.operation} only of: {allowed} (its floor file, /etc/ipa/tpi/floor.toml), "
                f"and not of {value!a}; ask for one of them",
            )
    unit = request.parameters.get("unit")
    return check_unit(unit, reading=is_reading(request.operation)) if unit is not None else None


def judge_requester(request: Request, requester: Account | None, setting: Setting) -> Refuse | None:
    """Judge the account that made a request (K02, K03).

    Args:
        request: The request.
        requester: The account at its creatorsName, as it is now.
        setting: What it is judged against.

    Returns:
        None, or the refusal.
    """
    if requester is None:
        return _REQUESTER_GONE
    refusal = check_account(requester, "", setting.now, setting.floor.person_attribute)
    if refusal is not None:
        return refusal
    if requester.created > request.created:
        return Refuse(
            "account-too-young",
            f"the account of {requester.principal} is younger than the request; make a new request",
        )
    decision = may(setting.policy, Right.REQUEST, requester, setting.operation, setting.host)
    return decision if isinstance(decision, Refuse) else check_age(requester, Right.REQUEST, setting)


def judge_voice(voice: Account | None, request: Request, requester: Account, setting: Setting) -> Voice:
    """Judge somebody who wrote, or would write, below a request (K02, K03, A04).

    Args:
        voice: The account as it is now; None when there is none.
        request: The request.
        requester: The account that made it.
        setting: What it is judged against.

    Returns:
        Whether this voice counts, and whether the directory should have refused it at all.
    """
    forged = voice is None or setting.approve_permission not in voice.member_of
    refusal = check_account(voice, "", setting.now, setting.floor.person_attribute)
    if refusal is not None or voice is None:
        return Voice(refusal, forged=forged)
    identity = identity_of(voice)
    if voice.created > request.created:
        refusal = Refuse(
            "account-too-young",
            f"the account of {voice.principal} is younger than the request; another person has to approve",
        )
    if refusal is None:
        refusal = check_distinct(identity_of(requester), identity)  # R-A04
    if refusal is None:
        decision = may(setting.policy, Right.APPROVE, voice, setting.operation, setting.host)
        refusal = decision if isinstance(decision, Refuse) else check_age(voice, Right.APPROVE, setting)
    if refusal is None and forged:  # R-K03: a rule alone is not enough, whatever the directory let through
        refusal = Refuse(
            "no-rule", f"{voice.principal} lacks the role of an approver; ask an administrator for the role"
        )
    return Voice(refusal, forged=forged, identity=identity, groups=voice.member_of)


def check_age(account: Account, right: Right, setting: Setting) -> Refuse | None:
    """Refuse an account, or a membership that gives the right, that is too young to count (X11).

    A membership is as old as the last change of the groups that it goes through: the directory
    tells no more, and when in doubt it is young.  Roles and permissions count where a rule names
    them; the coarse role of an approver alone gives nothing.

    Args:
        account: An account that a rule gives the right.
        right: Which.
        setting: What it is judged against.

    Returns:
        None, or a refusal ``account-too-young`` or ``membership-too-young``.
    """
    age = setting.operation.minimum_age_seconds
    if age == 0:
        return None
    latest = setting.now - timedelta(seconds=age)
    if account.created > latest:
        return Refuse(
            "account-too-young",
            f"the account of {account.principal} was made at {account.created:%Y-%m-%d %H:%M:%S} UTC, and "
            f"{setting.operation.name} counts only accounts of at least {age} s; ask somebody else",
        )
    always = {group for group in setting.operation.required_groups if group in account.member_of}
    always |= {stage.group for stage in setting.operation.stages if stage.group in account.member_of}
    young = ""
    for rule in granting(setting.policy, right, account, setting.operation, setting.host):
        for way in _ways(rule, account):
            young = _young(account, always | way, latest, setting)
            if not young:
                return None
    return Refuse(
        "membership-too-young",
        f"{young or 'a group'} gives {account.principal} the right and was changed less than {age} s ago; "
        f"{setting.operation.name} counts only older memberships. Wait, or ask somebody else",
    )


def _ways(rule: Rule, account: Account) -> list[frozenset[str]]:
    """Give each way by which a rule names an account: by nothing but itself, or by one group."""
    person = account.kind is Kind.PERSON
    named = rule.members if person else rule.requesting
    by_itself = account.dn in named or (person and rule.all_users)
    return [frozenset()] * by_itself + [frozenset({group}) for group in sorted(named & account.member_of)]


def _young(account: Account, through: AbstractSet[str], latest: datetime, setting: Setting) -> str:
    for dn in sorted(account.member_of):
        group = setting.groups.get(dn)
        above = group.member_of if group is not None else frozenset()
        if (dn in through or above & through) and (group is None or group.modified > latest):
            return dn
    return ""


def _check_place(facts: Facts) -> Refuse | None:
    request = facts.subtree.request
    if request.target != facts.target or request.executor != facts.me:
        return Refuse(
            "wrong-target",
            f"the request is for {request.target}, and this is {facts.target}; make a new request",
        )
    return None


def _check_clock(facts: Facts) -> Refuse | None:
    request = facts.subtree.request
    if request.created < facts.memory.journal_started:  # R-K13
        return Refuse(
            "older-than-journal",
            f"the request is older than the journal of {facts.target}; make a new request",
        )
    latest = facts.now + timedelta(seconds=facts.floor.clock_skew_seconds)
    stamps = [request.created, *(child.created for child in facts.subtree.children)]
    if max(stamps) > latest:
        return Refuse(
            "clock",
            f"an entry is stamped ahead of the clock of {facts.target}; mend the clocks, then make a new request",
        )
    if min(stamps) < request.created:
        return Refuse(
            "clock", "an entry is stamped before the request that it lies below; make a new request"
        )
    return None


def _check_journal(facts: Facts) -> Refuse | None:
    present = {child.entry_id for child in facts.subtree.children}
    if facts.memory.seen - present:  # R-K13: a restored directory cannot take back a veto or an end
        return Refuse(
            "seen-entry-missing",
            "an entry that was there is gone; the directory was restored or changed. Make a new request.",
        )
    entries: list[Child | Request] = [facts.subtree.request, *facts.subtree.children]
    for entry in entries:
        key = entry.entry_id if isinstance(entry, Child) else entry.id
        if facts.memory.fingerprints.get(key, fingerprint(entry)) != fingerprint(entry):
            return Refuse(
                "seen-entry-changed",
                f"the entry {entry.dn} is not the one that was seen first; the directory was changed. Make a new request.",
            )
    for child in facts.subtree.children:
        if child.creator == facts.me and child.entry_id not in facts.memory.written:
            return Refuse(
                "forged-entry",
                f"the entry {child.dn} bears this executor's name and is not in its journal; tell an auditor",
            )
    return None


def _check_remembered(facts: Facts, dn: str) -> Refuse | None:
    then = facts.memory.identities.get(dn)
    return check_unchanged(then, facts.accounts.get(dn)) if then is not None else None


def _check_digest(request: Request, requester: Account) -> Refuse | None:
    if request_digest(request, requester.principal) != request.digest:  # R-K10
        return Refuse(
            "digest-mismatch",
            "the digest that the request bears is not that of what it asks for; make a new request, and tell an auditor",
        )
    return None


def _case(facts: Facts, setting: Setting, floor: FloorOperation, requester: Account) -> Case:
    request = facts.subtree.request
    voices = {}
    for dn, account in facts.accounts.items():
        voice = judge_voice(account, request, requester, setting)
        wrong = _check_remembered(facts, dn)
        if voice.identity is not None:
            wrong = wrong or check_principal(voice.identity.principal, facts.realm)
        voices[dn] = replace(voice, refusal=wrong) if wrong is not None else voice
    return Case(
        subtree=facts.subtree,
        digest=request.digest,
        terms=terms_of(setting.operation, floor, requester),
        now=facts.now,
        voices=voices,
        verified=facts.memory.verified,
        first_seen=facts.memory.first_seen,
        own_nonce=facts.memory.own_nonce,
        preview_digest=facts.memory.preview_digest,
    )


def _by_state(result: Standing, stage: Stage) -> Allow | NotYet | Refuse:
    if result.state is State.APPROVED:
        return Allow("approved by " + ", ".join(approval.creator for approval in result.counted))
    shows = stage in {"preview", "read"} and result.code == "awaiting-preview"
    if result.state is State.AWAITING_PREVIEW and shows:
        return Allow("the request's proof is verified")
    if (
        result.state is State.PENDING and stage == "read" and result.code == "approvals-missing"
    ):  # shown before a restart, and not yet told
        return Allow("the request's proof was verified, and nothing has to be approved")
    if stage == "last" and not result.complete and result.state in _WAS_APPROVED:  # R-K15: it is so no longer
        return Refuse("withdrawn", "an approval was withdrawn or no longer counts; make a new request")
    if result.state in {State.PENDING, State.AWAITING_PREVIEW}:
        return NotYet(result.code, result.message)
    if result.state is State.CANCELLED:
        return Refuse(result.code or "cancelled", result.message, Outcome.CANCELLED)
    if result.state is State.EXPIRED:
        return Refuse("expired", result.message, Outcome.EXPIRED)
    if result.state is State.DENIED and result.code:
        return Refuse(result.code, result.message)
    # An execution or a result lies there that is not the one we are about to make.
    return Refuse(
        "execution-exists",
        "the request was begun or ended already; look at the target, then make a new request if it is needed",
        Outcome.INDETERMINATE,
    )
