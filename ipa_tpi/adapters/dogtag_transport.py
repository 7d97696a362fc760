"""The executor's way to Dogtag: as the requester (D12, K01); other ways: `ipa_tpi.decide.dogtag_way`.

It is Apache's operator location on this host's loopback, with the ticket that the requester's proof
yielded.  That it is the executor who asks, the KDC says: it writes tpi/HOST into such a ticket, and the
location demands exactly that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ipa_tpi.adapters.dogtag_line import Line, asked, connected, verifying
from ipa_tpi.adapters.gss import negotiate_header

_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class OperatorLocation:
    """Apache's location for the executor alone.

    Attributes:
        host: The CA host's name, to which its certificate and the ticket are bound.
        port: Of the loopback listener.
        ca_file: PEM of who issued the server's certificate.
        path: What the location's name begins with.
    """

    host: str
    port: int
    ca_file: str
    path: str = "/tpi-dispatch/ca/rest"


class ProxyTicket:
    """Calls as the person whose proof yielded the ticket.

    Args:
        place: The location.
        evidence: See `ipa_tpi.ports.AcceptedProof`.
        header: Makes what authenticates one call of it to a host.
    """

    def __init__(
        self,
        place: OperatorLocation,
        evidence: object,
        header: Callable[[object, str], str] = negotiate_header,
    ) -> None:
        self._place = place
        self._evidence = evidence
        self._header = header

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one call, on a connection of its own; see `ipa_tpi.ports.DogtagTransport`."""
        place = self._place
        proof = {"Authorization": self._header(self._evidence, place.host)}
        with connected(Line(place.host, place.port, verifying(place.ca_file), _LOOPBACK)) as line:
            answer = asked(line, method, place.path + path, proof, body)
        return answer.status, answer.told
