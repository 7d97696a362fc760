"""Validation programs on the way of a request: those that come with ipa-tpi, and the service behind them (K05)."""

from __future__ import annotations

import json
import pwd
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tls import forward, known_as, tls_server
from validators import ACCEPT, QUESTION, REFUSE, ask, log, nothing_left, watched
from world import HOST, SUFFIX, World, eventually

from ipa_tpi.model import Refuse

OTHER = "other.tpi.test"
TICKETS = "tickets.tpi.test"
ADDRESS = "127.0.0.2"
TOPOLOGY = Path("/etc/ipa/tpi/topology.toml")
TICKET = Path("/etc/ipa/tpi/ticket.toml")
SOCKETS = ("ipa-tpi-validate.socket", "ipa-tpi-validate-network.socket")
LAST = "is the last directory server of the topology that answers"
CONTRACT = Path("/src/docs/validation-contract.md")
LDAP_PORT = 389
PORT = 8443


@contextmanager
def settings(path: Path, text: str) -> Iterator[None]:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    try:
        yield
    finally:
        path.unlink()


def topology(**change: str) -> str:
    wanted = {
        "version": "1",
        "instance": '"TPI-TEST"',
        "suffix": f'"{SUFFIX}"',
        "servers": json.dumps([HOST, OTHER]),
        "timeout_seconds": "2",
        **change,
    }
    return "".join(f"{key} = {value}\n" for key, value in wanted.items())


def ask_last(**change: str) -> Refuse | None:
    """Ask whether the topology's server on this host may be restarted."""
    question = {
        **QUESTION,
        "TPI_OPERATION": "dirsrv.restart",
        "TPI_TARGET": HOST,
        "TPI_PARAMETERS": '{"instance":"TPI-TEST"}',
        **change,
    }
    return ask("last-directory-server", question=question)


def test_r_k05_the_last_directory_server_is_not_restarted_and_another_instance_is(world: World) -> None:
    directory = world.pid("dirsrv@TPI-TEST.service")
    with settings(TOPOLOGY, topology()), watched(world, name="last-directory-server") as program:
        before = world.invocation()
        program.runs()
        assert world.invocation() != before
        request_id = world.request("alice", instance="TPI-TEST")
        world.approve("bob", request_id)
        view = world.wait_state(request_id, "denied")
        assert view.result.excerpt == f"validation-refused: TPI-TEST on {HOST} {LAST}"
        (record,) = world.audit(request_id, "validated")
        assert (record["program"], record["code"]) == ("last-directory-server", "validation-refused")
        assert world.of_class(request_id, "ipaTpiExecution") == []
        nothing_left(world)
    assert world.pid("dirsrv@TPI-TEST.service") == directory


def test_r_k05_another_server_of_the_topology_that_answers_makes_the_difference() -> None:
    with settings(TOPOLOGY, topology()), known_as(OTHER, ADDRESS):
        refusal = ask_last()
        assert refusal is not None
        assert refusal.message.endswith(LAST)
        with tls_server(OTHER, (ADDRESS, 636), forward(LDAP_PORT)):
            assert ask_last() is None
        refusal = ask_last()
        assert refusal is not None


def hang(peer: ssl.SSLSocket) -> None:
    peer.recv(1000)
    time.sleep(8)


@pytest.mark.parametrize("what", ["another name", "another authority", "another suffix", "silence"])
def test_r_k05_what_only_looks_like_another_server_does_not_count(what: str) -> None:
    name = "evil.tpi.test" if what == "another name" else OTHER
    suffix = "dc=other" if what == "another suffix" else SUFFIX
    serve = hang if what == "silence" else forward(LDAP_PORT)
    signed = what != "another authority"
    with (
        settings(TOPOLOGY, topology(suffix=f'"{suffix}"')),
        known_as(OTHER, ADDRESS),
        tls_server(name, (ADDRESS, 636), serve, signed=signed),
    ):
        refusal = ask_last()
    assert refusal is not None
    assert (refusal.code, refusal.message.endswith(LAST)) == ("validation-refused", True)


def test_r_k05_without_its_settings_or_for_another_operation_it_refuses() -> None:
    refusal = ask_last()
    assert refusal is not None
    assert f"{TOPOLOGY} cannot be read" in refusal.message
    with settings(TOPOLOGY, topology()):
        TOPOLOGY.chmod(0o666)
        refusal = ask_last()
        assert refusal is not None
        assert "can be changed by others than root" in refusal.message
        TOPOLOGY.chmod(0o644)
        refusal = ask_last(TPI_OPERATION="systemd.unit.restart")
        assert refusal is not None
        assert "does not serve the operation systemd.unit.restart" in refusal.message


def test_r_k05_a_ticket_is_compared_with_the_sites_pattern(world: World) -> None:
    with (
        settings(TICKET, 'version = 1\npattern = "OPS-[0-9]{1,6}"\n'),
        watched(world, name="ticket") as program,
    ):
        program.runs()
        for ticket, said in (
            ("FOO-1", "the ticket 'FOO-1' does not look like one of this site's"),
            ("", "this operation needs a ticket; ask again with --ticket"),
        ):
            request_id = world.request("alice", ticket=ticket)
            world.approve("bob", request_id)
            view = world.wait_state(request_id, "denied")
            assert view.result.excerpt == f"validation-refused: {said}"
            assert world.audit(request_id, "validated")[0]["code"] == "validation-refused"
    nothing_left(world)


