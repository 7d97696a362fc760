"""What FreeIPA checks before a certificate is requested, in FreeIPA's order (facts B.1).

::

     1  this server has a CA
     2  the CA that is asked for exists
     3  (the CA's own profiles are refused before: `environment`)
     4  krbtgt: its one profile, our realm's own
     5  the subject exists
     6  the caller is who the ticket says, by the canonical name and the entry
     7  for another subject: the right `request certificate`, unless the caller is a host
     8  the CA ACLs permit the subject, unless the caller has `request certificate ignore caacl`
     9  (the request has one CN: `csr`)
    10  the CN, and the subject's addresses, are the subject's
    11  the caller may write the subject's userCertificate
    12  each alternative name, in order
    13  the IP addresses among them

What the framework lets pass and this does not: a principal whose entry lies where another kind lies, an alias as
the caller's name.  It never adds a service (``--add``): what does not exist is refused.
Time, network and files play no part here: a decision follows from the `Case` alone.
"""

from collections.abc import Callable
from typing import Final

from ipa_tpi.decide.altnames import AltName, Dns, Ip, Mail, Named, Unknown
from ipa_tpi_validator.addresses import check_addresses
from ipa_tpi_validator.caacl import Subject, permits
from ipa_tpi_validator.case import REQUEST, Case
from ipa_tpi_validator.principals import Principal, read_or_none, same_name
from ipa_tpi_validator.refusal import Refusal, access, invalid, missing, shown
from ipa_tpi_validator.snapshot import Entry, Kind

KDC_PROFILE: Final = "KDCs_PKINIT_Certs"
CA_NAME: Final = "ipa-ca"

Check = Callable[[Case], Refusal | None]


def decide(case: Case) -> Refusal | None:
    """Decide.

    Args:
        case: All the facts.

    Returns:
        None where nothing speaks against it, or the first refusal.
    """
    for check in CHECKS:
        refusal = check(case)
        if refusal is not None:
            return refusal
    return None


def check_ca(case: Case) -> Refusal | None:
    """1, 2: this server has a CA, and the one that is asked for exists."""
    if not case.snapshot.ca_configured:
        return missing("CA is not configured", "no-ca")
    if case.ca is None:
        return missing("certificate authority not found", "ca")
    return None


def check_subject(case: Case) -> Refusal | None:
    """4, 5: the subject is our realm's krbtgt with its own profile, or an entry of the kind of its name."""
    subject, entry = case.subject, case.snapshot.subject
    if subject.is_krbtgt:
        if case.question.profile != KDC_PROFILE:
            return access(f"krbtgt certs can use only the {KDC_PROFILE} profile", "krbtgt-profile")
        if subject.second != case.place.realm:
            return missing("Not our realm's krbtgt", "krbtgt-realm")
        return None
    canonical = read_or_none(entry.canonical, case.place.realm) if entry is not None else None
    if (
        entry is None
        or canonical is None
        or entry.kind is not _kind(subject)
        or entry.kind is not _kind(canonical)
        or (entry.kind is Kind.SERVICE and canonical.first != subject.first)
    ):
        return missing("The principal for this request doesn't exist.", "no-subject")
    return None


def check_operator(case: Case) -> Refusal | None:
    """6: the caller is one entry, bound as such, by its canonical name and in the place of its kind."""
    entry, user = case.snapshot.operator, case.question.user
    if (
        entry is None
        or entry.dn != case.snapshot.bound
        or entry.canonical != str(user)
        or entry.kind is not _kind(user)
    ):
        return access(f"'{shown(str(user))}' is no account's own name; run kinit with that", "operator")
    return None


def check_right(case: Case) -> Refusal | None:
    """7: who asks for another has the right to."""
    if case.question.user.is_host or str(case.question.user) == _canonical(case):
        return None
    right = case.snapshot.operations.get(REQUEST)
    if right is None:
        return access("No such virtual command", "no-operation")
    if not right:
        return access(f"not allowed to perform operation: {REQUEST}", "no-right")
    return None


def check_acls(case: Case) -> Refusal | None:
    """8: CA ACLs."""
    if case.ignores_acls:
        return None
    if case.subject.is_krbtgt:
        return _check_kdc(case, case.operator_host)
    return _check_acls(case, _kerberos(case), case.snapshot.subject)


def check_common_name(case: Case) -> Refusal | None:
    """10: the CN, and the addresses beside it, are the subject's."""
    name, subject = case.csr.common_name, case.subject
    if subject.is_krbtgt:
        if case.ignores_acls or same_name(name, case.operator_host):
            return None
        text = f"hostname in subject of request '{shown(name)}' does not match principal hostname '{case.operator_host}'"
        return access(text, "cn")
    entry = case.snapshot.subject
    if not subject.is_user:
        if _is_alias(name, case):
            return None
        text = f"hostname in subject of request '{shown(name)}' does not match name or aliases of principal '{_canonical(case)}'"
        return invalid(text, "cn")
    if name != _kerberos(case).first:
        return invalid("DN commonName does not match user's login", "cn")
    if not _are_own(case.csr.mails, entry):
        return invalid("DN emailAddress does not match any of user's email addresses", "mail")
    return None


def check_write(case: Case) -> Refusal | None:
    """11: the caller may write the subject's userCertificate."""
    entry = case.snapshot.subject
    if case.subject.is_krbtgt or (entry is not None and entry.writable):
        return None
    where = shown(entry.dn) if entry is not None else ""
    text = f"Insufficient 'write' privilege to the 'userCertificate' attribute of entry '{where}'."
    return access(text, "no-write")


