"""A, C, E, X: what the other tools are for, hardening, and what no other system has; in the box."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import time
import uuid

import ldap
import pytest
from world import EXECUTOR, REQUESTS, SOCKET, SUFFIX, UNIT, World, eventually

from ipa_tpi.errors import TpiError
from ipa_tpi.model import Purpose

OPERATION = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"


def code_of(call: object, *arguments: object) -> str:
    """Give the code of a call that must be refused."""
    with pytest.raises(TpiError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def cancel(world: World, request_id: str, person: str = "alice") -> None:
    """Bring a request to an end that nobody approves."""
    api = world.api(person)
    api.cancel(api.show(request_id))
    world.wait_state(request_id, "cancelled", person=person)


def as_user(user: str, line: bytes) -> dict[str, object]:
    """Say one line to the executor's socket as a user; give the answer."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5)
                peer.connect(SOCKET)
                peer.sendall(line)
                answer = peer.recv(4096)
        except OSError as error:
            answer = json.dumps({"ok": False, "code": type(error).__name__}).encode()
        os.write(write, answer or b'{"ok": false, "code": "closed"}')
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as pipe:
        return dict(json.loads(pipe.read()))


def test_r_a03_after_the_window_the_request_is_expired_and_says_so(world: World) -> None:
    root = world.root()
    try:
        root.modify_s(OPERATION, [(ldap.MOD_REPLACE, "ipaTpiApprovalSeconds", [b"3"])])
        before = world.invocation()
        request_id = world.request("alice")
        time.sleep(4.5)
        assert code_of(world.approve, "bob", request_id) == "expired"
        view = world.wait_state(request_id, "expired")
        assert "window" in (view.message or view.result.excerpt)
        done = world.cli("bob", "show", request_id)
        assert done.status == 5
        assert world.invocation() == before
    finally:
        root.modify_s(OPERATION, [(ldap.MOD_REPLACE, "ipaTpiApprovalSeconds", [b"300"])])


def test_r_a04_the_same_user_cannot_self_approve_and_the_attempt_is_audited(world: World) -> None:
    request_id = world.request("alice")
    done = world.cli("alice", "approve", request_id, "--yes")
    assert done.status == 4
    assert "same user cannot self-approve" in done.err
    assert any(record.get("code") == "self-approval" for record in world.audit(request_id))
    cancel(world, request_id)


def test_r_c03_a_service_is_restarted_and_its_state_told(world: World) -> None:
    old = world.pid(UNIT)
    request_id = world.request("alice")
    world.approve("bob", request_id)
    view = world.wait_state(request_id, "executed")
    new = world.pid(UNIT)
    assert old != new
    assert f"{old} -> {new}" in view.result.excerpt


def test_r_e03_every_message_has_its_form_its_size_and_no_unknown_field(world: World) -> None:
    # The web service's half is in tests/realm/test_web_*.py; this is the executor's socket.
    assert as_user("ipatpi-web", b'{"verb":"nudge","id":"not-a-uuid"}\n')["code"] == "bad-json"
    assert as_user("ipatpi-web", b'{"verb":"nudge","more":1}\n')["code"] == "bad-json"
    assert as_user("ipatpi-web", b"x" * 5000 + b"\n")["code"] == "bad-json"
    assert as_user("ipatpi-web", b'{"verb":"nudge","id":"%s"}\n' % str(uuid.uuid4()).encode())["ok"] is True
    assert world.show(EXECUTOR, "ActiveState") == "active"


def test_r_e04_the_kernel_says_who_calls_and_unexpected_uids_are_refused_and_logged(world: World) -> None:
    for user, verb in (
        ("alice", b"nudge"),
        ("www-data", b"nudge"),
        ("root", b"nudge"),
        ("ipatpi-web", b"health"),
    ):
        answer = as_user(user, b'{"verb":"%s"}\n' % verb)
        # It may hang up before the line is read.
        assert answer["ok"] is False
        assert answer["code"] in {"refused", "BrokenPipeError", "ConnectionResetError", "closed"}
        uid = pwd.getpwnam(user).pw_uid
        eventually(
            lambda wanted=uid: [one for one in world.audit(event="socket-refused") if one["uid"] == wanted]
        )
    assert as_user("root", b'{"verb":"health"}\n')["ok"] is True


def test_r_e14_a_proof_and_an_id_count_once(world: World) -> None:
    request_id = world.request("alice")
    proof = world.of_class(request_id, "ipaTpiProof")[0]
    entry_id = str(uuid.uuid4())
    content = [
        ("objectClass", [b"top", b"ipaTpiProof"]),
        ("ipaTpiEntryId", [entry_id.encode()]),
        *(
            (name, proof[name])
            for name in ("ipaTpiProofKind", "ipaTpiPurpose", "ipaTpiDigest", "ipaTpiToken", "ipaTpiMic")
        ),
    ]
    world.ldap("alice").add_s(f"ipaTpiEntryId={entry_id},ipaTpiRequestId={request_id},{REQUESTS}", content)
    record = eventually(
        lambda: [one for one in world.audit(request_id, "proof-refused") if one["proof"] == entry_id]
    )
    assert record[0]["code"] == "proof-replayed"
    again = world.api("alice").show(request_id)
    assert again.state == "pending"
    cancel(world, request_id)


