"""The web service itself is hostile, and shows an approver something else than what lies in the directory.

It is as clever as it can be (lab/hostile.wsgi): all that it shows fits together.  It runs in the real
mod_wsgi daemon, under the account of the web service, with the tickets that callers bring.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from straight import (
    digests,
    never_intended,
    proofs,
    refused_proof,
    runs_for,
    settle,
)
from tier import WSGI, installed
from world import HOST, LDAPI, SUFFIX, World

from ipa_tpi.errors import TpiError

SHOWN = "DS02"  # what lab/hostile.wsgi shows in place of DS01
HOSTILE = Path(__file__).parents[2] / "lab" / "hostile.wsgi"


def test_what_a_hostile_web_tier_shows_is_not_what_runs(world: World) -> None:
    request_id = world.request("alice")
    before = world.starts()
    with installed(world, HOSTILE.read_bytes()):
        done = world.cli("bob", "approve", request_id, "--yes")
        assert SHOWN in done.out + done.err
        assert "DS01" not in done.out
    (proof,) = proofs(world, request_id, "bob")
    # The proof is bob's own, for the executor: about what he saw.
    refused_proof(world, request_id, proof.entry_id, "proof-wrong-digest")
    settle(world, request_id, "alice")
    never_intended(world, request_id)
    assert world.starts() == before
    runs_for(world, request_id, "carol")


# What the web service can do by itself, while bob's ticket is there: everything in the directory, and no proof.
THIEF = """
import gssapi, json, uuid
from ipa_tpi.adapters.directory import open_directory
from ipa_tpi.adapters.gss import KRB5, caller_credentials
from ipa_tpi.ports import NewEntry
from ipa_tpi.web.app import create_app

honest = create_app("/etc/ipa/tpi/web.toml")
ABOUT, ID = {about!r}, {request!r}

def attempt(environ):
    tried = {{}}
    credentials = caller_credentials(environ["KRB5CCNAME"], environ["GSS_NAME"])
    directory = open_directory({ldapi!r}, {host!r}, {suffix!r}, credentials)
    directory.add_child(ID, NewEntry(str(uuid.uuid4()), "ipaTpiApproval", {{"ipaTpiDigest": [ABOUT.encode()]}}))
    tried["approval"] = "added"
    for service in ("tpi", "host", "HTTP"):
        try:
            name = gssapi.Name(service + "@" + {host!r}, gssapi.NameType.hostbased_service)
            context = gssapi.SecurityContext(name=name, creds=credentials, usage="initiate", mech=KRB5)
            tried[service] = "token " + str(len(context.step()))
        except gssapi.exceptions.GSSError as error:
            tried[service] = "refused " + str(error.min_code)
    for path in ("/etc/ipa/tpi/tpi.keytab", "/var/lib/ipa/gssproxy/http.keytab", "/etc/krb5.keytab"):
        try:
            open(path, "rb").close()
            tried[path] = "read"
        except OSError as error:
            tried[path] = error.strerror
    return tried

def application(environ, start_response):
    if "steal" not in environ.get("QUERY_STRING", ""):
        return honest(environ, start_response)
    try:
        body = json.dumps(attempt(environ)).encode()
    except Exception as error:
        body = json.dumps({{"error": repr(error)}}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


def test_a_hostile_web_tier_makes_no_proof_of_its_own(world: World) -> None:
    request_id = world.request("alice")
    script = THIEF.format(
        about=digests(world, request_id).approval.hex(),
        request=request_id,
        ldapi=LDAPI,
        host=HOST,
        suffix=SUFFIX,
    )
    with installed(world, script.encode()):
        tried = json.loads(world.api("bob")._transport.ask("GET", "/tpi/v1/requests?steal=1"))
    assert tried["approval"] == "added"  # in bob's name, with his ticket
    assert tried["tpi"].startswith("refused"), tried
    denied = {tried[path] for path in tried if path.startswith("/")}
    assert denied == {"Permission denied"}
    settle(world, request_id, "alice")
    view = world.api("bob").show(request_id)
    assert (view.state, view.code) == ("pending", "proof-missing")
    never_intended(world, request_id)
    # The approval is there; only bob himself can make it count.
    before = world.starts()
    api = world.api("bob")
    api.prove(api.show(request_id))
    world.wait_state(request_id, "executed")
    assert len(world.starts()) == len(before) + 1


def test_after_the_attack_the_web_service_is_the_honest_one(world: World) -> None:
    assert b"create_app" in WSGI.read_bytes()
    with pytest.raises(TpiError):
        world.api("bob")._transport.ask("GET", "/tpi/v1/requests?steal=1")
