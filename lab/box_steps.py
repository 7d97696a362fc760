"""Turns a Debian tree with our code into a server of the realm; runs inside the tree, which is not booted.

Steps are required, and end the build, or belong to the product, and are reported by `python -m lab.box up`:
a box whose service does not start yet is still of use to whoever writes the service.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab import box_realm, box_system
from lab.box_state import REPORT, TROUBLE
from lab.files import write
from lab.layout import Layout, system

EXECUTOR = "/usr/libexec/ipa-tpi/ipa-tpi-executor"
POLKIT_RULES = Path("/etc/polkit-1/rules.d/50-ipa-tpi.rules")


def main() -> int:
    """Carry out all steps and return the exit status."""
    layout = system()
    required: tuple[tuple[str, Callable[[], None]], ...] = (
        ("name", lambda: box_system.name_machine(layout.host)),
        ("accounts", box_system.make_accounts),
        ("programs", box_system.link_programs),
        ("units", box_system.install_units),
        ("folders", box_system.apply_tmpfiles),
        ("realm", lambda: box_realm.build(layout)),
        ("apache", box_system.configure_apache),
        ("owners", box_system.apply_tmpfiles),
    )
    for name, step in required:
        started = time.monotonic()
        step()
        print(f"{name}: {time.monotonic() - started:.2f} s", flush=True)
    optional: tuple[tuple[str, Callable[[Layout], str]], ...] = (
        ("journal", make_journal),
        ("polkit", render_polkit_rules),
    )
    found = [line for line in [os.environ.get(TROUBLE, "")] if line]
    for name, attempt in optional:
        trouble = attempt(layout)
        print(f"{name}: {trouble or 'done'}", flush=True)
        found += [f"{name}: {trouble}"] if trouble else []
    write(REPORT, "".join(f"{line}\n" for line in found))
    return 0


def make_journal(layout: Layout) -> str:
    """Make the executor's journal under its own account; return what went wrong."""
    folder = layout.product.journal.parent
    command = ["install", "-d", "-m", "0700", "-o", layout.product.executor_user, str(folder)]
    subprocess.run(command, check=True)
    account = layout.product.executor_user
    as_executor = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", "--no-new-privs"]
    return _attempt([*as_executor, EXECUTOR, "--config", str(layout.product.executor_toml), "init"])[0]


def render_polkit_rules(layout: Layout) -> str:
    """Install the polkit rules that the executor renders from its floor; return what went wrong."""
    trouble, rules = _attempt([EXECUTOR, "--config", str(layout.product.executor_toml), "polkit-rules"])
    if not trouble:
        write(POLKIT_RULES, rules)
    return trouble


def _attempt(command: list[str]) -> tuple[str, str]:
    """Run a command of the product; return what went wrong, and its output."""
    shown = f"{command[-4].rpartition('/')[2]} {command[-1]}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return f"{shown}: {command[0]} is not installed", ""
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return f"{shown} ended with status {done.returncode}: {last[0]}", ""
    return "", done.stdout


if __name__ == "__main__":
    sys.exit(main())
