"""One-time passwords for the realm: the small RADIUS server that the KDC's OTP plugin asks (RFC 2865, RFC 6238).

It takes FreeIPA's place of ipa-otpd: one Unix socket, on which nobody but the KDC (root) is heard, and people's secrets
in a JSON file. A code is the one of this half minute or of the last, and is taken once.

    python -m lab.otp SOCKET SECRETS
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import struct
import sys
import time
from pathlib import Path

from lab.layout import Layout

STEP_SECONDS = 30
DIGITS = 6
_REQUEST, _ACCEPT, _REJECT = 1, 2, 3
_USER_NAME, _USER_PASSWORD = 1, 2
_HEADER = struct.Struct("!BBH16s")
_BLOCK = 16
_SECRET = b""  # what the KDC takes for a Unix socket


def socket_path(layout: Layout) -> Path:
    """Return where the KDC looks for the server."""
    return layout.root / "run" / "ipa-tpi-lab-otp.socket"


def code(secret: bytes, moment: float) -> str:
    """Return the one-time password of a moment (RFC 6238: SHA-1, half a minute, six digits)."""
    step = struct.pack("!Q", int(moment) // STEP_SECONDS)
    digest = hmac.digest(secret, step, "sha1")
    (number,) = struct.unpack_from("!I", digest, digest[-1] & 0x0F)
    return f"{(number & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}}"


class Verifier:
    """Knows people's secrets, and which codes were used.

    Args:
        secrets: A JSON object of user name and secret in hexadecimal digits; read anew for each question.
    """

    def __init__(self, secrets: Path) -> None:
        self._secrets = secrets
        self._used: set[tuple[str, str]] = set()

    def accepts(self, user: str, given: str, moment: float) -> bool:
        """Tell whether a code is right, and take it."""
        known = json.loads(self._secrets.read_text(encoding="utf-8")).get(user)
        if known is None or (user, given) in self._used:
            return False
        secret = bytes.fromhex(known)
        right = any(
            hmac.compare_digest(code(secret, moment - back).encode(), given.encode())
            for back in (0, STEP_SECONDS)
        )
        if right:
            self._used.add((user, given))
        return right


def answer(packet: bytes, verifier: Verifier, moment: float) -> bytes:
    """Answer one Access-Request.

    Args:
        packet: It, whole.
        verifier: Who decides.
        moment: The time.

    Returns:
        Access-Accept or Access-Reject, bound to the question by the response authenticator.
    """
    kind, number, _, question = _HEADER.unpack_from(packet)
    found = _attributes(packet[_HEADER.size :])
    user = found.get(_USER_NAME, b"").decode("utf-8", "replace")
    given = _reveal(found.get(_USER_PASSWORD, b""), question).decode("utf-8", "replace")
    taken = kind == _REQUEST and verifier.accepts(user, given, moment)
    # A Message-Authenticator is for networks: the KDC of Debian 12 drops an answer that has one and no secret.
    head = struct.pack("!BBH", _ACCEPT if taken else _REJECT, number, _HEADER.size)
    return head + hashlib.md5(head + question + _SECRET).digest()  # noqa: S324 - RFC 2865 says so


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= 2 and data[1] >= 2:  # noqa: PLR2004 - type and length
        found[data[0]] = data[2 : data[1]]
        data = data[data[1] :]
    return found


def _reveal(hidden: bytes, question: bytes) -> bytes:
    """Undo the hiding of User-Password (RFC 2865 section 5.2)."""
    shown, before = b"", question
    for start in range(0, len(hidden), _BLOCK):
        block = hidden[start : start + _BLOCK]
        mask = hashlib.md5(_SECRET + before).digest()  # noqa: S324 - RFC 2865 says so
        shown += bytes(one ^ other for one, other in zip(block, mask, strict=False))
        before = block
    return shown.rstrip(b"\0")


def serve(path: Path, verifier: Verifier) -> None:
    """Answer whoever may connect, one connection after the other, until the process is ended."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        while True:
            with listener.accept()[0] as connection, connection.makefile("rb") as stream:
                while len(head := stream.read(_HEADER.size)) == _HEADER.size:
                    length = _HEADER.unpack(head)[2]
                    packet = head + stream.read(length - _HEADER.size)
                    connection.sendall(answer(packet, verifier, time.time()))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Verifier(Path(sys.argv[2])))
