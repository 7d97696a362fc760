"""Somebody asks the real CA as another: under another name, without a ticket, with a session, or past Apache (D09, D10).

What an attacker gains each time is a certificate in the name of whom he says that he is.  That it would be issued is
seen by a profile whose program accepts; the validator refuses, because the ticket that has to come along is nobody's but
its owner's, and Dogtag's own directory shows that nothing was issued.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ajp
import certval_requests as req
import pytest
import requests
from apache import weakened
from ca_host import SECONDS, CaHost, enrolment
from certval_ca import YES, Scene, make_profile, nothing_issued, outcome, scene
from certval_requests import pem, simple
from cryptography.hazmat.primitives import serialization

from lab.ca_network import CA_HOST
from lab.ca_spawn import ADMIN_PASSWORD, AJP_SECRET
from lab.layout import REALM

ALICE = f"alice@{REALM}"
DIRECT = f"https://{CA_HOST}:8443/ca/rest"
REQUESTS = "/ca/rest/certrequests"
OPERATORS = "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test"
TPI_OPERATORS = "cn=tpi-operators,cn=groups,cn=accounts,dc=tpi,dc=test"
NO_TICKETS = "no tickets of the caller came with the request"
NOT_HIS = "the tickets that came with the request are not the caller's"


@pytest.fixture(scope="module")
def attacked(ca: CaHost) -> Iterator[Scene]:
    with scene(ca) as found:
        yield found


@pytest.fixture(scope="module")
def direct(ca: CaHost, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What port 8443 is verified with."""
    path: Path = tmp_path_factory.mktemp("dogtag") / "ca.pem"
    path.write_bytes(ca.authority().public_bytes(serialization.Encoding.PEM))
    return str(path)


@pytest.fixture(scope="module")
def readable(ca: CaHost) -> Iterator[dict[str, str]]:
    """Tickets of people where Dogtag's account can read them, as somebody on the host would leave them."""
    folder = Path(f"/var/lib/ipa-tpi-lab/{uuid.uuid4().hex}")
    folder.mkdir(parents=True)
    caches = {}
    for person in ("alice", "dave"):
        path = folder / person
        path.write_bytes(Path(ca.ccache(person).removeprefix("FILE:")).read_bytes())
        path.chmod(0o644)
        caches[person] = f"FILE:{path}"
    yield caches
    shutil.rmtree(folder)


def asked(status: int, text: str) -> dict[str, Any]:
    assert status == 200, text
    (entry,) = json.loads(text)["entries"]
    return dict(entry)


def says(entry: dict[str, Any], code: int) -> str:
    """Return what the validator refused with."""
    assert entry["requestStatus"] == "rejected", entry
    told = json.loads(entry["errorMessage"])
    assert told["code"] == code, told
    return str(told["message"])


def past_apache(profile: str, user: str, name: str, **attributes: str) -> dict[str, Any]:
    """Enrol as whoever one likes, with the connector's secret."""
    body = json.dumps(enrolment(profile, pem(simple(name))))
    return asked(
        *ajp.ask(REQUESTS, user=user, attributes=attributes, secret=AJP_SECRET, body=body, method="POST")
    )


def directly(session: str, authority: str, profile: str, name: str) -> dict[str, Any]:
    """Enrol at Dogtag's own port with nothing but a session."""
    answer = requests.post(
        f"{DIRECT}/certrequests",
        json=enrolment(profile, pem(simple(name))),
        cookies={"JSESSIONID": session},
        headers={"Accept": "application/json"},
        verify=authority,
        timeout=SECONDS,
    )
    return asked(answer.status_code, answer.text)


def login(user: str, password: str, authority: str) -> str:
    """Return a session of somebody whom only Dogtag knows."""
    answer = requests.get(f"{DIRECT}/account/login", auth=(user, password), verify=authority, timeout=SECONDS)
    return str(answer.cookies["JSESSIONID"])


@pytest.mark.parametrize("alias", ["alice.smith", "ALICE", "Alice"])
def test_r_d10_an_alias_or_another_case_is_no_other_person(attacked: Scene, alias: str) -> None:
    """Alice asks in a name that is hers at the KDC and may be somebody else's everywhere else."""
    assert outcome(attacked.ca.enroll("alice", attacked.lenient, pem(simple(alias))))[0] == "complete"
    with nothing_issued():
        for names in ((), (req.upn(ALICE),), (req.krb5(REALM, alias),)):
            status, _ = outcome(attacked.ca.enroll("alice", attacked.profile, pem(simple(alias, *names))))
            assert status == "rejected"


