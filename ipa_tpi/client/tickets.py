"""The person's own Kerberos tickets: who they are, tokens for the web service, and proofs.

A ccache is passed to GSSAPI as a store, never through the environment, where threads would share
it.  Only the Kerberos mechanism is asked for: with it the minor status of a failure is the plain
Kerberos error code, from which the messages to people are made.  Nothing is ever delegated.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import gssapi
from gssapi.raw.misc import GSSError

from ipa_tpi.errors import KerberosError, NoTicketError, UnavailableError

_KERBEROS: Final = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")  # RFC 4121 section 1
_PROOF_FLAGS: Final = gssapi.RequirementFlag.integrity | gssapi.RequirementFlag.replay_detection
_NEGOTIATE_FLAGS: Final = gssapi.RequirementFlag.integrity | gssapi.RequirementFlag.mutual_authentication

_NO_CREDENTIALS: Final = 7 << 16  # RFC 2744 section 3.9.1
_EXPIRED_CREDENTIALS: Final = 11 << 16
# Kerberos error codes, as the low 32 bits of the minor status.  RFC 4120 section 7.5.9 and krb5.h.
_BASE: Final = -1765328384 & 0xFFFFFFFF
_CLIENT_GONE: Final = frozenset({_BASE + 1, _BASE + 6, _BASE + 18, _BASE + 20})
_SERVICE_UNKNOWN: Final = _BASE + 7
_POLICY: Final = _BASE + 12
_EXPIRED: Final = _BASE + 32
_CLOCK: Final = frozenset({_BASE + 33, _BASE + 37})
_KDC_UNREACHABLE: Final = frozenset({_BASE + 29, _BASE + 154, _BASE + 156, _BASE + 220})


class Negotiation(Protocol):
    """One authentication to the web service."""

    token: bytes

    def verify(self, answer: bytes) -> None:
        """Check the server's half of the mutual authentication.

        Args:
            answer: The token of the server's answer, untrusted.

        Raises:
            UnavailableError: Code ``server-untrusted``: it was not made by the service that was asked.
        """


class Tickets(Protocol):
    """What the client needs of the person's tickets."""

    def principal(self) -> str:
        """Name the principal that the tickets are for, with its realm."""

    def expires(self) -> datetime:
        """Tell when the tickets end."""

    def negotiate(self, host: str) -> Negotiation:
        """Begin to authenticate to the web service of a host."""

    def prove(self, target: str, text: bytes) -> tuple[bytes, bytes]:
        """Make a GSS token for the executor of a target, and a MIC over a text."""

    def copy(self, ccache: str) -> None:
        """Put the tickets into another cache as well, which the caller deletes."""


class GssTickets:
    """`Tickets` of a credential cache.

    Args:
        ccache: Its name, such as ``FILE:/tmp/krb5cc_1000``; None takes the person's default one.
    """

    def __init__(self, ccache: str | None = None) -> None:
        self._ccache = ccache
        self._credentials: gssapi.Credentials | None = None
        self._principal = ""

    def principal(self) -> str:
        """Name the principal that the tickets are for.

        Returns:
            It, with its realm.

        Raises:
            NoTicketError: There is no ticket, or it has expired.
        """
        self._acquire()
        return self._principal

    def expires(self) -> datetime:
        """Tell when the tickets end.

        Returns:
            The time, by this machine's clock.

        Raises:
            NoTicketError: There is no ticket, or it has expired.
        """
        credentials = self._acquire()
        try:
            seconds = credentials.lifetime
        except GSSError as error:
            raise explain(error, "the Kerberos server") from error
        return datetime.now(UTC) + timedelta(seconds=int(seconds or 0))

    def negotiate(self, host: str) -> "GssNegotiation":
        """Begin to authenticate to the web service of a host.

        Args:
            host: Its name, as in the URL.

        Returns:
            The token to send, and the check of the answer.

        Raises:
            KerberosError: The token cannot be made; the message says why.
        """
        name = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
        try:
            return GssNegotiation(self._acquire(), name, f"HTTP/{host}")
        except NoTicketError:
            self._credentials = None  # whoever has run kinit meanwhile is served the next time
            raise

    def prove(self, target: str, text: bytes) -> tuple[bytes, bytes]:
        """Make a proof for the executor of a target (R-X01).

        Args:
            target: A host name that `decide.intake.check_target` lets pass.
            text: What the MIC is over.

        Returns:
            One complete context token, and the MIC.

        Raises:
            KerberosError: The proof cannot be made; the message says why.
        """
        credentials = self._acquire()
        # The realm is spelled out, so that no DNS name or mapping file can turn it into another principal.
        service = f"tpi/{target}@{self._principal.rpartition('@')[2]}"
        name = gssapi.Name(service, gssapi.NameType.kerberos_principal)
        try:
            context = _initiate(credentials, name, _PROOF_FLAGS)
            token = context.step()
            if not context.complete or token is None:
                raise KerberosError(
                    f"the proof for {service} needs a second token; report this as a fault of ipa-tpi"
                )
            return bytes(token), bytes(context.get_signature(text))
        except GSSError as error:
            raise explain(error, service) from error

    def copy(self, ccache: str) -> None:
        """Put the tickets into another cache as well.

        Args:
            ccache: Its name; it is overwritten, and the caller deletes it.

        Raises:
            KerberosError: There are none, or they cannot be written there.
        """
        try:
            self._acquire().store(store={"ccache": ccache}, usage="initiate", overwrite=True)
        except GSSError as error:
            raise explain(error, "the Kerberos server") from error

    def _acquire(self) -> gssapi.Credentials:
        if self._credentials is None:
            store: dict[bytes | str, bytes | str] | None = {"ccache": self._ccache} if self._ccache else None
            try:
                credentials = gssapi.Credentials(usage="initiate", mechs=[_KERBEROS], store=store)
                self._principal = str(credentials.name)  # raises where the ticket has expired
            except GSSError as error:
                raise explain(error, "the Kerberos server") from error
            self._credentials = credentials
        return self._credentials


