"""The program that Dogtag asks is poisoned, killed, hung or flooded on the real CA: nothing is issued that it did not allow (D09).

An attacker gains a certificate of his choice wherever an end that is no answer counts as a yes, or where the answer comes
from something of his.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from ca_host import Answer, CaHost
from certval_ca import (
    PROGRAM,
    SERVICE,
    SETTINGS,
    SOCKET,
    Scene,
    make_profile,
    nothing_issued,
    outcome,
    scene,
    systemctl,
    written,
)
from certval_requests import pem, simple

from lab.layout import REALM

OWN, EVIL = pem(simple("alice")), pem(simple("lone.tpi.test"))
PLACE = Path("/run/ipa-tpi-certval/certval.sock")
SILENT = Path("/run/ipa-tpi-lab-silent.sock")
NO_ANSWER = "the certificate validator did not answer, so nothing is issued"
NOT_STARTED = "Caught exception while executing command"
SHORT_SECONDS = 2
POLL = "7 "  # poll(2) on x86-64, as /proc/PID/syscall has it


@pytest.fixture(scope="module")
def attacked(ca: CaHost) -> Iterator[Scene]:
    with scene(ca) as found:
        yield found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where somebody with an account on the CA host has put what is to run in place of the validator."""
    found = Path(f"/var/lib/ipa-tpi-lab/{uuid.uuid4().hex}")
    (found / "programs").mkdir(parents=True)
    for name in ("posix", "time", "sys", "_socket", "_signal", "json", "os", "sitecustomize", "encodings"):
        (found / f"{name}.py").write_text("import posix; posix._exit(0)\n")
    (found / "krb5.conf").write_text(
        f"[libdefaults]\n default_realm = EVIL\n[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:1\n }}\n"
    )
    program(found / "python3", "exit 0")
    yield found
    shutil.rmtree(found)


def program(path: Path, script: str, interpreter: str = "/bin/sh") -> Path:
    path.write_text(f"#!{interpreter}\n{script}\n")
    path.chmod(0o755)
    return path


def profile(attacked: Scene, asks: Path, *, seconds: int = 10, **variables: str) -> str:
    return make_profile(attacked.ca, f"tpi{uuid.uuid4().hex[:8]}", asks, seconds, **variables)


POISONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "paths": (
        (
            "PATH",
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONUSERBASE",
            "PYTHONPLATLIBDIR",
            "PYTHONSTARTUP",
            "HOME",
            "TMPDIR",
            "LOCPATH",
            "GCONV_PATH",
            "GSS_MECH_CONFIG",
        ),
        "{folder}",
    ),
    "locale": (("LC_ALL", "LC_CTYPE", "LANG", "LANGUAGE", "PYTHONIOENCODING"), "../../../../etc"),
    "kerberos": (("KRB5_CONFIG", "KRB5_TRACE", "KRB5_KTNAME", "KRB5RCACHENAME"), "{folder}/krb5.conf"),
    "python": (
        ("PYTHONINSPECT", "PYTHONVERBOSE", "PYTHONDEVMODE", "PYTHONWARNINGS", "PYTHONTRACEMALLOC"),
        "1",
    ),
    "loader": (("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"), "{folder}/json.py"),
}


@pytest.mark.parametrize("name", POISONS)
def test_r_d09_variables_that_the_client_chooses_change_no_answer(
    attacked: Scene, folder: Path, name: str
) -> None:
    """A profile's params.env takes such a variable from what the client wrote about himself."""
    variables, value = POISONS[name]
    poisoned = profile(attacked, PROGRAM, **dict.fromkeys(variables, "requestor_name"))
    value = value.format(folder=folder)
    assert outcome(attacked.ca.enroll("alice", poisoned, OWN, requestor=value))[0] == "complete"
    with nothing_issued():
        answer = attacked.ca.enroll("alice", poisoned, EVIL, requestor=value)
        assert "not allowed to perform operation" in attacked.refused(answer, 2100)


@pytest.mark.parametrize(
    ("variable", "interpreter", "script"),
    [
        ("PATH", "/bin/sh", "python3 -c 'raise SystemExit(1)'"),
        ("PYTHONPATH", "/usr/bin/python3", "import json\nraise SystemExit(1)"),
    ],
)
def test_another_program_is_taken_over_by_such_variables(
    attacked: Scene, folder: Path, variable: str, interpreter: str, script: str
) -> None:
    """What the validator is written like this for: one that refuses everything, and looks for what it needs."""
    asks = program(folder / "programs" / variable, script, interpreter)
    poisoned = profile(attacked, asks, **{variable: "requestor_name"})
    assert outcome(attacked.ca.enroll("alice", poisoned, EVIL))[0] == "rejected"
    assert outcome(attacked.ca.enroll("alice", poisoned, EVIL, requestor=str(folder)))[0] == "complete"


