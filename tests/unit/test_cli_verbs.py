"""The command line from argv to exit status, against real Kerberos and a service on loopback."""

import datetime as dt
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_terminal import Terminal
from client_fakes import REALM, Authority, Kdc, Service, free_port, problem

from ipa_tpi import __version__, wire
from ipa_tpi.cli.layout import width
from ipa_tpi.cli.main import main
from ipa_tpi.cli.waiting import is_final
from ipa_tpi.errors import STATE_EXIT_STATUS

pytest_plugins = ("client_fakes",)
ROOT = Path(__file__).parents[2]
CREATE = ("create", "dirsrv.restart", "instance=DS01", "--reason", "disk full", "--ticket", "INC-1")


class Cli:
    """Runs the command line in this process, as one person."""

    def __init__(
        self,
        capsys: pytest.CaptureFixture[str],
        patch: pytest.MonkeyPatch,
        ccaches: dict[str, str],
    ) -> None:
        self._capsys = capsys
        self._patch = patch
        self._ccaches = ccaches
        self.out = self.err = ""

    def __call__(self, person: str, *argv: str) -> int:
        self._patch.setenv("KRB5CCNAME", self._ccaches.get(person, "FILE:/nonexistent"))
        try:
            status = main(argv)
        except SystemExit as stop:
            status = int(stop.code or 0)
        self.out, self.err = self._capsys.readouterr()
        return status

    def created(self, *more: str) -> str:
        assert self("alice", *CREATE, "-o", "name", *more) == 0
        return self.out.strip()

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def confdir(service: Service, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "default.conf").write_text(f"[global]\nrealm = {REALM}\nserver = localhost:{service.port}\n")
    (tmp_path / "ca.crt").write_bytes(authority.file.read_bytes())
    monkeypatch.setenv("IPA_CONFDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'acls'}")
    return tmp_path


@pytest.fixture
def cli(
    confdir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ccaches: dict[str, str],
) -> Cli:
    assert confdir
    return Cli(capsys, monkeypatch, ccaches)


def test_r_a01_create_prints_the_id_the_window_and_the_second_persons_command(cli: Cli) -> None:
    assert cli("alice", "request", *CREATE) == 0
    found = re.search(r"^  (ipa-tpi approve [0-9a-f-]{36})$", cli.out, re.MULTILINE)
    assert found is not None
    assert "dirsrv.restart on localhost (instance=DS01)" in cli.out
    assert "It needs 1 approval; 3 min 20 s left, until 20" in cli.out
    assert cli.err == ""
    # Every command line that we print is run (DESIGN section 11); --yes stands for the terminal.
    assert cli("bob", *shlex.split(found[1])[1:], "--yes") == 0
    assert cli.out.endswith("approved\n")


def test_the_printed_command_names_the_server_that_was_given(
    cli: Cli, confdir: Path, service: Service
) -> None:
    server = f"localhost:{service.port}"
    assert cli("alice", *CREATE, "--server", server, "--config", str(confdir)) == 0
    line = cli.out.splitlines()[-1].strip()
    assert line.startswith(f"ipa-tpi approve --config {confdir} --server {server} ")
    assert cli("bob", *shlex.split(line)[1:], "--yes") == 0


def test_lists(cli: Cli) -> None:
    first, second = cli.created(), cli.created()
    assert cli("bob", "list") == 0
    assert len(cli.out.splitlines()) == 3
    assert cli("bob", "request", "list", "-o", "name", "--approvable") == 0
    assert cli.out.split() == [second, first]
    assert cli("bob", "list", "--mine") == 0
    assert cli.out == "No requests.\n"
    assert cli("bob", "list", "--state", "expired", "--json") == 0
    assert cli.json() == {"requests": [], "more": False}
    assert cli("bob", "--json", "list") == 0
    assert [view["id"] for view in cli.json()["requests"]] == [second, first]
    assert cli("bob", "list", "--state", "nonsense") == 64


def test_r_k17_the_history_of_an_auditor(cli: Cli) -> None:
    first, second = cli.created(), cli.created()
    assert cli("bob", "approve", second, "--yes") == 0

    def listed(*options: str) -> list[str]:
        assert cli("bob", "list", "-o", "name", *options) == 0
        return cli.out.split()

    assert listed("--approver", "bob") == [second]
    assert listed("--approver", "carol") == []
    assert listed("--host", "localhost") == [second, first]
    assert listed("--host", "other.tpi.test") == []
    assert listed("--outcome", "executed", "--since", "1h") == []
    assert cli("bob", "list", "--outcome", "pending") == 64


