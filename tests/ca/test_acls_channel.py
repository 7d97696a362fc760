"""One person alone, with every role there is, by every way to Dogtag: nothing. Through the executor it is done.

Where no operation is under control, it is as FreeIPA has it.

An attacker is alice, or bob: everything that FreeIPA can give of rights on the CA, an account on the CA host even. Alone
each would revoke, change what is issued, and make CAs. Every row below is the same call by the same person that succeeds
where it may, so that what is refused is refused for want of the second person and for nothing else.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ca_operator
import ldap
import pytest
from apache import weakened
from ca_acls import ENTRY, LAB, acls, change, restart
from ca_calls import CALLS, CONTROLLED, Call, Scene, enrolment, everything, set_up
from ca_host import CaHost, Profile, certificate_request
from ca_ways import ALONE, Ways, as_written

from ipa_tpi_acls.dogtag.declaration import OPERATIONS
from lab.ca_directory import SINGLE
from lab.ca_settings import SITE
from lab.layout import CA_HOST

DONE = [call for call in CALLS if call.done]
NEVER = [call for call in CALLS if call.operation not in OPERATIONS]
READS = Call("", "GET", "/authorities", 200)
HOLDER = "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test"
KEYS = [
    f'certServer.kra.{name}:execute:allow (execute) group="{HOLDER}":by hand'
    for name in ("keys", "keyrequests")
]

# Calls that a right of Dogtag's covers, or none, and no command of FreeIPA's; how Dogtag itself answers.
BEYOND = (
    ("/agent/certs/{issued}/revoke-ca", "401"),
    ("/agent/certs/{issued}/%72evoke-ca", "401"),
    ("//agent//certs/{issued}/./revoke-ca/", "401"),
    ("/authorities/none/renew", "4"),
    ("/installer/setupAdmin", "400"),
    ("/authorities/../installer/finalizeConfiguration", "400"),
    ("/%69nstaller//setupCert", "400"),
    ("/authorities/%2e%2e/installer/setupCert", "400"),
)


def ruled(controlled: str) -> str:
    """Put operations under control, and return what the command said for the CA."""
    told = ""
    for subsystem in ENTRY:
        found = acls("apply", subsystem=subsystem, controlled=controlled)
        assert found.returncode == 0, found
        told = told or found.stdout
    return told


@dataclass
class World:
    """What the tests act on."""

    ways: Ways
    scene: Scene
    profile: Profile


@pytest.fixture(scope="module")
def ways(ca: CaHost, tmp_path_factory: pytest.TempPathFactory) -> Ways:
    return Ways(ca, tmp_path_factory.mktemp("ways"))


@pytest.fixture(scope="module")
def everything_controlled(ca: CaHost, profile: Profile, ways: Ways) -> Iterator[World]:
    """Every operation that there is takes two persons."""
    scene = set_up(ca, profile)
    said = ruled("all")
    assert said.endswith("systemctl restart pki-tomcatd@pki-tomcat\n")
    # Written, and not yet read: the CA goes on as it did.
    path = f"/profiles/{scene['disabled']}?action"
    assert [ca.call("alice", "POST", f"{path}={deed}").status for deed in ("enable", "disable")] == [204, 204]
    restart()
    ways.remember("alice", "bob")
    yield World(ways, scene, profile)
    ruled(LAB)
    restart()


@pytest.fixture(scope="module")
def nothing_controlled(everything_controlled: World) -> World:
    """No operation takes two persons; and the KRA lets operators at keys, by hand."""
    ruled("none")
    assert acls("diff", controlled="none", subsystem="kra").returncode == 0
    change(
        ENTRY["kra"],
        ldap.MOD_REPLACE,
        [*KEYS, 'certServer.kra.account:login,logout:allow (login,logout) user="anybody":by hand'],
    )
    restart()
    world = everything_controlled
    return World(world.ways, set_up(world.ways.ca, world.profile), world.profile)


def test_r_d16_every_controlled_operation_has_its_calls() -> None:
    assert OPERATIONS - {"dogtag.cert.request"} == CONTROLLED


def test_r_d16_the_ways_lead_to_dogtag(everything_controlled: World) -> None:
    """For what is under nobody's control, each answers; but the connector, to whom has no secret."""
    for name, way in ALONE.items():
        found = way(everything_controlled.ways, READS, everything_controlled.scene, "alice")
        assert found == (403 if name == "8009" else 200), name


