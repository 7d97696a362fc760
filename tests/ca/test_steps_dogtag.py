"""Dogtag without what the steps made, and with it again: one start with damaged files, one with mended ones.

The damage: further connectors, of which each lacks one of the four attributes; the CA's CS.cfg without the instance for the
realm; the KRA's context without its valve. It is what pkispawn, an update, or a restored backup leaves.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import ajp
import pytest
from ca_upgrade import program, start_dogtag, stop_dogtag

from lab.ca_spawn import AJP_SECRET

TOMCAT = Path("/etc/pki/pki-tomcat")
SERVER, CA_CFG, KRA_XML = TOMCAT / "server.xml", TOMCAT / "ca/CS.cfg", TOMCAT / "Catalina/localhost/kra.xml"
VALVE = '<Valve className="com.netscape.cms.tomcat.ExternalAuthenticationValve"/>'
INSTANCE = re.compile(r"^authz\.instance\.TPI\..*\n", re.MULTILINE)
SECRET = f'requiredSecret="{AJP_SECRET}"'
PATTERN = 'allowedRequestAttributesPattern="REMOTE_USER_GROUP_(?:N|[0-9]+)|KRB5CCNAME"'
NO_SECRET = 'secretRequired="false"'
# By port; the sound ones listen on 8009.
CONNECTORS = {
    8011: f'{SECRET} tomcatAuthentication="false" packetSize="65536"',
    8012: f'{SECRET} packetSize="65536" {PATTERN}',
    8013: f'{NO_SECRET} tomcatAuthentication="false" packetSize="65536" {PATTERN}',
    8014: f'{SECRET} tomcatAuthentication="false" {PATTERN}',
}
ALICE = "alice@TPI.TEST"
GROUP = {
    "REMOTE_USER_GROUP_N": "1",
    "REMOTE_USER_GROUP_1": "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test",
}
LOGIN = "/ca/rest/account/login"
# What Dogtag says where nobody decides about alice's realm; it took the caller for alice.
UNDECIDED = "Cannot find AuthzManager for external principal alice@TPI.TEST"
Answers = Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class Seen:
    """What was answered: with the damage, and mended; what the program said to a connector without a secret."""

    damaged: Answers
    mended: Answers
    refusal: str


def crowd(count: int = 200) -> dict[str, str]:
    """Return the attributes of somebody in many groups: 13 KB, where a packet has 8 KB unless more is set."""
    rows = {
        f"REMOTE_USER_GROUP_{number}": f"cn=group-number-{number:04d},cn=groups,cn=accounts,dc=tpi,dc=test"
        for number in range(1, count + 1)
    }
    return {"REMOTE_USER_GROUP_N": str(count), **rows}


def ask(
    path: str = LOGIN, *, groups: Mapping[str, str] = GROUP, secret: str = AJP_SECRET, port: int = 8009
) -> tuple[int, str]:
    """Speak to a connector as Apache, or somebody who would be it, does; status 0 where Tomcat hangs up."""
    try:
        return ajp.ask(path, user=ALICE, attributes=groups, secret=secret, port=port)
    except (AssertionError, ConnectionError) as error:
        return 0, str(error)


def look() -> Answers:
    return {
        "sound": ask(),
        "sound, a crowd": ask(groups=crowd()),
        "no pattern": ask(port=8011),
        "Tomcat decides": ask(port=8012),
        "no secret": ask(secret="", port=8013),
        "small packets": ask(groups=crowd(), port=8014),
        "KRA": ask("/kra/rest/account/login"),
    }


def damage() -> None:
    """Write the files anew; owner and mode stay."""
    more = "".join(
        f'<Connector port="{port}" protocol="AJP/1.3" redirectPort="8443" address="localhost4" {attributes}/>\n    '
        for port, attributes in CONNECTORS.items()
    )
    text = SERVER.read_text()
    place = text.index('<Engine name="Catalina" defaultHost="localhost">')
    SERVER.write_text(text[:place] + more + text[place:])
    CA_CFG.write_text(INSTANCE.sub("", CA_CFG.read_text()))
    KRA_XML.write_text(KRA_XML.read_text().replace(f"  {VALVE}\n", ""))


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (SERVER, CA_CFG, KRA_XML)}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Damage, look, mend, take it back and mend again, look."""
    folder = tmp_path_factory.mktemp("steps")
    sound = folder / "server.xml"
    shutil.copy(SERVER, sound)
    stop_dogtag()
    try:
        damage()
        start_dogtag()
        damaged = look()
        running = program("apply", records=folder / "running")
        assert "no secret" in running.stderr
        stop_dogtag()
        refusal = program("apply", records=folder / "refused").stderr
        SERVER.write_text(SERVER.read_text().replace(NO_SECRET, SECRET))
        before = contents()
        for deed in ("apply", "rollback"):
            done = program(deed, records=folder / "mended")
            assert (done.returncode, done.stderr) == (0, ""), done
            assert (contents() == before) is (deed == "rollback")
        done = program("apply", records=folder / "mended")
        assert done.returncode == 0, done
        start_dogtag()
        yield Seen(damaged, look(), refusal)
    finally:
        # Dogtag does not look at it before it starts again; the connectors of this test are then gone.
        SERVER.write_bytes(sound.read_bytes())


