"""The laboratory with a CA: `python -m lab.ca up|down|enter|run|test|env`.

A pair of boxes on a network of their own: ipa1.tpi.test, the server that `lab.box` starts too, with the realm's KDC
and directory, and ca1.tpi.test, with a real Dogtag CA behind Apache, SSSD with InfoPipe, and the realm's keys. Any
number of pairs can run beside each other.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from lab import box_command, ca_network, ca_pair
from lab.box_state import BoxError

HOSTS = tuple(host.partition(".")[0] for host in ca_network.ADDRESSES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line and return the exit status."""
    return box_command.carry_out(_parser(), arguments, ("--name", "--user", "--host"), "ca")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.ca", description=__doc__.partition("\n\n")[2])
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    table = (
        ("up", _up, "start a pair, making its trees first where the sources have changed"),
        ("down", _down, "end a pair and remove everything of it"),
        ("enter", _enter, "open a shell inside"),
        ("run", _run, "run a command inside"),
        ("env", _env, "say where everything is, as seen inside"),
        ("test", _test, "run pytest on the CA host, as root, on the checkout"),
    )
    for verb, act, text in table:
        sub = verbs.add_parser(verb, help=text, description=text)
        sub.add_argument("--name", default="ca", help="which pair (default: ca)")
        sub.set_defaults(act=act)
        if verb == "up":
            sub.add_argument("--fresh", action="store_true", help="end a running pair of that name first")
        if verb in ("enter", "run"):
            sub.add_argument("--user", default="root", help="whose account (default: root)")
            sub.add_argument("--host", default="ca1", choices=HOSTS, help="which host (default: ca1)")
        if verb == "env":
            sub.add_argument("--json", action="store_true", help="as JSON")
        if verb in ("run", "test"):
            more = " [--host HOST] [--user U]" * (verb == "run")
            sub.usage = f"python -m lab.ca {verb} [--name NAME]{more} [--] …"
    return parser


def _up(options: argparse.Namespace) -> int:
    started = time.monotonic()
    if _is_up(options.name):
        if not options.fresh and ca_pair.is_current(options.name):
            print(f"the pair {options.name} is up already")
            return 0
        if not options.fresh:
            raise BoxError(f"the pair {options.name} runs on older sources; use: python -m lab.ca up --fresh")
    ca_pair.stop(options.name)
    ca_pair.start(options.name)
    print(f"the pair {options.name} is up after {time.monotonic() - started:.1f} s")
    print(f"enter it with: PYTHONPATH=.:acls {sys.executable} -m lab.ca enter --name {options.name}")
    return 0


def _is_up(name: str) -> bool:
    try:
        return all(ca_pair.running(name, host) for host in HOSTS)
    except BoxError:
        return False


def _down(options: argparse.Namespace) -> int:
    started = time.monotonic()
    if ca_pair.stop(options.name):
        print(f"the pair {options.name} is down after {time.monotonic() - started:.1f} s")
    else:
        print(f"the pair {options.name} was not up")
    return 0


def _enter(options: argparse.Namespace) -> int:
    box_command.enter(ca_pair.running(options.name, options.host), options.user)
    return 0


def _run(options: argparse.Namespace) -> int:
    box_command.run(ca_pair.running(options.name, options.host), options.words, options.user)
    return 0


def _env(options: argparse.Namespace) -> int:
    box_command.show(ca_pair.environment(options.name), as_json=options.json)
    return 0


def _test(options: argparse.Namespace) -> int:
    box_command.test(ca_pair.running(options.name, "ca1"), options.words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
