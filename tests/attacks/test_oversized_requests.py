"""Bodies that are too large, by what they say of themselves or without saying it: memory and disk of the server."""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
from collections.abc import Iterator

import pytest
from front import JSON, PREFIX, ask, ticket
from world import CA, HOST, World

MEBIBYTE = 1024 * 1024


def test_r_e03_a_body_that_is_declared_too_large_is_never_read(world: World) -> None:
    """The answer is there although not a byte of the body was sent."""
    headers = JSON | {"Content-Length": str(1 << 40)}
    answer = ask(world, "POST", "/requests", "alice", headers=headers, body=b"")
    assert (answer.status, json.loads(answer.body)["code"]) == (413, "too-large")


def test_r_e03_one_byte_more_than_a_mebibyte(world: World) -> None:
    largest = ask(world, "POST", "/requests", "alice", headers=JSON, body=b" " * MEBIBYTE)
    assert (largest.status, json.loads(largest.body)["code"]) == (400, "bad-json")
    larger = ask(world, "POST", "/requests", "alice", headers=JSON, body=b" " * (MEBIBYTE + 1))
    assert (larger.status, json.loads(larger.body)["code"]) == (413, "too-large")


@pytest.mark.parametrize("size", [1, 1000])
def test_r_e03_a_body_that_does_not_say_its_length(world: World, size: int) -> None:
    """Chunks without an end: the answer comes, and the connection with it goes, long before they are all sent."""
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(size):
            sent += 1
            yield b" " * 65536

    connection = http.client.HTTPSConnection(HOST, context=ssl.create_default_context(cafile=CA), timeout=40)
    connection.putrequest("POST", f"{PREFIX}/requests")
    for name, value in {**ticket(world, "alice"), **JSON, "Transfer-Encoding": "chunked"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        for chunk in chunks():
            connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        connection.send(b"0\r\n\r\n")
    except OSError:  # it hung up on us
        assert sent < size
    else:
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["code"]) == (411, "bad-input")
    finally:
        connection.close()


def test_r_e03_nothing_is_unpacked(world: World) -> None:
    bomb = gzip.compress(b" " * (64 * MEBIBYTE))
    answer = ask(world, "POST", "/requests", "alice", headers=JSON | {"Content-Encoding": "gzip"}, body=bomb)
    assert (answer.status, json.loads(answer.body)["code"]) == (415, "not-json")


def test_r_e03_depth_and_width(world: World) -> None:
    for body in (
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"parameters":{' + b",".join(b'"%d":""' % number for number in range(80_000)) + b"}}",
        b'{"id":"' + b"x" * 1_000_000 + b'"}',
        b"1" * 1_000_000,
    ):
        answer = ask(world, "POST", "/requests", "alice", headers=JSON, body=body)
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "bad-json")


def test_r_e22_headers_and_paths(world: World) -> None:
    assert ask(world, "GET", "/requests", "alice", headers={"X-Long": "x" * 9000}).status == 400
    many = {f"X-{number}": "x" for number in range(101)}
    assert ask(world, "GET", "/requests", "alice", headers=many).status == 400
    assert ask(world, "GET", "/requests?state=" + "x" * 9000, "alice").status == 414
