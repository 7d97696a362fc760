"""Published failures of other systems for dual control, tried on this one: docs/published-failures.md has the table.

Each test bears the number of its row.  Rows that another file's tests show are named in the table, not repeated here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ldap
import pytest
from straight import (
    OPERATION_DN,
    add,
    add_child,
    approve,
    changed,
    ended,
    never_intended,
    refused_by_web,
    runs_for,
    subtree,
    user_dn,
)
from validators import ACCEPT, watched
from world import EXECUTOR, HOST, SUFFIX, World, eventually, stopped

from ipa_tpi.client.wish import Wish

OPERATION = "dirsrv.restart"
RULES = f"cn=tpirules,cn=tpi,{SUFFIX}"
DAY = f"cn=tpi-operators-day,cn=groups,cn=accounts,{SUFFIX}"
ROLES = tuple(f"cn={name},cn=roles,cn=accounts,{SUFFIX}" for name in ("TPI Requester", "TPI Approver"))
VERBS = ("approve", "deny", "withdraw", "cancel", "prove")


def below(world: World, request_id: str) -> set[str]:
    """Give what people wrote below a request."""
    return {one.dn for one in subtree(world, request_id).children if "krbprincipalname=" not in one.creator}


@contextmanager
def member_of(world: World, person: str, *groups: str) -> Iterator[None]:
    """Have a person be in groups for a while."""
    root, member = world.root(), [user_dn(person).encode()]
    for group in groups:
        root.modify_s(group, [(ldap.MOD_ADD, "member", member)])
    try:
        eventually(lambda: set(groups) <= memberships(world, person))
        yield
    finally:
        for group in groups:
            root.modify_s(group, [(ldap.MOD_DELETE, "member", member)])
        eventually(lambda: not set(groups) & memberships(world, person))


def memberships(world: World, person: str) -> set[str]:
    ((_, raw),) = world.root().search_s(user_dn(person), ldap.SCOPE_BASE, attrlist=["memberOf"])
    known = {value.decode().lower() for value in raw.get("memberOf", [])}
    return {name for name in (*ROLES, DAY) if name.lower() in known}


@contextmanager
def there_is(world: World, dn: str, classes: list[str], **values: bytes | list[bytes]) -> Iterator[None]:
    """Have an entry for a while."""
    add(world.root(), dn, classes, values)
    try:
        yield
    finally:
        world.root().delete_s(dn)


@pytest.mark.parametrize("count", [[], [b"0"], [b"-1"], [b"2147483648"]], ids=["missing", "0", "-1", "huge"])
def test_row_01_zero_missing_negative_or_huge_counts_pass_nothing(world: World, count: list[bytes]) -> None:
    """OpenBao 3666: no number of approvals, or 0, and none were needed.

    Nobody can ask, and what waits already does not run, however many approve.
    """
    waiting = world.request("alice")
    with changed(world.root(), OPERATION_DN, ipaTpiRequiredApprovals=count):
        with refused_by_web("operation-malformed") as caught:
            world.request("alice")
        assert OPERATION_DN.lower() in caught.value.message.lower()
        assert "ipatpirequiredapprovals" in caught.value.message.lower()
        approve(world, "bob", waiting)
        assert ended(world, waiting) == ("denied", "operation-malformed")
        never_intended(world, waiting)
    runs_for(world, world.request("alice"))


def test_row_02_a_group_of_the_same_name_elsewhere_gives_nothing(world: World) -> None:
    """OpenBao 3815: groups were compared by their names."""
    elsewhere = f"cn=tpi-operators,cn=roles,cn=accounts,{SUFFIX}"
    values = {"cn": b"tpi-operators", "member": user_dn("dave").encode()}
    classes = ["groupOfNames", "nestedGroup"]
    with member_of(world, "dave", *ROLES):  # so that nothing but the rule is in the way
        with there_is(world, elsewhere, classes, **values):
            request_id = world.request("alice")
            with refused_by_web("no-rule"):
                world.request("dave")
            with refused_by_web("no-rule"):
                world.approve("dave", request_id)
            before = world.starts()
            approve(world, "dave", request_id)  # the directory compares no rules
            view = world.wait_for("bob", request_id, lambda now: len(now.approvals) == 1)
            assert (view.state, view.approvals[0].code) == ("pending", "no-rule")
            assert world.starts() == before
        with member_of(world, "dave", DAY):
            runs_for(world, world.request("alice"), "dave")


def test_row_03_what_names_nothing_allows_nothing(world: World) -> None:
    """OpenBao's control group by its code: no factor applied, so zero of zero were there, which was valid."""
    for name in ("no.such", "", "dirsrv.restart.", "dirsrv", "*"):
        with refused_by_web("unknown-operation"):
            world.api("alice").create(Wish(name, HOST, {"instance": "DS01"}))
    empty = {"cn": b"empty", "ipaEnabledFlag": b"TRUE", "ipaTpiRight": [b"request", b"approve"]}
    dn = f"ipaUniqueID={uuid.uuid4()},{RULES}"
    full = {"hostCategory": b"all", "ipaTpiOperationCategory": b"all", "userCategory": b"all"}
    rule = ["ipaAssociation", "ipaTpiRule"]
    with member_of(world, "dave", *ROLES):
        for left_out in full:
            named = {name: value for name, value in full.items() if name != left_out}
            with there_is(world, dn, rule, **empty, **named), refused_by_web("no-rule"):
                world.request("dave")
        with there_is(world, dn, rule, **empty, **full):
            assert world.request("dave")  # it is the one that was left out that made the difference
    nobody = f"cn=tpi-nobody,cn=groups,cn=accounts,{SUFFIX}"
    with (
        there_is(world, nobody, ["groupOfNames", "nestedGroup"], cn=b"tpi-nobody"),
        changed(world.root(), OPERATION_DN, ipaTpiRequiredGroup=[nobody.encode()]),
        refused_by_web("policy-unsatisfiable") as caught,
    ):
        world.request("alice")
    assert "ipaTpiRequiredGroup" in caught.value.message


