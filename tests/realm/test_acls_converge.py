"""converge against a real 389-ds: whatever it finds, it ends at the same place, and stays there."""

import json
import subprocess
import sys
from collections.abc import Iterator

import ldap
import pytest
from acls_server import Server, new_server, start
from readable import readable

from ipa_tpi.errors import ConfigError, TpiError
from ipa_tpi_acls import memberof
from ipa_tpi_acls.aci import acis
from ipa_tpi_acls.containers import PLUGIN_NAME, plugin_entry
from ipa_tpi_acls.converge import Report, converge, run
from ipa_tpi_acls.schema import ATTRIBUTES, CLASSES

pytestmark = pytest.mark.realm

TOP = "cn=tpi,dc=tpi,dc=test"
REQUESTS = f"cn=requests,{TOP}"
OPEN = '(targetattr = "*")(version 3.0; acl "a door"; allow (all) userdn = "ldap:///anyone";)'
INDEX = "cn=ipaTpiTarget,cn=index,cn=userRoot,cn=ldbm database,cn=plugins,cn=config"


@pytest.fixture
def server() -> Iterator[Server]:
    with new_server() as made:
        yield made


def request(number: str) -> tuple[str, list[tuple[str, list[bytes]]]]:
    """Return a request as it would be added; Directory Manager is above the ACIs."""
    attributes = {
        "objectClass": "ipaTpiRequest",
        "ipaTpiRequestId": number,
        "ipaTpiOperationName": "dirsrv.restart",
        "ipaTpiOperationDigest": "0" * 64,
        "ipaTpiTarget": "localhost",
        "ipaTpiExecutor": "krbprincipalname=tpi/localhost@TPI.TEST,cn=services,cn=accounts,dc=tpi,dc=test",
        "ipaTpiParameters": "{}",
        "ipaTpiInterface": "cli",
        "ipaTpiDigest": "1" * 64,
    }
    return f"ipaTpiRequestId={number},{REQUESTS}", [(k, [v.encode()]) for k, v in attributes.items()]


def approval(number: str, above: str) -> tuple[str, list[tuple[str, list[bytes]]]]:
    attributes = {"objectClass": "ipaTpiApproval", "ipaTpiEntryId": number, "ipaTpiDigest": "2" * 64}
    return f"ipaTpiEntryId={number},{above}", [(k, [v.encode()]) for k, v in attributes.items()]


def test_a_second_run_changes_nothing(server: Server) -> None:
    first = server.converge()
    assert {change.part for change in first.changes} == {"schema", "entries", "indexes", "plugin"}
    assert server.converge().changes == ()
    server.restart()
    assert server.converge() == Report(changes=(), restart_needed=False, dry_run=False)


def test_a_dry_run_says_all_and_changes_nothing(server: Server) -> None:
    planned = server.converge(dry_run=True)
    assert planned.dry_run
    assert server.converge(dry_run=True).changes == planned.changes
    with pytest.raises(ldap.NO_SUCH_OBJECT):
        server.values(TOP, "cn")
    assert server.converge().changes == planned.changes


def test_what_is_there_afterwards(server: Server) -> None:
    server.converge()
    for dn, expected in acis("dc=tpi,dc=test").items():
        assert set(server.values(dn, "aci")) == set(expected)
    schema = server.connection.search_s(
        "cn=schema", ldap.SCOPE_BASE, attrlist=["attributeTypes", "objectClasses"]
    )
    defined = b"\n".join(value for values in schema[0][1].values() for value in values).decode()
    for one in (*ATTRIBUTES, *CLASSES):
        assert f"( {one.oid} NAME '{one.name}'" in defined


def test_one_voice_a_person_needs_the_restart_that_is_announced(server: Server) -> None:
    assert server.converge().restart_needed
    assert server.converge().restart_needed
    dn, attributes = request("a1")
    server.connection.add_s(dn, attributes)
    server.connection.add_s(*approval("b1", dn))
    server.restart()
    assert not server.converge().restart_needed
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        server.connection.add_s(*approval("b2", dn))


