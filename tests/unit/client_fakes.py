"""A real Kerberos realm of three people, and a web service of one thread that misbehaves on demand.

The KDC is krb5kdc with a database file (0.3 s); tokens and proofs are accepted with its keytab, so
what the client makes is judged by the real library.  The service keeps requests in a dictionary.

PYTEST_DONT_REWRITE: a test module has imported it before pytest could.
"""

import base64
import datetime as dt
import os
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gssapi
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ipa_tpi import wire
from ipa_tpi.client.examination import digest_request
from ipa_tpi.decide.digest import approval_digest, mic_text, preview_body, sha256
from ipa_tpi.model import Purpose

PEOPLE = ("alice", "bob", "carol")
REALM = "TPI.TEST"
OPERATION_DIGEST = sha256(b"dirsrv.restart").hex()
Answer = tuple[int, str, bytes, dict[str, str]]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Kdc:
    """krb5kdc on loopback, its database in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keytab = folder / "keytab"
        port = free_port()
        (folder / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"
            ' dns_canonicalize_hostname = false\n rdns = false\n qualify_shortname = ""\n forwardable = true\n'
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
            f"[domain_realm]\n localhost = {REALM}\n",
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {folder}/principal\n  key_stash_file = {folder}/stash\n"
            f"  max_renewable_life = 1d\n }}\n[logging]\n kdc = FILE:{folder}/kdc.log\n",
        )
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5RCACHENAME": "none:",
        }
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "x")
        commands = [f"addprinc -pw {name} {name}" for name in PEOPLE]
        commands += ["addprinc -randkey HTTP/localhost", "addprinc -randkey tpi/localhost"]
        commands += [f"ktadd -k {self.keytab} HTTP/localhost tpi/localhost"]
        self.run("kadmin.local", text="\n".join(commands) + "\n")
        self._process = subprocess.Popen(
            ["krb5kdc", "-n"],
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._await(port)

    def run(self, *command: str, text: str = "") -> None:
        subprocess.run(
            command,
            input=text,
            text=True,
            check=True,
            capture_output=True,
            env=os.environ | self.environment,
        )

    def kinit(self, name: str, *options: str) -> str:
        ccache = self.folder / f"cc_{name}_{uuid.uuid4().hex}"
        self.run("kinit", "-c", str(ccache), *options, name, text=name + "\n")
        return f"FILE:{ccache}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _await(self, port: int) -> None:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("krb5kdc did not start")


class Authority:
    """A certificate authority that lives for one test run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test CA {folder.name}")])
        self.file = folder / "ca.crt"
        certificate = self._builder(self.name, self.key.public_key(), days=1).add_extension(
            x509.BasicConstraints(ca=True, path_length=None),
            critical=True,
        )
        self._write(self.file, certificate)

    def issue(self, host: str, *, days: int = 1) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        path = self.folder / f"{host}-{days}.pem"
        builder = self._builder(name, key.public_key(), days=days).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]),
            critical=False,
        )
        self._write(path, builder)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(secret + path.read_bytes())
        return path

    def _builder(
        self, name: x509.Name, public: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=3))
            .not_valid_after(now + dt.timedelta(days=days))
        )

    def _write(self, path: Path, builder: x509.CertificateBuilder) -> None:
        certificate = builder.sign(self.key, hashes.SHA256())
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients here break off on purpose, and an assertion is an answer that never comes."""


class Service:
    """The web service's contract over a dictionary; `scripted` answers come before it."""

    def __init__(self, kdc: Kdc, certificate: Path, maximum: ssl.TLSVersion | None = None) -> None:
        self.kdc = kdc
        self.views: dict[str, wire.RequestView] = {}
        self.proofs: list[tuple[str, str, wire.ProofBody]] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.scripted: list[Answer | Callable[[BaseHTTPRequestHandler], None]] = []
        self.alter: Callable[[wire.RequestView], wire.RequestView] = lambda view: view
        self.shown: Any = {"unit": "dirsrv@DS01.service", "state": "active"}
        self.precondition: Any = {}
        self.mutual: bytes | None = None
        self.page = 500
        self.candidates = [
            wire.CandidateView(principal=f"bob@{REALM}", name="Bob Brown", chance="can"),
            wire.CandidateView(
                principal=f"alice@{REALM}",
                name="Alice Smith",
                chance="cannot",
                code="self-approval",
                message="same user cannot self-approve",
            ),
        ]
        self.operations = operations()
        self._server = _QuietServer(("127.0.0.1", 0), _handler(self))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if maximum is not None:
            tls.set_ciphers("ALL:@SECLEVEL=0")
            tls.minimum_version = ssl.TLSVersion.TLSv1
            tls.maximum_version = maximum
        tls.load_cert_chain(certificate)
        # The handshake is done by the thread of the connection, so that a bad client stops nobody.
        self._server.socket = tls.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]
        self.url = f"https://localhost:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def authenticate(self, header: str) -> tuple[str, bytes]:
        context = self._accept("HTTP/localhost")
        answer = context.step(base64.b64decode(header.removeprefix("Negotiate ")))
        return str(context.initiator_name), bytes(answer or b"")

    def check(self, who: str, proof: wire.ProofBody, purpose: Purpose, digest: bytes) -> None:
        """Judge a proof as the executor does."""
        context = self._accept("tpi/localhost")
        context.step(proof.token)
        assert context.complete
        assert str(context.initiator_name) == who
        assert not context.actual_flags & gssapi.RequirementFlag.mutual_authentication
        assert not context.actual_flags & gssapi.RequirementFlag.delegate_to_peer
        assert proof.purpose == purpose.value
        assert proof.digest == digest.hex()
        context.verify_signature(mic_text(purpose, digest), proof.mic)
        self.proofs.append((who, purpose.value, proof))

    def create(self, who: str, body: wire.RequestBody) -> wire.RequestView:
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        view = wire.RequestView(
            id=body.id,
            operation=body.operation,
            operation_digest=body.operation_digest,
            target=body.target,
            parameters=body.parameters,
            requester=who,
            reason=body.reason,
            ticket=body.ticket,
            interface=body.interface,
            digest=body.digest,
            created=now,
            state="pending",
            expires=now + dt.timedelta(seconds=300),
            seconds_left=200,
            seconds_to_end=560,
        )
        digest = digest_request(view)
        assert digest.hex() == body.digest
        assert body.proof is not None
        self.check(who, body.proof, Purpose.REQUEST, digest)
        if self.shown is not None:
            text = preview_body(self.shown, self.precondition)
            preview = wire.PreviewView(body=text.decode(), digest=sha256(text).hex(), at=now)
            view = msgspec.structs.replace(
                view,
                preview=preview,
                approval_digest=approval_digest(digest, sha256(text)).hex(),
            )
        else:
            view = msgspec.structs.replace(view, state="awaiting-preview")
        self.views[view.id] = view
        return view

    def speak(self, who: str, view: wire.RequestView, part: str, body: wire.VoiceBody) -> wire.RequestView:
        request = digest_request(view)
        approval = approval_digest(request, sha256(view.preview.body.encode())) if view.preview else request
        purpose, group, state, digest = {
            "approvals": (Purpose.APPROVE, "approvals", "approved", approval),
            "denials": (Purpose.DENY, "denials", "denied", approval),
            "withdrawal": (Purpose.WITHDRAW, "withdrawals", "pending", approval),
            "cancellation": (Purpose.CANCEL, "cancellations", "cancelled", request),
        }[part]
        assert body.digest == digest.hex()
        if body.proof is not None:
            self.check(who, body.proof, purpose, digest)
        voice = wire.VoiceView(who=who, at=dt.datetime.now(dt.UTC), comment=body.comment, counts=True)
        changes: dict[str, Any] = {group: [*getattr(view, group), voice], "state": state}
        self.views[view.id] = msgspec.structs.replace(view, **changes)
        return self.views[view.id]

    def answer(self, who: str, method: str, url: str, body: bytes) -> Answer:
        parts = urlsplit(url)
        path = parts.path.removeprefix("/tpi/v1/").split("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if path == ["operations"]:
            return _json(200, self.operations)
        if path == ["requests"] and method == "GET":
            found = [view for view in reversed(self.views.values()) if _wanted(view, who, query)]
            ids = [view.id for view in found]
            found = found[ids.index(query["before"]) + 1 :] if query.get("before") in ids else found
            limit = min(int(query.get("limit", "100")), self.page)
            page = [self.alter(view) for view in found[:limit]]
            return _json(200, wire.RequestList(requests=page, more=len(found) > limit))
        if path == ["requests"]:
            return _json(201, self.alter(self.create(who, wire.decode(body, wire.RequestBody))))
        view = self.views.get(path[1])
        if view is None:
            return problem(404, "not-found", "there is no such request")
        if path[2:] == ["approvers"]:
            return _json(200, self.approvers(view, query.get("user", "")))
        if len(path) == 3 and path[2] == "proofs":
            proof = wire.decode(body, wire.ProofBody)
            self.check(who, proof, Purpose(proof.purpose), bytes.fromhex(proof.digest))
        elif len(path) == 3:
            if path[2] == "approvals" and who == view.requester:
                return problem(403, "self-approval", "same user cannot self-approve")
            view = self.speak(who, view, path[2], wire.decode(body, wire.VoiceBody))
        return _json(200 if method == "GET" else 201, self.alter(view))

    def approvers(self, view: wire.RequestView, user: str) -> wire.ApproversView:
        """Tell who could approve, by `candidates`."""
        able = sum(one.chance in {"can", "recorded"} for one in self.candidates)
        missing = view.required_approvals - sum(voice.counts for voice in view.approvals)
        wanted = user if "@" in user else f"{user}@{REALM}"
        return wire.ApproversView(
            id=view.id,
            state=view.state,
            required_approvals=view.required_approvals,
            missing=missing,
            available=able,
            enough=missing <= able,
            candidates=[one for one in self.candidates if not user or one.principal == wanted],
        )

    def _accept(self, service: str) -> gssapi.SecurityContext:
        name = gssapi.Name(f"{service}@{REALM}", gssapi.NameType.kerberos_principal)
        store: Any = {"keytab": str(self.kdc.keytab)}
        return gssapi.SecurityContext(creds=gssapi.Credentials(name=name, usage="accept", store=store))


def operations() -> wire.OperationList:
    return wire.OperationList(
        operations=[
            wire.OperationView(
                name="dirsrv.restart",
                digest=OPERATION_DIGEST,
                enabled=True,
                description="restart a directory instance",
                parameters={"instance": wire.ParameterView(pattern="[A-Za-z0-9_-]{1,64}")},
                required_approvals=1,
                approval_seconds=300,
                execution_seconds=300,
                timeout_seconds=60,
                interfaces=["cli", "web"],
                ticket_pattern="INC-[0-9]+",
                pending_limit=3,
                floor=wire.FloorView(required_approvals=2, proof=True, values={"instance": ["DS01", "DS02"]}),
            ),
            wire.OperationView(
                name="systemd.unit.status",
                digest=OPERATION_DIGEST,
                enabled=False,
                description="",
                parameters={"unit": wire.ParameterView(pattern=".*", values=["a.service", "b.service"])},
                required_approvals=0,
                approval_seconds=300,
                execution_seconds=300,
                timeout_seconds=60,
                interfaces=["cli"],
                reason_pattern=".+",
                pending_limit=3,
                destructive=True,
            ),
        ],
        malformed={"bad.one": "no pattern"},
        host="localhost",
        hosts=["localhost", "other.tpi.test"],
    )


def problem(status: int, code: str, detail: str) -> Answer:
    document = wire.Problem(type=f"urn:tpi:{code}", title=code, status=status, detail=detail, code=code)
    return status, "application/problem+json", wire.encode(document), {}


def _json(status: int, value: object) -> Answer:
    return status, "application/json", wire.encode(value), {}


def _wanted(view: wire.RequestView, who: str, query: dict[str, str]) -> bool:
    return (
        query.get("state", view.state) == view.state
        and view.id.startswith(query.get("prefix", ""))
        and ("mine" not in query or view.requester == who)
        and ("approvable" not in query or view.requester != who)
        and query.get("operation", view.operation) == view.operation
        and query.get("user", view.requester.partition("@")[0]) == view.requester.partition("@")[0]
        and query.get("approver", "") in {"", *(voice.who.partition("@")[0] for voice in view.approvals)}
        and query.get("host", view.target) == view.target
        and query.get("outcome", "") in {"", view.result.outcome if view.result is not None else ""}
        and ("since" not in query or view.created >= dt.datetime.fromisoformat(query["since"]))
        and ("until" not in query or view.created <= dt.datetime.fromisoformat(query["until"]))
    )


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            service.seen.append((self.command, self.path, dict(self.headers)))
            who, mutual = service.authenticate(self.headers["Authorization"])
            scripted = service.scripted.pop(0) if service.scripted else None
            if callable(scripted):
                scripted(self)
                self.close_connection = True
                return
            status, kind, data, more = scripted or service.answer(who, self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            token = mutual if service.mutual is None else service.mutual
            if status != 401 and token:
                self.send_header("WWW-Authenticate", "Negotiate " + base64.b64encode(token).decode())
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    return Handler


# Not for the whole session: the laboratory's realm sets the same variables in the same process.
@pytest.fixture(scope="module")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    realm = Kdc(tmp_path_factory.mktemp("kdc"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in realm.environment.items():
            patch.setenv(name, value)
        yield realm
    realm.stop()


@pytest.fixture(scope="module")
def ccaches(kdc: Kdc) -> dict[str, str]:
    return {name: kdc.kinit(name) for name in PEOPLE}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def service(kdc: Kdc, authority: Authority) -> Iterator[Service]:
    running = Service(kdc, authority.issue("localhost"))
    yield running
    running.stop()
