"""Figures, and the one table that they are printed in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_HEADS = ("what", "n", "p50 ms", "p95", "p99", "peer", "target")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, as it is printed."""

    what: str
    n: str
    p50: str
    p95: str = ""
    p99: str = ""
    peer: str = ""
    target: str = ""


def counted(what: str, kinds: Mapping[str, int]) -> Row:
    """Make the row of a count of operations at the directory."""
    parts = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return Row(f"round trips to the directory: {what}", "1", str(sum(kinds.values())), peer=parts)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that a share of all values does not exceed (nearest rank).

    Args:
        values: At least one.
        share: Above 0, at most 1.

    Returns:
        One of them.
    """
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def timing(what: str, seconds: Sequence[float], peer: str = "", target: str = "") -> Row:
    """Make the row of a sample.

    Args:
        what: What was timed.
        seconds: The sample.
        peer: What it is compared with.
        target: What it should be.

    Returns:
        The row, in milliseconds.
    """
    cells = [milliseconds(percentile(seconds, share)) for share in (0.50, 0.95, 0.99)]
    return Row(what, str(len(seconds)), cells[0], cells[1], cells[2], peer, target)


def median(name: str, seconds: Sequence[float]) -> str:
    """Give a peer's cell: its median and its name."""
    return f"{milliseconds(percentile(seconds, 0.50))} {name}"


def milliseconds(seconds: float) -> str:
    """Write a duration with three significant digits or so."""
    value = seconds * 1000
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"  # noqa: PLR2004


def render(rows: Sequence[Row]) -> str:
    """Align the rows under their heads.

    Args:
        rows: Them.

    Returns:
        Plain text.
    """
    cells = [_HEADS, *((row.what, row.n, row.p50, row.p95, row.p99, row.peer, row.target) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    return "\n".join(_line(line, widths) for line in cells)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # Words to the left, figures to the right.
    texts = {0, 5, 6}
    aligned = [
        cell.ljust(width) if column in texts else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()