def test_with_dynamic_plugins_it_counts_at_once(server: Server) -> None:
    server.put("cn=config", "nsslapd-dynamic-plugins", "on", how=ldap.MOD_REPLACE)
    assert not server.converge().restart_needed
    dn, attributes = request("a1")
    server.connection.add_s(dn, attributes)
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        server.connection.add_s(*approval("b1", dn))


def test_a_foreign_aci_is_named_and_removed_wherever_it_is(server: Server) -> None:
    server.converge()
    deep, attributes = request("a1")
    server.connection.add_s(deep, attributes)
    places = [TOP, REQUESTS, f"cn=policy-executors,{TOP}", deep]
    for dn in places:
        server.put(dn, "aci", OPEN)
    report = server.converge()
    assert sorted(change.dn.lower() for change in report.changes) == sorted(dn.lower() for dn in places)
    assert all('remove the ACI "a door"' in change.what for change in report.changes)
    for dn in places:
        assert OPEN not in server.values(dn, "aci")
    assert server.converge().changes == ()


def test_a_foreign_aci_in_a_hidden_entry_is_found(server: Server) -> None:
    server.converge()
    hidden = f"cn=hidden,cn=tpirules,{TOP}"
    classes = [b"top", b"nsContainer", b"ldapSubEntry"]
    server.connection.add_s(hidden, [("objectClass", classes), ("cn", [b"hidden"]), ("aci", [OPEN.encode()])])
    assert [change.dn for change in server.converge().changes] == [hidden]


def test_a_missing_aci_comes_back(server: Server) -> None:
    server.converge()
    gone = next(aci for aci in server.values(TOP, "aci") if "nobody moves" in aci)
    server.connection.modify_s(TOP, [(ldap.MOD_DELETE, "aci", [gone.encode()])])
    (change,) = server.converge().changes
    assert change.what == 'add the ACI "tpi: nobody moves in or out, nobody acts for another"'
    assert gone in server.values(TOP, "aci")


def test_members_stay_and_links_come_back(server: Server) -> None:
    server.converge()
    somebody = "uid=somebody,cn=users,cn=accounts,dc=tpi,dc=test"
    group = f"cn=executors,{TOP}"
    permission = "cn=TPI Approve,cn=permissions,cn=pbac,dc=tpi,dc=test"
    privilege = "cn=TPI Approver,cn=privileges,cn=pbac,dc=tpi,dc=test"
    server.put(group, "member", somebody)
    server.put(permission, "member", somebody, how=ldap.MOD_REPLACE)
    (change,) = server.converge().changes
    assert change.dn == permission
    assert server.values(group, "member") == [somebody]
    assert set(server.values(permission, "member")) == {somebody, privilege}


def test_a_new_index_holds_what_was_there_before(server: Server) -> None:
    server.converge()
    dn, attributes = request("a1")
    server.connection.add_s(dn, attributes)
    server.connection.delete_s(INDEX)
    report = server.converge()
    assert [change.part for change in report.changes] == ["indexes", "indexes"]
    (found,) = server.connection.search_s(REQUESTS, ldap.SCOPE_SUBTREE, "(ipaTpiTarget=localhost)")
    assert found[0] == dn
    log = (server.layout.directory.logs / "access").read_text(encoding="utf-8")
    last = log[log.rindex("(ipaTpiTarget=localhost)") :]
    assert "notes=" not in last


def test_an_index_for_something_else_is_widened(server: Server) -> None:
    server.converge()
    server.put(INDEX, "nsIndexType", "pres", how=ldap.MOD_REPLACE)
    server.converge()
    assert set(server.values(INDEX, "nsIndexType")) == {"pres", "eq"}


