"""The program that makes the steps, as it is installed, and Dogtag's Tomcat, which has to be stopped for some of them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from lab.ca_pair import STATUS_URL

PROGRAM = ["/usr/lib/ipa-tpi/venv/bin/python", "-I", "-m", "ipa_tpi_upgrade"]
UNIT = "pki-tomcatd@pki-tomcat.service"
_READY_SECONDS = 120.0


def program(*words: str, records: Path) -> subprocess.CompletedProcess[str]:
    """Run it, with a folder of its own for what it has to be able to take back."""
    command = [*PROGRAM, "--records", str(records), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def stop_dogtag() -> None:
    """Stop Tomcat, and with it CA and KRA."""
    subprocess.run(["systemctl", "stop", UNIT], check=True, capture_output=True)


def start_dogtag() -> None:
    """Start it, and wait until the CA says that it runs."""
    subprocess.run(["systemctl", "reset-failed", UNIT], check=True, capture_output=True)
    subprocess.run(["systemctl", "start", UNIT], check=True, capture_output=True)
    deadline = time.monotonic() + _READY_SECONDS
    command = ["curl", "--silent", "--max-time", "10", STATUS_URL]
    while time.monotonic() < deadline:
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if "<Status>running</Status>" in answer:
            return
        time.sleep(0.2)
    raise AssertionError(f"the CA does not run after {_READY_SECONDS:.0f} s")