@pytest.mark.parametrize("person", ["dave", "frank", "adam"])
def test_row_05_who_is_authenticated_is_not_yet_authorised(world: World, person: str) -> None:
    """CVE-2021-20179: whoever had logged in was taken for an agent."""
    assert world.cli(person, "whoami").status == 0
    request_id = world.request("alice")
    before = below(world, request_id)
    for verb in VERBS:
        yes = ["--yes"] if verb in {"approve", "prove"} else []
        told = world.cli(person, verb, request_id, *yes)
        assert told.status in {2, 4}, (verb, told)
    asked = world.cli(person, "create", OPERATION, "instance=DS01")
    assert asked.status == 4, asked
    assert below(world, request_id) == before
    runs_for(world, request_id)


def test_row_05_without_rules_nobody_is_authorised(world: World) -> None:
    """The same with an empty policy: the people are the same, and they have their roles."""
    root = world.root()
    request_id = world.request("alice")
    found = root.search_s(RULES, ldap.SCOPE_ONELEVEL, "(objectClass=ipaTpiRule)", ["ipaEnabledFlag"])
    try:
        for dn, _ in found:
            root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaEnabledFlag", [b"FALSE"])])
        with refused_by_web("no-rule"):
            world.request("alice")
        approve(world, "bob", request_id)
        assert ended(world, request_id) == ("denied", "no-rule")
        never_intended(world, request_id)
    finally:
        for dn, raw in found:
            root.modify_s(dn, [(ldap.MOD_REPLACE, "ipaEnabledFlag", raw["ipaEnabledFlag"])])


def test_row_06_a_refusal_is_never_made_good_by_another_answer(world: World) -> None:
    """CVE-2016-5404: a refusal was swallowed, and the success of another command stood in for it.

    frank may read everything and grace may ask; neither gains by that what they are refused.
    """
    request_id = world.request("alice")
    before, starts = below(world, request_id), world.starts()
    for person in ("frank", "grace"):
        for verb in VERBS:
            assert world.cli(person, "list").status == 0
            yes = ["--yes"] if verb in {"approve", "prove"} else []
            assert world.cli(person, verb, request_id, *yes).status in {2, 4}, (person, verb)
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            approve(world, person, request_id)
    assert (below(world, request_id), world.starts()) == (before, starts)
    assert world.api("bob").show(request_id).state == "pending"
    runs_for(world, request_id)


@pytest.mark.parametrize("outcome", [b"timeout", b"approved", b"EXECUTED"])
def test_row_13_an_outcome_that_nobody_knows_denies(world: World, outcome: bytes) -> None:
    """Slicc 2212: a new value was not `deny`, so it was taken for a yes."""
    request_id = world.request("alice")
    with stopped(world, EXECUTOR):
        add_child(world.root(), request_id, "ipaTpiResult", ipaTpiOutcome=outcome)
        approve(world, "bob", request_id)
    assert ended(world, request_id) == ("denied", "malformed-entry")
    never_intended(world, request_id)


