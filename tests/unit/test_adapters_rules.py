"""Reading the policy: in one search where it is small, by the operation where it is large, in parts where it is larger."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ipa_tpi.adapters.rules import read_operations, read_policy
from ipa_tpi.errors import DirectoryLimitError
from ipa_tpi.model import Policy

TOP = "cn=tpi,dc=tpi,dc=test"
OPERATIONS, GROUPS, RULES = (f"cn=tpi{name},{TOP}" for name in ("operations", "operationgroups", "rules"))
TERM = re.compile(r"\(([A-Za-z]+)(>=|<=|=)([^()]*)\)")


@dataclass
class Server:
    """Entries, and as many of them at once as it gives; answers the filters that are asked, by their meaning."""

    entries: dict[str, dict[str, Sequence[bytes]]] = field(default_factory=dict)
    gives: int = 2000
    asked: list[str] = field(default_factory=list)

    def add(self, dn: str, kind: str, **values: Any) -> str:
        raw = {name.lower(): [one.encode() for one in given] for name, given in values.items()}
        classes = [b"top", *([b"ipaAssociation"] if kind == "ipaTpiRule" else []), kind.encode()]
        self.entries[dn] = {"objectclass": classes, **raw}
        return dn

    def operation(self, name: str) -> str:
        values = {
            "ipaTpiParameterSchema": ["{}"],
            "ipaTpiRequiredApprovals": ["1"],
            "ipaEnabledFlag": ["TRUE"],
        }
        return self.add(f"cn={name},{OPERATIONS}", "ipaTpiOperation", cn=[name], **values)

    def group(self, name: str, *members: str) -> str:
        return self.add(f"cn={name},{GROUPS}", "ipaTpiOperationGroup", cn=[name], member=members)

    def rule(self, number: str, *operations: str, category: str = "") -> str:
        values = {"ipaTpiMemberOperation": operations} if operations else {}
        values |= {"ipaTpiOperationCategory": [category]} if category else {}
        values |= {"ipaUniqueID": [number], "ipaTpiRight": ["request"], "ipaEnabledFlag": ["TRUE"]}
        return self.add(f"ipauniqueid={number},{RULES}", "ipaTpiRule", cn=[f"rule {number}"], **values)

    def search(self, wanted: str, at_most: int) -> list[Any]:
        self.asked.append(wanted)
        found = [(dn, raw) for dn, raw in self.entries.items() if _fits(raw, wanted)[0]]
        if len(found) > min(at_most or self.gives, self.gives):
            raise DirectoryLimitError("more than it gives at once; ask for fewer")
        return found

    def policy(self, *about: str) -> Policy:
        self.asked.clear()
        return read_policy(self.search, TOP, frozenset(about) if about else None)


def _fits(raw: Any, wanted: str) -> tuple[bool, str]:
    """Evaluate the filter that `wanted` begins with; give what is left of it."""
    if wanted[1] in "&|!":
        sort, rest, parts = wanted[1], wanted[2:], []
        while rest[0] == "(":
            part, rest = _fits(raw, rest)
            parts.append(part)
        return {"&": all(parts), "|": any(parts), "!": not parts[0]}[sort], rest[1:]
    term = TERM.match(wanted)
    assert term is not None, wanted
    values = [one.decode().lower() for one in raw.get(term[1].lower(), ())]
    text = term[3].lower()
    compare = {"=": operator.eq, ">=": operator.ge, "<=": operator.le}[term[2]]
    return any(compare(one, text) for one in values), wanted[term.end() :]


def names(policy: Policy, operation: str) -> set[str]:
    return {rule.name for rule in policy.rules_for(f"cn={operation},{OPERATIONS}")}


@pytest.fixture
def large() -> Server:
    server = Server()
    restart, other = server.operation("lab.restart"), server.operation("lab.other")
    inner = server.group("inner", restart)
    outer = server.group("outer", inner)
    server.group("around", outer, f"cn=around,{GROUPS}")
    server.rule("00", restart)
    server.rule("01", inner)
    server.rule("02", outer)
    server.rule("03", f"cn=around,{GROUPS}")
    server.rule("04", category="all")
    server.rule("05", other, restart)
    server.rule("zz", restart)  # an id that FreeIPA would not make
    for number in range(300):
        server.rule(f"a{number:04x}", other)
    return server


def test_a_small_policy_takes_one_search_whatever_is_asked() -> None:
    server = Server()
    server.rule("00", server.operation("lab.restart"))
    for about in ((), ("lab.restart",), ("unknown",)):
        policy = server.policy(*about)
        assert policy.whole
        assert set(policy.operations) == {"lab.restart"}
        assert len(server.asked) == 1


def test_of_a_large_policy_every_rule_that_names_the_operation_is_read(large: Server) -> None:
    policy = large.policy("lab.restart")
    assert not policy.whole
    assert set(policy.operations) == {"lab.restart"}
    wanted = {f"rule {number}" for number in ("00", "01", "02", "03", "04", "05", "zz")}
    assert names(policy, "lab.restart") == wanted == {rule.name for rule in policy.rules}
    assert len(large.asked) == 3  # all at once; the operation with the groups; the rules


def test_an_unknown_operation_of_a_large_policy_is_unknown(large: Server) -> None:
    policy = large.policy("unknown")
    assert policy.operations == {}
    assert {rule.name for rule in policy.rules} == {"rule 04"}


def test_a_name_is_no_filter(large: Server) -> None:
    large.policy("x)(objectClass=*")
    assert "(cn=x\\29\\28objectClass=\\2a)" in large.asked[1]


def test_what_is_asked_at_once_is_read_at_once(large: Server) -> None:
    policy = large.policy("lab.restart", "lab.other")
    assert set(policy.operations) == {"lab.restart", "lab.other"}
    assert len(names(policy, "lab.other")) == 302
    assert len(large.asked) == 3


@pytest.mark.parametrize("gives", [400, 300, 250, 60, 20])
def test_however_few_the_directory_gives_at_once_all_rules_are_read(large: Server, gives: int) -> None:
    large.gives = gives
    policy = large.policy()
    assert policy.whole
    assert len(policy.rules) == 307
    assert names(policy, "lab.restart") == names(large.policy("lab.restart"), "lab.restart")


def test_what_cannot_be_read_in_parts_either_is_refused(large: Server) -> None:
    for number in range(40):
        large.rule(f"beefbeef{number:02}", f"cn=lab.restart,{OPERATIONS}")
    large.gives = 30
    with pytest.raises(DirectoryLimitError):
        large.policy("lab.restart")


def test_more_operations_than_the_directory_gives_are_refused_not_cut_off(large: Server) -> None:
    for number in range(50):
        large.operation(f"lab.op{number}")
    large.gives = 40
    with pytest.raises(DirectoryLimitError):
        large.policy()
    assert set(large.policy("lab.restart").operations) == {"lab.restart"}


def test_all_operations_are_read_without_the_rules(large: Server) -> None:
    large.gives = 20
    assert set(read_operations(large.search, TOP).operations) == {"lab.restart", "lab.other"}


def test_what_lies_elsewhere_or_is_of_another_kind_is_not_taken() -> None:
    server = Server()
    server.rule("00", server.operation("lab.restart"))
    server.add(f"cn=lab.evil,cn=deep,{OPERATIONS}", "ipaTpiOperation", cn=["lab.evil"])
    server.add(f"cn=lab.evil,{RULES}", "ipaTpiOperation", cn=["lab.evil"])
    server.add(f"cn=lab.broken,{OPERATIONS}", "ipaTpiOperation", cn=["lab.broken"])
    server.add(f"ipauniqueid=01,{RULES}", "ipaTpiRule", cn=["broken rule"], ipaTpiRight=["rule"])
    policy = server.policy()
    assert set(policy.operations) == {"lab.restart"}
    assert set(policy.malformed) == {"lab.broken"}
    assert list(policy.broken_names.values()) == ["broken rule"]
