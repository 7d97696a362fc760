"""Kerberos through python-gssapi: credentials, the bind to the directory, and the verification of proofs.

Credential caches and keytabs are always passed explicitly; nothing here reads or writes the
process's environment, because threads would then act as each other.
"""

import base64
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import gssapi
import gssapi.raw as graw
from gssapi.exceptions import ExpiredCredentialsError
from gssapi.raw import ext_krb5
from gssapi.raw.misc import GSSError

from ipa_tpi.errors import DirectoryUnavailableError, KerberosError, NoTicketError, RefusedError
from ipa_tpi.model import Proof
from ipa_tpi.ports import AcceptedProof

KRB5: Final = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SPNEGO: Final = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
# GSS_KRB5_CRED_NO_CI_FLAGS_X: no integrity or confidentiality flag, so that the directory
# adds no SASL security layer (RFC 4178 tokens over ldapi or verified TLS only).
_NO_CI_FLAGS: Final = gssapi.OID.from_int_seq("1.2.752.43.13.29")
_DELEGATION_INFO: Final = b"urn:mspac:delegation-info"
_PAC: Final = b"urn:mspac:"
_INDICATORS: Final = b"auth-indicators"
# KRB5KDC_ERR_BADOPTION (RFC 4120 section 7.5.9). Below SPNEGO its number is mapped away; the text stays.
_BAD_OPTION: Final = "can't fulfill requested option"
# What the KDC decided, by RFC 4120 section 7.5.9: KDC_ERR_S_PRINCIPAL_UNKNOWN, KDC_ERR_BADOPTION, KRB_AP_ERR_TKT_EXPIRED;
# these numbers are offsets in MIT Kerberos' table. Anything else is an outage.
_USELESS: Final = frozenset(0x96C73A00 + number for number in (7, 13, 32))
# For tickets of tpi/HOST itself, with which it gets others in people's names.
_EVIDENCE_CCACHE: Final = "MEMORY:ipa-tpi-evidence"
_INITIAL_FLAG: Final = 0x00400000  # RFC 4120 section 5.3: bit 9 of TicketFlags


class _SaslConnection(Protocol):
    def sasl_bind_s(self, dn: str, mechanism: str, cred: bytes) -> bytes | None: ...


def caller_credentials(ccache: str, principal: str) -> gssapi.Credentials:
    """Take the proxy ticket of a caller (K01).

    Args:
        ccache: The credential cache that Apache wrote for this request.
        principal: Who Apache says is calling.

    Returns:
        Credentials to initiate with.

    Raises:
        KerberosError: The cache is gone, empty or expired.
        RefusedError: Code ``caller-mismatch``: the cache is somebody else's.
    """
    try:
        found = gssapi.Credentials(usage="initiate", store={"ccache": ccache}, mechs=[SPNEGO, KRB5])
        name = str(found.name)
    except GSSError as error:
        raise KerberosError(
            f"the caller's ticket cannot be used: {_text(error)}; run kinit and try again"
        ) from error
    if (
        name != principal
    ):  # R-K01: with an unknown cache an interposer hands out the service's own credentials
        raise RefusedError(
            "the ticket that came with the request is not the caller's, so nothing was done; run kinit and try again",
            code="caller-mismatch",
        )
    return found


def keytab_credentials(keytab: str, principal: str, ccache: str) -> gssapi.Credentials:
    """Take credentials of a service from its keytab, to initiate with.

    Args:
        keytab: Path.
        principal: The service's principal.
        ccache: Where the tickets are kept, such as ``MEMORY:executor``.

    Returns:
        Credentials.

    Raises:
        KerberosError: The keytab lacks the key, or the KDC does not answer.
    """
    try:
        name = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
        store: dict[bytes | str, bytes | str] = {"client_keytab": keytab, "ccache": ccache}
        return gssapi.Credentials(name=name, usage="initiate", store=store, mechs=[SPNEGO, KRB5])
    except GSSError as error:
        raise KerberosError(
            f"no ticket for {principal} with {keytab}: {_text(error)}; check the keytab (klist -k) and that the KDC runs"
        ) from error


def bind(connection: _SaslConnection, credentials: gssapi.Credentials, host: str) -> None:
    """Bind to a directory with GSS-SPNEGO in one round trip.

    python-ldap does not hand out the server's last token, so the server is not authenticated by
    Kerberos here: only for ldapi and verified TLS.

    Args:
        connection: A python-ldap connection.
        credentials: Whose.
        host: The host of the service ``ldap/HOST``.

    Raises:
        KerberosError: No service ticket could be had.
    """
    try:
        graw.set_cred_option(_NO_CI_FLAGS, credentials, None)
        target = gssapi.Name(f"ldap@{host}", gssapi.NameType.hostbased_service)
        flags = int(gssapi.RequirementFlag.mutual_authentication)
        context = gssapi.SecurityContext(
            name=target, creds=credentials, usage="initiate", mech=SPNEGO, flags=flags
        )
        token = context.step()
    except GSSError as error:
        if _BAD_OPTION in str(error):
            raise NoTicketError(
                "your ticket may not be used in your name; get a forwardable one: kinit -f",
            ) from error
        raise KerberosError(
            f"no ticket for the directory ldap/{host} could be had, so nothing was done ({_text(error)}). "
            "Check that the Kerberos server and the directory behind it run, and try again."
        ) from error
    if token is None:
        raise DirectoryUnavailableError(
            "the Kerberos library made no token for the directory; try again, and if it stays so report this"
        )
    connection.sasl_bind_s("", "GSS-SPNEGO", token)


