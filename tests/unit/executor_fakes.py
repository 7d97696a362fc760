"""The outside of the executor, in memory: a directory that keeps raw entries, systemd, proofs, an audit, a clock.

Everything counts its calls through one `Weather`, which can make any of them fail, or crash the
executor before or after it: a `CrashError` passes every ``except`` of the product.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from decide_builders import (
    APPROVE_PERMISSION,
    BODY,
    EXECUTOR,
    FLOOR,
    HOST,
    OLD,
    REALM,
    REQUEST_ID,
    T0,
    TARGET,
    person,
    policy,
    raw_request,
    request,
)

from ipa_tpi.decide.digest import approval_digest, request_digest, sha256
from ipa_tpi.decide.intake import RawEntry, read_child, read_request
from ipa_tpi.errors import (
    AuditError,
    DirectoryUnavailableError,
    JournalError,
    KerberosError,
    RefusedError,
    ServiceManagerError,
    TpiError,
)
from ipa_tpi.executor.claims import Claims
from ipa_tpi.executor.dispatch import Dispatcher, Place
from ipa_tpi.executor.evidence import Evidence
from ipa_tpi.executor.journal import create
from ipa_tpi.executor.publication import Publication
from ipa_tpi.executor.receipts import Receipts
from ipa_tpi.executor.turns import Turns
from ipa_tpi.model import (
    Account,
    Child,
    Floor,
    Group,
    HostEntry,
    Json,
    Policy,
    Proof,
    Refuse,
    Request,
    Subtree,
)
from ipa_tpi.ports import (
    AcceptedProof,
    Authority,
    Certificate,
    Heading,
    Issued,
    Job,
    NewEntry,
    People,
    Query,
    UnitState,
)

REQUESTS = "cn=requests,cn=tpi,dc=tpi,dc=test"


class CrashError(BaseException):
    """The power fails: nothing after this point happens, and nothing catches it."""


@dataclass
class Weather:
    """What befalls the calls to the outside.

    Attributes:
        calls: The names of all calls so far.
        fails: By prefix of a call's name, what it raises, every time, before it does anything.
        crash_before: The number of the call (from 1) before which the power fails.
        crash_after: The same, after it.
        then: By a call's whole name, what happens once right after it.
    """

    calls: list[str] = field(default_factory=list)
    fails: dict[str, TpiError] = field(default_factory=dict)
    crash_before: int = 0
    crash_after: int = 0
    then: dict[str, Callable[[], object]] = field(default_factory=dict)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Let one call happen, or not."""
        self.calls.append(name)
        number = len(self.calls)
        if number == self.crash_before:
            raise CrashError(f"before {name}")
        for prefix, error in self.fails.items():
            if name.startswith(prefix):
                raise error
        yield
        self.then.pop(name, lambda: None)()
        if number == self.crash_after:
            raise CrashError(f"after {name}")

    def calm(self) -> None:
        """Nothing fails any more."""
        self.calls.clear()
        self.fails.clear()
        self.then.clear()
        self.crash_before = self.crash_after = 0


