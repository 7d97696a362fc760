"""The directory (389-ds) as one bound principal sees it: policy, accounts, requests.

Implements `ipa_tpi.ports.Directory`.  Reads are complete or raise: a size or time limit, a
referral, or a lost connection is an error and never a shorter answer.  Every call has a timeout.
Searches filter on indexed attributes.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import gssapi
import ldap
import ldap.dn
import ldap.filter
from ldap.controls import RequestControl
from ldap.controls.psearch import PersistentSearchControl

from ipa_tpi.adapters.gss import bind
from ipa_tpi.adapters.ldap_options import prepare
from ipa_tpi.adapters.people import AT_ONCE, Sought, bearing, by_dn, by_name, hosts_named
from ipa_tpi.adapters.rules import read_operations, read_policy
from ipa_tpi.decide.intake import RawEntry, read_child, read_request
from ipa_tpi.errors import (
    DirectoryLimitError,
    DirectoryRefusedError,
    DirectoryUnavailableError,
    NotFoundError,
    RefusedError,
)
from ipa_tpi.model import (
    Account,
    Child,
    Group,
    HostEntry,
    Kind,
    Policy,
    Refuse,
    Request,
    Subtree,
)
from ipa_tpi.ports import Heading, NewEntry, People, Query

Raw = Mapping[str, Sequence[bytes]]
T = TypeVar("T")

_DN_ATTRIBUTES: Final = frozenset(
    {
        "creatorsname",
        "ipatpiexecutor",
        "ipatpimemberoperation",
        "ipatpirequestingprincipal",
        "ipatpirequiredgroup",
        "member",
        "memberhost",
        "memberof",
        "memberuser",
    },
)
_ACCOUNT: Final = [
    "objectClass",
    "krbPrincipalName",
    "krbCanonicalName",
    "ipaUniqueID",
    "memberOf",
    "nsAccountLock",
    "krbPrincipalExpiration",
    "createTimestamp",
    "displayName",
    "cn",
]
# All operational attributes, none by name: asked for "*" and creatorsName, 389-ds answers with the value of
# creatorsName;lang-xx, which whoever adds an entry can choose, in the place of its own stamp.
_WITH_OPERATIONAL: Final = ["*", "+"]
# 389-ds hides entries of this class from whoever does not name it, and makes replication conflicts such entries.
_ALL: Final = "(|(objectClass=*)(objectClass=ldapSubEntry))"
# 389-ds: only what is stored. Class of Service above cn=tpi could otherwise lay other values over an entry,
# creatorsName and memberUser included, without touching it. Critical: a server without it is not read from.
_REAL_ATTRIBUTES: Final = RequestControl("2.16.840.1.113730.3.4.17", criticality=True)
_UNREADABLE: Final[Mapping[str, Sequence[bytes]]] = {"nsaccountlock": [b"unreadable"]}
# A DN with nothing in it that could be spelled otherwise, apart from the case: nearly all that servers send.
_PLAIN_DN: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9-]*=[\w@./:-]+(?: [\w@./:-]+)*(?:,[A-Za-z][A-Za-z0-9-]*=[\w@./:-]+(?: [\w@./:-]+)*)*",
    re.ASCII,
)
_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_HEADING: Final = [
    "ipaTpiRequestId",
    "ipaTpiOperationName",
    "ipaTpiExecutor",
    "createTimestamp",
    "numSubordinates",
]
_ADD: Final = "add"
_EXECUTORS: Final = ("ipaTpiPreview", "ipaTpiReceipt", "ipaTpiExecution", "ipaTpiResult")
_NEWS: Final = f"(!(|{''.join(f'(objectClass={name})' for name in _EXECUTORS)}))"
_WATCH_SLICE_SECONDS: Final = 1.0
# How often a request is read that gained an entry while it was read.
_LOADS: Final = 3
# R-E22: the directory takes megabytes in one attribute of one entry, so what is read is held only up to a limit. A proof
# has some ten thousand; nothing else that counts has more than a few thousand.
_MOST_BYTES: Final = 8 * 1024 * 1024
_LONGEST_HINT: Final = 1024


def normal_dn(text: str) -> str:
    """Give the one spelling of a DN that everything here compares.

    Args:
        text: A DN as a server or a file spells it.

    Returns:
        Lower case, without optional spaces, escapes in one form.

    Raises:
        ValueError: It is not a DN.
    """
    if _PLAIN_DN.fullmatch(text) is not None:
        return text.lower()
    return _respelled(text)


def _respelled(text: str) -> str:
    try:
        # ASCII only: lower() would make one name of two (the Kelvin sign and k, for one).
        parts = ldap.dn.str2dn("".join(one.lower() if one.isascii() else one for one in text))
    except (ldap.DECODING_ERROR, UnicodeDecodeError) as error:
        raise ValueError(f"{text!a} is not a DN") from error
    return str(ldap.dn.dn2str(parts))


def executor_dn(host: str, realm: str, suffix: str) -> str:
    """Give the normal DN of the executor of a host.

    Args:
        host: Its name in lower case.
        realm: The realm.
        suffix: The suffix.

    Returns:
        ``krbprincipalname=tpi/host@realm,cn=services,cn=accounts,suffix`` in normal form.
    """
    return normal_dn(f"krbprincipalname=tpi/{host}@{realm},cn=services,cn=accounts,{suffix}")


def approve_permission_dn(suffix: str) -> str:
    """Give the normal DN of the permission without which nobody writes an approval."""
    return normal_dn(f"cn=TPI Approve,cn=permissions,cn=pbac,{suffix}")


def request_permission_dn(suffix: str) -> str:
    """Give the normal DN of the permission without which nobody writes a request."""
    return normal_dn(f"cn=TPI Request,cn=permissions,cn=pbac,{suffix}")


def open_directory(
    uri: str,
    ldap_host: str,
    suffix: str,
    credentials: gssapi.Credentials,
    person_attribute: str = "",
    timeout_seconds: int = 10,
) -> "LdapDirectory":
    """Connect and bind.

    Args:
        uri: ldapi or ldaps.
        ldap_host: The host of the service ``ldap/HOST``.
        suffix: The suffix.
        credentials: Whose ticket to bind with.
        person_attribute: The attribute that names the person behind an account; empty for none.
        timeout_seconds: For the connection and each answer.

    Returns:
        The bound directory; `close` it.

    Raises:
        DirectoryUnavailableError: It does not answer.
        DirectoryRefusedError: It does not accept the ticket (a locked account, for one).
        KerberosError: No ticket for it could be had.
    """
    with _translated("connect"):
        connection = prepare(uri, timeout_seconds)
        bind(connection, credentials, ldap_host)
    return LdapDirectory(connection, suffix, person_attribute)


class LdapDirectory:
    """One bound connection; see `ipa_tpi.ports.Directory` for what each method promises.

    Args:
        connection: A bound python-ldap connection.
        suffix: The suffix.
        person_attribute: As in `open_directory`.
    """

    def __init__(self, connection: Any, suffix: str, person_attribute: str = "") -> None:  # noqa: ANN401
        self._connection = connection
        self._suffix = suffix
        self._person_attribute = person_attribute

    def close(self) -> None:
        """End the connection; never raises."""
        try:
            self._connection.unbind_s()
        except ldap.LDAPError:
            return

    def whoami(self) -> str:
        """Tell the normal DN that the server took us for."""
        with _translated("ask who we are"):
            answer: str = self._connection.whoami_s()
        return normal_dn(answer.removeprefix("dn: ").removeprefix("dn:"))

    def policy(self, about: frozenset[str] | None = None) -> Policy:
        """Read rules, operations and operation groups."""
        return read_policy(self._policy_entries, self._top, about)

    def operations(self) -> Policy:
        """Read all operations, and no rules."""
        return read_operations(self._policy_entries, self._top)

    @property
    def _top(self) -> str:
        return normal_dn(f"cn=tpi,{self._suffix}")

    def _policy_entries(self, wanted: str, at_most: int) -> list[tuple[str, Raw]]:
        return self._search(self._top, ldap.SCOPE_SUBTREE, wanted, ["*"], at_most=at_most)

    def account(self, principal: str) -> Account | None:
        """Read the one account that bears this principal name."""
        wanted = ldap.filter.filter_format(
            "(&(objectClass=krbPrincipalAux)(krbPrincipalName=%s))", [principal]
        )
        found = self._search(
            f"cn=accounts,{self._suffix}", ldap.SCOPE_SUBTREE, wanted, self._account_attributes()
        )
        one = _only(principal, found)
        return self._to_account(*one, self._laid_over(one[0])) if one is not None else None

    def account_by_dn(self, dn: str) -> Account | None:
        """Read the account at a DN."""
        found = self._search(dn, ldap.SCOPE_BASE, "(objectClass=krbPrincipalAux)", self._account_attributes())
        return self._to_account(*found[0], self._laid_over(found[0][0])) if found else None

    def meet(self, dns: Collection[str] = (), hosts: Collection[str] = (), principal: str = "") -> People:
        """Read accounts and hosts: two searches for a few of them, however many they are of."""
        base = f"cn=accounts,{self._suffix}"
        terms = [by_name(principal)] if principal else []
        terms += [term for dn in sorted(dns) if (term := by_dn(dn, normal_dn(base))) is not None]
        found: dict[str, Raw] = {}
        locks: dict[str, Raw] = {}
        attributes = [*self._account_attributes(), "fqdn"]
        for start in range(0, max(len(terms), 1), AT_ONCE):
            sought = Sought(terms[start : start + AT_ONCE], hosts if start == 0 else ())
            if sought.people or sought.hosts:
                found |= self._search(base, ldap.SCOPE_SUBTREE, sought.everything(), attributes)
            if sought.people:
                locks |= self._search(
                    base, ldap.SCOPE_SUBTREE, sought.accounts(), ["nsAccountLock"], virtual=True
                )
        # What these did not bring is read at its place; then it is certain that it is not there.
        accounts = {
            dn: self._to_account(dn, found[dn], locks[dn])
            if dn in found and dn in locks
            else self.account_by_dn(dn)
            for dn in dns
        }
        return People(
            self._named(principal, found, locks) if principal else None,
            accounts,
            {fqdn: self._host_named(fqdn, found) for fqdn in hosts},
        )

    def candidates(self, permission: str) -> Sequence[Account]:
        """Read every person who has a permission: two searches, however many there are."""
        base = f"cn=users,cn=accounts,{self._suffix}"
        wanted = ldap.filter.filter_format("(&(objectClass=krbPrincipalAux)(memberOf=%s))", [permission])
        found = self._search(base, ldap.SCOPE_ONELEVEL, wanted, self._account_attributes())
        locks = dict(self._search(base, ldap.SCOPE_ONELEVEL, wanted, ["nsAccountLock"], virtual=True))
        return [self._to_account(dn, raw, locks.get(dn, _UNREADABLE)) for dn, raw in found]

    def targets(self) -> Sequence[str]:
        """List the names of the hosts that have an executor."""
        found = self._search(
            f"cn=executors,cn=tpi,{self._suffix}", ldap.SCOPE_BASE, "(objectClass=*)", ["member"]
        )
        members = [value.decode() for _, raw in found for value in raw.get("member", ())]
        services = f"@[^,]+,cn=services,cn=accounts,{re.escape(normal_dn(self._suffix))}"
        hosts = (re.fullmatch(rf"krbprincipalname=tpi/([a-z0-9.-]+){services}", dn) for dn in members)
        return sorted({host[1] for host in hosts if host is not None})

    def groups(self, names: frozenset[str]) -> Mapping[str, Group]:
        """Read groups by their DNs."""
        found: dict[str, Group] = {}
        for name in sorted(names):
            entries = self._search(name, ldap.SCOPE_BASE, "(objectClass=*)", ["modifyTimestamp", "memberOf"])
            modified = _time(_first(entries[0][1], "modifytimestamp")) if entries else None
            if modified is not None:
                above = frozenset(value.decode() for value in entries[0][1].get("memberof", ()))
                found[name] = Group(name, modified, above)
        return found

    def host(self, fqdn: str) -> HostEntry | None:
        """Read the entry of a host."""
        return self.meet(hosts=(fqdn,)).hosts[fqdn]

    def load(self, request_id: str) -> Subtree | None:
        """Read a request with everything below it."""
        found = self._whole(self._request_dn(request_id))
        if not found:
            return None
        top, *below = found
        request = read_request(_to_raw(*top))
        if isinstance(request, Refuse):
            raise RefusedError(request.message, code=request.code)
        return _to_subtree(request, [_to_raw(*entry) for entry in below])

    def ids(self, query: Query) -> Sequence[str]:
        """List the ids of requests; see `headings`."""
        return [heading.id for heading in self.headings(query)]

    def headings(self, query: Query) -> Sequence[Heading]:
        """List requests, with what can be chosen by, in one search."""
        terms = ["(objectClass=ipaTpiRequest)"]
        if query.creator:
            terms.append(ldap.filter.filter_format("(creatorsName=%s)", [query.creator]))
        if query.executor:
            terms.append(ldap.filter.filter_format("(ipaTpiExecutor=%s)", [query.executor]))
        if query.operation:
            terms.append(ldap.filter.filter_format("(ipaTpiOperationName=%s)", [query.operation]))
        if query.target:
            terms.append(ldap.filter.filter_format("(ipaTpiTarget=%s)", [query.target]))
        terms.append(_between(query.since, query.until))
        found = self._stream(self._requests_dn(), ldap.SCOPE_ONELEVEL, f"(&{''.join(terms)})", _HEADING)
        headings = [
            Heading(
                _first(raw, "ipatpirequestid")[:_LONGEST_HINT],
                _created(dn, raw),
                _first(raw, "ipatpioperationname")[:_LONGEST_HINT],
                _first(raw, "ipatpiexecutor")[:_LONGEST_HINT],
                int(_first(raw, "numsubordinates") or 0),
            )
            for dn, raw in found
        ]
        return [one for one in headings if one.id.startswith(query.prefix)]

    def answered(self, executor: str, since: datetime, until: datetime) -> frozenset[str]:
        """List the ids of requests that bear a result.

        Args:
            executor: DN of the executor whose results count.
            since: Only results made at or after this time.
            until: Only results made at or before this time.

        Raises:
            DirectoryLimitError: There are more than the directory gives at once.
        """
        return self._above("(objectClass=ipaTpiResult)", executor, since, until)

    def spoken(self, creator: str, since: datetime | None, until: datetime | None) -> frozenset[str]:
        """List the ids of requests that bear somebody's approval or denial."""
        classes = "(|(objectClass=ipaTpiApproval)(objectClass=ipaTpiDenial))"
        return self._above(classes, creator, since, until)

    def add_request(self, entry: NewEntry) -> None:
        """Add a request."""
        self._add(self._request_dn(entry.entry_id), "ipaTpiRequestId", entry)

    def add_child(self, request_id: str, entry: NewEntry) -> None:
        """Add an entry below a request."""
        self._add(self.child_dn(request_id, entry.entry_id), "ipaTpiEntryId", entry)

    def raw_child(self, request_id: str, entry_id: str) -> RawEntry | None:
        """Read one entry below a request, as it lies there; None when there is none."""
        found = self._search(
            self.child_dn(request_id, entry_id),
            ldap.SCOPE_BASE,
            _ALL,
            _WITH_OPERATIONAL,
        )
        return _to_raw(*found[0]) if found else None

    def whole(self, request_id: str) -> Sequence[RawEntry]:
        """Read a request and all below it as it lies there, malformed or not.

        Returns:
            The request first; nothing where it is not there.

        Raises:
            DirectoryUnavailableError: It does not show all that lies there.
        """
        return [_to_raw(*entry) for entry in self._whole(self._request_dn(request_id))]

    def remove(self, dn: str) -> None:
        """Delete one entry below cn=requests that has none below it; one that is gone is gone.

        Args:
            dn: Its DN, as `whole` gave it.

        Raises:
            DirectoryRefusedError: The directory's access control says no.
            DirectoryUnavailableError: It could not be deleted, or nobody knows whether it was.
        """
        if not normal_dn(dn).endswith(
            "," + normal_dn(self._requests_dn())
        ):  # R-K17: nothing else is ever deleted
            raise DirectoryRefusedError(f"{dn} is not below cn=requests, so it is left alone; report this")
        try:
            with _translated("remove"):
                self._connection.delete_s(dn)
        except NotFoundError:
            return

    def maintains(self, executor: str) -> bool:
        """Tell whether an executor is one of those who may maintain policy and remove requests.

        Args:
            executor: Its DN.
        """
        wanted = ldap.filter.filter_format("(member=%s)", [executor])
        group = f"cn=policy-executors,cn=tpi,{self._suffix}"
        return bool(self._search(group, ldap.SCOPE_BASE, wanted, ["1.1"]))

    def child_dn(self, request_id: str, entry_id: str) -> str:
        """Give the DN of an entry below a request."""
        return f"ipaTpiEntryId={ldap.dn.escape_dn_chars(entry_id)},{self._request_dn(request_id)}"

    def watch(self, stop: Callable[[], bool]) -> Iterator[str]:
        """Watch for additions below cn=requests by a persistent search; what executors add is no news.

        Args:
            stop: Asked about once a second; the watch ends when it answers True.

        Yields:
            The id of each request that something was added to, and ``""`` once at the start, when
            additions from now on are seen.

        Raises:
            DirectoryUnavailableError: The connection is lost.
        """
        control = PersistentSearchControl(changeTypes=["add"], changesOnly=True, returnECs=False)
        with _translated("watch the requests"):
            message = self._connection.search_ext(
                self._requests_dn(),
                ldap.SCOPE_SUBTREE,
                _NEWS,
                ["1.1"],
                serverctrls=[control],
            )
            yield ""
            while not stop():
                try:
                    kind, data, _, _ = self._connection.result3(message, all=0, timeout=_WATCH_SLICE_SECONDS)
                except ldap.TIMEOUT:
                    continue
                if kind == ldap.RES_SEARCH_RESULT:
                    raise DirectoryUnavailableError(
                        "the directory ended the watch; it is begun again by itself"
                    )
                for dn, _ in data:
                    yield self._request_id_of(dn)

    def _whole(self, base: str) -> list[tuple[str, Raw]]:
        """Read an entry and all below it, the entry first; nothing if it is not there."""
        # R-K15: whoever may write an ACI above cn=tpi can deny us to read a veto or a withdrawal. That shows in the
        # count of the entries below, which the server keeps without regard to access control.
        dn = normal_dn(base)
        for _ in range(_LOADS):
            found = self._held(base)
            top = [entry for entry in found if entry[0] == dn]
            below = [entry for entry in found if entry[0] != dn]
            # "+" brings it only where it is not 0.
            count = _first(top[0][1], "numsubordinates") if top else ""
            if not below and not count:
                return top
            if count.isdecimal() and len(below) >= int(count):
                return top + below
        raise DirectoryUnavailableError(
            f"the directory shows {len(below)} of {count or 'an unknown number of'} entries below {dn}; "
            "look for an access rule above cn=tpi that hides some"
        )

    def _above(
        self, classes: str, creator: str, since: datetime | None, until: datetime | None
    ) -> frozenset[str]:
        made_by = ldap.filter.filter_format("(creatorsName=%s)", [creator])
        wanted = f"(&{classes}{made_by}{_between(since, until)})"
        found = self._search(self._requests_dn(), ldap.SCOPE_SUBTREE, wanted, ["1.1"])
        return frozenset(self._request_id_of(dn) for dn, _ in found)

    def _request_id_of(self, dn: str) -> str:
        parts = normal_dn(dn).removesuffix("," + normal_dn(self._requests_dn())).split(",")
        return parts[-1].removeprefix("ipatpirequestid=")

    def _requests_dn(self) -> str:
        return f"cn=requests,cn=tpi,{self._suffix}"

    def _request_dn(self, request_id: str) -> str:
        return f"ipaTpiRequestId={ldap.dn.escape_dn_chars(request_id)},{self._requests_dn()}"

    def _account_attributes(self) -> list[str]:
        return [*_ACCOUNT, self._person_attribute] if self._person_attribute else _ACCOUNT

    def _named(self, principal: str, found: Mapping[str, Raw], locks: Mapping[str, Raw]) -> Account | None:
        one = _only(principal, bearing(principal, found.items()))
        return self._to_account(*one, locks.get(one[0], _UNREADABLE)) if one is not None else None

    def _host_named(self, fqdn: str, found: Mapping[str, Raw]) -> HostEntry | None:
        computers = normal_dn(f"cn=computers,cn=accounts,{self._suffix}")
        named = hosts_named(fqdn, computers, found.items())
        if len(named) != 1:
            return None
        dn, raw = named[0]
        return HostEntry(dn, fqdn, frozenset(value.decode() for value in raw.get("memberof", ())))

    def _laid_over(self, dn: str) -> Raw:
        # A lock may well be laid over an account (a role, Class of Service); everything else is what is stored.
        locks = self._search(dn, ldap.SCOPE_BASE, "(objectClass=*)", ["nsAccountLock"], virtual=True)
        return locks[0][1] if locks else _UNREADABLE

    def _to_account(self, dn: str, raw: Raw, laid_over: Raw) -> Account:
        names = [value.decode("utf-8", "replace") for value in raw.get("krbprincipalname", ())]
        canonical = _first(raw, "krbcanonicalname") or (names[0] if len(names) == 1 else "")
        persons = raw.get(self._person_attribute.lower(), ()) if self._person_attribute else ()
        return Account(
            dn=dn,
            unique_id=_first(raw, "ipauniqueid"),
            principal=canonical,
            kind=self._kind(dn),
            created=_time(_first(raw, "createtimestamp")) or datetime.max.replace(tzinfo=UTC),
            persons=tuple(value.decode("utf-8", "replace") for value in persons),
            member_of=frozenset(value.decode() for value in raw.get("memberof", ())),
            disabled=any(
                _first(one, "nsaccountlock").lower() not in {"", "false"} for one in (raw, laid_over)
            ),
            expires=_time(_first(raw, "krbprincipalexpiration")),
            display_name=_first(raw, "displayname") or _first(raw, "cn"),
        )

    def _kind(self, dn: str) -> Kind:
        # R-K02: only entries directly below cn=users are people.
        parent = dn.partition(",")[2]
        if parent == normal_dn(f"cn=users,cn=accounts,{self._suffix}"):
            return Kind.PERSON
        return Kind.HOST if parent == normal_dn(f"cn=computers,cn=accounts,{self._suffix}") else Kind.SERVICE

    def _search(
        self,
        base: str,
        scope: int,
        wanted: str,
        attributes: list[str],
        *,
        virtual: bool = False,
        at_most: int = 0,
    ) -> list[tuple[str, Raw]]:
        controls = [] if virtual else [_REAL_ATTRIBUTES]
        try:
            with _translated("read"):
                found = self._connection.search_ext_s(
                    base, scope, wanted, attributes, serverctrls=controls, sizelimit=at_most
                )
        except NotFoundError:
            return []
        return [(normal_dn(dn), _normal(raw)) for dn, raw in found if dn is not None]

    def _stream(self, base: str, scope: int, wanted: str, attributes: list[str]) -> Iterator[tuple[str, Raw]]:
        """Search, and give one entry after the other, so that no more of them need be held than are wanted."""
        try:
            with _translated("read"):
                message = self._connection.search_ext(
                    base, scope, wanted, attributes, serverctrls=[_REAL_ATTRIBUTES]
                )
                kind = ldap.RES_SEARCH_ENTRY
                try:
                    while kind != ldap.RES_SEARCH_RESULT:
                        kind, data, _, _ = self._connection.result3(message, all=0)
                        yield from ((normal_dn(dn), _normal(raw)) for dn, raw in data if dn is not None)
                except GeneratorExit:
                    self._connection.abandon(message)
                    raise
        except NotFoundError:
            return

    def _held(self, request_dn: str) -> list[tuple[str, Raw]]:
        """Read a request and all below it, which may be no more than the directory gives and we hold."""
        held: list[tuple[str, Raw]] = []
        left = _MOST_BYTES
        try:
            for dn, raw in self._stream(request_dn, ldap.SCOPE_SUBTREE, _ALL, _WITH_OPERATIONAL):
                left -= len(dn) + sum(len(name) + sum(map(len, values)) for name, values in raw.items())
                if left < 0:
                    break
                held.append((dn, raw))
        except DirectoryLimitError:
            left = -1
        if left < 0:
            # No error that passes: whoever reads many requests would be stopped by this one for good.
            raise RefusedError(
                "the request and what lies below it are larger than can be read; make a new request, and tell an auditor",
                code="malformed-request",
            )
        return held

    def _add(self, dn: str, rdn: str, entry: NewEntry) -> None:
        values = {name: list(given) for name, given in entry.attributes.items()}
        content = [("objectClass", [b"top", entry.object_class.encode()]), (rdn, [entry.entry_id.encode()])]
        content += values.items()
        with _translated(_ADD):
            self._connection.add_s(dn, content)


