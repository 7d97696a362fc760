"""What the directory says, read once for one decision, as the caller may see it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ipa_tpi_validator.principals import Principal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Kind(Enum):
    """What an entry is, by the place where it lies."""

    USER = "user"
    HOST = "host"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of somebody who can have certificates.

    Attributes:
        dn: In normal form.
        kind: By its place.
        name: The value that names it: uid, fqdn or krbPrincipalName.
        canonical: The one name that the KDC gives it.
        aliases: Every name that it bears, the canonical one included.
        mails: Its addresses.
        groups: Names of the groups (of a user) or host groups (of a host) that it is in, directly or not.
        writable: Whether the caller may write its userCertificate.
    """

    dn: str
    kind: Kind
    name: str
    canonical: str
    aliases: frozenset[str]
    mails: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    writable: bool = False


@dataclass(frozen=True, slots=True)
class CaAcl:
    """A CA ACL; names are the values that name the members' entries.

    Attributes:
        name: Its cn.
        enabled: Whether it counts.
        any_ca: For every CA.
        cas: For these.
        any_profile: For every profile.
        profiles: For these.
        anybody: The kinds of whom it is for everybody.
        members: The names that it is for, of each kind.
        groups: The groups that it is for, of users and hosts.
    """

    name: str
    enabled: bool
    any_ca: bool = False
    cas: frozenset[str] = frozenset()
    any_profile: bool = False
    profiles: frozenset[str] = frozenset()
    anybody: frozenset[Kind] = frozenset()
    members: Mapping[Kind, frozenset[str]] = field(default_factory=dict)
    groups: Mapping[Kind, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Records:
    """DNS records of one name in a zone of ours.

    Attributes:
        addresses: A and AAAA.
        aliases: CNAME, absolute, without the last dot.
        pointers: PTR, likewise.
    """

    addresses: frozenset[Address] = frozenset()
    aliases: tuple[str, ...] = ()
    pointers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a decision is made of.

    Attributes:
        bound: Normal DN that the directory took the caller for.
        ca_configured: This host is known as one with a CA.
        cas: Names of the CAs by their ids, in lower case.
        operator: The caller's entry.
        subject: That of whom the certificate is for; None where there is none, or it is the realm's own krbtgt.
        others: Entries by the principal in whose name a further host was asked for; None where there is none.
        operations: Whether the caller has the right of a virtual operation; None where there is no such operation.
        acls: All CA ACLs that are enabled and can be about profile and subjects; never a part of them.
        servers: Names of the servers of this domain, lower case.
        kdcs: Names of those that are active KDCs.
        records: DNS records by name, lower case, without the last dot; a name of no zone of ours is absent.
    """

    bound: str
    ca_configured: bool
    cas: Mapping[str, str]
    operator: Entry | None
    subject: Entry | None
    others: Mapping[Principal, Entry | None] = field(default_factory=dict)
    operations: Mapping[str, bool | None] = field(default_factory=dict)
    acls: tuple[CaAcl, ...] = ()
    servers: frozenset[str] = frozenset()
    kdcs: frozenset[str] = frozenset()
    records: Mapping[str, Records] = field(default_factory=dict)
