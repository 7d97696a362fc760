"""One search for many accounts and hosts: its filter, and whose entry is whose."""

from __future__ import annotations

import ldap.dn
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipa_tpi.adapters.directory import _respelled, normal_dn
from ipa_tpi.adapters.people import Sought, bearing, by_dn, by_name, hosts_named, parent_of

ACCOUNTS = "cn=accounts,dc=tpi,dc=test"
COMPUTERS = f"cn=computers,{ACCOUNTS}"

_WORD = st.text("abcXYZ019_@./:-", min_size=1, max_size=8)
_NAME = st.sampled_from(["cn", "uid", "DC", "x-y", "krbPrincipalName", "2.5.4.3"])
_VALUE = st.one_of(
    st.lists(_WORD, min_size=1, max_size=3).map(" ".join),
    st.text('aZ09 ,=+\\;<>"#@./:-_é\tK', max_size=8),
)
_DN = st.lists(st.tuples(_NAME, _VALUE), min_size=1, max_size=4).map(
    lambda parts: ",".join(f"{name}={value}" for name, value in parts)
)


@given(_DN)
@example("CN=Two  Blanks,dc=tpi")
@example("cn= leading,dc=tpi")
@example("cn=K,dc=tpi")
@example("uid=\u212aelvin,dc=tpi")
@example("cn=a\n,dc=tpi")
@example("cn=\\90,dc=tpi")
@example("")
def test_the_short_way_to_the_normal_form_gives_the_same(dn: str) -> None:
    try:
        expected = _respelled(dn)
    except ValueError:
        with pytest.raises(ValueError, match="is not a DN"):
            normal_dn(dn)
    else:
        assert normal_dn(dn) == expected


def test_only_ascii_letters_lose_their_case() -> None:
    assert normal_dn("UID=Alice,CN=Users") == "uid=alice,cn=users"
    assert normal_dn("uid=\u212aate,cn=users") != "uid=kate,cn=users"
    assert normal_dn("cn=É,cn=users") != normal_dn("cn=é,cn=users")


@given(st.text(min_size=1, max_size=6), st.text(min_size=1, max_size=6))
def test_the_parent_is_what_is_left_without_the_first_part(first: str, second: str) -> None:
    above = ldap.dn.dn2str([[("cn", second, 1)], [("dc", "tpi", 1)]])
    dn = ldap.dn.dn2str([[("uid", first, 1)]]) + "," + above
    assert parent_of(dn) == above
    assert parent_of("dc=tpi") == ""


@pytest.mark.parametrize(
    ("dn", "term"),
    [
        (f"uid=alice,cn=users,{ACCOUNTS}", "(uid=alice)"),
        (f"fqdn=a.tpi.test,{COMPUTERS}", "(fqdn=a.tpi.test)"),
        (f"uid=a\\,b*,cn=users,{ACCOUNTS}", "(uid=a,b\\2a)"),
        (f"uid=)(uid\\=*,cn=users,{ACCOUNTS}", "(uid=\\29\\28uid=\\2a)"),
        # The RDN of a service differs in case from its name, which the directory compares exactly.
        (f"krbprincipalname=tpi/a@tpi.test,cn=services,{ACCOUNTS}", None),
        (f"uid=\\*,cn=users,{ACCOUNTS}", None),
        (f"uid=\\90,cn=users,{ACCOUNTS}", None),
        (f"uid=alice+cn=a,cn=users,{ACCOUNTS}", None),
        (f"cn=admin,{ACCOUNTS}", None),
        ("uid=alice,dc=tpi,dc=test", None),
        ("uid=alice,cn=users,dc=tpi", None),
        (ACCOUNTS, None),
        ("cn=directory manager", None),
    ],
)
def test_what_an_account_is_looked_for_by(dn: str, term: str | None) -> None:
    assert by_dn(dn, ACCOUNTS) == term


def test_one_filter_for_all() -> None:
    people = [by_name("bob@TPI.TEST"), "(uid=alice)"]
    accounts = "(&(|(krbPrincipalName=bob@TPI.TEST)(uid=alice))(objectClass=krbPrincipalAux))"
    hosts = "(&(|(fqdn=\\2a)(fqdn=a))(objectClass=ipaHost))"
    assert Sought(people).everything() == Sought(people).accounts() == accounts
    assert Sought(people, {"*", "a"}).everything() == f"(|{accounts}{hosts})"
    assert Sought([], {"a"}).everything() == "(&(fqdn=a)(objectClass=ipaHost))"
    assert by_name("a)(b*@TPI.TEST") == "(krbPrincipalName=a\\29\\28b\\2a@TPI.TEST)"


def test_only_who_bears_exactly_the_name() -> None:
    alice = ("uid=alice", {"krbprincipalname": [b"alice@TPI.TEST", b"ALICE@TPI.TEST"]})
    other = ("uid=other", {"krbprincipalname": [b"Alice@TPI.TEST"]})
    assert bearing("alice@TPI.TEST", [alice, other, ("uid=none", {})]) == [alice]
    assert bearing("ALICE@TPI.TEST", [alice, other]) == [alice]
    assert bearing("alice@TPI", [alice, other]) == []


def test_a_host_lies_in_its_place_and_is_of_its_class() -> None:
    raw = {"objectclass": [b"top", b"ipaHost"], "fqdn": [b"A.tpi.test"]}
    good = (f"fqdn=a.tpi.test,{COMPUTERS}", raw)
    wrong = [
        (f"fqdn=a.tpi.test,cn=users,{ACCOUNTS}", raw),
        (f"cn=x,fqdn=a.tpi.test,{COMPUTERS}", raw),
        (COMPUTERS, raw),
        (f"uid=a,{COMPUTERS}", {**raw, "objectclass": [b"top", b"krbPrincipalAux"]}),
        (f"fqdn=b.tpi.test,{COMPUTERS}", {**raw, "fqdn": [b"b.tpi.test"]}),
        (f"fqdn=c.tpi.test,{COMPUTERS}", {}),
    ]
    assert hosts_named("a.tpi.test", COMPUTERS, [good, *wrong]) == [good]
