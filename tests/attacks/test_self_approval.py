"""Somebody approves a request of his own; he would run critical operations alone.

Tried as himself, under every other name that the KDC gives him, and past the web service.
"""

from __future__ import annotations

import pytest
from straight import (
    add_proof,
    add_voice,
    digests,
    prove,
    receipt,
    refused_by_directory,
    refused_by_web,
    refused_proof,
    runs_for,
    settle,
)
from world import CA, HOST, LDAPI, REALM, SUFFIX, URL, Done, World, make_proof

from ipa_tpi.adapters.directory import open_directory
from ipa_tpi.adapters.gss import caller_credentials
from ipa_tpi.client import TpiClient
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.model import Purpose

CACHE = "/tmp/krb5cc_alias"

# How kinit is asked, and as whom the KDC then knows alice.
NAMES = {
    ("alice",): "alice@TPI.TEST",
    ("alice@TPI.TEST",): "alice@TPI.TEST",
    ("-E", "alice"): "alice@TPI.TEST",
    ("-C", "alice.smith"): "alice@TPI.TEST",
    ("-C", "ALICE"): "alice@TPI.TEST",
    ("alice.smith",): "alice.smith@TPI.TEST",
    ("-E", "alice.smith"): "alice.smith@TPI.TEST",
    ("ALICE",): "ALICE@TPI.TEST",
}


def log_in(world: World, words: tuple[str, ...]) -> Done:
    """Let alice get a ticket under another name."""
    *options, name = words
    return world.kinit("alice", *options, principal=name, ccache=CACHE)


def test_nobody_approves_his_own_request(world: World) -> None:
    request_id = world.request("alice")
    api = world.api("alice")
    with refused_by_web("self-approval") as caught:
        api.approve(api.show(request_id))
    assert "same user cannot self-approve" in caught.value.message
    done = world.cli("alice", "approve", request_id, "--yes")
    assert done.status == 4
    assert "same user cannot self-approve" in done.out + done.err
    runs_for(world, request_id)


def test_nobody_adds_an_approval_of_his_own_request_to_the_directory(world: World) -> None:
    request_id = world.request("alice")
    with refused_by_directory():
        add_voice(world.ldap("alice"), request_id, "ipaTpiApproval", digests(world, request_id).approval)
    # A proof of her own she may add; without an approval it is about nothing.
    prove(world, "alice", request_id, Purpose.APPROVE, digests(world, request_id).approval)
    settle(world, request_id, "alice")
    runs_for(world, request_id)


@pytest.mark.parametrize("words", NAMES, ids=" ".join)
def test_another_name_of_the_same_account_is_the_same_person(world: World, words: tuple[str, ...]) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    assert log_in(world, words).status == 0
    principal = NAMES[words]
    api = TpiClient(URL, CA, ccache=f"FILE:{CACHE}")
    assert api.tickets.principal() == principal
    with refused_by_web("self-approval" if principal == "alice@TPI.TEST" else "not-canonical"):
        api.approve(world.api("bob").show(request_id))
    credentials = caller_credentials(f"FILE:{CACHE}", principal)
    connection = open_directory(LDAPI, HOST, SUFFIX, credentials)._connection
    assert connection.whoami_s() == f"dn: uid=alice,cn=users,cn=accounts,{SUFFIX}"
    with refused_by_directory():
        add_voice(connection, request_id, "ipaTpiApproval", about)


@pytest.mark.parametrize("name", ["Alice", "aLICE", "alice/admin", "alice.smith/admin"])
def test_the_kdc_knows_no_other_spelling(world: World, name: str) -> None:
    assert log_in(world, ("alice",)).status == 0
    done = log_in(world, (name,))
    assert done.status != 0
    assert "not found in Kerberos database" in done.err


def test_a_proof_under_an_alias_is_no_proof(world: World) -> None:
    """Bob's request; alice, who may approve it, makes her proof under her alias."""
    request_id = world.request("bob")
    about = digests(world, request_id).approval
    assert log_in(world, ("alice.smith",)).status == 0
    text = mic_text(Purpose.APPROVE, about)
    made = make_proof(f"FILE:{CACHE}", text, f"tpi/{HOST}@{REALM}")
    connection = world.ldap("alice")
    add_voice(connection, request_id, "ipaTpiApproval", about)
    alias = add_proof(connection, request_id, "approve", about, made)
    refused_proof(world, request_id, alias, "proof-other-principal")
    settle(world, request_id, "bob")
    before = world.starts()
    assert receipt(world, request_id, prove(world, "alice", request_id, Purpose.APPROVE, about)) == "verified"
    world.wait_state(request_id, "executed", person="alice")
    assert len(world.starts()) == len(before) + 1
