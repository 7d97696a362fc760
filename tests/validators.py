"""Validation programs in the box: put there, named by an operation, asked for, and gone without a trace."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap
from world import SUFFIX, World, eventually

from ipa_tpi.adapters.validation import ValidationSocket
from ipa_tpi.contract import FOLDER, NETWORK_FOLDER, VARIABLES
from ipa_tpi.model import Refuse

EXECUTOR_ACCOUNT = "ipatpi-exec"
ACCOUNT = "ipatpi-validator"
SOCKET = "/run/ipa-tpi-validate/validate.sock"
NETWORK_SOCKET = "/run/ipa-tpi-validate/validate-network.sock"
OPERATION = f"cn=dirsrv.restart,cn=tpioperations,cn=tpi,{SUFFIX}"
NAME = "lab-probe"
ACCEPT = "#!/bin/sh\nexit 0\n"
LINE = '{"code": 2100, "name": "ACIError", "message": "the program says no", "data": {}}'
REFUSE = f"#!/bin/sh\necho '{LINE}'\nexit 1\n"
QUESTION = dict.fromkeys(VARIABLES, "") | {"TPI_REQUEST_ID": "asked-by-a-test"}


@dataclass(frozen=True)
class Watched:
    """An operation whose validation program is the test's own."""

    world: World

    def install(self, text: str, *, network: bool = False, mode: int = 0o755) -> Path:
        """Have this program, and no other of that name."""
        self.remove()
        path = Path(NETWORK_FOLDER if network else FOLDER) / NAME
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def remove(self) -> None:
        """Have no program of that name."""
        for folder in (FOLDER, NETWORK_FOLDER):
            (Path(folder) / NAME).unlink(missing_ok=True)

    def runs(self) -> Any:
        """Two people restart DS01, and it is restarted."""
        before = self.world.invocation()
        view = self._end()
        assert (view.state, self.world.audit(view.id, "validated")[-1].get("code", "")) == ("executed", "")
        assert self.world.invocation() != before
        nothing_left(self.world)
        return view

    def refused(self, code: str, *said: str) -> Any:
        """Two people want to restart DS01, and it is refused, audited, and nothing is left behind."""
        before = self.world.invocation()
        view = self._end()
        assert view.state == "denied"
        assert view.result.excerpt.startswith(f"{code}: "), view.result.excerpt
        for text in said:
            assert text in view.result.excerpt, view.result.excerpt
        (record,) = self.world.audit(view.id, "validated")
        assert (record["program"], record["code"]) == (NAME, code)
        (outcome,) = self.world.audit(view.id, "outcome")
        assert (outcome["outcome"], outcome["code"]) == ("denied", code)
        assert self.world.of_class(view.id, "ipaTpiExecution") == []
        assert self.world.invocation() == before
        nothing_left(self.world)
        return view

    def asked(self, code: str, *said: str, seconds: int = 10) -> None:
        """The same for whoever asks without a request: refused, and nothing is left behind."""
        refusal = ask(seconds=seconds)
        assert refusal is not None
        assert refusal.code == code, refusal
        for text in said:
            assert text in refusal.message, refusal
        nothing_left(self.world)

    def _end(self) -> Any:
        request_id = self.world.request("alice", reason="watched by a program", ticket="OPS-1742")
        self.world.approve("bob", request_id)
        return self.world.wait_state(request_id, "executed", "denied", "failed", "indeterminate", seconds=60)


@contextmanager
def watched(world: World, name: str = NAME, seconds: int = 0) -> Iterator[Watched]:
    """Have the operation name a program for a while.

    Args:
        world: The box.
        name: Of the program.
        seconds: How long the operation may take, where it is not to be as it is.
    """
    before = world.root().read_s(OPERATION)
    wanted = {"ipaTpiValidationProgram": [name.encode()]}
    if seconds:
        wanted["ipaTpiTimeoutSeconds"] = [str(seconds).encode()]
    world.root().modify_s(OPERATION, [(ldap.MOD_REPLACE, *item) for item in wanted.items()])
    made = Watched(world)
    try:
        yield made
    finally:
        made.remove()
        world.root().modify_s(OPERATION, [(ldap.MOD_REPLACE, key, before.get(key)) for key in wanted])


def nothing_left(world: World) -> None:
    """No unit, no process, no file of a validation program is there any more."""
    assert eventually(lambda: _units(world) == "")
    found = subprocess.run(["/usr/bin/pgrep", "-u", ACCOUNT], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    places = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run"]
    files = subprocess.run(
        ["/usr/bin/find", *places, "-user", ACCOUNT], capture_output=True, text=True, check=False
    )
    assert files.stdout == ""


def _units(world: World) -> str:
    return world.systemctl("list-units", "--all", "--plain", "--no-legend", "ipa-tpi-validate*@*.service")


@contextmanager
def as_account(name: str) -> Iterator[None]:
    """Be another account for a while, in all threads."""
    entry = pwd.getpwnam(name)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def ask(
    name: str = NAME,
    seconds: int = 10,
    question: Mapping[str, str] = QUESTION,
    account: str = EXECUTOR_ACCOUNT,
) -> Refuse | None:
    """Ask as the executor does, under its account, without a request."""
    with as_account(account):
        return ValidationSocket(SOCKET, NETWORK_SOCKET).ask(name, question, seconds)


def log(lines: int = 50) -> str:
    """Give the last lines of what the services have logged."""
    command = ["/usr/bin/journalctl", "-q", "-o", "cat", "-n", str(lines), "-t", "ipa-tpi-validate"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
