"""The client of the web service: it speaks as the person, and makes the person's proofs.

The command line and the framework's plugin use it; it knows neither.  Trusted here: the person's
tickets, the certificate authority, and what the person was shown.  Not trusted: every byte of the
server's answers.  A proof is made only over digests that were computed here (R-X01, R-K10).
"""

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import urlencode

from ipa_tpi.client.answers import read_answer
from ipa_tpi.client.examination import digest_request, examine, read_preview
from ipa_tpi.client.freshness import Freshness, fresh_tickets
from ipa_tpi.client.selection import Selection, Trial
from ipa_tpi.client.tickets import GssTickets, Tickets
from ipa_tpi.client.transport import DEFAULT_TIMEOUT_SECONDS, Transport
from ipa_tpi.client.wanted import ANY, Wanted, wanted_again, wanted_of
from ipa_tpi.client.wish import Wish, check_host, check_values, check_wish, draft, find_operation
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.decide.intake import check_identifier, check_text
from ipa_tpi.errors import BadInputError, KerberosError, RefusedError
from ipa_tpi.model import Purpose
from ipa_tpi.wire import (
    MAX_LISTED,
    ApproversView,
    OperationList,
    PolicyView,
    ProofBody,
    RequestBody,
    RequestList,
    RequestView,
    RuleList,
    VoiceBody,
    encode,
)

__all__ = ["Selection", "TpiClient", "Trial", "Wish"]

_PREFIX: Final = "/tpi/v1"
S = TypeVar("S")