@pytest.mark.parametrize("alias", ["alice.smith", "ALICE"])
def test_r_d10_a_ticket_in_an_alias_is_not_taken(attacked: Scene, alias: str) -> None:
    """The KDC gives a ticket in any name of an account: alice would be whoever bears that name elsewhere."""
    attacked.ca.ccache("alice", f"{alias}@{REALM}")
    assert outcome(attacked.ca.enroll(alias, attacked.lenient, pem(simple("alice"))))[0] == "complete"
    with nothing_issued():
        for name in ("alice", alias):
            answer = attacked.ca.enroll(alias, attacked.profile, pem(simple(name)))
            assert attacked.refused(answer, 2100).endswith(
                f"'{alias}@{REALM}' is no account's own name; run kinit with that"
            )


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        (req.upn("alice@EVIL.TEST"), 3009, "does not match requested principal"),
        (req.krb5("EVIL.TEST", "alice"), 3009, "does not match requested principal"),
        (req.krb5(f"{REALM}@EVIL.TEST", "alice"), 3009, "holds a separator"),
    ],
    ids=["upn", "kerberos", "two realms"],
)
def test_r_d10_nobody_of_another_realm_is_named(attacked: Scene, name: bytes, code: int, said: str) -> None:
    """Alice asks for a certificate that another realm would take for its own alice's."""
    text = pem(simple("alice", name))
    assert outcome(attacked.ca.enroll("alice", attacked.lenient, text))[0] == "complete"
    with nothing_issued():
        assert said in attacked.refused(attacked.ca.enroll("alice", attacked.profile, text), code)


@pytest.mark.parametrize(
    "user", ["alice@EVIL.TEST", f"{ALICE}@EVIL.TEST", "alice", f"alice\\@EVIL.TEST@{REALM}"]
)
def test_r_d06_dogtag_knows_nobody_of_another_realm(
    attacked: Scene, readable: dict[str, str], user: str
) -> None:
    """A realm that is trusted, or a name that looks like ours: Dogtag lets only names of our realm in."""
    body = json.dumps(enrolment(attacked.lenient, pem(simple("alice"))))
    told = {"KRB5CCNAME": readable["alice"]}
    with nothing_issued():
        status, text = ajp.ask(
            REQUESTS, user=user, attributes=told, secret=AJP_SECRET, body=body, method="POST"
        )
        assert status == 403
        assert "Cannot find AuthzManager" in text
    assert past_apache(attacked.lenient, ALICE, "alice", **told)["requestStatus"] == "complete"


def test_r_d10_who_has_the_connectors_secret_is_nobody_without_that_persons_ticket(
    attacked: Scene, readable: dict[str, str]
) -> None:
    """Apache itself, taken over: it says alice to Dogtag, with no tickets, or with those of dave."""
    for told in ({}, {"KRB5CCNAME": readable["dave"]}, {"KRB5CCNAME": "FILE:/nonexistent"}):
        assert past_apache(attacked.lenient, ALICE, "alice", **told)["requestStatus"] == "complete"
    with nothing_issued():
        assert NO_TICKETS in says(past_apache(attacked.profile, ALICE, "alice"), 2100)
        for cache in ("FILE:/nonexistent", "FILE:/dev/zero", "MEMORY:x", readable["alice"] + "/.", "KCM:"):
            assert NO_TICKETS in says(past_apache(attacked.profile, ALICE, "alice", KRB5CCNAME=cache), 2100)
        for user, owner in ((ALICE, "dave"), (f"ALICE@{REALM}", "alice"), (f"bob@{REALM}", "alice")):
            entry = past_apache(attacked.profile, user, "alice", KRB5CCNAME=readable[owner])
            assert NOT_HIS in says(entry, 2100)
    entry = past_apache(attacked.profile, ALICE, "alice", KRB5CCNAME=readable["alice"])
    assert entry["requestStatus"] == "complete", entry