def tickets(peer: ssl.SSLSocket) -> None:
    """Be the ticket system: OPS-1 is approved, OPS-2 is not, OPS-3 is elsewhere, and OPS-4 takes its time."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += peer.recv(4096)
    place = text.split()[1].decode()
    answers = {
        "/api/OPS-1": ("200 OK", '{"state": "approved"}'),
        "/api/OPS-2": ("200 OK", '{"state": "new"}'),
        "/api/OPS-3": (f"302 Found\r\nLocation: https://{TICKETS}:{PORT}/api/OPS-1", ""),
    }
    if place == "/api/OPS-4":
        time.sleep(3)
    status, body = answers.get(place, ("404 Not Found", ""))
    peer.sendall(
        f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    )


def ask_ticket(ticket: str) -> str:
    refusal = ask("ticket-url", question={**QUESTION, "TPI_TICKET": ticket})
    return "" if refusal is None else f"{refusal.code}: {refusal.message}"


def test_r_k05_a_ticket_is_asked_for_at_the_ticket_system() -> None:
    text = (
        f'version = 1\npattern = "OPS-.*"\nurl = "https://{TICKETS}:{PORT}/api/{{ticket}}"\n'
        'body_pattern = \'"state": *"approved"\'\nca_file = "/etc/ipa/ca.crt"\ntimeout_seconds = 2\n'
    )
    with settings(TICKET, text), known_as(TICKETS, ADDRESS):
        with tls_server(TICKETS, (ADDRESS, PORT), tickets):
            assert ask_ticket("OPS-1") == ""
            assert "does not call the ticket OPS-2 good" in ask_ticket("OPS-2")
            assert "(status 302)" in ask_ticket("OPS-3")
            assert "did not answer" in ask_ticket("OPS-4")
            assert "(status 404)" in ask_ticket("OPS-5")
            # A number that would be another path, query or request is only ever a number.
            for number in ("OPS-/../OPS-1", "OPS-?x", "OPS-#", "OPS-%2e", "OPS- HTTP/1.1"):
                assert "(status 404)" in ask_ticket(number)
            assert "does not look like" in ask_ticket("FOO-1")
        assert "did not answer" in ask_ticket("OPS-1")
        with tls_server("evil.tpi.test", (ADDRESS, PORT), tickets):
            assert "did not answer" in ask_ticket("OPS-1")
        with tls_server(TICKETS, (ADDRESS, PORT), tickets, signed=False):
            assert "did not answer" in ask_ticket("OPS-1")


def test_r_k05_where_no_program_can_be_started_the_request_waits(world: World) -> None:
    """An outage is no refusal: nothing is done, and it is tried again."""
    with watched(world) as program:
        program.install(ACCEPT)
        world.systemctl("stop", *SOCKETS)
        try:
            request_id = world.request("alice", reason="while the service is down")
            before = world.invocation()
            world.approve("bob", request_id)
            time.sleep(2)
            assert world.api("bob").show(request_id).state == "approved"
            assert world.audit(request_id, "validated") == []
            assert world.invocation() == before
        finally:
            world.systemctl("start", *SOCKETS)
        world.wait_state(request_id, "executed", seconds=60)
        assert len(world.audit(request_id, "validated")) == 1


def test_r_k05_it_is_asked_only_after_the_approvals_and_its_no_is_final(world: World) -> None:
    with watched(world) as program:
        program.install(REFUSE)
        request_id = world.request("alice", reason="asked once")
        assert world.audit(request_id, "validated") == []
        world.approve("bob", request_id)
        world.wait_state(request_id, "denied")
        program.install(ACCEPT)
        world.systemctl("restart", "ipa-tpi-executor.service")
        time.sleep(1)
        assert world.api("bob").show(request_id).state == "denied"
        assert len(world.audit(request_id, "validated")) == 1


def test_the_example_of_the_contract_runs_as_it_says(world: World) -> None:
    (text,) = re.findall(
        r"^```sh\n(.*?)^```$", CONTRACT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    frozen = Path("/etc/ipa/tpi/frozen")
    with watched(world) as program:
        program.install(text)
        assert ask() is None
        frozen.touch()
        try:
            program.asked("validation-refused", "changes are frozen; ask the office for an exception")
        finally:
            frozen.unlink()


def test_the_account_and_the_sockets_are_as_shipped(world: World) -> None:
    account = pwd.getpwnam("ipatpi-validator")
    assert account.pw_shell == "/usr/sbin/nologin"
    assert world.run("ipatpi-validator", ["/usr/bin/id", "-Gn"]).out.split() == ["ipatpi-validator"]
    for unit in SOCKETS:
        assert world.show(unit, "ActiveState") == "active"
        assert world.show(unit, "SocketMode") == "0660"
        assert (world.show(unit, "SocketUser"), world.show(unit, "SocketGroup")) == ("root", "ipatpi-exec")


def test_what_it_wrote_to_standard_error_is_in_the_journal_with_its_request(world: World) -> None:
    with watched(world) as program:
        program.install("#!/bin/sh\necho 'looked at it' >&2\n")
        view = program.runs()
    assert eventually(lambda: f"lab-probe {view.id}: stderr: looked at it" in log())
    assert f"lab-probe {view.id}: accepted" in log()
