"""What a CA host has of ours, as shipped: each account reads and reaches what it needs, and nothing else (E13, K01).

Whoever read the executor's key would act for every requester, with the connector's secret anybody is anybody to Dogtag,
and a caller's ticket is that caller.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ca_requests import CaWorld
from world import EXECUTOR, JOURNAL, KEYTAB

ACCOUNTS = ("alice", "www-data", "pkiuser", "ipatpi-exec", "ipatpi-certval", "ipatpi-validator", "ipatpi-web")


@pytest.mark.parametrize(
    ("path", "right", "who"),
    [
        (KEYTAB, "r", {"ipatpi-exec"}),
        (JOURNAL, "r", {"ipatpi-exec"}),
        ("/etc/ipa/tpi/executor.toml", "r", {"ipatpi-exec"}),
        ("/etc/ipa/tpi/http.keytab", "r", {"www-data"}),
        ("/etc/ipa/tpi/ca-httpd.conf", "r", set()),
        ("/run/ipa-tpi-ca/callers", "r", {"www-data", "pkiuser"}),
        ("/run/ipa-tpi-ca/callers", "w", {"www-data"}),
        ("/run/ipa-tpi-ca/own", "x", {"www-data"}),
        ("/run/ipa-tpi-certval/certval.sock", "w", {"pkiuser"}),
        *((f"/etc/ipa/tpi/{name}", "w", set()) for name in ("executor.toml", "floor.toml", "certval.toml")),
    ],
)
def test_r_e13_each_account_has_its_own(world: CaWorld, path: str, right: str, who: set[str]) -> None:
    assert Path(path).exists()
    found = {name for name in ACCOUNTS if world.run(name, ["/usr/bin/test", f"-{right}", path]).status == 0}
    assert found == who


def test_its_executor_runs_and_may_do_nothing_to_units(world: CaWorld) -> None:
    """The floor of a CA host names no unit, so the polkit rule that is made from it opens none."""
    assert world.show(EXECUTOR, "ActiveState") == "active"
    rule = Path("/etc/polkit-1/rules.d/50-ipa-tpi.rules").read_text(encoding="utf-8")
    assert "allowed = {}" in rule
    done = world.run("ipatpi-exec", ["/usr/bin/systemctl", "--no-ask-password", "restart", "apache2.service"])
    assert done.status != 0, done
    assert "authentication" in done.err.lower() or "denied" in done.err.lower(), done
