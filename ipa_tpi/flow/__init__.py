"""The web's way through (DESIGN section 2): who, parse, policy, add as the caller, prove, look, audit, nudge.

Every verb is one function that reads top to bottom:

1. Who calls: a canonical principal of this realm whose account is usable, and the directory takes
   our connection for exactly that account.
2. What it is about: the request with everything below it, judged from the caller's own reads.
3. May this person do this, now, on exactly what was shown?  Each check is a guard with a code.
4. The attempt is audited before anything is written: no audit, no write.
5. The entry is added as the caller, and then the proof.
6. This host's executor is woken, the request searched again, the event audited.

Nothing here decides that something runs; the executor does, from its own reads.  These checks
answer early and kindly, and the directory's access control stands behind them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ipa_tpi.decide.authorization import check_definition, judge_requester, terms_of
from ipa_tpi.decide.definition import is_reading
from ipa_tpi.decide.digest import request_digest
from ipa_tpi.decide.identity import check_account, check_principal
from ipa_tpi.decide.intake import check_identifier, check_target, check_text
from ipa_tpi.decide.policy import usable_operation
from ipa_tpi.decide.proof import MAX_PROOFS
from ipa_tpi.decide.quorum import Demand, check_satisfiable
from ipa_tpi.errors import AuditError, NotFoundError, RefusedError, TpiError, UnavailableError
from ipa_tpi.flow import guards
from ipa_tpi.flow.approvers import Approvers, Candidate, find_approvers
from ipa_tpi.flow.entries import draft, proof_entry, request_entry, voice_entry
from ipa_tpi.flow.events import Event
from ipa_tpi.flow.guards import Wanted
from ipa_tpi.flow.listing import Named, Page, Selection, load, turn_to
from ipa_tpi.flow.pending import check_pending
from ipa_tpi.flow.reading import Reading, Seen, Site, people_of
from ipa_tpi.flow.rules import RuleFilter, Rules, find_rules
from ipa_tpi.flow.trial import Question, Trial, Verdict, able_approvers, try_policy
from ipa_tpi.model import Account, Operation, Policy, Proof, Purpose, Refuse, Request, Subtree
from ipa_tpi.ports import Audit, Directory, Nudger
from ipa_tpi.wire import ProofBody, RequestBody, VoiceBody

__all__ = [
    "Approvers",
    "Candidate",
    "Catalogue",
    "Event",
    "Flow",
    "Page",
    "Question",
    "RuleFilter",
    "Rules",
    "Seen",
    "Selection",
    "Site",
    "Trial",
    "Verdict",
]


@dataclass(frozen=True, slots=True)
class _Word:
    """One kind of voice: what proves it, how it is stored, and its event."""

    purpose: Purpose
    object_class: str
    event: Event


_APPROVAL: Final = _Word(Purpose.APPROVE, "ipaTpiApproval", Event.APPROVED)
_DENIAL: Final = _Word(Purpose.DENY, "ipaTpiDenial", Event.DENIED)
_WITHDRAWAL: Final = _Word(Purpose.WITHDRAW, "ipaTpiWithdrawal", Event.WITHDRAWN)
_CANCELLATION: Final = _Word(Purpose.CANCEL, "ipaTpiCancellation", Event.CANCELLED)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What can be asked for: the policy, the hosts that have an executor, and this host with its floor."""

    policy: Policy
    targets: Sequence[str]
    site: Site