def test_a_list_goes_on_where_it_ended(cli: Cli) -> None:
    made = [cli.created() for _ in range(5)][::-1]
    assert cli("bob", "list", "--limit", "2", "-o", "name") == 0
    assert cli.out.split() == made[:2]
    added = cli.err.strip().removeprefix("ipa-tpi: there are more, older ones; for those add: ")
    assert cli("bob", "list", "--limit", "2", "-o", "name", *shlex.split(added)) == 0
    assert cli.out.split() == made[2:4]
    assert cli("bob", "list", "--limit", "2", "--before", made[3][:8], "--json") == 0
    assert ([view["id"] for view in cli.json()["requests"]], cli.json()["more"]) == (made[4:], False)
    assert cli.err == ""
    for wrong in ("0", "501", "-1", "x", "٣", "9" * 5000):
        assert cli("bob", "list", "--limit", wrong) == 64
        assert "between 1 and 500" in cli.err
    assert cli("bob", "list", "--before", "00000000") == 2


def test_the_beginning_of_an_id_is_found_on_every_page(cli: Cli, service: Service) -> None:
    made = [cli.created() for _ in range(3)]
    service.page = 1
    for request in made:
        assert cli("bob", "show", request[:8], "-o", "name") == 3
        assert cli.out == f"{request}\n"
    assert any(f"prefix={made[2][:8]}" in path for _, path, _ in service.seen)


def test_show_by_a_beginning_with_the_exit_status_of_the_state(cli: Cli, service: Service) -> None:
    request = cli.created()
    assert cli("bob", "show", request[:8].upper()) == 3
    for text in (
        "dirsrv.restart",
        "DS01",
        "alice@TPI.TEST",
        "disk full",
        "INC-1",
        "3 min 20 s left",
        "dirsrv@DS01.service",
    ):
        assert text in cli.out
    assert "0 of 1; 1 more approval needed" in cli.out
    for state, status in STATE_EXIT_STATUS.items():
        service.views[request] = msgspec.structs.replace(service.views[request], state=state)
        assert cli("bob", "show", request, "-o", "name") == status
        assert cli.out == f"{request}\n"


def test_r_k10_the_digest_that_is_shown_is_the_one_that_is_signed(cli: Cli, service: Service) -> None:
    request = cli.created()
    assert cli("bob", "approve", request, "--yes", "--comment", "seen") == 0
    _, purpose, proof = service.proofs[-1]
    assert purpose == "approve"
    assert f"approval:  {proof.digest}" in cli.out
    assert cli.out.index("What will run") < cli.out.index("approval:  ") < cli.out.index("Approved.")
    assert service.views[request].approvals[0].comment == "seen"


def test_json_stands_alone_on_standard_output(cli: Cli) -> None:
    assert cli("alice", *CREATE, "--json") == 0
    request = cli.json()["id"]
    assert cli("bob", "approve", "--yes", request, "--json") == 0
    assert cli.json()["state"] == "approved"
    assert "What will run" in cli.err
    assert cli("bob", "show", request, "--json") == 3
    assert cli.json()["digest"]


def test_yes_needs_the_whole_id_and_its_absence_a_terminal(cli: Cli, service: Service) -> None:
    request = cli.created()
    before = len(service.seen)
    for verb in ("approve", "prove"):
        assert cli("bob", verb, "--yes", request[:12]) == 64
        assert "whole id" in cli.err
        assert cli("bob", verb, request) == 64
        assert "no terminal" in cli.err
    assert len(service.seen) == before


@pytest.mark.parametrize(
    ("verb", "purpose"), [("deny", "deny"), ("withdraw", "withdraw"), ("cancel", "cancel")]
)
def test_the_other_voices(cli: Cli, service: Service, verb: str, purpose: str) -> None:
    request = cli.created()
    assert cli("alice", verb, request[:8], "--comment", "no") == 0
    assert service.proofs[-1][1] == purpose
    assert cli.out.splitlines()[0] in {"Denied.", "Withdrawn.", "Cancelled."}


def test_a_proof_that_was_sent_just_now_is_not_called_missing(cli: Cli, service: Service) -> None:
    service.shown = None
    service.alter = lambda view: msgspec.structs.replace(
        view, code="proof-missing", message="run: ipa-tpi prove"
    )
    assert cli("alice", *CREATE) == 0
    assert "looks at it first and shows what it would do" in cli.out
    assert "ipa-tpi prove" not in cli.out
    request = cli.out.splitlines()[0].split()[1]
    assert cli("bob", "approve", "--yes", request) == 4
    assert "has not shown yet what it would do (run: ipa-tpi prove)" in cli.err


def test_what_waits_for_a_new_proof_of_its_requester_says_so(cli: Cli, service: Service) -> None:
    request = cli.created()
    service.views[request] = msgspec.structs.replace(
        service.views[request], state="approved", code="proof-missing", message="alice runs: ipa-tpi prove ID"
    )
    assert cli("bob", "show", request) == 3
    assert f"Request {request}: approved (alice runs: ipa-tpi prove ID)" in cli.out
    assert cli("bob", "list") == 0
    assert "approved (proof-missing)" in cli.out


