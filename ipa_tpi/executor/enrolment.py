"""A certificate for a request that two people saw (DESIGN section 8, D10).

What is shown is read from the certificate request by the very reader that the CA's validator has, so
that what it would refuse for its form is refused here, and nobody approves what reads in two ways.
The parameter ``submit`` fixes the way: ``executor`` (it asks the CA as the requester) or ``requester``
(he asks the CA himself, and its validator uses the request up).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ipa_tpi.decide.armour import CsrError
from ipa_tpi.decide.csr import Csr, describe, read_csr
from ipa_tpi.errors import OutcomeUnknownError, RefusedError
from ipa_tpi.executor.action import Act, Means, authority_of, opens_no_unit
from ipa_tpi.executor.claims import Enrolment
from ipa_tpi.model import FloorOperation, Json, Request

NAME: Final = "dogtag.cert.request"
EXECUTOR: Final = "executor"
REQUESTER: Final = "requester"
HOST_CA: Final = "ipa"
_PARAMETERS: Final = ("profile", "ca", "csr", "submit")
_PROFILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_CA: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,63}")
_WAYS: Final = (
    "Dogtag: enrolment by a profile without our constraint, or that certval.toml does not name",
    "Dogtag: agents' certificates on port 8443",
    "Dogtag: its console, and PKI users with passwords",
    "certmonger and renewal, by profiles of their own",
    "o=ipaca over LDAP as Directory Manager",
    "the CA's key, as root of this host",
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the parameters ask for, read strictly."""

    profile: str
    ca: str
    csr: Csr
    way: str


@dataclass(frozen=True, slots=True)
class EnrolmentJob:
    """``dogtag.cert.request profile=NAME ca=ipa csr=@FILE submit=executor``.

    Attributes:
        other_ways: See `action.Operation`.
        needs_ticket: The same; where the requester submits, nobody acts for him (`acts_as_requester`).
    """

    other_ways: tuple[str, ...] = _WAYS
    needs_ticket: bool = True

    def units(self, floor: FloorOperation) -> Mapping[str, frozenset[str]]:
        """None: systemd has no part in it."""
        return opens_no_unit(floor)

    def preview(self, parameters: Mapping[str, str], means: Means) -> tuple[Json, Json]:
        """Show what the certificate request asks for; all of it is in the parameters, so the precondition is empty."""
        del means
        wanted = _read(parameters)
        shown: dict[str, Json] = {
            "action": "issue a certificate",
            "profile": wanted.profile,
            "ca": wanted.ca,
            "submitted by": "the executor, as the requester"
            if wanted.way == EXECUTOR
            else "the requester, once, within the execution window",
            "certificate request": describe(wanted.csr),
        }
        return shown, {}

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """Nothing: what is asked for cannot have changed; but it has to be readable still."""
        del means
        _read(parameters)
        return {}

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Ask the CA as the requester, and compare what came back."""
        del timeout_seconds  # the CA's own answer ends it, within the transport's time
        wanted = _read(parameters)
        issued = authority_of(means).enroll(wanted.profile, _pem(wanted.csr))
        subject = _subject(issued.pem, wanted.csr, issued.serial)
        return Act(
            f"{issued.serial}: issued by {wanted.profile}; fetch it: ipa cert-show {issued.serial} --out=FILE{subject}"
        )


def way_of(request: Request) -> str:
    """Tell who submits: ``executor`` or ``requester``; empty where it is for no certificate, or malformed.

    Args:
        request: Any request.
    """
    way = request.parameters.get("submit", "") if request.operation == NAME else ""
    return way if way in {EXECUTOR, REQUESTER} else ""


def enrolment_of(request: Request, requester: str) -> Enrolment | None:
    """Give for which certificate a request can be used up; None where it is for none.

    Args:
        request: One whose preview could be made.
        requester: The requester's canonical principal.

    Raises:
        RefusedError: As the preview.
    """
    if request.operation != NAME:
        return None
    wanted = _read(request.parameters)
    return Enrolment(
        request.id, wanted.csr.digest, wanted.profile, wanted.ca, requester, wanted.way, request.created
    )


def _read(parameters: Mapping[str, str]) -> _Wanted:
    # R-E03: checked here too, whatever came before.
    if parameters.keys() != set(_PARAMETERS):
        raise RefusedError(
            f"expected exactly {', '.join(_PARAMETERS)}; give NAME=VALUE for each, and csr=@FILE",
            code="bad-parameters",
        )
    profile, ca, way = parameters["profile"], parameters["ca"], parameters["submit"]
    if _PROFILE.fullmatch(profile) is None or _CA.fullmatch(ca) is None:
        raise RefusedError(
            "the profile or the CA is not written as names of these are; list them: ipa certprofile-find, ipa ca-find",
            code="bad-parameters",
        )
    if way not in {EXECUTOR, REQUESTER}:
        raise RefusedError(
            f"submit is {way[:80]!a}; give submit={EXECUTOR} or submit={REQUESTER}", code="bad-parameters"
        )
    if way == EXECUTOR and ca != HOST_CA:
        raise RefusedError(
            f"the executor submits to the CA {HOST_CA} alone; for another one give submit={REQUESTER}",
            code="bad-parameters",
        )
    try:
        return _Wanted(profile, ca, read_csr(parameters["csr"]), way)
    except CsrError as error:  # R-D10
        raise RefusedError(
            f"the certificate request is not taken ({error.reason}); {error.message}", code="bad-parameters"
        ) from error


def _pem(csr: Csr) -> str:
    """Write it anew, in the one form that every reader takes alike."""
    return x509.load_der_x509_csr(csr.der).public_bytes(Encoding.PEM).decode("ascii")


def _subject(pem: str, csr: Csr, serial: str) -> str:
    """Tell to whom it was issued; a certificate of another key is not the one that was approved."""
    if not pem:  # it is issued; that it could not be fetched does not undo that
        return ""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii", "replace"))
        found, wanted = (
            key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for key in (certificate.public_key(), x509.load_der_x509_csr(csr.der).public_key())
        )
        subject = certificate.subject.rfc4514_string()
    except ValueError as error:
        raise OutcomeUnknownError(
            f"the CA issued {serial}, and what it gave as that is no certificate; look at it"
        ) from error
    if found != wanted:
        raise OutcomeUnknownError(
            f"the CA issued {serial} for another key than that of the request; look at it"
        )
    return f" (subject: {subject})"
