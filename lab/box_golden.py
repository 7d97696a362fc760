"""The golden tree: Debian with our code and a provisioned host, from which every box starts.

It is an overlay layer above what changes less often (`Kind.lower`), named by a hash of the sources that go into it
and made again when they change. It is built from a snapshot of these sources, so that an edit during the
build can neither be half in it nor hide behind its name.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import base, box_cgroup, box_container
from lab.base import CACHE, SOURCE, BuildError, build_once, checked, locked
from lab.box_mounts import overlay
from lab.box_state import HOST, REPORT, TROUBLE

# What goes into the tree. Tests, documentation and tools do not: a box sees them through /src.
SOURCES = (
    "COPYING",
    "README.md",
    "acls",
    "httpd",
    "ipa_tpi",
    "lab",
    "libexec",
    "pyproject.toml",
    "requirements/runtime.lock",
    "sssd",
    "systemd",
    "upgrade",
    "validator",
)
KEPT_TREES = 3
DEV_VENV = CACHE / "venv"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of host, of which there are golden trees.

    Attributes:
        prefix: with which the names of its trees begin.
        steps: the module that turns a tree into such a host, inside it.
        host: its name.
        lower: returns the layers below, uppermost first, making what is missing.
        lower_name: returns what names these layers as a whole, and makes nothing.
    """

    prefix: str
    steps: str
    host: str
    lower: Callable[[], tuple[Path, ...]]
    lower_name: Callable[[], str]

    @property
    def container(self) -> str:
        """Where it is made: no name that a box could have."""
        return f"0{self.prefix}"


SERVER = Kind("golden", "lab.box_steps", HOST, base.runtime_layer, base.runtime_name)


def layers(kind: Kind = SERVER) -> tuple[Path, ...]:
    """Return the trees that a box starts from, uppermost first, making what is missing.

    Raises:
        BuildError: the golden tree could not be made; what it prints says at which step.
    """
    lower = kind.lower()
    with tempfile.TemporaryDirectory(prefix="ipa-tpi-golden-") as kept:
        snapshot = Path(kept) / "src"
        path = CACHE / _name(kind, _take_snapshot(snapshot))
        if not path.exists():
            build_once(path, lambda target: _build(kind, snapshot, lower, target))
            _remove_old(kind, path)
    os.utime(path)
    return path, *lower


def name(kind: Kind = SERVER) -> str:
    """Return the name of the golden tree of the present sources, which need not exist."""
    with tempfile.TemporaryDirectory(prefix="ipa-tpi-golden-") as kept:
        return _name(kind, _take_snapshot(Path(kept) / "src"))


def _name(kind: Kind, digest: str) -> str:
    return f"{kind.prefix}-{digest}-{kind.lower_name().partition('-')[2]}"


def problems(golden: Path) -> list[str]:
    """Return what went wrong, but not so wrong that there is no box, when the tree was made."""
    report = golden / REPORT.relative_to("/")
    return report.read_text().splitlines() if report.exists() else []


def _take_snapshot(target: Path) -> str:
    """Copy the sources to `target` and return a hash of the copy."""
    hashed = hashlib.sha256()
    for relative in _source_files():
        copy = target / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy(SOURCE / relative, copy)
        except FileNotFoundError:
            # Renamed by an editor between listing and copying; the next `up` sees its successor.
            continue
        content = copy.read_bytes()
        hashed.update(f"{relative}\0{len(content)}\0".encode() + content)
    return hashed.hexdigest()[:12]


def _source_files() -> list[Path]:
    found: list[Path] = []
    for source in (SOURCE / entry for entry in SOURCES):
        files = [source] if source.is_file() else source.rglob("*")
        found += [path.relative_to(SOURCE) for path in files if path.is_file() and _counts(path)]
    return sorted(found)


def _counts(path: Path) -> bool:
    return "__pycache__" not in path.parts and not path.name.startswith(".") and path.suffix != ".pyc"


def _build(kind: Kind, snapshot: Path, lower: tuple[Path, ...], target: Path) -> None:
    root = target.with_suffix(".root")
    # A build that was killed may have left its container running.
    box_container.remove_traces(kind.container)
    with overlay(root, lower=lower, upper=target, work=target.with_suffix(".work")):
        wheel, trouble = _wheel(snapshot)
        _install(wheel, root)
        _provision(kind, snapshot, root, trouble)
    shutil.rmtree(snapshot.parent / "wheel", ignore_errors=True)


def _wheel(snapshot: Path) -> tuple[Path | None, str]:
    """Build the product's wheel; return it, or why there is none."""
    folder = snapshot.parent / "wheel"
    options = ["-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    try:
        checked(
            [str(DEV_VENV / "bin" / "pip"), "wheel", *options, str(snapshot)], log=CACHE / "golden-wheel.log"
        )
    except BuildError as error:
        why = [line.strip() for line in str(error).splitlines() if "Error: " in line][-1:]
        return None, f"the product's wheel could not be built: {why[0] if why else error}"
    return next(folder.glob("*.whl")), ""


def _install(wheel: Path | None, root: Path) -> None:
    if wheel is None:
        return
    inside = root / "tmp" / wheel.name
    shutil.copyfile(wheel, inside)
    pip = f"/{base.SERVICE_VENV}/bin/pip"
    command = [pip, "install", "-q", "--no-deps", "--no-index", f"/tmp/{wheel.name}"]
    checked(["chroot", str(root), *command], env=base.CLEAN_ENVIRONMENT)
    inside.unlink()


def _provision(kind: Kind, snapshot: Path, root: Path, trouble: str) -> None:
    """Run the host's steps inside the tree, in a container that is not booted."""
    command = [
        *box_container.nspawn(root, kind.container, host=kind.host),
        "--as-pid2",
        f"--bind-ro={snapshot}:/src",
        f"--bind-ro={DEV_VENV}",
        "--setenv=PYTHONPATH=/src:/src/acls:/src/upgrade:/src/validator",
        "--setenv=PYTHONDONTWRITEBYTECODE=1",
        f"--setenv={TROUBLE}={trouble}",
        "--chdir=/src",
        str(DEV_VENV / "bin" / "python"),
        "-m",
        kind.steps,
    ]
    # There is one at a time: the caller holds the lock of the golden trees of this kind.
    try:
        with box_cgroup.inside(kind.container):
            checked(command, log=CACHE / f"{kind.prefix}.log", env=base.CLEAN_ENVIRONMENT)
    except BuildError as error:
        raise BuildError(f"the golden tree could not be provisioned: {error}") from error
    finally:
        box_container.remove_traces(kind.container)


def _remove_old(kind: Kind, current: Path) -> None:
    """Remove golden trees but the latest few and those that a box runs on."""
    with locked("golden"):
        mounted = subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
        trees = sorted(CACHE.glob(f"{kind.prefix}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
        whole = [path for path in trees if path.is_dir() and not path.suffix]
        for path in whole[KEPT_TREES:]:
            if path != current and str(path) not in mounted:
                shutil.rmtree(path)