def test_what_else_a_sheet_says(cli: Cli, service: Service) -> None:
    service.precondition = {"/etc/krb5.conf": "abc"}
    request = cli.created()
    assert cli("bob", "show", request) == 3
    assert "It runs only if this is still so\n  /etc/krb5.conf: abc\n" in cli.out
    view = service.views[request]
    service.views[request] = msgspec.structs.replace(view, seconds_left=0, required_approvals=3)
    assert cli("bob", "show", request) == 3
    assert "its window ended at 20" in cli.out
    assert "0 of 3; 3 more approvals needed" in cli.out
    service.views[request] = msgspec.structs.replace(view, expires=None, required_approvals=2)
    assert cli("bob", "approve", "--yes", request) == 0
    assert "window:" not in cli.out
    assert "Approved; 1 more approval is needed." in cli.out


def test_values_whose_ends_cannot_be_seen_are_quoted(cli: Cli) -> None:
    assert cli("alice", "create", "dirsrv.restart", "instance=DS01 ") == 0
    assert '(instance="DS01 ")' in cli.out


def test_r_k11_a_value_of_several_lines_comes_from_a_file_and_is_shown_line_by_line(
    cli: Cli, service: Service, tmp_path: Path
) -> None:
    known = service.operations
    several = {"text": wire.ParameterView(pattern="(?s).*", lines=True)}
    service.operations = msgspec.structs.replace(
        known, operations=[msgspec.structs.replace(known.operations[0], parameters=several)]
    )
    file = tmp_path / "text"
    file.write_text("first\n  | second\u202e\nlast\n")
    assert cli("alice", "create", "dirsrv.restart", f"text=@{file}") == 4  # no reader is turned round
    assert "U+202E" in cli.err
    file.write_text("first\n  | second\nlast\n")
    assert cli("alice", "create", "dirsrv.restart", f"text=@{file}") == 0
    assert "(text=(22 characters in 3 lines))" in cli.out
    request = cli.out.split()[1]
    assert cli("bob", "show", request) == 3
    assert "  parameter text:  (22 characters in 3 lines)\n" in cli.out
    assert "  parameter text, line by line:\n    | first\n    |   | second\n    | last\n    |\n" in cli.out
    assert cli("bob", "list") == 0
    assert "text=(22 characters in 3 lines)" in cli.out
    assert cli("carol", "operations") == 0
    assert "create dirsrv.restart text=@FILE --ticket TEXT" in cli.out
    assert "must match (?s).*; may have several lines" in cli.out


def test_a_value_that_looks_like_something_else_is_quoted(cli: Cli) -> None:
    assert cli("alice", "create", "dirsrv.restart", "instance=(3 characters in 1 lines)") == 0
    assert '(instance="(3 characters in 1 lines)")' in cli.out
    assert cli("alice", "create", "dirsrv.restart", "instance=@@all") == 0
    assert "(instance=@all)" in cli.out


def test_a_value_from_a_file_that_is_no_text(cli: Cli, tmp_path: Path) -> None:
    for name, content in (("latin", b"\xff"), ("large", b"a" * 1_048_577)):
        (tmp_path / name).write_bytes(content)
    for name, why in (
        ("missing", "No such file"),
        ("latin", "can't decode"),
        ("large", "more than 1048576 bytes"),
        ("\0", "null"),
    ):
        assert cli("alice", "create", "dirsrv.restart", f"instance=@{tmp_path}/{name}") == 64
        assert why in cli.err


