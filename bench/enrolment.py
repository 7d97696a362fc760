"""Enrolments at a real CA, with and without the validator, in one table with what the validator itself takes.

Runs as root on the CA host of a pair (`lab/bench-ca.sh`).  Tickets, Apache, SPNEGO, S4U2Proxy, Dogtag, its directory and
the realm's, over TLS: nothing stands in for anything.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ca_host import CaHost
from certval_ca import PROGRAM, YES, make_profile, outcome, validator
from certval_requests import pem, simple

from bench import programs
from bench.machine import machine
from bench.table import Row, percentile, render, timing
from ipa_tpi_validator import environment as env
from lab.ca_network import IPA_HOST
from lab.layout import REALM

_SERIAL: Final = 40
_AT_ONCE: Final = 4
_BATCH: Final = 60

METHOD: Final = """\
A pair of hosts on this machine, client, Apache, Dogtag and its directory on one of them, KDC and the realm's directory on
the other: the validator's connection is TLS over a network, which on a server that has both is a local socket
(bench/certval.py). One enrolment: a new TLS connection, a service ticket that is there already, SPNEGO, the proxy
ticket, Dogtag's checks, the program, the signature. Without the validator the profile is the same, and asks /bin/true.
Kinds are interleaved; so are the batches of four clients at once. Processor time in ms: of the program with
its start + of the service."""


def main() -> int:
    """Measure, and print."""
    began = machine()
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        ca = CaHost(Path(folder))
        with validator(ca) as name:
            profiles = {
                "with the validator": make_profile(ca, name, PROGRAM),
                "without": make_profile(ca, f"{name}yes", YES),
            }
            print(render([*_enrolments(ca, profiles), *_programs(ca, name, Path(folder))]))
    print(f"\n{METHOD}\n{began}")
    return 0


def _enrolments(ca: CaHost, profiles: Mapping[str, str]) -> Iterator[Row]:
    kinds = {name: _enrolment(ca, profile) for name, profile in profiles.items()}
    for once in kinds.values():
        once()
    for name, took in programs.interleaved(kinds, _SERIAL).items():
        yield timing(f"one enrolment {name}", took.wall)
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in range(3):
            for name, once in kinds.items():
                started = time.perf_counter()
                for done in [pool.submit(once) for _ in range(_BATCH // 3)]:
                    done.result()
                rates[name].append(_BATCH / 3 / (time.perf_counter() - started))
    for name, found in rates.items():
        yield Row(
            f"enrolments a second {name}, {_AT_ONCE} at once", str(_BATCH), f"{percentile(found, 0.5):.1f}/s"
        )


def _enrolment(ca: CaHost, profile: str) -> Callable[[], None]:
    text = pem(simple("alice"))

    def once() -> None:
        status, said = outcome(ca.enroll("alice", profile, text))
        if status != "complete":
            raise RuntimeError(said)

    return once


def _programs(ca: CaHost, profile: str, folder: Path) -> Iterator[Row]:
    cache = folder / "ccache"
    cache.write_bytes(Path(ca.ccache("alice").removeprefix("FILE:")).read_bytes())
    folder.chmod(0o755)
    cache.chmod(0o644)
    with programs.echo():
        kinds = {
            f"the program alone: {said}": programs.run(
                [PROGRAM], status, _asked(name, profile, cache), "pkiuser"
            )
            for said, status, name in (("yes", 0, "alice"), ("no", 1, "bob"))
        } | programs.peers(f"ldaps://{IPA_HOST}")
        for name, took in programs.interleaved(kinds).items():
            yield timing(name, took.wall, took.cpu())


def _asked(name: str, profile: str, cache: Path) -> dict[str, str]:
    return {
        env.REQUEST: pem(simple(name)),
        env.USER: f"alice@{REALM}",
        env.PROFILE: profile,
        env.TYPE: "pkcs10",
        env.MANAGER: "external",
        env.CCACHE: f"FILE:{cache}",
    }


if __name__ == "__main__":
    sys.exit(main())
