"""ipa-tpi-expiry: says how long certificates are still good, to the journal and to whoever asks (E07).

A timer starts it each day. A certificate that ends within 28 days is a warning in the journal; one that ends within
seven, has ended, is missing or cannot be read is an error, and the unit fails, so that ``systemctl --failed`` and
whatever watches it show it. It reads certificates, and no keys.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ipa_tpi_upgrade.monitor import ERROR_DAYS, WARNING_DAYS, Finding, Level, expiries

# sd-daemon(3): how systemd is told what a line is.
_PRIORITY = {Level.SUCCESS: 6, Level.WARNING: 4, Level.ERROR: 3, Level.CRITICAL: 2}
_FAILING = frozenset({Level.ERROR, Level.CRITICAL})


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at the files, say what is found, and return the exit status.

    Args:
        arguments: The command line; by default this process's own.

    Returns:
        1 where something is an error, else 0.
    """
    options = _parser().parse_args(arguments)
    now = datetime.now(UTC)
    paths = [*options.file, *(path for path in options.if_present if path.exists())]
    found = expiries(paths, now, warning_days=options.warning_days, error_days=options.error_days)
    if options.json:
        sys.stdout.write(json.dumps([finding.as_json(now) for finding in found], indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{_line(finding)}\n" for finding in found)
    return int(any(finding.result in _FAILING for finding in found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ipa-tpi-expiry", description="Say how long certificates are still good."
    )
    parser.add_argument("file", nargs="*", type=Path, metavar="FILE", help="certificates in PEM")
    parser.add_argument(
        "--if-present",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="certificates in PEM, which need not be there",
    )
    parser.add_argument(
        "--warning-days",
        type=_days,
        default=WARNING_DAYS,
        metavar="N",
        help=f"fewer days left are a warning (default: {WARNING_DAYS})",
    )
    parser.add_argument(
        "--error-days",
        type=_days,
        default=ERROR_DAYS,
        metavar="N",
        help=f"fewer days left are an error (default: {ERROR_DAYS})",
    )
    parser.add_argument("--json", action="store_true", help="as ipa-healthcheck writes its results")
    return parser


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!a} is no number of days; give it as digits")
    return int(text)


def _line(finding: Finding) -> str:
    words = str(finding.kw["msg"])
    if "JOURNAL_STREAM" in os.environ:
        return f"<{_PRIORITY[finding.result]}>{words}"
    return f"{finding.result}: {words}"


if __name__ == "__main__":
    sys.exit(main())
