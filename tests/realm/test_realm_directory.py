"""The laboratory's directory behaves like FreeIPA's: its people, its layout, and the effect of its access rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import ldap
import pytest

from lab.people import PEOPLE, host_dn, service_dn
from lab.session import Session

ACCOUNTS = "cn=accounts,dc=tpi,dc=test"
USERS = f"cn=users,{ACCOUNTS}"
GROUPS = f"cn=groups,{ACCOUNTS}"
READABLE = [
    "uid",
    "cn",
    "displayName",
    "memberOf",
    "krbPrincipalName",
    "krbCanonicalName",
    "krbPrincipalExpiration",
    "nsAccountLock",
    "ipaUniqueID",
    "employeeNumber",
    "objectClass",
    "createTimestamp",
]
SECRET = ["userPassword", "krbPrincipalKey", "krbExtraData", "krbPwdHistory", "krbAllowedToDelegateTo"]

Connections = Callable[[str], Any]


@pytest.fixture(scope="module")
def as_(realm: Session) -> Iterator[Connections]:
    """Give connections bound as people, one each."""
    opened: dict[str, Any] = {}

    def connection(name: str) -> Any:
        if name not in opened:
            keytab = name in realm.keytabs
            opened[name] = realm.ldap_as(realm.kinit_keytab(name) if keytab else realm.kinit(name))
        return opened[name]

    yield connection
    for bound in opened.values():
        bound.unbind_s()


@pytest.fixture(scope="module")
def root(realm: Session) -> Iterator[Any]:
    connection = realm.ldap_root()
    yield connection
    connection.unbind_s()


def user(name: str) -> str:
    return f"uid={name},{USERS}"


def values(connection: Any, dn: str, attribute: str) -> list[str]:
    """Return an attribute's values; none where the entry or the attribute may not be seen."""
    try:
        found = connection.search_ext_s(dn, ldap.SCOPE_BASE, attrlist=[attribute])
    except ldap.NO_SUCH_OBJECT:
        return []
    return [value.decode() for _, entry in found for shown in entry.values() for value in shown]


def change(dn: str, attribute: str, value: str) -> tuple[str, list[tuple[int, str, list[bytes]]]]:
    return dn, [(ldap.MOD_REPLACE, attribute, [value.encode()])]


@pytest.mark.parametrize("name", [person.uid for person in PEOPLE])
def test_a_person_binds_as_his_own_entry(as_: Connections, realm: Session, name: str) -> None:
    # 389-ds folds the case of DNs that it makes from an entry.
    assert as_(name).whoami_s().lower() == f"dn: {realm.people[name]['dn']}".lower()


@pytest.mark.parametrize("keytab", ["tpi", "http", "host", "tpi_other"])
def test_a_service_binds_as_its_own_entry(as_: Connections, realm: Session, keytab: str) -> None:
    layout = realm.layout
    expected = {
        "tpi": service_dn(layout, "tpi"),
        "http": service_dn(layout, "HTTP"),
        "host": host_dn(layout),
        "tpi_other": service_dn(layout, "tpi", "other.tpi.test"),
    }
    assert as_(keytab).whoami_s().lower() == f"dn: {expected[keytab]}".lower()


def test_an_alias_binds_as_the_same_entry(realm: Session) -> None:
    for alias in ("alice.smith@TPI.TEST", "ALICE@TPI.TEST"):
        connection = realm.ldap_as(realm.kinit("alice", principal=alias))
        assert connection.whoami_s() == f"dn: {user('alice')}"
        connection.unbind_s()


def test_groups_and_roles_are_nested(root: Any) -> None:
    found = {dn.partition(",")[0] for dn in values(root, user("alice"), "memberOf")}
    assert {
        "cn=ipausers",
        "cn=tpi-operators-day",
        "cn=tpi-operators",
        "cn=TPI Requester",
        "cn=TPI Approver",
        "cn=TPI Request",
        "cn=TPI Approve",
    } <= found


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("alice", {"TPI Requester", "TPI Approver"}),
        ("bob", {"TPI Requester", "TPI Approver"}),
        ("carol", {"TPI Requester", "TPI Approver"}),
        ("erin", {"TPI Requester", "TPI Approver"}),
        ("erin-admin", {"TPI Requester", "TPI Approver"}),
        ("grace", {"TPI Requester"}),
        ("frank", {"TPI Auditor"}),
        ("dave", set()),
        ("adam", set()),
        ("Heidi", set()),
    ],
)
def test_who_has_which_role(root: Any, name: str, roles: set[str]) -> None:
    container = f",cn=roles,{ACCOUNTS}"
    found = {
        dn.removesuffix(container) for dn in values(root, user(name), "memberOf") if dn.endswith(container)
    }
    assert found == {f"cn={role}" for role in roles}


def test_admins_are_adam_and_the_second_account_of_erin(root: Any) -> None:
    assert set(values(root, f"cn=admins,{GROUPS}", "member")) == {user("adam"), user("erin-admin")}


