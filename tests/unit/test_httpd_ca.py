"""Apache's configuration in front of Dogtag: each location of a kind says the same, so an attack on one is one on all (D01).

What each line stops is shown on the real Apache and Dogtag by `tests/ca/test_directives.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HTTPD = Path(__file__).parents[2] / "httpd"
SITE = (HTTPD / "ipa-tpi-ca.conf").read_text(encoding="utf-8")
COMMON, LEGACY = "ca-location.conf", "ca-legacy-location.conf"
LOCATIONS = {
    path: [line.strip() for line in block.splitlines() if line.strip() and "#" not in line]
    for path, block in re.findall(r"<Location (\S+)>\n(.*?)</Location>", SITE, re.DOTALL)
}
BY_TICKET = [path for path in LOCATIONS if not path.startswith("/tpi-legacy/")]
BY_CERTIFICATE = [path for path in LOCATIONS if path.startswith("/tpi-legacy/")]


def demands(path: str) -> list[str]:
    block = LOCATIONS[path]
    return block[block.index("<RequireAll>") + 1 : block.index("</RequireAll>")]


def test_r_d01_the_locations_are_these() -> None:
    assert sorted(LOCATIONS) == [
        "/tpi-dispatch/ca/rest",
        "/tpi-dispatch/kra/rest",
        "/tpi-legacy/ca/agent",
        "/tpi-legacy/ca/rest",
        "/tpi-legacy/kra/rest",
        "/tpi/ca/rest",
        "/tpi/kra/rest",
    ]


@pytest.mark.parametrize("path", BY_TICKET)
def test_r_d01_each_location_for_tickets_demands_the_same(path: str) -> None:
    common = demands("/tpi/ca/rest")
    assert len(common) == 6
    assert demands(path)[:6] == common
    assert LOCATIONS[path][0] == f"Include /usr/share/ipa-tpi/{COMMON}"
    rest = demands(path)[6:]
    if path.startswith("/tpi-dispatch/"):
        assert rest == demands("/tpi-dispatch/ca/rest")[6:] != []
    else:
        assert rest == []


@pytest.mark.parametrize("path", BY_CERTIFICATE)
def test_r_d12_each_location_for_the_agent_demands_the_same_and_no_ticket(path: str) -> None:
    first, forward, back = LOCATIONS[path]
    assert first == f"Include /usr/share/ipa-tpi/{LEGACY}"
    target = path.removeprefix("/tpi-legacy")
    assert forward == f"ProxyPass ${{TPI_CA_AJP}}{target} secret=${{TPI_CA_SECRET}}"
    assert back == f"ProxyPassReverse ${{TPI_CA_AJP}}{target}"


@pytest.mark.parametrize("path", LOCATIONS)
def test_r_d01_each_location_leads_to_its_like_with_the_secret(path: str) -> None:
    below = re.sub(r"^/tpi(-dispatch|-legacy)?", "", path)
    (forward,) = (line for line in LOCATIONS[path] if line.startswith("ProxyPass "))
    assert forward == f"ProxyPass ${{TPI_CA_AJP}}{below} secret=${{TPI_CA_SECRET}}"


def test_r_d16_only_the_operator_locations_add_the_channel() -> None:
    adding = [path for path, block in LOCATIONS.items() if any("tpi-dispatch" in line for line in block)]
    assert adding == ["/tpi-dispatch/ca/rest", "/tpi-dispatch/kra/rest"]
    before, _, host = SITE.partition("<VirtualHost 127.0.0.1:${TPI_CA_PORT}>")
    assert all(f"<Location {path}>" in host and f"<Location {path}>" not in before for path in adding)


@pytest.mark.parametrize("prefix", ["/tpi/", "/tpi-dispatch/"])
def test_r_d17_what_is_denied_is_denied_after_all_that_would_let_it_in(prefix: str) -> None:
    """Sections count in their order, and the last that says something of a path decides."""
    denied = SITE.index(
        "Require all denied", SITE.index(f'<LocationMatch "^{prefix}(?:ca|kra)/rest/(?:installer')
    )
    assert all(SITE.index(f"<Location {prefix}{subsystem}/rest>") < denied for subsystem in ("ca", "kra"))


def test_r_d01_no_query_string_has_a_say() -> None:
    for file in ("ipa-tpi-ca.conf", COMMON, LEGACY):
        text = (HTTPD / file).read_text(encoding="utf-8")
        assert not re.search(r"QUERY_STRING|<If |<ElseIf |RewriteCond|SSLUserName|RequestHeader set", text)
