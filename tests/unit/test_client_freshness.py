"""A ticket for one proof alone: asked for on the terminal, used once, gone afterwards, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gssapi
import msgspec
import pytest
from cli_terminal import Terminal
from client_fakes import REALM, Authority, Kdc, Service
from gssapi.raw import ext_krb5

from ipa_tpi.client import TpiClient, Wish
from ipa_tpi.client.freshness import command
from ipa_tpi.client.tickets import GssTickets, Tickets
from ipa_tpi.client.wanted import Wanted
from ipa_tpi.wire import VoiceView

pytest_plugins = ("client_fakes",)
ROOT = Path(__file__).parents[2]
CLI = (sys.executable, "-m", "ipa_tpi.cli.main")
CREATE = ("create", "dirsrv.restart", "instance=DS01", "--ticket", "INC-1")
INITIAL = 0x00400000
ASKED = "Password for alice@TPI.TEST"


@pytest.fixture(autouse=True)
def temporary(
    service: Service, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A service whose one operation demands a fresh ticket; and where temporary files go, to be looked into."""
    wanted = msgspec.structs.replace(service.operations.operations[0], fresh_seconds=90)
    service.operations = msgspec.structs.replace(service.operations, operations=[wanted])
    (tmp_path / "default.conf").write_text(f"[global]\nrealm = {REALM}\nserver = localhost:{service.port}\n")
    (tmp_path / "ca.crt").write_bytes(authority.file.read_bytes())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("IPA_CONFDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'acls'}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def at_a_terminal(ccache: str, *argv: str) -> Terminal:
    return Terminal(ccache, program=["setsid", "--ctty", "--wait", *CLI, *argv])


def services(ccache: str) -> str:
    return subprocess.run(["klist", ccache], capture_output=True, text=True, check=True).stdout


def flags(service: Service) -> int:
    """Give the flags of the ticket behind the last proof."""
    name = gssapi.Name(f"tpi/localhost@{REALM}", gssapi.NameType.kerberos_principal)
    store: dict[bytes | str, bytes | str] = {"keytab": str(service.kdc.keytab)}
    context = gssapi.SecurityContext(creds=gssapi.Credentials(name=name, usage="accept", store=store))
    context.step(service.proofs[-1][2].token)
    return int(ext_krb5.krb5_get_tkt_flags(context))


def test_r_x11_the_factor_is_asked_for_and_the_ticket_is_for_the_proof_alone(
    kdc: Kdc, service: Service, temporary: Path
) -> None:
    ccache = kdc.kinit("alice")
    terminal = at_a_terminal(ccache, *CREATE, "-o", "name")
    terminal.read_until(ASKED)
    assert "tpi/localhost@TPI.TEST demands a ticket that was got just now" in terminal.text
    (folder,) = temporary.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "armor").stat().st_mode & 0o777 == 0o600
    terminal.type("alice\n")
    assert terminal.end() == 0
    assert flags(service) & INITIAL
    assert list(temporary.iterdir()) == []
    assert "HTTP/localhost" in services(ccache)
    assert "tpi/" not in services(ccache)


def test_r_x11_what_any_ticket_does_for_asks_nothing(kdc: Kdc, service: Service) -> None:
    wanted = msgspec.structs.replace(service.operations.operations[0], fresh_seconds=0)
    service.operations = msgspec.structs.replace(service.operations, operations=[wanted])
    ccache = kdc.kinit("alice")
    terminal = at_a_terminal(ccache, *CREATE)
    assert terminal.end() == 0
    assert ASKED not in terminal.text
    assert not flags(service) & INITIAL
    assert "tpi/" in services(ccache)


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [("wrong\n", 1, "kinit gave no ticket"), ("\n", 1, "kinit gave no ticket"), ("\x03", 130, "interrupted")],
)
def test_r_x11_without_the_factor_nothing_is_sent_and_nothing_stays(
    kdc: Kdc, service: Service, temporary: Path, typed: str, status: int, words: str
) -> None:
    terminal = at_a_terminal(kdc.kinit("alice"), *CREATE)
    terminal.read_until(ASKED)
    terminal.type(typed)
    assert terminal.end() == status
    assert words in terminal.text
    assert service.proofs == []
    assert service.views == {}
    assert list(temporary.iterdir()) == []


def test_r_x11_the_end_of_the_session_takes_the_ticket_along(
    kdc: Kdc, service: Service, temporary: Path
) -> None:
    ccache = kdc.kinit("alice")
    terminal = Terminal(
        ccache,
        program=["setsid", "--ctty", "--wait", "sh", "-c", 'echo "$$ "; exec "$@"', "sh", *CLI, *CREATE],
    )
    terminal.read_until(ASKED)
    assert not terminal.echoes()
    os.kill(int(terminal.text.split()[0]), signal.SIGTERM)
    terminal.process.wait(10)
    assert terminal.echoes()
    assert terminal.end() != 0
    assert service.proofs == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("json_wanted", [False, True])
