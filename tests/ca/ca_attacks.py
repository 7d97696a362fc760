"""What an attacker does in front of Dogtag, each as one function that returns what he sees."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ca_agent
from ca_agent import Identity
from ca_host import PASSWORDS, TLS_AUTHORITY, CaHost, Profile, certificate_request
from ca_line import delegated, line, own
from ca_operator import PORT, evidence
from requests.auth import _basic_auth_str

from ipa_tpi.adapters.dogtag import Dogtag
from ipa_tpi.adapters.dogtag_transport import OperatorLocation, ProxyTicket
from lab.ca_network import ADDRESSES
from lab.ca_settings import CCACHES
from lab.ca_spawn import ADMIN_PASSWORD
from lab.layout import CA_HOST

CALLERS = Path(CCACHES) / "callers"
KEYS = "/tpi-legacy/kra/rest/agent/keys"
LEGACY_LOGIN = "/tpi-legacy/ca/rest/account/login"
JSON = {"Content-Type": "application/json"}
FORGED = {
    "SSL_CLIENT_VERIFY": "SUCCESS",
    "SSL_CLIENT_S_DN": "CN=IPA RA,O=TPI.TEST",
    "SSL_CLIENT_I_DN": "CN=Certificate Authority,O=TPI.TEST",
}
LOGIN, INFO = "/tpi/ca/rest/account/login", "/tpi-legacy/ca/rest/info"


@dataclass(frozen=True)
class Scene:
    """Who attacks, and with what."""

    ca: CaHost
    profile: Profile
    agent: Identity
    administrator: Identity
    pretended: Identity
    folder: Path


Attack = Callable[[Scene], object]


def without_tls(scene: Scene) -> int:
    """Whoever listens sees what Dogtag answers, and sends other requests in the place of alice's."""
    with line(port=80, plain=True) as http:
        return http.ask("/tpi/ca/rest/info", own(scene.ca, "alice")).status


def by_tls_1_1(scene: Scene) -> int:
    with line(version=ssl.TLSVersion.TLSv1_1) as tls:
        return tls.ask(LOGIN, own(scene.ca, "alice")).status


def by_password(_scene: Scene) -> int:
    with line() as tls:
        return tls.ask(LOGIN, {"Authorization": _basic_auth_str("alice", PASSWORDS["alice"])}).status


def on_somebody_elses_connection(scene: Scene) -> int:
    """A proxy in between keeps connections and lends them to the next client."""
    with line() as tls:
        assert tls.ask(LOGIN, own(scene.ca, "alice")).status == 200
        return tls.ask(LOGIN).status


def with_a_ticket_for_the_host(scene: Scene) -> int:
    """Whoever has the host's key, or got a ticket of alice's for the host, is alice at Dogtag."""
    with line() as tls:
        return tls.ask(LOGIN, own(scene.ca, "alice", "host")).status