def test_several_lines_are_not_even_sent_where_one_is_wanted(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a\nb")
    assert cli("alice", "create", "dirsrv.restart", f"instance=@{tmp_path}/text") == 4
    assert "U+000A at character 2" in cli.err


def test_prove_shows_before_it_signs(cli: Cli, service: Service) -> None:
    request = cli.created()
    assert cli("alice", "prove", "--yes", request) == 0
    assert service.proofs[-1][1] == "request"
    assert "What will run" in cli.out
    assert cli.out.endswith(f"Proof recorded.\nRequest {request}: pending\n")


def test_whoami_and_operations(cli: Cli, service: Service) -> None:
    assert cli("carol", "whoami") == 0
    assert "carol@TPI.TEST" in cli.out
    assert cli("carol", "whoami", "-o", "name") == 0
    assert cli.out == "carol@TPI.TEST\n"
    assert cli("carol", "whoami", "--json") == 0
    assert cli.json()["server"] == service.url
    assert service.seen == []
    assert cli("carol", "operations") == 0
    assert cli.out == OPERATIONS
    assert cli("carol", "operations", "-o", "name") == 0
    assert cli.out == "dirsrv.restart\nsystemd.unit.status\n"
    assert cli("carol", "operations", "--json") == 0
    assert cli.json()["operations"][0]["name"] == "dirsrv.restart"
    assert cli("carol", "hosts") == 0
    assert cli.out == "localhost (this server: what 'create' takes without --host)\nother.tpi.test\n"
    assert cli("carol", "hosts", "-o", "name") == 0
    assert cli.out == "localhost\nother.tpi.test\n"
    assert cli("carol", "hosts", "--json") == 0
    assert cli.json() == {"host": "localhost", "hosts": ["localhost", "other.tpi.test"]}
    service.operations = wire.OperationList(operations=[])
    assert cli("carol", "operations") == 0
    assert cli.out.startswith("No operations that you may know of. Ask an administrator")
    assert cli("carol", "hosts") == 0
    assert cli.out == "No host has an executor.\n"


OPERATIONS = """\
dirsrv.restart: restart a directory instance
  ask for it:          ipa-tpi create dirsrv.restart instance=VALUE --ticket TEXT
  parameter instance:  must match [A-Za-z0-9_-]{1,64}; on localhost one of: DS01, DS02
  approvals:           1, beside who asks for it; 2 on localhost
  time:                5 min to approve, then 5 min to begin, then 1 min to run
  through:             cli, web
  reason:              as you like
  ticket:              must match INC-[0-9]+
  at once:             at most 3 waiting requests of one person

systemd.unit.status: (no description) [disabled: it can be neither asked for nor approved]
  ask for it:      ipa-tpi create systemd.unit.status unit=VALUE --reason TEXT
  parameter unit:  one of: a.service, b.service
  approvals:       none: it only reads
  time:            1 min to run
  through:         cli
  reason:          must match .+
  ticket:          as you like
  at once:         at most 3 waiting requests of one person
  destructive:     yes

refused: bad.one: no pattern
"""


def test_r_k16_who_could_approve(cli: Cli) -> None:
    request = cli.created()
    assert cli("alice", "approvers", request[:8]) == 0
    assert cli.out == (
        f"Request {request}: pending\n"
        "It needs 1 more approval, and 1 person could still give one.\n"
        "Could approve\n"
        "  bob@TPI.TEST (Bob Brown)\n"
        "Cannot approve\n"
        "  alice@TPI.TEST (Alice Smith): same user cannot self-approve [self-approval]\n"
    )
    assert cli("alice", "request", "approvers", request, "-o", "name") == 0
    assert cli.out == "bob@TPI.TEST\n"
    assert cli("alice", "approvers", request, "--json") == 0
    assert (cli.json()["missing"], cli.json()["candidates"][0]["chance"]) == (1, "can")
    assert cli("alice", "approvers", request, "--user", "bob") == 0
    assert "alice@" not in cli.out
    assert cli("alice", "approvers", request, "--user", "alice@TPI.TEST") == 4
    assert "[self-approval]" in cli.out
    assert cli("alice", "approvers", "00000000") == 2


def test_r_k16_a_request_that_nobody_can_satisfy_is_told_as_such(cli: Cli, service: Service) -> None:
    request = cli.created()
    view = service.views[request]
    service.views[request] = msgspec.structs.replace(view, required_approvals=2)
    assert cli("alice", "approvers", request) == 4
    assert "WARNING: it needs 2 more approvals, and 1 person could still give one: it cannot be" in cli.out
    service.candidates = service.candidates[1:]
    assert cli("alice", "approvers", request) == 4
    assert "WARNING: it needs 2 more approvals, and nobody could still give one" in cli.out
    service.views[request] = msgspec.structs.replace(view, required_approvals=0)
    assert cli("alice", "approvers", request) == 0
    assert "It only reads, so nobody has to approve it." in cli.out
    service.candidates = [wire.CandidateView(principal="bob", name="", chance="counted")]
    voice = wire.VoiceView(who="bob", at=view.created, counts=True)
    service.views[request] = msgspec.structs.replace(view, state="approved", approvals=[voice])
    assert cli("alice", "approvers", request) == 0
    assert "It has all the approvals that it needs.\nApproved already\n  bob\n" in cli.out
    service.candidates.append(wire.CandidateView(principal="carol", name="", chance="cannot", code="x"))
    assert cli("alice", "approvers", request) == 0
    assert "carol" not in cli.out
    service.views[request] = msgspec.structs.replace(view, state="expired")
    assert cli("alice", "approvers", request) == 4
    assert "Nobody can approve it any more.\nApproved already\n  bob\n" in cli.out


def test_what_only_reads_is_waited_for(cli: Cli, service: Service) -> None:
    service.alter = lambda view: msgspec.structs.replace(
        view,
        required_approvals=0,
        state="executed",
        result=wire.ResultView(outcome="executed", excerpt="a.service is active", at=view.created),
    )
    assert cli("alice", "create", "systemd.unit.status", "unit=a.service") == 0
    assert "It only reads, so nobody has to approve it.\n" in cli.out
    assert cli.out.endswith(": executed: a.service is active\n")
    assert "ipa-tpi approve" not in cli.out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ("dirsrv.restart", "instance=DS01", "instance=DS02"),
            "the parameter instance is given 2 times (DS01, DS02). Give it once",
        ),
        (
            ("dirsrv.restart", "instance=DS01", "--host", "elsewhere.tpi.test"),
            "elsewhere.tpi.test has no executor of ipa-tpi. Known: localhost, other.tpi.test. Check --host",
        ),
        (("no.such",), "there is no operation no.such that you may know of. Known: dirsrv.restart, systemd."),
    ],
)
def test_what_is_wrong_with_a_request_says_what_would_be_right(
    cli: Cli, argv: tuple[str, ...], said: str
) -> None:
    assert cli("alice", "create", *argv) != 0
    assert said in cli.err
    assert "ee 'ipa-tpi " in cli.err


