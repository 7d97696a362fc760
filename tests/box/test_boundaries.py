"""Attack: cross from one account of the host to another: read its keys, write its files, command its daemon.

What an attacker would gain: with the executor's key or journal, everything that it may do; with callers'
tickets, everything that they may do.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from world import (
    EXECUTOR,
    HOST,
    JOURNAL,
    KEYTAB,
    LDAPI,
    REALM,
    REQUESTS,
    SOCKET,
    SUFFIX,
    World,
    eventually,
)

ATTACKERS = ("alice", "ipatpi-web", "ipatpi-validator", "www-data", "nobody", "dirsrv")
HTTP_KEYTAB = "/var/lib/ipa/gssproxy/http.keytab"
CCACHES = Path("/run/ipa-tpi/ccaches")
EXPOSURE_LIMIT = 1.6
# What the web service's account can do in its own name, through gssproxy: prints who it is, what it sees of a
# request, and how an approval of it ends; then whether it can become somebody else.
ALONE = """
import sys, gssapi, ldap
from ipa_tpi.adapters.directory import open_directory
from ipa_tpi.adapters.gss import KRB5, SPNEGO
uri, host, suffix, request, digest = sys.argv[1:]
own = gssapi.Credentials(usage="initiate", mechs=[SPNEGO, KRB5])
print(own.name)
connection = open_directory(uri, host, suffix, own)._connection
print(len(connection.search_s(suffix, ldap.SCOPE_SUBTREE, "(|(objectClass=ipaTpiRequest)(ipaTpiRequestId=*))", ["*"])))
entry = "00000000-0000-4000-8000-00000000dead"
content = {"objectClass": [b"top", b"ipaTpiApproval"], "ipaTpiEntryId": [entry.encode()], "ipaTpiDigest": [digest.encode()]}
try:
    connection.add_s(f"ipaTpiEntryId={entry},{request}", list(content.items()))
    print("added")
except ldap.LDAPError as error:
    print(type(error).__name__)
try:
    alice = gssapi.Name("alice@TPI.TEST", gssapi.NameType.kerberos_principal)
    other = own.impersonate(alice)
    gssapi.SecurityContext(name=gssapi.Name("ldap@" + host, gssapi.NameType.hostbased_service), creds=other).step()
    print("became", other.name)
except gssapi.exceptions.GSSError as error:
    print(type(error).__name__)
