"""A request for one host is run on another, or its answers are written by somebody who is not its executor."""

from __future__ import annotations

import ldap
import pytest
from straight import (
    EXECUTOR_DN,
    HTTP_DN,
    OTHER,
    OTHER_DN,
    OTHER_KEYTAB,
    add_child,
    add_proof,
    add_request,
    approve,
    draft,
    ended,
    never_intended,
    prove,
    refused_by_directory,
    refused_by_web,
    request_dn,
    runs_for,
    user_dn,
)
from world import HOST, REALM, REQUESTS, SUFFIX, World, eventually

from ipa_tpi.model import Purpose
from ipa_tpi.wire import RequestBody


@pytest.mark.parametrize(
    ("target", "executor", "code"),
    [
        pytest.param(OTHER, EXECUTOR_DN, "wrong-target", id="other's target, our executor"),
        pytest.param("no.tpi.test", EXECUTOR_DN, "wrong-target", id="unknown target, our executor"),
    ],
)
def test_target_and_executor_must_agree(world: World, target: str, executor: str, code: str) -> None:
    wanted = draft(world, "alice", target=target, executor=executor)
    add_request(world.ldap("alice"), wanted)
    made = world.proof("alice", Purpose.REQUEST, wanted.digest)
    add_proof(world.ldap("alice"), wanted.id, "request", wanted.digest, made)
    assert ended(world, wanted.id) == ("denied", code)
    never_intended(world, wanted.id)


@pytest.mark.parametrize("target", [OTHER, HOST])
def test_another_hosts_request_is_not_ours(world: World, target: str) -> None:
    """Its proofs, receipts and execution are the other host's business: ours neither sees nor touches it."""
    wanted = draft(world, "alice", target=target, executor=OTHER_DN)
    add_request(world.ldap("alice"), wanted)
    made = world.proof("alice", Purpose.REQUEST, wanted.digest)
    add_proof(world.ldap("alice"), wanted.id, "request", wanted.digest, made)
    own = world.request("alice")  # made later, seen earlier: the executor is awake
    assert world.claims("SELECT 1 FROM first_seen WHERE request = ?", wanted.id) == []
    assert world.of_class(wanted.id, "ipaTpiReceipt") == []
    ours = world.service("/etc/ipa/tpi/tpi.keytab", f"tpi/{HOST}@{REALM}")
    assert ours.search_s(request_dn(wanted.id), ldap.SCOPE_SUBTREE) == []
    with refused_by_directory():
        add_child(ours, wanted.id, "ipaTpiExecution", ipaTpiNonce=b"x")
    runs_for(world, own)


def test_the_other_host_answers_for_itself_only(world: World) -> None:
    """The other executor, taken over: it may answer what is for it, and nothing of ours."""
    other = world.service(OTHER_KEYTAB, f"tpi/{OTHER}@{REALM}")
    theirs = draft(world, "alice", target=OTHER, executor=OTHER_DN)
    add_request(world.ldap("alice"), theirs)
    add_child(other, theirs.id, "ipaTpiExecution", ipaTpiNonce=b"x")  # what it may do, it can do
    own = world.request("alice")
    for kind, values in (
        ("ipaTpiPreview", {"ipaTpiBody": b"{}", "ipaTpiDigest": b"0" * 64}),
        ("ipaTpiReceipt", {"ipaTpiRefersTo": b"x", "ipaTpiOutcome": b"verified"}),
        ("ipaTpiExecution", {"ipaTpiNonce": b"x"}),
        ("ipaTpiResult", {"ipaTpiOutcome": b"executed"}),
    ):
        with refused_by_directory():
            add_child(other, own, kind, **values)
    assert other.search_s(REQUESTS, ldap.SCOPE_SUBTREE, f"(ipaTpiRequestId={own})") == []
    runs_for(world, own)


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(user_dn("alice"), id="himself"),
        pytest.param(user_dn("bob"), id="his friend"),
        pytest.param(HTTP_DN, id="the web tier"),
        pytest.param(
            f"krbprincipalname=ldap/{HOST}@{REALM},cn=services,cn=accounts,{SUFFIX}", id="the directory"
        ),
        pytest.param("", id="nobody"),
        pytest.param(f"uid=tpi/x,cn=users,cn=accounts,{SUFFIX}", id="a person of that name"),
    ],
)
def test_the_requester_chooses_no_executor_of_his_own(world: World, executor: str) -> None:
    with refused_by_directory(ldap.INSUFFICIENT_ACCESS, ldap.OBJECT_CLASS_VIOLATION):
        add_request(world.ldap("alice"), draft(world, "alice", executor=executor))


def test_an_executor_that_is_none_gets_nothing_done(world: World) -> None:
    """The directory cannot look into the group; nobody of that name exists, so nobody answers."""
    wanted = draft(world, "alice", executor=EXECUTOR_DN.replace("ipa1", "evil"))
    add_request(world.ldap("alice"), wanted)
    assert world.api("bob").show(wanted.id).state in {"awaiting-preview", "denied"}


def test_the_web_service_asks_no_unknown_host(world: World) -> None:
    wanted = draft(world, "alice", target="no.tpi.test")
    body = RequestBody(
        id=wanted.id,
        operation=wanted.operation,
        operation_digest=wanted.operation_digest.hex(),
        target=wanted.target,
        parameters=dict(wanted.parameters),
        digest=wanted.digest.hex(),
        interface="cli",
    )
    with refused_by_web("target-not-served"):
        world.api("alice")._post("/requests", body)


def test_the_dn_of_the_executor_may_be_spelled_anyhow(world: World) -> None:
    """Case and spaces do not make another executor; and it runs here, once."""
    spelled = EXECUTOR_DN.replace("krbprincipalname", "krbPrincipalName").replace(",cn=", ", CN=")
    wanted = draft(world, "alice", executor=spelled)
    add_request(world.ldap("alice"), wanted)
    prove(world, "alice", wanted.id, Purpose.REQUEST, wanted.digest)
    world.wait_state(wanted.id, "pending")
    before = world.starts()
    approve(world, "bob", wanted.id)
    world.wait_state(wanted.id, "executed")
    assert len(eventually(lambda: world.starts()[len(before) :])) == 1
