"""Starts and ends the container of a box."""

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import box_cgroup, box_state
from lab.base import CACHE, SOURCE, locked
from lab.box_mounts import attach, mount_overlay, unmount_below
from lab.box_state import HOST, Box, BoxError, Process

START_SECONDS = 90.0
MACHINE_PREFIX = "ipa-tpi-"
NSPAWN_FOLDERS = Path("/run/systemd/nspawn/propagate")
POWEROFF_SECONDS = 30.0
# systemd(1): SIGRTMIN+4 powers off.
POWEROFF_SIGNAL = signal.SIGRTMIN + 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What a box is started from.

    Attributes:
        name: of the box.
        layers: the read-only trees, uppermost first; the first is the golden one.
        source: the checkout to show as /src.
        binds: further folders of this machine that it sees, read-only, at the same place.
        host: the name that it has.
        network: a network namespace that is there already; by default it gets one with loopback alone.
        prepare: called with the tree before anything in it starts.
        kept: a folder that is to keep every change; by default they are lost when the box ends.
    """

    name: str
    layers: tuple[Path, ...]
    source: Path = SOURCE
    binds: tuple[Path, ...] = (CACHE / "venv",)
    host: str = HOST
    network: Path | None = None
    prepare: Callable[[Path], None] | None = None
    kept: Path | None = None


def start(plan: Plan) -> Box:
    """Boot a container and return once its systemd has finished starting up.

    Raises:
        BoxError: it did not come up in time, or ended; nothing is left of it.
    """
    folder = box_state.folder_of(plan.name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise BoxError(
            f"box {plan.name} is being started just now, or was left half started; in the second case run: "
            f"python -m lab.box down --name {plan.name}"
        ) from error
    try:
        root = _tree(folder, plan)
        if plan.prepare is not None:
            plan.prepare(root)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices, box_cgroup.inside(plan.name):
            notices.bind(str(folder / "notify"))
            supervisor = _spawn(folder, root, plan)
            leader = _await_ready(notices, supervisor, folder)
        box = Box(
            name=plan.name,
            supervisor=Process.of(supervisor.pid),
            leader=Process.of(leader),
            golden=plan.layers[0].name,
            source=str(plan.source),
        )
        box_state.save(box)
    except BaseException:
        clear(plan.name)
        raise
    return box


def stop(box: Box, *, poweroff: bool) -> None:
    """End the container and remove everything that belongs to it.

    Args:
        box: what to end; it may have ended already.
        poweroff: stop its units in order, rather than kill its first process, which ends all the others.
    """
    if box.leader.is_alive():
        os.kill(box.leader.pid, POWEROFF_SIGNAL if poweroff else signal.SIGKILL)
        if poweroff and not _await_end(box.supervisor, POWEROFF_SECONDS) and box.leader.is_alive():
            os.kill(box.leader.pid, signal.SIGKILL)
    if not _await_end(box.supervisor, POWEROFF_SECONDS):
        raise BoxError(f"systemd-nspawn of box {box.name} (process {box.supervisor.pid}) does not end")
    clear(box.name)


def clear(name: str) -> None:
    """End what is left of a box that is not up, unmount and remove it."""
    folder = box_state.folder_of(name)
    # Where `up` was killed a container may be running of which nothing was written down.
    remove_traces(name)
    unmount_below(folder)
    if folder.exists():
        shutil.rmtree(folder)


def nspawn(root: Path, name: str, *, host: str = HOST, network: Path | None = None) -> list[str]:
    """Return the beginning of every command line of systemd-nspawn here.

    The container is known to no other service of this machine.

    Args:
        root: the tree.
        name: of the box, or of what else runs in it.
        host: its host name.
        network: its network namespace; by default a new one with nothing but loopback in it.
    """
    return [
        "systemd-nspawn",
        "--quiet",
        f"--directory={root}",
        f"--machine={MACHINE_PREFIX}{name}",
        f"--hostname={host}",
        "--settings=no",
        "--register=no",
        "--keep-unit",
        "--private-network" if network is None else f"--network-namespace-path={network}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
    ]


def remove_traces(name: str) -> None:
    """End what still runs in a container's groups, remove these, and what systemd-nspawn leaves in /run."""
    box_cgroup.remove(name)
    left = NSPAWN_FOLDERS / f"{MACHINE_PREFIX}{name}"
    if left.is_dir():
        left.rmdir()


def _tree(folder: Path, plan: Plan) -> Path:
    root = folder / "root"
    if plan.kept is not None:
        mount_overlay(root, lower=plan.layers, upper=plan.kept, work=plan.kept.with_suffix(".work"))
        return root
    scratch = folder / "scratch"
    scratch.mkdir()
    attach(["-t", "tmpfs", "-o", "mode=0755,size=4g", "ipa-tpi-box", str(scratch)])
    # Under the lock nobody removes an old tree between our choice of it and its use.
    with locked("golden"):
        mount_overlay(root, lower=plan.layers, upper=scratch / "upper", work=scratch / "work")
    return root


def _spawn(folder: Path, root: Path, plan: Plan) -> "subprocess.Popen[bytes]":
    command = [
        *nspawn(root, plan.name, host=plan.host, network=plan.network),
        "--boot",
        "--notify-ready=yes",
        f"--bind-ro={plan.source}:/src",
        *(f"--bind-ro={path}" for path in plan.binds if path.exists()),
    ]
    with (folder / "console.log").open("wb") as console:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": str(folder / "notify")},
            start_new_session=True,
        )


def _await_ready(notices: socket.socket, supervisor: "subprocess.Popen[bytes]", folder: Path) -> int:
    """Return the number of the container's first process once READY=1 has come (sd_notify(3))."""
    leader, deadline = 0, time.monotonic() + START_SECONDS
    while (left := deadline - time.monotonic()) > 0 and supervisor.poll() is None:
        notices.settimeout(min(left, 0.5))
        try:
            lines = notices.recv(4096).decode().splitlines()
        except TimeoutError:
            continue
        told = dict(line.partition("=")[::2] for line in lines)
        leader = int(told.get("X_NSPAWN_LEADER_PID", leader))
        if leader and told.get("READY") == "1":
            return leader
    console = "\n".join((folder / "console.log").read_text(errors="replace").splitlines()[-25:])
    if supervisor.poll() is None:
        os.kill(leader or supervisor.pid, signal.SIGKILL)
        supervisor.wait()
    raise BoxError(f"the container did not come up within {START_SECONDS:.0f} s; its console:\n{console}")


def _await_end(process: Process, seconds: float) -> bool:
    """Say whether the process ended within that time; one that is only not yet reaped has ended."""
    if not process.is_alive():
        return True
    try:
        watched = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)