def test_a_sheet_tells_what_happened_in_order(cli: Cli, service: Service) -> None:
    request = cli.created()
    view = service.views[request]
    start = dt.datetime(2026, 11, 20, 23, 5, 0, tzinfo=dt.UTC)

    def at(seconds: int, who: str, **more: Any) -> wire.VoiceView:
        return wire.VoiceView(who=who, at=start + dt.timedelta(seconds=seconds), counts=True, **more)

    assert view.preview is not None
    naive = (start + dt.timedelta(seconds=20)).replace(tzinfo=None)  # counts as UTC
    service.views[request] = msgspec.structs.replace(
        view,
        created=start,
        preview=msgspec.structs.replace(view.preview, at=start),
        approvals=[at(30, "bob@TPI.TEST", comment="seen"), at(10, "carol@TPI.TEST")],
        withdrawals=[msgspec.structs.replace(at(20, "carol@TPI.TEST"), at=naive)],
        denials=[msgspec.structs.replace(at(25, "dave@TPI.TEST"), counts=False, message="no rule")],
        begun=start + dt.timedelta(seconds=31),
        state="executed",
        result=wire.ResultView(outcome="executed", excerpt="done", at=start + dt.timedelta(seconds=32)),
    )
    assert cli("bob", "show", request) == 0
    happened = cli.out.split("What happened\n")[1].split("How it ended")[0]
    zone = start.astimezone().isoformat()[19:]
    local = (start + dt.timedelta(seconds=30)).astimezone().isoformat(sep=" ")[:19]
    assert f"  {local} {zone}  bob@TPI.TEST approved, saying: seen\n" in happened
    assert [line[30:] for line in happened.splitlines()] == [
        "alice@TPI.TEST asked for it",
        "localhost showed what it would do",
        "carol@TPI.TEST approved",
        "carol@TPI.TEST withdrew the approval",
        "dave@TPI.TEST denied it (does not count: no rule)",
        "bob@TPI.TEST approved, saying: seen",
        "localhost took it to run it",
        "localhost ended it: executed",
    ]


def test_errors_for_programs(cli: Cli) -> None:
    """With JSON, standard output holds one document always: the answer, or a problem as of RFC 9457."""
    request = cli.created()
    for argv, code, status, http in (
        (("show", "00000000", "--json"), "not-found", 2, 404),
        (("--json", "approve", "--yes", request), "self-approval", 4, 403),
        (("show", "zz", "-o", "json"), "bad-id", 64, 400),
        (("-ojson", "list", "--state", "nonsense"), "bad-input", 64, 400),
        (("list", "--output=json", "--config", "/nonexistent"), "config", 1, 500),
        (("converge", "--nonsense", "--json"), "bad-input", 64, 400),
        (("converge", "--json", "--ldap-uri", "ldap://localhost", "--suffix", "dc=a"), "config", 1, 500),
        (("completion", "fish", "--json"), "bad-input", 64, 400),
    ):
        assert cli("alice", *argv) == status, argv
        problem_of = cli.json()
        assert problem_of.keys() == {"type", "title", "status", "detail", "code", "exit_status"}
        assert (problem_of["code"], problem_of["exit_status"], problem_of["status"]) == (code, status, http)
        assert problem_of["type"] == f"urn:ipa-tpi:problem:{code}"
        assert cli.err.endswith(f"ipa-tpi: ERROR: {problem_of['detail']}\n")
    assert cli("nobody", "list", "--json") == 1
    assert cli.json()["code"] == "no-ticket"
    for argv in (
        ("show", "00000000"),
        ("show", "00000000", "-o", "name"),
        ("--json", "-o", "x", "list"),
        ("show", "--", "--json"),
    ):
        assert cli("alice", *argv) != 0
        assert cli.out == ""


def test_a_problem_is_harmless_and_exact_too(cli: Cli, service: Service) -> None:
    service.scripted.append(problem(403, "refused", "\x1b[2J\u202eno"))
    assert cli("bob", "list", "--json") == 4
    assert "\x1b" not in cli.out
    assert cli.json()["detail"] == "\x1b[2J\u202eno"
    service.scripted.append(problem(409, "executed", "it ran"))
    assert cli("bob", "list", "--json") == 1
    assert cli.json()["status"] == 409


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        ((), 64),
        (("request",), 64),
        (("frob",), 64),
        (("show",), 64),
        (("create",), 64),
        (("create", "dirsrv.restart", "instance"), 64),
        (("create", "dirsrv.restart", "=x"), 64),
        (("create", "dirsrv.restart", "instance=a", "instance=b"), 64),
        (("create", "dirsrv.restart", "--host", "no such host"), 64),
        (("create", "no.such", "instance=a"), 4),
        (("create", "dirsrv.restart", "instance=a\x1b"), 4),
        (("show", "zz"), 64),
        (("show", "00000000"), 2),
        (("show", "00000000-0000-4000-8000-000000000000"), 2),
        (("wait", "00000000", "--timeout", "-1"), 64),
        (("wait", "00000000", "--timeout", "x"), 64),
        (("list", "--output", "yaml"), 64),
        (("list", "--json", "-o", "name"), 64),
        (("list", "--stat", "pending"), 64),
        (("list", "--server", "http://localhost"), 64),
        (("list", "--config", "/nonexistent"), 1),
        (("--version",), 0),
        (("--help",), 0),
        (("request", "approve", "--help"), 0),
    ],
)
def test_exit_statuses(cli: Cli, argv: tuple[str, ...], status: int) -> None:
    assert cli("alice", *argv) == status
    if status:
        assert "ipa-tpi: ERROR: " in cli.err
        assert cli.out == ""
        assert "\x1b" not in cli.err
    else:
        assert cli.err == ""


