"""What the tests on the CA host share."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import ca_agent
import pytest
from ca_agent import Identity
from ca_host import CaHost, Profile
from ca_profile import profile_text
from ca_requests import CaWorld

_PROGRAM = """\
#!/bin/sh
# Notes what it was started with, and does as the test told it.
cat /proc/self/environ >"{seen}"
. "{script}"
"""


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CaHost:
    return CaHost(tmp_path_factory.mktemp("tickets"))


@pytest.fixture(scope="session")
def profile(ca: CaHost) -> Iterator[Profile]:
    """A profile that people of the realm may use, made and enabled through Apache by alice."""
    folder = Path(f"/var/lib/ipa-tpi-lab/{uuid.uuid4().hex}")
    (folder / "seen").mkdir(parents=True)
    (folder / "seen").chmod(0o777)
    program, seen = folder / "ask", folder / "seen" / "environment"
    program.write_text(_PROGRAM.format(seen=seen, script=program.with_suffix(".sh")))
    program.chmod(0o755)
    name = f"tpi{uuid.uuid4().hex[:8]}"
    made = ca.call("alice", "POST", "/profiles/raw", raw=profile_text(name, program))
    assert made.status == 201, made
    enabled = ca.call("alice", "POST", f"/profiles/{name}?action=enable")
    assert enabled.status == 204, enabled
    found = Profile(ca, name, program, seen)
    found.say(0)
    yield found
    subprocess.run(["rm", "-r", str(folder)], check=True)


@pytest.fixture(scope="session")
def world() -> CaWorld:
    return CaWorld()


@pytest.fixture(scope="session")
def agent(ca: CaHost, profile: Profile) -> Identity:
    """The RA agent; a user of Dogtag's own from then on."""
    folder = Path(f"/var/lib/ipa-tpi-lab/{uuid.uuid4().hex}")
    folder.mkdir(parents=True)
    found = ca_agent.issue(ca, profile, folder, "ra-agent", "IPA RA")
    ca_agent.make_agent(found)
    return found