class GssNegotiation:
    """One authentication to the web service; the server proves itself too where it answers.

    Args:
        credentials: The person's.
        name: The web service's name.
        shown: The name for messages.

    Attributes:
        token: What to send after ``Negotiate``.
    """

    def __init__(self, credentials: gssapi.Credentials, name: gssapi.Name, shown: str) -> None:
        self._shown = shown
        try:
            self._context = _initiate(credentials, name, _NEGOTIATE_FLAGS)
            self.token = bytes(self._context.step() or b"")
        except GSSError as error:
            raise explain(error, shown) from error

    def verify(self, answer: bytes) -> None:
        """Check the server's half of the mutual authentication.

        Args:
            answer: The server's token, untrusted.

        Raises:
            UnavailableError: Code ``server-untrusted``.
        """
        try:
            self._context.step(answer)
        except GSSError as error:
            raise UnavailableError(
                f"the server could not prove that it is {self._shown}, so its answer was thrown away. "
                "Check the server's name and its keytab.",
                code="server-untrusted",
            ) from error


def explain(error: GSSError, service: str) -> KerberosError:
    """Turn a GSSAPI failure of the initiator into ours.

    Args:
        error: The failure.
        service: Name of the principal that a ticket was wanted for.

    Returns:
        An error that says what happened and what to do next.
    """
    minor = error.min_code & 0xFFFFFFFF
    if minor in _CLOCK:
        return KerberosError(
            "this machine's clock and the Kerberos server's differ too much. "
            "Set the clock (chronyc makestep), run kinit and try again.",
            code="clock-skew",
        )
    if error.maj_code == _EXPIRED_CREDENTIALS or minor == _EXPIRED:
        return NoTicketError("your Kerberos ticket has expired. Run kinit and try again.")
    if error.maj_code == _NO_CREDENTIALS:
        return NoTicketError(
            f"you have no usable Kerberos ticket ({_minor_text(error)}). Run kinit and try again."
        )
    if minor == _SERVICE_UNKNOWN:
        return KerberosError(
            f"the Kerberos server does not know {service}. Check the host's name; "
            "if it is right, ask an administrator whether ipa-tpi is set up for that host.",
        )
    if minor in _KDC_UNREACHABLE:
        return KerberosError(
            f"no Kerberos server answered when a ticket for {service} was wanted. "
            "Check the network and krb5kdc, and try again.",
        )
    if minor in _CLIENT_GONE:
        return NoTicketError("your account has expired, is locked, or is gone. Ask an administrator.")
    if minor == _POLICY:
        return KerberosError(
            f"the Kerberos server's policy refuses you a ticket for {service}. "
            "It may demand another way to log in: run kinit with your second factor.",
        )
    return KerberosError(
        f"no ticket for {service} could be had ({_minor_text(error)}). Run kinit and try again."
    )


def _initiate(credentials: gssapi.Credentials, name: gssapi.Name, flags: int) -> gssapi.SecurityContext:
    return gssapi.SecurityContext(name=name, creds=credentials, usage="initiate", mech=_KERBEROS, flags=flags)


def _minor_text(error: GSSError) -> str:
    lines = error.get_all_statuses(error.min_code, is_maj=False)
    return "; ".join(line for line in lines if line) or f"code {error.min_code}"