def check_names(case: Case) -> Refusal | None:
    """12, 13: each alternative name, then the addresses."""
    for name in case.csr.names:
        refusal = _check_name(name, case)
        if refusal is not None:
            return refusal
    wanted = [name.address for name in case.csr.names if isinstance(name, Ip)]
    if not wanted:
        return None
    return check_addresses(wanted, _full_names(case), case.snapshot.records)


CHECKS: Final[tuple[Check, ...]] = (
    check_ca,
    check_subject,
    check_operator,
    check_right,
    check_acls,
    check_common_name,
    check_write,
    check_names,
)


def _check_name(name: AltName, case: Case) -> Refusal | None:
    is_user = case.subject.is_user
    match name:
        case Unknown(kind):
            return access(f"Subject alt name type {kind} is forbidden", "name-kind")
        case Dns() | Ip() if is_user:
            kind = "DNSName" if isinstance(name, Dns) else "IPAddress"
            return invalid(f"subject alt name type {kind} is forbidden for user principals", "name-for-user")
        case Mail() if not is_user:
            return invalid(
                "subject alt name type RFC822Name is forbidden for non-user principals", "mail-for-host"
            )
        case Mail(address):
            return _check_mail(address, case)
        case Named(principal):
            return _check_principal(principal, case)
        case Dns(host):
            return _check_host(host, case)
        case _:
            return None  # addresses: all together, later


def _check_mail(address: str, case: Case) -> Refusal | None:
    if _are_own((address,), case.snapshot.subject):
        return None
    return invalid("RFC822Name does not match any of user's email addresses", "mail")


def _check_principal(principal: str, case: Case) -> Refusal | None:
    if principal in _aliases(case):
        return None
    text = f"Principal '{shown(principal)}' in subject alt name does not match requested principal"
    return invalid(text, "principal")


def _check_host(host: str, case: Case) -> Refusal | None:
    subject = case.subject
    is_ca_name = host == f"{CA_NAME}.{case.place.domain}"
    if is_ca_name and subject.first == "HTTP" and _kerberos(case).second.lower() in case.snapshot.servers:
        return None
    if _is_alias(host, case):
        return None
    if subject.is_krbtgt:
        return None if case.ignores_acls else _check_kdc(case, host)
    entry = _other(host, case)
    if entry is None or entry.kind is not _kind(subject):
        text = (
            f"The service principal for subject alt name {shown(host)} in certificate request does not exist"
        )
        return missing(text, "no-other")
    if not entry.writable:
        text = f"Insufficient privilege to create a certificate with subject alt name '{shown(host)}'."
        return access(text, "no-write-other")
    return None if case.ignores_acls else _check_acls(case, subject.at(host), entry)


def _check_acls(case: Case, principal: Principal, entry: Entry | None) -> Refusal | None:
    ca, profile = case.ca or "", case.question.profile
    names = {Kind.USER: principal.first, Kind.HOST: principal.second, Kind.SERVICE: str(principal)}
    groups = entry.groups if entry is not None else frozenset()
    kind = _kind(principal)
    if permits(case.snapshot.acls, ca, profile, Subject(kind, names[kind], groups)):
        return None
    text = f"Principal '{shown(str(principal))}' is not permitted to use CA '{shown(ca)}' with profile '{profile}' for certificate issuance."
    return access(text, "ca-acl")


def _check_kdc(case: Case, host: str) -> Refusal | None:
    if host.lower() in case.snapshot.kdcs:
        return None
    return access(f"Host '{shown(host)}' is not an active KDC", "not-kdc")


def _full_names(case: Case) -> list[str]:
    """List the names of hosts by which addresses may be reached: those that an entry bears in full."""
    names = [name.name for name in case.csr.names if isinstance(name, Dns)]
    return [name for name in names if _is_alias(name, case) or _is_other(name, case)]


def _is_other(host: str, case: Case) -> bool:
    entry = _other(host, case)
    return entry is not None and _bears(entry, case.subject.first, host, case)


def _other(host: str, case: Case) -> Entry | None:
    """Find the entry of the same service on another host; that of a host by its own name only, as FreeIPA does."""
    entry = case.snapshot.others.get(case.subject.at(host.lower()))
    if entry is not None and entry.kind is Kind.HOST and not same_name(entry.name, host):
        return None
    return entry


def _is_alias(host: str, case: Case) -> bool:
    entry = case.snapshot.subject
    return entry is not None and _bears(entry, case.subject.first, host, case)


def _bears(entry: Entry, service: str, host: str, case: Case) -> bool:
    aliases = (read_or_none(alias, case.place.realm) for alias in entry.aliases)
    return any(
        alias is not None and alias.second and alias.first == service and same_name(alias.second, host)
        for alias in aliases
    )


def _are_own(mails: tuple[str, ...], entry: Entry | None) -> bool:
    own = {_lower_domain(mail) for mail in entry.mails} if entry is not None else set()
    return all(_lower_domain(mail) in own for mail in mails)


def _lower_domain(mail: str) -> str:
    local, at, domain = mail.partition("@")
    return f"{local}{at}{domain.lower()}"


def _aliases(case: Case) -> frozenset[str]:
    if case.subject.is_krbtgt:
        return frozenset({str(case.subject)})
    return case.snapshot.subject.aliases if case.snapshot.subject is not None else frozenset()


def _canonical(case: Case) -> str:
    entry = case.snapshot.subject
    return entry.canonical if entry is not None else str(case.subject)


def _kerberos(case: Case) -> Principal:
    return read_or_none(_canonical(case), case.place.realm) or case.subject


def _kind(principal: Principal) -> Kind:
    if principal.is_user:
        return Kind.USER
    return Kind.HOST if principal.is_host else Kind.SERVICE
