"""The ways to Dogtag on a CA host: the public location, a session on its own port, its connector, and the executor's."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ajp
import ca_operator
import requests
from apache import weakened
from ca_calls import Call, Scene
from ca_host import SECONDS, TLS_AUTHORITY, CaHost
from cryptography.hazmat.primitives import serialization

from ipa_tpi.adapters.gss import negotiate_header
from lab.ca_spawn import AJP_SECRET
from lab.layout import CA_HOST, REALM

_RAW, _JSON = "application/octet-stream", "application/json"
Way = Callable[["Ways", Call, Scene, str], int]


@dataclass
class Ways:
    """How somebody asks for a call; each returns the HTTP status.

    Attributes:
        ca: the host.
        folder: where files are kept.
    """

    ca: CaHost
    folder: Path
    _sessions: dict[str, str] = field(default_factory=dict)
    _told: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def remember(self, *people: str) -> None:
        """Get a session of each from Apache, which for this is told to let it through, and what Apache tells of them."""
        authority = self.ca.authority().public_bytes(serialization.Encoding.PEM)
        (self.folder / "ca.pem").write_bytes(authority)
        with weakened({"Header onsuccess unset Set-Cookie": "", "Header always unset Set-Cookie": ""}):
            for person in people:
                given = self.ca.call(person, "GET", "/account/login")
                cookie = given.headers["Set-Cookie"]
                self._sessions[person] = cookie.partition("JSESSIONID=")[2].partition(";")[0]
                self._told[person] = told(given.json["Roles"]["Role"])

    def public(self, call: Call, scene: Scene, person: str) -> int:
        """By Negotiate on 443."""
        path, body, raw = call.path.format(**scene), call.wish(scene), call.raw(scene)
        return self.ca.call(person, call.method, path, body=body, raw=raw).status

    def session(self, call: Call, scene: Scene, person: str) -> int:
        """By nothing but the session that Dogtag gave to Apache for it, on Dogtag's own port."""
        raw = call.raw(scene)
        return requests.request(
            call.method,
            f"https://{CA_HOST}:8443/ca/rest{call.path.format(**scene)}",
            json=call.wish(scene),
            data=raw,
            headers={"Accept": _JSON, **({"Content-Type": _RAW} if raw is not None else {})},
            cookies={"JSESSIONID": self._sessions[person]},
            verify=str(self.folder / "ca.pem"),
            timeout=SECONDS,
        ).status_code

    def connector(self, call: Call, scene: Scene, person: str) -> int:
        """At the connector, with everything that Apache tells of it, but the secret."""
        return self._ajp(call, scene, person, "")

    def connector_with_the_secret(self, call: Call, scene: Scene, person: str) -> int:
        """The same, with the secret."""
        return self._ajp(call, scene, person, AJP_SECRET)

    def operator(self, call: Call, scene: Scene, person: str) -> int:
        """Through the executor's location, with what a proof gave to it."""
        credentials = ca_operator.evidence(self.ca.ccache(person))
        path, body, raw = call.path.format(**scene), call.wish(scene), call.raw(scene)
        return ca_operator.ask(call.method, path, credentials=credentials, body=body, raw=raw).status

    def _ajp(self, call: Call, scene: Scene, person: str, secret: str) -> int:
        raw, wish = call.raw(scene), call.wish(scene)
        body = raw if raw is not None else "" if wish is None else json.dumps(wish)
        return ajp.ask(
            f"/ca/rest{call.path.format(**scene)}",
            user=f"{person}@{REALM}",
            attributes=self._told[person],
            secret=secret,
            method=call.method,
            body=body,
            kind=_JSON if raw is None else _RAW,
        )[0]


def told(groups: list[str]) -> dict[str, str]:
    """Return the attributes by which Apache tells Dogtag of memberships."""
    numbered = {f"REMOTE_USER_GROUP_{number}": name for number, name in enumerate(groups, start=1)}
    return {"REMOTE_USER_GROUP_N": str(len(groups)), **numbered}


def as_written(ca: CaHost, person: str, path: str) -> tuple[int, str]:
    """Ask for a path of the public location letter by letter: other clients put dots, slashes and letters right."""
    authority = ssl.create_default_context(cafile=TLS_AUTHORITY)
    connection = http.client.HTTPSConnection(CA_HOST, context=authority, timeout=SECONDS)
    ticket = negotiate_header(ca_operator.tickets(ca.ccache(person)), CA_HOST)
    headers = {"Authorization": ticket, "Accept": "application/json", "Content-Type": "application/json"}
    connection.request("POST", f"/tpi/ca/rest{path}", '{"Reason": "Superseded"}', headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


ALONE: Mapping[str, Way] = {
    "443": Ways.public,
    "8443": Ways.session,
    "8009": Ways.connector,
    "8009 with the secret": Ways.connector_with_the_secret,
}
