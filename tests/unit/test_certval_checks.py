"""FreeIPA's checks, each with its expected answer, and their order (D10, D17; facts B.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import certval_requests as req
import pytest
from certval_requests import dns, ip, mail, simple
from certval_scene import (
    ALICE,
    HTTP,
    SUB_CA,
    WEB,
    Scene,
    host,
    may,
    of_host,
    of_service,
    of_user,
    records,
    service,
    user,
)

from ipa_tpi.decide.csr import read_csr
from ipa_tpi_validator.case import subject_of
from ipa_tpi_validator.checks import decide
from ipa_tpi_validator.snapshot import Entry, Kind

BOB = user("bob")
DB = host("db.tpi.test")
HTTP_DB = service("HTTP", "db.tpi.test")
IPA1 = host("ipa1.tpi.test")
HTTP_IPA1 = service("HTTP", "ipa1.tpi.test")
OK = (0, "")


def krbtgt(by: Entry = IPA1, cn: str = "ipa1.tpi.test", *names: bytes, **changes: Any) -> Scene:
    made = Scene(by, None, simple(cn, *names), named="krbtgt/TPI.TEST@TPI.TEST", profile="KDCs_PKINIT_Certs")
    return replace(made, **changes)


def without(entry: Entry) -> Entry:
    return replace(entry, writable=False)


FORWARD = {"web_tpi_test": ("10.66.0.1",), "1_0_66_10_in-addr_arpa": ("<web.tpi.test",)}

CASES: dict[str, tuple[Scene, tuple[int, str]]] = {
    # 1, 2
    "no CA on this server": (replace(of_host(), ca_configured=False), (4001, "no-ca")),
    "a CA that there is": (replace(of_host(), authority=SUB_CA.upper()), OK),
    "a CA that there is not": (replace(of_host(), authority=SUB_CA.replace("a", "b")), (4001, "ca")),
    # 4
    "krbtgt": (krbtgt(), OK),
    "krbtgt with another profile": (krbtgt(profile="caIPAserviceCert"), (2100, "krbtgt-profile")),
    "another realm's krbtgt": (krbtgt(named="krbtgt/OTHER.TEST@TPI.TEST"), (4001, "krbtgt-realm")),
    # 5
    "no such subject": (replace(of_host(), subject=None), (4001, "no-subject")),
    "a host whose entry lies with the users": (
        replace(of_host(by=ALICE), subject=replace(WEB, kind=Kind.USER)),
        (4001, "no-subject"),
    ),
    "a host whose own name is a user's": (
        replace(of_host(by=ALICE), subject=replace(WEB, canonical="root@TPI.TEST")),
        (4001, "no-subject"),
    ),
    "a host whose own name is another realm's": (
        replace(of_host(by=ALICE), subject=replace(WEB, canonical="host/web.tpi.test@OTHER.TEST")),
        (4001, "no-subject"),
    ),
    "a host that has a user's name, too": (
        replace(of_user(), subject=replace(WEB, aliases=WEB.aliases | ALICE.aliases)),
        (4001, "no-subject"),
    ),
    "a service that is another service": (
        replace(
            of_service(by=ALICE, subject=replace(HTTP, canonical="ldap/web.tpi.test@TPI.TEST")),
            named=HTTP.canonical,
        ),
        (4001, "no-subject"),
    ),
    # 6
    "another bind than the name": (replace(of_host(), bound=DB.dn), (2100, "operator")),
    "no entry of the caller": (replace(of_user(), operator=None, user="alice@TPI.TEST"), (2100, "operator")),
    "the caller's alias": (replace(of_user(), user="alice.smith@TPI.TEST"), (2100, "operator")),
    "the caller's name in another case": (replace(of_user(), user="ALICE@TPI.TEST"), (2100, "operator")),
    "a host that calls itself a user": (
        replace(of_user(), operator=replace(WEB, canonical="alice@TPI.TEST", aliases=ALICE.aliases)),
        (2100, "operator"),
    ),
    # 7
    "for oneself, without any right": (may(of_user()), OK),
    "for oneself by an alias": (replace(may(of_user()), named="alice.smith@TPI.TEST"), OK),
    "for another, with the right": (may(of_host(by=ALICE), request=True), OK),
    "for another, without the right": (may(of_host(by=ALICE), request=False), (2100, "no-right")),
    "for another, no such operation": (may(of_host(by=ALICE)), (2100, "no-operation")),
    "a host for its service": (may(of_service()), OK),
    "a service for its host": (may(of_host(by=HTTP), request=False), (2100, "no-right")),
    "a service for itself": (may(of_service(by=HTTP)), OK),
    "a host for a user": (may(of_user(by=WEB)), OK),
    "a user who is called host": (may(of_host(by=user("host")), request=False), (2100, "no-right")),
    # 8
    "no CA ACL": (replace(of_host(), acls=()), (2100, "ca-acl")),
    "above CA ACLs": (replace(may(of_host(), ignore=True), acls=()), OK),
    "krbtgt by no KDC": (krbtgt(WEB, "web.tpi.test"), (2100, "not-kdc")),
    "krbtgt by a user": (krbtgt(ALICE, "alice"), (2100, "not-kdc")),
    "krbtgt by a user above CA ACLs": (may(krbtgt(ALICE, "alice"), request=True, ignore=True), OK),
    # 10
    "the host's name in capitals": (of_host(cn="WEB.tpi.test"), OK),
    "another host's name": (of_host(cn="db.tpi.test"), (3009, "cn")),
    "a service's alias": (of_service(cn="www.tpi.test"), OK),
    "an alias of another service": (
        of_service(
            subject=replace(HTTP, aliases=HTTP.aliases | {"ldap/db.tpi.test@TPI.TEST"}), cn="db.tpi.test"
        ),
        (3009, "cn"),
    ),
    "an alias of another realm": (
        of_service(
            subject=replace(HTTP, aliases=HTTP.aliases | {"HTTP/db.tpi.test@OTHER.TEST"}), cn="db.tpi.test"
        ),
        (3009, "cn"),
    ),
    "krbtgt with another host's name": (krbtgt(cn="web.tpi.test"), (2100, "cn")),
    "a user's login in another case": (of_user(cn="Alice"), (3009, "cn")),
    "another login": (of_user(cn="bob"), (3009, "cn")),
    "a user's own addresses": (of_user(mails=("alice@TPI.test", "Alice@mail.tpi.test")), OK),
    "an address whose local part is in another case": (of_user(mails=("ALICE@tpi.test",)), (3009, "mail")),
    "another's address": (of_user(mails=("alice@tpi.test", "bob@tpi.test")), (3009, "mail")),
    # 11
    "no write": (replace(of_host(), subject=without(WEB)), (2100, "no-write")),
    "no write on oneself": (replace(of_user(), subject=without(ALICE)), (2100, "no-write")),
    # 12: dNSName
    "a host's own name": (of_host(dns("Web.tpi.test")), OK),
    "an alias": (of_service(dns("www.tpi.test")), OK),
    "a name for a user": (of_user(dns("web.tpi.test")), (3009, "name-for-user")),
    "a host that there is not": (of_host(dns("no.tpi.test")), (4001, "no-other")),
    "a service that there is not": (
        replace(of_service(dns("db.tpi.test")), others=(DB,)),
        (4001, "no-other"),
    ),
    "a host that is not managed": (
        replace(of_host(dns("db.tpi.test")), others=(without(DB),)),
        (2100, "no-write-other"),
    ),
    "a host that is managed": (replace(of_host(dns("db.tpi.test")), others=(DB,)), OK),
    "a service that is managed": (replace(of_service(dns("db.tpi.test")), others=(HTTP_DB,)), OK),
    "a name without a domain": (
        replace(
            of_host(dns("db")), others=(replace(DB, aliases=frozenset({"host/db@TPI.TEST"}), name="db"),)
        ),
        OK,
    ),
    "an alias of another host": (
        replace(of_host(dns("db")), others=(replace(DB, aliases=DB.aliases | {"host/db@TPI.TEST"}),)),
        (4001, "no-other"),
    ),
    "a host that is managed, in capitals": (
        replace(of_host(dns("DB.tpi.test")), others=(DB,)),
        OK,
    ),
    "a host whose entry is a service": (
        replace(of_host(dns("db.tpi.test")), others=(replace(DB, kind=Kind.SERVICE),)),
        (4001, "no-other"),
    ),
    "ipa-ca for a server's HTTP": (
        of_service(dns("ipa-ca.tpi.test"), by=IPA1, subject=HTTP_IPA1, cn="ipa1.tpi.test"),
        OK,
    ),
    "ipa-ca for another's HTTP": (of_service(dns("ipa-ca.tpi.test")), (4001, "no-other")),
    "ipa-ca for a server itself": (
        Scene(IPA1, IPA1, simple("ipa1.tpi.test", dns("ipa-ca.tpi.test")), named=IPA1.canonical),
        (4001, "no-other"),
    ),
    "ipa-ca of another domain": (
        of_service(dns("ipa-ca.other.test"), by=IPA1, subject=HTTP_IPA1, cn="ipa1.tpi.test"),
        (4001, "no-other"),
    ),
    "krbtgt with a KDC's name": (krbtgt(IPA1, "ipa1.tpi.test", dns("ipa1.tpi.test")), OK),
    "krbtgt with another's name": (krbtgt(IPA1, "ipa1.tpi.test", dns("web.tpi.test")), (2100, "not-kdc")),
    # 12: principals
    "its own principal": (of_host(req.krb5("TPI.TEST", "host", "web.tpi.test")), OK),
    "its own principal as UPN": (of_user(req.upn("alice@TPI.TEST")), OK),
    "its alias as UPN": (of_user(req.upn("alice.smith@TPI.TEST")), OK),
    "another's principal": (of_user(req.upn("bob@TPI.TEST")), (3009, "principal")),
    "its principal in another case": (of_user(req.upn("Alice@TPI.TEST")), (3009, "principal")),
    "another realm's principal": (of_user(req.upn("alice@OTHER.TEST")), (3009, "principal")),
    "the principal of krbtgt": (
        krbtgt(IPA1, "ipa1.tpi.test", req.krb5("TPI.TEST", "krbtgt", "TPI.TEST")),
        OK,
    ),
    "krbtgt of another realm": (
        krbtgt(IPA1, "ipa1.tpi.test", req.krb5("TPI.TEST", "krbtgt", "OTHER.TEST")),
        (3009, "principal"),
    ),
    # 12: rfc822Name, iPAddress, the rest
    "a user's address": (of_user(mail("alice@TPI.TEST")), OK),
    "another user's address": (of_user(mail("bob@tpi.test")), (3009, "mail")),
    "an address for a host": (of_host(mail("alice@tpi.test")), (3009, "mail-for-host")),
    "an IP address for a user": (of_user(ip(10, 66, 0, 1)), (3009, "name-for-user")),
    "a URI": (of_host(req.tlv(0x86, b"http://web.tpi.test/")), (2100, "name-kind")),
    "a directory name": (of_host(req.tlv(0xA4, req.tlv(0x30))), (2100, "name-kind")),
    "a registered id": (of_host(req.tlv(0x88, b"\x2a\x03")), (2100, "name-kind")),
    "another otherName": (
        of_host(req.tlv(0xA0, req.oid("1.2.3"), req.tlv(0xA0, req.tlv(5)))),
        (2100, "name-kind"),
    ),
    # 13
    "an address that is reached, and back": (
        replace(of_host(dns("web.tpi.test"), ip(10, 66, 0, 1)), records=records(**FORWARD)),
        OK,
    ),
    "an address without a name": (
        replace(of_host(ip(10, 66, 0, 1)), records=records(**FORWARD)),
        (3009, "ip-unreachable"),
    ),
    "an address of no record": (of_host(dns("web.tpi.test"), ip(10, 66, 0, 1)), (3009, "ip-unreachable")),
    "an address without PTR": (
        replace(of_host(dns("web.tpi.test"), ip(10, 66, 0, 1)), records=records(web_tpi_test=("10.66.0.1",))),
        (3009, "ip-no-ptr"),
    ),
    "an address whose PTR names another, too": (
        replace(
            of_host(dns("web.tpi.test"), ip(10, 66, 0, 1)),
            records=records(**{**FORWARD, "1_0_66_10_in-addr_arpa": ("<web.tpi.test", "<db.tpi.test")}),
        ),
        (3009, "ip-other-ptr"),
    ),
    "an address by a CNAME": (
        replace(
            of_host(dns("web.tpi.test"), ip(10, 66, 0, 1)),
            records=records(
                **{
                    "web_tpi_test": ("=Real.tpi.test",),
                    "real_tpi_test": ("10.66.0.1",),
                    "1_0_66_10_in-addr_arpa": ("<real.tpi.test",),
                }
            ),
        ),
        OK,
    ),
    "an address by two CNAMEs": (
        replace(
            of_host(dns("web.tpi.test"), ip(10, 66, 0, 1)),
            records=records(
                web_tpi_test=("=a.tpi.test",), a_tpi_test=("=b.tpi.test",), b_tpi_test=("10.66.0.1",)
            ),
        ),
        (3009, "ip-unreachable"),
    ),
    "an address by a name without a domain": (
        replace(
            of_host(dns("db"), ip(10, 66, 0, 1)),
            others=(replace(DB, aliases=frozenset({"host/db@TPI.TEST"}), name="db"),),
            records=records(web_tpi_test=("10.66.0.1",)),
        ),
        (3009, "ip-unreachable"),
    ),
    "an address by ipa-ca, which nobody bears": (
        replace(
            of_service(
                dns("ipa-ca.tpi.test"), ip(10, 66, 0, 1), by=IPA1, subject=HTTP_IPA1, cn="ipa1.tpi.test"
            ),
            records=records(**{"ipa-ca_tpi_test": ("10.66.0.1",)}),
        ),
        (3009, "ip-unreachable"),
    ),
    "an address by another host that is managed": (
        replace(
            of_host(dns("db.tpi.test"), ip(10, 66, 0, 1)),
            others=(DB,),
            records=records(**{"db_tpi_test": ("10.66.0.1",), "1_0_66_10_in-addr_arpa": ("<db.tpi.test",)}),
        ),
        OK,
    ),
    "an IPv6 address": (
        replace(
            of_host(dns("web.tpi.test"), ip(*[0] * 15, 1)),
            records=records(**{"web_tpi_test": ("::1",), "1" + "_0" * 31 + "_ip6_arpa": ("<WEB.tpi.test",)}),
        ),
        OK,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_r_d10_each_case_has_freeipas_answer(name: str) -> None:
    scene, expected = CASES[name]
    assert scene.answer() == expected


def spoilt(*, upto: int) -> Scene:
    """Make everything wrong from a check on."""
    scene = of_service(req.tlv(0x86, b"http://x/"), by=ALICE, cn="no.tpi.test", subject=without(HTTP))
    scene = replace(may(scene, request=False), ca_configured=False, acls=(), bound="x")
    scene = replace(scene, authority=SUB_CA.replace("5", "6"), named="HTTP/gone.tpi.test@TPI.TEST")
    good: list[dict[str, Any]] = [
        {"ca_configured": True},
        {"authority": ""},
        {"named": HTTP.canonical},
        {"bound": None},
        {"operations": {"request certificate": True}},
        {"acls": of_host().acls},
        {"csr": simple("web.tpi.test", req.tlv(0x86, b"http://x/"))},
        {"subject": HTTP},
        {"csr": simple("web.tpi.test")},
    ]
    for change in good[:upto]:
        scene = replace(scene, **change)
    return scene


def test_the_checks_stand_in_freeipas_order() -> None:
    answers = [spoilt(upto=count).answer()[1] for count in range(10)]
    assert answers == [
        "no-ca",
        "ca",
        "no-subject",
        "operator",
        "no-right",
        "ca-acl",
        "cn",
        "no-write",
        "name-kind",
        "",
    ]


def test_every_alternative_name_is_checked_in_order_and_with_its_acl() -> None:
    scene = replace(of_host(dns("web.tpi.test"), dns("db.tpi.test")), others=(DB,))
    acl = replace(scene.acls[0], anybody=frozenset(), members={Kind.HOST: frozenset({"web.tpi.test"})})
    assert replace(scene, acls=(acl,)).answer() == (2100, "ca-acl")
    both = replace(acl, members={Kind.HOST: frozenset({"web.tpi.test", "DB.TPI.TEST"})})
    assert replace(scene, acls=(both,)).answer() == OK
    assert replace(may(scene, ignore=True), acls=(acl,)).answer() == OK


@pytest.mark.parametrize(
    ("encoded", "named", "by", "expected"),
    [
        (simple("web.tpi.test"), "", WEB, "host/web.tpi.test@TPI.TEST"),
        (simple("WEB.tpi.test"), "", HTTP, "HTTP/web.tpi.test@TPI.TEST"),
        (simple("web.tpi.test"), "", ALICE, "host/web.tpi.test@TPI.TEST"),
        (simple("DB.tpi.test"), "", WEB, "host/db.tpi.test@TPI.TEST"),
        (simple("alice"), "", ALICE, "alice@TPI.TEST"),
        (simple("bob"), "", ALICE, "bob@TPI.TEST"),
        (simple("web.tpi.test", req.krb5("TPI.TEST", "HTTP", "web.tpi.test")), "", ALICE, HTTP.canonical),
        (simple("bob", req.upn("x@OTHER.TEST"), req.upn("bob@TPI.TEST")), "", ALICE, "bob@TPI.TEST"),
        (
            simple("web.tpi.test", req.krb5("TPI.TEST", "HTTP", "web.tpi.test")),
            "ldap/web.tpi.test@TPI.TEST",
            ALICE,
            "ldap/web.tpi.test@TPI.TEST",
        ),
    ],
)
def test_for_whom_it_is_follows_from_what_is_asked(
    encoded: bytes, named: str, by: Entry, expected: str
) -> None:
    question = Scene(by, None, encoded, named=named).question()
    assert str(subject_of(question, read_csr(question.text))) == expected


def test_what_is_told_is_freeipas_error() -> None:
    line = b'{"code":3009,"name":"ValidationError","message":"invalid \'csr\': DN commonName does not match user\'s login",'
    refusal = decide(of_user(cn="bob").case())
    assert refusal is not None
    assert refusal.line().startswith(line)
    refusal = decide(may(of_host(by=ALICE), request=False).case())
    assert refusal is not None
    assert refusal.message == "Insufficient access: not allowed to perform operation: request certificate"


def test_the_first_principal_of_the_realm_is_found_behind_other_names() -> None:
    encoded = simple("web.tpi.test", dns("web.tpi.test"), req.krb5("TPI.TEST", "HTTP", "web.tpi.test"))
    question = Scene(ALICE, None, encoded).question()
    assert str(subject_of(question, read_csr(question.text))) == HTTP.canonical