class TpiClient:
    """A person's view of one server; not to be shared between threads.

    Args:
        server_url: ``https://HOST`` or ``https://HOST:PORT``.
        ca_file: PEM file of the domain's certificate authority.
        ccache: Name of the credential cache; None takes the person's default one.
        timeout_seconds: For connecting and for each answer.
        tickets: Where tickets come from, in place of `ccache`.
        fresh: Where those come from that an operation wants got just now, for the proof alone (R-X11).

    Attributes:
        url: The server's URL in its normal form.
        tickets: The person's tickets.
    """

    def __init__(
        self,
        server_url: str,
        ca_file: str,
        ccache: str | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        *,
        tickets: Tickets | None = None,
        fresh: Freshness = fresh_tickets,
    ) -> None:
        self.tickets: Tickets = GssTickets(ccache) if tickets is None else tickets
        self._fresh = fresh
        self._transport = Transport(server_url, ca_file, self.tickets, timeout_seconds)
        self.url = self._transport.url

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._transport.close()

    def operations(self) -> OperationList:
        """List what can be asked for.

        Returns:
            The operations that the caller may know of.

        Raises:
            TpiError: As every method here: the server's refusal, or why it could not be asked.
        """
        return self._get("/operations", OperationList)

    def policy(self, trial: Trial) -> PolicyView:
        """Ask what the policy says (R-X10).

        Args:
            trial: Of whom, of what, and where.

        Returns:
            The server's answer.

        Raises:
            NotFoundError: There is no such user, operation, host or group.
            TpiError: As `operations`.
        """
        return self._get(f"/policy{trial.query()}", PolicyView)

    def rules(self, operation: str = "", user: str = "", right: str = "") -> RuleList:
        """List rules; an empty argument does not restrict.

        Args:
            operation: Only those that name this operation.
            user: Only those that name this account.
            right: Only those that give this right.

        Returns:
            Them, and those that are broken.

        Raises:
            TpiError: As `policy`.
        """
        wanted = {"operation": operation, "user": user, "right": right}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return self._get("/rules" + (f"?{query}" if query else ""), RuleList)

    def list(
        self, state: str = "", *, mine: bool = False, approvable: bool = False, prefix: str = ""
    ) -> Sequence[RequestView]:
        """List requests, however many; the arguments are those of `Selection`.

        Returns:
            Them, newest first.

        Raises:
            TpiError: As `operations`.
        """
        selection = Selection(state, mine, approvable, prefix, limit=MAX_LISTED)
        page = self.page(selection)
        found = list(page.requests)
        while page.more and page.requests:
            page = self.page(replace(selection, before=page.requests[-1].id))
            found += page.requests
        return found

    def page(self, selection: Selection) -> RequestList:
        """List some requests, newest first.

        Args:
            selection: Which.

        Returns:
            Them, and whether there are more.

        Raises:
            TpiError: As `operations`.
        """
        return self._get(f"/requests{selection.query()}", RequestList)

    def approvers(self, request_id: str, user: str = "") -> ApproversView:
        """Ask who could still approve a request (R-K16).

        Args:
            request_id: Its whole id.
            user: Only about this person.

        Returns:
            The server's answer.

        Raises:
            TpiError: As `show`.
        """
        query = f"?{urlencode({'user': user})}" if user else ""
        return self._get(self._path(request_id, "approvers") + query, ApproversView)

    def show(self, request_id: str) -> RequestView:
        """Load one request.

        Args:
            request_id: Its whole id.

        Returns:
            It, untrusted: `examine` tells whether its digests are those of what it shows.

        Raises:
            BadInputError: That is no id.
            TpiError: As `operations`.
        """
        return self._same(request_id, self._get(self._path(request_id), RequestView))

    def create(self, wish: Wish) -> RequestView:
        """Make a request, with the requester's proof.

        Args:
            wish: What is asked for.

        Returns:
            The request as the server has recorded it.

        Raises:
            RefusedError: The wish is not allowed; ``digest-mismatch``: the server recorded
                something else than was asked for.
            TpiError: As `operations`.
        """
        check_wish(wish)
        known = self.operations()
        operation = find_operation(known, wish.operation)
        check_host(wish, known)
        check_values(wish, operation)
        view = draft(wish, operation, self.tickets.principal())
        digest = digest_request(view)
        body = RequestBody(
            id=view.id,
            operation=view.operation,
            operation_digest=view.operation_digest,
            target=view.target,
            parameters=view.parameters,
            digest=digest.hex(),
            reason=view.reason,
            ticket=view.ticket,
            interface=view.interface,
            proof=self._proof(view.target, Purpose.REQUEST, digest, wanted_of(operation)),
        )
        recorded = self._same(view.id, self._post("/requests", body))
        if examine(recorded).request != digest:
            raise RefusedError(
                f"the server recorded another request than was asked for, as {view.id}. "
                "Cancel it and tell an administrator.",
                code="digest-mismatch",
            )
        return recorded

    def approve(self, view: RequestView, comment: str = "") -> RequestView:
        """Approve exactly what was shown (R-K10).

        Args:
            view: The request whose every field the person has seen.
            comment: For others to read.

        Returns:
            The request with the approval.

        Raises:
            RefusedError: ``digest-mismatch``, ``awaiting-preview`` or ``malformed-entry``, before
                anything is sent; else the server's refusal.
            TpiError: As `operations`.
        """
        read_preview(view)
        digest = examine(view).approval
        proof = self._proof(view.target, Purpose.APPROVE, digest, wanted_of(view))
        return self._voice(view, "approvals", VoiceBody(digest=digest.hex(), comment=comment, proof=proof))

    def deny(self, view: RequestView, comment: str = "") -> RequestView:
        """Veto a request; raises and returns as `approve`."""
        return self._deny(view, "denials", Purpose.DENY, examine(view).latest(), comment)

    def withdraw(self, view: RequestView, comment: str = "") -> RequestView:
        """Take back one's own voice; raises and returns as `approve`."""
        return self._deny(view, "withdrawal", Purpose.WITHDRAW, examine(view).latest(), comment)

    def cancel(self, view: RequestView, comment: str = "") -> RequestView:
        """Cancel one's own request; raises and returns as `approve`."""
        return self._deny(view, "cancellation", Purpose.CANCEL, examine(view).request, comment)

    def prove(self, view: RequestView) -> RequestView:
        """Make a new proof for one's own request, or for one's approval of another's.

        Args:
            view: The request whose every field the person has seen.

        Returns:
            The request.

        Raises:
            TpiError: As `approve`.
        """
        examination = examine(view)
        me = self.tickets.principal()
        if view.requester == me:
            proof = self._proof(view.target, Purpose.REQUEST, examination.request, wanted_again(view, me))
        else:
            read_preview(view)
            proof = self._proof(view.target, Purpose.APPROVE, examination.approval, wanted_again(view, me))
        return self._same(view.id, self._post(self._path(view.id, "proofs"), proof))

    def _deny(
        self, view: RequestView, part: str, purpose: Purpose, digest: bytes, comment: str
    ) -> RequestView:
        # These only ever deny, so they count without a proof: no KDC may stand in the way of a veto.
        try:
            proof: ProofBody | None = self._proof(view.target, purpose, digest)
        except KerberosError:
            proof = None
        return self._voice(view, part, VoiceBody(digest=digest.hex(), comment=comment, proof=proof))

    def _voice(self, view: RequestView, part: str, body: VoiceBody) -> RequestView:
        refusal = check_text(body.comment, "comment")
        if refusal is not None:
            raise RefusedError(refusal.message, code=refusal.code)
        return self._same(view.id, self._post(self._path(view.id, part), body))

    def _proof(self, target: str, purpose: Purpose, digest: bytes, wanted: Wanted = ANY) -> ProofBody:
        text = mic_text(purpose, digest)
        if wanted.seconds:
            with self._fresh(self.tickets, target, wanted) as tickets:
                token, mic = tickets.prove(target, text)
        else:
            token, mic = self.tickets.prove(target, text)
        return ProofBody(purpose=purpose.value, digest=digest.hex(), token=token, mic=mic)

    def _get(self, path: str, shape: type[S]) -> S:
        return read_answer(self._transport.ask("GET", _PREFIX + path), shape, self.url)

    def _post(self, path: str, body: object) -> RequestView:
        return read_answer(self._transport.ask("POST", _PREFIX + path, encode(body)), RequestView, self.url)

    def _path(self, request_id: str, part: str = "") -> str:
        refusal = check_identifier(request_id)
        if refusal is not None:
            raise BadInputError(refusal.message, code=refusal.code)
        return f"/requests/{request_id}" + (f"/{part}" if part else "")

    def _same(self, request_id: str, view: RequestView) -> RequestView:
        if view.id != request_id:
            raise RefusedError(
                f"{self.url} was asked for request {request_id} and answered with {view.id}. Tell an administrator.",
                code="digest-mismatch",
            )
        return view