def _only(principal: str, found: Sequence[tuple[str, Raw]]) -> tuple[str, Raw] | None:
    if len(found) > 1:
        raise RefusedError(
            f"several accounts bear the name {principal!a}; ask an administrator", code="ambiguous-principal"
        )
    return found[0] if found else None


def _normal(raw: Mapping[str, Sequence[bytes]]) -> Raw:
    return {name.lower(): _normal_values(name.lower(), values) for name, values in raw.items()}


def _normal_values(name: str, values: Sequence[bytes]) -> Sequence[bytes]:
    if name in _DN_ATTRIBUTES:
        return [_normal_value(value) for value in values]
    return [_normal_stage(value) for value in values] if name == "ipatpistage" else values


def _normal_stage(value: bytes) -> bytes:
    order, first, rest = value.partition(b":")
    count, second, dn = rest.partition(b":")
    return order + first + count + second + _normal_value(dn) if second else value


def _normal_value(value: bytes) -> bytes:
    try:
        return normal_dn(value.decode("utf-8")).encode()
    except ValueError:
        return value


def _created(dn: str, raw: Raw) -> datetime:
    created = _time(_first(raw, "createtimestamp"))
    if created is None:
        raise DirectoryUnavailableError(
            f"the directory shows no createTimestamp of {dn}; check the ACIs: ipa-tpi converge"
        )
    return created


