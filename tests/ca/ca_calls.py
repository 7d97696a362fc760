"""Every call of Dogtag's REST interface that a controlled operation of ours stands for, and what it acts on.

A right of Dogtag's covers several calls; all of them are here, not only those that the executor makes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ca_operator
import ldap
from ca_host import CaHost, Profile, certificate_request
from ca_profile import profile_text

from lab.ca_spawn import LDAPI

ACCEPTS = Path("/bin/true")
# What an operation could change. Who else writes there is the CA itself, when it issues or is asked to.
_WATCHED = (
    "ou=certificateRepository,ou=ca,o=ipaca",
    "ou=certificateProfiles,ou=ca,o=ipaca",
    "ou=authorities,ou=ca,o=ipaca",
    "ou=ca,ou=requests,o=ipaca",
    "ou=people,o=ipaca",
    "ou=groups,o=ipaca",
)


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        operation: ours that stands for it.
        method: of HTTP.
        path: below the REST interface; names in braces are the scene's.
        done: what it is answered with where it is done; 0 where this Dogtag does it for nobody of the realm.
        body: sent as JSON.
        profile: of which the text is sent, in place of a body.
    """

    operation: str
    method: str
    path: str
    done: int
    body: Any = None
    profile: str = ""

    def __str__(self) -> str:
        """Tell which it is."""
        return f"{self.operation} {self.method} {self.path}"

    def raw(self, scene: Scene) -> str | None:
        """Return the text that is sent as it is."""
        return profile_text(scene[self.profile], ACCEPTS, timeout_seconds=9) if self.profile else None

    def wish(self, scene: Scene) -> Any:
        """Return what is sent as JSON."""
        return json.loads(json.dumps(self.body).replace("@new@", scene["new"])) if self.body else self.body


Scene = dict[str, str]
_APPROVAL = "approval of a request"
CALLS = (
    Call("dogtag.cert.hold", "POST", "/agent/certs/{valid}/revoke", 200, {"Reason": "Certificate_Hold"}),
    Call("dogtag.cert.release", "POST", "/agent/certs/{held}/unrevoke", 200),
    Call("dogtag.cert.revoke", "POST", "/agent/certs/{issued}/revoke", 200, {"Reason": "Superseded"}),
    Call("dogtag.cert.revoke", "POST", "/agent/certs/0x1/revoke-ca", 0, {"Reason": "Superseded"}),
    Call("dogtag.cert.revoke", "GET", "/agent/certs/{issued}", 200),
    Call("dogtag.profile.import", "POST", "/profiles/raw", 201, profile="new"),
    Call("dogtag.profile.import", "POST", "/profiles", 0, {"id": "@new@", "classId": "caEnrollImpl"}),
    Call("dogtag.profile.modify", "PUT", "/profiles/{disabled}/raw", 200, profile="disabled"),
    Call(
        "dogtag.profile.modify", "PUT", "/profiles/{disabled}", 0, {"id": "@new@", "classId": "caEnrollImpl"}
    ),
    Call("dogtag.profile.enable", "POST", "/profiles/{disabled}?action=enable", 204),
    Call("dogtag.profile.disable", "POST", "/profiles/{enabled}?action=disable", 204),
    Call("dogtag.profile.modify", "DELETE", "/profiles/{doomed}", 204),
    Call(
        "dogtag.ca.create",
        "POST",
        "/authorities",
        200,
        {"dn": "CN=@new@,O=TPI.TEST", "parentID": "host-authority"},
    ),
    Call("dogtag.ca.enable", "POST", "/authorities/{dormant}/enable", 200),
    Call("dogtag.ca.disable", "POST", "/authorities/{active}/disable", 200),
    Call("dogtag.ca.disable", "PUT", "/authorities/{active}", 0, {"enabled": False}),
    Call("dogtag.ca.enable", "POST", "/authorities/{active}/renew", 0),
    *(
        Call(_APPROVAL, "POST", f"/agent/certrequests/{{pending}}/{verb}", 0, {})
        for verb in ("approve", "reject", "cancel", "update", "validate", "assign", "unassign")
    ),
    Call(_APPROVAL, "GET", "/agent/certrequests", 0),
)
CONTROLLED = frozenset(call.operation for call in CALLS) - {_APPROVAL}


def set_up(ca: CaHost, profile: Profile) -> Scene:
    """Make what the calls act on, as alice, where no operation on profiles and CAs is under control.

    Args:
        ca: the host.
        profile: one that issues certificates.
    """
    profile.say(0)
    scene = {"new": f"new{uuid.uuid4().hex[:8]}"}
    for name in ("issued", "valid", "held"):
        answer = ca.enroll("alice", profile.name, certificate_request(f"{name}.tpi.test"))
        scene[name] = answer.json["entries"][0]["certId"]
    path, credentials = f"/agent/certs/{scene['held']}/revoke", ca_operator.evidence(ca.ccache("alice"))
    hold = ca_operator.ask("POST", path, credentials=credentials, body={"Reason": "Certificate_Hold"})
    assert hold.status == 200, hold
    for name in ("enabled", "disabled", "doomed"):
        scene[name] = f"{name}{uuid.uuid4().hex[:8]}"
        made = ca.call("alice", "POST", "/profiles/raw", raw=profile_text(scene[name], ACCEPTS))
        assert made.status == 201, made
    assert ca.call("alice", "POST", f"/profiles/{scene['enabled']}?action=enable").status == 204
    scene["hosts"] = f"hosts{uuid.uuid4().hex[:8]}"
    text = profile_text(scene["hosts"], profile.program)
    open_to_all = "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("authz.acl=")
    )
    assert ca.call("alice", "POST", "/profiles/raw", raw=open_to_all).status == 201
    assert ca.call("alice", "POST", f"/profiles/{scene['hosts']}?action=enable").status == 204
    for name in ("active", "dormant"):
        body = {"dn": f"CN={uuid.uuid4().hex},O=TPI.TEST", "parentID": "host-authority"}
        scene[name] = ca.call("alice", "POST", "/authorities", body=body).json["id"]
    assert ca.call("alice", "POST", f"/authorities/{scene['dormant']}/disable").status == 200
    waiting = ca.enroll("alice", "caServerCert", certificate_request("pending.tpi.test")).json["entries"][0]
    assert waiting["requestStatus"] == "pending", waiting
    scene["pending"] = waiting["requestURL"].rpartition("/")[2]
    return scene


def enrolment(profile: str, request: str) -> Call:
    """Return the call that submits a certificate request to a profile."""
    inputs = (("i1", "certReqInputImpl", {"cert_request_type": "pkcs10", "cert_request": request}),)
    told = [
        {"id": i, "ClassID": kind, "Attribute": [{"name": k, "Value": v} for k, v in values.items()]}
        for i, kind, values in inputs
    ]
    body = {"ProfileID": profile, "Renewal": False, "Input": told}
    return Call("dogtag.cert.request", "POST", "/certrequests", 200, body)


def everything() -> frozenset[tuple[str, str, tuple[bytes, ...]]]:
    """Return what Dogtag holds of certificates, profiles, CAs, requests and its own users."""
    return frozenset(_values())


def _values() -> Iterator[tuple[str, str, tuple[bytes, ...]]]:
    connection = ldap.initialize(LDAPI)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    try:
        for base in _WATCHED:
            for dn, attributes in connection.search_s(base, ldap.SCOPE_SUBTREE):
                for name, values in attributes.items():
                    yield dn, name, tuple(sorted(values))
    finally:
        connection.unbind_s()
