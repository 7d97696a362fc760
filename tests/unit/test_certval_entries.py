"""Raw entries of the directory become values, strictly: a place decides what an entry is (D10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, cast

import gssapi
import ldap
import pytest
from certval_requests import bare, dns, ip, simple
from certval_scene import ALICE, HTTP, WEB
from ldap.controls import RequestControl, SimplePagedResultsControl

from ipa_tpi.decide.csr import Csr, read_csr
from ipa_tpi.errors import DirectoryUnavailableError
from ipa_tpi_validator import reading
from ipa_tpi_validator.caacl import Subject, permits
from ipa_tpi_validator.entries import Raw, acl_filter, may_write, read_acl, read_entry, read_records, texts
from ipa_tpi_validator.environment import Question
from ipa_tpi_validator.principals import Principal
from ipa_tpi_validator.reading import Reader
from ipa_tpi_validator.settings import Settings
from ipa_tpi_validator.snapshot import Entry, Kind, Records

S = "dc=tpi,dc=test"


def raw(**attributes: str | list[str]) -> Raw:
    return {
        name.lower(): [one.encode() for one in ([value] if isinstance(value, str) else value)]
        for name, value in attributes.items()
    }


RIGHTS = "krbPrincipalName:rsc, userCertificate:rscwo, mail:none"


def test_a_user_a_host_and_a_service_are_told_apart_by_their_place() -> None:
    groups = [
        f"cn=a\\2cb,cn=groups,cn=accounts,{S}",
        f"cn=x,cn=roles,cn=accounts,{S}",
        f"cn=h,cn=hostgroups,cn=accounts,{S}",
        "cn=y",
    ]
    found = read_entry(
        f"uid=alice,cn=users,cn=accounts,{S}",
        raw(
            uid="alice",
            krbPrincipalName=["alice@R", "a@R"],
            krbCanonicalName="alice@R",
            mail="a@b",
            memberOf=groups,
            attributeLevelRights=RIGHTS,
        ),
        S,
    )
    assert found == Entry(
        f"uid=alice,cn=users,cn=accounts,{S}",
        Kind.USER,
        "alice",
        "alice@R",
        frozenset({"alice@R", "a@R"}),
        ("a@b",),
        frozenset({"a,b"}),
        writable=True,
    )
    host = read_entry(
        f"fqdn=web,cn=computers,cn=accounts,{S}",
        raw(fqdn="web", krbPrincipalName="host/web@R", memberOf=groups),
        S,
    )
    assert host is not None
    assert (host.kind, host.canonical, host.groups, host.writable) == (
        Kind.HOST,
        "host/web@R",
        frozenset({"h"}),
        False,
    )
    service = read_entry(
        f"krbprincipalname=http/web@r,cn=services,cn=accounts,{S}",
        raw(krbPrincipalName="HTTP/web@R", memberOf=groups),
        S,
    )
    assert service is not None
    assert (service.kind, service.canonical, service.groups) == (Kind.SERVICE, "HTTP/web@R", frozenset())


@pytest.mark.parametrize(
    ("dn", "attributes"),
    [
        (f"uid=alice,cn=staged users,cn=accounts,{S}", raw(krbPrincipalName="alice@R")),
        (f"uid=alice,cn=x,cn=users,cn=accounts,{S}", raw(krbPrincipalName="alice@R")),
        ("uid=alice,cn=users,cn=accounts,dc=other", raw(krbPrincipalName="alice@R")),
        (f"uid=a+cn=b,cn=users,cn=accounts,{S}", raw(krbPrincipalName="alice@R")),
        (f"nonsense,cn=users,cn=accounts,{S}", raw(krbPrincipalName="alice@R")),
        (S, raw(krbPrincipalName="alice@R")),
        (f"uid=alice,cn=users,cn=accounts,{S}", raw(krbPrincipalName=["alice@R", "b@R"])),
        (
            f"uid=alice,cn=users,cn=accounts,{S}",
            raw(krbPrincipalName="alice@R", krbCanonicalName=["a@R", "b@R"]),
        ),
        (f"uid=alice,cn=users,cn=accounts,{S}", raw()),
    ],
)
def test_what_lies_elsewhere_or_has_no_one_name_is_nobody(dn: str, attributes: Raw) -> None:
    assert read_entry(dn, attributes, S) is None


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        (RIGHTS, True),
        ("usercertificate:w", True),
        ("userCertificate:rsc", False),
        ("userCertificate;binary:rscwo", False),
        ("mail:rscwo", False),
        ("xuserCertificate:w", False),
        ("userCertificate", False),
        ("*:none", False),
        ("none", False),
        ("", False),
    ],
)
def test_only_the_right_to_write_is_a_right_to_write(rights: str, expected: bool) -> None:
    assert may_write(raw(attributeLevelRights=rights), "usercertificate") is expected


def test_an_acl_is_read_with_its_members_by_their_places() -> None:
    acl = read_acl(
        raw(
            cn="x",
            ipaEnabledFlag="true",
            ipaMemberCa=f"cn=vpn,cn=cas,cn=ca,{S}",
            ipaMemberCertProfile=[f"cn=P,cn=certprofiles,cn=ca,{S}"],
            userCategory="ALL",
            memberHost=[
                f"fqdn=web.tpi.test,cn=computers,cn=accounts,{S}",
                f"cn=web,cn=hostgroups,cn=accounts,{S}",
            ],
            memberUser=f"cn=web,cn=hostgroups,cn=accounts,{S}",
            memberService=f"krbprincipalname=HTTP/web.tpi.test@TPI.TEST,cn=services,cn=accounts,{S}",
        ),
        S,
    )
    assert acl.enabled
    assert (acl.cas, acl.profiles, acl.anybody) == ({"vpn"}, {"P"}, {Kind.USER})
    assert permits([acl], "VPN", "p", Subject(Kind.HOST, "WEB.tpi.test"))
    assert permits([acl], "vpn", "p", Subject(Kind.HOST, "other", frozenset({"Web"})))
    assert permits([acl], "vpn", "p", Subject(Kind.SERVICE, "HTTP/web.tpi.test@TPI.TEST"))
    assert acl.groups[Kind.USER] == frozenset()
    assert not permits([acl], "ipa", "p", Subject(Kind.USER, "alice"))


@pytest.mark.parametrize("flag", ["FALSE", "", "TRUE TRUE"])
def test_an_acl_counts_only_where_it_says_so(flag: str) -> None:
    assert not read_acl(raw(cn="x", ipaEnabledFlag=flag), S).enabled
    assert not read_acl(raw(cn="x"), S).enabled


def test_a_ca_that_is_gone_is_not_the_hosts_own() -> None:
    acl = read_acl(
        raw(
            cn="x",
            ipaEnabledFlag="TRUE",
            ipaMemberCa="cn=lost",
            ipaCertProfileCategory="all",
            hostCategory="all",
        ),
        S,
    )
    assert not permits([acl], "ipa", "p", Subject(Kind.HOST, "web"))


def test_texts_that_are_none_are_left_out() -> None:
    assert texts({"cn": [b"\xff", b"a"]}, "cn") == ["a"]


def test_records_are_absolute_and_addresses_are_addresses() -> None:
    found = read_records(
        raw(aRecord=["10.0.0.1", "x"], aaaaRecord="::1", cNAMERecord=["a.b.", "c"], pTRRecord="d.e."),
        "tpi.test",
    )
    assert found == Records(
        frozenset({ip_address("10.0.0.1"), ip_address("::1")}), ("a.b", "c.tpi.test"), frozenset({"d.e"})
    )


def test_the_filter_asks_for_every_acl_that_can_matter_and_escapes() -> None:
    assert acl_filter("p", [], S) == ""
    wanted = acl_filter("p", [WEB, HTTP], S)
    assert f"(memberHost={WEB.dn})" in wanted.replace("memberhost", "memberHost")
    assert "(hostcategory=all)" in wanted
    assert "(servicecategory=all)" in wanted
    assert "usercategory" not in wanted
    member = Entry(ALICE.dn, Kind.USER, "alice", "alice@R", frozenset(), (), frozenset({"a,b)(x=*"}))
    assert "(memberuser=cn=a\\5c,b\\29\\28x\\5c=\\2a,cn=groups,cn=accounts,dc=tpi,dc=test)" in acl_filter(
        "p", [member], S
    )


@dataclass
class Connection:
    """Answers searches by their base, one after the other: 389-ds makes those wait that come together."""

    answers: dict[str, list[tuple[Any, dict[str, list[bytes]]]] | type[ldap.LDAPError]]
    asked: list[tuple[str, str]] = field(default_factory=list)
    answered: int = 0

    def whoami_s(self) -> str:
        return f"dn: {WEB.dn}"

    def search_ext(
        self, base: str, scope: int, wanted: str, attributes: list[str], serverctrls: list[Any]
    ) -> int:
        assert serverctrls[0].criticality
        del scope, attributes
        assert self.answered == len(self.asked), "two at once"
        self.asked.append((base, wanted))
        return len(self.asked) - 1

    def result3(self, message: int, timeout: int) -> tuple[int, Any, int, list[Any]]:
        assert timeout == 3
        self.answered = len(self.asked)
        found = self.answers.get(self.asked[message][0], ldap.NO_SUCH_OBJECT)
        if isinstance(found, type):
            raise found
        return 101, found, message, []


SETTINGS = Settings(
    realm="TPI.TEST",
    domain="tpi.test",
    suffix="dc=TPI,dc=test",
    host="ca1.tpi.test",
    ldap_uri="ldapi://%2Fx",
    ldap_host="x",
)
ACCOUNTS = f"cn=accounts,{S}"


def question(csr: bytes, subject: str = WEB.canonical) -> tuple[Question, Csr, Principal]:
    kind, _, rest = subject.partition("@")[0].partition("/")
    principal = Principal(kind, rest, "TPI.TEST")
    asked = Question("", Principal("host", "web.tpi.test", "TPI.TEST"), "p", "", principal)
    return asked, read_csr(bare(csr)), principal


def entry(dn: str, **attributes: str | list[str]) -> tuple[str, dict[str, list[bytes]]]:
    return dn, {name: list(values) for name, values in raw(**attributes).items()}


WEB_ENTRY = entry(WEB.dn, fqdn="web.tpi.test", krbPrincipalName=WEB.canonical, attributeLevelRights=RIGHTS)


def test_two_entries_of_one_name_are_nobody() -> None:
    twin = entry(
        WEB.dn.replace("fqdn=web", "fqdn=bew"),
        fqdn="bew.tpi.test",
        krbPrincipalName=[WEB.canonical, "x@TPI.TEST"],
        krbCanonicalName="x@TPI.TEST",
    )
    one = Reader(Connection({ACCOUNTS: [WEB_ENTRY]}), SETTINGS).snapshot(*question(simple("web.tpi.test")))
    assert one.subject is not None
    assert one.subject.writable
    assert one.bound == WEB.dn
    two = Reader(Connection({ACCOUNTS: [WEB_ENTRY, twin]}), SETTINGS).snapshot(
        *question(simple("web.tpi.test"))
    )
    assert two.subject is None
    assert two.operator is None


@pytest.mark.parametrize(
    "error", [ldap.SIZELIMIT_EXCEEDED, ldap.ADMINLIMIT_EXCEEDED, ldap.TIMELIMIT_EXCEEDED, ldap.TIMEOUT]
)
@pytest.mark.parametrize("base", [ACCOUNTS, f"cn=ca,{S}", f"cn=virtual operations,cn=etc,{S}"])
def test_what_is_cut_short_is_never_an_answer(base: str, error: type[ldap.LDAPError]) -> None:
    connection = Connection({ACCOUNTS: [WEB_ENTRY], base: error})
    with pytest.raises(error):
        Reader(connection, SETTINGS).snapshot(*question(simple("web.tpi.test")))


@pytest.mark.parametrize("base", [ACCOUNTS, f"cn=ca,{S}"])
def test_a_referral_is_never_an_answer(base: str) -> None:
    connection = Connection({base: [(None, {})]})
    with pytest.raises(ldap.REFERRAL):
        Reader(connection, SETTINGS).snapshot(*question(simple("web.tpi.test")))


def test_many_names_are_asked_for_in_parts() -> None:
    connection = Connection({})
    Reader(connection, SETTINGS).snapshot(
        *question(simple("web.tpi.test", *(dns(f"h{n}.tpi.test") for n in range(40))))
    )
    parts = [wanted for base, wanted in connection.asked if base == ACCOUNTS]
    assert len(parts) == 3
    assert sum(part.count("krbPrincipalName=") for part in parts) == 41


def test_servers_are_read_where_they_matter() -> None:
    masters = f"cn=masters,cn=ipa,cn=etc,{S}"
    answers: dict[str, Any] = {
        f"cn=CA,cn=ca1.tpi.test,{masters}": [
            entry(f"cn=CA,cn=ca1.tpi.test,{masters}", ipaConfigString="enabledService")
        ],
        f"cn=KDC,cn=web.tpi.test,{masters}": [
            entry(f"cn=KDC,cn=web.tpi.test,{masters}", ipaConfigString=["x", "hiddenService"])
        ],
        f"cn=KDC,cn=db.tpi.test,{masters}": [entry(f"cn=KDC,cn=db.tpi.test,{masters}", ipaConfigString="x")],
        f"cn=web.tpi.test,{masters}": [entry(f"cn=web.tpi.test,{masters}", cn="web.tpi.test")],
    }
    kdc = question(simple("web.tpi.test", dns("db.tpi.test")), "krbtgt/TPI.TEST@TPI.TEST")
    found = Reader(Connection(answers), SETTINGS).snapshot(*kdc)
    assert found.ca_configured
    assert found.kdcs == {"web.tpi.test"}
    http = question(simple("web.tpi.test", dns("ipa-ca.tpi.test")), "HTTP/web.tpi.test@TPI.TEST")
    assert Reader(Connection(answers), SETTINGS).snapshot(*http).servers == {"web.tpi.test"}
    plain = Reader(Connection({}), SETTINGS).snapshot(*question(simple("web.tpi.test")))
    assert (plain.ca_configured, plain.kdcs, plain.servers) == (False, frozenset(), frozenset())


def test_records_are_read_in_the_longest_zone_of_ours_and_one_alias_further() -> None:
    tree = f"cn=dns,{S}"
    zone = "idnsname=tpi.test.,"
    answers: dict[str, Any] = {
        tree: [
            entry(f"{zone}{tree}", idnsName="tpi.test."),
            entry(f"idnsname=66.10.in-addr.arpa.,{tree}", idnsName="66.10.in-addr.arpa."),
        ],
        f"idnsname=web,{zone}{tree}": [entry(f"idnsname=web,{zone}{tree}", cNAMERecord="real")],
        f"idnsname=real,{zone}{tree}": [entry(f"idnsname=real,{zone}{tree}", aRecord="10.66.0.1")],
        f"idnsname=1.0,idnsname=66.10.in-addr.arpa.,{tree}": [
            entry(f"idnsname=1.0,idnsname=66.10.in-addr.arpa.,{tree}", pTRRecord="real.tpi.test.")
        ],
    }
    asked = question(
        simple("web.tpi.test", dns("web.tpi.test"), dns("web.other.test"), dns("tpi.test"), ip(10, 66, 0, 1))
    )
    found = Reader(Connection(answers), SETTINGS).snapshot(*asked).records
    assert set(found) == {"web.tpi.test", "real.tpi.test", "1.0.66.10.in-addr.arpa"}
    assert found["real.tpi.test"].addresses == {ip_address("10.66.0.1")}


def test_pages_are_read_to_the_last() -> None:
    place = f"cn=ca,{S}"
    pages = [
        [
            entry(
                f"ipauniqueid={n},cn=caacls,{place}", objectClass="ipaCaAcl", cn=str(n), ipaEnabledFlag="TRUE"
            )
        ]
        for n in range(3)
    ]
    pages[1] = [entry(f"cn=ipa,cn=cas,{place}", objectClass=["top", "ipaCa"], cn="ipa", ipaCaId="AB")]

    class Paged(Connection):
        def result3(self, message: int, timeout: int) -> tuple[int, Any, int, list[Any]]:
            if self.asked[message][0] != place:
                return super().result3(message, timeout)
            self.answered = len(self.asked)
            number = sum(base == place for base, _ in self.asked[:message])
            cookie = SimplePagedResultsControl(True, 0, str(number) if number < 2 else "")  # noqa: FBT003 (python-ldap's order)
            return 101, pages[number], message, [RequestControl("1.2.3"), cookie]

    connection = Paged({ACCOUNTS: [WEB_ENTRY]})
    found = Reader(connection, SETTINGS).snapshot(*question(simple("web.tpi.test")))
    assert [acl.name for acl in found.acls] == ["0", "2"]
    assert found.cas == {"ab": "ipa"}
    assert sum(base == place for base, _ in connection.asked) == 3


def test_a_server_that_answers_about_something_else_counts_for_nothing() -> None:
    masters = f"cn=masters,cn=ipa,cn=etc,{S}"
    answers: dict[str, Any] = {
        f"cn=CA,cn=ca1.tpi.test,{masters}": [
            entry(f"cn=x,cn=ca1.tpi.test,{masters}", ipaConfigString="enabledService")
        ]
    }
    found = Reader(Connection(answers), SETTINGS).snapshot(*question(simple("web.tpi.test")))
    assert (found.ca_configured, found.kdcs, found.servers) == (False, frozenset(), frozenset())


def test_whoever_is_not_bound_reads_nothing_and_the_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    unbound = []

    class Closing(Connection):
        def unbind_s(self) -> None:
            unbound.append(1)
            raise ldap.SERVER_DOWN

    made = Closing({})
    monkeypatch.setattr(reading, "prepare", lambda *_: made)
    monkeypatch.setattr(reading, "bind", lambda *_: None)
    with reading.opened(SETTINGS, cast("gssapi.Credentials", None)) as bound:
        assert isinstance(bound, Reader)

    def fail(*_: object) -> None:
        raise ldap.INVALID_CREDENTIALS

    monkeypatch.setattr(reading, "bind", fail)
    with (
        pytest.raises(DirectoryUnavailableError, match="INVALID_CREDENTIALS"),
        reading.opened(SETTINGS, cast("gssapi.Credentials", None)),
    ):
        pass
    assert len(unbound) == 2
    monkeypatch.setattr(reading, "prepare", fail)
    with pytest.raises(DirectoryUnavailableError), reading.opened(SETTINGS, cast("gssapi.Credentials", None)):
        pass
