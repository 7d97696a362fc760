"""Certificates of a profile under two-person control, on the real CA: one for one approval, and none without (D10, K01, K13).

The whole way: the web service and the directory on ipa1; Dogtag, its validator and the executor on ca1.
"""

from __future__ import annotations

import json
import pwd
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ca_host import Answer, CaHost, certificate_request
from ca_profile import profile_text
from ca_requests import CaWorld
from certval_tree import planted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from world import EXECUTOR, eventually

from ipa_tpi.errors import RefusedError
from lab.gss_bind import bind
from lab.layout import CA_HOST, REALM

PROGRAM = Path("/usr/libexec/ipa/ipa-pki-validate-cert-request")
SETTINGS = Path("/etc/ipa/tpi/certval.toml")
SERVER = "ipa1.tpi.test"
CERTVAL = "ipa-tpi-certval.service"
CONSUMER = "ipatpi-certval"
NAME = f"enrol{uuid.uuid4().hex[:8]}"
REAL = "/run/ipa-tpi-executor/executor.sock"
PATIENCE_SECONDS = 60.0
# Between the validator and the executor: hands on what is said, and waits before or after that if it is told to.
_BETWEEN = """
import os, socket, sys, time
folder, real = sys.argv[1:]
def wait(name):
    end = time.monotonic() + 4
    while os.path.exists(f"{folder}/{name}") and time.monotonic() < end:
        open(f"{folder}/reached-{name}", "w").close()
        time.sleep(0.02)
listener = socket.socket(socket.AF_UNIX)
listener.bind(f"{folder}/socket")
listener.listen(8)
while True:
    peer, _ = listener.accept()
    with peer:
        line = peer.makefile("rb").readline()
        wait("before")
        try:
            with socket.socket(socket.AF_UNIX) as executor:
                executor.connect(real)
                executor.sendall(line)
                answer = executor.makefile("rb").readline()
            wait("after")
            peer.sendall(answer)
        except OSError:
            continue
"""


@dataclass(frozen=True)
class Between:
    """What stands between the validator and the executor."""

    folder: Path

    def hold(self, where: str) -> None:
        """Keep what is said ``before`` the executor hears it, or its answer ``after``."""
        (self.folder / where).touch()

    def reached(self, where: str) -> None:
        """Wait until something is kept there."""
        eventually((self.folder / f"reached-{where}").exists, PATIENCE_SECONDS)

    def go_on(self) -> None:
        """Hand on what was kept."""
        for name in ("before", "after", "reached-before", "reached-after"):
            (self.folder / name).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def between() -> Iterator[Between]:
    """It runs as the validator's account, since the executor listens to nobody else."""
    folder = Path(f"/run/{NAME}")
    folder.mkdir()
    owner = pwd.getpwnam(CONSUMER)
    folder.chmod(0o755)
    subprocess.run(["chown", f"{owner.pw_uid}:{owner.pw_gid}", str(folder)], check=True)
    command = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]
    running = subprocess.Popen([*command, sys.executable, "-c", _BETWEEN, str(folder), REAL])
    eventually((folder / "socket").exists)
    yield Between(folder)
    running.terminate()
    running.wait()
    subprocess.run(["rm", "-r", str(folder)], check=True)


@pytest.fixture(scope="module")
def profile(ca: CaHost, between: Between) -> Iterator[str]:
    """A profile with our constraint, that needs a second person."""
    before = SETTINGS.read_text(encoding="utf-8")
    text = before.replace(REAL, str(between.folder / "socket"))
    assert text != before
    SETTINGS.write_text(f'{text}\ncontrolled_profiles = ["{NAME}"]\n', encoding="utf-8")
    subprocess.run(["systemctl", "stop", CERTVAL], check=True)
    root = bind(f"ldaps://{SERVER}", ca.ccache("adam").removeprefix("FILE:"), SERVER)
    text = profile_text(NAME, PROGRAM)
    text = text.replace("env.REQUEST_TYPE=", "env.IPA_REQUEST_TYPE=").replace(
        "env.AUTH_MANAGER=", "env.IPA_AUTH_MANAGER="
    )
    assert ca.call("alice", "POST", "/profiles/raw", raw=text).status == 201
    assert ca.call("alice", "POST", f"/profiles/{NAME}?action=enable").status == 204
    with planted(root, CA_HOST, REALM, 5, NAME):
        yield NAME
    root.unbind_s()
    SETTINGS.write_text(before, encoding="utf-8")
    subprocess.run(["systemctl", "stop", CERTVAL], check=True)


