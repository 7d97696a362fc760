"""K04, K14, E15, X14: groups from the directory, justification, channels, and the trust table; in the box."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import ldap
import pytest

sys.path.append(str(Path(__file__).parents[1] / "attacks"))  # `straight` lies there

from straight import (  # (needs the path)
    OPERATION_DN,
    add,
    changed,
    ended,
    never_intended,
    refused_by_web,
    request,
    runs_for,
    user_dn,
)
from world import REQUESTS, SUFFIX, World, eventually

RULES = f"cn=tpirules,cn=tpi,{SUFFIX}"
DAY = f"cn=tpi-operators-day,cn=groups,cn=accounts,{SUFFIX}"
COARSE = f"cn=TPI Approver,cn=roles,cn=accounts,{SUFFIX}"
TABLE = Path("/src/docs/threat-model.md")
PARTS = (
    "web tier",
    "IPA framework",
    "pkiuser",
    "executor (",
    "root of one replica",
    "Directory Manager",
    "KDC",
    "root of the target",
)
FOLDERS = {"A": "attacks", "B": "box", "C": "conformance", "R": "realm", "unit": "unit"}


def group_dn(name: str, container: str = "groups") -> str:
    return f"cn={name},cn={container},cn=accounts,{SUFFIX}"


@contextmanager
def chain(world: World, *names: str) -> Iterator[Mapping[str, str]]:
    """Have groups that lie in each other: the first holds dave, each further one the one before it."""
    root, member, made = world.root(), user_dn("dave"), {}
    person = [member.encode()]
    root.modify_s(COARSE, [(ldap.MOD_ADD, "member", person)])  # its ACIs count five levels only: decision 9
    for name in names:
        dn = made[name] = group_dn(name)
        classes = ["groupOfNames", "nestedGroup"]
        add(root, dn, classes, {"cn": name.encode(), "member": member.encode()})
        member = dn
    root.modify_s(DAY, [(ldap.MOD_ADD, "member", [member.encode()])])
    try:
        yield made
    finally:
        root.modify_s(COARSE, [(ldap.MOD_DELETE, "member", person)])
        root.modify_s(DAY, [(ldap.MOD_DELETE, "member", [member.encode()])])
        for dn in reversed(made.values()):
            root.delete_s(dn)


def may_approve(world: World) -> bool:
    told = world.cli(
        "frank", "policy", "test", "--operation", "dirsrv.restart", "--host", "ipa1.tpi.test",
        "--user", "dave", "--right", "approve",
    )  # fmt: skip
    assert told.status in {0, 4}, told
    return told.status == 0


def test_r_k04_membership_comes_from_the_directory_however_deep(world: World) -> None:
    """To the rule's group through two groups more than anybody else, for as long as the innermost membership lasts."""
    assert not may_approve(world)
    with chain(world, "tpi-inner", "tpi-outer") as made:
        eventually(lambda: may_approve(world))
        runs_for(world, world.request("alice"), "dave")
        request_id = world.request("alice")
        world.root().modify_s(made["tpi-inner"], [(ldap.MOD_REPLACE, "member", None)])
        eventually(lambda: not may_approve(world))
        with refused_by_web("no-rule"):
            world.approve("dave", request_id)
        runs_for(world, request_id, "bob")


def test_r_k04_a_rule_can_name_a_role(world: World) -> None:
    """The role that the rule names comes to people by their groups, as every role does."""
    role = group_dn("TPI Approver", "roles")
    found = world.root().search_s(RULES, ldap.SCOPE_ONELEVEL, "(ipaTpiRight=approve)", ["memberUser"])
    assert len(found) >= 1
    request_id = world.request("alice")
    before = {dn: raw.get("memberUser") for dn, raw in found}
    try:
        for dn in before:
            world.root().modify_s(
                dn, [(ldap.MOD_REPLACE, "memberUser", [group_dn("nobody", "roles").encode()])]
            )
        with refused_by_web("no-rule"):
            world.approve("bob", request_id)
        for dn in before:
            world.root().modify_s(dn, [(ldap.MOD_REPLACE, "memberUser", [role.encode()])])
        runs_for(world, request_id, "bob")
    finally:
        for dn, members in before.items():
            world.root().modify_s(dn, [(ldap.MOD_REPLACE, "memberUser", members)])


