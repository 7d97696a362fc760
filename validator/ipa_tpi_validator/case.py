"""One decision's facts, and what they have to be about: for whom a certificate is asked."""

from dataclasses import dataclass
from typing import Final

from ipa_tpi.decide.altnames import Dns, Named
from ipa_tpi.decide.csr import Csr
from ipa_tpi_validator.caacl import HOST_CA
from ipa_tpi_validator.environment import Question
from ipa_tpi_validator.principals import Principal, read_or_none, same_name
from ipa_tpi_validator.snapshot import Snapshot

REQUEST: Final = "request certificate"
IGNORE_CAACL: Final = "request certificate ignore caacl"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the decision is made.

    Attributes:
        realm: Our realm.
        domain: Our DNS domain.
    """

    realm: str
    domain: str


@dataclass(frozen=True, slots=True)
class Case:
    """One decision's facts.

    Attributes:
        place: Where.
        question: What is asked.
        csr: What the request asks for.
        subject: For whom.
        snapshot: What the directory says.
    """

    place: Place
    question: Question
    csr: Csr
    subject: Principal
    snapshot: Snapshot

    @property
    def ca(self) -> str | None:
        """The name of the CA that is asked for; None where there is none."""
        found = self.snapshot.cas
        if not self.question.authority:
            return HOST_CA if HOST_CA in found.values() else None
        return found.get(self.question.authority)

    @property
    def ignores_acls(self) -> bool:
        """Whether the caller is above CA ACLs."""
        return self.snapshot.operations.get(IGNORE_CAACL) is True

    @property
    def operator_host(self) -> str:
        """The host of the caller's principal; empty for a user's."""
        return self.question.user.second


def subject_of(question: Question, csr: Csr) -> Principal:
    """Tell for whom a certificate is asked; every check is about this principal.

    Dogtag conveys it in no way of its own.  What a variable says counts; else the first principal of our realm among
    the alternative names; else the caller, where the CN is his; else the host, or the user, that the CN names.

    Args:
        question: What is asked.
        csr: What the request asks for.

    Returns:
        The principal; nothing is known of it yet.
    """
    user, name = question.user, csr.common_name
    if question.subject is not None:
        return question.subject
    for one in csr.names:
        if isinstance(one, Named):
            found = read_or_none(one.principal, user.realm)
            if found is not None:
                return found
    if name == user.first if user.is_user else same_name(name, user.second):
        return user
    return Principal("host", name.lower(), user.realm) if "." in name else Principal(name, "", user.realm)


def wanted_principals(csr: Csr, subject: Principal) -> tuple[Principal, ...]:
    """List the principals whose entries the alternative names of hosts ask for.

    Args:
        csr: What the request asks for.
        subject: For whom.
    """
    if subject.is_user or subject.is_krbtgt:
        return ()
    return tuple(subject.at(one.name.lower()) for one in csr.names if isinstance(one, Dns))
