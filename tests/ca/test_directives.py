"""Each line in front of Dogtag that protects something: with it an attack is refused, without it the same succeeds.

A row takes out one line, or lines that cover each other: there the attack needs all of them gone, and what is left of
them alone refuses it still (`test_what_covers_another_line_refuses_alone`). `test_location` and `test_operator_location`
show the same of sessions, of groups' names, of paths at the public location and of who asked the KDC.

Not here, because nothing was found that they alone stop: GssapiAllowedMech (the host has no other mechanism that could
be trusted less), GssapiLocalName (Dogtag knows nobody without a realm, shown at the end), AuthName.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import ajp
import ca_agent
import pytest
from apache import Changes, changed, weakened
from ca_agent import Identity
from ca_attacks import (
    CALLERS,
    FORGED,
    Attack,
    Scene,
    by_tls_1_1,
    dogtags_own_password,
    nobody,
    pretended_agent,
    without_tls,
)
from ca_directives import (
    BOTH_KEYS,
    CERTIFICATE,
    ELSEWHERE,
    NO_CERTIFICATE,
    NOT_ASKED,
    OLD_VERSIONS,
    ONLY_TLS,
    ROWS,
    UNSIGNED,
    VERSIONS,
    WHOSE,
    WITHOUT_CERTIFICATE,
    WORKS,
    Row,
)
from ca_host import CaHost, Profile
from ca_line import line, own

from lab.ca_network import ADDRESSES
from lab.ca_settings import HTTP_KEYTAB, LEGACY, LOCATION, SITE
from lab.layout import CA_HOST


@pytest.fixture(scope="module")
def scene(ca: CaHost, profile: Profile, agent: Identity, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("identities")
    names = "/O=TPI.TEST/CN=IPA RA", "/O=TPI.TEST/CN=Certificate Authority"
    return Scene(
        ca,
        profile,
        agent,
        ca_agent.administrator(folder),
        ca_agent.pretended(folder, "pretended", *names),
        folder,
    )


@pytest.fixture(scope="module", autouse=True)
def both_keys() -> Iterator[None]:
    """A keytab with the host's key beside that of HTTP: entries follow each other after two bytes."""
    whole = Path(HTTP_KEYTAB).read_bytes() + Path("/etc/krb5.keytab").read_bytes()[2:]
    BOTH_KEYS.touch(0o600)
    BOTH_KEYS.write_bytes(whole)
    owner = Path(HTTP_KEYTAB).stat()
    os.chown(BOTH_KEYS, owner.st_uid, owner.st_gid)
    yield
    BOTH_KEYS.unlink()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_r_d01_without_the_line_the_attack_succeeds(scene: Scene, row: Row) -> None:
    with ExitStack() as circumstance:
        if row.given:
            circumstance.enter_context(changed(row.given))
        assert row.attack(scene) == row.refused
        with changed(row.out):
            assert row.attack(scene) == row.succeeds