@pytest.fixture(autouse=True)
def _tidy(world: CaWorld, between: Between) -> Iterator[None]:
    yield
    between.go_on()
    if world.show(EXECUTOR, "ActiveState") != "active":
        world.systemctl("reset-failed", EXECUTOR)
        world.systemctl("start", EXECUTOR)
    world.tidy("alice")


def ask(world: CaWorld, csr: str, way: str) -> str:
    return world.ask("alice", "dogtag.cert.request", profile=NAME, ca="ipa", csr=csr, submit=way)


def approved(world: CaWorld, csr: str) -> str:
    """Ask for what the requester submits, and have it approved."""
    request_id = ask(world, csr, "requester")
    world.approve("bob", request_id)
    # The receipt of bob's proof is made when the executor looks at it, at the latest when it is used up.
    return request_id


def count(ca: CaHost) -> int:
    """Tell how many certificates the CA has issued."""
    answer = ca.call("alice", "POST", "/certs/search?size=10000", body={})
    assert answer.status == 200, answer
    return len(answer.json["entries"])


def refused(answer: Answer) -> str:
    assert answer.status == 200, answer
    (entry,) = answer.json["entries"]
    assert (entry["requestStatus"], entry["certId"]) == ("rejected", None), entry
    return str(json.loads(entry["errorMessage"])["message"])


def issued(answer: Answer) -> str:
    assert answer.status == 200, answer
    (entry,) = answer.json["entries"]
    assert entry["requestStatus"] == "complete", entry
    return str(entry["certId"])


def state(world: CaWorld, request_id: str) -> str:
    rows = world.claims("SELECT state FROM claims WHERE request = ?", request_id)
    return str(rows[0][0]) if rows else ""


def public(key: object) -> bytes:
    made: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return made


def verify(ca: CaHost, certificate: x509.Certificate, folder: Path) -> str:
    """Have openssl verify a certificate."""
    for name, one in (("ca", ca.authority()), ("leaf", certificate)):
        (folder / name).write_bytes(one.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-CAfile", str(folder / "ca"), str(folder / "leaf")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_r_d10_two_people_get_one_certificate(
    ca: CaHost, world: CaWorld, profile: str, tmp_path: Path
) -> None:
    """By the command lines of both, as a person would."""
    csr = certificate_request("alice")
    file = Path(f"/home/alice/{NAME}.csr") if Path("/home/alice").is_dir() else Path(f"/var/tmp/{NAME}.csr")
    file.write_text(csr, encoding="ascii")
    file.chmod(0o644)
    parameters = (f"profile={profile}", "ca=ipa", f"csr=@{file}", "submit=executor")
    made = world.cli("alice", "create", "dogtag.cert.request", *parameters, "--host", CA_HOST, "-o", "name")
    file.unlink()
    assert made.status == 0, made
    request_id = made.out.strip()
    world.wait_for("alice", request_id, lambda view: view.state == "pending", PATIENCE_SECONDS)
    sheet = world.cli("bob", "show", request_id).out
    for line in (
        "subject: CN=alice",
        "key: RSA, 2048 bits",
        f"profile: {profile}",
        "submitted by: the executor, as the requester",
        "| -----BEGIN CERTIFICATE REQUEST-----",
    ):
        assert line in sheet, sheet
    before = count(ca)
    assert world.cli("bob", "approve", "--yes", request_id).status == 0
    waited = world.cli("alice", "wait", request_id)
    assert waited.status == 0, (waited, world.log(EXECUTOR))
    number = waited.out.partition("executed: ")[2].partition(":")[0]
    assert f"ipa cert-show {number} --out=FILE (subject: CN=alice)" in waited.out
    certificate = ca.certificate(number)
    assert certificate.subject.rfc4514_string() == "CN=alice"
    assert public(certificate.public_key()) == public(x509.load_pem_x509_csr(csr.encode()).public_key())
    assert verify(ca, certificate, tmp_path).endswith("leaf: OK\n")
    assert count(ca) == before + 1
    assert "used up" in refused(ca.enroll("alice", profile, csr))
    assert count(ca) == before + 1
    (record,) = world.audit(request_id, "consume")
    assert (record["user"], record["profile"], record["ca"]) == ("alice@TPI.TEST", profile, "ipa")