@pytest.mark.parametrize(
    "flag", ["--author", "--as", "--user", "--on-behalf-of", "--principal", "--requester", "--approver"]
)
def test_row_15_no_option_names_who_acts(world: World, flag: str) -> None:
    """Teleport 22613: `--author=bob` made a review somebody else's."""
    request_id = world.request("alice")
    before = below(world, request_id)
    for person in ("alice", "carol"):
        told = world.cli(person, "approve", "--yes", request_id, flag, "bob")
        assert told.status == 64, told
    told = world.cli("dave", "create", OPERATION, "instance=DS01", flag, "alice")
    assert told.status == 64, told
    assert below(world, request_id) == before
    told = world.cli(
        "alice", "approve", "--yes", request_id, KRB5CCNAME="", IPA_TPI_USER="bob", LOGNAME="bob"
    )
    assert told.status != 0
    assert below(world, request_id) == before


@pytest.mark.parametrize("signal", ["KILL", "TERM", "HUP", "SEGV", "PIPE"])
def test_row_17_a_check_that_is_cut_off_is_no_yes(world: World, signal: str) -> None:
    """CVE-2021-3560: whoever left in the middle of the check was taken for checked."""
    with watched(world) as program:
        program.install(f"#!/bin/sh\nkill -{signal} $$\nsleep 5\n")
        program.refused("validation-failed")
        program.install(ACCEPT)
        program.runs()


def test_row_17_no_id_can_be_guessed(world: World) -> None:
    """CVE-2015-4625: a cookie that could be guessed, and was bound to nobody."""
    ids = {world.request("alice") for _ in range(3)}
    assert {uuid.UUID(one).version for one in ids} == {4}
    request_id = ids.pop()
    runs_for(world, request_id)
    (execution,) = world.of_class(request_id, "ipaTpiExecution")
    assert len(bytes.fromhex(execution["ipaTpiNonce"][0].decode())) == 32
    # Who guesses all the same is told no more of another's request than of none.
    told = [world.cli("dave", "show", one) for one in (ids.pop(), str(uuid.uuid4()))]
    assert [one.status for one in told] == [2, 2]


def test_row_20_a_leading_dash_is_never_an_option(world: World) -> None:
    """CVE-2024-1481: a name that begins with a dash was an option of kinit."""
    for value in ("-rf", "--help", "-", "-oProxyCommand=x"):
        told = world.cli("alice", "create", OPERATION, f"instance={value}")
        assert told.status == 4, (value, told)
        told = world.cli("alice", "show", "--", value)
        assert told.status in {2, 64}, (value, told)
        told = world.cli("alice", "create", "--", value, "instance=DS01")
        assert told.status in {4, 64}, (value, told)


def test_row_20_reading_makes_nothing_happen(world: World) -> None:
    """CVE-2026-19550: the right to read was enough to start a privileged helper."""
    request_id = world.request("alice")
    before, starts, claims = (
        below(world, request_id),
        world.starts(),
        world.claims("SELECT count(*) FROM claims"),
    )
    for words in (
        ("list",),
        ("show", request_id),
        ("approvers", request_id),
        ("operations",),
        ("hosts",),
        ("rule", "find"),
    ):
        assert world.cli("frank", *words).status in {0, 3, 4}, words
    assert (below(world, request_id), world.starts()) == (before, starts)
    assert world.claims("SELECT count(*) FROM claims") == claims
    assert world.api("bob").show(request_id).state == "pending"


def test_row_20_no_secret_is_an_argument(world: World) -> None:
    """CVE-2024-11029: whoever lists processes read a password."""
    secrets = [person["password"].encode() for person in world.people.values()]
    runs_for(world, world.request("alice"))
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    assert any(b"ipa-tpi-executor" in line for line in lines)
    assert not [line for line in lines for secret in secrets if secret in line]


def test_row_21_there_is_one_window(world: World) -> None:
    """Uni-Projekt 124: the window was raised in one place, and the daemon kept its 300 seconds."""
    for seconds in (900, 2):
        with changed(world.root(), OPERATION_DN, ipaTpiApprovalSeconds=[str(seconds).encode()]):
            request_id = world.request("alice")
            view = world.api("bob").show(request_id)
            assert view.expires is not None
            assert round((view.expires - view.created).total_seconds()) == seconds
            if seconds > 300:
                runs_for(world, request_id)
            else:
                assert ended(world, request_id) == ("expired", "expired")
                never_intended(world, request_id)
