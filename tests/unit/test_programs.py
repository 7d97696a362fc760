"""The validation programs that come with ipa-tpi: what they accept, and that everything else refuses (K05)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ipa_tpi.contract import VARIABLES
from ipa_tpi.programs import last_directory_server as last
from ipa_tpi.programs import ticket
from ipa_tpi.programs.answer import RefusalError, question
from ipa_tpi.programs.last_directory_server import NoAnswerError, TopologySettings
from ipa_tpi.programs.settings import read_settings
from ipa_tpi.programs.ticket import TicketSettings

TOPOLOGY = TopologySettings(
    version=1,
    instance="TPI-TEST",
    suffix="dc=tpi,dc=test",
    servers=["ipa1.tpi.test", "ipa2.tpi.test", "ipa3.tpi.test"],
    timeout_seconds=1,
)
OPS = TicketSettings(version=1, pattern="OPS-[0-9]{1,4}")


def asked(**change: str) -> dict[str, str]:
    return {
        **dict.fromkeys(VARIABLES, ""),
        "TPI_OPERATION": "dirsrv.restart",
        "TPI_TARGET": "ipa1.tpi.test",
        "TPI_PARAMETERS": '{"instance":"TPI-TEST"}',
        "TPI_TICKET": "OPS-12",
        **change,
    }


def running(*servers: str, seen: list[str] | None = None) -> last.Probe:
    def probe(server: str, _settings: TopologySettings) -> None:
        if seen is not None:
            seen.append(server)
        if server not in servers:
            raise NoAnswerError(server)

    return probe


@pytest.mark.parametrize(
    "servers", [("ipa2.tpi.test",), ("ipa3.tpi.test",), ("ipa2.tpi.test", "ipa3.tpi.test")]
)
def test_another_server_that_answers_is_enough(servers: tuple[str, ...]) -> None:
    last.check(asked(), TOPOLOGY, running(*servers))


def test_the_last_one_is_not_ended() -> None:
    seen: list[str] = []
    with pytest.raises(RefusalError) as caught:
        last.check(asked(), TOPOLOGY, running("ipa1.tpi.test", seen=seen))
    assert caught.value.message == (
        "TPI-TEST on ipa1.tpi.test is the last directory server of the topology that answers"
    )
    assert sorted(seen) == ["ipa2.tpi.test", "ipa3.tpi.test"]  # it is no answer of its own


def test_the_only_one_is_the_last_one() -> None:
    alone = TopologySettings(version=1, instance="TPI-TEST", suffix="dc=x", servers=["ipa1.tpi.test"])
    with pytest.raises(RefusalError, match="the last directory server"):
        last.check(asked(), alone, running("ipa1.tpi.test"))


def test_a_server_that_hangs_is_not_waited_for() -> None:
    def probe(server: str, _settings: TopologySettings) -> None:
        if server == "ipa2.tpi.test":
            time.sleep(5)

    started = time.monotonic()
    last.check(asked(), TOPOLOGY, probe)
    assert time.monotonic() - started < 1


def test_servers_that_all_hang_have_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last, "_GRACE_SECONDS", -0.9)
    with pytest.raises(RefusalError, match="the last directory server"):
        last.check(asked(), TOPOLOGY, lambda *_: time.sleep(1))


def test_another_instance_is_none_of_its_business() -> None:
    last.check(asked(TPI_PARAMETERS='{"instance":"DS01"}'), TOPOLOGY, running())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TPI_OPERATION": "systemd.unit.restart"}, "does not serve the operation systemd.unit.restart"),
        ({"TPI_PARAMETERS": "{}"}, "does not serve"),
        ({"TPI_PARAMETERS": '{"instance":1}'}, "does not serve"),
        ({"TPI_TARGET": "ipa9.tpi.test"}, "not among the servers"),
    ],
)
def test_a_question_that_is_not_its_own_is_refused(change: dict[str, str], said: str) -> None:
    with pytest.raises(RefusalError, match=said):
        last.check(asked(**change), TOPOLOGY, running("ipa2.tpi.test"))


@pytest.mark.parametrize("number", ["OPS-1", "OPS-1234"])
def test_a_number_that_matches(number: str) -> None:
    ticket.check(asked(TPI_TICKET=number), OPS, ask=False)


@pytest.mark.parametrize("number", ["", "OPS-", "OPS-12345", "xOPS-1", "OPS-1x", "OPS-1\n", "OPS-\u0661"])
def test_a_number_that_does_not(number: str) -> None:
    with pytest.raises(RefusalError) as caught:
        ticket.check(asked(TPI_TICKET=number), OPS, ask=False)
    assert caught.value.kind == (3009, "ValidationError")


def test_no_number_matches_no_pattern() -> None:
    with pytest.raises(RefusalError, match="needs a ticket"):
        ticket.check(asked(TPI_TICKET=""), TicketSettings(version=1, pattern=".*"), ask=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://tickets.test/{ticket}",
        "https:///{ticket}",
        "https://tickets.test/",
        "https://{ticket}.test/x",
        "https://{ticket}/{ticket}",
        "file:///{ticket}",
    ],
)
def test_an_url_that_could_lead_elsewhere_is_not_asked(url: str) -> None:
    with pytest.raises(RefusalError, match="is no https URL"):
        ticket.check(asked(), TicketSettings(version=1, pattern=".*", url=url), ask=True)


def test_a_system_that_does_not_answer_refuses() -> None:
    nobody = TicketSettings(version=1, pattern=".*", url="https://localhost:1/{ticket}")
    with pytest.raises(RefusalError, match="did not answer"):
        ticket.check(asked(), nobody, ask=True)


def test_a_pattern_that_is_none_refuses() -> None:
    with pytest.raises(RefusalError, match="is not one"):
        ticket.check(asked(), TicketSettings(version=1, pattern="("), ask=False)


def _link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o664),
        lambda path: path.chmod(0o646),
        lambda path: path.unlink(),
        lambda path: path.write_text("version = 2\npattern = 'x'\n"),
        lambda path: path.write_text("version = 1\n"),
        lambda path: path.write_text("version = 1\npattern = 'x'\nmore = 1\n"),
        lambda path: path.write_text("version = \n"),
        lambda path: path.write_bytes(b"\xff"),
        _link,
    ],
)
def test_settings_that_are_not_as_they_should_be_refuse(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "ticket.toml"
    path.write_text("version = 1\npattern = 'x'\n")
    path.chmod(0o644)
    assert read_settings(str(path), TicketSettings, os.getuid()).pattern == "x"
    with pytest.raises(RefusalError):
        read_settings(str(path), TicketSettings, os.getuid() + 1)
    spoil(path)
    with pytest.raises(RefusalError) as caught:
        read_settings(str(path), TicketSettings, os.getuid())
    assert caught.value.kind == (4000, "ExecutionError")


@pytest.mark.parametrize("run", [ticket.by_pattern, ticket.by_url, last.main])
def test_without_its_settings_each_refuses(
    run: Callable[[], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ticket, "SETTINGS_FILE", "/no/such/file")
    monkeypatch.setattr(last, "SETTINGS_FILE", "/no/such/file")
    assert run() == 1
    assert json.loads(capsys.readouterr().out)["name"] == "ExecutionError"


def test_the_question_is_the_contracts_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPI_TICKET", "OPS-1")
    assert question()["TPI_TICKET"] == "OPS-1"
    assert all(name.startswith("TPI_") for name in question())