DOWN: dict[str, TpiError] = {
    "directory": DirectoryUnavailableError("the directory does not answer"),
    "systemd": ServiceManagerError("D-Bus does not answer"),
    "proof": KerberosError("the keytab cannot be used"),
    "audit": AuditError("the disk is full"),
    "journal": JournalError("the disk is full"),
}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = T0) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class FakeDirectory:
    """`ipa_tpi.ports.Directory` and `publication.Entries`, bound as the executor."""

    def __init__(self, weather: Weather, clock: Clock) -> None:
        self.weather = weather
        self.clock = clock
        self.people: dict[str, Account] = {
            who.dn: who for who in map(person, ("alice", "bob", "carol", "dave"))
        }
        self.rules: Policy = policy()
        self.target: HostEntry | None = TARGET
        self.known_groups: dict[str, Group] = {}
        self.requests: dict[str, RawEntry] = {}
        self.children: dict[str, dict[str, RawEntry]] = {}
        self.seen: list[str] = []
        self.closed = 0
        self.may_remove = False
        self.removed: list[str] = []

    def close(self) -> None:
        """End the connection; the same one serves again."""
        self.closed += 1

    def watch(self, stop: Callable[[], bool]) -> Iterator[str]:
        """Give what is in `seen`, then be lost; ended by `stop`, just end."""
        with self.weather.around("directory.watch"):
            yield ""
            yield from self.seen
        if not stop():
            raise DirectoryUnavailableError("the connection is lost")

    def ids(self, query: Query) -> Sequence[str]:
        """List the ids of requests, malformed ones too."""
        with self.weather.around("directory.ids"):
            return [name for name, raw in self.requests.items() if _fits(raw, query)]

    def whoami(self) -> str:
        """Tell who is bound."""
        return EXECUTOR

    def policy(self, about: frozenset[str] | None = None) -> Policy:
        """Read rules and operations; here they are few."""
        del about
        with self.weather.around("directory.policy"):
            return self.rules

    def account(self, principal: str) -> Account | None:
        """Find an account by its name."""
        return next((who for who in self.people.values() if who.principal == principal), None)

    def account_by_dn(self, dn: str) -> Account | None:
        """Read an account."""
        with self.weather.around("directory.account_by_dn"):
            return self.people.get(dn)

    def groups(self, names: frozenset[str]) -> dict[str, Group]:
        """Read groups."""
        with self.weather.around("directory.groups"):
            return {dn: group for dn, group in self.known_groups.items() if dn in names}

    def host(self, fqdn: str) -> HostEntry | None:
        """Read the target's entry."""
        with self.weather.around("directory.host"):
            return self.target if fqdn == HOST else None

    def load(self, request_id: str) -> Subtree | None:
        """Read a request."""
        with self.weather.around("directory.load"):
            return self._load(request_id)

    def meet(self, dns: Collection[str] = (), hosts: Collection[str] = (), principal: str = "") -> People:
        """Read accounts and hosts."""
        return People(
            self.account(principal) if principal else None,
            {dn: self.account_by_dn(dn) for dn in sorted(dns)},
            {fqdn: self.host(fqdn) for fqdn in sorted(hosts)},
        )

    def headings(self, query: Query) -> Sequence[Heading]:
        """List requests, malformed ones too."""
        with self.weather.around("directory.headings"):
            return [
                Heading(
                    name,
                    raw.created,
                    _text(raw, "ipatpioperationname"),
                    _text(raw, "ipatpiexecutor"),
                    len(self.children.get(name, ())),
                )
                for name, raw in self.requests.items()
                if _fits(raw, query)
            ]

    def answered(self, executor: str, since: datetime, until: datetime) -> frozenset[str]:
        """List the ids of requests that bear a result."""
        with self.weather.around("directory.answered"):
            return frozenset(
                name
                for name in self.requests
                for raw in self.of("ipaTpiResult", name)
                if raw.creator == executor and since <= raw.created <= until
            )

    def spoken(self, creator: str, since: datetime | None, until: datetime | None) -> frozenset[str]:
        """The executor asks for no history."""
        raise AssertionError((creator, since, until))

    def add_request(self, entry: NewEntry) -> None:
        """The executor adds none."""
        raise AssertionError(entry)

    def add_child(self, request_id: str, entry: NewEntry) -> None:
        """Add an entry in the executor's name."""
        with self.weather.around(f"directory.add {entry.object_class}"):
            self.put(EXECUTOR, request_id, entry)

    def raw_child(self, request_id: str, entry_id: str) -> RawEntry | None:
        """Read one entry."""
        with self.weather.around("directory.raw_child"):
            return self.children.get(request_id, {}).get(entry_id)

    def whole(self, request_id: str) -> Sequence[RawEntry]:
        """Read a request and all below it."""
        with self.weather.around("directory.whole"):
            top = self.requests.get(request_id)
            return [] if top is None else [top, *self.children.get(request_id, {}).values()]

    def remove(self, dn: str) -> None:
        """Delete an entry that has none below it; one that is gone is gone."""
        with self.weather.around("directory.remove"):
            self.removed.append(dn)
            *entry_id, request_id = (
                part.partition("=")[2] for part in dn.removesuffix("," + REQUESTS).split(",")
            )
            if entry_id:
                self.children[request_id].pop(entry_id[0], None)
            elif self.children.get(request_id):
                raise DirectoryUnavailableError("there are entries below it")
            else:
                self.requests.pop(request_id, None)

    def maintains(self, executor: str) -> bool:
        """Tell whether the executor may remove."""
        with self.weather.around("directory.maintains"):
            return self.may_remove and executor == EXECUTOR

    # What the laboratory does, past the weather.

    def put(self, creator: str, request_id: str, entry: NewEntry, **changes: Any) -> str:
        """Keep an entry; an id that is taken is refused."""
        below = self.children.setdefault(request_id, {})
        if entry.entry_id in below:
            raise RefusedError("there is an entry with this id already", code="id-taken")
        voice = [b"ipaTpiVoice"] if entry.object_class in {"ipaTpiApproval", "ipaTpiDenial"} else []
        attributes = {name.lower(): list(values) for name, values in entry.attributes.items()}
        attributes["objectclass"] = [b"top", entry.object_class.encode(), *voice]
        attributes["ipatpientryid"] = [entry.entry_id.encode()]
        dn = f"ipatpientryid={entry.entry_id},ipatpirequestid={request_id},{REQUESTS}"
        there = RawEntry(dn, creator, self.clock().replace(microsecond=0), attributes)
        below[entry.entry_id] = replace(there, **changes)
        return entry.entry_id

    def ask(self, requester: Account | None = None, request_id: str = REQUEST_ID, **changes: Any) -> Request:
        """Put a request there."""
        who = requester or self.people[person("alice").dn]
        entry_changes = changes.pop("entry", {})
        asked = request(who, id=request_id, created=self.clock().replace(microsecond=0), **changes)
        there = raw_request(asked, **entry_changes)
        dn = f"ipatpirequestid={request_id},{REQUESTS}"
        self.requests[request_id] = RawEntry(dn, who.dn, asked.created, there.attributes)
        return asked

    def snapshot(self) -> Any:
        """Take a backup of all requests."""
        return copy.deepcopy((self.requests, self.children))

    def restore(self, backup: Any) -> None:
        """Put a backup back."""
        self.requests, self.children = copy.deepcopy(backup)

    def of(self, name: str, request_id: str = REQUEST_ID) -> list[RawEntry]:
        """Give the entries of one class."""
        return [
            raw
            for raw in self.children.get(request_id, {}).values()
            if name.encode() in raw.attributes["objectclass"]
        ]

    def _load(self, request_id: str) -> Subtree | None:
        top = self.requests.get(request_id)
        if top is None:
            return None
        asked = read_request(top)
        if isinstance(asked, Refuse):
            raise RefusedError(asked.message, code=asked.code)
        children: list[Child] = []
        malformed: dict[str, str] = {}
        for raw in self.children.get(request_id, {}).values():
            child = read_child(raw)
            if isinstance(child, Refuse):
                malformed[raw.dn] = child.message
            else:
                children.append(child)
        return Subtree(asked, tuple(children), malformed)


