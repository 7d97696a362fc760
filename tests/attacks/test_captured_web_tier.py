"""The web tier is taken over: hostile code (`captured.wsgi`) in the real mod_wsgi daemon tries whatever it might do.

It has the daemon's account, gssproxy, the folder of ticket caches, and callers who arrive meanwhile.  What it gains is
what docs/threat-model.md says: it writes, withholds and lies in the name of those who call, and of those who called, as
long as their tickets last.  It makes nothing run, since it has nobody's proof; and of what two people want together, it
chooses the moment within the windows, and can keep a third one's veto back.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from straight import (
    HTTP_KEYTAB,
    digests,
    never_intended,
    proofs,
    refused_proof,
    request_dn,
    runs_for,
    settle,
    user_dn,
)
from tier import Captured, child, entry_id_of, forged_request, kept_back, made_digest, proof_child, uid
from world import HOST, KEYTAB, REALM, SUFFIX, UNIT, World, eventually

from ipa_tpi.client import Wish
from ipa_tpi.decide.digest import mic_text
from ipa_tpi.errors import UnavailableError
from ipa_tpi.model import Purpose

WISH = Wish("dirsrv.restart", HOST, {"instance": "DS01"})
OTHER_WEB = "HTTP/ca.tpi.test"  # as Dogtag's, behind another Apache


def as_stored(world: World, dn: str) -> dict[str, list[bytes]]:
    ((_, raw),) = world.root().search_s(dn, 0, attrlist=["*", "creatorsName"])
    return dict(raw)


# --- it is what it claims to be -----------------------------------------------


def test_it_runs_in_the_daemon_among_callers_who_arrive_meanwhile(world: World, tier: Captured) -> None:
    """It has the daemon's account, gssproxy's tickets, and those of a caller whom it lets wait meanwhile."""
    found = tier.do("where")
    assert found["uid"] == uid()
    assert "apache2.service" in found["cgroup"]
    assert (found["interposer"], found["keytab_of_process"]) == ("yes", "")
    assert (
        found["caches"] == "Permission denied"
    )  # it knows those that callers bring, and cannot look for others
    before, views = world.starts(), []
    tier.treat("hold")
    caller = threading.Thread(target=lambda: views.append(world.api("alice").create(WISH)))
    caller.start()
    try:
        held = Path(eventually(lambda: (tier.folder / "held").exists() and tier.folder / "held")).read_text()
        assert Path(held.removeprefix("FILE:")).parent == Path("/run/ipa-tpi/ccaches")
        forged, made = forged_request(world, "alice")
        assert tier.write("alice", made, ccache=held.removeprefix("FILE:")) == ["added"]
    finally:
        (tier.folder / "release").touch()
        caller.join(timeout=30)
    assert as_stored(world, request_dn(forged))["creatorsName"] == [user_dn("alice").encode()]
    view = world.api("alice").show(forged)
    assert (view.state, view.code) == ("awaiting-preview", "proof-missing")
    never_intended(world, forged)
    assert world.starts() == before
    # What she herself asked for was only late, and runs.
    world.wait_state(views[0].id, "pending")
    runs_for(world, views[0].id)


# --- forge --------------------------------------------------------------------


def test_a_request_that_it_forges_stays_without_a_proof(world: World, tier: Captured) -> None:
    """Alice is gone; her tickets were kept.  With an earlier proof of hers it goes no further."""
    before = world.starts()
    real = world.request("alice")
    used = json.loads(tier.said("alice", "/requests")[-1]["body"])["proof"]
    tier.treat("refuse")  # and one that nobody has seen yet
    with pytest.raises(UnavailableError):
        world.api("alice").create(WISH)
    tier.treat("pass")
    fresh = json.loads(tier.said("alice", "/requests")[-1]["body"])["proof"]
    forged, made = forged_request(world, "alice")
    tried = {
        "proof-replayed": proof_child(forged, used, made_digest(made)),
        "proof-wrong-digest": proof_child(forged, fresh, made_digest(made)),
    }
    assert tier.write("alice", made, *tried.values()) == ["added"] * 3
    for code, proof in tried.items():
        refused_proof(world, forged, entry_id_of(proof), code)
    settle(world, forged, "alice")
    view = world.api("alice").show(forged)
    assert (view.state, view.mine, view.preview) == ("awaiting-preview", True, None)
    never_intended(world, forged)
    assert world.starts() == before
    # Only alice's own proof was missing: with it, and bob's, it is a request like any other.
    world.api("alice").prove(view)
    world.wait_state(forged, "pending")
    runs_for(world, forged)
    assert world.api("alice").show(real).state == "pending"


def test_an_approval_that_it_forges_does_not_count_whatever_proof_it_lays_beside_it(
    world: World, tier: Captured
) -> None:
    """Bob approved something else and went home.  Neither that proof, nor one of the service's own, is of use."""
    other = world.request("alice")
    world.approve("bob", other)
    world.wait_state(other, "executed")
    used = json.loads(tier.said("bob", "/approvals")[-1]["body"])["proof"]
    kept_back(world, tier, world.request("alice"))  # and nobody has seen this one
    taken = json.loads(tier.said("bob", "/approvals")[-1]["body"])["proof"]
    before = world.starts()
    request_id = world.request("alice")
    about = digests(world, request_id).approval
    text = base64.b64encode(mic_text(Purpose.APPROVE, about)).decode()
    name, token, mic = tier.do("prove", text=text)
    assert name == f"HTTP/{HOST}@{REALM}"
    own = {"purpose": "approve", "digest": about.hex(), "token": token, "mic": mic}
    approval = child(request_id, "ipaTpiApproval", ipaTpiDigest=about.hex().encode())
    tried = {
        "proof-replayed": proof_child(request_id, used, about.hex()),
        "proof-wrong-digest": proof_child(request_id, taken, about.hex()),
        "proof-other-principal": proof_child(request_id, own),
        "proof-invalid": proof_child(request_id, {**own, "token": base64.b64encode(b"x" * 800).decode()}),
    }
    assert tier.write("bob", approval, *tried.values()) == ["added"] * 5
    assert as_stored(world, approval[0])["creatorsName"] == [user_dn("bob").encode()]
    for code, proof in tried.items():
        refused_proof(world, request_id, entry_id_of(proof), code)
    settle(world, request_id, "alice")
    view = world.api("frank").show(request_id)
    assert (view.state, [voice.counts for voice in view.approvals]) == ("pending", [False])
    never_intended(world, request_id)
    assert world.starts() == before
    runs_for(world, request_id, "carol")


