"""A web tier in the attacker's hands: his script in the place of the installed one, in the real mod_wsgi daemon."""

from __future__ import annotations

import base64
import json
import pwd
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from straight import Values, draft, new_id, request_dn, request_values
from world import World, eventually

from ipa_tpi.errors import TpiError, UnavailableError

WSGI = Path("/usr/share/ipa-tpi/tpi.wsgi")
CAPTURED = Path(__file__).parent / "captured.wsgi"
ACCOUNT = "ipatpi-web"
Said = list[dict[str, str]]


@contextmanager
def installed(world: World, script: bytes) -> Iterator[None]:
    """Have another WSGI script in place of the installed one."""
    saved = WSGI.read_bytes()
    try:
        _serve(world, script)
        yield
    finally:
        _serve(world, saved)
        assert WSGI.read_bytes() == saved


@dataclass(frozen=True)
class Captured:
    """The web tier while `captured.wsgi` runs in it.

    Attributes:
        world: The box.
        folder: Where it keeps what came by.
    """

    world: World
    folder: Path

    def do(self, deed: str, **wanted: Any) -> Any:
        """Have it do something; frank calls, who has no part in anything."""
        path = f"/tpi/v1/requests?deed={deed}"
        answer = self.world.api("frank")._transport.ask("POST", path, json.dumps(wanted).encode())
        return json.loads(answer)

    def treat(self, mode: str) -> None:
        """Have it treat messages in another way from now on."""
        (self.folder / "mode").write_text(mode, encoding="utf-8")

    def said(self, person: str, path: str = "") -> Said:
        """Give what a person said that came by, oldest first."""
        mine = self.world.people[person]["principal"]
        return [one for one in self.do("loot") if one["who"] == mine and path in one["path"]]

    def write(self, person: str, *entries: tuple[str, Any], ccache: str = "") -> list[str]:
        """Have it write entries in a person's name."""
        who = self.world.people[person]["principal"]
        found = self.do("write", who=who, entries=entries, ccache=ccache)
        assert isinstance(found, list), found
        return found


@contextmanager
def captured(world: World) -> Iterator[Captured]:
    """Have the web tier in the attacker's hands for a while."""
    # Its /tmp and /var/tmp are its own.
    folder = Path("/var/lib") / f"captured-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    shutil.chown(folder, ACCOUNT)
    (folder / "mode").write_text("pass", encoding="utf-8")
    (folder / "mode").chmod(0o644)
    script = f"FOLDER = {str(folder)!r}\n".encode() + CAPTURED.read_bytes()
    try:
        with installed(world, script):
            yield Captured(world, folder)
    finally:
        shutil.rmtree(folder)


def uid() -> int:
    """Give the uid of the daemon's account."""
    return pwd.getpwnam(ACCOUNT).pw_uid


def entry(dn: str, classes: Sequence[str], values: Values) -> tuple[str, Any]:
    """Put an entry into the form that the hostile code takes."""
    content = {"objectClass": [b"top", *(name.encode() for name in classes)], **values}
    return dn, [
        (name, [base64.b64encode(one).decode() for one in ([given] if isinstance(given, bytes) else given)])
        for name, given in content.items()
    ]


def child(request_id: str, kind: str, **values: Any) -> tuple[str, Any]:
    """Give an entry below a request."""
    entry_id = new_id()
    dn = f"ipaTpiEntryId={entry_id},{request_dn(request_id)}"
    return entry(dn, [kind], {"ipaTpiEntryId": entry_id.encode(), **values})


def proof_child(request_id: str, proof: Mapping[str, str], digest: str = "") -> tuple[str, Any]:
    """Give an entry with a proof that somebody sent, said to be about what the attacker likes."""
    return child(
        request_id,
        "ipaTpiProof",
        ipaTpiProofKind=b"gss",
        ipaTpiPurpose=proof["purpose"].encode(),
        ipaTpiDigest=(digest or proof["digest"]).encode(),
        ipaTpiToken=base64.b64decode(proof["token"]),
        ipaTpiMic=base64.b64decode(proof["mic"]),
    )


def forged_request(world: World, person: str) -> tuple[str, tuple[str, Any]]:
    """Give the id and the entry of a request that somebody never made, in every detail as it should be."""
    wanted = draft(world, person)
    return wanted.id, entry(request_dn(wanted.id), ["ipaTpiRequest"], request_values(wanted))


def made_digest(made: tuple[str, Any]) -> str:
    (value,) = dict(made[1])["ipaTpiDigest"]
    return base64.b64decode(value).decode()


def kept_back(world: World, tier: Captured, request_id: str) -> list[tuple[str, Any]]:
    """Have bob approve and be turned away; give the entries of what he said."""
    tier.treat("refuse")
    with pytest.raises(UnavailableError):
        world.approve("bob", request_id)
    tier.treat("pass")
    said = json.loads(tier.said("bob", f"{request_id}/approvals")[-1]["body"])
    approval = child(request_id, "ipaTpiApproval", ipaTpiDigest=said["digest"].encode())
    return [approval, proof_child(request_id, said["proof"])]


def entry_id_of(made: tuple[str, Any]) -> str:
    """Give the id of a child."""
    return made[0].partition(",")[0].partition("=")[2]


def _serve(world: World, script: bytes) -> None:
    WSGI.write_bytes(script)
    world.systemctl("restart", "apache2")  # or one of two processes would be of the other kind for a while
    eventually(lambda: _answers(world))


def _answers(world: World) -> bool:
    try:
        world.api("frank").operations()
    except TpiError:
        return False
    return True