def test_version(cli: Cli) -> None:
    assert cli("alice", "--version") == 0
    assert cli.out == f"ipa-tpi {__version__}\n"


def test_no_ticket(cli: Cli) -> None:
    assert cli("nobody", "list") == 1
    assert cli.err.startswith("ipa-tpi: ERROR: you have no usable Kerberos ticket")
    assert "Run kinit" in cli.err


def test_no_server(cli: Cli) -> None:
    assert cli("alice", "list", "--server", f"localhost:{free_port()}") == 1
    assert "cannot connect" in cli.err


def test_the_servers_refusal_is_the_exit_status(cli: Cli) -> None:
    request = cli.created()
    assert cli("alice", "approve", "--yes", request) == 4
    assert cli.err == "ipa-tpi: ERROR: same user cannot self-approve\n"


@pytest.mark.parametrize(
    ("state", "status"), [("expired", 5), ("cancelled", 8), ("executed", 4), ("indeterminate", 4)]
)
def test_what_has_ended_is_not_approved(cli: Cli, service: Service, state: str, status: int) -> None:
    request = cli.created()
    service.views[request] = msgspec.structs.replace(service.views[request], state=state)
    assert cli("bob", "approve", "--yes", request) == status
    assert len(service.proofs) == 1


def test_nothing_is_approved_before_the_preview(cli: Cli, service: Service) -> None:
    service.shown = None
    request = cli.created()
    assert cli("bob", "show", request) == 3
    assert "(nothing yet)" in cli.out
    assert cli("bob", "approve", "--yes", request) == 4
    assert "has not shown yet" in cli.err
    assert cli("bob", "deny", request) == 0


def test_r_k10_a_server_that_shows_something_else(cli: Cli, service: Service) -> None:
    request = cli.created()
    service.alter = lambda view: msgspec.structs.replace(view, parameters={"instance": "DS02"})
    assert cli("bob", "approve", "--yes", request) == 4
    assert "Do not approve this request" in cli.err
    assert len(service.proofs) == 1


def test_r_k11_no_text_of_the_server_reaches_the_terminal_raw(cli: Cli, service: Service) -> None:
    evil = "\x1b[2J\u202e\u200b\nRequest approved"
    service.shown = {"diff": f"-a\n+{evil}", evil: evil}
    request = cli.created()
    now = service.views[request].created
    voice = wire.VoiceView(who=evil, at=now, comment=evil, code=evil, message=evil)
    service.alter = lambda view: msgspec.structs.replace(
        view,
        state=evil,
        code=evil,
        message=evil,
        why_not=evil,
        approvals=[voice],
        denials=[voice],
        withdrawals=[voice],
        cancellations=[voice],
        result=wire.ResultView(outcome=evil, excerpt=evil, at=now, exit_status=1),
    )
    runs: list[tuple[str, ...]] = [
        ("show", request),
        ("list",),
        ("deny", request),
        ("approve", "--yes", request),
    ]
    runs += [("show", request, "--json"), ("list", "-o", "name"), ("wait", request, "--timeout", "0")]
    for argv in runs:
        cli("bob", *argv)
        for text in (cli.out, cli.err):
            assert not set(text) & {"\x1b", "\u202e", "\u200b"}
            assert not any(line.startswith("Request approved") for line in text.splitlines())
    service.scripted.append(problem(403, "refused", evil))
    assert cli("bob", "list") == 4
    assert cli.err == "ipa-tpi: ERROR: \\u001b[2J\\u202e\\u200b\\u000aRequest approved\n"


def _once_shown(service: Service, request: str, action: Callable[[], None]) -> None:
    """Let something happen right after a request was first shown."""
    answer = service.answer

    def answering(who: str, method: str, path: str, body: bytes) -> Any:
        given = answer(who, method, path, body)
        if (method, path.partition("?")[0].rpartition("/")[2]) == ("GET", request):
            service.answer = answer  # type: ignore[method-assign]
            action()
        return given

    service.answer = answering  # type: ignore[method-assign]


