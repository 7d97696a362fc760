"""Whoever has got hold of a service's key speaks as a second person: HTTP/HOST, the host, the directory, an executor.

Then one person and the root of one machine would be two.  Only people speak.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import ldap
import pytest
from straight import (
    EXECUTOR_DN,
    HTTP_DN,
    HTTP_KEYTAB,
    OTHER,
    OTHER_DN,
    OTHER_KEYTAB,
    add_proof,
    add_request,
    add_voice,
    changed,
    digests,
    draft,
    ended,
    never_intended,
    receipt,
    refused_by_directory,
    runs_for,
    settle,
)
from world import CA, HOST, KEYTAB, REALM, SUFFIX, URL, World, eventually, make_proof

from ipa_tpi.client import TpiClient
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.errors import TpiError
from ipa_tpi.model import Purpose

ROLES = f"cn=roles,cn=accounts,{SUFFIX}"
RULES = f"cn=tpirules,cn=tpi,{SUFFIX}"
TPI = f"tpi/{HOST}@{REALM}"
VOICES = ("ipaTpiApproval", "ipaTpiDenial", "ipaTpiWithdrawal", "ipaTpiCancellation")


@dataclass(frozen=True)
class Service:
    """A service, with its key in the attacker's hands."""

    principal: str
    keytab: str
    dn: str


SERVICES = {
    "the web tier": Service(f"HTTP/{HOST}@{REALM}", HTTP_KEYTAB, HTTP_DN),
    "the host": Service(
        f"host/{HOST}@{REALM}", "/etc/krb5.keytab", f"fqdn={HOST},cn=computers,cn=accounts,{SUFFIX}"
    ),
    "the directory": Service(
        f"ldap/{HOST}@{REALM}", "/etc/dirsrv/ds.keytab", HTTP_DN.replace("=HTTP/", "=ldap/")
    ),
    "the executor": Service(TPI, KEYTAB, EXECUTOR_DN),
    "another executor": Service(f"tpi/{OTHER}@{REALM}", OTHER_KEYTAB, OTHER_DN),
}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    return SERVICES[request.param]


@pytest.fixture
def ccache(world: World, service: Service) -> str:
    """Give a ticket cache of the service."""
    path = "/tmp/krb5cc_stolen"
    done = world.run("root", ["/usr/bin/kinit", "-c", path, "-k", "-t", service.keytab, service.principal])
    assert done.status == 0, done.err
    return f"FILE:{path}"


@pytest.fixture
def request_id(world: World) -> str:
    return world.request("alice")


@pytest.fixture
def made_an_approver(world: World, service: Service) -> Iterator[None]:
    """An administrator gives the service the role, and root names it in every rule."""
    root, who = world.root(), service.dn.encode()
    role = f"cn=TPI Approver,{ROLES}"
    with ExitStack() as stack:
        before = root.search_s(role, ldap.SCOPE_BASE, attrlist=["member"])[0][1].get("member", [])
        stack.enter_context(changed(root, role, member=[*before, who]))
        for dn, raw in root.search_s(RULES, ldap.SCOPE_ONELEVEL, "(ipaTpiRight=approve)", ["memberUser"]):
            stack.enter_context(changed(root, dn, memberUser=[*raw["memberUser"], who]))
        eventually(lambda: has_role(root, service.dn))
        yield


def has_role(root: Any, dn: str) -> bool:
    found = root.search_s(dn, ldap.SCOPE_BASE, attrlist=["memberOf"])[0][1].get("memberOf", [])
    return any(value.startswith(b"cn=TPI Approve,") for value in found)


def test_the_directory_takes_no_word_of_a_service(world: World, service: Service, request_id: str) -> None:
    connection = world.service(service.keytab, service.principal)
    about = digests(world, request_id).approval
    for kind in VOICES:
        with refused_by_directory():
            add_voice(connection, request_id, kind, about)
    with refused_by_directory():
        add_proof(connection, request_id, "approve", about, (b"x", b"x"))
    with refused_by_directory():
        add_request(connection, draft(world, "alice"))
    # The same hands, a person: it was not the form that was refused.
    add_voice(world.ldap("bob"), request_id, "ipaTpiDenial", about)
    assert ended(world, request_id) == ("denied", "denied-by-approver")


def test_the_web_service_takes_no_word_of_a_service(world: World, ccache: str, request_id: str) -> None:
    view = world.api("bob").show(request_id)
    api = TpiClient(URL, CA, ccache=ccache)
    for speak in (api.approve, api.deny, api.withdraw, api.cancel):
        with pytest.raises(TpiError) as caught:
            speak(view)
        # The executor alone sees the request; the others do not even that.
        assert caught.value.code in {"not-found", "not-a-person", "not-requester", "nothing-to-withdraw"}
    runs_for(world, request_id)


@pytest.mark.usefixtures("made_an_approver")
def test_a_service_with_role_and_rule_is_still_no_person(
    world: World, service: Service, ccache: str, request_id: str
) -> None:
    """The directory takes its approval then, and the proof is right: it does not count."""
    connection = world.service(service.keytab, service.principal)
    about = digests(world, request_id).approval
    before = world.invocation()
    add_voice(connection, request_id, "ipaTpiApproval", about)
    if service.dn == EXECUTOR_DN:  # it knows that it did not write it
        assert ended(world, request_id) == ("denied", "forged-entry")
        never_intended(world, request_id)
        assert world.invocation() == before
        return
    proof = add_proof(
        connection,
        request_id,
        "approve",
        about,
        make_proof(ccache, mic_text(Purpose.APPROVE, about), TPI),
    )
    assert receipt(world, request_id, proof) == "verified"
    settle(world, request_id, "alice")
    (refusal,) = world.audit(request_id, "approval-refused")
    assert (refusal["writer"], refusal["code"]) == (service.dn.lower(), "not-a-person")
    (voice,) = world.api("frank").show(request_id).approvals
    assert (voice.code, voice.counts) == ("not-a-person", False)
    never_intended(world, request_id)
    assert world.invocation() == before
    runs_for(world, request_id)
