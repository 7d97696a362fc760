"""The web service, taken over: what it can do with what it has, inside the real mod_wsgi daemon.

`tier.py` puts it in the place of the installed script, with a line before it that sets FOLDER.  It keeps whatever comes
by: messages, proofs, and copies of the callers' ticket caches, which it goes on using when they are gone.  How it treats
messages stands in FOLDER/mode; its own deeds are asked for with ?deed=NAME, by whoever calls.
"""

import base64
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
from urllib.parse import parse_qs

import gssapi
import ldap

from ipa_tpi.adapters.directory import open_directory
from ipa_tpi.adapters.gss import KRB5, caller_credentials
from ipa_tpi.decide.digest import canonical, sha256
from ipa_tpi.web.app import create_app

HOST, SUFFIX, LDAPI = "ipa1.tpi.test", "dc=tpi,dc=test", "ldapi://%2Frun%2Fslapd-TPI-TEST.socket"
LOOT = pathlib.Path(FOLDER)  # noqa: F821
_honest = create_app("/etc/ipa/tpi/web.toml")


# --- what comes by ------------------------------------------------------------


def keep(environ, body):
    """Keep what somebody said, and the tickets that came along."""
    who = environ.get("GSS_NAME", "")
    ccache = environ.get("KRB5CCNAME", "").removeprefix("FILE:")
    if not who or not ccache:
        return
    shutil.copyfile(ccache, LOOT / f"new-{os.getpid()}-{time.monotonic_ns()}")
    newest = max(LOOT.glob(f"new-{os.getpid()}-*"))
    newest.replace(LOOT / f"ccache-{who}")
    if environ["REQUEST_METHOD"] == "POST":
        said = {"who": who, "path": environ["PATH_INFO"], "body": body.decode()}
        (LOOT / f"said-{time.monotonic_ns():020}").write_text(json.dumps(said))


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    deed = parse_qs(environ.get("QUERY_STRING", "")).get("deed", [""])[0]
    if deed:
        try:
            status, content = "200 OK", json.dumps(DEEDS[deed](environ, **json.loads(body or b"{}")))
        except Exception as error:
            status, content = "200 OK", json.dumps({"error": repr(error)})
    else:
        keep(environ, body)
        mode = (LOOT / "mode").read_text() if environ["REQUEST_METHOD"] == "POST" else "pass"
        status, content = MODES[mode](environ, body)
    data = content.encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    start_response(status, headers)
    return [data]


def honest(environ, body, **changes):
    """Have the service's own program do it."""
    answer = {}

    def remember(status, headers, *_):
        answer.update(status=status)

    content = b"".join(
        _honest(
            {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), **changes}, remember
        )
    )
    return answer["status"], content.decode()


# --- how it treats messages ---------------------------------------------------


def drop(environ, body):
    """Write nothing, and tell its sender that all is well."""
    said, path = json.loads(body), environ["PATH_INFO"]
    if path.endswith("/requests"):
        said.pop("proof")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        lie = {
            **said,
            "requester": environ["GSS_NAME"],
            "created": now,
            "state": "awaiting-preview",
            "code": "awaiting-preview",
            "message": "the target has not yet shown what it would do",
            "mine": True,
            "preview": None,
            "approval_digest": "",
        }
        template = json.loads((LOOT / "view").read_text())
        return "201 Created", json.dumps({**template, **lie})
    _, shown = honest(environ, b"", REQUEST_METHOD="GET", PATH_INFO=path.rpartition("/")[0])
    view = json.loads(shown)
    voice = {"who": environ["GSS_NAME"], "at": view["created"], "comment": "", "counts": True, "code": "", "message": ""}
    kind = path.rpartition("/")[2]
    view.update({kind: [voice]}, state={"approvals": "approved", "denials": "denied"}[kind], message="")
    return "201 Created", json.dumps(view)


def swap(environ, body):
    """Record another instance than was asked for, and show what was asked for."""
    said = json.loads(body)
    asked = dict(said["parameters"])
    said["parameters"] = {"instance": "TPI-TEST"}
    content = {
        "v": 1, "requester": environ["GSS_NAME"],
        **{name: said[name] for name in ("id", "operation", "operation_digest", "target", "parameters", "interface")},
        **{name: said.get(name, "") for name in ("reason", "ticket")},
    }
    digest = said["digest"]
    said["digest"] = said["proof"]["digest"] = sha256(canonical(content)).hex()
    status, shown = honest(environ, json.dumps(said).encode())
    view = json.loads(shown)
    view.update(parameters=asked, digest=digest)
    return status, json.dumps(view)


def hold(environ, body):
    """Let its sender wait, with the tickets here, until told otherwise."""
    (LOOT / "held").write_text(environ["KRB5CCNAME"])
    end = time.monotonic() + 20
    while not (LOOT / "release").exists() and time.monotonic() < end:
        time.sleep(0.02)
    return honest(environ, body)


