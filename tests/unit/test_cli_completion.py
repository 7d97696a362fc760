"""What ``ipa-tpi completion`` prints completes verbs, options, values, and what the server names."""

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ipa_tpi.cli.arguments import grammar
from ipa_tpi.cli.completion import CONVERGE_OPTIONS, DOGTAG_OPTIONS, script
from ipa_tpi.cli.main import main
from ipa_tpi.errors import STATE_EXIT_STATUS
from ipa_tpi_acls.converge import run as converge
from ipa_tpi_acls.dogtag.command import command as dogtag

REQUEST_VERBS = {
    "create",
    "list",
    "show",
    "approve",
    "deny",
    "withdraw",
    "cancel",
    "wait",
    "prove",
    "approvers",
}
GROUPS = {"policy", "rule", "operation"}
VERBS = (
    REQUEST_VERBS | GROUPS | {"request", "whoami", "operations", "hosts", "converge", "dogtag", "completion"}
)
GENERAL = {"-h", "--help", "--server", "--config", "-o", "--output", "--json"}
FIRST = "6642973e-6380-4a18-b836-e574d0cb660c"
SECOND = "7d7a2a9e-0000-4000-8000-000000000000"
CUT = re.compile(r"[:=]+|[^\s:=]+")

Complete = Callable[[str], set[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Hold the script, and an ``ipa-tpi`` that writes down what it is asked."""
    (tmp_path / "script").write_text(script("bash"), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "ipa-tpi"
    program.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$*" >> {shlex.quote(str(tmp_path))}/asked\n'
        'case " $* " in\n'
        "*hosts*) printf '%s\\n' ipa1.tpi.test other.tpi.test 'a;b' ;;\n"
        f"*operations*) printf '%s\\n' dirsrv.restart '$(touch {tmp_path}/pwned)' 'dir*' '`id`' 'a b' ;;\n"
        f"*) printf '%s\\n' {FIRST} {SECOND} ;;\n"
        "esac\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def complete(folder: Path) -> Complete:
    """Give what bash offers at the end of a line, cut into words as bash cuts it."""

    def complete(line: str) -> set[str]:
        words = CUT.findall(line) + ([""] if line.endswith(" ") else [])
        listed = " ".join(map(shlex.quote, words))
        program = (
            f"source {shlex.quote(str(folder / 'script'))} || exit\n"
            f"COMP_WORDS=({listed}) COMP_CWORD={len(words) - 1}\n"
            '_ipa_tpi\nprintf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", program],
            env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        assert done.stderr == ""
        return set(done.stdout.split())

    return complete


def _asked(folder: Path) -> list[str]:
    path = folder / "asked"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_verbs(complete: Complete, folder: Path) -> None:
    assert complete("ipa-tpi ") == VERBS
    assert complete("ipa-tpi w") == {"withdraw", "wait", "whoami"}
    assert complete("ipa-tpi --server ipa1.example.test:8443 -o json ap") == {"approve", "approvers"}
    assert complete("ipa-tpi request ") == REQUEST_VERBS
    assert complete("ipa-tpi request wh") == set()
    assert complete("ipa-tpi rule ") == complete("ipa-tpi operation ") == {"find", "show"}
    assert complete("ipa-tpi policy ") == {"test"}
    assert _asked(folder) == []


def test_general_options(complete: Complete) -> None:
    assert complete("ipa-tpi -") == GENERAL | {"--version"}
    assert complete("ipa-tpi request -") == GENERAL


@pytest.mark.parametrize(
    ("verb", "own"),
    [
        ("create", {"--host", "--reason", "--ticket", "--wait", "--timeout"}),
        (
            "list",
            {
                *("--state", "--mine", "--approvable", "--limit", "--before"),
                *("--operation", "--user", "--since", "--until", "--approver", "--host", "--outcome"),
            },
        ),
        ("approvers", {"--user"}),
        ("approve", {"--comment", "--yes"}),
        ("wait", {"--timeout"}),
        ("whoami", set()),
        ("policy test", {"--user", "--operation", "--host", "--right", "--parameter", "--member-of"}),
        ("rule", set()),
        ("rule find", {"--operation", "--user", "--right"}),
        ("rule show", set()),
        ("operation find", set()),
        ("operation show", {"--host"}),
    ],
)
def test_options_of_verbs(complete: Complete, verb: str, own: set[str]) -> None:
    assert complete(f"ipa-tpi {verb} -") == GENERAL | own
    if verb in REQUEST_VERBS:
        assert complete(f"ipa-tpi request {verb} -") == GENERAL | own


def test_every_option_of_every_verb_is_offered() -> None:
    cases = dict(re.findall(r"^        ([a-z]+)\)\n            flags='(.*)'$", script("bash"), re.MULTILINE))
    (verbs,) = (action.choices for action in grammar()._actions if isinstance(action.choices, dict))
    assert cases.keys() == verbs.keys() == VERBS
    for verb in VERBS - {"converge", "dogtag"}:
        shown = set(re.findall(r"(?<![\w-])--?[a-z]+", verbs[verb].format_help().partition("usage: ")[2]))
        assert set(cases[verb].split()) == {word for word in shown if word.startswith("--") or len(word) == 2}


def test_converges_options_are_those_of_its_help() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as written:
        assert converge(["--help"]) == 0
    lines = re.findall(r"^  (-.*?)(?:  .*)?$", written.getvalue(), re.MULTILINE)
    found = {name: bool(value) for line in lines for name, value in re.findall(r"(-[a-z-]+)( [A-Z]+)?", line)}
    assert found == CONVERGE_OPTIONS


@pytest.mark.parametrize("deed", ["show", "diff", "apply"])
def test_dogtags_options_are_those_of_its_help(deed: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as written, pytest.raises(SystemExit):
        dogtag(["acls", deed, "--help"])
    lines = re.findall(r"^  (-.*?)(?:  .*)?$", written.getvalue(), re.MULTILINE)
    found = {name: bool(value) for line in lines for name, value in re.findall(r"(-[a-z-]+)( [A-Z]+)?", line)}
    assert found == DOGTAG_OPTIONS


def test_an_option_means_the_same_everywhere() -> None:
    # The script has one table for all verbs.
    (verbs,) = (action.choices for action in grammar()._actions if isinstance(action.choices, dict))
    seen: dict[str, set[tuple[bool, str]]] = {}
    for parser in verbs.values():
        for action in parser._actions:
            for name in action.option_strings:
                seen.setdefault(name, set()).add((action.nargs != 0, str(action.choices)))
    assert all(len(meanings) == 1 for meanings in seen.values())
    assert all(
        seen[name].pop()[0] == valued
        for name, valued in {**CONVERGE_OPTIONS, **DOGTAG_OPTIONS}.items()
        if name in seen
    )


def test_values_of_options(complete: Complete, folder: Path) -> None:
    assert complete("ipa-tpi list --state ") == set(STATE_EXIT_STATUS)
    assert complete("ipa-tpi list --state=") == set(STATE_EXIT_STATUS)
    assert complete("ipa-tpi list --state=pe") == {"pending"}
    assert complete("ipa-tpi -o j") == {"json"}
    assert complete("ipa-tpi completion ") == {"bash", "zsh"}
    assert complete("ipa-tpi create dirsrv.restart --reason ") == set()
    assert complete("ipa-tpi approve --comment ") == set()
    assert _asked(folder) == []


def test_ids(complete: Complete, folder: Path) -> None:
    assert complete("ipa-tpi show ") == {FIRST, SECOND}
    assert complete("ipa-tpi request deny 66") == {FIRST}
    assert complete("ipa-tpi approve 7d") == {SECOND}
    assert complete("ipa-tpi cancel ") == {FIRST, SECOND}
    assert complete(f"ipa-tpi approve {FIRST} ") == set()
    assert _asked(folder) == [
        "list -o name",
        "list -o name",
        "list --approvable -o name",
        "list --mine -o name",
    ]


def test_hosts_and_ids_of_options(complete: Complete, folder: Path) -> None:
    assert complete("ipa-tpi create dirsrv.restart --host ") == {"ipa1.tpi.test", "other.tpi.test"}
    assert complete("ipa-tpi create dirsrv.restart --host=o") == {"other.tpi.test"}
    assert complete("ipa-tpi list --before 7") == {SECOND}
    assert complete("ipa-tpi approvers 66") == {FIRST}
    assert complete("ipa-tpi approvers --user ") == set()
    assert complete("ipa-tpi list --operation d") == {"dirsrv.restart"}
    assert _asked(folder) == [
        "hosts -o name",
        "hosts -o name",
        "list -o name",
        "list -o name",
        "operations -o name",
    ]


def test_names_of_what_is_looked_at(complete: Complete, folder: Path) -> None:
    assert complete("ipa-tpi operation show d") == {"dirsrv.restart"}
    assert complete("ipa-tpi rule show 66") == {FIRST}
    assert complete("ipa-tpi policy test --operation d") == {"dirsrv.restart"}
    assert complete("ipa-tpi rule find --right ") == {"request", "approve"}
    assert complete("ipa-tpi operation find ") == set()
    assert _asked(folder) == ["operations -o name", "rule find -o name", "operations -o name"]


def test_the_server_of_the_command_line_is_asked(complete: Complete, folder: Path) -> None:
    assert complete("ipa-tpi --server ipa1:8443 show --config=/etc/x 66") == {FIRST}
    assert complete("ipa-tpi --server=https://ipa1:8443 show 66") == {FIRST}
    assert _asked(folder) == [
        "--server ipa1:8443 --config=/etc/x list -o name",
        "--server=https://ipa1:8443 list -o name",
    ]


def test_what_the_server_names_is_never_run_or_expanded(complete: Complete, folder: Path) -> None:
    assert complete("ipa-tpi create ") == {"dirsrv.restart"}
    assert complete("ipa-tpi create d") == {"dirsrv.restart"}
    assert complete("ipa-tpi create dirsrv.restart instance=DS01 --h") == {"--help", "--host"}
    assert not (folder / "pwned").exists()


def test_a_server_that_does_not_answer_offers_nothing(complete: Complete, folder: Path) -> None:
    (folder / "bin" / "ipa-tpi").write_text("#!/bin/sh\necho no ticket >&2\nexit 1\n", encoding="utf-8")
    assert complete("ipa-tpi show ") == set()


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == script("bash")
    assert main(["completion", "zsh"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith(script("bash"))
    assert "bashcompinit" in printed
    assert main(["completion", "fish"]) == 64


def test_zsh_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script("zsh"), encoding="utf-8")
    done = subprocess.run(
        ["/usr/bin/zsh", "-f", "-n", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
