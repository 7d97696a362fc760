"""CA ACLs, against an independent slow model, and against libipa_hbac where it is to mean the same (facts B.2)."""

from __future__ import annotations

import json
import subprocess
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest
from certval_examples import some
from hypothesis import given
from hypothesis import strategies as st

from ipa_tpi_validator.caacl import Subject, permits
from ipa_tpi_validator.snapshot import CaAcl, Kind

NAMES = ["a", "A", "b", "straße", "STRASSE", "ipa", "IPA", "vpn"]
names = st.frozensets(st.sampled_from(NAMES), max_size=2)
kinds = st.sampled_from(Kind)
members = st.dictionaries(kinds, names)
acls = st.builds(
    CaAcl,
    name=st.just("acl"),
    enabled=st.sampled_from([True, True, True, False]),
    any_ca=st.booleans(),
    cas=names,
    any_profile=st.booleans(),
    profiles=names,
    anybody=st.frozensets(kinds, max_size=1),
    members=members,
    groups=members,
)
subjects = st.builds(Subject, kinds, st.sampled_from(NAMES), names)


def same(one: str, other: str) -> bool:
    """Compare letter by letter, without casefold()."""

    def folded(text: str) -> str:
        return "".join({"ß": "ss"}.get(c, c) for c in unicodedata.normalize("NFC", text).lower())

    return folded(one) == folded(other)


def model(rules: Iterable[CaAcl], ca: str, profile: str, subject: Subject) -> bool:  # noqa: C901, PLR0912 (slow, and plain)
    """Decide as the facts tell it, one sentence after the other."""
    for rule in rules:
        if not rule.enabled:
            continue
        ca_names = list(rule.cas) if len(rule.cas) > 0 else ["ipa"]
        ca_matches = True if rule.any_ca else len([one for one in ca_names if same(one, ca)]) > 0
        profile_matches = rule.any_profile
        for one in rule.profiles:
            if same(one, profile):
                profile_matches = True
        who_matches = False
        for kind in Kind:
            if kind is not subject.kind:
                continue
            if kind in rule.anybody:
                who_matches = True
            for one in rule.members.get(kind, ()):
                if same(one, subject.name):
                    who_matches = True
            if kind.value != "service":
                for group in rule.groups.get(kind, ()):
                    for own in subject.groups:
                        if same(group, own):
                            who_matches = True
        if ca_matches and profile_matches and who_matches:
            return True
    return False


@some
@given(st.lists(acls, max_size=3), st.sampled_from(NAMES), st.sampled_from(NAMES), subjects)
def test_it_decides_as_the_slow_model(rules: list[CaAcl], ca: str, profile: str, subject: Subject) -> None:
    assert permits(rules, ca, profile, subject) == model(rules, ca, profile, subject)


@some
@given(st.lists(acls, max_size=3), acls, st.sampled_from(NAMES), st.sampled_from(NAMES), subjects)
def test_one_more_acl_never_takes_anything_away(
    rules: list[CaAcl], more: CaAcl, ca: str, profile: str, subject: Subject
) -> None:
    if permits(rules, ca, profile, subject):
        assert permits([more, *rules], ca, profile, subject)
        assert permits([*rules, more], ca, profile, subject)