def refuse(_environ, _body):
    """Keep it for later, and say that the service is busy."""
    problem = {"type": "x", "title": "busy", "status": 503, "detail": "try again", "code": "unavailable"}
    return "503 Service Unavailable", json.dumps(problem)


MODES = {"pass": honest, "drop": drop, "swap": swap, "hold": hold, "refuse": refuse}


# --- its own deeds ------------------------------------------------------------


def where(_environ):
    """Tell what runs here, as whom, and what lies around."""
    return {
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "cgroup": pathlib.Path("/proc/self/cgroup").read_text(),
        "interposer": os.environ.get("GSS_USE_PROXY", ""),
        "keytab_of_process": os.environ.get("KRB5_KTNAME", ""),
        "caches": _listed("/run/ipa-tpi/ccaches"),
    }


def _listed(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        return error.strerror


def loot(_environ):
    """Tell what was kept."""
    return [json.loads(path.read_text()) for path in sorted(LOOT.glob("said-*"))]


def as_person(who, ccache=""):
    found = f"FILE:{ccache or LOOT / f'ccache-{who}'}"
    return caller_credentials(found, who)


def write(_environ, who, entries, ccache=""):
    """Write entries into the directory in the name of somebody who came."""
    directory = open_directory(LDAPI, HOST, SUFFIX, as_person(who, ccache))
    said = []
    for dn, attributes in entries:
        values = [(name, [base64.b64decode(value) for value in given]) for name, given in attributes]
        try:
            directory._connection.add_s(dn, values)
            said.append("added")
        except ldap.LDAPError as error:
            said.append(type(error).__name__)
    return said


def post(environ, who, path, body):
    """Say something once more in the name of somebody who came, through the service's own program."""
    names = {"REMOTE_USER": who, "GSS_NAME": who, "KRB5CCNAME": f"FILE:{LOOT / f'ccache-{who}'}"}
    return honest(environ, body.encode(), REQUEST_METHOD="POST", PATH_INFO=path, QUERY_STRING="", **names)


def reach(_environ, who, services):
    """Get tickets for services in the name of somebody who came; of the service itself where nobody is named."""
    credentials = as_person(who) if who else itself()
    return {service: _token(credentials, service) for service in services}


def itself():
    return gssapi.Credentials(usage="initiate", mechs=[KRB5])


def _token(credentials, service):
    try:
        name = gssapi.Name(service, gssapi.NameType.kerberos_principal)
        context = gssapi.SecurityContext(name=name, creds=credentials, usage="initiate", mech=KRB5)
        return {"token": len(context.step())}
    except gssapi.exceptions.GSSError as error:
        return {"refused": error.min_code & 0xFFFFFFFF, "text": str(error)}


def prove(_environ, text):
    """Make a proof, as the service itself: there is nobody else whose proof it could make."""
    credentials = itself()
    name = gssapi.Name(f"tpi/{HOST}@TPI.TEST", gssapi.NameType.kerberos_principal)
    flags = int(gssapi.RequirementFlag.integrity | gssapi.RequirementFlag.replay_detection)
    context = gssapi.SecurityContext(name=name, creds=credentials, usage="initiate", mech=KRB5, flags=flags)
    made = context.step(), context.get_signature(base64.b64decode(text))
    return [str(credentials.name), *(base64.b64encode(part).decode() for part in made)]


def conjure(_environ, who):
    """Act for somebody who never came (protocol transition)."""
    try:
        found = itself().impersonate(gssapi.Name(who, gssapi.NameType.kerberos_principal), mechs=[KRB5])
        return {"got": str(found.name), "directory": _token(found, f"ldap/{HOST}@TPI.TEST")}
    except gssapi.exceptions.GSSError as error:
        return {"refused": str(error)}


def look(_environ, paths):
    """Try to read files."""
    said = {}
    for path in paths:
        try:
            pathlib.Path(path).read_bytes()
            said[path] = "read"
        except OSError as error:
            said[path] = error.strerror
    return said


def tell(_environ, lines):
    """Say lines to the executor's socket, each on a connection of its own."""
    answers = []
    for line in lines:
        with socket.socket(socket.AF_UNIX) as executor:
            executor.settimeout(5)
            executor.connect("/run/ipa-tpi-executor/executor.sock")
            executor.sendall(line.encode() + b"\n")
            answers.append(json.loads(executor.makefile("rb").readline() or b"{}"))
    return answers


def bus(_environ, unit):
    """Ask systemd directly."""
    words = ["busctl", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"]
    call = ["org.freedesktop.systemd1.Manager", "RestartUnit", "ss", unit, "replace"]
    done = subprocess.run([*words, *call], capture_output=True, text=True, timeout=20, check=False)
    return [done.returncode, done.stderr.strip()]


DEEDS = {
    each.__name__: each for each in (where, loot, write, post, reach, prove, conjure, look, tell, bus)
}
