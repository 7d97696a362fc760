"""Who lives in the laboratory: people, groups, services and hosts, as tables.

They are chosen for the tests: nested groups, an admin without and one with a role, two accounts of one person, aliases,
and names that differ only in case.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from lab.entries import Entry, entry
from lab.layout import OTHER_HOST, Layout

_NAMESPACE = uuid.UUID("0f6a6c5e-7f0d-4b5c-9d4e-2a1f3c5b7d90")


@dataclass(frozen=True)
class Person:
    """Somebody with an account.

    Args:
        uid: login name, and first component of the principal.
        given: first name.
        surname: last name.
        number: employeeNumber, the attribute that tells persons apart.
        aliases: further names of the principal, without the realm.
    """

    uid: str
    given: str
    surname: str
    number: str
    aliases: tuple[str, ...] = ()

    @property
    def password(self) -> str:
        """Return the password, which is known to everybody who reads this."""
        return f"{self.uid}-Secret.1"

    def principal(self, realm: str) -> str:
        """Return the canonical principal name."""
        return f"{self.uid}@{realm}"

    def dn(self, suffix: str) -> str:
        """Return the name of the person's entry."""
        return f"uid={self.uid},cn=users,cn=accounts,{suffix}"


@dataclass(frozen=True)
class Group:
    """A group: its members are people by uid and groups with an @ in front.

    With a number it is a POSIX group, as FreeIPA's are by default: SSSD knows no others.
    """

    name: str
    description: str
    members: tuple[str, ...] = ()
    number: int | None = None

    def dn(self, suffix: str) -> str:
        """Return the name of the group's entry."""
        return f"cn={self.name},cn=groups,cn=accounts,{suffix}"


PEOPLE = (
    Person("alice", "Alice", "Smith", "1001", ("alice.smith", "ALICE")),
    Person("bob", "Bob", "Brown", "1002"),
    Person("carol", "Carol", "Clark", "1003"),
    Person("dave", "Dave", "Davis", "1004"),
    Person("adam", "Adam", "Adams", "1005"),
    Person("erin", "Erin", "Evans", "1006"),
    Person("erin-admin", "Erin", "Evans", "1006"),
    Person("frank", "Frank", "Fisher", "1007"),
    Person("grace", "Grace", "Green", "1008"),
    Person("Heidi", "Heidi", "Hill", "1009"),
)

GROUPS = (
    Group("admins", "Account administrators group", ("adam", "erin-admin")),
    Group("ipausers", "Default group for all users", tuple(person.uid for person in PEOPLE)),
    Group("editors", "Limited admins who can edit other users"),
    Group("tpi-operators-day", "Day shift of the operators", ("alice", "bob", "carol", "erin", "erin-admin")),
    Group("tpi-operators", "Operators: ask for operations and approve them", ("@tpi-operators-day",)),
    Group("tpi-requesters", "People who may ask but not approve", ("grace",)),
    Group("ca-operators", "Operators of the certificate authority", ("alice", "bob"), 20001),
)

SERVICES = ("ldap", "HTTP", "tpi")


def unique_id(dn: str) -> str:
    """Return the ipaUniqueID that an entry of the laboratory always gets."""
    return str(uuid.uuid5(_NAMESPACE, dn))


def person_entries(layout: Layout) -> Iterator[Entry]:
    """Yield the people; principal names and keys come with the KDC (`lab.kdc`)."""
    for number, person in enumerate(PEOPLE, start=10001):
        dn = person.dn(layout.suffix)
        yield entry(
            dn,
            "person organizationalPerson inetOrgPerson inetUser posixAccount ipaObject ipaSshUser",
            uid=person.uid,
            cn=f"{person.given} {person.surname}",
            sn=person.surname,
            givenName=person.given,
            displayName=f"{person.given} {person.surname}",
            employeeNumber=person.number,
            mail=f"{person.uid}@tpi.test",
            uidNumber=str(number),
            gidNumber=str(number),
            homeDirectory=f"/home/{person.uid}",
            loginShell="/bin/sh",
            ipaUniqueID=unique_id(dn),
        )


def group_entries(layout: Layout) -> Iterator[Entry]:
    """Yield the groups, those that are members of others first."""
    for group in GROUPS:
        dn = group.dn(layout.suffix)
        members = [_member_dn(name, layout.suffix) for name in group.members]
        attributes: dict[str, str | list[str]] = {"member": members} if members else {}
        if group.number is not None:
            attributes["gidNumber"] = str(group.number)
        yield entry(
            dn,
            "groupOfNames nestedGroup ipaUserGroup ipaObject" + " posixGroup" * (group.number is not None),
            cn=group.name,
            description=group.description,
            ipaUniqueID=unique_id(dn),
            **attributes,
        )


def host_entries(layout: Layout) -> Iterator[Entry]:
    """Yield the hosts: ours, another one that must never be taken for it, and that of the CA."""
    for name in (layout.host, OTHER_HOST, *_ca_hosts(layout)):
        dn = host_dn(layout, name)
        yield entry(
            dn,
            "nsHost ipaObject ipaHost ipaService pkiUser",
            cn=name,
            fqdn=name,
            ipaUniqueID=unique_id(dn),
            managedBy=dn,
        )


def host_dn(layout: Layout, name: str | None = None) -> str:
    """Return the name of a host's entry; default: ours."""
    return f"fqdn={name or layout.host},cn=computers,cn=accounts,{layout.suffix}"


def service_dn(layout: Layout, service: str, host: str | None = None) -> str:
    """Return the name of a service's entry; default: on our host."""
    return f"krbprincipalname={layout.principal(service, host)},cn=services,cn=accounts,{layout.suffix}"


def services(layout: Layout) -> tuple[tuple[str, str], ...]:
    """Return service and host of every service of the realm."""
    ours = ((service, layout.host) for service in SERVICES)
    return (
        *ours,
        ("tpi", OTHER_HOST),
        *((service, host) for host in _ca_hosts(layout) for service in ("HTTP", "tpi")),
    )


def _ca_hosts(layout: Layout) -> tuple[str, ...]:
    return (layout.ca_host,) if layout.ca_host else ()


def _member_dn(name: str, suffix: str) -> str:
    if name.startswith("@"):
        return f"cn={name[1:]},cn=groups,cn=accounts,{suffix}"
    return f"uid={name},cn=users,cn=accounts,{suffix}"