def _to_raw(dn: str, raw: Raw) -> RawEntry:
    return RawEntry(
        dn, _first(raw, "creatorsname"), _created(dn, raw), raw, conflict="nsds5replconflict" in raw
    )


def _to_subtree(request: Request, below: list[RawEntry]) -> Subtree:
    children: list[Child] = []
    malformed: dict[str, str] = {}
    for raw in below:
        child = read_child(raw)
        if isinstance(child, Refuse):
            malformed[raw.dn] = child.message
        else:
            children.append(child)
    return Subtree(request, tuple(children), malformed)


def _first(raw: Raw, name: str) -> str:
    return next(iter(raw.get(name, ())), b"").decode("utf-8", "replace")


def _between(since: datetime | None, until: datetime | None) -> str:
    terms = (("createTimestamp>=", since), ("createTimestamp<=", until))
    return "".join(
        f"({name}{moment.astimezone(UTC):%Y%m%d%H%M%SZ})" for name, moment in terms if moment is not None
    )


def _time(text: str) -> datetime | None:
    if not text:
        return None
    parts = _TIME.fullmatch(text)
    try:
        year, month, day, hour, minute, second = map(int, parts.groups() if parts is not None else ())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise DirectoryUnavailableError(
            f"the directory holds a time that cannot be read: {text!a}; ask an administrator to correct it"
        ) from error


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn python-ldap's exceptions into ours."""
    try:
        yield
    except ldap.NO_SUCH_OBJECT as error:
        raise NotFoundError("the directory has no such entry; look again: ipa-tpi list") from error
    except (ldap.INSUFFICIENT_ACCESS, ldap.INVALID_CREDENTIALS, ldap.INAPPROPRIATE_AUTH) as error:
        raise DirectoryRefusedError(
            f"the directory refused to {what}: {_info(error)}; ask an administrator for the role that it takes"
        ) from error
    except ldap.UNWILLING_TO_PERFORM as error:
        raise DirectoryRefusedError(
            f"the directory is not willing to {what}: {_info(error)}; ask an administrator"
        ) from error
    except ldap.ALREADY_EXISTS as error:
        raise RefusedError(
            "there is an entry with this id already; try again, which makes a new id", code="id-taken"
        ) from error
    except ldap.CONSTRAINT_VIOLATION as error:
        raise RefusedError(
            "the directory holds a voice of yours below this request already; a voice is used once",
            code="already-voiced",
        ) from error
    except (ldap.SIZELIMIT_EXCEEDED, ldap.ADMINLIMIT_EXCEEDED) as error:
        raise DirectoryLimitError(
            f"the directory holds more entries than it gives at once ({_info(error)}); tell an administrator, "
            "and ask for fewer: ipa-tpi list --mine"
        ) from error
    except ldap.LDAPError as error:
        # Of an add that was sent nobody can tell whether it arrived.
        hint = (
            "it may have been recorded all the same: look before you try again"
            if what == _ADD
            else "nothing was changed that is not shown. Try again"
        )
        raise DirectoryUnavailableError(f"the directory could not {what}: {_info(error)}; {hint}.") from error


def _info(error: ldap.LDAPError) -> str:
    detail = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return str(detail.get("info") or detail.get("desc") or type(error).__name__).strip()
