"""Operations on certificates that the CA of this host has issued: revoke, hold, release (D16).

They act as the requester, with the ticket that the request's proof yielded, through the executor's own
way into Dogtag.  What is shown is read from the CA, and its status is compared again before acting.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ipa_tpi.errors import ActionFailedError, AuthorityUnavailableError, RefusedError
from ipa_tpi.executor.action import Act, Means, authority_of, demand_parameters, opens_no_unit
from ipa_tpi.model import FloorOperation, Json
from ipa_tpi.ports import Authority, Certificate

# RFC 5280 section 4.1.2.2: at most 20 octets, positive.
_SERIAL: Final = re.compile(r"0x[1-9a-f][0-9a-f]{0,39}")
_HELD: Final = "Certificate_Hold"
REASONS: Final = frozenset(
    {
        "Unspecified",
        "Key_Compromise",
        "CA_Compromise",
        "Affiliation_Changed",
        "Superseded",
        "Cessation_of_Operation",
        "Privilege_Withdrawn",
    }
)
_WAYS: Final = (
    "Dogtag: the ACL of certServer.ca.certs, for people without the channel's group",
    "Dogtag: agents' certificates on port 8443",
    "Dogtag: its console, and PKI users with passwords",
    "o=ipaca over LDAP as Directory Manager",
)


@dataclass(frozen=True, slots=True)
class CertificateJob:
    """One verb on one certificate, such as ``dogtag.cert.revoke serial=0x1a reason=Key_Compromise``.

    Attributes:
        verb: revoke, hold or release.
        other_ways: See `action.Operation`.
        needs_ticket: The same.
    """

    verb: str
    other_ways: tuple[str, ...] = _WAYS
    needs_ticket: bool = True

    def units(self, floor: FloorOperation) -> Mapping[str, frozenset[str]]:
        """None: systemd has no part in it."""
        return opens_no_unit(floor)

    def preview(self, parameters: Mapping[str, str], means: Means) -> tuple[Json, Json]:
        """Show the certificate; its status is the precondition."""
        found = self._found(parameters, means)
        shown: dict[str, Json] = {
            "action": self.verb,
            "serial": found.serial,
            "subject": found.subject,
            "issuer": found.issuer,
            "not_after": found.not_after,
            "status": found.status,
        }
        if self.verb == "revoke":
            shown["reason"] = parameters["reason"]
        return shown, _state(found)

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """Read the certificate's status again."""
        return _state(self._found(parameters, means))

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Do it, and look at the certificate afterwards."""
        del timeout_seconds  # the CA's own answer ends it, within the transport's time
        serial, authority = self._serial(parameters), authority_of(means)
        if self.verb == "release":
            authority.release(serial)
        else:
            authority.revoke(serial, parameters["reason"] if self.verb == "revoke" else _HELD)
        return Act(f"{serial}: {_afterwards(authority, serial)}")

    def _found(self, parameters: Mapping[str, str], means: Means) -> Certificate:
        found = authority_of(means).certificate(self._serial(parameters))
        held = found.status == "REVOKED" and found.reason == _HELD
        # Dogtag revokes nothing that is on hold: it has to be released first.
        fits = {"revoke": found.status == "VALID", "hold": found.status == "VALID", "release": held}
        if not fits[self.verb]:
            why = f" ({found.reason})" if found.reason else ""
            raise ActionFailedError(
                f"the certificate {found.serial} is {found.status}{why}; there is nothing to {self.verb}"
                f"{', release it first' if held else ''}"
            )
        return found

    def _serial(self, parameters: Mapping[str, str]) -> str:
        demand_parameters(parameters, "serial", *(["reason"] if self.verb == "revoke" else []))
        if _SERIAL.fullmatch(parameters["serial"]) is None:
            raise RefusedError(
                f"{parameters['serial']!a} is no serial number; give it as 0x and hexadecimal digits in lower case",
                code="bad-parameters",
            )
        if self.verb == "revoke" and parameters["reason"] not in REASONS:
            raise RefusedError(
                f"{parameters['reason']!a} is no reason; there are: {', '.join(sorted(REASONS))}",
                code="bad-parameters",
            )
        return parameters["serial"]


def _state(found: Certificate) -> Json:
    return {"serial": found.serial, "status": found.status, "reason": found.reason}


def _afterwards(authority: Authority, serial: str) -> str:
    # It is done; that the state afterwards cannot be told does not make it undone.
    try:
        found = authority.certificate(serial)
    except (AuthorityUnavailableError, RefusedError):
        return "done; its status could not be read afterwards"
    return f"{found.status}{f' ({found.reason})' if found.reason else ''}"
