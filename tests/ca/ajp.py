"""The protocol by which Apache tells Tomcat who a caller is (AJP 1.3), as far as somebody on the host would speak it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

_FORWARD_REQUEST = 2
_METHODS = {"GET": 2, "POST": 4, "PUT": 5, "DELETE": 6}
_REMOTE_USER, _AUTH_TYPE, _QUERY, _ATTRIBUTE, _SECRET, _END = 3, 4, 5, 10, 12, 255
_BODY, _HEADERS, _DONE, _MORE = 3, 4, 5, 6
_SECONDS = 20.0
PORT = 8009


def ask(
    path: str,
    *,
    user: str = "",
    attributes: Mapping[str, str] | None = None,
    secret: str = "",
    address: str = "127.0.0.1",
    method: str = "GET",
    body: str = "",
    kind: str = "application/json",
    port: int = PORT,
) -> tuple[int, str]:
    """Ask Tomcat's connector for a path, and return status and body.

    Args:
        path: what to ask for, with its query.
        user: whom the connector is to take the caller for.
        attributes: what else it is told of the caller.
        secret: what shows that this is Apache.
        address: where the connector is looked for.
        method: of HTTP.
        body: what is sent; at most as much as one packet holds.
        kind: of the body.
        port: where the connector listens.
    """
    path, _, query = path.partition("?")
    headers = {"accept": "application/json"}
    if body:
        headers |= {"content-type": kind, "content-length": str(len(body.encode()))}
    parts = [struct.pack(">BB", _FORWARD_REQUEST, _METHODS[method])]
    parts += [_string(text) for text in ("HTTP/1.1", path, "127.0.0.1", "localhost", "ca1.tpi.test")]
    parts += [struct.pack(">HBH", 443, 1, len(headers))]
    parts += [_string(text) for pair in headers.items() for text in pair]
    if user:
        parts += [bytes([_REMOTE_USER]), _string(user), bytes([_AUTH_TYPE]), _string("Negotiate")]
    if query:
        parts += [bytes([_QUERY]), _string(query)]
    for name, value in (attributes or {}).items():
        parts += [bytes([_ATTRIBUTE]), _string(name), _string(value)]
    if secret:
        parts += [bytes([_SECRET]), _string(secret)]
    with socket.create_connection((address, port), timeout=_SECONDS) as connection:
        _send(connection, b"".join([*parts, bytes([_END])]))
        if body:
            _send(connection, _string(body)[:-1])
        return _answer(connection)


def _send(connection: socket.socket, message: bytes) -> None:
    connection.sendall(struct.pack(">HH", 0x1234, len(message)) + message)


def _answer(connection: socket.socket) -> tuple[int, str]:
    status, body = 0, b""
    while True:
        magic, length = struct.unpack(">2sH", _exactly(connection, 4))
        assert magic == b"AB"
        data = _exactly(connection, length)
        if data[0] == _HEADERS:
            (status,) = struct.unpack(">H", data[1:3])
        elif data[0] == _BODY:
            (size,) = struct.unpack(">H", data[1:3])
            body += data[3 : 3 + size]
        elif data[0] == _MORE:
            _send(connection, b"")
        elif data[0] == _DONE:
            return status, body.decode()


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        assert more, "Tomcat closed the connection"
        found += more
    return found


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded + b"\0"
