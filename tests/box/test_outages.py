"""Attack: take away what ipa-tpi stands on (directory, KDC, bus, Apache, tickets), one at a time, at bad moments.

What an attacker would gain: an operation that runs on half of the reads, an approval that is lost without a
trace, or a message from which nobody can tell what to do, so that people go round the second person.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checks import assert_error, assert_it_works, log_since_start
from stepping import paused, standing
from world import EXECUTOR, URL, World, eventually, stopped

from ipa_tpi.errors import TpiError

DIRECTORY = "dirsrv@TPI-TEST.service"
KDC = "krb5-kdc.service"
APACHE = "apache2.service"
POLKIT_RULES = Path("/etc/polkit-1/rules.d/50-ipa-tpi.rules")
ASK = ("create", "dirsrv.restart", "instance=DS01", "--reason", "outage")


def test_directory_down_before_a_request(world: World) -> None:
    assert world.cli("alice", *ASK).status == 0
    with stopped(world, DIRECTORY):
        code = _code_of_create(world)
        done = world.cli("alice", *ASK)
    # The KDC keeps its keys in this directory, so that already the caller's proxy ticket cannot be had.
    assert code in {"directory-unavailable", "kerberos"}
    assert_error(done, "nothing was done", "directory", "try again")
    _assert_failure_is_audited(world, code)
    assert_it_works(world)


def test_kdc_down_before_a_request(world: World) -> None:
    world.kinit("alice")  # a ticket, but no service ticket yet
    with stopped(world, KDC):
        done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK])
    assert_error(done, "kerberos server", "try again")


def test_kdc_down_between_ticket_and_request(world: World) -> None:
    """The person has a ticket for Apache; Apache cannot get one for the directory."""
    world.kinit("alice")
    world.run("alice", ["/usr/bin/kvno", "-q", "HTTP/ipa1.tpi.test", "tpi/ipa1.tpi.test"])
    with stopped(world, KDC):
        done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK])
    assert_error(done, "nothing was done", "kerberos server", "try again")
    _assert_failure_is_audited(world, "kerberos")


@pytest.mark.parametrize("unit", [DIRECTORY, KDC])
def test_down_between_approval_and_execution(world: World, unit: str) -> None:
    """Nothing runs, nothing is lost; when the daemon is back it goes on by itself."""
    request_id = world.request("alice", reason=f"{unit} goes away")
    before = world.starts()
    # Started anew, the executor has no ticket for the directory yet.
    world.halt()
    world.approve("bob", request_id)
    with stopped(world, unit):
        world.systemctl("start", EXECUTOR)
        eventually(lambda: "next try in" in log_since_start(world))
        assert standing(request_id).state == ""
        assert world.starts() == before
        assert world.show(EXECUTOR, "ActiveState") == "active"
    assert world.wait_state(request_id, "executed").result.outcome == "executed"
    assert len(world.starts()) == len(before) + 1


def test_directory_down_while_the_executor_holds_a_connection(world: World) -> None:
    request_id = world.request("alice", reason="the connection breaks")
    before = world.starts()
    pid = world.pid()
    with paused(pid):
        world.approve("bob", request_id)
        world.systemctl("stop", DIRECTORY)
    try:
        eventually(lambda: "next try in" in log_since_start(world))
        assert standing(request_id).state == ""
        assert world.starts() == before
    finally:
        world.systemctl("start", DIRECTORY)
    assert world.wait_state(request_id, "executed").result.outcome == "executed"
    assert len(world.starts()) == len(before) + 1
    assert world.pid() == pid


def test_executor_down_when_the_approval_comes(world: World) -> None:
    request_id = world.request("alice", reason="executor is down")
    before = world.starts()
    with stopped(world, EXECUTOR):
        view = world.approve("bob", request_id)
        assert view.state == "pending"
        assert view.code == "proof-missing"
        assert world.starts() == before
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_systemd_refuses_without_the_polkit_rule(world: World) -> None:
    request_id = world.request("alice", reason="polkit says no")
    before = world.starts()
    with _without_polkit_rule():
        world.approve("bob", request_id)
        view = world.wait_state(request_id, "failed")
    assert view.result.outcome == "failed"
    assert view.result.excerpt.startswith("action-failed: systemd refused to restart dirsrv@DS01.service")
    assert world.audit(request_id, "outcome")[-1]["code"] == "action-failed"
    assert world.starts() == before
    assert world.cli("alice", "show", request_id).status == 7
    assert_it_works(world)


def test_apache_down(world: World) -> None:
    world.cli("alice", "list")
    with stopped(world, APACHE):
        done = world.cli("alice", *ASK)
    assert_error(done, URL, "check the server's name", "web server runs")


def test_no_ticket(world: World) -> None:
    done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK], KRB5CCNAME="FILE:/tmp/nothing-here")
    assert_error(done, "no usable kerberos ticket", "run kinit")


def test_expired_ticket(world: World) -> None:
    ccache = "/tmp/krb5cc_alice_short"
    world.kinit("alice", "-l", "1s", ccache=ccache)
    time.sleep(1.5)
    done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK], KRB5CCNAME=f"FILE:{ccache}")
    assert_error(done, "expired", "run kinit")


def test_tls_of_another_authority_is_not_trusted(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "ipa"
    folder.mkdir()
    (folder / "default.conf").write_text(Path("/etc/ipa/default.conf").read_text())
    subprocess.run(
        [
            "/usr/bin/openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            tmp_path / "key",
            "-out",
            folder / "ca.crt",
            "-subj",
            "/CN=Another",
            "-days",
            "1",
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    for path in (*tmp_path.parents, tmp_path, folder):
        if path.is_relative_to("/tmp/pytest-of-root"):
            path.chmod(0o755)
    done = world.cli("alice", "--config", str(folder), *ASK)
    assert_error(done, "not from the domain's certificate authority", "do not go on")


def _code_of_create(world: World) -> str:
    with pytest.raises(TpiError) as caught:
        world.request("alice")
    return caught.value.code


def _assert_failure_is_audited(world: World, code: str) -> None:
    last = world.audit(event="failed")[-1]
    assert (last["component"], last["caller"], last["code"]) == ("web", "alice@TPI.TEST", code)


@contextmanager
def _without_polkit_rule() -> Iterator[None]:
    text = POLKIT_RULES.read_text()
    POLKIT_RULES.unlink()
    subprocess.run(["/usr/bin/systemctl", "restart", "polkit"], check=True, timeout=30)
    try:
        yield
    finally:
        POLKIT_RULES.write_text(text)
        subprocess.run(["/usr/bin/systemctl", "restart", "polkit"], check=True, timeout=30)
