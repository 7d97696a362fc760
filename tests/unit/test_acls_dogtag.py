"""Dogtag's ACLs for people who come by Kerberos, judged by a reading of them that was written apart (D07, D16, D17)."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from itertools import combinations
from pathlib import Path

import pytest

from ipa_tpi.errors import BadInputError, ConfigError
from ipa_tpi_acls.connection import Directory, Entry
from ipa_tpi_acls.dogtag.command import command
from ipa_tpi_acls.dogtag.declaration import CA_GRANTS, CHANNEL_GROUP, KRA_GRANTS, OPERATIONS, Grant
from ipa_tpi_acls.dogtag.entry import Difference
from ipa_tpi_acls.dogtag.entry import compare as compare_entries
from ipa_tpi_acls.dogtag.generate import acl_values, permission_dn
from ipa_tpi_acls.dogtag.resources import compare, read_properties
from ipa_tpi_acls.dogtag.subsystems import SUBSYSTEMS, demand_searched

SUFFIX = "dc=tpi,dc=test"
ALICE = "alice@TPI.TEST"
NOTHING: frozenset[str] = frozenset()


def dogtag_allows(
    acls: tuple[str, ...], resource: str, right: str, groups: set[str], user: str = ALICE
) -> bool:
    """Judge as Dogtag 10.10 does: denies of the node and its parents, then allows; no parentheses, left to right."""
    parsed = [_parse(acl) for acl in acls]
    nodes = [resource.rsplit(".", depth)[0] for depth in range(resource.count(".") + 1)]
    for kind in ("deny", "allow"):
        for name, rights, entries in parsed:
            if name not in nodes:
                continue
            for how, some, expression in entries:
                if how == kind and right in some and right in rights and _true(expression, groups, user):
                    return kind == "allow"
    return False


def _parse(acl: str) -> tuple[str, list[str], list[tuple[str, list[str], str]]]:
    resource, rest = acl.split(":", 1)
    rights, rest = rest.split(":", 1)
    entries, words = rest.rsplit(":", 1)
    assert words.startswith("ipa-tpi - ")
    found = []
    for entry in entries.split(";"):
        parts = re.fullmatch(r"(allow|deny) \(([^ )]*)\) (.*)", entry)
        assert parts is not None, entry
        found.append((parts[1], parts[2].split(","), parts[3]))
    return resource, rights.split(","), found


def _true(expression: str, groups: set[str], user: str) -> bool:
    value, operator = False, "||"
    for part in re.split(r" (\|\||&&) ", expression):
        if part in {"||", "&&"}:
            operator = part
            continue
        name, _, text = part.partition("=")
        text = text.strip('"')
        one = text in groups if name == "group" else text.lower() in {"anybody", "everybody", user.lower()}
        value = (value or one) if operator == "||" else (value and one)
    return value


def acls(*controlled: str) -> tuple[str, ...]:
    return acl_values(CA_GRANTS, SUFFIX, frozenset(controlled))


def holders(grant: Grant) -> list[set[str]]:
    return [{permission_dn(name, SUFFIX)} for name in grant.permissions]


EVERY_PERMISSION = {permission_dn(name, SUFFIX) for grant in CA_GRANTS for name in grant.permissions}
GIVEN = [grant for grant in CA_GRANTS if grant.permissions]
IDS = [f"{grant.resource} {grant.right}" for grant in CA_GRANTS]


@pytest.mark.parametrize("grant", CA_GRANTS, ids=IDS)
def test_r_d17_where_nothing_is_under_control_the_permission_alone_is_enough(grant: Grant) -> None:
    for groups in holders(grant):
        assert dogtag_allows(acls(), grant.resource, grant.right, groups)
    others = EVERY_PERMISSION - {permission_dn(name, SUFFIX) for name in grant.permissions}
    assert dogtag_allows(acls(), grant.resource, grant.right, others) is grant.everybody
    assert dogtag_allows(acls(), grant.resource, grant.right, set()) is grant.everybody


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_r_d16_what_is_under_control_takes_the_channel_as_well(operation: str) -> None:
    values = acls(operation)
    for grant in GIVEN:
        controlled = operation in grant.operations
        for groups in holders(grant):
            assert dogtag_allows(values, grant.resource, grant.right, groups) is not controlled
            assert dogtag_allows(values, grant.resource, grant.right, groups | {CHANNEL_GROUP})
        # With every permission there is, alone.
        assert dogtag_allows(values, grant.resource, grant.right, EVERY_PERMISSION) is not controlled


def test_r_d16_who_changes_profiles_alone_would_issue_alone() -> None:
    """With certificates under control, the profiles are too: their constraint is all that asks for a second person."""
    values = acls("dogtag.cert.request")
    for resource, right in (
        ("certServer.profile.configuration", "modify"),
        ("certServer.ca.profile", "approve"),
    ):
        assert not dogtag_allows(values, resource, right, EVERY_PERMISSION)
        assert dogtag_allows(values, resource, right, EVERY_PERMISSION | {CHANNEL_GROUP})


@pytest.mark.parametrize("grant", CA_GRANTS, ids=IDS)
def test_the_channel_alone_gives_nothing(grant: Grant) -> None:
    for values in (acls(), acls(*OPERATIONS)):
        assert dogtag_allows(values, grant.resource, grant.right, {CHANNEL_GROUP}) is grant.everybody
    if not grant.permissions and not grant.everybody:
        assert not dogtag_allows(acls(), grant.resource, grant.right, EVERY_PERMISSION | {CHANNEL_GROUP})


def test_the_channel_is_demanded_of_each_holder_of_a_shared_resource() -> None:
    """One alternative must not lend its channel to another, whichever way `&&` and `||` bind."""
    values = acls(*OPERATIONS)
    for first, second in combinations(sorted(EVERY_PERMISSION), 2):
        assert not dogtag_allows(values, "certServer.profile.configuration", "modify", {first, second})
    assert all(
        "||" not in value and "(" not in re.sub(r"(allow|deny) \([a-z,]+\)", "", value) for value in values
    )


def test_names_are_compared_letter_by_letter() -> None:
    lower = {permission_dn("Revoke Certificate", SUFFIX).lower()}
    assert not dogtag_allows(acls(), "certServer.ca.certs", "execute", lower)


def test_a_resource_that_nobody_has_is_denied_even_below_one_that_is_allowed() -> None:
    above = 'certServer.ca:execute:allow (execute) user="anybody":ipa-tpi - of another hand'
    assert not dogtag_allows((*acls(), above), "certServer.ca.users", "execute", EVERY_PERMISSION)


@pytest.mark.parametrize(
    "suffix", ['dc=a && group="x"', "dc=a;dc=b", 'dc="a', "dc=a||b", "dc=a!=b", "dc=a\n"]
)
def test_what_dogtag_would_misread_is_refused(suffix: str) -> None:
    with pytest.raises(ConfigError, match="Dogtag cannot take"):
        acl_values(CA_GRANTS, suffix, NOTHING)


PROPERTIES = "".join(
    f"{call} = {grant.resource},{grant.right}\n" for grant in CA_GRANTS for call in grant.calls
)


def properties(folder: Path, text: str) -> Path:
    path = folder / "acl.properties"
    path.write_text(text, encoding="ascii")
    return path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PROPERTIES, None),
        (f"# words\n\n! words\n  {PROPERTIES}", None),
        (PROPERTIES + "keys = certServer.ca.keys,execute\n", "Dogtag knows the call keys"),
        (PROPERTIES.replace("users = certServer.ca.users,execute\n", ""), "does not know"),
        (PROPERTIES.replace("certServer.ca.users,execute", "certServer.ca.certs,execute"), "users asks for"),
    ],
)
def test_r_d07_no_resource_is_forgotten(tmp_path: Path, text: str, found: str | None) -> None:
    differences = list(compare(CA_GRANTS, read_properties(properties(tmp_path, text))))
    assert len(differences) == (found is not None)
    assert found is None or found in differences[0]


def test_a_call_that_is_declared_twice_is_seen(tmp_path: Path) -> None:
    resources = read_properties(properties(tmp_path, PROPERTIES))
    assert any("twice" in words for words in compare((*CA_GRANTS, CA_GRANTS[0]), resources))


@pytest.mark.parametrize(
    "line", ["users", "users = certServer.ca.users", "users = a,b,c", "certs = a,b", "a = \\"]
)
def test_a_line_that_is_not_understood_is_no_resource_less(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match="is not understood"):
        read_properties(properties(tmp_path, f"{PROPERTIES}{line}\n"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_properties(tmp_path / "none")


def test_show_prints_them(tmp_path: Path) -> None:
    path = properties(tmp_path, PROPERTIES)
    words = ["acls", "show", "--suffix", SUFFIX, "--acl-properties", str(path), "--controlled"]
    with redirect_stdout(io.StringIO()) as written:
        assert command([*words, "none"]) == 0
    assert tuple(written.getvalue().splitlines()) == acls()
    with redirect_stdout(io.StringIO()) as written:
        assert command([*words, "dogtag.ca.create,dogtag.cert.revoke", "--json"]) == 0
    assert json.loads(written.getvalue()) == {
        "controlled": ["dogtag.ca.create", "dogtag.cert.revoke"],
        "acls": list(acls("dogtag.ca.create", "dogtag.cert.revoke")),
    }
    with pytest.raises(BadInputError, match=r"there is no operation 'dirsrv\.restart' of Dogtag"):
        command([*words, "dirsrv.restart"])
    with pytest.raises(BadInputError, match="See 'ipa-tpi dogtag acls --help'"):
        command(["acls", "destroy"])


@pytest.mark.parametrize("name", ["dogtag.cert.revoke ", "dogtag.certs.revoke", "Dogtag.profile.modified"])
def test_r_d16_what_only_looks_like_an_operation_does_not_leave_its_resource_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    floor, properties = tmp_path / "floor.toml", tmp_path / "acl.properties"
    properties.write_text(PROPERTIES)
    monkeypatch.setattr("ipa_tpi_acls.dogtag.command._FLOOR", str(floor))
    words = ["acls", "show", "--suffix", SUFFIX, "--acl-properties", str(properties)]
    floor.write_text('version = 1\n[operations."dirsrv.restart"]\n[operations."dogtag.cert.revoke"]\n')
    with redirect_stdout(io.StringIO()) as told:
        assert command([*words, "--json"]) == 0
    assert json.loads(told.getvalue())["controlled"] == ["dogtag.cert.revoke"]
    floor.write_text(f'version = 1\n[operations."{name}"]\n')
    with pytest.raises(ConfigError, match="no operation of Dogtag"):
        command(words)


def test_an_unknown_dogtag_stops_everything(tmp_path: Path) -> None:
    path = properties(tmp_path, PROPERTIES + "keys = certServer.ca.keys,execute\n")
    with pytest.raises(ConfigError, match="Nothing is written"):
        command(["acls", "apply", "--suffix", SUFFIX, "--acl-properties", str(path), "--controlled", "none"])


def test_a_difference_is_shown_as_one() -> None:
    assert Difference("cn=x", ("a", "b"), ("a", "b")).text() == ""
    assert Difference("cn=x", None, ("a",)).text().splitlines()[2:] == ["@@ -0,0 +1 @@", "+a"]
    assert {"-a", "+c"} <= set(Difference("cn=x", ("a", "b"), ("b", "c")).text().splitlines())


def test_r_d13_nobody_of_the_realm_does_anything_on_the_kra_but_log_in() -> None:
    values = acl_values(KRA_GRANTS, SUFFIX, NOTHING)
    assert values == acl_values(KRA_GRANTS, SUFFIX, OPERATIONS)
    for grant in KRA_GRANTS:
        groups = EVERY_PERMISSION | {CHANNEL_GROUP}
        assert dogtag_allows(values, grant.resource, grant.right, groups) is grant.everybody
    everybody = {(grant.resource, grant.right) for grant in KRA_GRANTS if grant.everybody}
    assert everybody == {
        ("certServer.kra.account", "login"),
        ("certServer.kra.account", "logout"),
        ("certServer.securitydomain.domainxml", "read"),
    }


def test_the_kra_has_resources_of_its_own(tmp_path: Path) -> None:
    text = "".join(
        f"{call} = {grant.resource},{grant.right}\n" for grant in KRA_GRANTS for call in grant.calls
    )
    path = properties(tmp_path, text)
    words = ["acls", "show", "--suffix", SUFFIX, "--acl-properties", str(path), "--controlled", "all"]
    with redirect_stdout(io.StringIO()) as written:
        assert command([*words, "--subsystem", "kra"]) == 0
    assert tuple(written.getvalue().splitlines()) == acl_values(KRA_GRANTS, SUFFIX, NOTHING)
    with pytest.raises(ConfigError, match="Nothing is written"):
        command(words)


REALM = "authz.instance.TPI.realm=TPI.TEST\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("authz.instance.DirAclAuthz.pluginName=DirAclAuthz\nwords\n", None),
        (f"{REALM}authz.instance.TPI.searchBase=cn=tpi-acls\n", None),
        (f"{REALM}authz.instance.TPI.searchBase=CN=tpi-acls \n", None),
        (REALM, "cn=aclResources, which is for Dogtag's own users"),
        (f"{REALM}authz.instance.TPI.searchBase=\n", "cn=aclResources, which"),
        (f"{REALM}authz.instance.TPI.searchBase=cn=aclResources\n", "by cn=aclResources"),
        (
            f"{REALM}authz.instance.TPI.searchBase=cn=tpi-acls\nauthz.instance.X.realm=A\n",
            r"set authz\.instance\.X\.searchBase",
        ),
    ],
)
def test_r_d07_what_dogtag_would_not_read_is_not_written(
    tmp_path: Path, text: str, found: str | None
) -> None:
    path = tmp_path / "CS.cfg"
    demand_searched(path)
    path.write_text(text, encoding="utf-8")
    if found is None:
        demand_searched(path)
    else:
        with pytest.raises(ConfigError, match=found):
            demand_searched(path)


def test_a_configuration_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "CS.cfg"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="run this as root"):
        demand_searched(path)
    with pytest.raises(ConfigError, match="run this as root"):
        demand_searched(tmp_path)


def test_each_subsystem_is_where_dogtag_has_it() -> None:
    for name, subsystem in SUBSYSTEMS.items():
        assert str(subsystem.properties()).endswith(f"/{name}/conf/acl.properties")
        assert str(subsystem.configuration) == f"/etc/pki/pki-tomcat/{name}/CS.cfg"


class _Holds(Directory):
    def __init__(self, **entries: tuple[str, ...]) -> None:
        self._entries = entries

    def values(self, dn: str, *attributes: str) -> dict[str, tuple[str, ...]] | None:
        del attributes
        found = self._entries.get(dn)
        return None if found is None else {"objectclass": found}

    def search(self, base: str, scope: int, filterstr: str, *attributes: str) -> list[Entry]:
        del base, scope, filterstr, attributes
        return []


def test_r_d07_the_main_entry_is_no_base() -> None:
    directory = _Holds(base=("top", "organization"), main=("top", "CertACLs"))
    assert compare_entries(directory, "base", ["a"]).present is None
    with pytest.raises(ConfigError, match="main holds ACLs itself"):
        compare_entries(directory, "main", ["a"])
    with pytest.raises(ConfigError, match="holds no other"):
        compare_entries(directory, "other", ["a"])