def test_r_e20_the_executor_has_no_network_listener_and_only_outbound_connections(world: World) -> None:
    out = subprocess.run(
        ["/usr/bin/ss", "-tulnpH"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert "krb5kdc" in out, "ss shows no process names, so this would prove nothing"
    assert f"pid={world.pid()}," not in out


def test_r_e21_when_in_doubt_it_denies(world: World) -> None:
    root = world.root()
    before = world.invocation()
    try:
        # What is not understood must not look enforced.
        root.modify_s(OPERATION, [(ldap.MOD_ADD, "ipaTpiStage", [b"first:1:nobody"])])
        assert code_of(world.request, "alice") == "operation-malformed"
    finally:
        root.modify_s(OPERATION, [(ldap.MOD_DELETE, "ipaTpiStage", None)])
    assert world.invocation() == before


def test_r_x01_without_a_proof_for_the_target_an_approval_does_not_count(world: World) -> None:
    before = world.invocation()
    request_id = world.request("alice")
    view = world.api("bob").show(request_id)
    entry_id = str(uuid.uuid4())
    content = [
        ("objectClass", [b"top", b"ipaTpiApproval"]),
        ("ipaTpiEntryId", [entry_id.encode()]),
        ("ipaTpiDigest", [view.approval_digest.encode()]),
    ]
    # Bob's own ticket, straight to LDAP: what a web tier with his proxy ticket could write.
    world.ldap("bob").add_s(f"ipaTpiEntryId={entry_id},ipaTpiRequestId={request_id},{REQUESTS}", content)
    seen = world.wait_for("bob", request_id, lambda now: now.code == "proof-missing")
    assert seen.state == "pending"
    time.sleep(1)
    assert world.invocation() == before
    # And with his proof, which only he can make, it does.
    bob = world.api("bob")
    bob.prove(bob.show(request_id))
    world.wait_state(request_id, "executed")
    assert world.invocation() != before


def test_r_x02_the_directory_itself_records_who_approved_and_the_proof_must_be_his(world: World) -> None:
    request_id = world.request("alice")
    view = world.api("bob").show(request_id)
    digest = bytes.fromhex(view.approval_digest)
    token, mic = world.proof("carol", Purpose.APPROVE, digest)
    entry_id = str(uuid.uuid4())
    content = [
        ("objectClass", [b"top", b"ipaTpiProof"]),
        ("ipaTpiEntryId", [entry_id.encode()]),
        ("ipaTpiProofKind", [b"gss"]),
        ("ipaTpiPurpose", [b"approve"]),
        ("ipaTpiDigest", [view.approval_digest.encode()]),
        ("ipaTpiToken", [token]),
        ("ipaTpiMic", [mic]),
        ("creatorsName", [f"uid=carol,cn=users,cn=accounts,{SUFFIX}".encode()]),
    ]
    world.ldap("bob").add_s(f"ipaTpiEntryId={entry_id},ipaTpiRequestId={request_id},{REQUESTS}", content)
    record = eventually(
        lambda: [one for one in world.audit(request_id, "proof-refused") if one["proof"] == entry_id]
    )
    assert record[0]["code"] == "proof-other-principal"
    assert record[0]["writer"] == f"uid=bob,cn=users,cn=accounts,{SUFFIX}"
    cancel(world, request_id)


def test_r_x03_a_request_only_grows_and_nobody_changes_or_removes_a_part(world: World) -> None:
    request_id = world.request("alice")
    base = f"ipaTpiRequestId={request_id},{REQUESTS}"
    child = world.children(request_id)[0][0]
    for person in ("alice", "bob", "adam", "erin-admin"):
        connection = world.ldap(person)
        for dn in (base, child):
            for call, arguments in (
                (connection.modify_s, (dn, [(ldap.MOD_REPLACE, "ipaTpiReason", [b"other"])])),
                (connection.delete_s, (dn,)),
                (connection.rename_s, (dn, f"ipaTpiEntryId={uuid.uuid4()}")),
            ):
                with pytest.raises((ldap.INSUFFICIENT_ACCESS, ldap.NO_SUCH_OBJECT)):
                    call(*arguments)
    assert world.api("bob").show(request_id).state == "pending"
    cancel(world, request_id)


def test_r_x09_two_accounts_of_one_person_are_one(world: World) -> None:
    before = world.invocation()
    request_id = world.request("erin")
    assert code_of(world.approve, "erin-admin", request_id) == "same-person"
    view = world.api("bob").show(request_id)
    connection = world.ldap("erin-admin")
    entry_id = str(uuid.uuid4())
    content = [
        ("objectClass", [b"top", b"ipaTpiApproval"]),
        ("ipaTpiEntryId", [entry_id.encode()]),
        ("ipaTpiDigest", [view.approval_digest.encode()]),
    ]
    connection.add_s(f"ipaTpiEntryId={entry_id},ipaTpiRequestId={request_id},{REQUESTS}", content)
    again = world.api("erin-admin")
    again.prove(again.show(request_id))
    # Even with a good proof of her own, verified by the target, her second account counts for nothing.
    eventually(
        lambda: [
            one for one in world.audit(request_id, "proof-verified") if one["who"].startswith("erin-admin@")
        ]
    )
    seen = world.api("bob").show(request_id)
    assert [(one.counts, one.code) for one in seen.approvals] == [(False, "same-person")]
    assert world.invocation() == before
    cancel(world, request_id, "erin")


def test_r_x13_policy_cannot_loosen_the_floor(world: World) -> None:
    # Policy and rules allow any instance; the floor of this host names two.
    assert code_of(lambda: world.request("alice", instance="DS02")) == "below-floor"
