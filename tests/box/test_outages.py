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
from stepping import paused, standing, step_reached, stepped, walk_to
from world import EXECUTOR, URL, Done, World, eventually, stopped

from ipa_tpi.errors import TpiError

DIRECTORY = "dirsrv@TPI-TEST.service"
KDC = "krb5-kdc.service"
APACHE = "apache2.service"
JOURNALD = Path("/run/systemd/journal/socket")
JOURNALD_AWAY = JOURNALD.with_suffix(".away")
POLKIT_RULES = Path("/etc/polkit-1/rules.d/50-ipa-tpi.rules")
ASK = ("create", "dirsrv.restart", "instance=DS01", "--reason", "outage")


def test_directory_down_before_a_request(world: World) -> None:
    assert world.cli("alice", *ASK).status == 0
    with stopped(world, DIRECTORY):
        code = _code_of_create(world)
        done = world.cli("alice", *ASK)
    # The KDC keeps its keys in this directory, so that already the caller's proxy ticket cannot be had.
    assert code in {"directory-unavailable", "kerberos"}
    _assert_error(done, "nothing was done", "directory", "try again")
    _assert_failure_is_audited(world, code)
    _assert_it_works_again(world)


def test_kdc_down_before_a_request(world: World) -> None:
    world.kinit("alice")  # a ticket, but no service ticket yet
    with stopped(world, KDC):
        done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK])
    _assert_error(done, "kerberos server", "try again")
    _assert_it_works_again(world)


def test_kdc_down_between_ticket_and_request(world: World) -> None:
    """The person has a ticket for Apache; Apache cannot get one for the directory."""
    world.kinit("alice")
    world.run("alice", ["/usr/bin/kvno", "-q", "HTTP/ipa1.tpi.test", "tpi/ipa1.tpi.test"])
    with stopped(world, KDC):
        done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK])
    _assert_error(done, "nothing was done", "kerberos server", "try again")
    _assert_failure_is_audited(world, "kerberos")
    _assert_it_works_again(world)


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
        eventually(lambda: "next try in" in _log_since_start(world))
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
        eventually(lambda: "next try in" in _log_since_start(world))
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
    _assert_it_works_again(world)


@pytest.mark.parametrize(("step", "starts"), [("before 4", 0), ("4", 0), ("5", 0), ("9", 1)])
def test_r_a08_without_an_audit_trail_it_goes_no_further(world: World, step: str, starts: int) -> None:
    request_id = world.request("alice", reason=f"the trail is gone at {step}")
    before = world.starts()
    with _without_audit_trail():
        with stepped(world) as stepper:
            JOURNALD_AWAY.rename(JOURNALD)
            world.approve("bob", request_id)
            walk_to(world, stepper, request_id, step)
            JOURNALD.rename(JOURNALD_AWAY)
        eventually(lambda: "the audit record" in _log_since_start(world))
        time.sleep(0.5)  # some more tries
        assert step_reached(world, request_id) == step
        assert len(world.starts()) == len(before) + starts
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_r_a08_without_an_audit_trail_nothing_is_asked_for(world: World) -> None:
    known = world.cli("alice", "list", "--mine", "-o", "name").out
    with _without_audit_trail():
        done = world.cli("alice", *ASK)
    _assert_error(done, "audit record", "nothing is done", "administrator")
    assert world.cli("alice", "list", "--mine", "-o", "name").out == known
    _assert_it_works_again(world)


@pytest.mark.parametrize("step", ["before 4", "5"])
def test_r_e17_a_full_disk_before_the_claim_only_delays(world: World, step: str) -> None:
    """What a file may grow to is set to nothing (RLIMIT_FSIZE): each write to the journal fails, as on a full disk."""
    request_id = world.request("alice", reason=f"full at {step}")
    before = world.starts()
    pid = world.pid()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, step)
        _limit_files(world, pid, "1:")
    try:
        eventually(lambda: "nothing is run until it can" in _log_since_start(world))
        time.sleep(1)
        assert step_reached(world, request_id) == step
        assert world.starts() == before
    finally:
        _limit_files(world, pid, "unlimited:")
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1
    assert world.pid() == pid


def test_r_e17_a_full_disk_after_the_claim_is_indeterminate(world: World) -> None:
    """It acted and could not note how it ended: it does not guess, and does not act again."""
    request_id = world.request("alice", reason="full after 7")
    before = world.starts()
    pid = world.pid()
    with stepped(world) as stepper:
        world.approve("bob", request_id)
        walk_to(world, stepper, request_id, "7")
        _limit_files(world, pid, "1:")
    try:
        eventually(lambda: len(world.starts()) == len(before) + 1)
        eventually(lambda: "nothing is run until it can" in _log_since_start(world))
        assert step_reached(world, request_id) == "7"
    finally:
        _limit_files(world, pid, "unlimited:")
    world.wait_for("bob", request_id, lambda now: now.result is not None)
    assert world.api("bob").show(request_id).state == "indeterminate"
    assert len(world.starts()) == len(before) + 1


def test_apache_down(world: World) -> None:
    world.cli("alice", "list")
    with stopped(world, APACHE):
        done = world.cli("alice", *ASK)
    _assert_error(done, URL, "check the server's name", "web server runs")


def test_no_ticket(world: World) -> None:
    done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK], KRB5CCNAME="FILE:/tmp/nothing-here")
    _assert_error(done, "no usable kerberos ticket", "run kinit")


def test_expired_ticket(world: World) -> None:
    ccache = "/tmp/krb5cc_alice_short"
    world.kinit("alice", "-l", "1s", ccache=ccache)
    time.sleep(1.5)
    done = world.run("alice", ["/usr/bin/ipa-tpi", *ASK], KRB5CCNAME=f"FILE:{ccache}")
    _assert_error(done, "expired", "run kinit")


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
    _assert_error(done, "not from the domain's certificate authority", "do not go on")


def _limit_files(world: World, pid: int, size: str) -> None:
    # Under the account itself: root in a container may not do that to others.
    done = world.run("ipatpi-exec", ["/usr/bin/prlimit", f"--pid={pid}", f"--fsize={size}"])
    assert done.status == 0, done


def _assert_error(done: Done, *words: str) -> None:
    assert done.status == 1, done
    assert done.out == ""
    assert done.err.startswith("ipa-tpi: ERROR: ")
    assert "Traceback" not in done.err
    for word in words:
        assert word.lower() in done.err.lower()


def _code_of_create(world: World) -> str:
    with pytest.raises(TpiError) as caught:
        world.request("alice")
    return caught.value.code


def _assert_failure_is_audited(world: World, code: str) -> None:
    last = world.audit(event="failed")[-1]
    assert (last["component"], last["caller"], last["code"]) == ("web", "alice@TPI.TEST", code)


def _assert_it_works_again(world: World) -> None:
    request_id = world.request("carol", reason="works again")
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")


def _log_since_start(world: World) -> str:
    command = ["/usr/bin/journalctl", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={world.invocation(EXECUTOR)}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


@contextmanager
def _without_audit_trail() -> Iterator[None]:
    """Have the socket of systemd's journal out of reach; the daemons' own standard error is not."""
    JOURNALD.rename(JOURNALD_AWAY)
    try:
        yield
    finally:
        if JOURNALD_AWAY.exists():
            JOURNALD_AWAY.rename(JOURNALD)


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
