"""Entries for a new instance and for converge."""

from ipa_tpi_acls.containers import (
    INDEXED,
    Entry,
    container_entries,
    index_entries,
    plugin_entry,
    right_entries,
)

SUFFIX = "dc=example,dc=test"


def test_parents_come_before_children() -> None:
    seen = {SUFFIX}
    for entry in container_entries(SUFFIX):
        assert entry.dn.partition(",")[2] in seen
        seen.add(entry.dn)


def test_members_exist_when_they_are_linked() -> None:
    seen = set()
    for entry in right_entries(SUFFIX):
        assert set(entry.attributes.get("member", ())) <= seen
        seen.add(entry.dn)


def test_permission_privilege_role() -> None:
    entries = {entry.dn: entry for entry in right_entries(SUFFIX)}
    permission = entries[f"cn=TPI Approve,cn=permissions,cn=pbac,{SUFFIX}"]
    (privilege,) = permission.attributes["member"]
    assert privilege == f"cn=TPI Approver,cn=privileges,cn=pbac,{SUFFIX}"
    assert entries[privilege].attributes["member"] == (f"cn=TPI Approver,cn=roles,cn=accounts,{SUFFIX}",)


def test_groups_are_made_empty() -> None:
    for name in ("executors", "policy-executors"):
        (group,) = (one for one in container_entries(SUFFIX) if one.dn == f"cn={name},cn=tpi,{SUFFIX}")
        assert group.attributes["objectClass"] == ("top", "groupOfNames")
        assert "member" not in group.attributes


def test_the_plugin_counts_voices_by_creator_below_a_request() -> None:
    plugin = plugin_entry().attributes
    assert plugin["uniqueness-attribute-name"] == ("creatorsName",)
    assert plugin["uniqueness-top-entry-oc"] == ("ipaTpiRequest",)
    assert plugin["uniqueness-subtree-entries-oc"] == ("ipaTpiVoice",)
    assert plugin["nsslapd-pluginType"] == ("betxnpreoperation",)
    # Together with uniqueness-top-entry-oc this keeps 389-ds from starting.
    assert "uniqueness-across-all-subtrees" not in plugin


def test_indexes_lie_in_the_named_database() -> None:
    entries = index_entries("db1")
    assert [entry.attributes["cn"][0] for entry in entries] == list(INDEXED)
    assert entries[0].dn == "cn=createTimestamp,cn=index,cn=db1,cn=ldbm database,cn=plugins,cn=config"
    assert all(entry.attributes["nsIndexType"] == ("eq",) for entry in entries)


def test_an_entry_as_ldif() -> None:
    assert Entry("cn=a", {"cn": ("a",), "x": ("1", "2")}).ldif() == "dn: cn=a\ncn: a\nx: 1\nx: 2\n"


def test_every_value_is_safe_in_ldif() -> None:
    entries = [*container_entries(SUFFIX), *right_entries(SUFFIX), plugin_entry(), *index_entries("db1")]
    for value in (value for entry in entries for values in entry.attributes.values() for value in values):
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip()
        assert value[0] not in ":<"