# --- swap ---------------------------------------------------------------------


def test_another_request_than_was_asked_for_goes_no_further(world: World, tier: Captured) -> None:
    """Alice asks for DS01 and is shown DS01; TPI-TEST is recorded, with the proof that she made."""
    tier.treat("swap")
    done = world.cli("alice", "create", "dirsrv.restart", "instance=DS01", "-o", "name")
    assert done.status == 0, done
    request_id = done.out.strip()
    tier.treat("pass")
    assert as_stored(world, request_dn(request_id))["ipaTpiParameters"] == [b'{"instance":"TPI-TEST"}']
    (proof,) = proofs(world, request_id, "alice")
    refused_proof(world, request_id, proof.entry_id, "proof-wrong-digest")
    settle(world, request_id, "alice")
    view = world.api("alice").show(request_id)
    assert (view.state, view.parameters) == ("awaiting-preview", {"instance": "TPI-TEST"})
    never_intended(world, request_id)


# --- reach --------------------------------------------------------------------


@pytest.fixture
def other_web(world: World) -> Iterator[str]:
    """Another web service of the realm's, as that of a certificate authority."""
    where = f"cn=services,cn=accounts,{SUFFIX}"
    kadmin("addprinc", "-randkey", "-x", f"containerdn={where}", OTHER_WEB)
    yield f"{OTHER_WEB}@{REALM}"
    kadmin("delprinc", "-force", OTHER_WEB)
    assert world.root().search_s(where, 2, f"(krbPrincipalName={OTHER_WEB}@{REALM})") == []