def test_everybody_has_a_number_of_his_own_but_erin_who_has_one_for_two_accounts(root: Any) -> None:
    numbers = {person.uid: values(root, user(person.uid), "employeeNumber") for person in PEOPLE}
    assert numbers["erin"] == numbers["erin-admin"]
    del numbers["erin-admin"]
    assert len({tuple(number) for number in numbers.values()}) == len(numbers)
    assert all(len(number) == 1 for number in numbers.values())


def test_every_person_has_one_unique_id_and_one_canonical_name(root: Any, realm: Session) -> None:
    ids = [value for person in PEOPLE for value in values(root, user(person.uid), "ipaUniqueID")]
    assert len(set(ids)) == len(ids) == len(PEOPLE)
    for person in PEOPLE:
        assert values(root, user(person.uid), "krbCanonicalName") == [realm.people[person.uid]["principal"]]


def test_alice_has_three_names_and_one_canonical_one(root: Any) -> None:
    names = set(values(root, user("alice"), "krbPrincipalName"))
    assert names == {"alice@TPI.TEST", "alice.smith@TPI.TEST", "ALICE@TPI.TEST"}
    assert values(root, user("alice"), "krbCanonicalName") == ["alice@TPI.TEST"]


def test_the_executors_are_the_two_tpi_services(root: Any, realm: Session) -> None:
    expected = {service_dn(realm.layout, "tpi"), service_dn(realm.layout, "tpi", "other.tpi.test")}
    assert set(values(root, "cn=executors,cn=tpi,dc=tpi,dc=test", "member")) == expected
    assert values(root, "cn=policy-executors,cn=tpi,dc=tpi,dc=test", "member") == []


def test_http_may_delegate_to_the_directory_and_nothing_else(root: Any, realm: Session) -> None:
    ((dn, found),) = root.search_ext_s(
        "dc=tpi,dc=test", ldap.SCOPE_SUBTREE, "(krbAllowedToDelegateTo=*)", ["krbAllowedToDelegateTo"]
    )
    assert dn.lower() == service_dn(realm.layout, "HTTP").lower()
    assert found == {"krbAllowedToDelegateTo": [b"ldap/localhost@TPI.TEST"]}


@pytest.mark.parametrize("attribute", READABLE)
@pytest.mark.parametrize("reader", ["dave", "tpi", "http"])
def test_who_is_authenticated_reads_people(as_: Connections, root: Any, reader: str, attribute: str) -> None:
    assert values(as_(reader), user("alice"), attribute) == values(root, user("alice"), attribute)


def test_who_is_authenticated_reads_groups_hosts_and_services(
    as_: Connections, root: Any, realm: Session
) -> None:
    dave = as_("dave")
    assert values(dave, f"cn=tpi-operators-day,{GROUPS}", "member")
    assert values(dave, host_dn(realm.layout), "fqdn") == ["localhost"]
    for attribute in ("krbPrincipalName", "krbCanonicalName", "ipaUniqueID", "memberOf"):
        dn = service_dn(realm.layout, "tpi")
        assert values(dave, dn, attribute) == values(root, dn, attribute) != []


@pytest.mark.parametrize("reader", ["dave", "alice", "adam", "erin-admin", "tpi", "http", "host"])
def test_nobody_reads_keys(as_: Connections, realm: Session, reader: str) -> None:
    for dn in (user("alice"), user("bob"), service_dn(realm.layout, "tpi"), service_dn(realm.layout, "HTTP")):
        for attribute in ("krbPrincipalKey", "userPassword", "krbExtraData"):
            assert values(as_(reader), dn, attribute) == []


@pytest.mark.parametrize("attribute", SECRET)
def test_who_is_no_admin_cannot_even_ask_whether_a_secret_is_there(as_: Connections, attribute: str) -> None:
    assert as_("dave").search_ext_s(ACCOUNTS, ldap.SCOPE_SUBTREE, f"({attribute}=*)", ["1.1"]) == []


def test_who_is_anonymous_reads_the_root_entry_only(realm: Session) -> None:
    anonymous = ldap.initialize(realm.ldap_uri)
    assert anonymous.search_ext_s("", ldap.SCOPE_BASE, attrlist=["vendorName"])
    for base in ("dc=tpi,dc=test", USERS, user("alice")):
        with pytest.raises(ldap.INAPPROPRIATE_AUTH):
            anonymous.search_ext_s(base, ldap.SCOPE_BASE)
    anonymous.unbind_s()


def test_roles_and_permissions_are_not_for_everybody(as_: Connections) -> None:
    for dn in (
        f"cn=TPI Approver,cn=roles,{ACCOUNTS}",
        "cn=TPI Approve,cn=permissions,cn=pbac,dc=tpi,dc=test",
    ):
        assert values(as_("dave"), dn, "member") == []
        assert values(as_("adam"), dn, "member") != []