def test_a_bent_plugin_is_set_right(server: Server) -> None:
    server.converge()
    dn = plugin_entry().dn
    server.put(dn, "nsslapd-pluginEnabled", "off", how=ldap.MOD_REPLACE)
    server.put(dn, "uniqueness-exclude-subtrees", "dc=tpi,dc=test")
    report = server.converge()
    assert [change.dn for change in report.changes] == [dn]
    assert report.restart_needed
    assert server.values(dn, "nsslapd-pluginEnabled") == ["on"]
    assert server.values(dn, "uniqueness-exclude-subtrees") == []


def test_the_memberof_plugin_is_kept_out_of_more(server: Server) -> None:
    theirs = "cn=compat,dc=tpi,dc=test"
    server.put(memberof.PLUGIN, memberof.EXCLUDED, theirs)
    server.converge()
    excluded = server.values(memberof.PLUGIN, memberof.EXCLUDED)
    assert {theirs, REQUESTS, f"cn=tpirules,{TOP}"} <= set(excluded)
    server.connection.modify_s(memberof.PLUGIN, [(ldap.MOD_DELETE, memberof.EXCLUDED, [REQUESTS.encode()])])
    (change,) = server.converge().changes
    assert change.what == f"keep out of {REQUESTS}"


def test_a_directory_without_the_memberof_plugin(server: Server) -> None:
    server.stop()
    dse = server.layout.directory.config / "dse.ldif"
    records = dse.read_text(encoding="utf-8").split("\n\n")
    kept = [one for one in records if not one.lower().startswith("dn: cn=memberof plugin,")]
    dse.write_text("\n\n".join(kept), encoding="utf-8")
    server.process, server.connection = start(server.layout)
    server.converge()
    assert server.converge().changes == ()


def test_a_bent_definition_is_set_right(server: Server) -> None:
    server.converge()
    denial = next(one for one in CLASSES if one.name == "ipaTpiDenial")
    bent = denial.definition().replace("SUP ipaTpiVoice", "SUP top")
    server.put("cn=schema", "objectClasses", bent)
    (change,) = server.converge().changes
    assert change.what == "define objectClasses ipaTpiDenial"
    assert server.converge().changes == ()


def test_a_name_of_ours_under_a_foreign_number(server: Server) -> None:
    server.put(
        "cn=schema", "attributeTypes", "( 1.2.3.4 NAME 'ipaTpiDigest' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )"
    )
    with pytest.raises(ConfigError, match=r"ipaTpiDigest with the foreign OID 1\.2\.3\.4"):
        server.converge()


def test_a_suffix_that_is_not_there(server: Server) -> None:
    with pytest.raises(ConfigError, match="--suffix"):
        converge(server.layout.ldapi_uri, "dc=elsewhere")


def test_a_domain_that_is_not_freeipa(server: Server) -> None:
    server.connection.delete_s("cn=permissions,cn=pbac,dc=tpi,dc=test")
    with pytest.raises(TpiError, match="adding cn=TPI Request,cn=permissions"):
        server.converge()


def test_who_is_not_root_is_told(server: Server) -> None:
    server.converge()
    code = (
        "import sys; from ipa_tpi_acls.converge import run;"
        " sys.exit(run(['--ldap-uri', sys.argv[1], '--suffix', 'dc=tpi,dc=test']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, server.layout.ldapi_uri],
        user="nobody",
        env={"PYTHONPATH": f"{readable()}:{readable() / 'acls'}"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "run this as root" in done.stderr


def test_the_command(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--ldap-uri", server.layout.ldapi_uri, "--suffix", "dc=tpi,dc=test"]
    assert run([*place, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(
        "would: schema: cn=schema: define attributeTypes ipaTpiRequestId"
    )
    assert run([*place, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["restart_needed"] is True
    assert report["changes"][-1]["dn"] == f"cn={PLUGIN_NAME},cn=plugins,cn=config"
    assert run(place) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nothing to change",
        "restart the directory server: it has not loaded the plugin that counts voices yet",
    ]
