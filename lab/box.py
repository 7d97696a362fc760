"""The laboratory under systemd: `python -m lab.box up|down|enter|run|env|test|status`.

A box is a container (systemd-nspawn) with its own network, in which the whole realm TPI.TEST runs as it would
on a server: every process under its own account and unit. Boxes start from a tree that is made once for each
state of the sources.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from lab import box_command, box_container, box_golden, box_health, box_state
from lab.base import CACHE, SOURCE
from lab.box_container import Plan
from lab.box_state import Box, BoxError


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line and return the exit status."""
    return box_command.carry_out(_parser(), arguments, ("--name", "--user"), "box")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.box", description=__doc__.partition("\n\n")[2])
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    table = (
        ("up", _up, "start a box, making its tree first where the sources have changed"),
        ("down", _down, "end a box and remove everything of it"),
        ("enter", _enter, "open a shell inside"),
        ("run", _run, "run a command inside"),
        ("env", _env, "say where everything is, as seen inside"),
        ("test", _test, "run pytest inside, as root, on the checkout"),
        ("status", _status, "list the boxes"),
    )
    for verb, act, text in table:
        sub = verbs.add_parser(verb, help=text, description=text)
        sub.add_argument("--name", default="box", help="which box (default: box)")
        sub.set_defaults(act=act)
        if verb == "up":
            sub.add_argument("--fresh", action="store_true", help="end a running box of that name first")
        if verb == "down":
            sub.add_argument("--poweroff", action="store_true", help="stop its units, rather than kill it")
            sub.add_argument("--all", action="store_true", help="every box")
        if verb in ("enter", "run"):
            sub.add_argument("--user", default="root", help="whose account (default: root)")
        if verb == "env":
            sub.add_argument("--json", action="store_true", help="as JSON")
        if verb in ("run", "test"):
            sub.usage = f"python -m lab.box {verb} [--name NAME]{' [--user U]' * (verb == 'run')} [--] …"
    return parser


def _up(options: argparse.Namespace) -> int:
    started = time.monotonic()
    layers = box_golden.layers()
    present = box_state.load(options.name)
    if present is not None and present.is_alive() and not options.fresh:
        if present.golden == layers[0].name:
            print(f"box {present.name} is up already")
            return _report(present)
        raise BoxError(f"box {options.name} runs on older sources; use: python -m lab.box up --fresh")
    if present is not None:
        box_container.stop(present, poweroff=False)
    box = box_container.start(Plan(options.name, layers))
    print(f"box {box.name} is up after {time.monotonic() - started:.1f} s")
    return _report(box)


def _report(box: Box) -> int:
    """Say what is wrong in a box, and how to enter it; return the exit status of `up`."""
    troubles = box_golden.problems(CACHE / box.golden)
    for trouble in troubles:
        print(f"\nWHEN ITS TREE WAS MADE: {trouble}")
    units = box_health.troubled_units(box)
    for unit, state in units.items():
        print(f"\nNOT RUNNING: {unit} ({state}); the end of its journal:")
        print(box_health.journal_of(box, unit))
    print(
        f"enter it with: PYTHONPATH=.:acls {sys.executable} -m lab.box enter --name {box.name} --user alice"
    )
    return 1 if units or troubles else 0


def _down(options: argparse.Namespace) -> int:
    boxes = box_state.all_boxes() if options.all else [box_state.load(options.name)]
    for box in boxes:
        if box is None:
            box_container.clear(options.name)
            print(f"box {options.name} was not up")
            continue
        started = time.monotonic()
        box_container.stop(box, poweroff=options.poweroff)
        print(f"box {box.name} is down after {time.monotonic() - started:.1f} s")
    return 0


def _enter(options: argparse.Namespace) -> int:
    box_command.enter(box_state.running(options.name), options.user)
    return 0


def _run(options: argparse.Namespace) -> int:
    box_command.run(box_state.running(options.name), options.words, options.user)
    return 0


def _env(options: argparse.Namespace) -> int:
    fields = box_health.environment(box_state.running(options.name))
    box_command.show(fields, as_json=options.json)
    return 0


def _test(options: argparse.Namespace) -> int:
    box_command.test(box_state.running(options.name), options.words)
    return 0


def _status(options: argparse.Namespace) -> int:
    del options
    boxes = box_state.all_boxes()
    if not boxes:
        print("no box is up")
    current = box_golden.name()
    for box in boxes:
        state = "up" if box.is_alive() else "ended"
        age = "present sources" if box.golden == current else "older sources"
        source = "" if box.source == str(SOURCE) else f", checkout {box.source}"
        print(f"{box.name}: {state}, leader {box.leader.pid}, {box.golden} ({age}){source}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
