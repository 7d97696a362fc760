"""The ten steps from an approved request to its result (DESIGN section 2).

::

     1  verify proofs on arrival, receipt (journal, then entry)
        preview, once the request's own proof has a receipt
     2  load all, authorise, compare the precondition
     3  validation programs
     4  journal the intent with a random nonce (synced), audit it
     5  add the execution entry that bears the nonce
     6  read all again, authorise again, compare the precondition: the last point at which a veto counts
     7  journal the claim (synced)
     8  act
     9  journal the outcome (synced)
    10  result entry, audit

A certificate (`enrolment`, DESIGN section 8): where the executor submits, 7 journals ``submitted``, and while
8 waits for the CA its validator moves that on to ``claimed`` through the socket (`consuming`), or gets a no.
Where the requester submits, this loop does 1 and the preview, and watches for what ends the request; 2 to 7
are done by `Dispatcher.release` when the CA's validator asks, its answer is 8, and `Dispatcher.conclude`
does 9 and 10.

A reading operation (`decide.policy.is_reading`) ends after its preview: it is shown, and told as the
result, at once; it has no execution entry, and is read again after a restart.

On restart: nothing from 4 on: begin at 1; 4 without 7: add the execution entry if it is absent,
go on at 6, or wait for the validator to ask again where the requester submits; 7 without 9: indeterminate;
9 without 10: do 10.  A result that the directory has lost
afterwards is added again, whoever wakes us.

A refusal is a decision on complete reads, and is final.  An error (directory, KDC, D-Bus, disk,
audit) before 7 is not a refusal: `Dispatcher.process` raises it, nothing was done, and the caller
tries again later; once the window has ended, the decision itself becomes ``expired``.

An operation that acts as the requester waits, before 4, after a restart before 5, or before 7, its state
unchanged, as long as no ticket of his is held that is still good for a while (R-K01): until he proves
again, a veto comes, or the window ends.  That is audited as ``waiting``, once for each wait, and told by a
receipt ``ticket-missing`` for each proof whose ticket is gone.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ipa_tpi.decide.approval import Standing
from ipa_tpi.decide.authorization import Authorization, Facts, Stage, authorize
from ipa_tpi.decide.definition import is_reading
from ipa_tpi.decide.digest import canonical, preview_body, sha256
from ipa_tpi.decide.identity import check_account, identity_of
from ipa_tpi.decide.intake import fingerprint
from ipa_tpi.decide.policy import usable_operation
from ipa_tpi.decide.proof import demands_of
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    DirectoryLimitError,
    DirectoryUnavailableError,
    KerberosError,
    NoTicketError,
    OutcomeUnknownError,
    RefusedError,
    ServiceManagerError,
    TpiError,
)
from ipa_tpi.executor import entries
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.claims import Claim, Claims, Sight
from ipa_tpi.executor.enrolment import EXECUTOR, REQUESTER, enrolment_of, way_of
from ipa_tpi.executor.operations import operation
from ipa_tpi.executor.publication import Publication
from ipa_tpi.executor.receipts import Receipts
from ipa_tpi.executor.turns import Turns
from ipa_tpi.model import (
    Account,
    Allow,
    Approval,
    Cancellation,
    Denial,
    Execution,
    Floor,
    Group,
    NotYet,
    Operation,
    Outcome,
    Proof,
    Refuse,
    Request,
    Result,
    Subtree,
    Withdrawal,
)
from ipa_tpi.ports import Audit, Authority, Directory, Query, ServiceManager, Validators

_KEPT = (Denial, Withdrawal, Cancellation, Execution, Result)
_LOOK_AGAIN_SECONDS = 30
_VALIDATION_SECONDS = 10
_BUSY_SECONDS = 1
L = TypeVar("L")
_VOICES = (Approval, Denial, Withdrawal, Cancellation)


@dataclass(frozen=True, slots=True)
class Place:
    """Where this executor stands.

    Attributes:
        me: Its normal DN.
        target: This host's name.
        realm: The realm.
        floor: This host's floor.
        approve_permission: Normal DN of the permission that lets write approvals.
    """

    me: str
    target: str
    realm: str
    floor: Floor
    approve_permission: str


@dataclass(frozen=True, slots=True)
class Waits:
    """A request that waits.

    Attributes:
        until: When to look again without being woken.
        code: What it waits for.
        message: The same, for people.
    """

    until: datetime
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A request that may run: authorised by the last look, and not claimed yet.

    Attributes:
        subtree: As it was read last.
        nonce: Of its intent.
        by: Who approved.
        timeout_seconds: How long the act may take.
    """

    subtree: Subtree
    nonce: str
    by: str
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Takes requests through the ten steps.

    Attributes:
        place: Where it stands.
        directory: Bound as tpi/HOST.
        claims: The journal.
        receipts: Step 1.
        publication: How entries get into the directory.
        services: systemd.
        authority: Reaches the CA with what a proof yielded.
        validators: Runs validation programs.
        audit: The audit trail.
        clock: Tells the time in UTC.
        turns: Who works on a request that two threads could come to; all dispatchers share it.
    """

    place: Place
    directory: Directory
    claims: Claims
    receipts: Receipts
    publication: Publication
    services: ServiceManager
    authority: Callable[[object], Authority]
    validators: Validators
    audit: Audit
    clock: Callable[[], datetime]
    turns: Turns

    def process(self, request_id: str) -> datetime | None:
        """Take a request as far as it goes now.

        Args:
            request_id: Its id; nothing else that woke us is believed.

        Returns:
            When to look again without being woken; None when it needs nothing more.

        Raises:
            UnavailableError: Nothing was decided; try again later.
        """
        if self.claims.way(request_id) != REQUESTER:
            found = self._look(request_id, self._advance)
        else:
            with self.turns.one(request_id, 0) as is_mine:
                if not is_mine:  # it is just being used up
                    return self.clock() + timedelta(seconds=_BUSY_SECONDS)
                found = self._look(request_id, self._advance)
        return found.until if isinstance(found, Waits) else None

    def release(self, request_id: str, left: Callable[[], float]) -> Ready:
        """Use up a request whose requester asks the CA himself: steps 1 to 7; the answer to the CA is step 8.

        Args:
            request_id: It; the caller has its turn.
            left: How many seconds are left; what is not claimed within them is not claimed at all.

        Returns:
            What was claimed; `conclude` has to follow.

        Raises:
            RefusedError: It may not be used, or not yet; with the reason.
            UnavailableError: Nothing was decided; it can be tried again.
        """
        found = self._look(request_id, partial(self._use_up, left=left))
        if isinstance(found, Ready):
            return found
        if isinstance(found, Waits):
            message = f"the request {request_id} waits: {found.message}; see: ipa-tpi show {request_id}"
            raise RefusedError(message, code=found.code)
        claim = self.claims.claim(request_id)
        if claim is None or not claim.code:
            raise RefusedError(f"the request {request_id} has ended; make a new one", code="already-used")
        message, code = claim.excerpt, claim.code
        raise RefusedError(message, code=code)

    def conclude(self, ready: Ready, *, answered: bool) -> None:
        """Steps 9 and 10 of what `release` gave.

        Args:
            ready: What it gave.
            answered: Whether the yes went on its way to the CA's validator.
        """
        if answered:
            told = "released to the requester's enrolment"
            self._finish(ready.subtree, Outcome.EXECUTED, "", told, exit_status=0)
        else:
            told = "the CA's validator did not wait for the answer; look whether there is a certificate"
            self._finish(ready.subtree, Outcome.INDETERMINATE, "outcome-unknown", told)

    def _look(self, request_id: str, go: Callable[[Subtree, Claim | None], L | None]) -> L | Waits | None:
        """Load a request and take it on, where it can be taken on at all."""
        claim = self.claims.claim(request_id)
        try:
            subtree = self.directory.load(request_id)
        except RefusedError as error:
            self._bury(request_id, claim, error)
            return None
        if subtree is None or subtree.request.id != request_id or subtree.request.executor != self.place.me:
            return None
        if claim is not None and claim.state != "intent":
            self._resume(subtree, claim)
            return None
        if claim is None and self._is_history(subtree):
            return None
        try:
            return go(subtree, claim)
        except NoTicketError as error:  # before 7: what is held is of no use
            self.receipts.evidence.drop(request_id)
            return self._await_proof(subtree, None, error.message)
        except RefusedError as error:
            if error.code != "forged-entry" or self._is_taken(request_id):
                raise
            self._refuse(subtree, Refuse(error.code, error.message))
            return None

    def _advance(self, subtree: Subtree, claim: Claim | None) -> Waits | None:
        request_id = subtree.request.id
        subtree = self._arrive(subtree, claim)
        if claim is not None:
            return self._go_on(subtree, claim)
        if is_reading(subtree.request.operation):
            return self._read(subtree)
        if self.claims.precondition(request_id) is None:
            return self._preview(subtree)
        return self._dispatch(subtree)

    def _arrive(self, subtree: Subtree, claim: Claim | None) -> Subtree:
        """Step 1, and what was promised to the directory before."""
        owed = self.receipts.owed(subtree)
        people = self._remember(subtree, owed)
        self._verify(subtree, owed, people)
        if claim is None and self.publication.catch_up(subtree.request.id):
            subtree = self._reload(subtree.request.id)
            self._remember(subtree)
        return subtree

    def _use_up(
        self, subtree: Subtree, claim: Claim | None, left: Callable[[], float]
    ) -> Ready | Waits | None:
        subtree = self._arrive(subtree, claim)
        if claim is None:
            intent = self._prepare(subtree, left)
            if not isinstance(intent, Claim):
                return intent
            claim = intent
        found = self._last_look(subtree, claim)
        if not isinstance(found, Ready):
            return found
        request = found.subtree.request
        self.audit.record("claim", request=request.id, requester=request.creator, by=found.by)
        if left() <= 0:
            return self._too_late()
        self.claims.take(request.id, found.nonce, self.clock())  # step 7
        return found

    def _too_late(self) -> Waits:
        message = "it took too long to look at the request, and it is not used up; try again"
        return Waits(self.clock(), "consume-too-late", message)

    def _verify(
        self, subtree: Subtree, owed: tuple[Proof, ...], people: Mapping[str, Account | None]
    ) -> None:
        request = subtree.request
        if not owed:
            return
        wanted = usable_operation(self.directory.policy(frozenset({request.operation})), request.operation)
        # What a ticket must be stands in the definition; without the one that was asked for nothing can come of it.
        if isinstance(wanted, Operation) and wanted.digest == request.operation_digest:
            self.receipts.verify(subtree, owed, people, demands_of(wanted, self.place.floor), self.clock())

    def _read(self, subtree: Subtree) -> Waits | None:
        """Show and tell at once what a reading operation reads (K02)."""
        request = subtree.request
        facts = self._facts(subtree)
        authorization = authorize(facts, "read")
        decision = authorization.decision
        if isinstance(decision, Refuse):
            self._refuse(subtree, decision)
            return None
        if isinstance(decision, NotYet):
            return self._waits(authorization)
        self.audit.record("read", request=request.id, by=decision.by)
        if self.claims.precondition(request.id) is None and not self._show(subtree, facts):
            return None
        try:
            told = operation(request.operation).act(request.parameters, self._means(request), 0)
        except (ActionFailedError, RefusedError) as error:
            self._finish(subtree, Outcome.FAILED, error.code, error.message, exit_status=1)
        else:
            self._finish(subtree, Outcome.EXECUTED, "", told.excerpt, exit_status=told.exit_status)
        return None

    def _bury(self, request_id: str, claim: Claim | None, error: RefusedError) -> None:
        """End a request whose entry is malformed: it can bear no result, and nothing is run, now or later."""
        if error.code != "malformed-request":
            raise error
        if claim is not None and claim.published:
            return
        if claim is None or claim.state == "intent":
            claim = Claim("ended", "", Outcome.DENIED, error.code, error.message)
            self.claims.end(request_id, claim, self.clock())
        elif claim.state != "ended":  # 7 without 9: R-K13
            claim = Claim("ended", "", Outcome.INDETERMINATE, "outcome-unknown", error.message)
            self.claims.end(request_id, claim, self.clock())
        # An audit that fails here is tried again: the request stays unpublished until then.
        self.audit.record(
            "refused",
            request=request_id,
            code=error.code,
            message=error.message,
            outcome=claim.outcome.value if claim.outcome is not None else "",
        )
        self.claims.publish(request_id)

    def _is_history(self, subtree: Subtree) -> bool:
        """Leave alone what had ended before this journal began; a second result would contradict the first (X12)."""
        request = subtree.request
        ours = [result for result in subtree.of(Result) if result.creator == self.place.me]
        if not ours or request.created >= self.claims.started:
            return False
        code, message = "older-than-journal", "it had ended before this journal began"
        self.audit.record("history", request=request.id, outcome=ours[0].outcome, code=code)
        self.claims.end(request.id, Claim("ended", "", Outcome.DENIED, code, message), self.clock())
        self.claims.publish(request.id)
        return True

    def _resume(self, subtree: Subtree, claim: Claim) -> None:
        if claim.state != "ended":  # 7 without 9: R-K13
            self._finish(
                subtree,
                Outcome.INDETERMINATE,
                "outcome-unknown",
                "the executor stopped while it acted; look at the target",
            )
        elif not claim.published:  # 9 without 10
            self._publish(subtree, claim)
        else:
            self._republish(subtree, claim)

    def _republish(self, subtree: Subtree, claim: Claim) -> None:
        """Add the very same result again where the directory has lost it, as a restored one has (X12)."""
        request = subtree.request
        entry = self.claims.written(request.id, "result")
        # What ended malformed, or before this journal began, has no result of ours.
        if entry is None or entry.entry_id in self.claims.judged(request.id):
            return
        if any(result.entry_id == entry.entry_id for result in subtree.of(Result)):
            return
        self.audit.record(
            "republished",
            request=request.id,
            outcome=claim.outcome.value if claim.outcome is not None else "",
        )
        try:
            self.publication.add(request.id, entry)
        except RefusedError as error:
            self.claims.judge(request.id, entry.entry_id, error.code)  # `process` raises, and is told once
            raise

    def _preview(self, subtree: Subtree) -> Waits | None:
        request = subtree.request
        facts = self._facts(subtree)
        authorization = authorize(facts, "preview")
        decision = authorization.decision
        if isinstance(decision, Refuse):
            self._refuse(subtree, decision)
            return None
        if isinstance(decision, NotYet):
            return self._waits(authorization)
        flood = self._check_pending(subtree, facts.policy.operations[request.operation])
        if flood is not None:
            self._refuse(subtree, flood)
            return None
        if self._lacks_ticket(request):
            return self._await_proof(subtree, authorization.standing)
        if not self._show(subtree, facts):
            return None
        # What is added here wakes nobody, so it is seen here; nobody can have approved it before, and who does wakes us.
        self._remember(self._reload(request.id))
        return self._waits(authorization)

    def _show(self, subtree: Subtree, facts: Facts) -> bool:
        request = subtree.request
        requester = facts.accounts[request.creator]
        try:
            shown, precondition = operation(request.operation).preview(
                request.parameters, self._means(request)
            )
            enrolment = enrolment_of(request, requester.principal if requester is not None else "")
        except (RefusedError, ActionFailedError) as error:
            self._refuse(subtree, Refuse(error.code, error.message))
            return False
        body = preview_body(shown, precondition)
        entry = entries.preview_entry(body, sha256(body))
        self.audit.record("preview", request=request.id, digest=sha256(body).hex())
        self.publication.add(
            request.id, self.claims.show(request.id, sha256(body), canonical(precondition), entry, enrolment)
        )
        return True

    def _dispatch(self, subtree: Subtree) -> Waits | None:
        if way_of(subtree.request) == REQUESTER:
            return self._watch(subtree, "dispatch")
        intent = self._prepare(subtree)
        return self._go_on(subtree, intent) if isinstance(intent, Claim) else intent

    def _watch(self, subtree: Subtree, stage: Stage) -> Waits | None:
        """See that a request ends which its requester has not used up; nothing else is done for it here."""
        authorization = authorize(self._facts(subtree), stage)
        if stage == "dispatch":
            self._audit_voices(subtree, authorization)
        if isinstance(authorization.decision, Refuse):
            self._refuse(subtree, authorization.decision)
            return None
        return self._waits(authorization)

    def _prepare(self, subtree: Subtree, left: Callable[[], float] | None = None) -> Claim | Waits | None:
        """Do steps 2 to 4; what is refused here has ended."""
        request_id = subtree.request.id
        facts = self._facts(subtree)
        authorization = authorize(facts, "dispatch")  # step 2
        decision = authorization.decision
        self._audit_voices(subtree, authorization)
        if isinstance(decision, Refuse):
            self._refuse(subtree, decision)
            return None
        if isinstance(decision, NotYet):
            return self._waits(authorization)
        if self._lacks_ticket(subtree.request):  # R-K01
            return self._await_proof(subtree, authorization.standing)
        seconds = _VALIDATION_SECONDS if left is None else int(left())
        refusal = self._compare_precondition(subtree) or self._validate(
            facts, authorization, seconds
        )  # steps 2, 3
        if refusal is not None and refusal.code == "validation-timeout" and seconds < _VALIDATION_SECONDS:
            return self._too_late()  # it had less time than it should have
        if refusal is not None:
            self._refuse(subtree, refusal)
            return None
        nonce = secrets.token_hex(32)
        self.claims.intend(request_id, nonce, self.clock(), entries.execution_entry(nonce))  # step 4
        return Claim("intent", nonce)

    def _validate(self, facts: Facts, authorization: Authorization, seconds: int) -> Refuse | None:
        """Ask the operation's validation program, where it names one; its no is final (K05)."""
        request = facts.subtree.request
        wanted = facts.policy.operations[request.operation]
        if not wanted.validation_program:
            return None
        names = {dn: account.principal for dn, account in facts.accounts.items() if account is not None}
        counted = authorization.standing.counted if authorization.standing is not None else ()
        question = {
            "TPI_REQUEST_ID": request.id,
            "TPI_OPERATION": request.operation,
            "TPI_TARGET": request.target,
            "TPI_REQUESTER": names[request.creator],
            "TPI_APPROVERS": " ".join(names[approval.creator] for approval in counted),
            "TPI_PARAMETERS": canonical(dict(request.parameters)).decode(),
            "TPI_REASON": request.reason,
            "TPI_TICKET": request.ticket,
        }
        seconds = min(wanted.timeout_seconds, seconds)
        if seconds < 1:
            return Refuse("validation-timeout", "no time was left to ask the validation program; try again")
        refusal = self.validators.ask(wanted.validation_program, question, seconds)
        self.audit.record(
            "validated",
            request=request.id,
            program=wanted.validation_program,
            code=refusal.code if refusal is not None else "",
        )
        return refusal

    def _audit_voices(self, subtree: Subtree, authorization: Authorization) -> None:
        """Audit, once, each approval that does not count (A04, A08); a proof may still come."""
        why = authorization.standing.why if authorization.standing is not None else {}
        judged = self.claims.judged(subtree.request.id)
        for approval in subtree.of(Approval):
            refusal = why.get(approval.entry_id)
            if refusal is None or refusal.code == "proof-missing" or approval.entry_id in judged:
                continue
            self.audit.record(
                "approval-refused",
                request=subtree.request.id,
                approval=approval.entry_id,
                writer=approval.creator,
                code=refusal.code,
            )
            self.claims.judge(subtree.request.id, approval.entry_id, refusal.code)

    def _go_on(self, subtree: Subtree, claim: Claim) -> Waits | None:
        request = subtree.request
        if way_of(request) == REQUESTER:
            return self._watch(subtree, "last")
        found = self._last_look(subtree, claim)
        if not isinstance(found, Ready):
            return found
        self.audit.record("claim", request=request.id, requester=request.creator, by=found.by)
        if way_of(request) == EXECUTOR:
            self.claims.submit(request.id, claim.nonce, self.clock())  # step 7
            with self.turns.submission(request.id):
                self._act(found.subtree, found.timeout_seconds)
        else:
            self.claims.take(request.id, claim.nonce, self.clock())  # step 7
            self._act(found.subtree, found.timeout_seconds)
        return None

    def _last_look(self, subtree: Subtree, claim: Claim) -> Ready | Waits | None:
        """Do steps 4 (its record), 5 and 6; what is refused here has ended."""
        request = subtree.request
        if self._lacks_ticket(request):
            return self._stay(subtree)
        # A failed audit stops it here, at every try.
        self.audit.record("intent", request=request.id, nonce=claim.nonce)
        self.publication.catch_up(request.id)  # step 5
        again = self._with_execution(request.id, claim.nonce)
        self._remember(again)
        facts = self._facts(again)
        decision = authorize(facts, "last").decision  # step 6, R-K15
        if not isinstance(decision, Allow):
            self._refuse(again, _final(decision))
            return None
        changed = self._compare_precondition(again)
        if changed is not None:
            self._refuse(again, changed)
            return None
        if self._lacks_ticket(request):  # all this took too long
            return self._stay(again)
        return Ready(
            again, claim.nonce, decision.by, facts.policy.operations[request.operation].timeout_seconds
        )

    def _stay(self, subtree: Subtree) -> Waits | None:
        """Wait for a new proof with an intent, as long as it may still go on."""
        authorization = authorize(self._facts(subtree), "last")
        if isinstance(authorization.decision, Allow):
            return self._await_proof(subtree, authorization.standing)
        self._refuse(subtree, _final(authorization.decision))
        return None

    def _await_proof(self, subtree: Subtree, standing: Standing | None, why: str = "") -> Waits:
        """Tell, once, the audit and the directory that it waits; and when to look again where no proof comes."""
        request, evidence = subtree.request, self.receipts.evidence
        message = why or "no ticket of the requester's is held; he runs: ipa-tpi prove ID"
        if not evidence.is_missed(request.id):
            self.audit.record(
                "waiting",
                request=request.id,
                requester=request.creator,
                code="proof-missing",
                message=message,
            )
            evidence.miss(request.id)
        self.receipts.tell_unticketed(subtree)
        return Waits(self._later(standing), "proof-missing", message)

    def _means(self, request: Request) -> Means:
        if not self._acts_as_requester(request):
            return Means(self.services)
        return Means(self.services, self.authority(self._evidence(request)))

    def _lacks_ticket(self, request: Request) -> bool:
        """Tell whether it has to wait, its state unchanged, until the requester proves again."""
        good = self.receipts.evidence.is_good(request.id, self.clock())
        return self._acts_as_requester(request) and not good

    def _acts_as_requester(self, request: Request) -> bool:
        return operation(request.operation).needs_ticket and way_of(request) != REQUESTER

    def _evidence(self, request: Request) -> object:
        return self.receipts.evidence.of(request.id, self.clock())

    def _with_execution(self, request_id: str, nonce: str) -> Subtree:
        """Read all again; our execution entry is there, or is added again where the directory has lost it (X12)."""
        again = self._reload(request_id)
        if any(execution.nonce == nonce for execution in again.of(Execution)):
            return again
        entry = self.claims.written(request_id, "execution")
        if entry is not None:
            self.publication.add(request_id, entry)
        again = self._reload(request_id)
        if not any(execution.nonce == nonce for execution in again.of(Execution)):
            raise DirectoryUnavailableError(
                "our execution entry does not show in the directory; nothing was done"
            )
        return again

    def _act(self, subtree: Subtree, timeout_seconds: int) -> None:
        request = subtree.request
        try:
            act = operation(request.operation).act(
                request.parameters, self._means(request), timeout_seconds
            )  # step 8
        except (
            ActionFailedError,
            AuthorityUnavailableError,
            KerberosError,
            ServiceManagerError,
            RefusedError,
        ) as error:
            if way_of(request) == EXECUTOR:
                self._settle(subtree, error)
            else:
                self._finish(subtree, Outcome.FAILED, error.code, error.message, exit_status=1)
        except OutcomeUnknownError as error:
            self._finish(subtree, Outcome.INDETERMINATE, error.code, error.message)
        else:
            self._finish(
                subtree,
                Outcome.EXECUTED,
                "",
                act.excerpt + self._unasked(request),
                exit_status=act.exit_status,
            )

    def _settle(self, subtree: Subtree, error: TpiError) -> None:
        """End what the CA certainly refused; where its validator had got a yes before that, nobody knows (R-K13)."""
        request_id = subtree.request.id
        failed = Claim("ended", "", Outcome.FAILED, error.code, error.message, 1)
        told = f"the CA asked for the approval, got it, and then refused: {error.message}"
        doubtful = Claim("ended", "", Outcome.INDETERMINATE, "outcome-unknown", told)
        self.claims.settle(request_id, failed, doubtful, self.clock())  # step 9
        self._publish(subtree, self.claims.claim(request_id) or failed)

    def _unasked(self, request: Request) -> str:
        """Tell where a CA issues without asking us: then one person alone could have had the certificate."""
        claim = self.claims.claim(request.id)
        if way_of(request) != EXECUTOR or claim is None or claim.state != "submitted":
            return ""
        self.audit.record("unasked", request=request.id, profile=request.parameters["profile"])
        return (
            "; the CA issued it without asking here, so this profile is not under control: see certval.toml"
        )

    def _refuse(self, subtree: Subtree, refusal: Refuse) -> None:
        self._finish(subtree, refusal.outcome, refusal.code, refusal.message)

    def _finish(
        self,
        subtree: Subtree,
        outcome: Outcome,
        code: str,
        excerpt: str,
        exit_status: int | None = None,
    ) -> None:
        request_id = subtree.request.id
        claim = Claim("ended", "", outcome, code, excerpt, exit_status)
        self.claims.end(request_id, claim, self.clock())  # step 9
        self._publish(subtree, self.claims.claim(request_id) or claim)

    def _publish(self, subtree: Subtree, claim: Claim) -> None:  # step 10
        request = subtree.request
        outcome = claim.outcome.value if claim.outcome is not None else ""
        if self.claims.written(request.id, "result") is None:
            # An audit that fails here cannot undo what was done: `process` raises, and step 10 is tried again.
            self.audit.record(
                "outcome",
                request=request.id,
                operation=request.operation,
                outcome=outcome,
                code=claim.code,
                excerpt=claim.excerpt,
            )
        entry = self.claims.write(request.id, "result", entries.result_entry(claim))
        self.publication.add(request.id, entry)
        self.claims.publish(request.id)
        self.receipts.evidence.drop(request.id)

    def _remember(self, subtree: Subtree, owed: tuple[Proof, ...] = ()) -> Mapping[str, Account | None]:
        """Journal what is seen for the first time: entries, and who is behind their writers.

        Args:
            subtree: The request.
            owed: Proofs that are to be verified.

        Returns:
            The accounts that were read for it, those of these proofs and their request among them.
        """
        request, now = subtree.request, self.clock()
        memory = self.claims.memory(request.id)
        if request.id not in memory.first_seen:
            self.audit.record(
                "request-seen", request=request.id, operation=request.operation, creator=request.creator
            )
            self.claims.see(request.id, [Sight(request.id, fingerprint(request))], now)
        sights = [
            Sight(child.entry_id, fingerprint(child), kept=isinstance(child, _KEPT))
            for child in subtree.children
            if child.entry_id not in memory.first_seen
        ]
        self.claims.see(request.id, sights, now)
        unknown = self._writers(subtree) - memory.identities.keys()
        needed = {request.creator, *(proof.creator for proof in owed)} if owed else set()
        people = self.directory.meet(unknown | needed).accounts
        attribute = self.place.floor.person_attribute
        usable = [
            identity_of(account)
            for dn, account in people.items()
            if dn in unknown and account is not None and check_account(account, "", now, attribute) is None
        ]
        self.claims.remember(request.id, usable)
        return people

    def _facts(self, subtree: Subtree) -> Facts:
        people = self.directory.meet(self._writers(subtree), (self.place.target,))
        policy = self.directory.policy(frozenset({subtree.request.operation}))
        return Facts(
            me=self.place.me,
            target=self.place.target,
            realm=self.place.realm,
            now=self.clock(),
            subtree=subtree,
            policy=policy,
            host=people.hosts[self.place.target],
            floor=self.place.floor,
            accounts=people.accounts,
            approve_permission=self.place.approve_permission,
            memory=self.claims.memory(subtree.request.id),
            groups=self._groups(policy.operations.get(subtree.request.operation), people.accounts),
        )

    def _groups(
        self, wanted: Operation | None, accounts: Mapping[str, Account | None]
    ) -> Mapping[str, Group]:
        if wanted is None or not wanted.minimum_age_seconds:
            return {}
        names = frozenset(
            dn for account in accounts.values() if account is not None for dn in account.member_of
        )
        return self.directory.groups(names)

    def _writers(self, subtree: Subtree) -> set[str]:
        return {
            subtree.request.creator,
            *(child.creator for child in subtree.children if isinstance(child, _VOICES)),
        }

    def _compare_precondition(self, subtree: Subtree) -> Refuse | None:
        request = subtree.request
        then = self.claims.precondition(request.id)
        try:
            now = operation(request.operation).precondition(request.parameters, self._means(request))
        except (RefusedError, ActionFailedError) as error:
            return Refuse(error.code, error.message)
        if then is None or canonical(now) != then:  # R-K10
            return Refuse(
                "precondition-changed", "the target is no longer as the preview showed it; make a new request"
            )
        return None

    def _check_pending(self, subtree: Subtree, wanted: Operation) -> Refuse | None:
        request, floor = subtree.request, self.place.floor
        since = self.clock() - timedelta(seconds=wanted.approval_seconds)
        most = min(floor.pending_per_operation, wanted.pending_limit or floor.pending_per_operation)
        flood = Refuse(
            "too-many-pending", "the requester has too many requests waiting here; cancel one, or wait"
        )
        try:
            mine = self.directory.ids(Query(creator=request.creator, executor=request.executor, since=since))
        except DirectoryLimitError:  # more than the directory gives at once are more than any limit
            return flood
        others = sorted(frozenset(mine) - self.claims.ended(mine) - {request.id})
        if len(others) < min(floor.pending_per_person, most):  # too few, whatever they are
            return None
        waiting, same = 0, 0
        # Read one by one, up to the limit only: a flood must not cost its own square.
        for other in others:
            found = self._waiting(other)
            waiting += found is not None
            same += found is not None and found.operation == request.operation
            if waiting >= floor.pending_per_person or same >= most:  # R-K20
                return flood
        return None

    def _waiting(self, request_id: str) -> Request | None:
        """Read a request that our journal has not ended; None where it waits for nothing."""
        try:
            subtree = self.directory.load(request_id)
        except RefusedError:  # malformed
            return None
        return None if subtree is None or self._has_ended(subtree) else subtree.request

    def _is_taken(self, request_id: str) -> bool:
        claim = self.claims.claim(request_id)
        return claim is not None and claim.state != "intent"

    def _has_ended(self, subtree: Subtree) -> bool:
        claim = self.claims.claim(subtree.request.id)
        if claim is not None:
            return claim.state == "ended"
        # A new journal does not know yet what ended before it.
        return any(result.creator == self.place.me for result in subtree.of(Result))

    def _reload(self, request_id: str) -> Subtree:
        subtree = self.directory.load(request_id)
        if subtree is None:
            raise DirectoryUnavailableError("the request is gone from the directory; nothing was done")
        return subtree

    def _waits(self, authorization: Authorization) -> Waits:
        decision = authorization.decision
        why = (decision.code, decision.message) if isinstance(decision, NotYet) else ("", "")
        return Waits(self._later(authorization.standing), *why)

    def _later(self, standing: Standing | None) -> datetime:
        deadline = standing.deadline if standing is not None else None
        soon = self.clock() + timedelta(seconds=_LOOK_AGAIN_SECONDS)
        # createTimestamp has whole seconds; look when the window has certainly ended.
        return soon if deadline is None else deadline + timedelta(seconds=1)


def _final(decision: NotYet | Refuse) -> Refuse:
    gone = Refuse("refused", "it is approved no longer; make a new request")
    return decision if isinstance(decision, Refuse) else gone