def _later(action: Callable[[], None], seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def _end(service: Service, request: str, state: str) -> Callable[[], None]:
    def end() -> None:
        view = service.views[request]
        result = wire.ResultView(outcome=state, excerpt="done", at=view.created)
        service.views[request] = msgspec.structs.replace(view, state=state, result=result)

    return end


@pytest.mark.parametrize(
    ("state", "status"), [("executed", 0), ("failed", 7), ("denied", 4), ("indeterminate", 6)]
)
def test_wait_ends_with_the_state(cli: Cli, service: Service, state: str, status: int) -> None:
    request = cli.created()
    _once_shown(service, request, _end(service, request, state))
    assert cli("alice", "wait", request[:8]) == status
    assert cli.out == f"Request {request}: {state}: done\n"
    assert cli.err == f"ipa-tpi: state: pending\nipa-tpi: state: {state}\n"


def test_wait_goes_on_through_gaps(cli: Cli, service: Service) -> None:
    request = cli.created()
    service.scripted = [
        _view(service, request),
        problem(503, "directory-unavailable", "the directory is away"),
        (401, "text/html", b"", {}),
        lambda _handler: None,
    ]
    timer = _later(_end(service, request, "executed"), 0.5)
    assert cli("alice", "wait", request) == 0
    timer.join()
    assert cli.err.splitlines()[:2] == [
        "ipa-tpi: state: pending",
        "ipa-tpi: no answer about the request for now; still trying for up to 9 min 30 s: the directory is away",
    ]
    assert re.fullmatch(r"ipa-tpi: answered again after \d s; state: executed", cli.err.splitlines()[2])
    assert len(cli.err.splitlines()) == 3
    assert service.scripted == []


def test_wait_goes_on_while_the_server_is_away(cli: Cli, service: Service, confdir: Path) -> None:
    request = cli.created()
    port = free_port()
    (confdir / "default.conf").write_text(f"[global]\nserver = localhost:{port}\n")
    begun = time.monotonic()
    assert cli("alice", "wait", request, "--timeout", "0.7") == 1
    assert 0.6 < time.monotonic() - begun < 20
    assert "still trying" in cli.err
    assert "cannot connect" in cli.err
    assert service.views[request].state == "pending"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (problem(403, "refused", "no"), 4),
        (problem(404, "not-found", "no"), 2),
        ((401, "text/html", b"", {}), 1),
        ((302, "text/html", b"", {"Location": "https://localhost/"}), 1),
    ],
)
def test_wait_ends_where_there_is_no_hope(cli: Cli, service: Service, answer: Any, status: int) -> None:
    request = cli.created()
    service.scripted.append(answer)
    assert cli("alice", "wait", request) == status
    assert "ERROR" in cli.err


def test_wait_gives_up_at_its_timeout(cli: Cli) -> None:
    request = cli.created()
    begun = time.monotonic()
    assert cli("alice", "wait", request, "--timeout", "0.5") == 3
    assert 0.4 < time.monotonic() - begun < 20
    assert "still pending after 0.5 s" in cli.err


def test_create_and_wait(cli: Cli, service: Service) -> None:
    def end() -> None:
        while not service.views:
            time.sleep(0.02)
        _end(service, next(iter(service.views)), "failed")()

    timer = _later(end, 0)
    assert cli("alice", *CREATE, "--wait", "--json") == 7
    timer.join()
    assert cli.json()["state"] == "failed"
    assert "The second person runs:" in cli.err


def test_what_is_final() -> None:
    view = wire.RequestView(
        id="",
        operation="",
        operation_digest="",
        target="",
        parameters={},
        requester="",
        reason="",
        ticket="",
        interface="",
        digest="",
        created=wire.datetime.now(),
        state="indeterminate",
    )
    assert is_final(view)
    assert not is_final(msgspec.structs.replace(view, seconds_left=5))
    ends = {state for state in STATE_EXIT_STATUS if is_final(msgspec.structs.replace(view, state=state))}
    assert ends == {"executed", "failed", "denied", "cancelled", "expired", "indeterminate"}


def _view(service: Service, request: str) -> Any:
    return 200, "application/json", wire.encode(service.views[request]), {}