def _text(raw: RawEntry, name: str) -> str:
    return raw.attributes[name][0].decode()


def _fits(raw: RawEntry, query: Query) -> bool:
    executor = raw.attributes["ipatpiexecutor"][0].decode()
    return (
        query.creator in {"", raw.creator}
        and query.executor in {"", executor}
        and (query.since is None or raw.created >= query.since)
        and (query.until is None or raw.created <= query.until)
    )


class FakeSystemd:
    """`ipa_tpi.ports.ServiceManager`: counts the restarts that really happened."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.acts: list[str] = []
        self.answer = "done"
        self.refusal: TpiError | None = None
        self.pid = 100
        self.blind = False

    def unit_state(self, unit: str) -> UnitState:
        """Tell a unit's state."""
        with self.weather.around("systemd.unit_state"):
            if self.refusal is not None:
                raise self.refusal
            return UnitState("active", "running", self.pid, f"invocation-of-{unit}")

    def run_job(self, unit: str, verb: str, timeout_seconds: int) -> Job:
        """Run a job."""
        with self.weather.around("systemd.run_job"):
            if self.refusal is not None:
                raise self.refusal
            before = UnitState("active", "running", self.pid, f"invocation-of-{unit}")
            self.acts.append(unit if verb == "restart" else f"{verb} {unit}")
            self.pid += 1
            self.timeout_seconds = timeout_seconds
            after = UnitState("active", "running", self.pid, f"invocation-of-{unit}")
            return Job(self.answer, before, None if self.blind else after)


