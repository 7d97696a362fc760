"""The layer of Dogtag above the laboratory's Debian tree: its packages, which Debian 12 does not have.

Debian 11 is the last Debian with Dogtag (10.10.2). Its packages go onto Debian 12, so that a CA host runs the same
Python, Apache and SSSD as the others; what Dogtag needs in its own version is pinned to Debian 11, and nothing else
comes from there. Measured: facts/dogtag-observed.md, "The same on a Debian 12 base".
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import base, box_cgroup
from lab.base import CACHE, build_once, checked
from lab.box_container import MACHINE_PREFIX, remove_traces
from lab.box_mounts import overlay

# Raise it when the way of making the layer changes in a manner that the lists below do not show.
VERSION = 1
SUITE = "bullseye"
PACKAGES = (
    "libapache2-mod-lookup-identity",
    "openjdk-11-jre-headless",
    "pki-ca",
    "pki-kra",
    "pki-server",
    "pki-tools",
    "sssd-common",
    "sssd-dbus",
    "sssd-krb5",
    "sssd-ldap",
)
# Debian 12 has newer ones of these, with which Dogtag 10.10.2 does not start.
PINNED = (
    "libidm-console-framework-java",
    "libjackson2-*",
    "libjss-java",
    "libldap-java",
    "libresteasy3.0-java",
    "libtomcat9-java",
    "libtomcatjss-java",
    "openjdk-11-jre-headless",
    "tomcat9-common",
    "tomcat9-user",
)
PREFERENCES = f"""\
Package: *
Pin: release n={SUITE}*
Pin-Priority: 100

Package: {" ".join(PINNED)}
Pin: release n={SUITE}*
Pin-Priority: 990
"""
# Debian 11 is old: the dates in its index may have passed. Its signature is checked as ever.
OPTIONS = (
    "Acquire::Check-Valid-Until=false",
    "Acquire::Check-Date=false",
    "Acquire::Languages=none",
    "Acquire::Retries=3",
    "APT::Install-Recommends=false",
)
# No name that a box could have.
CONTAINER = "0pki"
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def pki_layers() -> tuple[Path, ...]:
    """Return the layers (upper first) of Debian with the service's virtual environment and Dogtag's packages.

    Raises:
        BuildError: a package could not be installed; what it prints says where the log is.
    """
    runtime, tree = base.runtime_layer()
    pki = build_once(CACHE / pki_name(), lambda target: _install(tree, target))
    return runtime, pki, tree


def pki_name() -> str:
    """Return the name of the layer of packages, which need not exist."""
    parts = [str(VERSION), base.base_name(), SUITE, *PACKAGES, PREFERENCES, *OPTIONS]
    return f"pki-{base.digest(parts)}"


def _install(tree: Path, target: Path) -> None:
    root = target.with_suffix(".root")
    remove_traces(CONTAINER)
    with overlay(root, lower=[tree], upper=target, work=target.with_suffix(".work")):
        sources = [*base.debian_sources(base.SUITE), *base.debian_sources(SUITE)]
        (root / "etc/apt/sources.list.d/ipa-tpi-lab.list").write_text("\n".join(sources) + "\n")
        (root / "etc/apt/preferences.d/ipa-tpi-lab").write_text(PREFERENCES)
        options = [word for option in OPTIONS for word in ("-o", option)]
        # Java's installation ends where there is no such folder for links.
        (root / "usr/share/man/man1").mkdir(parents=True, exist_ok=True)
        with _no_daemons(root):
            _run(root, ["apt-get", *options, "-q", "update"])
            _run(root, ["apt-get", *options, "-q", "-y", "install", *PACKAGES])
        _run(root, ["apt-get", "clean"])
        shutil.rmtree(root / "var/lib/apt/lists")


@contextmanager
def _no_daemons(root: Path) -> Iterator[None]:
    """Keep packages from starting what they install."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _run(root: Path, command: list[str]) -> None:
    """Run a command inside a tree, with this machine's network."""
    line = [
        "systemd-nspawn",
        "--quiet",
        f"--directory={root}",
        f"--machine={MACHINE_PREFIX}{CONTAINER}",
        "--settings=no",
        "--register=no",
        "--keep-unit",
        "--resolv-conf=copy-host",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
        "--as-pid2",
        "--setenv=DEBIAN_FRONTEND=noninteractive",
        *(f"--setenv={name}={os.environ[name]}" for name in PROXIES if name in os.environ),
        *command,
    ]
    try:
        with box_cgroup.inside(CONTAINER):
            checked(line, log=CACHE / f"pki-{command[-1].rpartition('/')[2]}.log", env=base.CLEAN_ENVIRONMENT)
    finally:
        remove_traces(CONTAINER)