@dataclass(frozen=True, slots=True)
class Flow:
    """One caller's way through, over one connection that is bound as that caller.

    Every verb takes the principal that Apache authenticated and raises `TpiError`: a
    `RefusedError` or `NotFoundError` is a decision on complete reads, an `UnavailableError` is none.
    Whatever ends a verb early leaves one audit record.

    Attributes:
        directory: Bound as the caller.
        site: Realm, suffix, this host and its floor.
        clock: Tells the time.
        new_id: Makes a fresh random UUID.
        audit: The trail.
        nudger: Wakes this host's executor.
    """

    directory: Directory
    site: Site
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    audit: Audit
    nudger: Nudger

    def create(self, caller: str, body: RequestBody) -> Seen:
        """Make a request.

        Args:
            caller: The authenticated principal.
            body: Decoded, otherwise untrusted.

        Returns:
            The request as it lies in the directory.

        Raises:
            TpiError: See the class.
        """
        with self._recorded("create", caller, body.id):
            reading = self._reading()
            hosts = (body.target,) if check_target(body.target) is None else ()
            who = self._who(caller, reading, hosts=hosts)
            _demand(check_identifier(body.id))
            _demand(check_target(body.target))
            _demand(guards.check_interface(body.interface))  # R-E15
            request = draft(body, who, self.site, reading.now)
            digest = self._judge(request, who, reading)
            _demand(guards.check_about(body.digest, digest))  # R-K10
            _demand(guards.check_proof(body.proof, Wanted(Purpose.REQUEST, (digest,))))
            self._record(Event.ATTEMPT, who, request.id, verb="create", operation=request.operation)
            self.directory.add_request(request_entry(request))
            self._add_proof(request.id, body.proof)
            return self._after(Event.CREATED, who, request, reading)

    def show(self, caller: str, request_id: str) -> Seen:
        """Load one request; ``not-found`` for one that the caller may not see."""
        with self._recorded("show", caller, request_id):
            return self._see(caller, request_id, self._reading())

    def listing(self, caller: str, selection: Selection) -> Page:
        """List requests that the caller may see, newest first."""
        with self._recorded("list", caller, ""):
            reading = self._reading()
            who = self._who(caller, reading)
            user, approver = (
                self._named(name) if name else None for name in (selection.user, selection.approver)
            )
            return turn_to(selection, who, Named(user, approver), reading, self.directory)

    def approvers(self, caller: str, request_id: str, user: str = "") -> Approvers:
        """Tell who could still approve a request, and why others could not (K16).

        Args:
            caller: The authenticated principal.
            request_id: The request; who may see it may ask.
            user: Only about this person, with or without the realm; the sums are over everybody all the same.

        Returns:
            The answer.
        """
        with self._recorded("approvers", caller, request_id):
            reading = self._reading()
            seen = self._see(caller, request_id, reading)
            people = self.directory.candidates(self.site.approve_permission)
            everybody = find_approvers(seen, people, reading)
            if not user:
                return everybody
            principal = user if "@" in user else f"{user}@{self.site.realm}"
            refusal = check_principal(principal, self.site.realm)
            account = self.directory.account(principal) if refusal is None else None
            return everybody.only(principal, account, refusal, reading)

    def operations(self, caller: str) -> Catalogue:
        """Read what can be asked for, and of which hosts."""
        with self._recorded("operations", caller, ""):
            reading = self._reading()
            self._who(caller, reading)
            return Catalogue(self.directory.operations(), self.directory.targets(), self.site)

    def policy(self, caller: str, question: Question) -> Trial:
        """Tell what the policy says of a user, an operation and a host (X10)."""
        with self._recorded("policy", caller, ""):
            reading = self._reading()
            self._who(caller, reading)
            account = self._named(question.user) if question.user else None
            return try_policy(question, account, reading, self.directory, self.site)

    def rules(self, caller: str, wanted: RuleFilter) -> Rules:
        """Find rules."""
        with self._recorded("rules", caller, ""):
            reading = self._reading()
            self._who(caller, reading)
            account = self._named(wanted.user) if wanted.user else None
            policy = reading.policy_for({wanted.operation}) if wanted.operation else reading.policy
            return find_rules(wanted, account, policy)

    def approve(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Approve exactly what was shown (K10), as another person than the requester (A04)."""
        with self._recorded("approve", caller, request_id):
            reading = self._reading()
            seen = self._see(caller, request_id, reading)
            _demand(guards.check_approvable(seen))
            _demand(guards.check_about(body.digest, seen.standing.approval_digest))
            _demand(guards.check_given(body.proof, seen.terms))  # R-X01
            return self._speak(_APPROVAL, seen, body, reading)

    def deny(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Veto a request (K15)."""
        with self._recorded("deny", caller, request_id):
            reading = self._reading()
            seen = self._see(caller, request_id, reading)
            _demand(guards.check_deniable(seen))
            # The preview may come between showing and denying; a veto is not lost for that.
            _demand(guards.check_about(body.digest, seen.standing.approval_digest, seen.digest))
            return self._speak(_DENIAL, seen, body, reading)

    def withdraw(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Take back the caller's own approval; the voice stays used (K15)."""
        with self._recorded("withdraw", caller, request_id):
            reading = self._reading()
            seen = self._see(caller, request_id, reading)
            _demand(guards.check_withdrawable(seen))
            _demand(guards.check_about(body.digest, seen.standing.approval_digest))
            return self._speak(_WITHDRAWAL, seen, body, reading)

    def cancel(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Cancel the caller's own request."""
        with self._recorded("cancel", caller, request_id):
            reading = self._reading()
            seen = self._see(caller, request_id, reading)
            _demand(guards.check_cancellable(seen))
            _demand(guards.check_about(body.digest, seen.digest))
            return self._speak(_CANCELLATION, seen, body, reading)

    def prove(self, caller: str, request_id: str, body: ProofBody) -> Seen:
        """Add a proof for what the caller has asked for or said below a request already."""
        with self._recorded("prove", caller, request_id):
            reading = self._reading()
            seen = self._see(caller, request_id, reading)
            wanted = guards.provable(seen, body.purpose)
            if isinstance(wanted, Refuse):
                raise _refused(wanted)
            _demand(guards.check_proof(body, wanted))
            if sum(1 for proof in seen.subtree.of(Proof) if proof.creator == seen.caller.dn) >= MAX_PROOFS:
                raise RefusedError(
                    f"{MAX_PROOFS} proofs of yours lie there already; make a new request",
                    code="proof-too-many",
                )
            self._record(Event.ATTEMPT, seen.caller, request_id, verb="prove", purpose=body.purpose)
            self.directory.add_child(request_id, proof_entry(self.new_id(), body))
            return self._after(Event.PROVEN, seen.caller, seen.subtree.request, reading)

    def _reading(self) -> Reading:
        return Reading(self.directory, self.site, self.clock())

    def _who(
        self, caller: str, reading: Reading, subtree: Subtree | None = None, hosts: Sequence[str] = ()
    ) -> Account:
        _demand(check_principal(caller, self.site.realm))
        # Who and what will be needed next is read in the same searches.
        account = reading.meet(people_of(subtree) if subtree is not None else (), hosts, caller)
        refusal = check_account(account, caller, reading.now, self.site.floor.person_attribute)
        if refusal is not None or account is None:
            raise _refused(
                refusal
                or Refuse("unknown-principal", "the directory has no such account; ask an administrator")
            )
        if self.directory.whoami() != account.dn:  # R-K01
            raise RefusedError(
                "the directory takes this connection for another account than the caller's, so nothing was done; run kinit and try again",
                code="caller-mismatch",
            )
        return account

    def _named(self, user: str) -> Account:
        principal = user if "@" in user else f"{user}@{self.site.realm}"
        _demand(check_principal(principal, self.site.realm))
        account = self.directory.account(principal)
        if account is None:
            raise NotFoundError(f"the directory has no account for {principal!a}; check --user")
        return account

    def _judge(self, request: Request, who: Account, reading: Reading) -> bytes:
        operation = usable_operation(reading.policy_for({request.operation}), request.operation)
        if isinstance(operation, Refuse):
            raise _refused(operation)
        if reading.host(request.target) is None:
            raise RefusedError(
                f"the directory knows no host {request.target!a}; check --host, see: ipa-tpi hosts",
                code="target-not-served",
            )
        _demand(check_definition(request, operation))  # R-K10, R-K14
        _demand(reading.check_floor(request))  # R-X13
        if operation.minimum_age_seconds:
            reading.known({who.dn})
        _demand(judge_requester(request, who, reading.setting(operation, request.target)))  # R-K03
        _demand(self._check_satisfiable(request, who, operation, reading))  # R-K08
        _demand(check_pending(who, operation, self.site.floor, reading, self.directory))  # R-K20
        return request_digest(request, who.principal)

    def _check_satisfiable(
        self, request: Request, who: Account, operation: Operation, reading: Reading
    ) -> Refuse | None:
        """Refuse what nobody could approve, where it takes more than any one approver."""
        demand = terms_of(operation, reading.floor_of(request), who).demand
        if is_reading(operation.name) or demand == Demand(1):
            return None
        candidates = self.directory.candidates(self.site.approve_permission)
        return check_satisfiable(
            operation, demand, able_approvers(request, who, operation, reading, candidates)
        )

    def _see(self, caller: str, request_id: str, reading: Reading) -> Seen:
        _demand(check_identifier(request_id))
        _demand(check_principal(caller, self.site.realm))
        try:
            found: Subtree | TpiError = load(self.directory, request_id)
        except (NotFoundError, RefusedError) as error:
            found = error
        subtree = found if isinstance(found, Subtree) else None
        who = self._who(caller, reading, subtree, [subtree.request.target] if subtree is not None else [])
        if isinstance(found, TpiError):  # told only to somebody who may ask
            raise found
        return reading.judge(found, who)

    def _speak(self, word: _Word, seen: Seen, body: VoiceBody, reading: Reading) -> Seen:
        request_id, digest = seen.subtree.request.id, bytes.fromhex(body.digest)
        _demand(check_text(body.comment, "comment"))  # R-K11
        _demand(guards.check_proof(body.proof, Wanted(word.purpose, (digest,))))
        self._record(Event.ATTEMPT, seen.caller, request_id, verb=word.purpose.value, digest=digest.hex())
        entry = voice_entry(self.new_id(), word.object_class, digest, body.comment)
        self.directory.add_child(request_id, entry)
        self._add_proof(request_id, body.proof)
        return self._after(word.event, seen.caller, seen.subtree.request, reading)

    def _add_proof(self, request_id: str, proof: ProofBody | None) -> None:
        if proof is None:
            return
        try:
            self.directory.add_child(request_id, proof_entry(self.new_id(), proof))
        except TpiError as error:
            raise UnavailableError(
                f"your word is recorded below request {request_id}, but its proof could not be added "
                f"({error.message}); run: ipa-tpi prove {request_id}",
                code="proof-missing",
            ) from error

    def _after(self, event: Event, who: Account, request: Request, reading: Reading) -> Seen:
        request_id = request.id
        if request.target == self.site.host:
            self.nudger.nudge(request_id)
        try:
            subtree = self.directory.load(request_id)
        except UnavailableError as error:
            raise _unread(request_id, error.message, error.code) from error
        if subtree is None:
            raise _unread(request_id, "the directory does not show it", UnavailableError.code)
        try:
            self._record(event, who, request_id, operation=request.operation, target=request.target)
        except AuditError as error:
            raise AuditError(
                f"recorded below request {request_id}, but not in the audit: {error.message}. Tell an administrator."
            ) from error
        return reading.judge(subtree, who)

    def _record(self, event: Event, who: Account, request_id: str, **fields: str) -> None:
        self.audit.record(event.value, caller=who.principal, request=request_id, **fields)

    @contextmanager
    def _recorded(self, verb: str, caller: str, request_id: str) -> Iterator[None]:
        try:
            yield
        except AuditError:
            raise
        except TpiError as error:  # R-A08
            event = Event.FAILED if isinstance(error, UnavailableError) else Event.REFUSED
            self.audit.record(
                event.value,
                caller=caller,
                request=request_id,
                verb=verb,
                code=error.code,
                message=error.message,
            )
            raise


def _unread(request_id: str, why: str, code: str) -> UnavailableError:
    return UnavailableError(
        f"recorded below request {request_id}, which cannot be read back ({why.rstrip('.')}); "
        f"look: ipa-tpi show {request_id}",
        code=code,
    )


def _demand(refusal: Refuse | None) -> None:
    if refusal is not None:
        raise _refused(refusal)


def _refused(refusal: Refuse) -> RefusedError:
    return RefusedError(refusal.message, code=refusal.code)
