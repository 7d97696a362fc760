"""One person of the realm alone, with what the documents tell him, against the seams of enrolment under control (D10, D18, K13).

What he wants: a certificate that takes two, from pieces that Apache's filter does not put together; a profile that looks
guarded and is not; one approval used twice, or for something else than was shown.
"""

from __future__ import annotations

import copy
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ca_operator
import pytest
import requests
from apache import weakened
from ca_guarded import guarded_text
from ca_host import TLS_AUTHORITY, Answer, CaHost, certificate_request, enrolment
from ca_line import line, own
from ca_requests import CaWorld
from certval_ca import (
    SERVICE,
    SETTINGS,
    Scene,
    directory,
    issued,
    nothing_issued,
    outcome,
    scene,
    systemctl,
    written,
)
from cryptography.hazmat.primitives import serialization

from ipa_tpi.adapters.dogtag_transport import OperatorLocation, ProxyTicket
from ipa_tpi.decide.profile_text import told_configuration
from ipa_tpi.errors import RefusedError
from ipa_tpi.executor.action import Means
from ipa_tpi.executor.operations import operation
from lab.ca_settings import SITE
from lab.entries import entry
from lab.layout import CA_HOST

PLACE = OperatorLocation(CA_HOST, ca_operator.PORT, TLS_AUTHORITY)
DIRECT = f"https://{CA_HOST}:8443/ca/rest/certrequests"
# So far apart, nobody is told that he asks too often.
SHARE_SECONDS = 0.4
PIECE_SECONDS = 0.02


@pytest.fixture(scope="module")
def attacked(ca: CaHost) -> Iterator[Scene]:
    with scene(ca) as found:
        yield found


@pytest.fixture
def controlled(attacked: Scene, world: CaWorld) -> Iterator[str]:
    """The profile that asks the validator, under two-person control."""
    text = SETTINGS.read_text(encoding="utf-8")
    with written(SETTINGS, f'{text}\ncontrolled_profiles = ["{attacked.profile}"]\n'):
        systemctl("stop", SERVICE)
        yield attacked.profile
        world.tidy("alice")
    systemctl("stop", SERVICE)


def asked(world: CaWorld, profile: str, csr: str, way: str = "requester") -> str:
    return world.ask("alice", "dogtag.cert.request", profile=profile, ca="ipa", csr=csr, submit=way)


def in_pieces(ca: CaHost, person: str, pieces: Sequence[bytes]) -> Answer:
    """Send a request for a certificate so that Apache reads it piece by piece."""
    head = {"Accept": "application/json", "Content-Type": "application/json", **own(ca, person)}
    with line() as tls:
        connection = tls.connection
        connection.putrequest("POST", "/tpi/ca/rest/certrequests")
        for name, value in {**head, "Content-Length": str(sum(map(len, pieces)))}.items():
            connection.putheader(name, value)
        connection.endheaders()
        for piece in pieces:
            time.sleep(PIECE_SECONDS)
            connection.send(piece)
        found = connection.getresponse()
        text = found.read().decode()
    return Answer(found.status, text, {}, json.loads(text) if text.startswith("{") else None)


def cut(text: str, size: int) -> list[bytes]:
    """Cut a text where the word is, into pieces of a size."""
    at = text.lower().index("enewal")
    around = text[at - 8 : at + 16].encode()
    few = [around[start : start + size] for start in range(0, len(around), size)]
    return [text[: at - 8].encode(), *few, text[at + 16 :].encode()]


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_r_d10_nobody_renews_in_pieces(attacked: Scene, size: int) -> None:
    """dave, in no group, sends the word in pieces that are too short to hold it: the filter has to put them together."""
    ca = attacked.ca
    plain = json.dumps({"ProfileID": attacked.profile, "Renewal": True, "SerialNumber": "0x6", "Input": []})
    with nothing_issued():
        for text in (plain, plain.replace("Renewal", "\\u0052enewal")):
            assert in_pieces(ca, "dave", cut(text, size)).status == 400
    body = json.dumps(enrolment(attacked.profile, certificate_request("alice")))
    at = body.index("newal")
    assert outcome(in_pieces(ca, "alice", [body[:at].encode(), body[at:].encode()]))[0] == "complete"


def test_in_pieces_without_the_filter_it_is_renewed(attacked: Scene) -> None:
    """That the pieces arrive, and that Dogtag takes them."""
    text = json.dumps({"ProfileID": attacked.profile, "Renewal": True, "SerialNumber": "0x6", "Input": []})
    with weakened({"SetInputFilter tpi-only-enrolment": ""}, SITE):
        status, number = outcome(in_pieces(attacked.ca, "dave", cut(text, 3)))
    assert status == "complete"
    assert "CN=caadmin" in attacked.ca.certificate(number).subject.rfc4514_string()


