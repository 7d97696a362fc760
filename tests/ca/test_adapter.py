"""What the executor uses to act on certificates, on the real CA: as the requester, and what Dogtag answers (K01, D16)."""

from __future__ import annotations

import ca_operator
import pytest
from ca_host import TLS_AUTHORITY, CaHost, Profile, certificate_request

from ipa_tpi.adapters.dogtag import Dogtag
from ipa_tpi.adapters.dogtag_transport import OperatorLocation, ProxyTicket
from ipa_tpi.errors import ActionFailedError, AuthorityUnavailableError, NoTicketError, RefusedError
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.operations import operation
from lab.layout import CA_HOST

PLACE = OperatorLocation(CA_HOST, ca_operator.PORT, TLS_AUTHORITY)


@pytest.fixture
def serial(ca: CaHost, profile: Profile) -> str:
    """The number of a certificate that was issued just now."""
    profile.say(0)
    answer = ca.enroll("alice", profile.name, certificate_request("adapter.tpi.test"))
    return str(answer.json["entries"][0]["certId"])


def authority(ca: CaHost, person: str) -> Dogtag:
    return Dogtag(ProxyTicket(PLACE, ca_operator.evidence(ca.ccache(person))))


def test_r_k01_a_certificate_is_held_released_and_revoked_as_the_requester(ca: CaHost, serial: str) -> None:
    as_alice = Means(None, authority(ca, "alice"))  # type: ignore[arg-type]
    assert as_alice.authority is not None
    found = as_alice.authority.certificate(serial)
    assert (found.serial, found.status, found.reason) == (serial, "VALID", "")
    assert found.subject.startswith("CN=adapter.tpi.test")
    assert found.not_after.endswith("Z")
    for name, parameters, told in (
        ("hold", {"serial": serial}, "REVOKED (Certificate_Hold)"),
        ("release", {"serial": serial}, "VALID"),
        ("revoke", {"serial": serial, "reason": "Key_Compromise"}, "REVOKED (Key_Compromise)"),
    ):
        wanted = operation(f"dogtag.cert.{name}")
        shown, precondition = wanted.preview(parameters, as_alice)
        assert isinstance(shown, dict)
        assert (shown["action"], shown["serial"]) == (name, serial)
        assert wanted.precondition(parameters, as_alice) == precondition
        assert wanted.act(parameters, as_alice, 60).excerpt == f"{serial}: {told}"
    with pytest.raises(ActionFailedError, match="there is nothing to revoke"):
        operation("dogtag.cert.revoke").preview({"serial": serial, "reason": "Superseded"}, as_alice)


def test_who_lacks_the_permission_is_refused_by_dogtag(ca: CaHost, serial: str) -> None:
    with pytest.raises(ActionFailedError, match="refused it for the requester"):
        authority(ca, "dave").revoke(serial, "Superseded")
    assert authority(ca, "alice").certificate(serial).status == "VALID"


def test_a_number_that_was_never_issued_is_none(ca: CaHost) -> None:
    with pytest.raises(RefusedError) as caught:
        authority(ca, "alice").certificate("0xfffffff")
    assert caught.value.code == "bad-parameters"


def test_a_persons_own_ticket_is_not_enough(ca: CaHost, serial: str) -> None:
    """Not delegated by the executor: the location says no, whoever it is."""
    straight = Dogtag(ProxyTicket(PLACE, ca_operator.tickets(ca.ccache("alice"))))
    with pytest.raises(ActionFailedError, match="refused it for the requester"):
        straight.revoke(serial, "Superseded")
    assert authority(ca, "alice").certificate(serial).status == "VALID"


def test_without_a_ticket_or_a_listener_nothing_is_asked(ca: CaHost, serial: str) -> None:
    with pytest.raises(NoTicketError, match="ipa-tpi prove ID"):
        Dogtag(ProxyTicket(PLACE, None)).revoke(serial, "Superseded")
    nowhere = OperatorLocation(CA_HOST, 9, TLS_AUTHORITY)
    with pytest.raises(AuthorityUnavailableError, match="systemctl status"):
        Dogtag(ProxyTicket(nowhere, ca_operator.evidence(ca.ccache("alice")))).revoke(serial, "Superseded")


def test_r_e07_another_authoritys_certificate_is_not_believed(ca: CaHost, serial: str) -> None:
    other = OperatorLocation(CA_HOST, ca_operator.PORT, "/etc/ssl/certs/ca-certificates.crt")
    with pytest.raises(AuthorityUnavailableError, match="certificate verify failed"):
        Dogtag(ProxyTicket(other, ca_operator.evidence(ca.ccache("alice")))).revoke(serial, "Superseded")
