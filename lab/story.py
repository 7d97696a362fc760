"""The story that `make demo` plays inside a box: two people restart a directory server.

Runs as root in the container; every command that it shows runs under the account of the person it is
shown for.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.people import PEOPLE

UNIT = "dirsrv@DS01.service"
HOST = "ipa1.tpi.test"
SUFFIX = "dc=tpi,dc=test"
WSGI = Path("/usr/share/ipa-tpi/tpi.wsgi")
HOSTILE = Path(__file__).with_name("hostile.wsgi")
APPROVAL = """\
dn: ipaTpiEntryId=00000000-0000-4000-8000-{number:012d},ipaTpiRequestId={id},cn=requests,cn=tpi,dc=tpi,dc=test
changetype: add
objectClass: top
objectClass: ipaTpiApproval
ipaTpiEntryId: 00000000-0000-4000-8000-{number:012d}
ipaTpiDigest: {digest}
"""
STRIP_ACIS = """\
dn: cn=requests,cn=tpi,dc=tpi,dc=test
changetype: modify
delete: aci
"""


class StoryError(Exception):
    """The story did not go as it must."""


def tell(text: str) -> None:
    """Print a paragraph of the story."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def run(
    person: str,
    command: Sequence[str],
    text: str = "",
    *,
    shown: str = "",
    briefly: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command under a person's account, and print it with what it says (briefly: only its errors)."""
    account = pwd.getpwnam(person)
    environment = {
        "HOME": account.pw_dir,
        "USER": person,
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
    }
    print(f"\n{person}$ {shown or ' '.join(command).removeprefix('/usr/bin/')}", flush=True)
    prefix = ["/usr/bin/setpriv", f"--reuid={person}", f"--regid={account.pw_gid}", "--init-groups", "--"]
    done = subprocess.run(
        [*prefix, *command],
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd="/",
    )
    for line in (("" if briefly else done.stdout) + done.stderr).splitlines():
        print(f"    {line}")
    return done


def expect(what: str, truth: object) -> None:
    """Stop the story where it is not as it must be; a demonstration that lies is worse than none.

    Raises:
        StoryError: always, unless `truth` holds.
    """
    if not truth:
        raise StoryError(what)


def log_in(person: str) -> None:
    """Let a person get a ticket."""
    known = PEOPLE_BY_NAME[person]
    done = run(
        person,
        ["/usr/bin/kinit", known.principal("TPI.TEST")],
        known.password + "\n",
        shown=f"kinit {person}",
    )
    expect(f"{person} gets a ticket", done.returncode == 0)


def ask(person: str, reason: str) -> str:
    """Let a person ask for a restart of DS01; return the request's id."""
    words = [
        "request",
        "create",
        "dirsrv.restart",
        "instance=DS01",
        "--reason",
        reason,
        "--ticket",
        "OPS-1742",
    ]
    shown = f"ipa-tpi request create dirsrv.restart instance=DS01 --reason '{reason}' --ticket OPS-1742"
    done = run(person, ["/usr/bin/ipa-tpi", *words], shown=shown)
    expect("the request is taken", done.returncode in {0, 3})
    view = newest(person)
    return str(view["id"])


def newest(person: str) -> dict[str, object]:
    """Return the newest request of a person, once its target has shown what it would do."""
    for _ in range(100):
        done = quiet(person, ["/usr/bin/ipa-tpi", "list", "--mine", "--limit", "1", "--json"])
        (view,) = json.loads(done.stdout)["requests"]
        if view["state"] != "awaiting-preview":
            return dict(view)
        time.sleep(0.1)
    raise StoryError("the target shows no preview")