@pytest.mark.parametrize("written", ["Requestor_name", "REQUESTOR_NAME"])
def test_r_d18_what_the_caller_wrote_as_his_address_gets_into_no_certificate(
    attacked: Scene, written: str
) -> None:
    """Dogtag knows what it keeps of a request in any letter case."""
    ca, name = attacked.ca, f"insider{uuid.uuid4().hex[:8]}"
    first = "policyset.serverCertSet.1.default."
    text = guarded_text(name).replace(
        f"{first}class_id=userSubjectNameDefaultImpl",
        f"{first}class_id=subjectNameDefaultImpl\n{first}params.name=CN=$request.{written}$",
    )
    transport = ProxyTicket(PLACE, ca_operator.evidence(ca.ccache("alice")))
    for verb in ("import", "modify"):
        with pytest.raises(RefusedError) as caught:
            operation(f"dogtag.profile.{verb}").preview({"profile": name, "configuration": text}, Means(None))  # type: ignore[arg-type]
        assert caught.value.code == "profile-unguarded"
    # Had it got in: the validator looks at alice's request, and Dogtag signs what she calls herself.
    assert transport.call("POST", "/profiles/raw", text)[0] == 201
    assert transport.call("POST", f"/profiles/{name}?action=enable")[0] == 204
    answer = ca.enroll("alice", name, certificate_request("alice"), requestor="lone.tpi.test")
    status, number = outcome(answer)
    assert status == "complete", number
    assert ca.certificate(number).subject.rfc4514_string() == "CN=lone.tpi.test"
    assert told_configuration(str(transport.call("GET", f"/profiles/{name}/raw")[1])).enabled


def test_r_k13_one_approval_is_one_certificate_however_many_ask_at_once(
    attacked: Scene, world: CaWorld, controlled: str
) -> None:
    """Alice sends what bob approved eight times in the same moment, on eight connections."""
    ca, csr = attacked.ca, certificate_request("alice")
    request_id = asked(world, controlled, csr)
    world.approve("bob", request_id)
    before = issued()
    with ThreadPoolExecutor(8) as eight:
        found = [outcome(one) for one in eight.map(lambda _: ca.enroll("alice", controlled, csr), range(8))]
    assert sorted(status for status, _ in found) == ["complete", *["rejected"] * 7]
    assert len(issued() - before) == 1
    world.ended(request_id, "executed")


def test_r_k13_who_is_faster_than_the_executor_gets_the_one_certificate(
    attacked: Scene, world: CaWorld, controlled: str
) -> None:
    """The executor submits for alice, and she does too, all the while: one approval, and it is said that it is in doubt."""
    ca, csr = attacked.ca, certificate_request("alice")
    request_id = asked(world, controlled, csr, "executor")
    before, found = issued(), []
    world.approve("bob", request_id)
    while (view := world.api("bob").show(request_id)).state not in {"executed", "indeterminate"}:
        assert view.state != "failed"
        found.append(outcome(ca.enroll("alice", controlled, csr))[0])
        time.sleep(SHARE_SECONDS)
    assert len(issued() - before) == 1
    assert found.count("complete") == (1 if view.state == "indeterminate" else 0)
    with nothing_issued():
        assert outcome(ca.enroll("alice", controlled, csr))[0] == "rejected"


def smuggled(profile: str, csr: str) -> Iterator[tuple[str, Any]]:
    """Give enrolments that say more than the request that was approved, each with a name."""
    other = certificate_request("alice")
    for name, value in (
        ("cert_request", other),
        ("profileId", "caServerCert"),
        ("req_subject_name.cn", "lone.tpi.test"),
        ("auth_token.PRINCIPAL.IPA_SUBJECT", "bob@TPI.TEST"),
    ):
        for place in ("beside", "input"):
            body = copy.deepcopy(enrolment(profile, csr))
            more = [{"name": name, "Value": value}]
            if place == "beside":
                body["Input"][0]["Attribute"] += more
            else:
                body["Input"].append(
                    {"id": "i9", "ClassID": "genericInputImpl", "Name": "x", "Attribute": more}
                )
            yield f"{name} {place}", body