@pytest.mark.parametrize(
    ("answer", "status"),
    [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\n", 1), ("yeah\n", 1), ("\x04", 1)],
)
@pytest.mark.usefixtures("kdc")
def test_r_k11_a_person_is_asked_after_everything_was_shown(
    cli: Cli,
    service: Service,
    ccaches: dict[str, str],
    answer: str,
    status: int,
) -> None:
    request = cli.created()
    terminal = Terminal(ccaches["bob"], "approve", request[:8])
    terminal.read_until("Approve? [y/N]")
    assert all(
        text in terminal.text for text in ("DS01", "alice@TPI.TEST", "disk full", "dirsrv@DS01.service")
    )
    assert len(service.proofs) == 1
    terminal.type(answer)
    assert terminal.end() == status
    assert len(service.proofs) == (2 if status == 0 else 1)
    assert ("nothing was done" in terminal.text) == (status == 1)


def test_an_answer_that_is_no_yes_is_a_problem_for_programs(
    cli: Cli, ccaches: dict[str, str], tmp_path: Path
) -> None:
    request = cli.created()
    command = [sys.executable, "-m", "ipa_tpi.cli.main", "approve", "--json", request]
    # Standard output goes to a program, and what the person has to see to the terminal.
    terminal = Terminal(ccaches["bob"], program=["sh", "-c", f"{shlex.join(command)} > {tmp_path}/out"])
    terminal.read_until("Approve? [y/N]")
    terminal.type("n\n")
    assert terminal.end() == 1
    told = json.loads((tmp_path / "out").read_text())
    assert (told["code"], told["exit_status"]) == ("not-confirmed", 1)


def test_r_k11_on_a_terminal_of_80_columns(cli: Cli, service: Service, ccaches: dict[str, str]) -> None:
    reason = "harmless" + " " * 60 + "  parameter instance:  DS02 " + "漢" * 40
    service.shown = {"diff": "-a\n+" + "b" * 100, "unit": "dirsrv@DS01.service"}
    service.candidates[1] = msgspec.structs.replace(service.candidates[1], message="because " * 20)
    assert cli("alice", "create", "dirsrv.restart", "instance=DS01", "--reason", reason, "-o", "name") == 0
    request = cli.out.strip()
    shown: dict[str, list[str]] = {}
    for argv, columns in (
        (("show", request), 80),
        (("list",), 80),
        (("operations",), 60),
        (("approvers", request), 80),
        (("whoami",), 80),
    ):
        terminal = Terminal(ccaches["bob"], *argv, columns=columns)
        terminal.end()
        shown[argv[0]] = terminal.text.replace("\r\n", "\n").splitlines()
        assert max(map(width, shown[argv[0]])) <= columns
    # Nothing of the reason stands where a field of ours would.
    assert [line for line in shown["show"] if line.startswith("  parameter")] == [
        "  parameter instance:  DS01"
    ]
    assert sum(line.endswith("\\") for line in shown["show"]) == 3
    assert shown["list"] == [
        f"{request}  pending, 3 min 20 s left",
        "    dirsrv.restart on localhost (instance=DS01), asked for by alice@TPI.TEST",
    ]
    assert cli("bob", "list") == 0
    assert len(cli.out.splitlines()) == 2
    assert "  ask for it:          ipa-tpi create dirsrv.restart \\" in shown["operations"]


def test_r_k11_what_was_typed_before_the_question_is_no_answer(
    cli: Cli,
    service: Service,
    ccaches: dict[str, str],
) -> None:
    request = cli.created()
    terminal = Terminal(ccaches["bob"], "approve", request)
    terminal.type("y\n")
    terminal.read_until("Approve? [y/N]")
    terminal.type("n\n")
    assert terminal.end() == 1
    assert len(service.proofs) == 1


def test_an_interrupt_is_no_answer_either(
    cli: Cli, service: Service, ccaches: dict[str, str], kdc: Kdc
) -> None:
    assert kdc
    request = cli.created()
    terminal = Terminal(ccaches["bob"], "approve", request)
    terminal.read_until("Approve? [y/N]")
    terminal.process.send_signal(2)
    assert terminal.end() == 130
    assert len(service.proofs) == 1


@pytest.mark.usefixtures("confdir")
def test_a_reader_that_goes_away(ccaches: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ipa_tpi.cli.main", "operations"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"KRB5CCNAME": ccaches["bob"]},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(10) == 1
    process.stderr.close()


@pytest.mark.usefixtures("confdir")
def test_a_terminal_without_unicode(ccaches: dict[str, str], service: Service) -> None:
    service.shown = {"name": "Jürgen"}
    environment = os.environ | {"KRB5CCNAME": ccaches["alice"], "PYTHONIOENCODING": "ascii"}
    argv = [sys.executable, "-m", "ipa_tpi.cli.main"]
    made = subprocess.run(
        [*argv, *CREATE, "-o", "name"], env=environment, capture_output=True, text=True, check=True
    )
    shown = subprocess.run(
        [*argv, "show", made.stdout.strip()], env=environment, capture_output=True, check=False
    )
    assert shown.returncode == 3
    assert b"J\\xfcrgen" in shown.stdout
    assert shown.stderr == b""


@pytest.mark.parametrize("argv", [["--help"], ["--version"]])
def test_help_loads_no_kerberos(argv: list[str]) -> None:
    code = (
        "import sys\nfrom ipa_tpi.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'gssapi', 'ssl', 'http.client', 'rich', 'ldap', 'flask', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0


def test_verbs_load_no_more_than_they_need() -> None:
    code = (
        "import sys, ipa_tpi.cli.verbs\n"
        "print({'rich', 'ldap', 'flask', 'requests', 'requests_gssapi', 'ipa_tpi_acls'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"


def test_converge_is_the_other_packages(cli: Cli) -> None:
    assert cli("alice", "converge", "--no-such-option") == 64