@pytest.mark.parametrize(
    ("attribute", "field", "code"),
    [
        ("ipaTpiReasonPattern", "reason", "reason-required"),
        ("ipaTpiTicketPattern", "ticket", "ticket-required"),
    ],
)
def test_r_k14_reason_and_ticket_are_what_the_policy_demands(
    world: World, attribute: str, field: str, code: str
) -> None:
    good = "OPS-1742"
    with changed(world.root(), OPERATION_DN, **{attribute: [b"OPS-[0-9]{1,6}"]}):
        for bad in ("", "OPS-", f"{good} and more", f"see {good}"):
            with refused_by_web(code) as caught:
                world.request("alice", **{field: bad})
            assert f"--{field}" in caught.value.message
        past_the_web = request(world, "alice", **{field: f"see {good}"})
        assert ended(world, past_the_web) == ("denied", code)
        never_intended(world, past_the_web)
        request_id = world.request("alice", **{field: good})
        assert good in world.cli("bob", "show", request_id).out
        runs_for(world, request_id)
    ((_, raw),) = world.root().search_s(f"ipaTpiRequestId={request_id},{REQUESTS}", ldap.SCOPE_BASE)
    assert raw[f"ipaTpi{field.title()}"] == [good.encode()]


def test_r_e15_an_operation_can_be_restricted_by_channel(world: World) -> None:
    """The command line is one channel; an operation that is for the web alone is not asked for by it."""
    with changed(world.root(), OPERATION_DN, ipaTpiInterface=[b"web"]):
        told = world.cli("alice", "create", "dirsrv.restart", "instance=DS01")
        assert (told.status, "interface" in told.err) == (4, True), told
        for channel in ("cli", "framework", "jacket", "direct"):
            request_id = request(world, "alice", interface=channel)
            assert ended(world, request_id) == ("denied", "interface-not-allowed")
            never_intended(world, request_id)
        right = request(world, "alice", interface="web")
        world.wait_state(right, "pending")
        runs_for(world, right)
    runs_for(world, world.request("alice"))


def rows() -> list[list[str]]:
    """Give the rows of the trust table."""
    text = TABLE.read_text(encoding="utf-8").partition("## Trust table")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("part", PARTS)
def test_r_x14_each_part_has_a_row_and_the_tests_that_show_it(part: str) -> None:
    found = [row for row in rows() if part.lower() in row[0].lower()]
    assert found, f"no row of the trust table is about {part}"
    for row in found:
        shown = re.findall(r"\b(A|B|C|R|unit) ((?:`test_[a-z0-9_*]+`(?:, )?)+)", row[-1])
        assert shown or "stated, not prevented" in row[-1], row
        for folder, names in shown:
            texts = "".join(
                f"{path.stem}\n{path.read_text(encoding='utf-8')}"
                for path in Path("/src/tests", FOLDERS[folder]).glob("test_*.py")
            )
            for name in re.findall(r"`(test_[a-z0-9_]+)\*?`", names):
                assert name in texts, f"{name} of the row of {row[0]} is not there"


@pytest.mark.parametrize("account", ["ipatpi-web", "www-data", "ipatpi-validator", "alice"])
def test_r_x14_no_part_alone_restarts_the_directory_server(world: World, account: str) -> None:
    before = world.starts()
    for command in (
        ["/usr/bin/systemctl", "--no-ask-password", "restart", "dirsrv@DS01.service"],
        ["/usr/bin/busctl", "--no-pager", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
         "org.freedesktop.systemd1.Manager", "RestartUnit", "ss", "dirsrv@DS01.service", "replace"],
    ):  # fmt: skip
        assert world.run(account, command).status != 0
    assert world.starts() == before
    assert subprocess.run(["/usr/bin/id", account], capture_output=True, check=False).returncode == 0