def test_r_x11_without_a_terminal_it_says_what_to_do(kdc: Kdc, service: Service, json_wanted: bool) -> None:
    done = subprocess.run(
        [*CLI, *CREATE, *(["--json"] if json_wanted else [])],
        env=os.environ | {"KRB5CCNAME": kdc.kinit("alice")},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # so that it has none, wherever the tests are run
    )
    assert done.returncode == 1
    assert "Run the same command in a terminal." in done.stderr
    assert service.views == {}
    if json_wanted:
        assert json.loads(done.stdout)["code"] == "fresh-needed"


def test_r_x11_approve_and_prove_ask_and_a_veto_does_not(kdc: Kdc, service: Service) -> None:
    asked: list[tuple[str, str, int]] = []

    @contextmanager
    def fresh(tickets: Tickets, target: str, wanted: Wanted) -> Iterator[Tickets]:
        principal = tickets.principal()
        asked.append((principal, target, wanted.seconds))
        yield GssTickets(kdc.kinit(principal.partition("@")[0], "-S", f"tpi/{target}"))

    people = {
        name: TpiClient(
            service.url, str(Path(os.environ["IPA_CONFDIR"]) / "ca.crt"), kdc.kinit(name), fresh=fresh
        )
        for name in ("alice", "bob")
    }
    view = people["alice"].create(Wish("dirsrv.restart", "localhost", {"instance": "DS01"}, ticket="INC-1"))
    service.views[view.id] = view = msgspec.structs.replace(view, fresh_seconds=45)
    people["alice"].prove(view)
    people["bob"].approve(view)
    people["bob"].prove(view)
    assert asked == [
        ("alice@TPI.TEST", "localhost", 90),
        ("alice@TPI.TEST", "localhost", 45),
        ("bob@TPI.TEST", "localhost", 45),
        ("bob@TPI.TEST", "localhost", 45),
    ]
    assert flags(service) & INITIAL
    # This server's floor demands nothing; the target's does, as its refusal shows.
    lax = msgspec.structs.replace(view, fresh_seconds=0)
    service.views[view.id] = lax
    stale = VoiceView(who="bob@TPI.TEST", at=view.created, code="proof-stale")
    people["alice"].prove(lax)
    people["bob"].prove(lax)
    people["alice"].prove(msgspec.structs.replace(lax, approvals=[stale]))
    people["bob"].prove(msgspec.structs.replace(lax, code="proof-stale"))
    assert len(asked) == 4
    people["alice"].prove(msgspec.structs.replace(lax, code="proof-stale"))
    people["bob"].prove(msgspec.structs.replace(lax, approvals=[stale]))
    assert asked[4:] == [("alice@TPI.TEST", "localhost", 60), ("bob@TPI.TEST", "localhost", 60)]
    assert flags(service) & INITIAL
    del asked[4:]
    for say in (people["bob"].deny, people["bob"].withdraw, people["alice"].cancel):
        say(view)
        assert not flags(service) & INITIAL
    assert len(asked) == 4


def test_a_principal_is_never_an_option_and_no_secret_is_in_argv() -> None:
    words = command("-n@TPI.TEST", "tpi/x@TPI.TEST", "FILE:/x", "FILE:/y", 1)
    assert words[-2:] == ["--", "-n@TPI.TEST"]
    assert words[words.index("-l") + 1] == "60s"
    assert words[0] == "/usr/bin/kinit"
    assert words[words.index("-T") + 1] == "FILE:/y"


def test_cve_2024_1481_kinit_takes_it_for_a_name(kdc: Kdc) -> None:
    with tempfile.TemporaryDirectory() as folder:
        armor = kdc.kinit("alice")
        words = command("-V", f"tpi/localhost@{REALM}", f"FILE:{folder}/ccache", armor, 60)
        done = subprocess.run(words, input="", capture_output=True, text=True, check=False)
    assert kdc
    assert "'-V@TPI.TEST' not found" in done.stderr


def test_a_machine_without_kinit(kdc: Kdc, service: Service, temporary: Path) -> None:
    script = (
        "import ipa_tpi.client.freshness as f, sys; f.KINIT = '/nonexistent/kinit'; "
        "from ipa_tpi.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    terminal = Terminal(
        kdc.kinit("alice"), program=["setsid", "--ctty", "--wait", sys.executable, "-c", script, *CREATE]
    )
    assert terminal.end() == 1
    assert "/nonexistent/kinit cannot be run" in terminal.text
    assert list(temporary.iterdir()) == []
    assert service.views == {}