@pytest.mark.parametrize("attribute", ["displayName", "title", "employeeType", "carLicense", "description"])
def test_people_write_about_themselves(as_: Connections, root: Any, attribute: str) -> None:
    before = values(root, user("dave"), attribute)
    as_("dave").modify_ext_s(*change(user("dave"), attribute, "mine"))
    assert values(root, user("dave"), attribute) == ["mine"]
    replacement = [value.encode() for value in before] or None
    root.modify_ext_s(user("dave"), [(ldap.MOD_REPLACE, attribute, replacement)])


@pytest.mark.parametrize(
    "attribute",
    [
        "employeeNumber",
        "uid",
        "memberOf",
        "krbPrincipalName",
        "krbCanonicalName",
        "ipaUniqueID",
        "nsAccountLock",
        "aci",
    ],
)
def test_people_do_not_write_who_they_are(as_: Connections, attribute: str) -> None:
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        as_("dave").modify_ext_s(*change(user("dave"), attribute, "other"))


def test_people_do_not_write_about_others(as_: Connections) -> None:
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        as_("dave").modify_ext_s(*change(user("alice"), "displayName", "theirs"))


@pytest.mark.parametrize("admin", ["adam", "erin-admin"])
@pytest.mark.parametrize("attribute", ["employeeNumber", "displayName", "nsAccountLock", "mail"])
def test_admins_write_nearly_everything(as_: Connections, root: Any, admin: str, attribute: str) -> None:
    dn = user("Heidi")
    before = values(root, dn, attribute)
    as_(admin).modify_ext_s(*change(dn, attribute, "true"))
    assert values(root, dn, attribute) == ["true"]
    root.modify_ext_s(dn, [(ldap.MOD_REPLACE, attribute, [value.encode() for value in before] or None)])


def test_admins_write_access_rules_outside_our_tree(as_: Connections) -> None:
    rule = '(targetattr = "title")(version 3.0; acl "a test"; allow (write) userdn = "ldap:///all";)'
    adam = as_("adam")
    adam.modify_ext_s(USERS, [(ldap.MOD_ADD, "aci", [rule.encode()])])
    adam.modify_ext_s(USERS, [(ldap.MOD_DELETE, "aci", [rule.encode()])])


def test_admins_may_set_a_password_and_a_principal_name(as_: Connections, root: Any) -> None:
    adam, dn = as_("adam"), user("Heidi")
    adam.modify_ext_s(dn, [(ldap.MOD_ADD, "krbPrincipalName", [b"heidi.hill@TPI.TEST"])])
    assert "heidi.hill@TPI.TEST" in values(adam, dn, "krbPrincipalName")
    adam.modify_ext_s(dn, [(ldap.MOD_DELETE, "krbPrincipalName", [b"heidi.hill@TPI.TEST"])])
    adam.modify_ext_s(*change(dn, "userPassword", "a password of adam's choosing"))
    root.modify_ext_s(dn, [(ldap.MOD_DELETE, "userPassword", None)])


@pytest.mark.parametrize(
    "attribute", ["memberOf", "ipaUniqueID", "krbExtraData", "krbPwdHistory", "enrolledBy"]
)
def test_some_attributes_are_not_for_admins_either(as_: Connections, attribute: str) -> None:
    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        as_("adam").modify_ext_s(*change(user("Heidi"), attribute, user("adam")))


def test_a_principal_name_belongs_to_one_entry(as_: Connections) -> None:
    with pytest.raises(ldap.CONSTRAINT_VIOLATION):
        as_("adam").modify_ext_s(
            user("Heidi"), [(ldap.MOD_ADD, "krbPrincipalName", [b"alice.smith@TPI.TEST"])]
        )


def test_membership_follows_a_rename(as_: Connections, root: Any) -> None:
    def members() -> set[str]:
        return {dn.lower() for dn in values(root, f"cn=ipausers,{GROUPS}", "member")}

    adam = as_("adam")
    adam.rename_s(user("Heidi"), "uid=heidi2")
    try:
        assert {user("heidi2")} == members() & {user("heidi2"), user("heidi")}
    finally:
        adam.rename_s(user("heidi2"), "uid=Heidi")
    assert {user("heidi")} == members() & {user("heidi2"), user("heidi")}


def test_a_locked_account_cannot_bind(realm: Session, root: Any) -> None:
    ccache = realm.kinit("dave")
    root.modify_ext_s(*change(user("dave"), "nsAccountLock", "TRUE"))
    try:
        with pytest.raises(ldap.LDAPError):
            realm.ldap_as(ccache)
    finally:
        root.modify_ext_s(user("dave"), [(ldap.MOD_DELETE, "nsAccountLock", None)])
        time.sleep(0.02)
    realm.ldap_as(ccache).unbind_s()


def test_the_directory_records_who_added_what(as_: Connections, root: Any) -> None:
    dn = f"cn=creators,{GROUPS}"
    attributes = {
        "objectClass": [b"top", b"groupOfNames"],
        "cn": [b"creators"],
        "creatorsName": [user("bob").encode()],
    }
    as_("adam").add_ext_s(dn, list(attributes.items()))
    assert values(root, dn, "creatorsName") == [user("adam")]
    root.delete_s(dn)