class FakeValidators:
    """`ipa_tpi.ports.Validators`: answers what it was told to."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.answer: Refuse | None = None
        self.asked: list[tuple[str, dict[str, str], int]] = []

    def ask(self, program: str, question: Mapping[str, str], timeout_seconds: int) -> Refuse | None:
        """Run a program."""
        with self.weather.around("validators.ask"):
            self.asked.append((program, dict(question), timeout_seconds))
            return self.answer


class FakeVerifier:
    """`ipa_tpi.ports.ProofVerifier`: a token says in plain text who made it, and its MIC is the text itself."""

    def __init__(self, weather: Weather, seconds: int = 36000) -> None:
        self.weather = weather
        self.seconds = seconds

    def accept(self, proof: Proof, text: bytes) -> AcceptedProof:
        """Accept a token."""
        with self.weather.around("proof.accept"):
            who, _, rest = proof.token.decode().partition("|")
            if not rest:
                raise RefusedError("the token is broken", code="proof-invalid")
            return AcceptedProof(
                who,
                "delegated" in rest,
                T0,
                initial=True,
                indicators=frozenset({"otp"}),
                mic_valid=proof.mic == text,
                evidence=who,
                evidence_seconds=self.seconds,
            )


class FakeAuthority:
    """A CA with one certificate; it refuses whoever is nobody."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.person: object = None
        self.status, self.reason = "VALID", ""
        self.acts: list[str] = []
        self.answer: TpiError | None = None
        # What the CA does before it issues: there its validator asks; and what it gives then.
        self.asks: Callable[[str], object] = lambda _: None
        self.issues: Callable[[str], str] = lambda _: ""

    def certificate(self, serial: str) -> Certificate:
        """Read a certificate's state."""
        with self.weather.around("authority.certificate"):
            if serial != "0x1a":
                raise RefusedError("there is none", code="bad-parameters")
            return Certificate(
                serial, "CN=a.tpi.test", "CN=CA", self.status, self.reason, "2028-01-01T00:00:00Z"
            )

    def revoke(self, serial: str, reason: str) -> None:
        """Revoke it."""
        self._done(f"revoke {serial} {reason}", "REVOKED", reason)

    def release(self, serial: str) -> None:
        """Release it."""
        self._done(f"release {serial}", "VALID", "")

    def enroll(self, profile: str, csr: str) -> Issued:
        """Issue a certificate, if `asks` lets it."""
        with self.weather.around("authority.enroll"):
            self.asks(csr)
            if self.answer is not None:
                raise self.answer
            self.acts.append(f"{self.person}: enroll {profile}")
            return Issued("0x1b", self.issues(csr))

    def _done(self, act: str, status: str, reason: str) -> None:
        with self.weather.around("authority.act"):
            if self.answer is not None:
                raise self.answer
            self.acts.append(f"{self.person}: {act}")
            self.status, self.reason = status, reason


