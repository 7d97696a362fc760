"""Both ways to a CA, on a fake: the shared cases, and what no real CA can be made to do (D12, E07)."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from dogtag_cases import CASES, Case, Scene
from dogtag_fake import PROOF, SESSION, FakeCa, Pair, signed

from ipa_tpi.adapters.dogtag_agent import LegacyLocation, RaAgent
from ipa_tpi.adapters.dogtag_line import verifying
from ipa_tpi.adapters.dogtag_transport import OperatorLocation, ProxyTicket
from ipa_tpi.config import DogtagConfig, ExecutorConfig
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    ConfigError,
    NoTicketError,
    OutcomeUnknownError,
)

HOST = "localhost"
LOGIN, LOGOUT = "/account/login", "/account/logout"


@dataclass(frozen=True)
class Tls:
    """Authorities, and the agent's files."""

    authority: Pair
    file: Path
    foreign: Path
    agent: tuple[Path, Path]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    authority = signed("authority")
    file, _ = authority.write(folder, "authority")
    foreign, _ = signed("authority").write(folder, "foreign")
    return Tls(authority, file, foreign, signed("IPA RA", authority).write(folder, "agent"))


@dataclass
class ByTicket:
    """The executor, who has alice's ticket."""

    ca: FakeCa
    tls: Tls

    def transport(self, *, ca_file: str = "", port: int = 0) -> ProxyTicket:
        place = OperatorLocation(HOST, port or self.ca.port, ca_file or str(self.tls.file))
        return ProxyTicket(place, "alice", lambda evidence, host: PROOF if host == HOST else str(evidence))

    def foreign_authority(self) -> str:
        return str(self.tls.foreign)


@dataclass
class ByCertificate:
    """Who holds the agent's key."""

    ca: FakeCa
    tls: Tls

    def place(self, ca_file: str = "", port: int = 0) -> LegacyLocation:
        certificate, key = map(str, self.tls.agent)
        return LegacyLocation(
            HOST, ca_file or str(self.tls.file), port or self.ca.port, certificate=certificate, key=key
        )

    def transport(self, *, ca_file: str = "", port: int = 0) -> RaAgent:
        return RaAgent(self.place(ca_file, port))

    def foreign_authority(self) -> str:
        return str(self.tls.foreign)


@pytest.fixture
def by_ticket(tls: Tls, tmp_path: Path) -> Iterator[ByTicket]:
    ca = FakeCa(tmp_path, signed(HOST, tls.authority))
    yield ByTicket(ca, tls)
    ca.close()


@pytest.fixture
def by_certificate(tls: Tls, tmp_path: Path) -> Iterator[ByCertificate]:
    ca = FakeCa(tmp_path, signed(HOST, tls.authority), clients=tls.file)
    yield ByCertificate(ca, tls)
    ca.close()


@pytest.fixture(params=["by_ticket", "by_certificate"])
def scene(request: pytest.FixtureRequest) -> Scene:
    found: Scene = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_r_d12_both_ways_do_the_same(scene: Scene, case: Case) -> None:
    case(scene)


def test_an_answer_that_does_not_come_leaves_it_unknown(scene: ByTicket | ByCertificate) -> None:
    scene.ca.broken = lambda path: path == "/agent/certs/0xa/revoke"
    with pytest.raises(OutcomeUnknownError, match="asked and did not answer"):
        scene.transport().call("POST", "/agent/certs/0xa/revoke", {})


def test_r_e07_the_servers_chain_and_name_are_checked_and_old_versions_not_spoken(tls: Tls) -> None:
    made = verifying(str(tls.file))
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert made.maximum_version is ssl.TLSVersion.MAXIMUM_SUPPORTED


def test_r_e07_a_server_of_another_name_is_not_asked(tls: Tls, tmp_path: Path) -> None:
    ca = FakeCa(tmp_path, signed(HOST, tls.authority))
    transport = ProxyTicket(
        OperatorLocation("ca1.tpi.test", ca.port, str(tls.file)), "alice", lambda *_: PROOF
    )
    with pytest.raises(AuthorityUnavailableError, match="certificate verify failed"):
        transport.call("GET", "/info")
    assert ca.asked == []
    ca.close()


def test_without_a_ticket_nobody_is_asked(by_ticket: ByTicket) -> None:
    place = OperatorLocation(HOST, by_ticket.ca.port, str(by_ticket.tls.file))
    with pytest.raises(NoTicketError):
        ProxyTicket(place, None).call("GET", "/info")
    assert by_ticket.ca.asked == []


def test_the_agents_session_ends_with_the_call(by_certificate: ByCertificate) -> None:
    by_certificate.transport().call("GET", "/info")
    session = f"JSESSIONID={SESSION}"
    assert by_certificate.ca.asked == [
        ("GET", LOGIN, ""),
        ("GET", "/info", session),
        ("GET", LOGOUT, session),
    ]


