"""The CA host from inside: people with their tickets, Apache in front of the real Dogtag, a program that it asks.

Nothing stands in for anything: tickets come over the network from ipa1's KDC, TLS is verified, and certificates are
issued by Dogtag.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gssapi
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from requests_gssapi import REQUIRED, HTTPSPNEGOAuth

from lab.layout import CA_HOST, REALM
from lab.people import PEOPLE

URL = f"https://{CA_HOST}"
TLS_AUTHORITY = "/etc/ipa/ca.crt"
SECONDS = 60.0
# Who is no person, and where their keys are.
HOST, SERVICE = f"host/{CA_HOST}", f"HTTP/{CA_HOST}"
KEYTABS = {HOST: "/etc/krb5.keytab", SERVICE: "/etc/ipa/tpi/http.keytab"}
PASSWORDS = {person.uid: person.password for person in PEOPLE}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str
    headers: Mapping[str, str]
    json: Any = None


@dataclass
class CaHost:
    """What a test on the CA host can do."""

    folder: Path
    _caches: dict[str, str] = field(default_factory=dict)

    def ccache(self, caller: str, principal: str = "") -> str:
        """Give a ticket cache with a ticket in it.

        Args:
            caller: a person, `HOST` or `SERVICE`.
            principal: the name to ask for it by, where it is another than the caller's.
        """
        name = principal or f"{caller}@{REALM}"
        if name not in self._caches:
            path = f"FILE:{self.folder}/{name.replace('/', '-')}.ccache"
            known = ("-k", "-t", KEYTABS[caller]) if caller in KEYTABS else ()
            subprocess.run(
                ["/usr/bin/kinit", *known, "-c", path, name],
                input=f"{PASSWORDS.get(caller, '')}\n",
                text=True,
                check=True,
                capture_output=True,
            )
            self._caches[name] = path
        return self._caches[name]

    def call(
        self,
        person: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        raw: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        subsystem: str = "ca",
        prefix: str = "/tpi",
    ) -> Answer:
        """Ask Dogtag through Apache, by Negotiate with a person's ticket; nobody's when `person` is empty.

        Args:
            person: who asks.
            method: of HTTP.
            path: below the subsystem's REST interface, with its query.
            body: sent as JSON.
            raw: sent as it is, in place of `body`.
            headers: further ones.
            subsystem: ca or kra.
            prefix: what comes before that in the path.
        """
        auth = None
        if person:
            credentials = gssapi.Credentials(usage="initiate", store={"ccache": self.ccache(person)})
            auth = HTTPSPNEGOAuth(creds=credentials, opportunistic_auth=True, mutual_authentication=REQUIRED)
        sent = {"Accept": "application/json", **(headers or {})}
        if raw is not None:
            sent.setdefault("Content-Type", "application/octet-stream")
        found = requests.request(
            method,
            f"{URL}{prefix}/{subsystem}/rest{path}",
            json=body,
            data=raw,
            headers=sent,
            auth=auth,
            verify=TLS_AUTHORITY,
            timeout=SECONDS,
            allow_redirects=False,
        )
        # Dogtag calls the raw text of a profile JSON too.
        is_json = found.text.startswith(("{", "["))
        return Answer(found.status_code, found.text, found.headers, found.json() if is_json else None)

    def roles(self, person: str) -> list[str]:
        """Return what Dogtag takes a person's groups and roles to be."""
        answer = self.call(person, "GET", "/account/login")
        assert answer.status == 200, answer
        roles: list[str] = answer.json["Roles"]["Role"]
        return roles

    def enroll(
        self,
        person: str,
        profile: str,
        request: str,
        *,
        authority: str = "",
        kind: str = "pkcs10",
        requestor: str = "",
    ) -> Answer:
        """Submit a certificate request to a profile, and to a sub-CA where its id is given; see `enrolment`."""
        chosen = f"?issuer-id={authority}" if authority else ""
        body = enrolment(profile, request, kind=kind, requestor=requestor)
        return self.call(person, "POST", f"/certrequests{chosen}", body=body)

    def certificate(self, number: str) -> x509.Certificate:
        """Fetch a certificate that was issued."""
        answer = self.call("alice", "GET", f"/certs/{number}")
        assert answer.status == 200, answer
        return x509.load_pem_x509_certificate(answer.json["Encoded"].encode())

    def authority(self) -> x509.Certificate:
        """Fetch Dogtag's own certificate, the first one that it issued."""
        return self.certificate("0x1")


@dataclass
class Profile:
    """A profile of Dogtag's that asks a program before it issues.

    Attributes:
        host: where it is.
        name: its id.
        program: what it asks; told by `say` what to answer, or by `do` what to do.
        seen: where that program notes its environment.
    """

    host: CaHost
    name: str
    program: Path
    seen: Path

    def say(self, status: int, text: str = "") -> None:
        """Let the program end with a status, after a text on standard output."""
        self.do(f"printf '%s' {shlex.quote(text)}; exit {status}")

    def do(self, script: str) -> None:
        """Let the program do something, in the shell's language."""
        self.seen.unlink(missing_ok=True)
        self.program.with_suffix(".sh").write_text(f"{script}\n")

    def environment(self) -> dict[str, str]:
        """Return the environment that the program was last started with."""
        rows = (row.partition("=") for row in self.seen.read_text().split("\0") if row)
        return {name: value for name, _, value in rows}

    def was_asked(self) -> bool:
        """Say whether the program was started since it was told what to say."""
        return self.seen.exists()


def enrolment(profile: str, request: str, *, kind: str = "pkcs10", requestor: str = "") -> Any:
    """Return what Dogtag takes as a request for a certificate.

    Args:
        profile: by which.
        request: its text.
        kind: what it is said to be.
        requestor: whatever the client says who it is.
    """
    inputs = (
        ("i1", "certReqInputImpl", {"cert_request_type": kind, "cert_request": request}),
        ("i2", "submitterInfoInputImpl", {"requestor_name": requestor, "requestor_email": ""}),
    )
    return {
        "ProfileID": profile,
        "Renewal": False,
        "Input": [
            {
                "id": number,
                "ClassID": name,
                "Name": name,
                "Attribute": [{"name": key, "Value": value} for key, value in values.items()],
            }
            for number, name, values in inputs
        ],
    }


def certificate_request(name: str) -> str:
    """Return a new PKCS#10 request for a common name, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