class FakeAudit:
    """Keeps its records."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.records: list[dict[str, Json]] = []

    def record(self, event: str, **fields: Json) -> None:
        """Keep one."""
        with self.weather.around(f"audit.{event}"):
            self.records.append({"event": event, **fields})

    def events(self) -> list[str]:
        """Give the names of all events."""
        return [str(record["event"]) for record in self.records]


class StormyClaims:
    """A journal whose every call the weather may strike; the journal under it is the real one."""

    def __init__(self, claims: Claims, weather: Weather) -> None:
        self._claims = claims
        self._weather = weather

    def __getattr__(self, name: str) -> Any:
        """Wrap one method."""
        found = getattr(self._claims, name)

        def struck(*args: Any, **more: Any) -> Any:
            with self._weather.around(f"journal.{name}"):
                return found(*args, **more)

        return struck if callable(found) else found


class Box:
    """One host with its executor, and the domain around it.

    Args:
        folder: Where the journal is made.
        floor: The host's floor.
    """

    def __init__(self, folder: Path, floor: Floor = FLOOR) -> None:
        self.weather = Weather()
        self.clock = Clock()
        self.directory = FakeDirectory(self.weather, self.clock)
        self.systemd = FakeSystemd(self.weather)
        self.validators = FakeValidators(self.weather)
        self.ca = FakeAuthority(self.weather)
        self.evidence = Evidence()
        self.turns = Turns()
        self.ticket_seconds = 36000
        self.audit = FakeAudit(self.weather)
        self.floor = floor
        self.path = str(folder / "journal.sqlite")
        create(self.path, HOST, OLD)
        self.claims = Claims(self.path, HOST)
        self.dispatcher = self._dispatcher()

    def close(self) -> None:
        """Stop."""
        self.claims.close()

    def reboot(self) -> None:
        """Start the executor again on the same journal."""
        self.claims.close()
        self.claims = Claims(self.path, HOST)
        self.evidence = Evidence()
        self.turns = Turns()
        self.dispatcher = self._dispatcher()

    def authority(self, evidence: object) -> Authority:
        """Reach the CA as the person whose evidence it is."""
        self.ca.person = evidence
        return self.ca

    def process(self, request_id: str = REQUEST_ID) -> datetime | None:
        """Let the executor look at a request."""
        return self.dispatcher.process(request_id)

    def _dispatcher(self) -> Dispatcher:
        claims: Any = StormyClaims(self.claims, self.weather)
        publication = Publication(self.directory, claims, EXECUTOR)
        verifier = FakeVerifier(self.weather, self.ticket_seconds)
        receipts = Receipts(claims, publication, verifier, self.audit, REALM, self.evidence)
        place = Place(EXECUTOR, HOST, REALM, self.floor, APPROVE_PERMISSION)
        return Dispatcher(
            place,
            self.directory,
            claims,
            receipts,
            publication,
            self.systemd,
            self.authority,
            self.validators,
            self.audit,
            self.clock,
            self.turns,
        )

    # What people do.

    def ask(self, *, proof: bool = True, **changes: Any) -> Request:
        """Alice asks, with her proof."""
        asked = self.directory.ask(**changes)
        if proof:
            self.prove("alice", "request", asked.digest, request_id=asked.id)
        return asked

    def approve(
        self, uid: str = "bob", *, proof: bool = True, request_id: str = REQUEST_ID, **changes: Any
    ) -> str:
        """Somebody approves what lies there."""
        digest = self.about(request_id)
        entry_id = self.say(uid, "ipaTpiApproval", digest, request_id, **changes)
        if proof:
            self.prove(uid, "approve", digest, request_id=request_id)
        return entry_id

    def say(self, uid: str, name: str, digest: bytes, request_id: str = REQUEST_ID, **changes: Any) -> str:
        """Somebody adds a voice."""
        content = {"ipaTpiDigest": [digest.hex().encode()]}
        entry = NewEntry(str(uuid.uuid4()), name, content)
        return self.directory.put(person(uid).dn, request_id, entry, **changes)

    def prove(
        self,
        uid: str,
        purpose: str,
        digest: bytes,
        *,
        request_id: str = REQUEST_ID,
        token: str = "",
        mic: bytes | None = None,
    ) -> str:
        """Somebody adds a proof; its token is a fresh one where none is given."""
        made = token or f"{uid}@{REALM}|{uuid.uuid4()}"
        entry = NewEntry(
            str(uuid.uuid4()),
            "ipaTpiProof",
            {
                "ipaTpiProofKind": [b"gss"],
                "ipaTpiPurpose": [purpose.encode()],
                "ipaTpiDigest": [digest.hex().encode()],
                "ipaTpiToken": [made.encode()],
                "ipaTpiMic": [b"ipa-tpi/1 " + purpose.encode() + b"\0" + digest if mic is None else mic],
            },
        )
        return self.directory.put(person(uid).dn, request_id, entry)

    def about(self, request_id: str = REQUEST_ID) -> bytes:
        """Give the digest that an approval is about, from what lies in the directory."""
        tree = self.directory._load(request_id)
        assert tree is not None
        bodies = [raw.attributes["ipatpibody"][0] for raw in self.directory.of("ipaTpiPreview", request_id)]
        who = self.directory.people[tree.request.creator]
        return approval_digest(
            request_digest(tree.request, who.principal), sha256(bodies[0] if bodies else BODY)
        )

    # What came of it.

    def outcomes(self, request_id: str = REQUEST_ID) -> list[str]:
        """Give the outcomes of all results in the directory."""
        return [
            raw.attributes["ipatpioutcome"][0].decode()
            for raw in self.directory.of("ipaTpiResult", request_id)
        ]

    def excerpt(self, request_id: str = REQUEST_ID) -> str:
        """Give the excerpt of the one result."""
        (result,) = self.directory.of("ipaTpiResult", request_id)
        return str(result.attributes["ipatpiexcerpt"][0].decode())

    def settle(self, request_id: str = REQUEST_ID, most: int = 6) -> None:
        """Let the executor look until it needs nothing that is already there."""
        for _ in range(most):
            before = (len(self.directory.children.get(request_id, {})), self.claims.claim(request_id))
            self.process(request_id)
            if before == (len(self.directory.children.get(request_id, {})), self.claims.claim(request_id)):
                return


Event = Callable[[Box], object]


class FakeStop:
    """Tells a loop to end after so many rests, and how long each of them was to be (`executor.watch.Stop`)."""

    def __init__(self, rests: int, then: Callable[[], object] = lambda: None) -> None:
        self.left = rests
        self.rests: list[float] = []
        self.then = then

    def is_set(self) -> bool:
        """Tell whether it is time to end."""
        return self.left <= 0

    def wait(self, timeout: float) -> None:
        """Rest without waiting."""
        self.rests.append(timeout)
        self.left -= 1
        self.then()
