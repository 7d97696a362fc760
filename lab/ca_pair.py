"""A pair of boxes: a server of the realm, ipa1, and the CA host, ca1, on a network of their own."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lab import (
    base,
    box_container,
    box_enter,
    box_golden,
    box_health,
    box_state,
    ca_network,
    ca_settings,
    ca_tree,
)
from lab.box_container import Plan
from lab.box_golden import Kind
from lab.box_state import Box, BoxError
from lab.ca_directory import authority_entry
from lab.ca_network import ADDRESSES, CA_HOST, IPA_HOST
from lab.ca_spawn import ADMIN_PASSWORD, AJP_SECRET, AUTHORITY
from lab.directory import connect
from lab.entries import add_all
from lab.files import write
from lab.layout import CA_FOLDER, system
from lab.policy import ca_policy_entries

READY_SECONDS = 120.0
POLL_SECONDS = 0.2
STATUS_URL = f"http://{CA_HOST}:8080/ca/admin/ca/getStatus"
# Of the trees' Apache; the same in every Debian.
_WWW_DATA = 33


def _lower_name() -> str:
    return f"layers-{base.digest([ca_tree.ca_name(), base.runtime_name()])}"


CA = Kind("cahost", "lab.ca_steps", CA_HOST, ca_tree.ca_layers, _lower_name)


def boxes(name: str) -> dict[str, str]:
    """Return the host of each of a pair's boxes, by the box's name, the server first."""
    return {f"{name}-ipa1": IPA_HOST, f"{name}-ca1": CA_HOST}


def start(name: str) -> dict[str, Box]:
    """Start a pair, making its trees first where the sources have changed.

    Returns:
        The boxes by host; the CA answers.

    Raises:
        BoxError: a host did not come up, or the CA does not answer; nothing is left of the pair.
        BuildError: a tree could not be made.
    """
    server, host = box_golden.layers(), box_golden.layers(CA)
    names = boxes(name)
    ipa1, ca1 = names
    try:
        ca_network.lay(names)
        with_network = partial(_plan, names)
        first = box_container.start(with_network(ipa1, server, _let_hosts_know))
        second = box_container.start(with_network(ca1, host, partial(_hand_over, server[0])))
        _tell_directory(first, host)
        _await_ca(second)
    except BaseException:
        stop(name)
        raise
    return {IPA_HOST: first, CA_HOST: second}


def stop(name: str) -> bool:
    """End a pair and remove everything that belongs to it; return whether there was anything."""
    found = [box_state.load(box) for box in boxes(name)]
    for box in found:
        if box is not None:
            box_container.stop(box, poweroff=False)
    for box_name in boxes(name):
        box_container.clear(box_name)
    ca_network.remove(boxes(name))
    return any(found)


def running(name: str, host: str) -> Box:
    """Return the box of a host of a pair; `host` may be short.

    Raises:
        BoxError: it is not up, or there is no such host.
    """
    for box, full in boxes(name).items():
        if host in (full, full.partition(".")[0]):
            found = box_state.load(box)
            if found is None or not found.is_alive():
                raise BoxError(f"the pair {name} is not up; start it with: python -m lab.ca up --name {name}")
            return found
    raise BoxError(f"there is no host {host} in a pair: it is {' or '.join(ADDRESSES)}")


def environment(name: str) -> dict[str, Any]:
    """Return what a test or a person needs to know of a pair, with paths as seen inside."""
    fields = box_health.environment(running(name, IPA_HOST))
    return {
        "realm": fields["realm"],
        "suffix": fields["suffix"],
        "ca_url": f"https://{CA_HOST}/tpi/ca/rest/",
        "kra_url": f"https://{CA_HOST}/tpi/kra/rest/",
        "operator_url": "https://127.0.0.1:8444/tpi-dispatch/ca/rest/",
        "direct_url": f"https://{CA_HOST}:8443/ca/",
        "ldap_uri": f"ldaps://{IPA_HOST}",
        "ca_file": fields["ca_file"],
        "ajp_secret": AJP_SECRET,
        "admin_password": ADMIN_PASSWORD,
        "addresses": ADDRESSES,
        "boxes": {host: box for box, host in boxes(name).items()},
        "people": fields["people"],
    }


def is_current(name: str) -> bool:
    """Return whether a pair that is up runs on the present sources."""
    return [running(name, host).golden for host in ADDRESSES] == [box_golden.name(), box_golden.name(CA)]


def _plan(
    names: dict[str, str], name: str, layers: tuple[Path, ...], prepare: Callable[[Path], None]
) -> Plan:
    return Plan(name, layers, host=names[name], network=ca_network.namespace(name), prepare=prepare)


def _let_hosts_know(root: Path) -> None:
    write(root / "etc/hosts", ca_network.hosts_file())


def _hand_over(server: Path, root: Path) -> None:
    """Give the CA host its keys and certificates of this realm, which the server keeps for it."""
    kept = server / CA_FOLDER.relative_to("/")
    authority = system().product.ca_file.relative_to("/")
    shutil.copyfile(server / authority, root / authority)
    for source, target, owner, mode in (
        ("host.keytab", "/etc/krb5.keytab", 0, 0o600),
        ("tpi.keytab", str(system().product.tpi_keytab), 0, 0o600),
        ("HTTP.keytab", ca_settings.HTTP_KEYTAB, _WWW_DATA, 0o600),
        ("httpd.crt", ca_settings.CERTIFICATE, 0, 0o644),
        ("httpd.key", ca_settings.KEY, 0, 0o600),
    ):
        path = root / target.lstrip("/")
        write(path, (kept / source).read_bytes(), mode=mode)
        shutil.chown(path, owner, owner)


def _tell_directory(server: Box, layers: tuple[Path, ...]) -> None:
    """Write what a directory without a CA has not: what can be asked of it, and its own entry.

    Its number is known since pkispawn.
    """
    kept = next(layer / AUTHORITY.relative_to("/") for layer in layers if _holds(layer))
    layout = system()
    socket = Path(f"/proc/{server.leader.pid}/root") / layout.directory.socket.relative_to("/")
    outside = replace(layout, directory=replace(layout.directory, socket=socket))
    connection = connect(outside)
    try:
        authority = authority_entry(layout, json.loads(kept.read_text(encoding="utf-8")))
        add_all(connection, [authority, *ca_policy_entries(layout)])
    finally:
        connection.unbind_s()


def _check_units(box: Box) -> None:
    """Make sure that nothing that a CA host runs has failed.

    Raises:
        BoxError: something has; the message holds the end of its journal.
    """
    _, listed = box_enter.output(box, ["systemctl", "--failed", "--plain", "--no-legend", "--no-pager"])
    failed = [line.split()[0] for line in listed.splitlines() if line.strip()]
    if failed:
        journals = "\n".join(f"{unit}:\n{box_health.journal_of(box, unit)}" for unit in failed)
        raise BoxError(
            f"on {CA_HOST} these do not run: {', '.join(failed)}; the end of their journals:\n{journals}"
        )


def _holds(layer: Path) -> bool:
    return (layer / AUTHORITY.relative_to("/")).exists()


def _await_ca(box: Box) -> None:
    """Wait until the CA says that it runs.

    Raises:
        BoxError: it does not in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    command = ["curl", "--silent", "--max-time", "10", STATUS_URL]
    answer = ""
    while time.monotonic() < deadline:
        answer = box_enter.output(box, command)[1]
        if "<Status>running</Status>" in answer:
            return _check_units(box)
        time.sleep(POLL_SECONDS)
    unit = "pki-tomcatd@pki-tomcat.service"
    raise BoxError(
        f"the CA does not run after {READY_SECONDS:.0f} s (it said {answer[:200]!r}); the end of its journal:\n"
        f"{box_health.journal_of(box, unit)}"
    )