def test_r_d10_an_approval_is_good_for_its_profile_ca_and_request_alone(
    attacked: Scene, world: CaWorld, controlled: str
) -> None:
    """Other spellings of the profile, another CA, other inputs: what was approved is not used up, nor stretched."""
    ca, csr = attacked.ca, certificate_request("alice")
    request_id = asked(world, controlled, csr)
    world.approve("bob", request_id)
    body = {"dn": f"CN={uuid.uuid4().hex},O=TPI.TEST", "parentID": "host-authority"}
    below = ca.call("alice", "POST", "/authorities", body=body).json
    with nothing_issued():
        for spelled in (controlled.upper(), controlled.capitalize(), f"{controlled} ", f" {controlled}"):
            assert ca.enroll("alice", spelled, csr).status == 400, spelled
        for query in (f"issuer-id={below['id']}", f"issuer-dn={below['dn']}"):
            answer = ca.call("alice", "POST", f"/certrequests?{query}", body=enrolment(controlled, csr))
            assert "certificate authority not found" in attacked.refused(answer, 4001)
        for person in ("bob", "dave"):
            assert outcome(ca.enroll(person, controlled, csr))[0] == "rejected"
    for name, wish in smuggled(controlled, csr):
        before = issued()
        status, number = outcome(ca.call("alice", "POST", "/certrequests", body=wish))
        if status == "complete":
            break
        assert issued() == before, name
    # Inputs that the profile does not have are nothing: it is the certificate that was approved, and the only one.
    assert ca.certificate(number).subject.rfc4514_string() == "CN=alice"
    world.ended(request_id, "executed")
    with nothing_issued():
        assert "used up" in attacked.refused(ca.enroll("alice", controlled, csr), 2100)
        for name, wish in smuggled(controlled, csr):
            assert outcome(ca.call("alice", "POST", "/certrequests", body=wish))[0] == "rejected", name


def test_r_d10_a_name_given_twice_does_not_lead_to_another_ca(
    attacked: Scene, world: CaWorld, controlled: str
) -> None:
    """Who may add entries of CAs gives another CA the name that was approved, below an entry of his own."""
    ca, csr = attacked.ca, certificate_request("alice")
    request_id = asked(world, controlled, csr)
    world.approve("bob", request_id)
    body = {"dn": f"CN={uuid.uuid4().hex},O=TPI.TEST", "parentID": "host-authority"}
    number = ca.call("alice", "POST", "/authorities", body=body).json["id"]
    place = "cn=insider,cn=cas,cn=ca,dc=tpi,dc=test"
    told = {"ipaCaSubjectDN": "cn=x", "ipaCaIssuerDN": "cn=x"}
    made = [
        entry(place, "ipaCa", cn="insider", ipaCaId=str(uuid.uuid4()), **told),
        entry(f"cn=ipa,{place}", "ipaCa", cn="ipa", ipaCaId=number, **told),
    ]
    with directory(ca) as root:
        for one in made:
            root.add_s(
                one.dn, [(key, [each.encode() for each in values]) for key, values in one.attributes.items()]
            )
        try:
            with nothing_issued():
                answer = ca.enroll("alice", controlled, csr, authority=number)
                assert "certificate authority not found" in attacked.refused(answer, 4001)
        finally:
            for one in reversed(made):
                root.delete_s(one.dn)
    assert outcome(ca.enroll("alice", controlled, csr))[0] == "complete"


def test_r_d10_what_two_people_gave_is_not_renewed_by_anybody_alone(
    attacked: Scene, world: CaWorld, controlled: str, tmp_path: Path
) -> None:
    """At port 8443, where Dogtag renews without a ticket: there the old certificate's profile asks the validator again."""
    ca, authority = attacked.ca, tmp_path / "ca"
    authority.write_bytes(ca.authority().public_bytes(serialization.Encoding.PEM))

    def renewed(number: str) -> tuple[str, str]:
        body = {"ProfileID": "caManualRenewal", "Renewal": True, "SerialNumber": number, "Input": []}
        head = {"Accept": "application/json"}
        found = requests.post(DIRECT, json=body, headers=head, verify=str(authority), timeout=60)
        return outcome(Answer(found.status_code, found.text, found.headers, found.json()))

    csr = certificate_request("alice")
    request_id = asked(world, controlled, csr)
    world.approve("bob", request_id)
    status, number = outcome(ca.enroll("alice", controlled, csr))
    assert status == "complete", number
    with nothing_issued():
        status, said = renewed(number)
        assert status == "rejected"
        assert "no tickets of the caller" in said
    # Where the program says yes, Dogtag does not refuse.
    status, number = outcome(ca.enroll("alice", attacked.lenient, csr))
    assert status == "complete", number
    assert renewed(number)[0] != "rejected"