def test_r_d01_without_the_secret_the_connector_takes_no_request(attacked: Scene) -> None:
    """Somebody with an account on the CA host speaks to port 8009 as alice."""
    body = json.dumps(enrolment(attacked.lenient, pem(simple("alice"))))
    with nothing_issued():
        for secret in ("", "guessed"):
            assert ajp.ask(REQUESTS, user=ALICE, secret=secret, body=body, method="POST")[0] == 403
    assert (
        asked(*ajp.ask(REQUESTS, user=ALICE, secret=AJP_SECRET, body=body, method="POST"))["requestStatus"]
        == "complete"
    )


def test_r_d10_groups_that_are_forged_in_the_connectors_attributes_open_dogtag_and_not_the_validator(
    attacked: Scene, readable: dict[str, str]
) -> None:
    """dave, in no group, says that he is an operator: Dogtag believes it, the CA ACLs ask the directory."""
    dave, gated = f"dave@{REALM}", make_profile(attacked.ca, f"{attacked.lenient}gated", YES, gate=OPERATORS)
    forged = {
        "REMOTE_USER_GROUP_N": "2",
        "REMOTE_USER_GROUP_1": OPERATORS,
        "REMOTE_USER_GROUP_2": TPI_OPERATORS,
    }
    body = json.dumps(enrolment(gated, pem(simple("dave"))))
    assert ajp.ask(REQUESTS, user=dave, secret=AJP_SECRET, body=body, method="POST")[0] == 401
    assert past_apache(gated, dave, "dave", **forged)["requestStatus"] == "complete"
    with nothing_issued():
        entry = past_apache(attacked.profile, dave, "dave", KRB5CCNAME=readable["dave"], **forged)
        assert "is not permitted to use CA" in says(entry, 2100)
        # The way that is open to him: the same as headers, through Apache.
        headers = {f"AJP_{name}": value for name, value in forged.items()}
        headers |= {name.replace("_", "-"): value for name, value in forged.items()} | forged
        answer = attacked.ca.call(
            "dave", "POST", "/certrequests", body=enrolment(gated, pem(simple("dave"))), headers=headers
        )
        assert answer.status == 401, answer


def test_r_d01_a_header_does_not_say_who_asks(attacked: Scene) -> None:
    """dave, with a ticket of his own, adds every header by which a web server may be told of alice."""
    names = ("REMOTE_USER", "Remote-User", "X-Remote-User", "X-Forwarded-User", "AJP_REMOTE_USER", "GSS_NAME")
    headers = dict.fromkeys(names, ALICE) | {"Authorization-User": ALICE}
    body = enrolment(attacked.lenient, pem(simple("alice")))
    assert attacked.ca.call("dave", "POST", "/certrequests", body=body, headers=headers).status == 200
    assert attacked.ca.call("", "POST", "/certrequests", body=body, headers=headers).status == 401
    body = enrolment(attacked.profile, pem(simple("alice")))
    with nothing_issued():
        answer = attacked.ca.call("dave", "POST", "/certrequests", body=body, headers=headers)
    # He is himself: for alice he would need the right to ask for others.
    assert "not allowed to perform operation" in attacked.refused(answer, 2100)


def test_r_d09_a_session_is_no_ticket(attacked: Scene, direct: str) -> None:
    """Somebody has alice's JSESSIONID, from a log or her memory, and uses it at port 8443."""
    with weakened({"Header onsuccess unset Set-Cookie": "", "Header always unset Set-Cookie": ""}):
        given = attacked.ca.call("alice", "GET", "/account/login").headers["Set-Cookie"]
    session = given.partition("JSESSIONID=")[2].partition(";")[0]
    # Dogtag takes it for her, and for authenticated outside.
    assert directly(session, direct, attacked.lenient, "alice")["requestStatus"] == "complete"
    with nothing_issued():
        # What Apache wrote for her ended with her request.
        assert NO_TICKETS in says(directly(session, direct, attacked.profile, "alice"), 2100)


def test_r_d09_a_user_of_the_cas_own_gets_nothing(attacked: Scene, direct: str) -> None:
    """Who has a password that only Dogtag knows, the CA's first administrator here, logs in at port 8443."""
    session = login("caadmin", ADMIN_PASSWORD, direct)
    assert directly(session, direct, attacked.lenient, "alice")["requestStatus"] == "complete"
    with nothing_issued():
        assert NO_TICKETS in says(directly(session, direct, attacked.profile, "alice"), 2100)
