"""One question, one program, one answer: the whole service on real programs, but for its folder and unit (K05)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from validate_service import ENVIRONMENT, Service

from ipa_tpi.contract import MAX_OUTPUT_BYTES, SURROUNDINGS, VARIABLES

REFUSAL = '{"code": 2100, "name": "ACIError", "message": "not today", "data": {}}'
LINE = REFUSAL.replace('"', r"\"")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("libexec"))
    yield made
    made.close()


def python(text: str) -> str:
    return f"#!{sys.executable} -I\nimport os, signal, sys, time\n{text}\n"


def test_silence_and_status_0_accept(service: Service) -> None:
    service.install("#!/bin/sh\necho looked >&2\nexit 0\n")
    told = service.ask()
    assert (told.begun, told.answer) == (True, {"accepted": True, "code": "", "message": ""})
    assert f"probe {ENVIRONMENT['TPI_REQUEST_ID']}: stderr: looked" in told.log


def test_one_line_of_json_refuses(service: Service) -> None:
    service.install(f"#!/bin/sh\necho '{REFUSAL}'\nexit 1\n")
    told = service.ask()
    assert (told.begun, told.answer) == (
        True,
        {"accepted": False, "code": "validation-refused", "message": "not today"},
    )


def test_it_gets_exactly_the_contracts_variables_and_nothing_else(service: Service, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    look = (
        "import json; fds = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n > '2' and"
        " os.path.exists(f'/proc/self/fd/{n}')]\n"
        f"json.dump([dict(os.environ), os.getcwd(), os.read(0, 9).decode(), os.getsid(0) == os.getpid(), fds],"
        f" open({str(seen)!r}, 'w'))"
    )
    service.install(python(look))
    assert service.ask().answer["accepted"]
    environment, folder, read, leads, descriptors = json.loads(seen.read_text())
    # Python adds this one to itself where the locale is C.
    environment.pop("LC_CTYPE", None)
    assert environment == {**SURROUNDINGS, **ENVIRONMENT}
    assert (folder, read, leads) == ("/", "", True)
    # Its own file, and the folder that it lists; neither the connection nor anything else of the service.
    assert [one for one in descriptors if not one.startswith("/proc/")] == [str(service.folder / "probe")]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("exit 3", "validation-failed", "status 3"),
        ("echo no; exit 1", "validation-failed", "status 1"),
        (f"echo '{REFUSAL}'; echo more; exit 1", "validation-failed", "status 1"),
        ("kill -SEGV $$", "validation-failed", "SIGSEGV"),
        (f"echo '{REFUSAL}'; kill -TERM $$", "validation-failed", "SIGTERM"),
        (f"echo '{REFUSAL}'", "validation-failed", "status 0 and yet wrote to standard output: {"),
        ("echo", "validation-failed", "status 0 and yet wrote"),
        ("sleep 60 &", "validation-failed", "left processes behind"),
        ("setsid sleep 60 & exit 0", "validation-failed", "left processes behind"),
        (f"setsid sleep 60 & echo '{REFUSAL}'; exit 1", "validation-refused", "not today"),
    ],
)
def test_everything_else_refuses(service: Service, text: str, code: str, said: str) -> None:
    service.install(f"#!/bin/sh\n{text}\n")
    told = service.ask()
    assert (told.begun, told.answer["accepted"], told.code) == (True, False, code)
    assert said in told.message
    assert told.seconds < 10


def test_children_that_end_in_time_are_no_matter(service: Service) -> None:
    service.install("#!/bin/sh\n(sleep 0.1 &)\nseq 1000 | grep -q 1000 && sleep 1\n")
    assert service.ask().answer["accepted"]


@pytest.mark.parametrize("stream", [1, 2])
def test_a_flood_is_read_and_dropped(service: Service, stream: int) -> None:
    service.install(f"#!/bin/sh\nexec head -c 3000000 /dev/zero >&{stream}\n")
    told = service.ask()
    assert (told.code, told.begun) == (("", True) if stream == 2 else ("validation-failed", True))
    assert stream == 2 or str(MAX_OUTPUT_BYTES) in told.message
    assert len(told.log) < 80_000


def test_what_is_logged_is_capped(service: Service) -> None:
    service.install("#!/bin/sh\nyes | head -n 5000 >&2\n")
    assert service.ask().log.count("\n") == 201


def test_a_flood_without_end_ends_at_the_cap_or_with_its_time(service: Service) -> None:
    service.install("#!/bin/sh\nexec cat /dev/zero\n")
    told = service.ask(seconds=30)
    assert (told.code, told.seconds < 20) == ("validation-failed", True)
    service.install("#!/bin/sh\nexec cat /dev/zero >&2\n")
    assert service.ask(seconds=1).code == "validation-timeout"


def test_as_much_as_is_allowed_is_allowed(service: Service) -> None:
    padding = MAX_OUTPUT_BYTES - len(REFUSAL)
    service.install(python(f"print({REFUSAL[:-2]!r} + ' ' * {padding - 1} + '}}}}'); sys.exit(1)"))
    assert service.ask().answer["message"] == "not today"


@pytest.mark.parametrize(
    "text",
    [
        "trap '' TERM INT HUP; sleep 60",
        "sleep 60 & setsid -w setsid -w sleep 60",
        f"{sys.executable} -c 'import os, time; os.fork() or os.setsid() or os.fork() or time.sleep(60)'; sleep 60",
    ],
)
def test_whoever_hangs_is_ended_with_all_that_is_his(service: Service, text: str, tmp_path: Path) -> None:
    # A marker that each of its processes bears.
    marker = f"{tmp_path}-mark"
    service.install(f"#!/bin/sh\nexport TPI_MARK={marker}\n{text}\n")
    told = service.ask(seconds=1)
    assert told.answer == {
        "accepted": False,
        "code": "validation-timeout",
        "message": "the validation program probe was ended after 1 seconds; see: journalctl -t ipa-tpi-validate",
    }
    assert told.seconds < 12
    assert _bearing(marker) == []


def _bearing(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no interpreter line", "Exec format error"),
        ("#!/no/such/shell\n", "No such file"),
        ("", "Exec format error"),
    ],
)
def test_what_cannot_be_started_refuses(service: Service, text: str, said: str) -> None:
    service.install(text)
    told = service.ask()
    assert (told.begun, told.code) == (True, "validation-failed")
    assert said in told.message


def test_values_that_are_too_long_for_the_kernel_refuse(service: Service) -> None:
    service.install("#!/bin/sh\n")
    told = service.ask(environment={**ENVIRONMENT, "TPI_PARAMETERS": "x" * 140_000})
    assert told.code == "validation-failed"
    assert "Argument list too long" in told.message


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {**ENVIRONMENT, "LD_PRELOAD": "/tmp/evil.so"},
        {**ENVIRONMENT, "TPI_MORE": "x"},
        {**ENVIRONMENT, "TPI_REASON\nLD_PRELOAD": "x"},
        {**ENVIRONMENT, "TPI_REASON\0": "x"},
        {name: value for name, value in ENVIRONMENT.items() if name != "TPI_REQUESTER"},
        *({**ENVIRONMENT, "TPI_REASON": f"why{bad}PATH=/tmp"} for bad in "\n\0\r\t\x1b\x7f\ud800"),
    ],
)
def test_nothing_gets_into_the_environment(
    service: Service, environment: dict[str, str], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    service.install(f"#!/bin/sh\n: > {ran}\n")
    told = service.ask(environment=environment)
    assert (told.begun, told.code) == (False, "validation-failed")
    assert not ran.exists()
    assert service.ask().answer["accepted"]
    assert ran.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[" * 5000 + b"\n",
        b"\xff\n",
        b'{"program":"probe","environment":{},"timeout_seconds":1}',
        b'{"program":"probe","environment":{},"timeout_seconds":1}\n{}\n',
        b"x" * 300_000 + b"\n",
        json.dumps({"program": "probe", "environment": ENVIRONMENT, "timeout_seconds": 1}).encode()
        + b" " * 300_000
        + b"\n",
    ],
)
def test_what_is_no_question_starts_nothing(service: Service, text: bytes, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    service.install(f"#!/bin/sh\n: > {ran}\n")
    told = service.say(text)
    # Who is cut off while still sending may lose the answer.
    assert (told.begun, told.answer.get("code", "validation-failed")) == (False, "validation-failed")
    assert "refused: the question" in told.log
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("program", "../validators/probe"),
        ("program", "/bin/true"),
        ("program", ""),
        ("program", ".."),
        ("program", "probe\n"),
        ("program", "Probe"),
        ("program", "x" * 65),
        ("timeout_seconds", 0),
        ("timeout_seconds", 61),
        ("timeout_seconds", "5"),
        ("more", 1),
    ],
)
def test_a_question_of_another_form_starts_nothing(service: Service, name: str, value: object) -> None:
    service.install("#!/bin/sh\n")
    told = service.ask(**{name: value})
    assert (told.begun, told.code) == (False, "validation-failed")


def test_another_uid_is_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    service = Service(tmp_path / "libexec", executor=os.getuid() + 1)
    told = service.say(b"")
    service.close()
    assert (told.begun, told.code) == (False, "validation-failed")
    assert told.message == f"uid {os.getuid()} may not ask for a validation program"


def test_a_log_line_cannot_be_forged(service: Service) -> None:
    service.install(
        python("sys.stderr.write('one\\nprobe other: accepted\\r\\x1b[2J\\u202e\\n'); sys.exit(1)")
    )
    lines = service.ask().log.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"probe {ENVIRONMENT['TPI_REQUEST_ID']}: ") for line in lines)
    assert "\x1b" not in "".join(lines)
    assert "\u202e" not in "".join(lines)


def test_the_entry_point_loads_nothing_that_it_must_not() -> None:
    program = (
        "import sys\nfrom ipa_tpi.validate.service import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stderr.split())
    assert {"ipa_tpi.validate.service", "ipa_tpi.contract", "msgspec"} <= loaded
    assert not {name.partition(".")[0] for name in loaded} & {
        "ldap",
        "gssapi",
        "flask",
        "requests",
        "urllib3",
        "jeepney",
        "sqlite3",
        "ssl",
        "http",
        "cryptography",
        "pickle",
    }
    ours = {name for name in loaded if name.startswith("ipa_tpi")}
    assert ours <= {"ipa_tpi", "ipa_tpi.contract"} | {
        name for name in ours if name.startswith("ipa_tpi.validate")
    }


def test_without_a_connection_it_ends_with_status_1() -> None:
    program = "import sys\nfrom ipa_tpi.validate.service import main\nsys.exit(main(['offline']))\n"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, time.monotonic() - started < 30) == (1, True)


def test_the_variables_are_those_of_the_contract() -> None:
    assert set(ENVIRONMENT) == VARIABLES
    assert all(name.startswith("TPI_") for name in VARIABLES)