def test_the_agents_session_ends_where_the_call_failed(by_certificate: ByCertificate) -> None:
    by_certificate.ca.broken = lambda path: path == "/info"
    with pytest.raises(OutcomeUnknownError):
        by_certificate.transport().call("GET", "/info")
    assert by_certificate.ca.asked[-1] == ("GET", LOGOUT, f"JSESSIONID={SESSION}")


def test_that_the_session_did_not_end_changes_no_answer(by_certificate: ByCertificate) -> None:
    by_certificate.ca.broken = lambda path: path == LOGOUT
    assert by_certificate.transport().call("GET", "/info")[0] == 200


def test_whom_dogtag_does_not_know_asks_for_nothing(by_certificate: ByCertificate) -> None:
    by_certificate.ca.login = 401
    assert by_certificate.transport().call("POST", "/certs/search", {})[0] == 401
    assert [path for _, path, _ in by_certificate.ca.asked] == [LOGIN]


def test_a_login_that_does_not_end_has_asked_for_nothing(by_certificate: ByCertificate) -> None:
    by_certificate.ca.broken = lambda path: path == LOGIN
    with pytest.raises(AuthorityUnavailableError):
        by_certificate.transport().call("POST", "/certs/search", {})


def test_another_authoritys_certificate_is_certainly_refused(
    by_certificate: ByCertificate, tmp_path: Path
) -> None:
    certificate, key = map(str, signed("IPA RA", signed("authority")).write(tmp_path, "other"))
    place = replace(by_certificate.place(), certificate=certificate, key=key)
    with pytest.raises(ActionFailedError, match=r"does not take the agent's certificate.*getcert list"):
        RaAgent(place).call("GET", "/info")
    assert by_certificate.ca.asked == []


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_a_key_for_its_owner_and_a_group_of_readers_is_used(
    by_certificate: ByCertificate, tmp_path: Path, mode: int
) -> None:
    place = with_key(by_certificate, tmp_path)
    Path(place.key).chmod(mode)
    assert RaAgent(place).call("GET", "/info")[0] == 200


@pytest.mark.parametrize("mode", [0o404, 0o444, 0o460, 0o450, 0o602, 0o660, 0o641])
def test_a_key_that_others_may_use_is_not(by_certificate: ByCertificate, tmp_path: Path, mode: int) -> None:
    place = with_key(by_certificate, tmp_path)
    Path(place.key).chmod(mode)
    with pytest.raises(ConfigError, match=f"has mode {mode:04o}.*chmod 0440"):
        RaAgent(place).call("GET", "/info")
    assert by_certificate.ca.asked == []


def test_a_certificate_that_others_may_change_is_not_used(
    by_certificate: ByCertificate, tmp_path: Path
) -> None:
    place = with_key(by_certificate, tmp_path)
    Path(place.certificate).chmod(0o664)
    with pytest.raises(ConfigError, match="has mode 0664"):
        RaAgent(place).call("GET", "/info")


def test_a_key_that_is_no_file_is_not_used(by_certificate: ByCertificate, tmp_path: Path) -> None:
    place, made = by_certificate.place(), tmp_path / "made"
    made.symlink_to(place.key)
    with pytest.raises(ConfigError, match="cannot be read"):
        RaAgent(replace(place, key=str(made))).call("GET", "/info")
    made.unlink()
    os.mkfifo(made, 0o400)
    with pytest.raises(ConfigError, match=r"no file of root's"):
        RaAgent(replace(place, key=str(made))).call("GET", "/info")
    with pytest.raises(ConfigError, match="cannot be read"):
        RaAgent(replace(place, key=str(tmp_path / "nothing"))).call("GET", "/info")


def test_a_key_with_a_password_asks_nobody_for_it(by_certificate: ByCertificate, tmp_path: Path) -> None:
    place = with_key(by_certificate, tmp_path, password=b"secret")
    with pytest.raises(ConfigError, match="has a password"):
        RaAgent(place).call("GET", "/info")


def test_another_key_is_no_key_of_the_certificate(by_certificate: ByCertificate, tmp_path: Path) -> None:
    place = replace(with_key(by_certificate, tmp_path), certificate=str(by_certificate.tls.agent[0]))
    with pytest.raises(ConfigError, match="no certificate with its key"):
        RaAgent(place).call("GET", "/info")


def with_key(scene: ByCertificate, folder: Path, password: bytes = b"") -> LegacyLocation:
    certificate, key = signed("IPA RA", scene.tls.authority).write(folder, "own", password)
    return replace(scene.place(), certificate=str(certificate), key=str(key))


def test_r_k01_no_setting_of_the_executor_names_the_agents_key() -> None:
    """And it never loads what could use it: an import contract, "The executor is nobody's agent"."""
    names = {*ExecutorConfig.__struct_fields__, *DogtagConfig.__struct_fields__}
    assert not [name for name in names if re.search("agent|certificate|cert$|key$|pem", name)]
    unit = (Path(__file__).parents[2] / "systemd" / "ipa-tpi-executor.service").read_text(encoding="utf-8")
    assert "ra-agent" not in unit
