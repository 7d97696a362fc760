"""Profiles of Dogtag's as text, and a CA in memory that has some."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ipa_tpi.errors import RefusedError, TpiError
from ipa_tpi.executor.action import Means
from ipa_tpi.ports import IssuingAuthority

NAME = "webServers"
LAST = "policyset.set1.2"
GUARDED = {
    "profileId": NAME,
    "classId": "caEnrollImpl",
    "auth.instance_id": "SessionAuthentication",
    "visible": "false",
    "input.list": "i1,i2",
    "input.i1.class_id": "certReqInputImpl",
    "input.i2.class_id": "submitterInfoInputImpl",
    "policyset.list": "set1",
    "policyset.set1.list": "1,2",
    "policyset.set1.1.default.class_id": "userSubjectNameDefaultImpl",
    "policyset.set1.1.constraint.class_id": "noConstraintImpl",
    f"{LAST}.default.class_id": "noDefaultImpl",
    f"{LAST}.default.name": "No Default",
    f"{LAST}.constraint.class_id": "externalProcessConstraintImpl",
    f"{LAST}.constraint.name": "externalProcessConstraintImpl",
    f"{LAST}.constraint.params.executable": "/usr/libexec/ipa/ipa-pki-validate-cert-request",
    f"{LAST}.constraint.params.timeout": "10",
    f"{LAST}.constraint.params.env.KRB5CCNAME": "auth_token.PRINCIPAL.KRB5CCNAME",
    f"{LAST}.constraint.params.env.IPA_REQUEST_TYPE": "cert_request_type",
    f"{LAST}.constraint.params.env.IPA_AUTH_MANAGER": "auth_token.authMgrInstName",
}


def changed(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Give the guarded profile with other values; None takes a key away."""
    pairs = {**GUARDED, **changes}
    return {key: value for key, value in pairs.items() if value is not None}


def text_of(pairs: Mapping[str, str]) -> str:
    """Write pairs as somebody would."""
    return "".join(f"{key}={value}\n" for key, value in pairs.items())


HOST_CA = IssuingAuthority(
    "09cc58d4-9396-4d32-971b-084f48b26c26", "CN=CA,O=TPI.TEST", "CN=CA,O=TPI.TEST", "", "0x1",
    enabled=True, ready=True, description="Host authority",
)  # fmt: skip
MADE = "59c1a3aa-7b0f-4f6c-a1f2-0e6a1d0f3c11"
SUB_CA = IssuingAuthority(
    "4851107e-1de2-4701-a538-6b0c8d0b5f18", "CN=Sub,O=TPI.TEST", "CN=CA,O=TPI.TEST", HOST_CA.id, "0xa",
    enabled=True, ready=True, description="sub",
)  # fmt: skip


@dataclass
class FakeCalls:
    """What is common to a CA's profiles and sub-CAs in memory.

    Attributes:
        acts: What was asked that changes something.
        fails: By the name of a method, what it raises before it does anything.
        after: By the name of a method, what every reading raises once that was called.
    """

    acts: list[str] = field(default_factory=list)
    fails: dict[str, TpiError] = field(default_factory=dict)
    after: dict[str, TpiError] = field(default_factory=dict)
    _blind: TpiError | None = None

    def _look(self, method: str) -> None:
        if self._blind is not None:
            raise self._blind
        if method in self.fails:
            raise self.fails[method]

    def _act(self, method: str, what: str) -> None:
        self._look(method)
        self.acts.append(f"{method} {what}")
        self._blind = self.after.get(method)


@dataclass
class FakeProfiles(FakeCalls):
    """A CA's profiles.

    Attributes:
        had: By name, what profiles it has: pairs, ``enable`` among them.
        forges: What it writes into a profile beside what it was given.
        sent: What it was given.
    """

    had: dict[str, dict[str, str]] = field(default_factory=dict)
    forges: dict[str, str] = field(default_factory=dict)
    sent: list[Mapping[str, str]] = field(default_factory=list)

    def names(self) -> Collection[str]:
        """List them."""
        self._look("names")
        return list(self.had)

    def read(self, name: str) -> str:
        """Read one."""
        self._look("read")
        if name not in self.had:
            raise RefusedError(f"the CA shows no profile {name}; list them", code="bad-parameters")
        return text_of(self.had[name])

    def create(self, pairs: Mapping[str, str]) -> None:
        """Make one."""
        self._act("create", pairs["profileId"])
        self._write(pairs["profileId"], pairs)

    def replace(self, name: str, pairs: Mapping[str, str]) -> None:
        """Replace one."""
        self._act("replace", name)
        assert self.had[name]["enable"] == "false"
        self._write(name, pairs)

    def enable(self, name: str) -> None:
        """Enable one."""
        self._act("enable", name)
        self.had[name]["enable"] = "true"

    def disable(self, name: str) -> None:
        """Disable one."""
        self._act("disable", name)
        self.had[name]["enable"] = "false"

    def _write(self, name: str, pairs: Mapping[str, str]) -> None:
        self.sent.append(pairs)
        self.had[name] = {**pairs, "enable": "false", **self.forges}


@dataclass
class FakeAuthorities(FakeCalls):
    """A CA and its sub-CAs.

    Attributes:
        there: These.
        forged: What is otherwise about one that is made.
    """

    there: list[IssuingAuthority] = field(default_factory=lambda: [HOST_CA, SUB_CA])
    forged: dict[str, str] = field(default_factory=dict)

    def known(self) -> Sequence[IssuingAuthority]:
        """List them."""
        self._look("known")
        return list(self.there)

    def create(self, parent: str, subject: str, description: str) -> IssuingAuthority:
        """Make one."""
        self._act("create", f"{parent} {subject} {description}")
        made = replace(
            SUB_CA, id=MADE, subject=subject.replace(", ", ","), parent=parent, description=description
        )
        made = replace(made, **self.forged)
        self.there.append(made)
        return made

    def enable(self, authority_id: str) -> None:
        """Enable one."""
        self._act("enable", authority_id)
        self._set(authority_id, enabled=True)

    def disable(self, authority_id: str) -> None:
        """Disable one."""
        self._act("disable", authority_id)
        self._set(authority_id, enabled=False)

    def _set(self, wanted: str, *, enabled: bool) -> None:
        self.there = [replace(each, enabled=enabled) if each.id == wanted else each for each in self.there]


@dataclass
class FakeCa:
    """A CA that has these alone."""

    profiles: FakeProfiles = field(default_factory=FakeProfiles)
    authorities: FakeAuthorities = field(default_factory=FakeAuthorities)


def with_(ca: FakeCa | None) -> Means:
    """Give what an operation may act with."""
    return Means(None, ca)  # type: ignore[arg-type]
