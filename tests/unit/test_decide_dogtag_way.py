"""As whom a call to Dogtag goes: level, server, subsystem and path, and nothing else, decide (D12, D13)."""

from __future__ import annotations

import pytest

from ipa_tpi.decide.dogtag_way import DogtagServer, Way, dogtag_way, domain_level
from ipa_tpi.model import Refuse

BOTH = frozenset({"ca", "kra"})
NEW, OLD = DogtagServer("ca1.tpi.test", 2, BOTH), DogtagServer("ca2.tpi.test", 1, BOTH)
AGENT, PERSON = Way.RA_AGENT, Way.PROXY_TICKET


@pytest.mark.parametrize(
    ("subsystem", "path", "below", "from_two"),
    [
        ("ca", "/rest/certrequests", AGENT, PERSON),
        ("ca", "/rest/certs/0x1", AGENT, PERSON),
        ("ca", "/rest/agent/certs/0x1/revoke", AGENT, PERSON),
        ("ca", "/rest/profiles/caIPAserviceCert/raw", AGENT, PERSON),
        ("ca", "/rest/authorities", AGENT, PERSON),
        ("ca", "/rest/agent/keys", AGENT, PERSON),
        ("ca", "/agent/ca/updateCRL", AGENT, AGENT),
        ("kra", "/rest/account/login", AGENT, PERSON),
        ("kra", "/rest/agent/keys", AGENT, AGENT),
        ("kra", "/rest/agent/keys/retrieve", AGENT, AGENT),
        ("kra", "/v1/agent/keyrequests", AGENT, AGENT),
        ("kra", "/v2/agent/keyrequests/7/approve", AGENT, AGENT),
        ("kra", "/rest/agent/keyset", AGENT, PERSON),
        ("kra", "/agent/kra/recoverBySerial", AGENT, AGENT),
    ],
)
def test_r_d12_below_two_the_agent_and_from_two_the_person(
    subsystem: str, path: str, below: Way, from_two: Way
) -> None:
    for server in (NEW, OLD):
        assert [dogtag_way(level, server, subsystem, path) for level in (0, 1)] == [below, below]
    assert [dogtag_way(level, NEW, subsystem, path) for level in (2, 3)] == [from_two, from_two]


def test_r_d12_a_server_that_knows_no_level_two_is_not_called_there() -> None:
    found = dogtag_way(2, OLD, "ca", "/rest/certs/0x1")
    assert isinstance(found, Refuse)
    assert (found.code, "ca2.tpi.test knows 1 at most" in found.message) == ("server-unfit", True)


@pytest.mark.parametrize("subsystem", ["kra", "ocsp", "", "CA"])
def test_a_server_without_the_subsystem_is_not_called(subsystem: str) -> None:
    found = dogtag_way(1, DogtagServer("ca1.tpi.test", 2, frozenset({"ca"})), subsystem, "/rest/certs/0x1")
    assert isinstance(found, Refuse)
    assert found.code == "server-unfit"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "rest/certs",
        "/rest//agent/keys",
        "/rest/agent/keys/",
        "/rest/./agent/keys",
        "/rest/x/../agent/keys",
        "/rest/agent;a/keys",
        "/rest/agent%2fkeys",
        "/rest/profiles/x?action=enable",
        "/rest/agent/keys\n",
        "/rest/ägent/keys",
    ],
)
@pytest.mark.parametrize("level", [1, 2])
def test_a_path_that_could_be_read_otherwise_goes_no_way(path: str, level: int) -> None:
    for subsystem in ("ca", "kra"):
        found = dogtag_way(level, NEW, subsystem, path)
        assert isinstance(found, Refuse)
        assert found.code == "bad-parameters"


@pytest.mark.parametrize(
    ("values", "level"), [([b"0"], 0), ([b"1"], 1), ([b"2"], 2), ([b"10"], 10), ([b"999"], 999)]
)
def test_the_level_is_read(values: list[bytes], level: int) -> None:
    assert domain_level(values) == level


@pytest.mark.parametrize(
    "values", [[], [b""], [b"two"], [b"-1"], [b"02"], [b"2.0"], [b" 2"], [b"2\n"], [b"1000"], [b"1", b"2"]]
)
def test_a_level_that_is_no_number_or_not_seen_is_none(values: list[bytes]) -> None:
    found = domain_level(values)
    assert isinstance(found, Refuse)
    assert found.code == "config"
