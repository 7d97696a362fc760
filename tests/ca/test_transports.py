"""Both ways to the real CA: the cases that the fake passes too, and what sets the two apart (D12, D13, E07).

The RA agent's certificate is FreeIPA's old way: whoever has it is an agent for everybody. What stands in its way to be
somebody else's is shown in `test_legacy_location`.
"""

from __future__ import annotations

import base64
import os
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import ca_agent
import ca_operator
import ldap
import pytest
from ca_agent import Identity
from ca_host import TLS_AUTHORITY, CaHost, Profile, certificate_request
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from dogtag_cases import CASES, Case, Scene

from ipa_tpi.adapters.directory import open_directory
from ipa_tpi.adapters.dogtag import Dogtag
from ipa_tpi.adapters.dogtag_agent import LegacyLocation, RaAgent
from ipa_tpi.adapters.dogtag_transport import OperatorLocation, ProxyTicket
from ipa_tpi.adapters.gss import caller_credentials
from ipa_tpi.decide.dogtag_way import domain_level
from ipa_tpi.errors import ActionFailedError, ConfigError
from ipa_tpi.model import Refuse
from lab.layout import CA_HOST

AES_128_CBC = "{2 16 840 1 101 3 4 1 2}"
FOREIGN = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class ByTicket:
    """The executor, with what alice's proof gave it."""

    ca: CaHost

    def transport(self, *, ca_file: str = "", port: int = 0) -> ProxyTicket:
        place = OperatorLocation(CA_HOST, port or ca_operator.PORT, ca_file or TLS_AUTHORITY)
        return ProxyTicket(place, ca_operator.evidence(self.ca.ccache("alice")))

    def foreign_authority(self) -> str:
        return FOREIGN


@dataclass(frozen=True)
class ByCertificate:
    """Who holds the RA agent's key."""

    place: LegacyLocation

    def transport(self, *, ca_file: str = "", port: int = 0) -> RaAgent:
        place = self.place
        return RaAgent(replace(place, ca_file=ca_file or place.ca_file, port=port or place.port))

    def foreign_authority(self) -> str:
        return FOREIGN


@pytest.fixture
def by_ticket(ca: CaHost) -> ByTicket:
    return ByTicket(ca)


@pytest.fixture
def by_certificate(agent: Identity) -> ByCertificate:
    certificate, key = agent.shown
    return ByCertificate(LegacyLocation(CA_HOST, TLS_AUTHORITY, certificate=certificate, key=key))


@pytest.fixture(params=["by_ticket", "by_certificate"])
def scene(request: pytest.FixtureRequest) -> Scene:
    found: Scene = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_r_d12_both_ways_do_the_same(scene: Scene, case: Case) -> None:
    case(scene)


def test_r_d12_each_way_is_somebody_else(by_ticket: ByTicket, by_certificate: ByCertificate) -> None:
    for scene, name in ((by_ticket, "alice@TPI.TEST"), (by_certificate, "ipara")):
        status, told = scene.transport().call("GET", "/account/login")
        assert (status, told["id"]) == (200, name)


def test_r_d12_the_agent_does_what_the_requester_does(
    ca: CaHost, profile: Profile, by_ticket: ByTicket, by_certificate: ByCertificate
) -> None:
    profile.say(0)
    issued = ca.enroll("alice", profile.name, certificate_request("ways.tpi.test"))
    serial = str(issued.json["entries"][0]["certId"])
    person, agent = Dogtag(by_ticket.transport()), Dogtag(by_certificate.transport())
    agent.revoke(serial, "Certificate_Hold")
    assert person.certificate(serial).reason == "Certificate_Hold"
    person.release(serial)
    assert agent.certificate(serial).status == "VALID"
    agent.revoke(serial, "Superseded")
    assert person.certificate(serial) == agent.certificate(serial)
    assert agent.certificate(serial).reason == "Superseded"


