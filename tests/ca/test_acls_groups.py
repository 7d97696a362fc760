"""What Dogtag hears of a person's memberships, and what it takes for a permission (D20).

Memberships reach it as DNs from memberOf, and it compares them letter by letter. An attacker who administers groups
chooses names: one that reads like a permission would make him whoever he likes, if anything but the whole DN counted.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import ajp
import ldap
import pytest
from apache import weakened
from ca_calls import ACCEPTS
from ca_host import CaHost
from ca_profile import profile_text
from ca_ways import told
from ldap.dn import escape_dn_chars

from ipa_tpi_acls.dogtag.declaration import CA_GRANTS
from ipa_tpi_acls.dogtag.generate import permission_dn
from lab.ca_settings import CONTROLLED, SITE
from lab.ca_spawn import AJP_SECRET
from lab.gss_bind import bind
from lab.layout import SUFFIX

IPA, DAVE = "ipa1.tpi.test", "dave@TPI.TEST"
GROUPS = f"cn=groups,cn=accounts,{SUFFIX}"
MANY, LONG = 200, "x" * 60
# Of Tomcat's connector and of Apache, where nobody says otherwise (AJP).
USUAL_PACKET = 8192
RIGHT = "System: Import Certificate Profile"
# Longer than SSSD keeps what it knows (entry_cache_timeout).
FORGOTTEN_SECONDS = 7.0
# Groups of an administrator of groups, with dave in them: each reads like the permission, or begins like it.
LIKE_IT = tuple(
    f"cn={escape_dn_chars(name)},{parent}"
    for name, parent in (
        (RIGHT, GROUPS),
        (permission_dn(RIGHT, SUFFIX), GROUPS),
        ('a" || user="anybody', GROUPS),
        ("#<>;+,= =x", GROUPS),
        (RIGHT.upper(), f"cn=roles,cn=accounts,{SUFFIX}"),
        (RIGHT, f"cn=privileges,cn=pbac,{SUFFIX}"),
        (RIGHT, f"cn=hostgroups,cn=accounts,{SUFFIX}"),
    )
)


def person_dn(uid: str) -> bytes:
    return f"uid={uid},cn=users,cn=accounts,{SUFFIX}".encode()


@pytest.fixture(scope="module", autouse=True)
def _memberships(ca: CaHost) -> Iterator[None]:
    """Let adam, who may, put frank and Heidi into many groups, and dave into groups with names of his choice."""
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, "/etc/ipa/ca.crt")
    adam = bind(f"ldaps://{IPA}", ca.ccache("adam").removeprefix("FILE:"), IPA)
    many = [f"cn=many{number:03}{LONG},{GROUPS}" for number in range(MANY)]
    with ExitStack() as stack:
        stack.callback(adam.unbind_s)
        for dn in (*many, *LIKE_IT):
            who = [person_dn("dave")] if dn in LIKE_IT else [person_dn("frank"), person_dn("Heidi")]
            name = ldap.dn.str2dn(dn)[0][0][1]
            values = {
                "objectClass": [b"top", b"groupOfNames", b"nestedGroup"],
                "cn": [name.encode()],
                "member": who,
            }
            adam.add_ext_s(dn, list(values.items()))
            stack.callback(adam.delete_ext_s, dn)
        time.sleep(FORGOTTEN_SECONDS)
        yield


def bring_in(ca: CaHost, person: str) -> int:
    """Let somebody make a profile, which takes one permission here; it is removed again."""
    assert not [name for name in CONTROLLED if name.startswith("dogtag.profile.")]
    name = f"groups{uuid.uuid4().hex[:8]}"
    status = ca.call(person, "POST", "/profiles/raw", raw=profile_text(name, ACCEPTS)).status
    there = ca.call("alice", "DELETE", f"/profiles/{name}").status == 204
    assert there is (status == 201)
    return status


def test_r_d20_memberships_in_number_arrive_and_are_judged(ca: CaHost) -> None:
    for person, status in (("frank", 201), ("Heidi", 403)):
        groups = ca.roles(person)
        assert len([name for name in groups if LONG in name]) == MANY
        assert (permission_dn(RIGHT, SUFFIX) in groups) is (status == 201)
        size = sum(len(name) + len(value) for name, value in told(groups).items())
        assert size > 3 * USUAL_PACKET
        assert bring_in(ca, person) == status


def test_r_d20_with_packets_of_the_usual_size_they_would_not(ca: CaHost) -> None:
    with weakened({"ProxyIOBufferSize 65536": f"ProxyIOBufferSize {USUAL_PACKET}"}, SITE):
        assert ca.call("frank", "GET", "/account/login").status == 400
        assert ca.call("dave", "GET", "/account/login").status == 200
    assert ca.call("frank", "GET", "/account/login").status == 200


def test_r_d20_a_packet_holds_twice_as_many() -> None:
    """The one that counts is the last; with it, and without, the answer is the right one."""
    groups = [f"cn=more{number:03}{LONG},{GROUPS}" for number in range(2 * MANY)]
    status, text = ajp.ask("/ca/rest/account/login", user=DAVE, attributes=told(groups), secret=AJP_SECRET)
    assert (status, text.count(LONG)) == (200, 2 * MANY)
    assert asked("DELETE /profiles/none", groups) == 403
    assert asked("DELETE /profiles/none", [*groups, permission_dn(RIGHT, SUFFIX)]) == 404


def test_r_d20_a_name_like_a_permissions_is_none(ca: CaHost) -> None:
    groups = ca.roles("dave")
    arrived = {tuple(map(tuple, parts)) for parts in map(parsed, groups)}
    for dn in LIKE_IT:
        assert parsed(dn) in arrived, dn
    assert bring_in(ca, "dave") == 403


@pytest.mark.parametrize("name", sorted({name for grant in CA_GRANTS for name in grant.permissions}))
def test_r_d20_only_the_whole_dn_as_it_is_stored_counts(name: str) -> None:
    """At the connector, with its secret, as if Apache had said it: the permission's DN, and what is almost that."""
    dn = permission_dn(name, SUFFIX)
    path = next(path for names, path in ASKED.items() if name in names)
    assert asked(path, [dn]) != 403
    almost = (
        dn.lower(),
        dn.upper(),
        dn.replace(",", ", "),
        f" {dn}",
        f"{dn} ",
        f"{dn},dc=org",
        f"cn=x+{dn}",
        dn.replace("cn=permissions", "cn=groups"),
        dn.partition(",")[0],
        name,
        f'{dn}" || user="anybody',
    )
    for other in almost:
        assert asked(path, [other]) == 403, other
    assert asked(path, list(almost)) == 403


# A call for each permission, of which the answer is another than 403 for who has it; none changes anything.
ASKED = {
    ("Revoke Certificate", "Certificate Remove Hold"): "POST /agent/certs/0xffffff/unrevoke",
    ("System: Add CA",): "POST /authorities",
    ("System: Modify CA",): "POST /authorities/none/disable",
    ("System: Delete CA",): "DELETE /authorities/none",
    (
        RIGHT,
        "System: Modify Certificate Profile",
        "System: Delete Certificate Profile",
    ): "DELETE /profiles/none",
}


def asked(what: str, groups: list[str]) -> int:
    """Ask at the connector as dave with memberships of one's choice, and with the channel's group."""
    method, _, path = what.partition(" ")
    body = "{}" if path == "/authorities" else ""
    attributes = told(["tpi-dispatch", *groups])
    return ajp.ask(
        f"/ca/rest{path}",
        user=DAVE,
        attributes=attributes,
        secret=AJP_SECRET,
        method=method,
        body=body,
    )[0]


def parsed(dn: str) -> tuple[tuple[str, str], ...]:
    """Return a DN's parts, however its special characters are written."""
    return tuple((part[0][0].lower(), part[0][1]) for part in ldap.dn.str2dn(dn))