WEB = Subject(Kind.HOST, "web.tpi.test", frozenset({"webservers"}))
ALICE = Subject(Kind.USER, "alice", frozenset({"staff"}))
HTTP = Subject(Kind.SERVICE, "HTTP/web.tpi.test@TPI.TEST", frozenset({"staff"}))
CASES = [
    ("the default rule", {"anybody": {Kind.HOST, Kind.SERVICE}, "profiles": {"p"}}, "ipa", "p", WEB, True),
    (
        "the default rule and a user",
        {"anybody": {Kind.HOST, Kind.SERVICE}, "profiles": {"p"}},
        "ipa",
        "p",
        ALICE,
        False,
    ),
    ("another profile", {"anybody": {Kind.HOST}, "profiles": {"p"}}, "ipa", "q", WEB, False),
    ("no profile is none", {"anybody": {Kind.HOST}, "any_ca": True}, "ipa", "p", WEB, False),
    ("every profile", {"anybody": {Kind.HOST}, "any_profile": True}, "ipa", "q", WEB, True),
    ("no CA is ipa", {"anybody": {Kind.HOST}, "any_profile": True}, "vpn", "p", WEB, False),
    ("no CA is ipa in any case", {"anybody": {Kind.HOST}, "any_profile": True}, "IPA", "p", WEB, True),
    (
        "a CA is not ipa",
        {"anybody": {Kind.HOST}, "any_profile": True, "cas": {"vpn"}},
        "ipa",
        "p",
        WEB,
        False,
    ),
    ("every CA", {"anybody": {Kind.HOST}, "any_profile": True, "any_ca": True}, "vpn", "p", WEB, True),
    ("nobody", {"any_profile": True}, "ipa", "p", WEB, False),
    ("disabled", {"enabled": False, "anybody": {Kind.HOST}, "any_profile": True}, "ipa", "p", WEB, False),
    ("a user by name", {"members": {Kind.USER: {"ALICE"}}, "any_profile": True}, "ipa", "p", ALICE, True),
    (
        "a user's name among the hosts",
        {"members": {Kind.HOST: {"alice"}}, "any_profile": True},
        "ipa",
        "p",
        ALICE,
        False,
    ),
    ("a user by group", {"groups": {Kind.USER: {"Staff"}}, "any_profile": True}, "ipa", "p", ALICE, True),
    (
        "a user by a host group",
        {"groups": {Kind.HOST: {"staff"}}, "any_profile": True},
        "ipa",
        "p",
        ALICE,
        False,
    ),
    (
        "a host by host group",
        {"groups": {Kind.HOST: {"webservers"}}, "any_profile": True},
        "ipa",
        "p",
        WEB,
        True,
    ),
    (
        "a service by name",
        {"members": {Kind.SERVICE: {HTTP.name}}, "any_profile": True},
        "ipa",
        "p",
        HTTP,
        True,
    ),
    (
        "a service by group",
        {"groups": {Kind.SERVICE: {"staff"}}, "any_profile": True},
        "ipa",
        "p",
        HTTP,
        False,
    ),
    ("every user is no service", {"anybody": {Kind.USER}, "any_profile": True}, "ipa", "p", HTTP, False),
]


@pytest.mark.parametrize(("name", "rule", "ca", "profile", "subject", "expected"), CASES)
def test_each_case_is_as_in_freeipa(
    name: str, rule: dict[str, object], ca: str, profile: str, subject: Subject, expected: bool
) -> None:
    acl = CaAcl(**{"name": name, "enabled": True, **rule})  # type: ignore[arg-type]
    assert permits([acl], ca, profile, subject) is expected


def test_the_one_that_counts_may_be_the_last_of_many() -> None:
    others = [
        CaAcl(f"acl{n}", enabled=True, any_profile=True, members={Kind.HOST: frozenset({f"h{n}"})})
        for n in range(500)
    ]
    last = CaAcl("last", enabled=True, any_profile=True, anybody=frozenset({Kind.HOST}))
    assert not permits(others, "ipa", "p", WEB)
    assert permits([*others, last], "ipa", "p", WEB)


SECOND_OPINION = Path(__file__).with_name("certval_hbac.py")


def _plain(acl: CaAcl) -> dict[str, object]:
    return {
        "enabled": acl.enabled,
        "any_ca": acl.any_ca,
        "cas": sorted(acl.cas),
        "any_profile": acl.any_profile,
        "profiles": sorted(acl.profiles),
        "anybody": [kind.value for kind in acl.anybody],
        "members": {kind.value: sorted(value) for kind, value in acl.members.items()},
        "groups": {
            kind.value: sorted(value) for kind, value in acl.groups.items() if kind is not Kind.SERVICE
        },
    }


def test_libipa_hbac_is_of_the_same_opinion() -> None:
    asked: list[tuple[list[CaAcl], str, str, Subject]] = []

    @some
    @given(st.lists(acls, max_size=3), st.sampled_from(NAMES), st.sampled_from(NAMES), subjects)
    def collect(rules: list[CaAcl], ca: str, profile: str, subject: Subject) -> None:
        asked.append((rules, ca, profile, subject))

    collect()
    asked += [
        ([CaAcl(**{"name": name, "enabled": True, **rule})], ca, p, who)
        for name, rule, ca, p, who, _ in CASES
    ]  # type: ignore[arg-type]
    plain = [
        [[_plain(acl) for acl in rules], ca, profile, [who.kind.value, who.name, sorted(who.groups)]]
        for rules, ca, profile, who in asked
    ]
    # The bindings belong to the system's python (python3-libipa-hbac, lab/packages.txt).
    ran = subprocess.run(
        ["/usr/bin/python3", str(SECOND_OPINION)],
        input=json.dumps(plain),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stderr}; install what lab/packages.txt names (lab/setup.sh)"
    assert json.loads(ran.stdout) == [permits(*one) for one in asked]
