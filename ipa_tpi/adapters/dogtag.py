"""A Dogtag CA's certificates, as one person or agent sees them; how calls get there: `dogtag_transport`, `dogtag_agent`."""

from datetime import UTC, datetime
from typing import Any, Final

from ipa_tpi.adapters.dogtag_configuration import DogtagAuthorities, DogtagProfiles
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    OutcomeUnknownError,
    RefusedError,
)
from ipa_tpi.ports import Authorities, Certificate, DogtagTransport, Profiles

_NOT_FOUND: Final = 404
_SUCCESS: Final = range(200, 300)
_REASONS: Final = {
    0: "Unspecified",
    1: "Key_Compromise",
    2: "CA_Compromise",
    3: "Affiliation_Changed",
    4: "Superseded",
    5: "Cessation_of_Operation",
    6: "Certificate_Hold",
    8: "Remove_from_CRL",
    9: "Privilege_Withdrawn",
    10: "AA_Compromise",
}


class Dogtag:
    """The CA as one person; see `ipa_tpi.ports.Authority`.

    Args:
        transport: How calls reach it.
    """

    def __init__(self, transport: DogtagTransport) -> None:
        self._transport = transport

    @property
    def profiles(self) -> Profiles:
        """The CA's certificate profiles."""
        return DogtagProfiles(self._transport)

    @property
    def authorities(self) -> Authorities:
        """The CA itself, and its sub-CAs."""
        return DogtagAuthorities(self._transport)

    def certificate(self, serial: str) -> Certificate:
        """Read a certificate's state."""
        try:
            status, found = self._transport.call("GET", f"/certs/{serial}")
        except OutcomeUnknownError as error:  # reading changes nothing
            raise AuthorityUnavailableError(error.message) from error
        if status == _NOT_FOUND:
            raise RefusedError(
                f"the CA has issued no certificate {serial}; look for it: ipa cert-find",
                code="bad-parameters",
            )
        if status not in _SUCCESS or not isinstance(found, dict):
            raise AuthorityUnavailableError(f"the CA answered {status}: {_told(found)}; see its debug log")
        return _certificate(serial, found)

    def revoke(self, serial: str, reason: str) -> None:
        """Revoke a certificate, or put it on hold."""
        self._done("POST", f"/agent/certs/{serial}/revoke", {"Reason": reason})

    def release(self, serial: str) -> None:
        """Take a certificate off hold."""
        self._done("POST", f"/agent/certs/{serial}/unrevoke", {})

    def _done(self, method: str, path: str, body: object) -> None:
        status, found = self._transport.call(method, path, body)
        if status in {401, 403}:
            raise ActionFailedError(
                f"the CA refused it for the requester: {_told(found)}; ask an administrator for the permission"
            )
        if status >= 500:  # noqa: PLR2004 (a server's own error: nobody knows what it did before)
            raise OutcomeUnknownError(f"the CA answered {status}: {_told(found)}; look at the certificate")
        if status not in _SUCCESS:
            raise ActionFailedError(f"the CA answered {status}: {_told(found)}; see its debug log")
        if not isinstance(found, dict):
            raise OutcomeUnknownError(f"the CA answered {status} and no more; look at the certificate")
        outcome = found.get("operationResult", found.get("OperationResult"))
        if outcome != "success":
            raise ActionFailedError(
                f"the CA did not do it ({str(outcome)[:40]!a}): {_told(found)}; see its debug log"
            )


def _certificate(serial: str, found: dict[str, Any]) -> Certificate:
    after = found.get("NotAfter", found.get("notAfter", ""))
    try:
        moment = datetime.strptime(str(after), "%a %b %d %H:%M:%S %Z %Y").replace(tzinfo=UTC)
        not_after = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    except ValueError:
        not_after = str(after)
    return Certificate(
        serial=serial,
        subject=str(found.get("SubjectDN", "")),
        issuer=str(found.get("IssuerDN", "")),
        status=str(found.get("Status", "")),
        reason=_reason(found.get("RevocationReason")),
        not_after=not_after,
    )


def _reason(found: object) -> str:
    """Give a reason's name; Dogtag tells its number (RFC 5280 section 5.3.1), and null where there is none."""
    if found is None:
        return ""
    return _REASONS.get(found, str(found)) if isinstance(found, int) else str(found)


def _told(found: object) -> str:
    """Give the CA's own words, on one line, whatever is in them."""
    words = found.get("Message", found.get("errorMessage", "")) if isinstance(found, dict) else ""
    return f"{str(words)[:200]!a}" if words else "without a word"