def test_pinned_the_loaders_own_variable_goes_round_every_program(attacked: Scene) -> None:
    """Why a profile may name no variable beside those of the contract: the loader lists libraries and ends with 0."""
    poisoned = profile(attacked, PROGRAM, LD_TRACE_LOADED_OBJECTS="requestor_name")
    assert outcome(attacked.ca.enroll("alice", poisoned, EVIL))[0] == "complete"


def test_r_d10_dogtags_own_variables_from_the_clients_words_make_nobody_else(attacked: Scene) -> None:
    """A profile by which the client says who asks, and how he logged in: his ticket still says who he is."""
    told = profile(attacked, PROGRAM, DOGTAG_USER="requestor_name", IPA_AUTH_MANAGER="requestor_email")
    with nothing_issued():
        answer = attacked.ca.enroll("dave", told, OWN, requestor=f"alice@{REALM}")
        assert "only who logs in with Kerberos" in attacked.refused(answer, 2100)
    told = profile(attacked, PROGRAM, DOGTAG_USER="requestor_name")
    with nothing_issued():
        answer = attacked.ca.enroll("dave", told, OWN, requestor=f"alice@{REALM}")
        assert "the tickets that came with the request are not the caller's" in attacked.refused(answer, 2100)
        for user in ("alice@EVIL.TEST", "alice", f"alice@{REALM}@EVIL.TEST", ""):
            answer = attacked.ca.enroll("alice", told, OWN, requestor=user)
            assert "is no principal of" in attacked.refused(answer, 2100)
    assert outcome(attacked.ca.enroll("alice", told, OWN, requestor=f"alice@{REALM}"))[0] == "complete"


@contextmanager
def asked(attacked: Scene, by: str, text: str = OWN) -> Iterator[Future[Answer]]:
    """Ask for a certificate, and go on when the program waits for its answer."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(attacked.ca.enroll, "alice", by, text)


@contextmanager
def hung() -> Iterator[None]:
    """Let the service hang."""
    systemctl("start", SERVICE)
    systemctl("kill", "--signal=STOP", SERVICE)
    try:
        yield
    finally:
        systemctl("kill", "--signal=CONT", SERVICE)


def waiting() -> int:
    """Wait for the program that Dogtag starts until it has asked and waits, and return its number."""
    deadline = time.monotonic() + SHORT_SECONDS
    while time.monotonic() < deadline:
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
                if str(PROGRAM).encode() in words and (place / "syscall").read_text().startswith(POLL):
                    return int(place.name)
            except OSError:
                continue
        time.sleep(0.02)
    raise AssertionError("it was not started, or did not ask")


@contextmanager
def silent_directory() -> Iterator[socket.socket]:
    """Let the service ask a directory that never answers; gives the socket where it comes."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    SILENT.unlink(missing_ok=True)
    listener.bind(str(SILENT))
    SILENT.chmod(0o666)
    listener.listen()
    listener.settimeout(5)
    uri = f"ldapi://{str(SILENT).replace('/', '%2F')}"
    settings = re.sub(r"(?m)^ldap_uri = .*$", f'ldap_uri = "{uri}"', SETTINGS.read_text(encoding="utf-8"))
    assert uri in settings
    systemctl("stop", SERVICE)
    try:
        with listener, written(SETTINGS, settings):
            yield listener
    finally:
        systemctl("stop", SERVICE)
        SILENT.unlink()


def test_r_d09_the_validator_killed_is_a_refusal(attacked: Scene) -> None:
    """Whoever ends the program, or the service, before it has said no."""
    with nothing_issued(), hung():
        with asked(attacked, attacked.profile) as answer:
            os.kill(waiting(), signal.SIGKILL)
        assert outcome(answer.result()) == ("rejected", "")
    with nothing_issued(), silent_directory() as directory:
        with asked(attacked, attacked.profile) as answer, directory.accept()[0]:
            systemctl("kill", "--signal=KILL", SERVICE)
        assert NO_ANSWER in attacked.refused(answer.result(), 4000)
    # The next request starts it again.
    assert outcome(attacked.ca.enroll("alice", attacked.profile, OWN))[0] == "complete"