def kadmin(*words: str) -> None:
    done = subprocess.run(
        ["/usr/sbin/kadmin.local", *words], capture_output=True, text=True, timeout=30, check=True
    )
    assert "while" not in done.stderr, done.stderr


def test_with_a_callers_ticket_it_reaches_the_directory_and_nothing_else(
    world: World, tier: Captured, other_web: str
) -> None:
    """Not the executor, this one's or another's; not the host, not another web service as Dogtag's: the KDC refuses.

    What bob brought is a ticket for this web service, so this Apache would take it for bob once more.
    """
    world.api("bob").operations()
    mine, directory = f"bob@{REALM}", f"ldap/{HOST}@{REALM}"
    others = [f"{name}@{REALM}" for name in (f"tpi/{HOST}", "tpi/other.tpi.test", f"host/{HOST}")]
    found = tier.do("reach", who=mine, services=[directory, *others, other_web])
    assert found.pop(directory)["token"] > 100
    for service, said in found.items():
        assert "refused" in said, (service, said)
        assert refused_by_kdc(service), service
        # It was not the service's name: bob himself gets a ticket for it.
        assert world.run("bob", ["/usr/bin/kvno", service]).status == 0, service
    itself = f"HTTP/{HOST}@{REALM}"
    assert "token" in tier.do("reach", who=mine, services=[itself])[itself]


def refused_by_kdc(service: str) -> bool:
    words = ["/usr/bin/journalctl", "-u", "krb5-kdc", "-o", "cat", "--since", "-1min", "--no-pager"]
    lines = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()
    asked = f"HTTP/{HOST}@{REALM} for {service}, KDC can't fulfill requested option"
    return any("UNSUPPORTED_S4U2PROXY_REQUEST" in line and asked in line for line in lines)


def test_it_acts_for_nobody_who_did_not_come(world: World, tier: Captured) -> None:
    """Nobody but frank calls here; what the service can do alone is to name somebody, and the directory is shut."""
    found = tier.do("conjure", who=f"erin@{REALM}")
    assert "refused" in found or "refused" in found["directory"], found
    said = tier.do("write", who=f"erin@{REALM}", entries=[])
    assert "error" in said, said
    # Without any tickets it is the service itself, who may ask for a ticket as anybody may, and is nobody.
    own = tier.do("reach", who="", services=[f"tpi/{HOST}@{REALM}"])
    assert "token" in own[f"tpi/{HOST}@{REALM}"]
    assert world.api("frank").operations()


def test_no_door_of_this_host_opens_for_it(world: World, tier: Captured) -> None:
    """Neither keys nor the executor's journal; the executor's socket hears a wake-up; systemd says no."""
    request_id, before = world.request("alice"), world.invocation()
    shut = (
        KEYTAB,
        HTTP_KEYTAB,
        "/etc/krb5.keytab",
        "/var/lib/ipa-tpi-executor/journal.sqlite",
        "/etc/shadow",
    )
    assert tier.do("look", paths=shut) == dict.fromkeys(shut, "Permission denied")
    nudge, health, consume, run = (
        {"verb": "nudge", "id": request_id},
        {"verb": "health"},
        {"verb": "consume"},
        {"verb": "execute", "id": request_id},
    )
    answers = tier.do("tell", lines=[json.dumps(one) for one in (nudge, health, consume, run)])
    assert answers[0].get("ok") is True, answers
    assert [one.get("ok") for one in answers[1:]] == [False] * 3, answers
    status, text = tier.do("bus", unit=UNIT)
    assert status != 0
    assert "denied" in text.lower() or "authentication" in text.lower(), text
    time.sleep(0.2)
    settle(world, request_id, "alice")
    never_intended(world, request_id)
    assert world.invocation() == before
    runs_for(world, request_id)
