"""The RA agent of the CA host, as FreeIPA makes it: a user of Dogtag's own, a certificate, a key without a password.

Its entries are added by who owns Dogtag's directory. It is nobody's part of the product, and every test that has it
shows what holds although somebody has it.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import ldap
from ca_host import CaHost, Profile
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from lab.ca_spawn import DATABASE_PASSWORD, LDAPI

USER = "ipara"
# Where each subsystem keeps its users, and the groups that FreeIPA puts the agent in.
_PLACES = {
    "o=ipaca": ("Certificate Manager Agents", "Registration Manager Agents", "Administrators"),
    "o=kra,o=ipaca": ("Data Recovery Manager Agents",),
}


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files in PEM."""

    certificate: Path
    key: Path

    @property
    def shown(self) -> tuple[str, str]:
        """As `requests` takes them."""
        return str(self.certificate), str(self.key)

    def number(self) -> int:
        """Return the certificate's serial number."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).serial_number


def issue(ca: CaHost, profile: Profile, folder: Path, file: str, name: str) -> Identity:
    """Let the real CA issue a certificate.

    Args:
        ca: The host.
        profile: By which.
        folder: Where to put it.
        file: What the files are called.
        name: The common name; the organisation is the realm.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TPI.TEST"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    profile.say(0)
    answer = ca.enroll("alice", profile.name, request.public_bytes(serialization.Encoding.PEM).decode())
    found = ca.certificate(answer.json["entries"][0]["certId"])
    return _written(found.public_bytes(serialization.Encoding.PEM), key, folder, file)


def pretended(folder: Path, file: str, subject: str, issuer: str) -> Identity:
    """Make a certificate that only says that it is somebody's, by an authority of the same name."""
    made = folder / f"{file}.crt", folder / f"{file}.key"
    authority = folder / f"{file}-authority.crt", folder / f"{file}-authority.key"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    _run([*new, "-subj", issuer, "-out", str(authority[0]), "-keyout", str(authority[1])])
    signed = ["-CA", str(authority[0]), "-CAkey", str(authority[1])]
    _run([*new, "-subj", subject, *signed, "-out", str(made[0]), "-keyout", str(made[1])])
    return Identity(*made)


def administrator(folder: Path) -> Identity:
    """Return what Dogtag's own administrator has, by the same CA as the agent's."""
    archive, made = (
        "/root/.dogtag/pki-tomcat/ca_admin_cert.p12",
        Identity(folder / "admin.crt", folder / "admin.key"),
    )
    read = ["openssl", "pkcs12", "-in", archive, "-passin", f"pass:{DATABASE_PASSWORD}", "-nodes"]
    _run([*read, "-clcerts", "-nokeys", "-out", str(made.certificate)])
    _run([*read, "-nocerts", "-out", str(made.key)])
    return made


def make_agent(agent: Identity) -> None:
    """Tell CA and KRA that it is the RA agent, as FreeIPA's installer does."""
    certificate = x509.load_pem_x509_certificate(agent.certificate.read_bytes())
    names = f"{certificate.issuer.rfc4514_string()};{certificate.subject.rfc4514_string()}"
    values = {
        "objectClass": [b"top", b"person", b"organizationalPerson", b"inetOrgPerson", b"cmsuser"],
        "uid": [USER.encode()],
        "sn": [USER.encode()],
        "cn": [USER.encode()],
        "usertype": [b"agentType"],
        "userstate": [b"1"],
        "description": [f"2;{certificate.serial_number};{names}".encode()],
        "userCertificate": [certificate.public_bytes(serialization.Encoding.DER)],
    }
    connection = ldap.initialize(LDAPI)
    connection.sasl_non_interactive_bind_s("EXTERNAL")
    for base, groups in _PLACES.items():
        entry = f"uid={USER},ou=people,{base}"
        try:
            connection.add_s(entry, list(values.items()))
        except ldap.ALREADY_EXISTS:
            changed = [(ldap.MOD_REPLACE, name, values[name]) for name in ("description", "userCertificate")]
            connection.modify_s(entry, changed)
        for group in groups:
            member = [(ldap.MOD_ADD, "uniqueMember", [entry.encode()])]
            try:
                connection.modify_s(f"cn={group},ou=groups,{base}", member)
            except ldap.TYPE_OR_VALUE_EXISTS:
                continue
    connection.unbind_s()


def _written(certificate: bytes, key: rsa.RSAPrivateKey, folder: Path, file: str) -> Identity:
    made = Identity(folder / f"{file}.crt", folder / f"{file}.key")
    made.certificate.write_bytes(certificate)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(made.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file_object:
        file_object.write(text)
    return made


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
