"""A stolen supplier credential: a replication session with the realm's directory, as another supplier has it.

389-ds sets creator and time only for what its own clients write.  What comes in a replication session is taken as it
is: creatorsName, createTimestamp, nsUniqueId, past access control and the plugins that refuse.
"""

from __future__ import annotations

import itertools
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ldap
from ldap.controls import RequestControl
from ldap.extop import ExtendedRequest
from realm_directory import restart_directory
from world import LDAPI, SUFFIX, World, eventually

SUPPLIER = "cn=replication manager,cn=config"
PASSWORD = "the-other-supplier's.1"
_REPLICA = f'cn=replica,cn="{SUFFIX}",cn=mapping tree,cn=config'
_TOMBSTONE = "(&(objectClass=nsTombstone)(nsUniqueId=ffffffff-ffffffff-ffffffff-ffffffff))"
_OURS = 7  # this supplier's number
# On the wire as in 389-ds: repl5.h, repl_extop.c, repl_controls.c.
_START = "2.16.840.1.113730.3.5.3"
_INCREMENTAL = "2.16.840.1.113730.3.6.1"
_UPDATE = "2.16.840.1.113730.3.4.13"
_SEQUENCE, _SET, _OCTETS = 0x30, 0x31, 0x04
_SHORT = 128
_READY = b"\x0a\x01\x00"  # the replica is ours to write to
_AHEAD_SECONDS = 5


class ReplicationSession:
    """Writes as a supplier does.

    Args:
        world: The box; its directory takes updates (`replicated`).
    """

    def __init__(self, world: World) -> None:
        self._numbers = itertools.count(1)
        self._me = 100 + secrets.randbelow(60000)  # a new supplier each time, nothing of whom has been seen
        self._root = world.root()
        self._connection = ldap.initialize(LDAPI)
        self._connection.simple_bind_s(SUPPLIER, PASSWORD)
        generation = self._generation()
        mine = f"{{replica {self._me} ldap://other.tpi.test:389}}"
        known = _ber(_SET, _text(f"{{replicageneration}} {generation}"), _text(mine))
        body = _ber(_SEQUENCE, _text(_INCREMENTAL), _text(SUFFIX), known, _text(self._csn()))
        _, answer = self._connection.extop_s(ExtendedRequest(_START, body))
        assert answer is not None
        header = 2 if answer[1] < _SHORT else 2 + answer[1] - _SHORT
        assert answer[header : header + 3] == _READY, answer

    def add(self, dn: str, values: Mapping[str, Sequence[bytes]], creator: str, created: str = "") -> None:
        """Add an entry that bears whatever creator and time the supplier likes."""
        parent = dn.partition(",")[2]
        own = unique_id()
        stamp = (created or time.strftime("%Y%m%d%H%M%SZ", time.gmtime())).encode()
        content = [(name, list(given)) for name, given in values.items()]
        content += [
            ("nsUniqueId", [own.encode()]),
            ("creatorsName", [creator.encode()]),
            ("modifiersName", [creator.encode()]),
            ("createTimestamp", [stamp]),
            ("modifyTimestamp", [stamp]),
        ]
        self._connection.add_ext_s(dn, content, serverctrls=[self._update(own, self._id_of(parent))])

    def modify(self, dn: str, changes: Sequence[tuple[int, str, Any]]) -> None:
        """Change an entry."""
        self._connection.modify_ext_s(dn, list(changes), serverctrls=[self._update(self._id_of(dn))])

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        self._connection.delete_ext_s(dn, serverctrls=[self._update(self._id_of(dn))])

    def close(self) -> None:
        """End the session."""
        self._connection.unbind_s()

    def _update(self, *ids: str) -> RequestControl:
        own, *parent = ids
        parts = [_text(own), _text(self._csn()), *map(_text, parent)]
        return RequestControl(_UPDATE, criticality=True, encodedControlValue=_ber(_SEQUENCE, *parts))

    def _csn(self) -> str:
        # Always newer than what this server's own clients wrote, whose clock follows the latest of its suppliers'.
        number = next(self._numbers)
        return f"{int(time.time()) + _AHEAD_SECONDS * number:08x}{number:04x}{self._me:04x}0000"

    def _id_of(self, dn: str) -> str:
        ((_, raw),) = self._root.search_s(dn, ldap.SCOPE_BASE, attrlist=["nsUniqueId"])
        return str(raw["nsUniqueId"][0].decode())

    def _generation(self) -> str:
        ((_, raw),) = self._root.search_s(SUFFIX, ldap.SCOPE_SUBTREE, _TOMBSTONE, ["nsds50ruv"])
        (line,) = [value for value in raw["nsds50ruv"] if value.startswith(b"{replicageneration}")]
        return str(line.split()[1].decode())


@contextmanager
def replicated(world: World) -> Iterator[ReplicationSession]:
    """Have the directory take another supplier's updates for a while, and be that supplier."""
    root = world.root()
    root.add_s(
        SUPPLIER,
        [("objectClass", [b"top", b"person"]), ("sn", [b"x"]), ("userPassword", [PASSWORD.encode()])],
    )
    replica = {
        "objectClass": b"nsDS5Replica",
        "cn": b"replica",
        "nsDS5ReplicaRoot": SUFFIX.encode(),
        "nsDS5ReplicaType": b"3",
        "nsDS5Flags": b"1",
        "nsDS5ReplicaId": str(_OURS).encode(),
        "nsDS5ReplicaBindDN": SUPPLIER.encode(),
    }
    try:
        root.add_s(_REPLICA, [(name, [value]) for name, value in replica.items()])
        eventually(lambda: root.search_s(SUFFIX, ldap.SCOPE_SUBTREE, _TOMBSTONE, ["nsds50ruv"]))
        session = ReplicationSession(world)
        try:
            yield session
        finally:
            session.close()
    finally:
        root = world.root()
        for dn in (_REPLICA, SUPPLIER):
            root.delete_s(dn)
        # 389-ds 2.3.1 can die where one process is made a replica twice.
        restart_directory(world)


def unique_id() -> str:
    """Make an nsUniqueId."""
    digits = uuid.uuid4().hex
    return "-".join(digits[start : start + 8] for start in range(0, 32, 8))


def _text(value: str) -> bytes:
    return _ber(_OCTETS, value.encode())


def _ber(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < _SHORT:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