def test_r_d09_a_directory_that_does_not_answer_is_a_refusal_in_time(attacked: Scene) -> None:
    """Who can keep the directory from answering would otherwise keep it from saying no."""
    with nothing_issued(), silent_directory():
        began = time.monotonic()
        answer = attacked.ca.enroll("alice", attacked.profile, OWN)
        assert "it could not be found out" in attacked.refused(answer, 4000)
        assert time.monotonic() - began < 8
    assert outcome(attacked.ca.enroll("alice", attacked.profile, OWN))[0] == "complete"


def test_r_d09_the_validator_hung_is_a_refusal_in_time(attacked: Scene) -> None:
    """The service hangs: the program has an end of its own; where it hangs too, Dogtag ends it."""
    short = profile(attacked, PROGRAM, seconds=SHORT_SECONDS)
    with nothing_issued(), hung():
        began = time.monotonic()
        with asked(attacked, attacked.profile) as answer, asked(attacked, short) as other:
            assert outcome(other.result())[1].startswith(NOT_STARTED)
        assert NO_ANSWER in attacked.refused(answer.result(), 4000)
        assert time.monotonic() - began < 10
    assert outcome(attacked.ca.enroll("alice", attacked.profile, OWN))[0] == "complete"


@contextmanager
def impostor(says: bytes, user: int) -> Iterator[None]:
    """Let something else answer in the service's place.

    Args:
        says: what, to everybody.
        user: whose process listens.
    """
    systemctl("stop", SOCKET, SERVICE)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.unlink(missing_ok=True)
    listener.bind(str(PLACE))
    PLACE.chmod(0o666)
    # Whose it is, is who listens, not who made it.
    os.seteuid(user)
    try:
        listener.listen()
    finally:
        os.seteuid(0)

    def answer() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                while peer.recv(65536):
                    pass
                try:
                    peer.sendall(says)
                except OSError:
                    continue

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        PLACE.unlink()
        systemctl("start", SOCKET)


def test_r_d09_the_service_that_talks_too_much_says_nothing(attacked: Scene) -> None:
    """Its answer goes to Dogtag's log and audit trail, and into the memory of the program: 1024 bytes are all."""
    for says in (b'{"message":"' + b"x" * 200_000 + b'"}\n', b"accepted\n" * 30_000, b'{"a":1}\n{"b":2}\n'):
        with nothing_issued(), impostor(says, 0):
            answer = attacked.ca.enroll("alice", attacked.profile, OWN)
            assert NO_ANSWER in attacked.refused(answer, 4000)


def test_r_d09_only_what_systemd_listens_for_is_the_service(attacked: Scene) -> None:
    """Somebody who is not root has got into the service's place, and says yes to everything."""
    with impostor(b"accepted\n", 0):
        assert outcome(attacked.ca.enroll("alice", attacked.profile, EVIL))[0] == "complete"
    with nothing_issued(), impostor(b"accepted\n", 65534):
        assert NO_ANSWER in attacked.refused(attacked.ca.enroll("alice", attacked.profile, EVIL), 4000)


CHATTER = "head -c 200000 /dev/zero | tr '\\0' x"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("kill -9 $$", ""),
        ("kill -TERM $$", ""),
        ("exec sleep 60", NOT_STARTED),
        (f"{CHATTER}; exit 0", NOT_STARTED),
        (f"{CHATTER} >&2; exit 0", NOT_STARTED),
        (f"{CHATTER} >&2 & {CHATTER}; wait; exit 0", NOT_STARTED),
        ("cat; exit 0", NOT_STARTED),
        ("exit 255", ""),
    ],
    ids=["killed", "ended", "hung", "chatty", "chatty on stderr", "chatty on both", "reads", "fails"],
)
def test_r_d09_dogtag_takes_every_other_end_for_a_refusal(
    attacked: Scene, folder: Path, script: str, says: str
) -> None:
    """What the contract builds on: whatever happens to a program, status 0 in time is the only yes."""
    asks = program(folder / "programs" / uuid.uuid4().hex, script)
    by = profile(attacked, asks, seconds=1)
    with nothing_issued():
        status, said = outcome(attacked.ca.enroll("alice", by, OWN))
        assert status == "rejected"
        assert said.startswith(says) if says else not said
    program(asks, "exit 0")
    assert outcome(attacked.ca.enroll("alice", by, OWN))[0] == "complete"
