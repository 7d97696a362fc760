"""Command lines that run inside a box."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import box_cgroup
from lab.box_state import Box

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command_line(
    box: Box,
    command: Sequence[str],
    *,
    user: str = "root",
    env: Mapping[str, str] | None = None,
    cwd: str = "",
) -> list[str]:
    """Return the command line that runs `command` inside `box` with the environment of a login.

    The process enters all namespaces of the container, has no more capabilities than the container itself,
    and the exit status is the command's own.

    Args:
        box: must be up.
        command: as execvp(3) takes it, inside.
        user: whose account inside.
        env: variables to set beside HOME, SHELL, USER, LOGNAME, PATH, LANG and TERM.
        cwd: a folder inside; the user's home folder when empty.
    """
    group, home, shell = _account(box, user)
    settings = {
        "HOME": home,
        "SHELL": shell,
        "USER": user,
        "LOGNAME": user,
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        **(env or {}),
    }
    namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root"]
    return [
        "nsenter",
        f"--target={box.leader.pid}",
        *namespaces,
        "--",
        "setpriv",
        f"--bounding-set={_capabilities(box)}",
        "--inh-caps=-all",
        f"--reuid={user}",
        f"--regid={group}",
        "--init-groups",
        "--",
        "env",
        "--ignore-environment",
        f"--chdir={cwd or home}",
        *(f"{name}={value}" for name, value in settings.items()),
        *command,
    ]


def replace_process(line: Sequence[str], box: Box) -> None:
    """Become the command `line` of `command_line`, as a member of the box's control groups."""
    box_cgroup.join(box.leader.pid)
    os.execvp(line[0], list(line))  # noqa: S606 - a list, and no shell: that is the point


def output(box: Box, command: Sequence[str], *, user: str = "root") -> tuple[int, str]:
    """Run a command inside and return its exit status and everything that it printed."""
    done = subprocess.run(
        command_line(box, command, user=user),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def _account(box: Box, user: str) -> tuple[str, str, str]:
    """Return group, home folder and shell of an account inside."""
    passwd = Path(f"/proc/{box.leader.pid}/root/etc/passwd").read_text()
    rows = (line.split(":") for line in passwd.splitlines())
    for name, _, _, group, _, home, shell in rows:
        if name == user:
            return group, home, shell
    # setpriv says that there is no such user; nothing is gained by saying it here.
    return user, "/", "/bin/sh"


def _capabilities(box: Box) -> str:
    """Return the container's bounding set in the notation of setpriv(1)."""
    status = Path(f"/proc/{box.leader.pid}/status").read_text()
    bounding = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    bits = int(bounding.split()[1], 16)
    held = [f"+cap_{number}" for number in range(bits.bit_length()) if bits >> number & 1]
    return ",".join(["-all", *held])
