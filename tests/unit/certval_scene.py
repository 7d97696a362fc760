"""A directory of a few people, hosts and services, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from certval_requests import bare, simple

from ipa_tpi.decide.csr import read_csr
from ipa_tpi_validator.case import IGNORE_CAACL, REQUEST, Case, Place, subject_of, wanted_principals
from ipa_tpi_validator.checks import decide
from ipa_tpi_validator.environment import MANAGER, PROFILE, SUBJECT, TYPE, USER, Question, read_question
from ipa_tpi_validator.environment import REQUEST as CSR
from ipa_tpi_validator.snapshot import CaAcl, Entry, Kind, Records, Snapshot

REALM, DOMAIN, SUFFIX = "TPI.TEST", "tpi.test", "dc=tpi,dc=test"
PLACE = Place(REALM, DOMAIN)
SUB_CA = "5f0a1b2c-0000-4000-8000-00000000abcd"


def user(name: str, *aliases: str, writable: bool = True, groups: tuple[str, ...] = ()) -> Entry:
    canonical = f"{name}@{REALM}"
    return Entry(
        f"uid={name},cn=users,cn=accounts,{SUFFIX}",
        Kind.USER,
        name,
        canonical,
        frozenset({canonical, *aliases}),
        (f"{name}@{DOMAIN}", f"{name.title()}@Mail.{DOMAIN}"),
        frozenset(groups),
        writable,
    )


def host(name: str, *aliases: str, writable: bool = True, groups: tuple[str, ...] = ()) -> Entry:
    canonical = f"host/{name}@{REALM}"
    names = frozenset({canonical, *(f"host/{one}@{REALM}" for one in aliases)})
    dn = f"fqdn={name},cn=computers,cn=accounts,{SUFFIX}"
    return Entry(dn, Kind.HOST, name, canonical, names, (), frozenset(groups), writable)


def service(kind: str, name: str, *aliases: str, writable: bool = True) -> Entry:
    canonical = f"{kind}/{name}@{REALM}"
    names = frozenset({canonical, *(f"{kind}/{one}@{REALM}" for one in aliases)})
    dn = f"krbprincipalname={canonical.lower()},cn=services,cn=accounts,{SUFFIX}"
    return Entry(dn, Kind.SERVICE, canonical, canonical, names, (), frozenset(), writable)


EVERYBODY = CaAcl("all", enabled=True, any_ca=True, any_profile=True, anybody=frozenset(Kind))


@dataclass
class Scene:
    """What is asked, by whom, of which directory; everything is permitted unless a test says otherwise."""

    operator: Entry | None
    subject: Entry | None
    csr: bytes
    named: str = ""
    profile: str = "caIPAserviceCert"
    authority: str = ""
    others: tuple[Entry, ...] = ()
    acls: tuple[CaAcl, ...] = (EVERYBODY,)
    operations: dict[str, bool | None] = field(default_factory=lambda: {REQUEST: True, IGNORE_CAACL: False})
    records: dict[str, Records] = field(default_factory=dict)
    bound: str | None = None
    user: str = ""
    ca_configured: bool = True
    kdcs: frozenset[str] = frozenset({"ipa1.tpi.test"})
    servers: frozenset[str] = frozenset({"ipa1.tpi.test"})

    def question(self) -> Question:
        who = self.user or (self.operator.canonical if self.operator is not None else "")
        text = bare(self.csr).encode()
        variables = {
            CSR: text,
            USER: who.encode(),
            PROFILE: self.profile.encode(),
            TYPE: b"pkcs10",
            MANAGER: b"external",
        }
        if self.named:
            variables[SUBJECT] = self.named.encode()
        if self.authority:
            variables["DOGTAG_AUTHORITY_ID"] = self.authority.encode()
        found = read_question(variables, REALM)
        assert isinstance(found, Question), found
        return found

    def case(self) -> Case:
        question = self.question()
        csr = read_csr(question.text)
        subject = subject_of(question, csr)
        others = {
            wanted: next((one for one in self.others if str(wanted) in one.aliases), None)
            for wanted in wanted_principals(csr, subject)
        }
        bound = (
            self.bound if self.bound is not None else (self.operator.dn if self.operator is not None else "")
        )
        entry = self.subject if self.subject is not None and str(subject) in self.subject.aliases else None
        cas = {"00000000-0000-4000-8000-000000000001": "ipa", SUB_CA: "vpn"}
        return Case(
            PLACE,
            question,
            csr,
            subject,
            Snapshot(
                bound,
                self.ca_configured,
                cas,
                self.operator,
                entry,
                others,
                self.operations,
                self.acls,
                self.servers,
                self.kdcs,
                self.records,
            ),
        )

    def answer(self) -> tuple[int, str]:
        refusal = decide(self.case())
        return (0, "") if refusal is None else (refusal.code, refusal.reason)


WEB = host("web.tpi.test")
ALICE = user("alice", "alice.smith@TPI.TEST")
HTTP = service("HTTP", "web.tpi.test", "www.tpi.test")


def of_host(*names: bytes, by: Entry = WEB, cn: str = "web.tpi.test") -> Scene:
    return Scene(by, WEB, simple(cn, *names), named=str(WEB.canonical))


def of_service(*names: bytes, by: Entry = WEB, cn: str = "web.tpi.test", subject: Entry = HTTP) -> Scene:
    return Scene(by, subject, simple(cn, *names), named=subject.canonical)


def of_user(*names: bytes, by: Entry = ALICE, cn: str = "alice", mails: tuple[str, ...] = ()) -> Scene:
    return Scene(by, ALICE, simple(cn, *names, mails=mails), named=ALICE.canonical)


def may(scene: Scene, **operations: bool | None) -> Scene:
    return replace(
        scene,
        operations={REQUEST: operations.get("request"), IGNORE_CAACL: operations.get("ignore")},
    )


def records(**names: tuple[str, ...]) -> dict[str, Records]:
    """Make records: addresses, ``=name`` an alias, ``<name`` a pointer; underscores stand for dots."""
    return {
        name.replace("_", "."): Records(
            frozenset(ip_address(one) for one in values if one[0] not in "=<"),
            tuple(one[1:] for one in values if one[0] == "="),
            frozenset(one[1:] for one in values if one[0] == "<"),
        )
        for name, values in names.items()
    }
