"""The Debian tree and the wheels that every box of the laboratory starts from.

Three things are made once and kept below `CACHE`, each named by a hash of what goes into it: the base tree
(Debian packages), the wheels (requirements/runtime.lock), and the runtime layer (the service's virtual
environment on top of the base tree). Making one takes a lock, so that boxes started together wait for each
other, and happens under another name, so that a build which was cut short is never used.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.box_mounts import overlay, unmount_below

CACHE = Path("/var/cache/ipa-tpi")
SOURCE = Path(__file__).resolve().parent.parent
LOCK = SOURCE / "requirements" / "runtime.lock"
SYSTEM_PYTHON = Path("/usr/bin/python3")
SERVICE_VENV = "usr/lib/ipa-tpi/venv"

# Raise it when the way of making the tree changes in a manner that the package list does not show.
BASE_VERSION = 2
SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = (
    "389-ds-base",
    "apache2",
    "ca-certificates",
    "curl",
    "dbus",
    "gssproxy",
    "iproute2",
    "krb5-admin-server",
    "krb5-kdc",
    "krb5-kdc-ldap",
    "krb5-otp",
    "krb5-pkinit",
    "krb5-user",
    "ldap-utils",
    "less",
    "libfaketime",
    "libapache2-mod-auth-gssapi",
    "libapache2-mod-wsgi-py3",
    "libsasl2-modules-gssapi-mit",
    "opensc",
    "openssl",
    "polkitd",
    "procps",
    "python3",
    "python3-venv",
    "softhsm2",
    "sqlite3",
    "strace",
    "systemd",
    "systemd-sysv",
    "util-linux",
)
# What a container of tests has no use for.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
# Nothing of the caller's settings may reach what runs inside a tree.
CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PIP_CONFIG_FILE": os.devnull,
}
KEPT = ("/usr/share/doc/krb5-kdc-ldap/*",)


class BuildError(RuntimeError):
    """A tree could not be built; the message says what failed and what to do next."""


def base_tree() -> Path:
    """Return the Debian tree, building it first if there is none for the present package list."""
    return build_once(CACHE / base_name(), _bootstrap)


def wheels() -> Path:
    """Return the folder of wheels for requirements/runtime.lock, building them on this machine first."""
    return build_once(CACHE / _wheels_name(), _build_wheels)


def runtime_layer() -> tuple[Path, Path]:
    """Return the layers (upper first) of Debian with the service's virtual environment."""
    base, found = base_tree(), wheels()
    return build_once(CACHE / runtime_name(), lambda target: _install_venv(base, found, target)), base


def runtime_name() -> str:
    """Return the name of the runtime layer, which need not exist."""
    return f"runtime-{digest([base_name(), _wheels_name()])}"


def build_once(path: Path, build: Callable[[Path], None]) -> Path:
    """Return `path`, calling `build` with a temporary name first if it does not exist.

    Args:
        path: what is wanted; its name holds the hash of everything that goes into it.
        build: makes a folder with the name that it is given, which must not exist before.

    Raises:
        BuildError: `build` failed; nothing is left under `path`.
    """
    if path.exists():
        return path
    kind = path.name.partition("-")[0]
    with locked(kind):
        if path.exists():
            return path
        started = time.monotonic()
        partial = path.with_name(f"{path.name}.partial")
        _discard_unfinished(kind)
        print(f"box: making {path} …", file=sys.stderr, flush=True)
        try:
            build(partial)
            partial.rename(path)
        except BaseException:
            _discard_unfinished(kind)
            raise
        print(f"box: made {path.name} in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the machine-wide lock `name` of the laboratory's cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def checked(command: list[str], *, log: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed.

    Raises:
        BuildError: it ended with another status than 0; the message holds the end of its output.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        check=False,
    )
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        where = f" The whole output is in {log}." if log is not None else ""
        raise BuildError(f"{command[0]} ended with status {done.returncode}.{where}\n{tail}")
    return done.stdout


def base_name() -> str:
    """Return the name of the Debian tree, which need not exist."""
    return f"base-{digest([str(BASE_VERSION), SUITE, *PACKAGES, *LEFT_OUT, *KEPT])}"


def _wheels_name() -> str:
    return f"wheels-{digest([LOCK.read_text()])}"


def digest(parts: list[str]) -> str:
    """Return a short hash of what something is made from, for its name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _discard_unfinished(kind: str) -> None:
    """Remove what builds that failed or were killed left; the caller holds the lock of this kind."""
    for suffix in (".root", ".work", ".partial"):
        for left in CACHE.glob(f"{kind}-*{suffix}"):
            unmount_below(left)
            shutil.rmtree(left)


def debian_sources(suite: str = SUITE) -> list[str]:
    """Return the Debian lines of this machine's own apt configuration, in sources.list form.

    Args:
        suite: for which Debian; one that this machine does not run is looked for where its own one is, without
            updates, which mirrors drop some day.

    Raises:
        BuildError: this machine's apt knows no Debian archive.
    """
    shown = checked(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)",
            "Created-By: Packages",
        ]
    )
    rows = (line.split("|") for line in shown.splitlines() if line.count("|") == 4)  # noqa: PLR2004
    found = sorted(
        {
            f"deb [signed-by={KEYRING}] {uri} {release if suite == SUITE else suite} {component}"
            for origin, uri, release, codename, component in rows
            if origin == "Debian" and codename.removesuffix("-security").removesuffix("-updates") == SUITE
            if SUITE in (suite, release)
        }
    )
    if not found:
        raise BuildError(
            f"this machine's apt knows no Debian {SUITE} archive; run apt-get update, then try again"
        )
    return found


def _bootstrap(target: Path) -> None:
    sources = target.with_suffix(".list")
    sources.write_text("\n".join(debian_sources()) + "\n")
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    included = [f"--dpkgopt=path-include={pattern}" for pattern in KEPT]
    checked(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
            f"--include={','.join(PACKAGES)}",
            "--aptopt=APT::Install-Recommends false",
            "--aptopt=Acquire::Languages none",
            *excluded,
            *included,
            SUITE,
            str(target),
            str(sources),
        ],
        log=CACHE / "base.log",
    )
    sources.unlink()


def _build_wheels(target: Path) -> None:
    # The service runs on Debian's Python: build with that one, so that the wheels' tags fit.
    python = CACHE / "venv" / "bin" / "python"
    checked(
        [str(python), "-m", "pip", "wheel", "-q", "--require-hashes", "-r", str(LOCK), "-w", str(target)],
        log=CACHE / "wheels.log",
    )


def _install_venv(base: Path, found: Path, target: Path) -> None:
    upper, root = target, target.with_suffix(".root")
    with overlay(root, lower=[base], upper=upper, work=target.with_suffix(".work")):
        mounted = root / "mnt"
        checked(["mount", "--bind", "-o", "ro", str(found), str(mounted)])
        venv = Path("/") / SERVICE_VENV
        checked(["chroot", str(root), str(SYSTEM_PYTHON), "-m", "venv", str(venv)])
        names = sorted(f"/mnt/{wheel.name}" for wheel in found.glob("*.whl"))
        # Hashes were checked when the wheels were built; here nothing may come from the network.
        install = [str(venv / "bin" / "pip"), "install", "-q", "--no-index", "--no-deps"]
        checked(
            ["chroot", str(root), *install, *names],
            log=CACHE / "runtime.log",
            env=CLEAN_ENVIRONMENT,
        )
        checked(["umount", str(mounted)])