@pytest.mark.parametrize("way", ALONE)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_r_d16_nobody_does_it_alone(everything_controlled: World, call: Call, way: str) -> None:
    world, before = everything_controlled, everything()
    for person in ("alice", "bob"):
        assert ALONE[way](world.ways, call, world.scene, person) == 403, person
    assert everything() == before


@pytest.mark.parametrize("call", DONE, ids=str)
def test_r_d16_through_the_executor_it_is_done_for_who_may(everything_controlled: World, call: Call) -> None:
    world, before = everything_controlled, everything()
    assert world.ways.operator(call, world.scene, "carol") == 403
    assert everything() == before
    assert world.ways.operator(call, world.scene, "alice") == call.done
    assert (everything() != before) is (call.method != "GET")


@pytest.mark.parametrize("call", NEVER, ids=str)
def test_r_d16_what_no_operation_stands_for_is_done_for_nobody(
    everything_controlled: World, call: Call
) -> None:
    world, before = everything_controlled, everything()
    assert world.ways.operator(call, world.scene, "alice") == 403
    assert everything() == before


def test_r_d16_what_goes_beyond_the_operations_is_not_even_the_executors(
    everything_controlled: World,
) -> None:
    world, before = everything_controlled, everything()
    credentials = ca_operator.evidence(world.ways.ca.ccache("alice"))
    for path, _ in BEYOND:
        wish, target = {"Reason": "Superseded"}, path.format(**world.scene)
        answer = ca_operator.ask("POST", target, credentials=credentials, body=wish)
        assert (answer.status, "ClassName" in answer.text) == (403, False), path
    with weakened({"Require all denied": "Require valid-user"}, SITE):
        target = f"/agent/certs/{world.scene['issued']}/revoke-ca"
        answer = ca_operator.ask("POST", target, credentials=credentials, body={"Reason": "Superseded"})
        assert (answer.status, "is not a CA signing certificate" in answer.text) == (401, True)
    assert everything() == before


@pytest.mark.parametrize("way", ALONE)
def test_r_d16_enrolment_is_asked_of_the_program_by_every_way(everything_controlled: World, way: str) -> None:
    """No channel guards it, the profile's constraint does: whoever gets through to Dogtag gets to the program."""
    world = everything_controlled
    world.profile.say(1, '{"code":2100}')
    call = enrolment(world.profile.name, certificate_request("alone.tpi.test"))
    issued = certificates()
    status = ALONE[way](world.ways, call, world.scene, "alice")
    assert (status, world.profile.was_asked()) == ((403, False) if way == "8009" else (200, True))
    assert certificates() == issued
    world.profile.say(0)
    ALONE[way](world.ways, call, world.scene, "alice")
    assert len(certificates() - issued) == (0 if way == "8009" else 1)


def test_r_d16_hosts_still_get_their_own_certificates(everything_controlled: World, tmp_path: Path) -> None:
    world, name = everything_controlled, f"host/{CA_HOST}"
    ccache = f"FILE:{tmp_path}/host.ccache"
    subprocess.run(["kinit", "-k", "-t", "/etc/krb5.keytab", "-c", ccache, name], check=True)
    ca = CaHost(tmp_path, {name: ccache})
    assert ca.call(name, "GET", "/account/login").json["Roles"]["Role"] == []
    answer = ca.enroll(name, world.scene["hosts"], certificate_request(CA_HOST))
    (entry,) = answer.json["entries"]
    assert entry["requestStatus"] == "complete", entry
    assert world.profile.environment()["DOGTAG_USER"] == f"{name}@TPI.TEST"
    world.profile.say(1, "no")
    answer = ca.enroll(name, world.scene["hosts"], certificate_request(CA_HOST))
    assert answer.json["entries"][0]["requestStatus"] == "rejected"


@pytest.mark.parametrize("call", DONE, ids=str)
def test_r_d17_where_nothing_is_controlled_the_permission_decides(
    nothing_controlled: World, call: Call
) -> None:
    world, before = nothing_controlled, everything()
    assert world.ways.public(call, world.scene, "dave") == 403
    assert everything() == before
    assert world.ways.public(call, world.scene, "bob") == call.done
    assert (everything() != before) is (call.method != "GET")


@pytest.mark.parametrize("call", NEVER, ids=str)
def test_r_d17_what_freeipa_has_no_command_for_stays_shut(nothing_controlled: World, call: Call) -> None:
    world, before = nothing_controlled, everything()
    assert world.ways.public(call, world.scene, "bob") == 403
    assert everything() == before


