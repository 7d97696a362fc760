"""In the box: people with a second factor: a key on a software token (PKCS #11), or one-time passwords."""

from __future__ import annotations

import json
import pwd
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from world import REALM, Done, World, eventually

from lab import otp, pkinit
from lab.layout import system

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "4711"
KADMIN = "/usr/sbin/kadmin.local"


@dataclass(frozen=True)
class Token:
    """A person's software token, with a key and the certificate for PKINIT on it.

    Attributes:
        person: Whose.
        folder: Where it lies; its files are the person's.
    """

    person: str
    folder: Path

    @property
    def identity(self) -> str:
        """What kinit is told of it."""
        return f"PKCS11:{MODULE}:token={self.person}"

    @property
    def environment(self) -> dict[str, str]:
        """What the token's library is told."""
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    @property
    def configuration(self) -> dict[str, str]:
        """What makes every kinit of the person's look at the token."""
        return {**self.environment, "KRB5_CONFIG": str(self.folder / "krb5.conf")}

    @classmethod
    def make(cls, world: World, person: str) -> Self:
        """Make one, the key inside it."""
        token = cls(person, Path(pwd.getpwnam(person).pw_dir) / f"token-{secrets.token_hex(4)}")
        (token.folder / "tokens").mkdir(parents=True)
        certificate, key = pkinit.person_certificate(system(), person)
        content = {
            "softhsm2.conf": f"directories.tokendir = {token.folder / 'tokens'}\n".encode(),
            "krb5.conf": f"include /etc/krb5.conf\n[libdefaults]\n  pkinit_identities = {token.identity}\n".encode(),
            "person.crt": certificate,
            "person.key": key,
        }
        for name, data in content.items():
            (token.folder / name).write_bytes(data)
        subprocess.run(["/usr/bin/chown", "-R", person, str(token.folder)], check=True)
        token._fill(world)
        return token

    def _fill(self, world: World) -> None:
        there = str(self.folder)
        hsm, tool = "/usr/bin/softhsm2-util", ["/usr/bin/pkcs11-tool", "--module", MODULE]
        known = ["--label", "pkinit", "--id", "01"]
        openssl = ["/usr/bin/openssl", "x509", "-in", f"{there}/person.crt", "-outform", "DER"]
        write = ["--write-object", f"{there}/person.der", "--type", "cert", *known]
        for command in (
            [hsm, "--init-token", "--free", "--label", self.person, "--pin", PIN, "--so-pin", PIN],
            [hsm, "--import", f"{there}/person.key", "--token", self.person, "--pin", PIN, *known],
            [*openssl, "-out", f"{there}/person.der"],
            [*tool, "--token-label", self.person, "--login", "--pin", PIN, *write],
        ):
            done = world.run(self.person, command, **self.environment)
            assert done.status == 0, done
        (self.folder / "person.key").unlink()  # it is inside now, and nowhere else

    def kinit(self, world: World, *options: str, pin: str = PIN) -> Done:
        """Log in with the token, into the person's own cache."""
        words = options or ("-X", f"X509_user_identity={self.identity}")
        principal = world.people[self.person]["principal"]
        world.tickets.discard(self.person)
        command = ["/usr/bin/kinit", *words, principal]
        return world.run(self.person, command, text=f"{pin}\n", **self.environment)


@contextmanager
def one_time_passwords(folder: Path, *people: str) -> Iterator[dict[str, Callable[[], str]]]:
    """Have the KDC ask these people for one-time passwords, for a while; give what generates theirs."""
    keys = {person: secrets.token_bytes(20) for person in people}
    known = folder / "secrets.json"
    known.write_text(json.dumps({person: key.hex() for person, key in keys.items()}), encoding="utf-8")
    path = otp.socket_path(system())
    path.unlink(missing_ok=True)
    server = subprocess.Popen([sys.executable, "-m", "lab.otp", str(path), str(known)], cwd="/src")
    try:
        eventually(path.exists)
        for person in people:
            _kadmin(f"setstr {person}@{REALM} otp [{{}}]")
        yield {person: partial(_code, key) for person, key in keys.items()}
    finally:
        for person in people:
            _kadmin(f"delstr {person}@{REALM} otp")
        server.terminate()
        server.wait(timeout=10)
        with suppress(FileNotFoundError):
            path.unlink()


def _code(key: bytes) -> str:
    return otp.code(key, time.time())


def _kadmin(words: str) -> None:
    done = subprocess.run([KADMIN, "-q", words], capture_output=True, text=True, timeout=30, check=True)
    assert "while" not in done.stderr, done.stderr
