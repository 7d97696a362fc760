"""Attack: command, confuse or exhaust the executor through its local socket.

What an attacker would gain: its attention for requests of his choice, knowledge of its state, or its end.  The
socket wakes it and tells root how it is; whatever else is said there is refused, and leaves it alive.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from world import SOCKET, Done, World, eventually

SOME_ID = "00000000-0000-4000-8000-000000000001"
# Says one thing to a Unix socket and prints what comes back; runs as any account with the system's own Python.
SAY = r"""
import socket, sys
peer = socket.socket(socket.AF_UNIX); peer.settimeout(5); peer.connect(sys.argv[1])
try:
    peer.sendall(sys.stdin.buffer.read())
    peer.shutdown(socket.SHUT_WR)
except OSError:
    pass
answer = b""
while not answer.endswith(b"\n") and (piece := peer.recv(65536)):
    answer += piece
sys.stdout.buffer.write(answer)
"""
# Connects as fast as it can until its standard input ends, and prints how often it did.
FLOOD = r"""
import select, socket, sys
count = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    peer = socket.socket(socket.AF_UNIX); peer.settimeout(5)
    try:
        peer.connect(sys.argv[1])
        count += 1
        peer.sendall(b'{"verb":"nudge"}\n')
        peer.recv(4096)
    except OSError:
        pass
    peer.close()
