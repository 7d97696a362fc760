"""Step 1: verify proofs as they arrive; the receipt goes to the journal, then to the directory.

A proof is verified once.  Its receipt is keyed by the SHA-256 of its token: the same token again
changes nothing (E14).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ipa_tpi.decide.digest import approval_digest, request_digest, sha256
from ipa_tpi.decide.proof import (
    MAX_PROOFS,
    TICKET_MISSING,
    VERIFIED,
    Demands,
    expected_text,
    judge,
    ticket_sources,
)
from ipa_tpi.errors import RefusedError
from ipa_tpi.executor import entries
from ipa_tpi.executor.claims import Claims, ReceiptRow
from ipa_tpi.executor.evidence import Evidence
from ipa_tpi.executor.publication import Publication
from ipa_tpi.model import Account, Proof, Purpose, Refuse, Subtree
from ipa_tpi.ports import AcceptedProof, Audit, ProofVerifier

_DEMANDING: Final = frozenset({Purpose.REQUEST, Purpose.APPROVE})


@dataclass(frozen=True, slots=True)
class Receipts:
    """Verifies the proofs of a request.

    Attributes:
        claims: The journal.
        publication: Adds the receipt entries.
        verifier: Holds the keytab.
        audit: The audit trail.
        realm: The realm.
        evidence: Holds with what to act as a requester.
    """

    claims: Claims
    publication: Publication
    verifier: ProofVerifier
    audit: Audit
    realm: str
    evidence: Evidence

    def owed(self, subtree: Subtree) -> tuple[Proof, ...]:
        """Give the proofs that have no verdict or no receipt yet, oldest first, up to a limit.

        Args:
            subtree: The request and what lies below it.

        Returns:
            Them.
        """
        request_id = subtree.request.id
        judged, written = self.claims.judged(request_id), self.claims.roles(request_id)
        # R-K13: who was killed between verdict and receipt has judged, and still owes the receipt.
        found = [
            proof
            for proof in subtree.of(Proof)
            if proof.entry_id not in judged or _role(proof) not in written
        ]
        return tuple(found[:MAX_PROOFS])

    def verify(
        self,
        subtree: Subtree,
        owed: tuple[Proof, ...],
        people: Mapping[str, Account | None],
        demands: Demands,
        now: datetime,
    ) -> None:
        """Verify proofs.

        Args:
            subtree: The request and what lies below it.
            owed: As `owed` gave them.
            people: By DN, the accounts of their writers and of the requester, just read.
            demands: What their tickets must be.
            now: The time.

        Raises:
            UnavailableError: The keytab, the directory, the journal or the audit failed; what was
                judged until then stays judged.
        """
        request_id = subtree.request.id
        judged = self.claims.judged(request_id)
        for proof in owed:
            outcome = judged.get(proof.entry_id) or self._judge(subtree, proof, people, demands, now)
            entry = entries.receipt_entry(proof.entry_id, outcome)
            self.publication.add(request_id, self.claims.write(request_id, _role(proof), entry))

    def tell_unticketed(self, subtree: Subtree) -> None:
        """Tell in the directory, once for each proof, that no ticket is held of what it yielded.

        Args:
            subtree: The request and what lies below it.

        Raises:
            RefusedError: Code ``forged-entry``: something else lies under the receipt's name.
            UnavailableError: It could not be told yet; the same call again goes on.
        """
        request_id = subtree.request.id
        verified = {proof for proof, outcome in self.claims.judged(request_id).items() if outcome == VERIFIED}
        for source in sorted(ticket_sources(subtree, verified)):
            role = f"ticket:{source}"
            if role not in self.claims.roles(request_id):
                self.claims.write(request_id, role, entries.receipt_entry(source, TICKET_MISSING))
            entry = self.claims.written(request_id, role)
            # Not `catch_up`: an execution that is owed has to wait.
            if entry is not None and entry in self.claims.pending_writes(request_id):
                self.publication.add(request_id, entry)

    def _judge(
        self,
        subtree: Subtree,
        proof: Proof,
        people: Mapping[str, Account | None],
        demands: Demands,
        now: datetime,
    ) -> str:
        request = subtree.request
        token = sha256(proof.token).hex()
        verdict = self._verdict(subtree, proof, people[request.creator], token)
        if isinstance(verdict, AcceptedProof):
            # A denial, withdrawal or cancellation only denies, and counts without a proof.
            asked = demands if proof.purpose in _DEMANDING else Demands()
            verdict = judge(verdict, people[proof.creator], self.realm, asked, now) or verdict
        if isinstance(verdict, Refuse):
            self.audit.record(
                "proof-refused",
                request=request.id,
                proof=proof.entry_id,
                writer=proof.creator,
                purpose=proof.purpose,
                code=verdict.code,
            )
            self.claims.judge(request.id, proof.entry_id, verdict.code)
            return verdict.code
        self.audit.record(
            "proof-verified",
            request=request.id,
            proof=proof.entry_id,
            who=verdict.initiator,
            purpose=proof.purpose,
        )
        row = ReceiptRow(
            request=request.id,
            proof=proof.entry_id,
            who=proof.creator,
            initiator=verdict.initiator,
            purpose=proof.purpose,
            digest=proof.digest,
            auth_time=verdict.auth_time,
            indicators=verdict.indicators,
        )
        self.claims.receive(token, row, now)
        if proof.purpose == Purpose.REQUEST and proof.creator == request.creator:
            until = now + timedelta(seconds=verdict.evidence_seconds)
            self.evidence.keep(request.id, verdict.evidence, until)
        return VERIFIED

    def _verdict(
        self, subtree: Subtree, proof: Proof, requester: Account | None, token: str
    ) -> AcceptedProof | Refuse:
        if self.claims.knows_token(token):  # R-E14
            return Refuse("proof-replayed", "this token was used before; run: ipa-tpi prove ID")
        request = subtree.request
        if requester is None:
            return Refuse("requester-gone", "the requester's account is gone; make a new request")
        digest = request_digest(request, requester.principal)
        preview = self.claims.memory(request.id).preview_digest
        text = expected_text(proof, digest, approval_digest(digest, preview) if preview is not None else b"")
        if isinstance(text, Refuse):
            return text
        try:
            return self.verifier.accept(proof, text)
        except RefusedError as error:
            return Refuse(error.code, error.message)


def _role(proof: Proof) -> str:
    return f"receipt:{proof.entry_id}"
