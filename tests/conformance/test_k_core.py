"""K: two-person integrity with each person's own ticket, on the real components in the box."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import ldap
import pytest
from world import CA, HOST, REQUESTS, SUFFIX, UNIT, URL, World, eventually

from ipa_tpi.decide.digest import approval_digest, request_digest, sha256
from ipa_tpi.errors import TpiError
from ipa_tpi.executor.schedule import UNCHANGED_SECONDS
from ipa_tpi.model import Request
from ipa_tpi.wire import RequestView


def refusal(call: object, *arguments: object) -> TpiError:
    """Give the error of a call that must be refused."""
    with pytest.raises(TpiError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


def cancelled(world: World, request_id: str, person: str = "alice") -> None:
    """Bring a request to an end that nobody approves."""
    api = world.api(person)
    api.cancel(api.show(request_id))
    world.wait_state(request_id, "cancelled", person=person)


def digest_of(view: RequestView) -> bytes:
    """Compute a request's digest from what it shows."""
    request = Request(
        id=view.id, operation=view.operation, operation_digest=bytes.fromhex(view.operation_digest), target=view.target,
        executor="", parameters=view.parameters, reason=view.reason, ticket=view.ticket, interface=view.interface,
        digest=b"", dn="", creator="", created=view.created,
    )  # fmt: skip
    return request_digest(request, view.requester)


