"""The directory, read as the caller: one bind with his ticket, a few searches, one `Snapshot`.

They go one after the other: several at once on one connection are no faster, and one time in four 389-ds leaves
the connection alone for 100 ms.
Nothing is read as the service itself: it has no account.  A search that a limit cuts short raises, so a
CA ACL, or the entry of somebody else, is never missing from a decision.  Rights are what the directory answers to
get-effective-rights about the caller himself, which it tells nobody else.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import gssapi
import ldap
import ldap.filter
from ldap.controls import LDAPControl, RequestControl, SimplePagedResultsControl

from ipa_tpi.adapters.directory import normal_dn
from ipa_tpi.adapters.gss import bind
from ipa_tpi.adapters.ldap_options import prepare
from ipa_tpi.decide.altnames import Dns, Ip
from ipa_tpi.decide.csr import Csr
from ipa_tpi.errors import DirectoryUnavailableError
from ipa_tpi_validator.addresses import reverse_name
from ipa_tpi_validator.case import IGNORE_CAACL, REQUEST, wanted_principals
from ipa_tpi_validator.checks import CA_NAME
from ipa_tpi_validator.entries import (
    Raw,
    acl_filter,
    first_text,
    may_write,
    read_acl,
    read_entry,
    read_records,
    texts,
)
from ipa_tpi_validator.environment import Question
from ipa_tpi_validator.principals import Principal
from ipa_tpi_validator.settings import Settings
from ipa_tpi_validator.snapshot import CaAcl, Entry, Records, Snapshot

_GET_EFFECTIVE_RIGHTS: Final = "1.3.6.1.4.1.42.2.27.9.5.2"
# As in `ipa_tpi.adapters.directory`: what is stored, and nothing that Class of Service lays over it.
_REAL_ATTRIBUTES: Final = RequestControl("2.16.840.1.113730.3.4.17", criticality=True)
_ACCOUNT: Final = [
    "krbPrincipalName",
    "krbCanonicalName",
    "uid",
    "fqdn",
    "mail",
    "memberOf",
    "userCertificate",
]
_PAGE: Final = 500
_AT_ONCE: Final = 16
_ACTIVE: Final = ("enabledService", "configuredService", "hiddenService")

Found = list[tuple[str, Raw]]


@contextmanager
def opened(settings: Settings, credentials: gssapi.Credentials) -> Iterator["Reader"]:
    """Connect and bind as the caller, for one decision.

    Args:
        settings: Where.
        credentials: The caller's.

    Yields:
        The bound directory.

    Raises:
        DirectoryUnavailableError: It does not answer, or not completely.
        KerberosError: No ticket for it could be had.
    """
    connection = None
    try:
        connection = prepare(settings.ldap_uri, settings.timeout_seconds)
        bind(connection, credentials, settings.ldap_host)
        yield Reader(connection, settings)
    except ldap.LDAPError as error:
        raise DirectoryUnavailableError(
            f"the directory did not answer in full ({type(error).__name__}); try again later"
        ) from error
    finally:
        if connection is not None:
            _unbind(connection)


class Reader:
    """A bound directory.

    Args:
        connection: A bound python-ldap connection.
        settings: Where.
    """

    def __init__(self, connection: Any, settings: Settings) -> None:  # noqa: ANN401 (python-ldap has no types)
        self._connection = connection
        self._settings = settings
        self._suffix = normal_dn(settings.suffix)

    def snapshot(self, question: Question, csr: Csr, subject: Principal) -> Snapshot:
        """Read all that a decision needs.

        Args:
            question: What is asked.
            csr: What the request asks for.
            subject: For whom.

        Returns:
            What the directory says.

        Raises:
            ldap.LDAPError: Something could not be read completely.
        """
        dn = str(self._connection.whoami_s()).removeprefix("dn:").strip()
        rights = LDAPControl(
            _GET_EFFECTIVE_RIGHTS, criticality=True, encodedControlValue=f"dn: {dn}".encode()
        )
        others = wanted_principals(csr, subject)
        names = list(dict.fromkeys([question.user, subject, *others]))
        entries = [
            entry
            for part in _account_filters(names)
            for where, raw in self._find(f"cn=accounts,{self._suffix}", part, _ACCOUNT, rights)
            if (entry := read_entry(where, raw, self._suffix)) is not None
        ]
        operations = self._find(
            f"cn=virtual operations,cn=etc,{self._suffix}",
            _any("cn", [REQUEST, IGNORE_CAACL]),
            ["cn", "objectClass"],
            rights,
        )
        about = [_bearing(entries, one) for one in dict.fromkeys([subject, *others])]
        wanted = acl_filter(question.profile, [entry for entry in about if entry is not None], self._suffix)
        cas, acls = self._certificate_authorities(wanted)
        hosts, kdcs, configured = self._servers(question, csr, subject)
        return Snapshot(
            bound=normal_dn(dn),
            ca_configured=configured,
            cas=cas,
            operator=_bearing(entries, question.user),
            subject=_bearing(entries, subject),
            others={one: _bearing(entries, one) for one in others},
            operations={REQUEST: None, IGNORE_CAACL: None}
            | {first_text(raw, "cn").lower(): may_write(raw, "objectclass") for _, raw in operations},
            acls=acls,
            servers=hosts,
            kdcs=kdcs,
            records=self._records(csr),
        )

    def _find(
        self, base: str, wanted: str, attributes: Sequence[str], *controls: RequestControl, one: bool = False
    ) -> Found:
        try:
            return self._ask(base, wanted, attributes, *controls, one=one)[0]
        except ldap.NO_SUCH_OBJECT:
            return []

    def _ask(
        self, base: str, wanted: str, attributes: Sequence[str], *controls: RequestControl, one: bool = False
    ) -> tuple[Found, Sequence[Any]]:
        """Search; give what is found, and the controls that came with it."""
        scope = ldap.SCOPE_BASE if one else ldap.SCOPE_SUBTREE
        message = self._connection.search_ext(
            base, scope, wanted, list(attributes), serverctrls=[_REAL_ATTRIBUTES, *controls]
        )
        _, found, _, more = self._connection.result3(message, timeout=self._settings.timeout_seconds)
        if any(dn is None for dn, _ in found):  # a referral: somebody else would have to be asked
            raise ldap.REFERRAL
        entries: Found = [
            (normal_dn(dn), {name.lower(): values for name, values in raw.items()}) for dn, raw in found
        ]
        return entries, more

    def _certificate_authorities(self, wanted: str) -> tuple[Mapping[str, str], tuple[CaAcl, ...]]:
        place = f"cn=ca,{self._suffix}"
        cas: dict[str, str] = {}
        acls: list[CaAcl] = []
        for _, raw in self._paged(place, f"(|(objectClass=ipaCa){wanted})"):
            if "ipaca" in {name.lower() for name in texts(raw, "objectclass")}:
                cas[first_text(raw, "ipacaid").lower()] = first_text(raw, "cn")
            else:
                acls.append(read_acl(raw, self._suffix))
        return cas, tuple(acls)

    def _paged(self, base: str, wanted: str) -> Found:
        """Search in pages, to the end: not a hundred, as the framework does, nor what a server gives at once."""
        found: Found = []
        page = SimplePagedResultsControl(True, size=_PAGE, cookie="")  # noqa: FBT003 (python-ldap's order)
        while True:
            try:
                part, controls = self._ask(base, wanted, ["*"], page)
            except ldap.NO_SUCH_OBJECT:
                return found
            found += part
            cookies = [
                one.cookie for one in controls if one.controlType == SimplePagedResultsControl.controlType
            ]
            if not cookies or not cookies[0]:
                return found
            page.cookie = cookies[0]

    def _servers(
        self, question: Question, csr: Csr, subject: Principal
    ) -> tuple[frozenset[str], frozenset[str], bool]:
        hosts, kdcs, configured = set(), set(), False
        for service, host in self._wanted_servers(question, csr, subject):
            where = self._server_dn(service, host)
            for dn, raw in self._find(where, "(objectClass=*)", ["cn", "ipaConfigString"], one=True):
                if dn != normal_dn(where):
                    continue
                is_active = not {value.lower() for value in texts(raw, "ipaconfigstring")}.isdisjoint(
                    one.lower() for one in _ACTIVE
                )
                if service == "CA":
                    configured = configured or is_active
                elif service == "KDC":
                    kdcs |= {host} if is_active else set()
                else:
                    hosts.add(host)
        return frozenset(hosts), frozenset(kdcs), configured

    def _wanted_servers(self, question: Question, csr: Csr, subject: Principal) -> Iterator[tuple[str, str]]:
        """List the services of servers that a decision is about; no service for the server itself."""
        yield "CA", self._settings.host.lower()
        if subject.is_krbtgt:
            hosts = [question.user.second, *(one.name for one in csr.names if isinstance(one, Dns))]
            yield from (("KDC", host.lower()) for host in hosts if host)
        if subject.second and any(
            isinstance(one, Dns) and one.name.startswith(f"{CA_NAME}.") for one in csr.names
        ):
            yield "", subject.second.lower()

    def _server_dn(self, service: str, host: str) -> str:
        parts = [f"cn={ldap.dn.escape_dn_chars(part)}" for part in (service, host) if part]
        return ",".join([*parts, f"cn=masters,cn=ipa,cn=etc,{self._suffix}"])

    def _records(self, csr: Csr) -> Mapping[str, Records]:
        addresses = [reverse_name(one.address) for one in csr.names if isinstance(one, Ip)]
        if not addresses:
            return {}
        zones = {
            first_text(raw, "idnsname").removesuffix(".").lower()
            for _, raw in self._find(
                f"cn=dns,{self._suffix}", "(&(objectClass=idnsZone)(idnsZoneActive=TRUE))", ["idnsName"]
            )
        }
        found: dict[str, Records] = {}
        self._look_up(
            [*addresses, *(one.name.lower() for one in csr.names if isinstance(one, Dns))], zones, found
        )
        self._look_up([alias.lower() for one in list(found.values()) for alias in one.aliases], zones, found)
        return found

    def _look_up(self, names: Sequence[str], zones: set[str], found: dict[str, Records]) -> None:
        for name in names:
            zone = next((one for one in _above(name) if one in zones), None)
            if zone is None or name in found:
                continue
            part = name.removesuffix(zone).removesuffix(".") or "@"
            head = "" if part == "@" else f"idnsname={ldap.dn.escape_dn_chars(part)},"
            for spelled in (f"{zone}.", zone):
                base = f"{head}idnsname={ldap.dn.escape_dn_chars(spelled)},cn=dns,{self._suffix}"
                for _, raw in self._find(base, "(objectClass=idnsRecord)", ["*"], one=True):
                    found[name] = read_records(raw, zone)


def _above(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.partition(".")[2]


def _account_filters(names: Sequence[Principal]) -> Iterator[str]:
    for start in range(0, len(names), _AT_ONCE):
        yield f"(&(objectClass=krbPrincipalAux){_any('krbPrincipalName', [str(one) for one in names[start : start + _AT_ONCE]])})"


def _any(attribute: str, values: Sequence[str]) -> str:
    terms = "".join(f"({attribute}={ldap.filter.escape_filter_chars(value)})" for value in values)
    return f"(|{terms})"


def _bearing(entries: Sequence[Entry], principal: Principal) -> Entry | None:
    """Give the one entry that bears exactly this name; two that do are none."""
    found = {entry.dn: entry for entry in entries if str(principal) in entry.aliases}
    return next(iter(found.values())) if len(found) == 1 else None


def _unbind(connection: Any) -> None:  # noqa: ANN401 (python-ldap has no types)
    try:
        connection.unbind_s()
    except ldap.LDAPError:
        return
