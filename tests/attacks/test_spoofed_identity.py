"""A caller tells Apache in headers who he is; or shows it a ticket that somebody else has shown before.

Who is believed would request and approve as anybody.
"""

from __future__ import annotations

import base64
import http.client
import ssl
from pathlib import Path

import gssapi
import pytest
from world import CA, HOST, REALM, World, eventually

from ipa_tpi.adapters.gss import KRB5
from ipa_tpi.wire import RequestList, decode

PATH = "/tpi/v1/requests?mine=true"
CCACHES = Path("/run/ipa-tpi/ccaches")
HEADERS = (
    "Remote-User", "REMOTE_USER", "Remote_User", "X-Remote-User", "X_REMOTE_USER", "X-Forwarded-User", "REMOTE-USER",
    "GSS_NAME", "GSS-Name", "Gss_Name", "AUTH_TYPE", "Auth-Type", "KRB5CCNAME", "Krb5ccname", "KRB5-CCNAME",
    "X-Remote-Group", "Authorization-User", "From", "Proxy-Authorization", "HTTP_REMOTE_USER", "X-Script-Name",
)  # fmt: skip


def token_for(world: World, person: str) -> str:
    """Make one Negotiate token for Apache."""
    credentials = gssapi.Credentials(
        usage="initiate", store={"ccache": f"FILE:{world.ccache(person)}"}, mechs=[KRB5]
    )
    name = gssapi.Name(f"HTTP/{HOST}@{REALM}", gssapi.NameType.kerberos_principal)
    flags = [gssapi.RequirementFlag.mutual_authentication]
    token = gssapi.SecurityContext(
        name=name, creds=credentials, usage="initiate", mech=KRB5, flags=flags
    ).step()
    return "Negotiate " + base64.b64encode(token).decode()


def connect() -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(HOST, context=ssl.create_default_context(cafile=CA), timeout=20)


def ask(headers: dict[str, str], connection: http.client.HTTPSConnection | None = None) -> tuple[int, bytes]:
    """Ask for one's own requests; give status and body."""
    used = connection or connect()
    used.request("GET", PATH, headers=headers)
    answer = used.getresponse()
    return answer.status, answer.read()


def lies(value: str) -> dict[str, str]:
    return dict.fromkeys(HEADERS, value)


def mine(body: bytes) -> list[str]:
    return [view.requester for view in decode(body, RequestList).requests]


@pytest.fixture(autouse=True)
def _requests(world: World) -> None:
    world.request("alice")
    world.request("bob")


def test_headers_make_nobody_out_of_no_ticket(world: World) -> None:
    for value in ("alice@TPI.TEST", "alice", "FILE:" + world.ccache("alice")):
        status, body = ask(lies(value))
        assert status == 401
        assert b"alice" not in body


def test_headers_make_nobody_else_out_of_bob(world: World) -> None:
    for value in ("alice@TPI.TEST", "FILE:" + world.ccache("alice")):
        status, body = ask({"Authorization": token_for(world, "bob"), **lies(value)})
        assert status == 200
        assert mine(body) == ["bob@TPI.TEST"]


def test_a_password_is_nothing(world: World) -> None:
    basic = base64.b64encode(f"alice:{world.people['alice']['password']}".encode()).decode()
    assert ask({"Authorization": f"Basic {basic}"})[0] == 401


def test_a_ticket_is_shown_once(world: World) -> None:
    """The very bytes again: on another connection, on the same, and long after."""
    token = token_for(world, "alice")
    connection = connect()
    status, body = ask({"Authorization": token}, connection)
    assert (status, mine(body)) == (200, ["alice@TPI.TEST"])
    assert ask({"Authorization": token})[0] == 401
    assert ask({"Authorization": token}, connection)[0] == 401
    assert (
        ask({"Authorization": token_for(world, "alice")}, connection)[0] == 200
    )  # a new one from the same ticket


def test_a_connection_stays_nobodys(world: World) -> None:
    """Who spoke before on a connection is not who speaks now."""
    connection = connect()
    assert ask({"Authorization": token_for(world, "alice")}, connection)[0] == 200
    status, body = ask({}, connection)
    assert status == 401
    assert b"alice" not in body
    status, body = ask({"Authorization": token_for(world, "bob")}, connection)
    assert (status, mine(body)) == (200, ["bob@TPI.TEST"])


def test_a_ticket_for_another_service_is_none(world: World) -> None:
    """A proof for the executor, or a ticket for the directory, shown to Apache."""
    for service in (f"tpi/{HOST}", f"ldap/{HOST}", f"host/{HOST}"):
        credentials = gssapi.Credentials(
            usage="initiate", store={"ccache": f"FILE:{world.ccache('alice')}"}, mechs=[KRB5]
        )
        name = gssapi.Name(f"{service}@{REALM}", gssapi.NameType.kerberos_principal)
        token = gssapi.SecurityContext(name=name, creds=credentials, usage="initiate", mech=KRB5).step()
        status, _ = ask({"Authorization": "Negotiate " + base64.b64encode(token).decode()})
        assert status == 401


def test_no_ticket_of_a_caller_is_left_behind(world: World) -> None:
    request_id = world.request("alice")
    world.approve("bob", request_id)
    assert ask({"Authorization": "Negotiate YII="})[0] == 401
    world.wait_state(request_id, "executed")
    eventually(lambda: not list(CCACHES.iterdir()), seconds=3)  # Apache removes it when the answer is out


def test_plain_http_takes_no_ticket(world: World) -> None:
    connection = http.client.HTTPConnection(HOST, timeout=20)
    connection.request("GET", PATH, headers={"Authorization": token_for(world, "alice")})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status in {301, 302, 400, 401, 403, 404}
    assert b"alice" not in body
