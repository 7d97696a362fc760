"""A certificate that ends soon is a warning in the journal of the CA host, and one that has ended a unit that failed (E07)."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

UNIT = "ipa-tpi-expiry"
DROP_IN = Path(f"/run/systemd/system/{UNIT}.service.d/test.conf")
PROGRAM = "/usr/libexec/ipa-tpi/ipa-tpi-expiry"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a certificate of a test's own is looked for. Not below /tmp: the unit has one of its own."""
    made = Path(f"/var/lib/ipa-tpi-lab/{uuid.uuid4().hex}")
    made.mkdir(parents=True)
    DROP_IN.parent.mkdir(parents=True)
    DROP_IN.write_text(f"[Service]\nExecStart=\nExecStart={PROGRAM} {made}/own.crt\n")
    systemctl("daemon-reload")
    yield made
    DROP_IN.unlink()
    DROP_IN.parent.rmdir()
    systemctl("daemon-reload")
    systemctl("reset-failed", f"{UNIT}.service")


def test_r_e07_a_person_sees_that_a_certificate_ends(folder: Path) -> None:
    for days, failed, priority, words in (
        (40, False, 6, "expires in 39 days."),
        (20, False, 4, "expires in 19 days. Renew it."),
        (3, True, 3, "expires in 2 days. Renew it now."),
    ):
        write(folder, days)
        assert started() is failed
        assert said() == (priority, f"the certificate in {folder}/own.crt {words}")
    (folder / "own.crt").unlink()
    assert started()
    assert said()[0] == 3


def test_r_e07_as_shipped_it_reads_ours_and_no_key() -> None:
    assert not started()
    assert said()[0] == 6
    hidden = "/var/lib/ipa/private"
    tried = ["systemctl", "show", "-p", "InaccessiblePaths", f"{UNIT}.service"]
    assert hidden in subprocess.run(tried, check=True, capture_output=True, text=True).stdout


def test_r_e07_the_timer_starts_it_each_day() -> None:
    systemctl("start", f"{UNIT}.timer")
    try:
        listed = ["systemctl", "show", "-p", "NextElapseUSecRealtime", "--value", f"{UNIT}.timer"]
        assert subprocess.run(listed, check=True, capture_output=True, text=True).stdout.strip()
    finally:
        systemctl("stop", f"{UNIT}.timer")
    for unit in (f"{UNIT}.service", f"{UNIT}.timer"):
        subprocess.run(["systemd-analyze", "verify", "--man=no", unit], check=True, capture_output=True)


def write(folder: Path, days: int) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=own"]
    files = ["-out", f"{folder}/own.crt", "-keyout", f"{folder}/own.key"]
    subprocess.run([*make, "-days", str(days), *files], check=True, capture_output=True)


def started() -> bool:
    """Start it, and say whether the unit has failed."""
    subprocess.run(["systemctl", "start", f"{UNIT}.service"], check=False, capture_output=True)
    state = ["systemctl", "is-failed", "--quiet", f"{UNIT}.service"]
    return subprocess.run(state, check=False).returncode == 0


def said() -> tuple[int, str]:
    """Return the last line that it wrote, and its weight."""
    read = ["journalctl", "-t", UNIT, "-n", "1", "-o", "json", "--output-fields=PRIORITY,MESSAGE"]
    subprocess.run(["journalctl", "--sync"], check=True)
    found = json.loads(subprocess.run(read, check=True, capture_output=True, text=True).stdout)
    return int(found["PRIORITY"]), str(found["MESSAGE"])


def systemctl(*words: str) -> None:
    subprocess.run(["systemctl", *words], check=True, capture_output=True)