def test_r_d06_without_the_instance_nobody_of_the_realm_is_let_in(seen: Seen) -> None:
    status, text = seen.damaged["sound"]
    assert (status, UNDECIDED in text) == (403, True), text
    assert seen.mended["sound"][0] == 200


def test_r_d05_without_the_pattern_nobody_who_has_groups_gets_in(seen: Seen) -> None:
    status, text = seen.damaged["no pattern"]
    assert (status, UNDECIDED in text) == (403, False), text
    assert seen.mended["no pattern"][0] == 200


def test_r_d05_where_tomcat_decides_nobody_is_believed(seen: Seen) -> None:
    assert seen.damaged["Tomcat decides"][0] == 401
    assert seen.mended["Tomcat decides"][0] == 200


def test_r_d05_without_a_secret_everybody_on_the_host_is_alice(seen: Seen) -> None:
    """The one that the step cannot mend: Apache has to know the secret too."""
    assert UNDECIDED in seen.damaged["no secret"][1]
    assert "AJP connector localhost4:8013 has no secret" in seen.refusal
    status, text = seen.mended["no secret"]
    assert (status, "alice" in text) == (403, False)


def test_r_d20_memberships_of_two_hundred_groups_need_large_packets(seen: Seen) -> None:
    assert UNDECIDED in seen.damaged["sound, a crowd"][1]
    assert seen.damaged["small packets"][0] == 500
    for name in ("sound, a crowd", "small packets"):
        status, text = seen.mended[name]
        assert (status, "cn=group-number-0200,cn=groups" in text) == (200, True)


def test_r_d05_without_the_valve_the_kra_lets_nobody_in(seen: Seen) -> None:
    status, text = seen.damaged["KRA"]
    assert (status, "Access to the requested resource has been denied" in text) == (403, True), text
    assert seen.mended["KRA"][0] == 200


def test_r_d15_what_the_live_host_has_now_is_as_it_has_to_be(seen: Seen, tmp_path: Path) -> None:
    assert seen.mended
    assert program("diff", records=tmp_path).returncode == 0


def test_r_d06_a_running_ca_is_left_alone(seen: Seen, tmp_path: Path) -> None:
    """It would write its own CS.cfg over the change when it ends."""
    assert seen.mended
    before = CA_CFG.read_text()
    try:
        CA_CFG.write_text(INSTANCE.sub("", before))
        less = CA_CFG.read_bytes()
        done = program("apply", records=tmp_path)
        assert (done.returncode, "the CA is running" in done.stderr) == (1, True), done
        assert (CA_CFG.read_bytes(), list(tmp_path.iterdir())) == (less, [])
    finally:
        CA_CFG.write_text(before)
