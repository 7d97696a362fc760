"""The web tier is taken over, and makes proofs itself with the tickets that callers bring it.

It would approve in the name of everybody who calls.  The KDC does not let it have tickets for the
executor; should somebody grant it that, the executor sees that a proof was made by delegation.
"""

from __future__ import annotations

import uuid
from typing import Any

import gssapi
import ldap
import pytest
from straight import (
    EXECUTOR_DN,
    HTTP_DN,
    HTTP_KEYTAB,
    add_proof,
    add_voice,
    changed,
    digests,
    prove,
    refused_proof,
    settle,
    user_dn,
)
from world import HOST, LDAPI, REALM, REQUESTS, SUFFIX, World, make_proof

from ipa_tpi.adapters.directory import open_directory
from ipa_tpi.adapters.gss import KRB5, caller_credentials
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.model import Purpose

HTTP = f"HTTP/{HOST}@{REALM}"
TPI = f"tpi/{HOST}@{REALM}"
LDAP = f"ldap/{HOST}@{REALM}"
REFUSED = "constrained delegation failed|KDC can't fulfill requested option|KDC policy rejects request"


def taken_from(world: World, person: str) -> str:
    """Do what the web tier does with a caller's ticket: accept it, and keep the right to go on in his name."""
    flags = [gssapi.RequirementFlag.mutual_authentication]
    caller = gssapi.Credentials(
        usage="initiate", store={"ccache": f"FILE:{world.ccache(person)}"}, mechs=[KRB5]
    )
    name = gssapi.Name(HTTP, gssapi.NameType.kerberos_principal)
    token = gssapi.SecurityContext(name=name, creds=caller, usage="initiate", mech=KRB5, flags=flags).step()
    store = {
        "keytab": HTTP_KEYTAB,
        "client_keytab": HTTP_KEYTAB,
        "ccache": f"MEMORY:{uuid.uuid4()}",
        "rcache": "none:",
    }
    own = gssapi.Credentials(name=name, usage="both", store=store, mechs=[KRB5])
    accepted = gssapi.SecurityContext(creds=own, usage="accept")
    accepted.step(token)
    assert str(accepted.initiator_name) == f"{person}@{REALM}"
    return kept(accepted.delegated_creds)


def conjured(person: str) -> str:
    """Act for somebody who never came (protocol transition, S4U2Self)."""
    store = {"client_keytab": HTTP_KEYTAB, "ccache": f"MEMORY:{uuid.uuid4()}"}
    own = gssapi.Credentials(
        name=gssapi.Name(HTTP, gssapi.NameType.kerberos_principal),
        usage="initiate",
        store=store,
        mechs=[KRB5],
    )
    name = gssapi.Name(f"{person}@{REALM}", gssapi.NameType.kerberos_principal)
    return kept(own.impersonate(name, mechs=[KRB5]))


def kept(credentials: gssapi.Credentials) -> str:
    """Keep credentials in a cache, as mod_auth_gssapi does."""
    ccache = f"MEMORY:{uuid.uuid4()}"
    credentials.store(store={"ccache": ccache}, usage="initiate", mech=KRB5, overwrite=True)
    return ccache


def directory_as(ccache: str, person: str) -> Any:
    """Bind to the directory in somebody's name."""
    return open_directory(LDAPI, HOST, SUFFIX, caller_credentials(ccache, f"{person}@{REALM}"))._connection


def test_the_kdc_gives_the_web_tier_no_ticket_for_the_executor(world: World) -> None:
    ccache = taken_from(world, "bob")
    # What it may have, and needs: the directory in the caller's name.
    assert directory_as(ccache, "bob").whoami_s() == f"dn: {user_dn('bob')}"
    with pytest.raises(gssapi.exceptions.GSSError, match=REFUSED):
        make_proof(ccache, b"", TPI)


@pytest.mark.parametrize("target", [LDAP, TPI])
def test_the_kdc_lets_it_conjure_up_nobody(world: World, target: str) -> None:
    done = world.run("root", ["/usr/bin/kinit", "-c", "/tmp/krb5cc_http", "-k", "-t", HTTP_KEYTAB, HTTP])
    assert done.status == 0, done.err
    words = ["-c", "/tmp/krb5cc_http", "-k", HTTP_KEYTAB, "-U", f"bob@{REALM}", "-P", target]
    done = world.run("root", ["/usr/bin/kvno", *words])
    assert done.status != 0
    with pytest.raises(gssapi.exceptions.GSSError):
        make_proof(conjured("bob"), b"", TPI)


def test_the_executor_refuses_a_proof_by_delegation(world: World) -> None:
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    root = world.root()
    with changed(root, HTTP_DN, krbAllowedToDelegateTo=[LDAP.encode(), TPI.encode()]):
        ccache = taken_from(world, "bob")
        made = make_proof(ccache, mic_text(Purpose.APPROVE, about), TPI)
    connection = directory_as(ccache, "bob")
    add_voice(
        connection, request_id, "ipaTpiApproval", about
    )  # creatorsName is bob's: he cannot tell it from his own
    forged = add_proof(connection, request_id, "approve", about, made)
    refused_proof(world, request_id, forged, "proof-delegated")
    settle(world, request_id, "alice")
    assert world.api("bob").show(request_id).code == "proof-missing"
    # What the delegated proof lacked was bob himself.
    before = world.starts()
    prove(world, "bob", request_id, Purpose.APPROVE, about)
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_a_ticket_that_hides_the_delegation_is_none(world: World) -> None:
    """The KDC is told to leave out the part of the ticket that tells of delegation (no_auth_data_required)."""
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    root = world.root()
    flags = str(0x00400000 | 0x80).encode()
    targets = [LDAP.encode(), TPI.encode()]
    with (
        changed(root, EXECUTOR_DN, krbTicketFlags=[flags]),
        changed(root, HTTP_DN, krbAllowedToDelegateTo=targets),
    ):
        ccache = taken_from(world, "bob")
        made = make_proof(ccache, mic_text(Purpose.APPROVE, about), TPI)
    connection = directory_as(ccache, "bob")
    add_voice(connection, request_id, "ipaTpiApproval", about)
    refused_proof(
        world, request_id, add_proof(connection, request_id, "approve", about, made), "proof-delegated"
    )
    settle(world, request_id, "alice")


def test_nor_one_for_somebody_who_never_came(world: World) -> None:
    """With protocol transition allowed too, the web tier needs no caller at all."""
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    root = world.root()
    flags = str(0x00200000 | 0x80).encode()  # ok_to_auth_as_delegate, requires_pre_auth
    with changed(root, HTTP_DN, krbAllowedToDelegateTo=[LDAP.encode(), TPI.encode()], krbTicketFlags=[flags]):
        ccache = conjured("bob")
        made = make_proof(ccache, mic_text(Purpose.APPROVE, about), TPI)
        connection = directory_as(ccache, "bob")
    add_voice(connection, request_id, "ipaTpiApproval", about)
    forged = add_proof(connection, request_id, "approve", about, made)
    refused_proof(world, request_id, forged, "proof-delegated")
    settle(world, request_id, "alice")
    assert world.api("bob").show(request_id).state == "pending"


def test_the_web_tier_as_itself_is_nobody(world: World) -> None:
    request_id = world.request("alice")
    connection = world.service(HTTP_KEYTAB, HTTP)
    for kind in ("ipaTpiApproval", "ipaTpiDenial", "ipaTpiCancellation"):
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            add_voice(connection, request_id, kind, digests(world, request_id).approval)
    assert connection.search_s(REQUESTS, ldap.SCOPE_SUBTREE, "(ipaTpiRequestId=*)") == []
