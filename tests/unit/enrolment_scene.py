"""A CA's host in memory: alice asks for a certificate, its validator comes to the executor's socket."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from decide_builders import FLOOR, OPERATION_DN, REALM, REQUEST_ID, T0, definition, policy, rule
from executor_fakes import Box, StormyClaims

from ipa_tpi.decide.csr import read_csr
from ipa_tpi.decide.definition import load_operation
from ipa_tpi.errors import TpiError
from ipa_tpi.executor.claims import Enrolment
from ipa_tpi.executor.consuming import SECONDS, Consuming, Patience
from ipa_tpi.executor.enrolment import NAME
from ipa_tpi.executor.sessions import Sessions
from ipa_tpi.executor.socket import Reply
from ipa_tpi.model import FloorOperation, Operation, Request, Right
from ipa_tpi.wire import Consumption, SocketMessage

KEY = ec.generate_private_key(ec.SECP256R1())
PROFILE = "caTpi"
ALICE = f"alice@{REALM}"
REQUEST_OPERATION_DN = OPERATION_DN.replace("dirsrv.restart", NAME)
SCHEMA = json.dumps(
    {
        "profile": {"pattern": "[A-Za-z0-9_.-]{1,100}"},
        "ca": {"pattern": "[A-Za-z0-9_.-]{1,64}"},
        "csr": {"pattern": "(?s).+", "lines": True},
        "submit": {"pattern": "[a-z]+", "values": ["executor", "requester"]},
    }
)


def subject(name: str) -> x509.Name:
    """Give a subject with one CN."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def csr_of(name: str) -> str:
    """Give a certificate request as PEM."""
    made = x509.CertificateSigningRequestBuilder().subject_name(subject(name)).sign(KEY, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def certificate_for(csr: str, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    """Issue a certificate as PEM, for the request's key or another one."""
    asked = x509.load_pem_x509_csr(csr.encode())
    made = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(subject("CA"))
        .serial_number(0x1B)
        .not_valid_before(T0)
        .not_valid_after(T0 + timedelta(days=1))
        .public_key(key.public_key() if key is not None else asked.public_key())
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


CSR = csr_of("alice")
OTHER_CSR = csr_of("web.tpi.test")
DIGEST = read_csr(CSR).digest
PARAMETERS = {"profile": PROFILE, "ca": "ipa", "csr": CSR, "submit": "executor"}


def definition_of(**changes: Any) -> Operation:
    """Give the operation's definition."""
    loaded = load_operation(
        REQUEST_OPERATION_DN, definition(cn=[NAME], ipatpiparameterschema=[SCHEMA], **changes)
    )
    assert isinstance(loaded, Operation), loaded
    return loaded


class Desk(Box):
    """A host with the verb ``consume``."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        floor = replace(FLOOR, operations={**FLOOR.operations, NAME: FloorOperation(1, proof=True)})
        super().__init__(folder, floor)
        self.operation = definition_of(**changes)
        rules = (
            rule("ask", Right.REQUEST, operations=frozenset({REQUEST_OPERATION_DN})),
            rule("approve", operations=frozenset({REQUEST_OPERATION_DN})),
        )
        self.directory.rules = policy(*rules, operations={NAME: self.operation})
        self.woken: list[str] = []
        self.spent = 0.0
        self.sessions_opened = 0
        self.open_desk()

    def open_desk(self, most_seconds: float = SECONDS) -> None:
        """Serve the verb anew."""
        claims: Any = StormyClaims(self.claims, self.weather)
        self.consuming = Consuming(
            claims,
            Sessions(self._session),
            self.turns,
            self.audit,
            self.woken.append,
            self.clock,
            Patience(most_seconds, self.seconds),
        )

    def reboot(self) -> None:
        """Start the executor again."""
        super().reboot()
        self.open_desk()

    def seconds(self) -> float:
        """Count the seconds that a test spends; a slow machine spends none."""
        return self.spent

    def spend(self, seconds: float) -> None:
        """Let seconds pass."""
        self.spent += seconds

    def ask_for(self, csr: str = CSR, request_id: str = REQUEST_ID, **changes: Any) -> Request:
        """Alice asks, and sees the preview made."""
        made = self.ask(
            operation=NAME,
            operation_digest=self.operation.digest,
            parameters={**PARAMETERS, "csr": csr, **changes},
            request_id=request_id,
        )
        self.settle(request_id)
        return made

    def consume(self, *, answered: bool = True, **changes: str) -> str:
        """The validator asks; gives ``ok`` or the code of the no."""
        try:
            told = self.begin(**changes)
        except TpiError as error:
            return error.code
        if isinstance(told, Reply):
            told.afterwards(was_sent=answered)
        return "ok"

    def begin(self, **changes: str) -> Any:
        """The validator asks, and the answer is not sent yet."""
        values = {"csr": DIGEST, "profile": PROFILE, "ca": "ipa", "user": ALICE, **changes}
        name = threading.current_thread().name
        try:
            return self.consuming.consume(SocketMessage(verb="consume", consume=Consumption(**values)))
        finally:
            threading.current_thread().name = name

    def state(self, request_id: str = REQUEST_ID) -> str:
        """Tell where a request stands in the journal."""
        claim = self.claims.claim(request_id)
        return claim.state if claim is not None else ""

    def _session(self) -> Any:
        self.sessions_opened += 1
        return Session(self)


class Session:
    """The ten steps, on the one connection there is."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.process = desk.dispatcher.process
        self.release = desk.dispatcher.release
        self.conclude = desk.dispatcher.conclude

    def close(self) -> None:
        """End it."""
        self.desk.directory.close()


def row(request: str, way: str = "executor", seconds: float = 0) -> Enrolment:
    """Give a row of the journal."""
    return Enrolment(request, DIGEST, PROFILE, "ipa", ALICE, way, T0 + timedelta(seconds=seconds))