def test_r_d13_a_key_is_retrieved_by_the_agent(ca: CaHost, by_certificate: ByCertificate) -> None:
    """What breaks for people (`test_acls_channel`): so at every level keys go by the agent's certificate."""
    kra = RaAgent(replace(by_certificate.place, path="/tpi-legacy/kra/rest"))
    wanted = {
        "clientKeyID": uuid.uuid4().hex,
        "keyAlgorithm": "AES",
        "keySize": "128",
        "keyUsage": "wrap,unwrap",
    }
    status, made = kra.call("POST", "/agent/keyrequests", _wish("SymKeyGenerationRequest", wanted))
    assert status == 201, made
    number = made["RequestInfo"]["keyURL"].rpartition("/")[2]
    session, vector = os.urandom(16), {"payloadWrappingName": "AES/CBC/PKCS5Padding"}
    status, transport = kra.call("GET", "/config/cert/transport")
    certificate = x509.load_pem_x509_certificate(transport["Encoded"].encode())
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    wrapped = base64.b64encode(public.encrypt(session, padding.PKCS1v15())).decode()
    wish = {"keyId": number, "transWrappedSessionKey": wrapped, "payloadEncryptionOID": AES_128_CBC, **vector}
    retrieve = _wish("KeyRecoveryRequest", wish)
    found = [kra.call("POST", "/agent/keys/retrieve", retrieve) for _ in range(2)]
    assert [status for status, _ in found] == [200, 200]
    keys = [_unwrapped(session, told) for _, told in found]
    # Twice the same one, wrapped anew: it is what lies there.
    assert (len(keys[0]), keys[0]) == (16, keys[1])
    assert found[0][1]["wrappedPrivateData"] != found[1][1]["wrappedPrivateData"]
    # As alice, with every right that a person can have there; `test_acls_channel` has what happens with more.
    assert ca.call("alice", "POST", "/agent/keys/retrieve", body=retrieve, subsystem="kra").status == 403


def test_who_is_no_agent_is_certainly_refused(by_certificate: ByCertificate, tmp_path: Path) -> None:
    names = "/O=TPI.TEST/CN=IPA RA", "/O=TPI.TEST/CN=Certificate Authority"
    certificate, key = ca_agent.pretended(tmp_path, "pretended", *names).shown
    with pytest.raises(ActionFailedError, match="does not take the agent's certificate"):
        RaAgent(replace(by_certificate.place, certificate=certificate, key=key)).call("GET", "/info")
    certificate, key = ca_agent.administrator(tmp_path).shown
    assert RaAgent(replace(by_certificate.place, certificate=certificate, key=key)).call("GET", "/info") == (
        403,
        None,
    )


def test_r_e09_a_key_that_others_can_read_is_not_used(by_certificate: ByCertificate, tmp_path: Path) -> None:
    copy = tmp_path / "copy.key"
    copy.write_bytes(Path(by_certificate.place.key).read_bytes())
    copy.chmod(0o444)
    with pytest.raises(ConfigError, match="has mode 0444"):
        RaAgent(replace(by_certificate.place, key=str(copy))).call("GET", "/info")
    copy.chmod(0o440)
    shutil.chown(copy, "nobody")
    with pytest.raises(ConfigError, match=r"no file of root's"):
        RaAgent(replace(by_certificate.place, key=str(copy))).call("GET", "/info")
    shutil.chown(copy, "root")
    assert RaAgent(replace(by_certificate.place, key=str(copy))).call("GET", "/info")[0] == 200


def test_r_d12_who_may_not_read_the_level_goes_no_way(ca: CaHost) -> None:
    """The entry is there, its value is not for everybody: that is no old domain, in which all goes as the agent."""
    credentials = caller_credentials(ca.ccache("alice"), "alice@TPI.TEST")
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, TLS_AUTHORITY)
    uri, host, suffix = "ldaps://ipa1.tpi.test", "ipa1.tpi.test", "dc=tpi,dc=test"
    connection = open_directory(uri, host, suffix, credentials, "employeeNumber")._connection
    dn = f"cn=Domain Level,cn=ipa,cn=etc,{suffix}"
    ((_, found),) = connection.search_ext_s(dn, ldap.SCOPE_BASE, attrlist=["cn", "ipaDomainLevel"])
    level = domain_level(found.get("ipaDomainLevel", []))
    assert isinstance(level, Refuse)
    assert level.code == "config"


def _unwrapped(session: bytes, told: dict[str, str]) -> bytes:
    vector, data = base64.b64decode(told["nonceData"]), base64.b64decode(told["wrappedPrivateData"])
    decryptor = Cipher(algorithms.AES(session), modes.CBC(vector)).decryptor()
    remover = PKCS7(128).unpadder()
    return remover.update(decryptor.update(data) + decryptor.finalize()) + remover.finalize()


def _wish(kind: str, attributes: dict[str, str]) -> dict[str, object]:
    return {
        "ClassName": f"com.netscape.certsrv.key.{kind}",
        "Attributes": {"Attribute": [{"name": name, "value": value} for name, value in attributes.items()]},
    }
