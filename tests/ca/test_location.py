"""What each line of the location in front of Dogtag is there for: with it an attack fails, without it the same succeeds.

Dogtag believes whatever comes with the connector's secret, and its sessions are as good as tickets: whoever gets past
Apache, or brings a session of somebody else, is that person.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ajp
import pytest
import requests
from apache import weakened
from ca_host import SECONDS, CaHost, Profile, certificate_request
from cryptography.hazmat.primitives import serialization

from lab.box_command import DEV_PYTHON
from lab.ca_settings import SITE
from lab.ca_spawn import ADMIN_PASSWORD, AJP_SECRET
from lab.layout import CA_HOST

URL_DIRECT = f"https://{CA_HOST}:8443/ca/rest"
ALICE = "alice@TPI.TEST"
OPERATOR = {
    "REMOTE_USER_GROUP_N": "1",
    "REMOTE_USER_GROUP_1": "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test",
}

_REACH = """
import gssapi
held = gssapi.Credentials(usage="initiate")
for target in ("ldap@ipa1.tpi.test", "HTTP@ipa1.tpi.test", "tpi@ca1.tpi.test", "host@ca1.tpi.test"):
    name = gssapi.Name(target, gssapi.NameType.hostbased_service)
    try:
        gssapi.SecurityContext(name=name, creds=held, usage="initiate").step()
        print(f"{target}: {held.name}")
    except gssapi.exceptions.GSSError as error:
        print(f"{target}: {error.get_all_statuses(error.min_code, False)[0]}")
"""


@dataclass(frozen=True)
class Direct:
    """Dogtag's own port, 8443, which knows nothing of tickets."""

    authority: Path

    def whose(self, session: str) -> str:
        """Say whose session it is."""
        found = self._get("/account/login", session)
        return str(found.json()["id"]) if found.status_code == 200 else ""

    def status(self, path: str, session: str) -> int:
        """Ask for something with nothing but a session."""
        return self._get(path, session).status_code

    def login(self, user: str, password: str) -> str:
        """Return the session of a user whom only Dogtag knows."""
        found = requests.get(
            f"{URL_DIRECT}/account/login", auth=(user, password), verify=str(self.authority), timeout=SECONDS
        )
        return str(found.cookies["JSESSIONID"])

    def _get(self, path: str, session: str) -> requests.Response:
        return requests.get(
            f"{URL_DIRECT}{path}",
            cookies={"JSESSIONID": session} if session else None,
            headers={"Accept": "application/json"},
            verify=str(self.authority),
            timeout=SECONDS,
        )


@pytest.fixture(scope="module")
def direct(ca: CaHost, tmp_path_factory: pytest.TempPathFactory) -> Direct:
    authority: Path = tmp_path_factory.mktemp("dogtag") / "ca.pem"
    authority.write_bytes(ca.authority().public_bytes(serialization.Encoding.PEM))
    return Direct(authority)


def test_only_with_a_ticket(ca: CaHost) -> None:
    assert ca.call("", "GET", "/account/login").headers["Server"].startswith("Apache")
    assert ca.call("", "GET", "/info").status == 401
    with weakened({"<RequireAll>": "<RequireAny>", "</RequireAll>": "</RequireAny>"}, SITE):
        # Dogtag itself answers, whoever asks.
        assert ca.call("", "GET", "/info").status == 200
    assert ca.call("", "GET", "/info").status == 401


def test_a_session_planted_by_somebody_else_does_not_become_the_callers(ca: CaHost, direct: Direct) -> None:
    """Session fixation: somebody with a session on port 8443 lets alice's client send its cookie."""

    def whose_after_alice_sent_it() -> str:
        session = direct.login("caadmin", ADMIN_PASSWORD)
        assert direct.whose(session) == "caadmin"
        used = ca.call("alice", "GET", "/account/login", headers={"Cookie": f"JSESSIONID={session}"})
        assert used.json["id"] == ALICE
        return direct.whose(session)

    assert whose_after_alice_sent_it() == "caadmin"
    with weakened({"RequestHeader unset Cookie": ""}):
        assert whose_after_alice_sent_it() == ALICE


def test_no_session_comes_back_that_could_be_used_without_the_ticket(
    ca: CaHost, profile: Profile, direct: Direct
) -> None:
    assert "Set-Cookie" not in ca.call("alice", "GET", "/account/login").headers
    with weakened({"Header onsuccess unset Set-Cookie": "", "Header always unset Set-Cookie": ""}):
        given = ca.call("alice", "GET", "/account/login").headers["Set-Cookie"]
    session = given.partition("JSESSIONID=")[2].partition(";")[0]
    # It is alice's, where no ticket is asked for.
    assert direct.whose(session) == ALICE
    assert direct.status(f"/profiles/{profile.name}/raw", session) == 200


def test_the_connector_believes_only_who_has_the_secret(profile: Profile) -> None:
    path = f"/ca/rest/profiles/{profile.name}/raw"
    assert ajp.ask(path, user=ALICE, attributes=OPERATOR)[0] == 403
    assert ajp.ask(path, user=ALICE, attributes=OPERATOR, secret="guessed")[0] == 403
    # Whoever has it is anybody: so only root may read it, and the connector listens on loopback only.
    assert ajp.ask(path, user=ALICE, attributes=OPERATOR, secret=AJP_SECRET)[0] == 200


def test_the_connector_takes_no_attributes_but_those_it_needs(profile: Profile) -> None:
    path = f"/ca/rest/profiles/{profile.name}/raw"
    more = {**OPERATOR, "SOMETHING_ELSE": "somebody"}
    assert ajp.ask(path, user=ALICE, attributes=more, secret=AJP_SECRET)[0] == 403


def test_the_secret_is_for_root_alone() -> None:
    settings = Path("/etc/ipa/tpi/ca-httpd.conf")
    assert AJP_SECRET in settings.read_text()
    assert settings.stat().st_mode & 0o077 == 0
    assert AJP_SECRET not in SITE.read_text()
    assert Path("/etc/pki/pki-tomcat/server.xml").stat().st_mode & 0o007 == 0


def test_with_the_callers_ticket_the_program_gets_to_the_directory_and_nowhere_else(
    ca: CaHost, profile: Profile
) -> None:
    """The KDC turns the ticket for the CA host into one for ldap/ipa1, and into no other (R-K01)."""
    kept, script = profile.seen.parent / "reached", profile.program.with_suffix(".py")
    script.write_text(_REACH)
    profile.do(f"{DEV_PYTHON} -I {script} >{kept} 2>&1; exit 0")
    answer = ca.enroll("alice", profile.name, certificate_request("reach.tpi.test"))
    assert answer.json["entries"][0]["requestStatus"] == "complete", answer
    assert kept.read_text().splitlines() == [
        "ldap@ipa1.tpi.test: alice@TPI.TEST",
        "HTTP@ipa1.tpi.test: KDC can't fulfill requested option",
        "tpi@ca1.tpi.test: KDC can't fulfill requested option",
        "host@ca1.tpi.test: KDC can't fulfill requested option",
    ]