def test_r_k01_every_caller_acts_on_ldap_with_his_own_ticket_and_without_one_nobody_does(
    world: World,
) -> None:
    bare = subprocess.run(
        ["/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", CA, f"{URL}/tpi/v1/requests"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert bare.stdout == "401"
    request_id = world.request("alice")
    entry = world.root().search_s(
        f"ipaTpiRequestId={request_id},{REQUESTS}", ldap.SCOPE_BASE, attrlist=["creatorsName"]
    )
    assert entry[0][1]["creatorsName"] == [f"uid=alice,cn=users,cn=accounts,{SUFFIX}".encode()]
    # The KDC's own log shows the delegation: the service asked in alice's name, for ldap/ alone.
    log = subprocess.run(
        ["/usr/bin/journalctl", "-u", "krb5-kdc", "-o", "cat"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout + "".join(path.read_text() for path in Path("/var/log").glob("krb5kdc.log*"))
    delegated = [line for line in log.splitlines() if "CONSTRAINED-DELEGATION" in line]
    assert any("alice@TPI.TEST" in line for line in delegated), "the KDC logged no S4U2Proxy for alice"
    cancelled(world, request_id)


def test_r_k02_one_person_is_not_two_whatever_account_is_used(world: World) -> None:
    request_id = world.request("erin")
    assert refusal(world.approve, "erin", request_id).code == "self-approval"
    assert refusal(world.approve, "erin-admin", request_id).code == "same-person"
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")


def test_r_k03_rights_come_from_rules_in_the_directory_and_default_is_no(world: World) -> None:
    assert refusal(world.request, "dave").code in {"no-rule", "unknown-operation"}
    assert refusal(world.request, "adam").code in {"no-rule", "unknown-operation"}
    request_id = world.request("grace")  # requester only
    other = world.request("alice")
    assert refusal(world.approve, "grace", other).code in {"no-rule", "not-found"}
    cancelled(world, request_id, "grace")
    cancelled(world, other)


def test_r_k03_a_disabled_rule_gives_nothing(world: World) -> None:
    root = world.root()
    base = f"cn=tpirules,cn=tpi,{SUFFIX}"
    rules = root.search_s(base, ldap.SCOPE_ONELEVEL, "(ipaTpiRight=request)", ["cn"])
    try:
        for dn, _ in rules:
            root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaEnabledFlag", [b"FALSE"])])
        assert refusal(world.request, "alice").code == "no-rule"
    finally:
        for dn, _ in rules:
            root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaEnabledFlag", [b"TRUE"])])


def test_r_k06_two_people_restart_a_directory_server(world: World) -> None:
    before = world.invocation()
    request_id = world.request("alice", reason="conformance")
    world.approve("bob", request_id)
    view = world.wait_state(request_id, "executed")
    assert world.invocation() != before
    assert world.show(UNIT, "ActiveState") == "active"
    assert view.result.outcome == "executed"


def test_r_k07_an_admin_with_kinit_and_the_command_line_goes_the_whole_way(world: World) -> None:
    created = world.cli(
        "alice", "request", "create", "dirsrv.restart", "instance=DS01", "--reason", "k07", "--json"
    )
    assert created.status in {0, 3}, created.err
    request_id = created.json["id"]
    world.wait_state(request_id, "pending")
    approved = world.cli("bob", "approve", request_id, "--yes", "--json")
    assert approved.status in {0, 3}, approved.err
    ended = world.cli("alice", "wait", request_id)
    assert ended.status == 0, ended.err
    shown = world.cli("carol", "show", request_id, "--json")
    assert shown.json["state"] == "executed"
    assert shown.status == 0


def test_r_k09_both_windows_run_by_the_server_and_default_to_300_seconds(world: World) -> None:
    request_id = world.request("alice")
    view = world.api("bob").show(request_id)
    entry = world.root().search_s(
        f"ipaTpiRequestId={request_id},{REQUESTS}", ldap.SCOPE_BASE, attrlist=["createTimestamp"]
    )
    stamp = datetime.strptime(entry[0][1]["createTimestamp"][0].decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    assert 299 <= (view.expires - stamp).total_seconds() <= 300
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")


def test_r_k10_what_was_approved_is_what_runs(world: World) -> None:
    request_id = world.request("alice")
    view = world.api("bob").show(request_id)
    expected = approval_digest(digest_of(view), sha256(view.preview.body.encode()))
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    stored = world.of_class(request_id, "ipaTpiApproval")[0]["ipaTpiDigest"][0].decode()
    receipts = world.claims(
        "SELECT digest FROM receipts WHERE request = ? AND purpose = 'approve'", request_id
    )
    assert stored == expected.hex()
    assert receipts == [(expected,)]


def test_r_k10_a_definition_that_changed_since_the_request_is_not_run(world: World) -> None:
    root = world.root()
    dn = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
    request_id = world.request("alice")
    before = world.invocation()
    try:
        root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaTpiTimeoutSeconds", [b"61"])])
        assert refusal(world.approve, "bob", request_id).code == "operation-changed"
        # Nothing new lies below it, so it may be a while until it is looked at again.
        result = eventually(lambda: world.of_class(request_id, "ipaTpiResult"), UNCHANGED_SECONDS + 20)
        assert result[0]["ipaTpiOutcome"] == [b"denied"]
        assert result[0]["ipaTpiExcerpt"][0].startswith(b"operation-changed")
    finally:
        root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaTpiTimeoutSeconds", [b"60"])])
    assert world.invocation() == before


def test_r_k11_the_approver_sees_what_will_run_and_nothing_can_disguise_it(world: World) -> None:
    request_id = world.request("alice", reason="why not", ticket="OPS-1")
    shown = world.cli("bob", "show", request_id).out
    for part in ("dirsrv.restart", HOST, "DS01", "alice@TPI.TEST", "why not", "OPS-1", UNIT, "left"):
        assert part in shown
    for trick in ("\x1b[2K", "\u202edesrever", "zero\u200bwidth", "two\nlines"):
        assert refusal(lambda text=trick: world.request("carol", reason=text)).code == "text-not-allowed"
    cancelled(world, request_id)


def test_r_k12_a_request_goes_through_its_states_and_each_has_one_writer(world: World) -> None:
    request_id = world.request("alice")
    assert world.api("bob").show(request_id).state == "pending"
    world.approve("bob", request_id)
    world.wait_state(request_id, "executed")
    writers = {
        raw["objectClass"][-1].decode() if raw["objectClass"][-1] != b"ipaTpiVoice" else raw["objectClass"][-2].decode():
        raw["creatorsName"][0].decode().partition(",")[0].lower()
        for _, raw in world.children(request_id)
    }  # fmt: skip
    executor = f"krbprincipalname=tpi/{HOST}@tpi.test"
    for name in ("ipaTpiPreview", "ipaTpiReceipt", "ipaTpiExecution", "ipaTpiResult"):
        assert writers[name] == executor
    assert writers["ipaTpiApproval"] == "uid=bob"
    assert refusal(world.approve, "carol", request_id).code == "already-decided"


def test_r_k13_approvals_that_race_run_it_once(world: World) -> None:
    before = world.starts()
    request_id = world.request("alice")
    processes = [
        subprocess.Popen(
            ["/usr/bin/setpriv", f"--reuid={person}", "--regid=1", "--clear-groups", "--", "/usr/bin/env", "-i",
             f"KRB5CCNAME=FILE:{world.ccache(person)}", "HOME=/", "PATH=/usr/bin", "LANG=C.UTF-8",
             "/usr/bin/ipa-tpi", "approve", request_id, "--yes"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for person in ("bob", "carol", "erin", "bob", "carol", "erin")
    ]  # fmt: skip
    for process in processes:
        process.wait(timeout=60)
    world.wait_state(request_id, "executed")
    time.sleep(1)
    assert len(world.of_class(request_id, "ipaTpiExecution")) == 1
    assert len(world.starts()) - len(before) == 1


def test_r_k15_denial_withdrawal_and_cancellation_count(world: World) -> None:
    before = world.invocation()
    denied = world.request("alice")
    bob = world.api("bob")
    bob.deny(bob.show(denied), "not now")
    assert world.wait_state(denied, "denied").denials[0].who == "bob@TPI.TEST"
    assert refusal(world.approve, "carol", denied).code in {"denied-by-approver", "already-decided"}
    called_off = world.request("alice")
    cancelled(world, called_off)
    assert refusal(world.approve, "bob", called_off).code in {"cancelled", "already-decided"}
    assert world.invocation() == before


def test_r_k15_who_withdrew_does_not_count_and_cannot_approve_again(world: World) -> None:
    root = world.root()
    dn = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
    before = world.invocation()
    try:
        root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaTpiRequiredApprovals", [b"2"])])
        request_id = world.request("alice")
        world.approve("bob", request_id)
        bob = world.api("bob")
        eventually(lambda: len([one for one in bob.show(request_id).approvals if one.counts]) == 1)
        bob.withdraw(bob.show(request_id))
        assert refusal(world.approve, "bob", request_id).code in {"already-voiced", "withdrawn"}
        world.approve("carol", request_id)
        eventually(lambda: len([one for one in bob.show(request_id).approvals if one.counts]) == 1)
        assert bob.show(request_id).state == "pending"
        world.approve("erin", request_id)
        world.wait_state(request_id, "executed")
    finally:
        root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaTpiRequiredApprovals", [b"1"])])
    assert world.invocation() != before


def test_r_k18_the_other_ways_in_are_named_and_shut_for_one_person(world: World) -> None:
    # tests/box/test_other_ways.py tries each; here: the direct one, by a person who may take part.
    before = world.invocation()
    done = world.run("alice", ["/usr/bin/systemctl", "--no-ask-password", "restart", UNIT])
    assert done.status != 0
    assert world.invocation() == before
    script = (
        "import json; from ipa_tpi.executor.operations import OPERATIONS as known; "
        "print(json.dumps({name: one.other_ways for name, one in known.items()}))"
    )
    command = ["/usr/lib/ipa-tpi/venv/bin/python", "-c", script]
    named = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    ways = json.loads(named.stdout)
    assert {name for name, known in ways.items() if not known} == {"dirsrv.status", "systemd.unit.status"}
