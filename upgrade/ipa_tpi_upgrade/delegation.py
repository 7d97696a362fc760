"""What Apache on a CA host has to find in a ticket that the executor of that host got on behalf of somebody (D16).

It is S4U_DELEGATION_INFO (MS-PAC section 2.9), as MIT's KDC writes it into the ticket and signs it: the service that the
ticket is for, and the one service that got it.
"""

import base64
import struct

# Numbers of the structure's pointers; any would do, these are what the KDC writes.
_INFO, _TARGET, _SERVICES, _VIA = 0x20000, 0x20004, 0x20008, 0x2000C


def delegation(target: str, via: str) -> str:
    """Return it in base64, as mod_auth_gssapi shows it.

    Args:
        target: the principal that the ticket is for, without the realm.
        via: the principal of the service that got it.
    """
    body = struct.pack("<I", _INFO) + _header(target, _TARGET) + struct.pack("<II", 1, _SERVICES)
    body += _text(target) + struct.pack("<I", 1) + _header(via, _VIA) + _text(via)
    body += b"\0" * (-len(body) % 8)
    # RPC type serialization, version 1 (MS-RPCE section 2.2.6).
    head = struct.pack("<BBHIII", 1, 0x10, 8, 0xCCCCCCCC, len(body), 0)
    return base64.b64encode(head + body).decode()


def _header(text: str, referent: int) -> bytes:
    size = 2 * len(text)
    return struct.pack("<HHI", size, size + 2, referent)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    counts = struct.pack("<III", len(text) + 1, 0, len(text))
    return counts + encoded + b"\0" * (-len(encoded) % 4)