def tickets_left_behind(scene: Scene) -> list[str]:
    """A process of Dogtag's takes tickets of people who were here before."""
    for path in CALLERS.iterdir():
        path.unlink()
    assert scene.ca.call("alice", "GET", "/account/login").status == 200
    # Apache removes it once the answer is sent.
    deadline = time.monotonic() + 2.0
    while (found := sorted(path.name for path in CALLERS.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.05)
    for name in found:
        listed = ["runuser", "-u", "pkiuser", "--", "klist", "-c", f"FILE:{CALLERS / name}"]
        subprocess.run(listed, check=True, capture_output=True)
        (CALLERS / name).unlink()
    return found


def another_method(scene: Scene) -> int:
    """Dogtag's ACLs are about methods that it knows rights for."""
    assert scene.ca.call("carol", "GET", "/agent/certrequests").status == 403
    return scene.ca.call("carol", "OPTIONS", "/agent/certrequests").status


def a_huge_body(scene: Scene) -> int:
    """Dogtag reads all of it before it looks at who asks, and parses it."""
    return scene.ca.call("dave", "POST", "/certs/search", body={"x": "y" * 3_000_000}).status


def a_body_without_an_end(scene: Scene) -> int:
    chunked = {**own(scene.ca, "dave"), **JSON, "Transfer-Encoding": "chunked"}
    with line() as tls:
        return tls.ask(
            "/tpi/ca/rest/certs/search", chunked, method="POST", body=b"2\r\n{}\r\n0\r\n\r\n"
        ).status


def the_installers_steps(scene: Scene) -> set[int]:
    """Dogtag asks for no right where its installer makes administrators."""
    wish = {"Reason": "none"}
    paths = [(part, "/installer/setupAdmin") for part in ("ca", "kra")]
    return {scene.ca.call("carol", "POST", path, body=wish, subsystem=part).status for part, path in paths}


def a_mirror(_scene: Scene) -> bool:
    """A script in a browser reads what it is not shown: cookies, tickets."""
    with line() as tls:
        return "secret=of-alice" in tls.ask("/", {"Cookie": "secret=of-alice"}, method="TRACE").text


def operator_from_the_network(scene: Scene) -> int:
    with line(port=PORT, address=ADDRESSES[CA_HOST]) as tls:
        return tls.ask("/tpi-dispatch/ca/rest/account/login", delegated(scene.ca, "alice")).status


def operator_on_the_public_port(scene: Scene) -> int:
    with line() as tls:
        return tls.ask("/tpi-dispatch/ca/rest/account/login", delegated(scene.ca, "alice")).status


def a_group_by_the_sites_own_line(scene: Scene) -> int:
    """Somewhere else in the site's configuration a variable is set from what clients send."""
    asked = scene.ca.call(
        "alice",
        "POST",
        _revocation(scene),
        body={"Reason": "Superseded"},
        headers={"X-Group": "tpi-dispatch"},
    )
    return asked.status


def nobody(_scene: Scene) -> int:
    with line() as tls:
        return tls.ask(INFO, FORGED).status


def pretended_agent(scene: Scene) -> int:
    with line(identity=scene.pretended) as tls:
        return tls.ask(INFO).status


def another_user_of_dogtags(scene: Scene) -> tuple[int, bool]:
    with line(identity=scene.administrator) as tls:
        answer = tls.ask(LEGACY_LOGIN)
        return answer.status, '"id":"caadmin"' in answer.text


def dogtags_own_password(_scene: Scene) -> tuple[int, bool]:
    """Dogtag knows users of its own by passwords too."""
    with line() as tls:
        answer = tls.ask(LEGACY_LOGIN, {"Authorization": _basic_auth_str("caadmin", ADMIN_PASSWORD)})
        return answer.status, '"id":"caadmin"' in answer.text


def a_revoked_agent(scene: Scene) -> int:
    """The agent's key was stolen, and its certificate revoked; the KRA does not look."""
    stolen = ca_agent.issue(scene.ca, scene.profile, scene.folder, "stolen", "IPA RA")
    ca_agent.make_agent(stolen)
    try:
        with line(identity=stolen) as tls:
            assert tls.ask(KEYS).status == 200
        as_alice = ProxyTicket(
            OperatorLocation(CA_HOST, PORT, TLS_AUTHORITY), evidence(scene.ca.ccache("alice"))
        )
        Dogtag(as_alice).revoke(hex(stolen.number()), "Key_Compromise")
        with line(identity=stolen) as tls:
            return tls.ask(KEYS).status
    finally:
        ca_agent.make_agent(scene.agent)


def out_of_the_interface_as_agent(scene: Scene) -> bool:
    with line(identity=scene.agent) as tls:
        answer = tls.ask("/tpi-legacy/ca/rest/..;/admin/ca/getStatus")
        return "<Status>running</Status>" in answer.text


def _revocation(scene: Scene) -> str:
    scene.profile.say(0)
    issued = scene.ca.enroll("alice", scene.profile.name, certificate_request("directives.tpi.test"))
    return f"/agent/certs/{issued.json['entries'][0]['certId']}/revoke"