"""
SECRETS = (KEYTAB, JOURNAL, JOURNAL + "-wal", JOURNAL + ".lock", "/etc/ipa/tpi/executor.toml")


@pytest.mark.parametrize("account", ATTACKERS)
def test_r_e09_no_other_account_reads_the_executors_secrets(world: World, account: str) -> None:
    for path in SECRETS:
        done = world.run(account, _read(path))
        assert done.status == 1, path
        assert "permission denied" in done.err.lower()
        assert world.run("ipatpi-exec", _read(path)).status == 0, path


@pytest.mark.parametrize("account", ATTACKERS)
def test_r_e19_no_other_account_writes_what_the_executor_uses(world: World, account: str) -> None:
    folders = (
        Path(SOCKET).parent,
        Path(JOURNAL).parent,
        Path(KEYTAB).parent,
        Path("/usr/lib/ipa-tpi/venv"),
        Path("/usr/libexec/ipa-tpi"),
        Path("/usr/libexec/ipa-tpi/validators"),
        Path("/usr/libexec/ipa-tpi/validators-network"),
    )
    for folder in folders:
        done = world.run(account, ["/usr/bin/mkdir", str(folder / "evil")])
        assert done.status == 1, folder
        assert "permission denied" in done.err.lower()
    done = world.run(account, ["/usr/bin/rm", "-f", SOCKET])
    assert done.status == 1
    assert Path(SOCKET).is_socket()


def test_r_e19_everything_that_the_executor_loads_is_roots(world: World) -> None:
    loaded = {
        line.split(maxsplit=5)[5].removesuffix(" (deleted)")
        for line in Path(f"/proc/{world.pid()}/maps").read_text().splitlines()
        if len(line.split(maxsplit=5)) == 6 and line.split(maxsplit=5)[5].startswith("/")
    }
    own = {path for path in loaded if not path.startswith(("/var/lib/ipa-tpi-executor/", "/dev/", "/memfd:"))}
    assert own
    for path in own | {str(parent) for one in own for parent in Path(one).parents}:
        status = Path(path).stat()
        assert status.st_uid == 0, path
        assert not status.st_mode & 0o022, path


def test_r_k01_the_web_account_holds_no_key(world: World) -> None:
    for path in (HTTP_KEYTAB, KEYTAB, "/etc/krb5.keytab", "/etc/dirsrv/ds.keytab"):
        if path == HTTP_KEYTAB:
            assert Path(path).exists()
        done = world.run("ipatpi-web", _read(path))
        assert done.status == 1, path


def test_r_k01_no_ticket_of_a_caller_is_left_after_his_request(world: World) -> None:
    for person in ("alice", "bob", "carol"):
        world.api(person).list()
    # Apache ends a request a moment after its answer.
    eventually(lambda: not list(CCACHES.iterdir()), 3)
    for account in ("alice", "nobody", "dirsrv", "ipatpi-exec"):
        done = world.run(account, ["/usr/bin/ls", str(CCACHES)])
        assert done.status != 0, account


def test_r_k01_the_web_account_acts_as_nobody_without_a_caller(world: World) -> None:
    """With gssproxy at hand, and no ticket of a caller, it gets no name that the directory lets do anything."""
    program = (
        "import gssapi, sys; name = gssapi.Name(sys.argv[1], gssapi.NameType.kerberos_principal);"
        "print(gssapi.Credentials(name=name, usage='initiate').name)"
    )
    for principal in (
        f"alice@{REALM}",
        f"tpi/{HOST}@{REALM}",
        f"ldap/{HOST}@{REALM}",
        f"host/{HOST}@{REALM}",
    ):
        done = world.run(
            "ipatpi-web",
            ["/usr/lib/ipa-tpi/venv/bin/python", "-c", program, principal],
            GSS_USE_PROXY="yes",
            GSSPROXY_BEHAVIOR="REMOTE_FIRST",
        )
        assert done.status != 0, f"{principal}: {done}"
        assert "GSSError" in done.err or "MissingCredentialsError" in done.err or "gssapi" in done.err


def test_r_k01_in_its_own_name_the_web_account_sees_and_writes_nothing(world: World) -> None:
    """It has the name HTTP/HOST (gssproxy makes the tickets), which has no right, and cannot become anybody."""
    request_id = world.request("alice", reason="for the web account to look at")
    view = world.api("bob").show(request_id)
    done = world.run(
        "ipatpi-web",
        [
            "/usr/lib/ipa-tpi/venv/bin/python",
            "-c",
            ALONE,
            LDAPI,
            HOST,
            SUFFIX,
            f"ipaTpiRequestId={request_id},{REQUESTS}",
            view.approval_digest,
        ],
        GSS_USE_PROXY="yes",
        GSSPROXY_BEHAVIOR="REMOTE_FIRST",
    )
    assert done.status == 0, done
    name, seen, added, became = done.out.splitlines()
    assert name == f"HTTP/{HOST}@{REALM}"
    assert seen == "0"
    assert added in {"INSUFFICIENT_ACCESS", "NO_SUCH_OBJECT"}
    assert not became.startswith("became")
    # The very same entry is taken from bob.
    assert world.approve("bob", request_id).approvals
    world.wait_state(request_id, "executed")


def test_r_e20_the_executor_listens_on_no_network(world: World) -> None:
    own = f"pid={world.pid()},"
    listening = _ss("-tulnp")
    assert "ns-slapd" in listening  # so that the names of processes are seen at all
    assert own not in listening
    assert own in _ss("-xlnp")


def test_r_e23_the_executor_has_no_capability(world: World) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{world.pid()}/status").read_text().splitlines()
        if ":\t" in line
    )
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert set(status["Uid"].split()) == {world.run("ipatpi-exec", ["/usr/bin/id", "-u"]).out.strip()}
    assert status["Groups"].split() in ([], status["Gid"].split()[:1])


def test_r_e09_core_dumps_are_off(world: World) -> None:
    for unit in (EXECUTOR, "apache2.service"):
        limits = Path(f"/proc/{world.pid(unit)}/limits").read_text().splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], unit


def test_r_e13_exposure_of_the_executors_unit(world: World, record_property: pytest.RecordProperty) -> None:
    assert world.show(EXECUTOR, "ActiveState") == "active"
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "security", "--no-pager", EXECUTOR],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    last = next(line for line in done.stdout.splitlines() if "Overall exposure level" in line)
    exposure = float(last.partition(":")[2].split()[0])
    record_property("systemd-analyze security", exposure)
    assert exposure <= EXPOSURE_LIMIT


@pytest.mark.parametrize("arguments", [["--help"], ["polkit-rules"]])
def test_r_e19_the_privileged_program_loads_nothing_that_it_must_not(
    world: World, arguments: list[str]
) -> None:
    interpreter = (
        Path("/usr/libexec/ipa-tpi/ipa-tpi-executor").resolve().read_text().splitlines()[0].removeprefix("#!")
    )
    program = (
        "import sys\n"
        "from ipa_tpi.executor.daemon import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = world.run(
        "ipatpi-exec", [interpreter, "-c", program, *arguments], PYTHONSAFEPATH="1", PYTHONNOUSERSITE="1"
    )
    loaded = set(done.err.split())
    assert {"ipa_tpi.executor.daemon", "gssapi", "ldap", "jeepney"} <= loaded, done.err[-500:]
    roots = {name.partition(".")[0] for name in loaded}
    # http.client is there: python-ldap's schema parser imports urllib.request. Nothing of ours does (import-linter).
    forbidden = {
        "flask",
        "werkzeug",
        "jinja2",
        "requests",
        "requests_gssapi",
        "urllib3",
        "pickle",
        "_pickle",
        "yaml",
        "xml",
    }
    assert not roots & forbidden
    assert not {"ipa_tpi.web", "ipa_tpi.cli", "ipa_tpi.client", "ipa_tpi.flow", "ipa_tpi_acls"} & loaded


def _read(path: str) -> list[str]:
    return ["/usr/bin/dd", f"if={path}", "of=/dev/null", "count=1"]


def _ss(*options: str) -> str:
    return subprocess.run(
        ["/usr/bin/ss", *options], capture_output=True, text=True, timeout=20, check=True
    ).stdout
