"""The wire between the two hosts of a pair: two network namespaces joined by a veth pair, and nothing else.

Neither this machine nor another pair is on it, so every pair has the same addresses. It is there before the hosts
start, so that nothing in them has to wait for it.
"""

import subprocess
from pathlib import Path

from lab.box_state import BoxError

NAMESPACES = Path("/run/netns")
CA_HOST = "ca1.tpi.test"
IPA_HOST = "ipa1.tpi.test"
ADDRESSES = {IPA_HOST: "10.66.0.1", CA_HOST: "10.66.0.2"}
_PREFIX = 24


def lay(boxes: dict[str, str]) -> None:
    """Make a pair's network.

    Args:
        boxes: the host of each box, by the box's name; two of them.

    Raises:
        BoxError: the kernel refused, or the pair has one already.
    """
    first, second = boxes
    for name in boxes:
        _ip("netns", "add", namespace(name).name)
    veth = ["type", "veth", "peer", "name", "eth0", "netns", namespace(second).name]
    _ip("link", "add", "eth0", "netns", namespace(first).name, *veth)
    for name, host in boxes.items():
        inside = ["-n", namespace(name).name]
        _ip(*inside, "address", "add", f"{ADDRESSES[host]}/{_PREFIX}", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip(*inside, "link", "set", device, "up")


def remove(boxes: dict[str, str]) -> None:
    """Remove a pair's network, or what there is of it; with the namespaces goes the wire."""
    for name in boxes:
        if namespace(name).exists():
            _ip("netns", "delete", namespace(name).name)


def namespace(box: str) -> Path:
    """Return the network namespace of a box."""
    return NAMESPACES / f"ipa-tpi-{box}"


def hosts_file() -> str:
    """Return /etc/hosts of both hosts; Dogtag's connectors listen on localhost4 and localhost6, as FreeIPA has it."""
    names = (f"{address} {host} {host.partition('.')[0]}" for host, address in ADDRESSES.items())
    return "\n".join(["127.0.0.1 localhost localhost4", "::1 localhost localhost6", *names]) + "\n"


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BoxError(f"ip {' '.join(words)} failed: {done.stderr.strip()}")