def test_r_d17_what_goes_beyond_freeipas_commands_does_not_reach_dogtag(nothing_controlled: World) -> None:
    """Who may revoke certificates would revoke the CA's own, and that is the end of all that it issued."""
    world, before, ca = nothing_controlled, everything(), nothing_controlled.ways.ca
    wish = {"Reason": "Superseded"}
    for path, _ in BEYOND:
        status, text = as_written(ca, "bob", path.format(**world.scene))
        assert (status, "ClassName" in text) == (403, False), path
    with weakened({"Require all denied": "Require valid-user"}, SITE):
        for path, said in BEYOND:
            status, text = as_written(ca, "bob", path.format(**world.scene))
            assert str(status).startswith(said), (path, text)
    assert everything() == before
    authority = ca.call("bob", "POST", "/agent/certs/0x1/revoke", body=wish)
    assert (authority.status, everything() == before) == (401, True), authority


# What each may who holds one permission alone: Dogtag knows one right for revoking and releasing, and one for
# bringing in, changing and removing profiles.
MAY = {
    "Revoke Certificate": {"dogtag.cert.hold", "dogtag.cert.release", "dogtag.cert.revoke"},
    "Certificate Remove Hold": {"dogtag.cert.hold", "dogtag.cert.release", "dogtag.cert.revoke"},
    "System: Import Certificate Profile": {name for name in OPERATIONS if name.startswith("dogtag.profile.")},
    "System: Add CA": {"dogtag.ca.create"},
    "System: Modify CA": {"dogtag.ca.enable", "dogtag.ca.disable"},
}


@pytest.fixture(scope="module")
def scenes(nothing_controlled: World) -> dict[str, Scene]:
    """What each acts on: one scene for all, and another for who may do the same as somebody before."""
    ca, profile = nothing_controlled.ways.ca, nothing_controlled.profile
    first = set_up(ca, profile)
    return {**dict.fromkeys(SINGLE, first), "erin-admin": set_up(ca, profile)}


@pytest.mark.parametrize("person", SINGLE)
def test_r_d17_one_permission_is_good_for_its_own_calls(
    nothing_controlled: World, scenes: dict[str, Scene], person: str
) -> None:
    world, scene, may = nothing_controlled, scenes[person], MAY[SINGLE[person]]
    others = [call for call in CALLS if call.operation not in may]
    before = everything()
    for call in others:
        assert world.ways.public(call, scene, person) == 403, call
    assert everything() == before
    for call in DONE:
        if call.operation in may:
            assert world.ways.public(call, scene, person) == call.done, call


def test_r_d13_retrieving_a_key_breaks_for_people_whom_the_acls_let_through(
    nothing_controlled: World,
) -> None:
    """Pinned, so that the day is noticed on which a Dogtag can: keys go by the RA agent's certificate until then."""
    ca = nothing_controlled.ways.ca
    assert ca.call("alice", "GET", "/agent/keyrequests", subsystem="kra").status == 200
    wanted = {
        "clientKeyID": uuid.uuid4().hex,
        "keyAlgorithm": "AES",
        "keySize": "128",
        "keyUsage": "wrap,unwrap",
    }
    made = ca.call(
        "alice", "POST", "/agent/keyrequests", body=key_wish("SymKeyGeneration", wanted), subsystem="kra"
    )
    assert made.status == 201, made
    wish = key_wish("KeyRecovery", {"keyId": made.json["RequestInfo"]["keyURL"].rpartition("/")[2]})
    answer = ca.call("alice", "POST", "/agent/keys/retrieve", body=wish, subsystem="kra")
    assert answer.status == 500, answer
    assert "com.netscape.cms.realm.PKIPrincipal" in answer.text


def key_wish(kind: str, values: dict[str, str]) -> dict[str, Any]:
    """Return what the KRA is asked for."""
    attributes = [{"name": name, "value": value} for name, value in values.items()]
    return {
        "ClassName": f"com.netscape.certsrv.key.{kind}Request",
        "Attributes": {"Attribute": attributes},
    }


def certificates() -> frozenset[str]:
    """Return the names of the certificates that there are."""
    return frozenset(dn for dn, _, _ in everything() if dn.endswith("ou=certificateRepository,ou=ca,o=ipaca"))
