"""The KRA knows people of the realm when they log in, and gives no key out to them: for that it knows its own users only.

Pinned, so that the day on which this Dogtag, or another, can is noticed: until then keys go by the RA agent's
certificate (D13).
"""

from __future__ import annotations

import uuid

from ca_host import CaHost

ALICE = "alice@TPI.TEST"


def test_a_person_logs_in(ca: CaHost) -> None:
    answer = ca.call("alice", "GET", "/account/login", subsystem="kra")
    assert (answer.status, answer.json["id"]) == (200, ALICE)
    assert "cn=ca-operators,cn=groups,cn=accounts,dc=tpi,dc=test" in answer.json["Roles"]["Role"]


def test_without_a_ticket_nothing_reaches_the_kra(ca: CaHost) -> None:
    assert ca.call("", "GET", "/account/login", subsystem="kra").status == 401


def test_who_has_no_right_is_refused_by_the_realms_acls(ca: CaHost) -> None:
    assert ca.call("carol", "GET", "/agent/keys", subsystem="kra").status == 403


def test_retrieving_a_key_breaks_for_people_who_have_the_right(ca: CaHost) -> None:
    # Requests can be looked at and keys be made: she has the right.
    assert ca.call("alice", "GET", "/agent/keyrequests", subsystem="kra").status == 200
    wanted = {
        "clientKeyID": uuid.uuid4().hex,
        "keyAlgorithm": "AES",
        "keySize": "128",
        "keyUsage": "wrap,unwrap",
    }
    body = {
        "ClassName": "com.netscape.certsrv.key.SymKeyGenerationRequest",
        "Attributes": {"Attribute": [{"name": name, "value": value} for name, value in wanted.items()]},
    }
    made = ca.call("alice", "POST", "/agent/keyrequests", body=body, subsystem="kra")
    assert made.status == 201, made
    number = made.json["RequestInfo"]["keyURL"].rpartition("/")[2]
    wish = {
        "ClassName": "com.netscape.certsrv.key.KeyRecoveryRequest",
        "Attributes": {"Attribute": [{"name": "keyId", "value": number}]},
    }
    answer = ca.call("alice", "POST", "/agent/keys/retrieve", body=wish, subsystem="kra")
    assert answer.status == 500, answer
    assert "com.netscape.cms.realm.PKIPrincipal" in answer.text