@pytest.mark.parametrize(
    ("left", "out", "attack", "refused"),
    [
        ("GssapiSSLonly", {SITE: {ONLY_TLS: "", NO_CERTIFICATE: ""}}, without_tls, 401),
        ("HTTPS", {LOCATION: {"GssapiSSLonly On": ""}, SITE: {NO_CERTIFICATE: ""}}, without_tls, 403),
        ("SSL_PROTOCOL", {SITE: {VERSIONS: OLD_VERSIONS}}, by_tls_1_1, 403),
        ("SSLProtocol", {SITE: {ONLY_TLS: ""}}, by_tls_1_1, 0),
        ("SSL_CLIENT_VERIFY", {LEGACY: {"SSLVerifyClient require": "", WHOSE: ""}}, nobody, 403),
        ("SSL_CLIENT_S_DN", {LEGACY: {"SSLVerifyClient require": "", CERTIFICATE: ""}}, nobody, 403),
        ("Authorization", {LEGACY: WITHOUT_CERTIFICATE}, dogtags_own_password, (403, False)),
        ("SSLVerifyClient", {LEGACY: {CERTIFICATE: "", WHOSE: ""}}, nobody, 0),
        ("SUCCESS", {LEGACY: UNSIGNED, SITE: NOT_ASKED}, pretended_agent, 403),
        ("SSLOCSPEnable", {LEGACY: {**UNSIGNED, CERTIFICATE: ""}}, pretended_agent, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_r_e07_what_covers_another_line_refuses_alone(
    scene: Scene, left: str, out: Changes, attack: Attack, refused: object
) -> None:
    del left
    with changed(out):
        assert attack(scene) == refused


def test_r_e09_callers_tickets_are_for_apache_and_dogtag_alone(ca: CaHost) -> None:
    """Folder and file cover each other: a stranger on the host needs both open."""
    open_file = {"GssapiDelegCcachePerms mode:0640 gid:${TPI_CA_GROUP}": "GssapiDelegCcachePerms mode:0644"}

    def stranger_reads(changes: dict[str, str], folder_mode: int) -> bool:
        with weakened({"GssapiDelegCcacheUnique On": "", **changes}):
            assert ca.call("alice", "GET", "/account/login").status == 200
        (held,) = CALLERS.iterdir()
        mode = CALLERS.stat().st_mode
        CALLERS.chmod(folder_mode)
        try:
            read = ["runuser", "-u", "nobody", "--", "cat", str(held)]
            return subprocess.run(read, check=False, capture_output=True).returncode == 0
        finally:
            CALLERS.chmod(mode)
            held.unlink()

    assert CALLERS.stat().st_mode & 0o7777 == 0o2750
    assert not stranger_reads({}, 0o2750)
    assert not stranger_reads({}, 0o755)
    assert not stranger_reads(open_file, 0o2750)
    assert stranger_reads(open_file, 0o755)


def test_r_d05_dogtags_connector_is_on_loopback_alone() -> None:
    """What its secret stops, and without it nothing would: `test_steps_dogtag`."""
    assert ajp.ask("/ca/rest/account/login", user="alice@TPI.TEST")[0] == 403
    with pytest.raises(ConnectionRefusedError):
        ajp.ask("/ca/rest/account/login", user="alice@TPI.TEST", address=ADDRESSES[CA_HOST])


def test_r_d01_no_header_is_taken_for_a_group_or_a_name(scene: Scene) -> None:
    roles = sorted(scene.ca.roles("carol"))
    names = (
        "REMOTE_USER",
        "REMOTE_USER_GROUP_N",
        "REMOTE_USER_GROUP_1",
        "AJP_REMOTE_USER_GROUP_1",
        "KRB5CCNAME",
    )
    forged = dict.fromkeys(names, "tpi-dispatch") | {"Remote-User-Group-1": "tpi-dispatch"} | FORGED
    answer = scene.ca.call("carol", "GET", "/account/login", headers=forged)
    assert (answer.json["id"], sorted(answer.json["Roles"]["Role"])) == ("carol@TPI.TEST", roles)


@pytest.mark.parametrize("prefix", ["/tpi/ca/rest", "/tpi/kra/rest", "/tpi-legacy/ca/rest"])
def test_r_d01_no_other_spelling_of_a_path_leads_out(scene: Scene, prefix: str) -> None:
    legacy = prefix.startswith("/tpi-legacy")
    subsystem = prefix.split("/")[2]
    for step in (
        "/../admin",
        "/%2e%2e/admin",
        "/.%2e/admin",
        "/%252e%252e/admin",
        "/..%2fadmin",
        "/..%5cadmin",
        "/..\\admin",
        "//../admin",
        "/./../admin",
        "/x/../../admin",
        "/..%00/admin",
        "/..;x=y/admin",
        "/..%3bx/admin",
        "/..%3Bx/admin",
        "/%c0%ae%c0%ae/admin",
        "/%u002e%u002e/admin",
    ):
        with line(identity=scene.agent if legacy else None) as tls:
            headers = {} if legacy else own(scene.ca, "alice")
            answer = tls.ask(f"{prefix}{step}/{subsystem}/getStatus", headers)
        assert "<Status>" not in answer.text, (step, answer)
        assert answer.status in {0, 400, 403, 404}, (step, answer)


def test_a_name_without_a_realm_is_nobody_to_dogtag(scene: Scene) -> None:
    """Pinned: why GssapiLocalName protects nothing that Dogtag would not refuse."""
    with weakened({"GssapiLocalName Off": "GssapiLocalName On"}):
        answer = scene.ca.call("alice", "GET", "/account/login")
    assert (answer.status, "Cannot find AuthzManager" in answer.text) == (403, True)


def test_r_d01_no_line_is_left_out() -> None:
    """A line that is new gets its row here, or is said to protect nothing."""
    taken = {line for row in ROWS for lines in row.out.values() for line in lines}
    known = taken | ELSEWHERE.keys()
    for file in (SITE, LOCATION, LEGACY):
        lines = {line.strip() for line in file.read_text(encoding="utf-8").splitlines()}
        directives = {line for line in lines if line and not line.startswith(("#", "</"))}
        left = {line for line in directives - known if not line.startswith(WORKS)}
        assert left == set(), file
    for where in ELSEWHERE.values():
        file, _, test = where.partition("::")
        assert f"def {test}(" in Path(__file__).with_name(file).read_text(encoding="utf-8")


def test_the_configuration_is_whole_afterwards() -> None:
    found = subprocess.run(["apachectl", "configtest"], check=True, capture_output=True, text=True)
    assert "Syntax OK" in found.stderr + found.stdout
    for file, shipped in (
        (SITE, "ipa-tpi-ca.conf"),
        (LOCATION, "ca-location.conf"),
        (LEGACY, "ca-legacy-location.conf"),
    ):
        assert file.read_bytes() == Path("/src/httpd", shipped).read_bytes()
