"""The KRA knows people of the realm when they log in, and gives no key out to them: for that it knows its own users only.

Keys go by the RA agent's certificate (D13).
"""

from __future__ import annotations

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


def test_nobody_of_the_realm_has_a_right_to_keys(ca: CaHost) -> None:
    """What happens to whom an ACL lets through is in test_acls_channel.py."""
    for path in ("/agent/keys", "/agent/keyrequests", "/admin/users", "/audit"):
        assert ca.call("alice", "GET", path, subsystem="kra").status == 403