print(count)
"""


@pytest.mark.parametrize("account", ["alice", "www-data", "root", "ipatpi-exec", "nobody"])
def test_r_e04_a_nudge_by_another_account_is_refused_and_audited(world: World, account: str) -> None:
    uid = pwd.getpwnam(account).pw_uid
    before = _refusals(world, uid)
    answer = _say(world, account, {"verb": "nudge", "id": SOME_ID})
    assert (answer["ok"], answer["code"]) == (False, "refused")
    eventually(lambda: _refusals(world, uid) > before)


def test_r_e04_a_nudge_by_the_web_service_is_taken(world: World) -> None:
    assert _say(world, "ipatpi-web", {"verb": "nudge", "id": SOME_ID}) == {"ok": True}


def test_r_e04_health_is_roots_alone(world: World) -> None:
    healthy = _say(world, "root", {"verb": "health"})
    assert healthy["ok"]
    assert healthy["health"]["watching"]
    for account in ("ipatpi-web", "alice", "www-data", "ipatpi-exec"):
        assert _say(world, account, {"verb": "health"})["code"] == "refused"


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (b'{"verb":"consume","id":"%s"}\n', "refused"),
        (b'{"verb":"run","id":"%s"}\n', "refused"),
        (b'{"verb":"nudge","id":"%s","force":true}\n', "bad-json"),
        (b'{"verb":"nudge","id":"../../etc"}\n', "bad-json"),
        (b'{"verb":"nudge","id":"%s"}\n{"verb":"nudge","id":"%s"}\n', "bad-json"),
        (b'{"verb":"nudge","id":"%s"}', "bad-json"),
        (b'{"verb":"' + b"a" * 70000 + b'"}\n', "bad-json"),
        (b'{"verb":"' + b"a" * 1048576 + b'"}\n', "too-large"),
        (b"[" * 4000 + b"\n", "bad-json"),
        (b"\xff\xfe\x00\n", "bad-json"),
        (b"\n", "bad-json"),
        (b"", "bad-json"),
    ],
)
def test_r_e03_what_is_not_one_known_line_is_refused(world: World, what: bytes, code: str) -> None:
    pid = world.pid()
    text = what.replace(b"%s", SOME_ID.encode())
    done = subprocess.run(
        ["/usr/bin/setpriv", "--reuid=ipatpi-web", "--clear-groups", "/usr/bin/python3", "-c", SAY, SOCKET],
        input=text,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done
    answer = json.loads(done.stdout)
    assert (answer["ok"], answer["code"]) == (False, code)
    _assert_alive(world, pid)


def test_r_e11_slow_and_many_clients_do_no_harm(world: World) -> None:
    """Thirty at once from the account that may speak, none of whom ever ends its line."""
    pid = world.pid()
    eventually(lambda: _say(world, "ipatpi-web", {"verb": "nudge"})["ok"])
    with _crowd(30) as peers:
        # Its share is five of ten; another account's share is free.
        eventually(lambda: sum(_is_closed(peer) for peer in peers) >= 25, 5)
        healthy = _say(world, "root", {"verb": "health"})
        assert healthy["ok"]
        assert healthy["health"]["refused"] > 0
        # Meanwhile a request is served: the directory wakes the executor too.
        request_id = world.request("alice", reason="in the crowd")
        world.approve("bob", request_id)
        world.wait_state(request_id, "executed")
        # A slow client is let go after its two seconds.
        eventually(lambda: all(_is_closed(peer) for peer in peers), 5)
    _assert_alive(world, pid)


def test_r_e01_who_may_speak_and_speaks_too_often_is_refused_for_a_while(world: World) -> None:
    pid = world.pid()
    uid = pwd.getpwnam("ipatpi-web").pw_uid
    eventually(lambda: _say(world, "ipatpi-web", {"verb": "nudge"})["ok"])
    before = _refusals(world, uid, "rate-limited")
    with _flood("ipatpi-web", 1) as counts:
        # Another account is not limited by that.
        assert _say(world, "root", {"verb": "health"})["ok"]
        eventually(lambda: _refusals(world, uid, "rate-limited") > before)
    assert sum(counts) > 20
    assert eventually(lambda: _say(world, "ipatpi-web", {"verb": "nudge", "id": SOME_ID})["ok"])
    _assert_alive(world, pid)


def test_r_e01_a_flood_of_strangers_neither_starves_the_web_service_nor_fills_the_trail(world: World) -> None:
    """Three processes of somebody who may say nothing there connect as fast as they can."""
    pid = world.pid()
    uid = pwd.getpwnam("alice").pw_uid
    before, records = _refusals(world, uid), len(world.audit(event="socket-refused"))
    eventually(lambda: _say(world, "ipatpi-web", {"verb": "nudge"})["ok"])
    started = time.monotonic()
    with _flood("alice", 3) as counts:
        answers = []
        for _ in range(10):
            time.sleep(0.1)  # the web service stays below its own limit
            answers.append(_say(world, "ipatpi-web", {"verb": "nudge", "id": SOME_ID}))
        assert answers == [{"ok": True}] * 10
        request_id = world.request("alice", reason="in the flood")
        world.approve("bob", request_id)
        world.wait_state(request_id, "executed")
    lasted = time.monotonic() - started
    assert sum(counts) > 500, "no flood"
    # Every one is counted, and yet there are but a few records: one at once, then one in two seconds.
    eventually(lambda: _refusals(world, uid) >= before + sum(counts))
    assert len(world.audit(event="socket-refused")) - records <= 10 + 2 * lasted
    _assert_alive(world, pid)


def _say(world: World, account: str, message: object) -> dict[str, object]:
    done: Done = world.run(account, ["/usr/bin/python3", "-c", SAY, SOCKET], text=json.dumps(message) + "\n")
    assert done.status == 0, done
    answer: dict[str, object] = done.json
    return answer


def _refusals(world: World, uid: int, code: str = "refused") -> int:
    """Tell how many refusals of an account the audit trail counts."""
    records = world.audit(event="socket-refused")
    return sum(one.get("repeated", 1) for one in records if (one["uid"], one["code"]) == (uid, code))


@contextmanager
def _flood(account: str, processes: int) -> Iterator[list[int]]:
    """Have processes of an account connect without a pause; afterwards, how often each did."""
    command = [
        *("/usr/bin/setpriv", f"--reuid={account}", "--clear-groups", "--"),
        *("/usr/bin/python3", "-c", FLOOD, SOCKET),
    ]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    counts: list[int] = []
    try:
        yield counts
    finally:
        counts += [int(one.communicate(timeout=20)[0]) for one in started]


def _assert_alive(world: World, pid: int) -> None:
    assert world.pid() == pid
    assert eventually(lambda: _say(world, "root", {"verb": "health"})["ok"])


@contextmanager
def _crowd(number: int) -> Iterator[list[socket.socket]]:
    """Connect as the web service's account, so many at once, and send half a line."""
    peers: list[socket.socket] = []

    def connect() -> None:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(5)
        try:
            peer.connect(SOCKET)
            peer.sendall(b'{"verb":')
        except OSError:
            pass
        peers.append(peer)

    os.seteuid(pwd.getpwnam("ipatpi-web").pw_uid)
    try:
        threads = [threading.Thread(target=connect) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        os.seteuid(0)
    try:
        yield peers
    finally:
        for peer in peers:
            with closing(peer):
                pass


def _is_closed(peer: socket.socket) -> bool:
    try:
        return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b"\0"
    except BlockingIOError:
        return False
    except OSError:
        return True
