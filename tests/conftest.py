"""What tests share: the realm on loopback, one for each worker process."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [
    path
    for path in (
        str(_REPOSITORY),
        str(_REPOSITORY / "acls"),
        str(_REPOSITORY / "upgrade"),
        str(_REPOSITORY / "validator"),
    )
    if path not in sys.path
]

from lab import processes  # noqa: E402 (needs the path)
from lab import realm as laboratory  # noqa: E402
from lab.session import Session, kerberos_environment  # noqa: E402


def pytest_configure() -> None:
    """Let an interrupt interrupt: whoever starts the tests in a script's background has it ignored, inherited."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that leaves a realm's folder behind, for a look at its logs."""
    parser.addoption(
        "--keep-realm", action="store_true", help="leave the realm's folder behind, with its logs"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the realm."""
    for item in items:
        if "realm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.realm)


@pytest.fixture(scope="session")
def realm(request: pytest.FixtureRequest) -> Iterator[Session]:
    """A realm of real daemons: KDC, directory, Apache. A missing daemon is an error, never a skip."""
    root = Path(tempfile.mkdtemp(prefix="tpi-realm-"))
    started = laboratory.up(root)
    watch = processes.Watch(started.daemons.values(), [root, started.layout.statistics])
    try:
        session = Session(started)
        with kerberos_environment(session):
            yield session
    finally:
        laboratory.stop(started)
        watch.end()
        if request.config.getoption("--keep-realm"):
            sys.stderr.write(f"\nthe realm's files: {root}\n")
        else:
            shutil.rmtree(root, ignore_errors=True)