class GssVerifier:
    """Verifies proofs with a keytab, without a replay cache (receipts take its place).

    Args:
        keytab: Path of the keytab of tpi/HOST.
        principal: tpi/HOST@REALM.
        evidence: Whether to keep with what the executor can act as the initiator by constrained delegation, where
            the KDC lets it (K01).
    """

    def __init__(self, keytab: str, principal: str, *, evidence: bool = False) -> None:
        self._keytab = keytab
        self._principal = principal
        self._evidence = evidence

    def accept(self, proof: Proof, text: bytes) -> AcceptedProof:
        """Accept a token and check its MIC; see `ipa_tpi.ports.ProofVerifier`."""
        credentials = self._credentials()
        try:
            context = gssapi.SecurityContext(creds=credentials, usage="accept")
            context.step(proof.token)
            if not context.complete:
                raise RefusedError(
                    "the proof's token is not whole; run: ipa-tpi prove ID", code="proof-invalid"
                )
            return _accepted(context, proof.mic, text, context.delegated_creds if self._evidence else None)
        except GSSError as error:
            raise RefusedError(
                f"the proof was not made for {self._principal}: {_text(error)}; run kinit, then: ipa-tpi prove ID",
                code="proof-invalid",
            ) from error

    def _credentials(self) -> gssapi.Credentials:
        try:
            name = gssapi.Name(self._principal, gssapi.NameType.kerberos_principal)
            store: dict[bytes | str, bytes | str] = {"keytab": self._keytab, "rcache": "none:"}
            if not self._evidence:
                return gssapi.Credentials(name=name, usage="accept", store=store, mechs=[KRB5])
            store |= {"client_keytab": self._keytab, "ccache": _EVIDENCE_CCACHE}
            return gssapi.Credentials(name=name, usage="both", store=store, mechs=[KRB5])
        except GSSError as error:
            raise KerberosError(
                f"the keytab {self._keytab} cannot be used: {_text(error)}; check its owner and its keys (klist -k)"
            ) from error


def _accepted(
    context: gssapi.SecurityContext, mic: bytes, text: bytes, evidence: gssapi.Credentials | None
) -> AcceptedProof:
    initiator = context.initiator_name
    attributes: dict[bytes, Any] = {bytes(name): initiator.attributes[name] for name in initiator.attributes}
    has_pac = any(name.startswith(_PAC) for name in attributes)
    indicators = attributes.get(_INDICATORS)
    return AcceptedProof(
        initiator=str(initiator),
        delegated=_DELEGATION_INFO in attributes or not has_pac,  # R-X01
        auth_time=_auth_time(context),
        initial=_is_initial(context),
        indicators=frozenset(value.decode("utf-8", "replace") for value in indicators.values)
        if indicators
        else frozenset(),
        mic_valid=_mic_valid(context, mic, text),
        evidence=evidence,
        evidence_seconds=_seconds_left(evidence),
    )


def _seconds_left(evidence: gssapi.Credentials | None) -> int:
    try:
        return (evidence.lifetime or 0) if evidence is not None else 0
    except GSSError:  # it has run out, and was accepted within the clocks' skew
        return 0


def negotiate_header(evidence: object, host: str) -> str:
    """Make what authenticates one HTTP request to HTTP/HOST as the maker of a proof (K01).

    The bare Kerberos mechanism: what lies under SPNEGO here has no proxy credentials.

    Args:
        evidence: As `AcceptedProof` holds it.
        host: The server's name.

    Returns:
        The value of ``Authorization``.

    Raises:
        NoTicketError: What the proof yielded is of no use: the person's ticket was not forwardable, or has expired,
            or tpi/HOST may not delegate to this service.
        KerberosError: The KDC gave no answer, or has another trouble; the next try may go well.
    """
    if not isinstance(evidence, gssapi.Credentials):
        raise NoTicketError("there is no ticket to act with; run: ipa-tpi prove ID")
    name = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
    try:
        token = gssapi.SecurityContext(name=name, creds=evidence, mech=KRB5, usage="initiate").step()
    except GSSError as error:
        if not isinstance(error, ExpiredCredentialsError) and error.min_code not in _USELESS:
            raise KerberosError(
                f"no ticket for HTTP/{host} in the requester's name could be had ({_text(error)}); "
                "check that the Kerberos server runs; it is tried again by itself"
            ) from error
        raise NoTicketError(
            f"no ticket for HTTP/{host} in the requester's name could be had ({_text(error)}); "
            "run: kinit -f, then: ipa-tpi prove ID; if that does not help, an administrator has to let "
            f"this host's tpi/ principal delegate to HTTP/{host}"
        ) from error
    return "Negotiate " + base64.b64encode(token or b"").decode("ascii")


def _mic_valid(context: gssapi.SecurityContext, mic: bytes, text: bytes) -> bool:
    try:
        context.verify_signature(text, mic)
    except GSSError:
        return False
    return True


def _auth_time(context: gssapi.SecurityContext) -> datetime | None:
    try:
        seconds = ext_krb5.krb5_extract_authtime_from_sec_context(context)
    except GSSError:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC)


def _is_initial(context: gssapi.SecurityContext) -> bool:
    try:
        return bool(ext_krb5.krb5_get_tkt_flags(context) & _INITIAL_FLAG)
    except GSSError:
        return False


def _text(error: GSSError) -> str:
    return " ".join(str(error).split())
