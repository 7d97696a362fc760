"""A Dogtag CA's certificates, as one person or agent sees them; how calls get there: `dogtag_transport`, `dogtag_agent`."""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from ipa_tpi.adapters.dogtag_configuration import DogtagAuthorities, DogtagProfiles
from ipa_tpi.adapters.dogtag_line import SUCCESS
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    KerberosError,
    OutcomeUnknownError,
    RefusedError,
)
from ipa_tpi.ports import Authorities, Certificate, DogtagTransport, Issued, Profiles

_NOT_FOUND: Final = 404
_BROKEN: Final = 500
_SERIAL: Final = re.compile(r"0x[1-9a-f][0-9a-f]{0,39}")
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
        if status not in SUCCESS or not isinstance(found, dict):
            raise AuthorityUnavailableError(f"the CA answered {status}: {_told(found)}; see its debug log")
        return _certificate(serial, found)

    def revoke(self, serial: str, reason: str) -> None:
        """Revoke a certificate, or put it on hold."""
        self._done("POST", f"/agent/certs/{serial}/revoke", {"Reason": reason})

    def release(self, serial: str) -> None:
        """Take a certificate off hold."""
        self._done("POST", f"/agent/certs/{serial}/unrevoke", {})

    def enroll(self, profile: str, csr: str) -> Issued:
        """Ask for a certificate, with the one input that FreeIPA gives."""
        attributes = [
            {"name": "cert_request_type", "Value": "pkcs10"},
            {"name": "cert_request", "Value": csr},
        ]
        kind = "certReqInputImpl"
        body = {
            "ProfileID": profile,
            "Renewal": False,
            "Input": [{"id": "i1", "ClassID": kind, "Name": kind, "Attribute": attributes}],
        }
        status, found = self._transport.call("POST", "/certrequests", body)
        if status >= _BROKEN or status in SUCCESS:  # a server's own error: nobody knows what it did before
            serial = _issued(status, found)
            return Issued(serial, self._encoded(serial))
        if status in {401, 403}:
            raise ActionFailedError(
                f"the CA refused it for the requester: {_told(found)}; ask an administrator for the permission"
            )
        raise ActionFailedError(
            f"the CA answered {status}: {_told(found)}; correct the request, or see its debug log"
        )

    def _encoded(self, serial: str) -> str:
        # It is issued; that it cannot be fetched now does not undo that.
        try:
            status, found = self._transport.call("GET", f"/certs/{serial}")
        except (AuthorityUnavailableError, OutcomeUnknownError, KerberosError):
            return ""
        text = found.get("Encoded") if status in SUCCESS and isinstance(found, dict) else None
        return text if isinstance(text, str) else ""

    def _done(self, method: str, path: str, body: object) -> None:
        status, found = self._transport.call(method, path, body)
        if status in {401, 403}:
            raise ActionFailedError(
                f"the CA refused it for the requester: {_told(found)}; ask an administrator for the permission"
            )
        if status >= 500:  # noqa: PLR2004 (a server's own error: nobody knows what it did before)
            raise OutcomeUnknownError(f"the CA answered {status}: {_told(found)}; look at the certificate")
        if status not in SUCCESS:
            raise ActionFailedError(f"the CA answered {status}: {_told(found)}; see its debug log")
        if not isinstance(found, dict):
            raise OutcomeUnknownError(f"the CA answered {status} and no more; look at the certificate")
        outcome = found.get("operationResult", found.get("OperationResult"))
        if outcome != "success":
            raise ActionFailedError(
                f"the CA did not do it ({str(outcome)[:40]!a}): {_told(found)}; see its debug log"
            )


def _issued(status: int, found: object) -> str:
    """Take the number of the one certificate out of an answer, or tell how it ended."""
    entries = found.get("entries") if isinstance(found, dict) else None
    entry = entries[0] if isinstance(entries, list) and len(entries) == 1 else None
    if status not in SUCCESS or not isinstance(entry, dict):
        raise OutcomeUnknownError(
            f"the CA answered {status}: {_told(found)}; look whether it has issued the certificate"
        )
    state, serial = entry.get("requestStatus"), entry.get("certId")
    if state == "complete" and isinstance(serial, str) and _SERIAL.fullmatch(serial):
        return serial
    if state == "rejected" and not serial:
        raise ActionFailedError(f"the CA rejected it: {_why(entry.get('errorMessage'))}; nothing was issued")
    raise OutcomeUnknownError(
        f"the CA says that the request is {str(state)[:40]!a}; look whether it has issued the certificate, or will"
    )


def _why(told: object) -> str:
    """Give the reason of a rejection; our own validator tells it as one line of JSON."""
    text = told.strip() if isinstance(told, str) else ""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    message = parsed.get("message") if isinstance(parsed, dict) else None
    words = message if isinstance(message, str) else text
    return f"{words[:600]!a}" if words else "without a word"


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