def quiet(person: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command under a person's account and print nothing."""
    prefix = ["/usr/sbin/runuser", "-u", person, "--", *command]
    return subprocess.run(prefix, capture_output=True, text=True, timeout=60, check=False, cwd="/")


def unit(name: str) -> str:
    """Return a property of DS01's unit."""
    command = ["/usr/bin/systemctl", "show", "-P", name, UNIT]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def straight_to_ldap(person: str, ldif: str, what: str) -> None:
    """Let a person try a change at the directory itself, and expect its refusal."""
    command = [
        "/usr/bin/ldapmodify",
        "-Q",
        "-Y",
        "GSS-SPNEGO",
        "-H",
        "ldapi://%2Frun%2Fslapd-TPI-TEST.socket",
    ]
    done = run(person, command, ldif, shown=f"ldapmodify -Y GSS-SPNEGO   # {what}")
    expect(f"the directory refuses {what}", done.returncode == 50)  # noqa: PLR2004 (insufficientAccessRights)


def refused(person: str, request_id: str, why: str) -> None:
    """Let a person try to approve, and expect a refusal."""
    done = run(person, ["/usr/bin/ipa-tpi", "approve", request_id, "--yes"], briefly=True)
    expect(why, done.returncode != 0)


def honest_part() -> str:
    """Play the story up to the restart; return the request's id."""
    tell("DS01 is a directory server (389-ds) on ipa1.tpi.test, under systemd. Nobody may restart it alone.")
    print(f"    {UNIT}: main PID {unit('MainPID')}")
    tell("Alice gets a ticket and asks for a restart.")
    log_in("alice")
    request_id = ask("alice", "replication agreement hangs")
    digest = str(newest("alice")["approval_digest"])
    tell(
        "Alice tries to approve her own request: the web service refuses; and at LDAP, past it, the directory does."
    )
    refused("alice", request_id, "nobody approves alone")
    straight_to_ldap("alice", APPROVAL.format(id=request_id, number=1, digest=digest), "her own approval")
    tell("Dave has no role.")
    log_in("dave")
    refused("dave", request_id, "dave may not approve")
    tell(
        "Adam administers the whole domain, and has no role here: he cannot approve, nor take the rules away."
    )
    log_in("adam")
    refused("adam", request_id, "adam may not approve")
    straight_to_ldap("adam", APPROVAL.format(id=request_id, number=2, digest=digest), "an approval by adam")
    straight_to_ldap("adam", STRIP_ACIS, "removing the access rules of cn=requests")
    expect("nothing has run", unit("MainPID") == PID_BEFORE)
    return request_id


def agreed_part(request_id: str) -> None:
    """Let bob approve, and show the restart."""
    tell("Bob sees who asks for what, why, and what the target shows; he approves.")
    log_in("bob")
    run("bob", ["/usr/bin/ipa-tpi", "list"])
    done = run("bob", ["/usr/bin/ipa-tpi", "approve", request_id, "--yes"])
    expect("bob may approve", done.returncode in {0, 3})
    done = run("bob", ["/usr/bin/ipa-tpi", "wait", request_id])
    expect("it is executed", done.returncode == 0)
    print(f"\n    {UNIT}: main PID before {PID_BEFORE}, now {unit('MainPID')}")
    expect("DS01 was restarted", unit("MainPID") != PID_BEFORE)
    tell("Bob tries again: one approval runs once.")
    refused("bob", request_id, "it is over")


def hostile_part() -> str:
    """Let a hostile web tier lie to bob; return the request's id."""
    tell(
        "Now the web service is taken over: it shows Bob another, harmless instance (DS02) in Carol's request for DS01."
    )
    log_in("carol")
    request_id = ask("carol", "routine")
    before = unit("MainPID")
    saved = WSGI.read_bytes()
    try:
        shutil.copy(HOSTILE, WSGI)
        subprocess.run(["/usr/bin/systemctl", "reload", "apache2"], check=True, timeout=60)
        time.sleep(1)
        done = run("bob", ["/usr/bin/ipa-tpi", "approve", request_id, "--yes"])
        expect("bob is shown DS02", "DS02" in done.stdout + done.stderr)
    finally:
        WSGI.write_bytes(saved)
        subprocess.run(["/usr/bin/systemctl", "reload", "apache2"], check=True, timeout=60)
    time.sleep(2)
    tell(
        "Bob signed, with his own ticket, for the target alone, what he saw. The executor sees that it is not what would run."
    )
    run("carol", ["/usr/bin/ipa-tpi", "show", request_id])
    expect("nothing was restarted", unit("MainPID") == before)
    print(f"\n    {UNIT}: main PID still {before}")
    return request_id


def audit_part(ids: Sequence[str]) -> None:
    """Print the audit trail of the story."""
    tell("The audit trail of it all (journalctl -t ipa-tpi-web -t ipa-tpi-executor):")
    command = ["/usr/bin/journalctl", "-o", "cat", "-t", "ipa-tpi-executor", "-t", "ipa-tpi-web"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    for line in out.splitlines():
        if line.startswith("{"):
            record = json.loads(line)
            if record.get("request") in ids:
                rest = {
                    name: value
                    for name, value in record.items()
                    if name not in {"time", "component", "event"}
                }
                print(
                    f"    {record['time'][11:23]} {record['component']:9} {record['event']:16} {json.dumps(rest)}"
                )


def main() -> int:
    """Play the story; the exit status is 0 if it went as it must."""
    try:
        first = honest_part()
        agreed_part(first)
        second = hostile_part()
        audit_part([first, second])
    except StoryError as error:
        print(f"\nstory: this must hold and does not: {error}", file=sys.stderr)
        return 1
    tell("That was the story.")
    return 0


PEOPLE_BY_NAME = {person.uid: person for person in PEOPLE}
PID_BEFORE = unit("MainPID") if os.path.exists("/run/systemd/system") else ""  # noqa: PTH110

if __name__ == "__main__":
    sys.exit(main())
