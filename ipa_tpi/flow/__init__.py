"""The web's way through (DESIGN section 2): who, parse, policy, add as the caller, prove, look, audit, nudge.

Every verb is one function that reads top to bottom:

1. Who calls: a canonical principal of this realm whose account is usable, and the directory takes
   our connection for exactly that account.
2. What it is about: the request with everything below it, judged from the caller's own reads.
3. May this person do this, now, on exactly what was shown?  Each check is a guard with a code.
4. The attempt is audited, before anything is written; no audit, no write.
5. The entry is added as the caller, and then the proof.
6. The request is searched again, the event audited, this host's executor woken.

Nothing here decides that something runs; the executor does, from its own reads.  These checks are
there to answer early and kindly, and the directory's access control stands behind them.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ipa_tpi.decide.authorization import check_definition, check_floor_parameters, judge_requester
from ipa_tpi.decide.digest import request_digest
from ipa_tpi.decide.identity import check_account, check_principal
from ipa_tpi.decide.intake import check_identifier, check_target, check_text
from ipa_tpi.decide.policy import usable_operation
from ipa_tpi.decide.proof import MAX_PROOFS
from ipa_tpi.errors import AuditError, NotFoundError, RefusedError, TpiError, UnavailableError
from ipa_tpi.flow.entries import draft, proof_entry, request_entry, voice_entry
from ipa_tpi.flow.events import Event
from ipa_tpi.flow.guards import (
    check_about,
    check_given,
    check_interface,
    check_limits,
    check_open,
    check_own_approval,
    check_proof,
    check_requester,
    check_right,
    check_spoken,
    check_veto,
    check_voiced,
)
from ipa_tpi.flow.reading import Reading, Seen, Site
from ipa_tpi.model import Account, Policy, Proof, Purpose, Refuse, Right, State, Subtree
from ipa_tpi.ports import Audit, Directory, NewEntry, Nudger, Query
from ipa_tpi.wire import ProofBody, RequestBody, VoiceBody

__all__ = ["Event", "Flow", "Seen", "Site"]

_LIVE: Final = frozenset({State.AWAITING_PREVIEW, State.PENDING, State.APPROVED, State.EXECUTING})
_LISTED_BY_WINDOW: Final = _LIVE


@dataclass(frozen=True, slots=True)
class _Word:
    """One kind of voice: how it is proven, stored and audited."""

    purpose: Purpose
    object_class: str
    event: Event


_APPROVAL: Final = _Word(Purpose.APPROVE, "ipaTpiApproval", Event.APPROVED)
_DENIAL: Final = _Word(Purpose.DENY, "ipaTpiDenial", Event.DENIED)
_WITHDRAWAL: Final = _Word(Purpose.WITHDRAW, "ipaTpiWithdrawal", Event.WITHDRAWN)
_CANCELLATION: Final = _Word(Purpose.CANCEL, "ipaTpiCancellation", Event.CANCELLED)


@dataclass(frozen=True, slots=True)
class Flow:
    """One caller's way through, over one connection that is bound as that caller.

    Every verb takes the principal that Apache authenticated and raises `TpiError`: a
    `RefusedError` or `NotFoundError` is a decision on complete reads, an `UnavailableError` is none.
    Each refusal leaves one audit record.

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
        with self._attempt("create", caller, body.id):
            reading = self._reading()
            who = self._who(caller, reading)
            _demand(check_identifier(body.id) or check_target(body.target) or check_interface(body.interface))
            request = draft(body, who, self.site, reading.now)
            operation = usable_operation(reading.policy, request.operation)
            if isinstance(operation, Refuse):
                raise _refused(operation)
            if reading.host(request.target) is None:
                raise RefusedError(f"the directory has no host {request.target!a}", code="target-not-served")
            floor = reading.floor_of(request)
            setting = reading.setting(operation, request.target)
            _demand(
                reading.check_on_floor(request)  # R-X13
                or (check_floor_parameters(request, floor, request.target) if floor is not None else None)
                or check_definition(request, operation)
                or judge_requester(request, who, setting)  # R-K03
            )
            digest = request_digest(request, who.principal)
            _demand(
                check_about(body.digest, digest)  # R-K10
                or check_proof(body.proof, Purpose.REQUEST, digest)
                or check_limits(self._own_waiting(reading, who), operation, self.site.floor)  # R-K20
            )
            self._record(Event.ATTEMPT, caller, request.id, verb="create", operation=request.operation)
            self.directory.add_request(request_entry(request))
            self._prove_after(request.id, body.proof, digest, "request")
            return self._after(Event.CREATED, caller, request.id, reading)

    def show(self, caller: str, request_id: str) -> Seen:
        """Load one request; raises as the class says, ``not-found`` for one that the caller may not see."""
        with self._attempt("show", caller, request_id):
            return self._see(caller, request_id)

    def listing(
        self, caller: str, state: State | None = None, *, mine: bool = False, approvable: bool = False
    ) -> Sequence[Seen]:
        """List requests that the caller may see, newest first.

        Args:
            caller: The authenticated principal.
            state: Only those in this state.
            mine: Only the caller's own.
            approvable: Only those that the caller could approve now.

        Returns:
            Them.
        """
        with self._attempt("list", caller, ""):
            reading = self._reading()
            who = self._who(caller, reading)
            live = approvable or state in _LIVE
            query = Query(creator=who.dn if mine else "", since=reading.window_start() if live else None)
            found = [reading.judge(subtree, who) for subtree in self.directory.find(query)]
            wanted = [
                seen
                for seen in found
                if (state is None or seen.standing.state is state)
                and (not approvable or self.why_not(seen) is None)
            ]
            return sorted(wanted, key=_age, reverse=True)

    def operations(self, caller: str) -> Policy:
        """Read what can be asked for."""
        with self._attempt("operations", caller, ""):
            reading = self._reading()
            self._who(caller, reading)
            return reading.policy

    def approve(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Approve exactly what was shown (K10), as a person other than the requester (A04)."""
        with self._attempt("approve", caller, request_id):
            seen = self._see(caller, request_id)
            _demand(
                self.why_not(seen)
                or check_about(body.digest, seen.standing.approval_digest)
                or check_given(body.proof, seen.terms)  # R-X01
            )
            return self._speak(_APPROVAL, caller, seen, body)

    @staticmethod
    def why_not(seen: Seen) -> Refuse | None:
        """Tell why the caller could not approve a request now; None when he could.

        Args:
            seen: The request, as judged for the caller.

        Returns:
            None, or the first refusal.
        """
        return check_right(seen) or check_voiced(seen) or check_open(seen, {State.PENDING})

    def deny(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Veto a request (K15)."""
        with self._attempt("deny", caller, request_id):
            seen = self._see(caller, request_id)
            _demand(
                check_veto(seen)
                or check_voiced(seen)
                or check_open(seen, _LIVE)
                # A preview may come between showing and denying; a veto is not lost for that.
                or check_about(body.digest, seen.standing.approval_digest, seen.digest)
            )
            return self._speak(_DENIAL, caller, seen, body)

    def withdraw(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Take back the caller's own approval; the voice is used (K15)."""
        with self._attempt("withdraw", caller, request_id):
            seen = self._see(caller, request_id)
            _demand(
                check_own_approval(seen)
                or check_open(seen, _LIVE)
                or check_about(body.digest, seen.standing.approval_digest)
            )
            return self._speak(_WITHDRAWAL, caller, seen, body)

    def cancel(self, caller: str, request_id: str, body: VoiceBody) -> Seen:
        """Cancel the caller's own request."""
        with self._attempt("cancel", caller, request_id):
            seen = self._see(caller, request_id)
            _demand(
                check_requester(seen) or check_open(seen, _LIVE) or check_about(body.digest, seen.digest)
            )
            return self._speak(_CANCELLATION, caller, seen, body)

    def prove(self, caller: str, request_id: str, body: ProofBody) -> Seen:
        """Add a proof for what the caller has already asked for or said below a request."""
        with self._attempt("prove", caller, request_id):
            reading = self._reading()
            seen = self._see(caller, request_id, reading)
            wanted = check_spoken(seen, body)
            if isinstance(wanted, Refuse):
                raise _refused(wanted)
            _demand(check_proof(body, wanted.purpose, *wanted.digests))
            if len([one for one in seen.subtree.of(Proof) if one.creator == seen.caller.dn]) >= MAX_PROOFS:
                raise RefusedError(
                    f"{MAX_PROOFS} proofs of yours are there already; make a new request", code="proof-too-many"
                )
            self._record(Event.ATTEMPT, caller, request_id, verb="prove", purpose=body.purpose)
            self.directory.add_child(request_id, proof_entry(self.new_id(), body))
            return self._after(Event.PROVEN, caller, request_id, reading)

    def _who(self, caller: str, reading: Reading) -> Account:
        _demand(check_principal(caller, self.site.realm))
        account = self.directory.account(caller)
        refusal = check_account(account, caller, reading.now, self.site.floor.person_attribute)
        if refusal is not None or account is None:
            raise _refused(refusal or Refuse("unknown-principal", "there is no account"))
        # R-K01: whatever the directory does, it does for this account and no other.
        if self.directory.whoami() != account.dn:
            raise RefusedError(
                "the directory takes this connection for another account than the caller's", code="caller-mismatch"
            )
        return account

    def _reading(self) -> Reading:
        return Reading(self.directory, self.site, self.clock())

    def _see(self, caller: str, request_id: str, reading: Reading | None = None) -> Seen:
        _demand(check_identifier(request_id))
        reading = reading or self._reading()
        who = self._who(caller, reading)
        subtree = self.directory.load(request_id)
        if subtree is None:
            raise NotFoundError(f"there is no request {request_id} that you may see; look: ipa-tpi list")
        return reading.judge(subtree, who)

    def _own_waiting(self, reading: Reading, who: Account) -> Sequence[Subtree]:
        own = self.directory.find(Query(creator=who.dn, since=reading.window_start()))
        waiting = {State.AWAITING_PREVIEW, State.PENDING, State.APPROVED}
        return [subtree for subtree in own if reading.judge(subtree, who).standing.state in waiting]

    def _speak(self, word: _Word, caller: str, seen: Seen, body: VoiceBody) -> Seen:
        request_id, digest = seen.subtree.request.id, bytes.fromhex(body.digest)
        _demand(check_text(body.comment, "comment") or check_proof(body.proof, word.purpose, digest))
        self._record(Event.ATTEMPT, caller, request_id, verb=word.purpose.value, digest=digest.hex())
        self.directory.add_child(
            request_id, voice_entry(self.new_id(), word.object_class, digest, body.comment)
        )
        self._prove_after(request_id, body.proof, digest, word.event.value)
        return self._after(word.event, caller, request_id, self._reading())

    def _prove_after(self, request_id: str, proof: ProofBody | None, digest: bytes, what: str) -> None:
        if proof is None:
            return
        try:
            self.directory.add_child(request_id, proof_entry(self.new_id(), proof))
        except TpiError as error:
            raise UnavailableError(
                f"recorded ({what}), but its proof could not be added: {error.message}. "
                f"It counts once you run: ipa-tpi prove {request_id}",
                code="proof-missing",
            ) from error

    def _after(self, event: Event, caller: str, request_id: str, reading: Reading) -> Seen:
        subtree = self.directory.load(request_id)
        if subtree is None:
            raise UnavailableError(f"request {request_id} cannot be read back; run: ipa-tpi show {request_id}")
        request = subtree.request
        try:
            self._record(event, caller, request_id, operation=request.operation, target=request.target)
        finally:
            if request.target == self.site.host:
                self.nudger.nudge(request_id)
        fresh = self._reading()
        return fresh.judge(subtree, self._who(caller, fresh))

    def _record(self, event: Event, caller: str, request_id: str, **fields: str) -> None:
        self.audit.record(event.value, caller=caller, request=request_id, **fields)

    @contextmanager
    def _attempt(self, verb: str, caller: str, request_id: str) -> Iterator[None]:
        """Leave one audit record of whatever ends a verb before its own (A08)."""
        try:
            yield
        except AuditError:
            raise
        except TpiError as error:
            event = Event.FAILED if isinstance(error, UnavailableError) else Event.REFUSED
            self._record(event, caller, request_id, verb=verb, code=error.code, detail=error.message)
            raise


def _demand(refusal: Refuse | None) -> None:
    if refusal is not None:
        raise _refused(refusal)


def _refused(refusal: Refuse) -> RefusedError:
    return RefusedError(refusal.message, code=refusal.code)