def test_r_d10_one_person_alone_gets_none(ca: CaHost, world: CaWorld, profile: str) -> None:
    csr, before = certificate_request("alice"), count(ca)
    assert "nobody asked for a certificate" in refused(ca.enroll("alice", profile, csr))
    request_id = ask(world, csr, "requester")
    assert "approval is needed" in refused(ca.enroll("alice", profile, csr))
    assert "nobody asked" in refused(ca.enroll("alice", profile, certificate_request("alice")))
    other = certificate_request("alice")
    ask(world, other, "executor")
    assert "submitted by the executor" in refused(ca.enroll("alice", profile, other))
    assert (count(ca), state(world, request_id)) == (before, "")


def test_r_d10_the_requester_enrols_once_and_for_nothing_else(
    ca: CaHost, world: CaWorld, profile: str
) -> None:
    csr, before = certificate_request("alice"), count(ca)
    request_id = approved(world, csr)
    assert "nobody asked" in refused(ca.enroll("alice", profile, certificate_request("alice")))
    # Bob would need it for himself, and Dogtag's validator says so before anybody is asked.
    assert refused(ca.enroll("bob", profile, csr))
    assert (count(ca), state(world, request_id)) == (before, "")
    number = issued(ca.enroll("alice", profile, csr))
    ended = world.ended(request_id, "executed")
    assert ended.message == "released to the requester's enrolment"
    assert ca.certificate(number).subject.rfc4514_string() == "CN=alice"
    assert "used up" in refused(ca.enroll("alice", profile, csr))
    assert count(ca) == before + 1


def test_r_k15_a_denial_in_time_is_heard(ca: CaHost, world: CaWorld, profile: str) -> None:
    csr, before = certificate_request("alice"), count(ca)
    request_id = approved(world, csr)
    api = world.api("carol")
    api.deny(api.show(request_id), "no")
    assert refused(ca.enroll("alice", profile, csr))
    world.ended(request_id, "denied")
    assert count(ca) == before


def test_r_d10_without_an_executor_none_is_issued(ca: CaHost, world: CaWorld, profile: str) -> None:
    csr, before = certificate_request("alice"), count(ca)
    request_id = approved(world, csr)
    world.halt(EXECUTOR)
    assert "could not be found out" in refused(ca.enroll("alice", profile, csr))
    world.systemctl("start", EXECUTOR)
    assert (count(ca), state(world, request_id)) == (before, "")
    issued(ca.enroll("alice", profile, csr))
    world.ended(request_id, "executed")
    assert count(ca) == before + 1


@pytest.mark.parametrize(("where", "then", "more"), [("before", "submitted", 0), ("after", "claimed", 1)])
def test_r_k13_a_crash_while_the_ca_is_asked_is_in_doubt_and_never_repeated(
    ca: CaHost, world: CaWorld, profile: str, between: Between, where: str, then: str, more: int
) -> None:
    csr, before = certificate_request("alice"), count(ca)
    request_id = ask(world, csr, "executor")
    between.hold(where)
    world.approve("bob", request_id)
    between.reached(where)
    assert state(world, request_id) == then
    world.halt(EXECUTOR)
    world.systemctl("start", EXECUTOR)
    between.go_on()
    world.ended(request_id, "indeterminate")
    eventually(lambda: count(ca) == before + more, PATIENCE_SECONDS)
    assert "used up" in refused(ca.enroll("alice", profile, csr))
    with pytest.raises(RefusedError, match="make a new request"):
        world.api("alice").prove(world.api("alice").show(request_id))
    assert (count(ca), state(world, request_id)) == (before + more, "ended")
