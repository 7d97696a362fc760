"""Operations on the sub-CAs of this host's CA (Dogtag's lightweight CAs): create, enable, disable (D16).

They act as the requester.  A sub-CA is made by its name and subject, and is a child of the CA itself, as with
`ipa ca-add`; afterwards it is known by the id that Dogtag gave it.  What FreeIPA writes about it in its own directory
is not made here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ipa_tpi.decide.authority_name import check_label, check_subject, comparable
from ipa_tpi.decide.intake import check_text
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    KerberosError,
    OutcomeUnknownError,
    RefusedError,
)
from ipa_tpi.executor.action import Act, Means, authority_of, demand_parameters, opens_no_unit
from ipa_tpi.model import FloorOperation, Json
from ipa_tpi.ports import IssuingAuthority

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WAYS: Final = (
    "Dogtag: the ACL of certServer.ca.authorities, for people without the channel's group",
    "Dogtag: administrators' certificates on port 8443",
    "Dogtag: its console, and PKI users with passwords",
    "o=ipaca over LDAP as Directory Manager",
)


@dataclass(frozen=True, slots=True)
class AuthorityCreate:
    """``dogtag.ca.create name=NAME subject=DN``: a sub-CA with a key of its own, which is enabled.

    Attributes:
        other_ways: See `action.Operation`.
        needs_ticket: The same.
    """

    other_ways: tuple[str, ...] = _WAYS
    needs_ticket: bool = True

    def units(self, floor: FloorOperation) -> Mapping[str, frozenset[str]]:
        """None: systemd has no part in it."""
        return opens_no_unit(floor)

    def preview(self, parameters: Mapping[str, str], means: Means) -> tuple[Json, Json]:
        """Show what would be made, and by whom its certificate would be issued."""
        parent = self._parent(parameters, means)
        shown: dict[str, Json] = {
            "action": "create",
            "name": parameters["name"],
            "subject": parameters["subject"],
            "parent": parent.id,
            "issuer": parent.subject,
        }
        return shown, self._precondition(parent)

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """See again who would issue it, and that there is none like it."""
        return self._precondition(self._parent(parameters, means))

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Make it, and look at what was made."""
        del timeout_seconds  # the CA's own answer ends it, within the transport's time
        parent = self._parent(parameters, means)
        name, subject = parameters["name"], parameters["subject"]
        made = authority_of(means).authorities.create(parent.id, subject, name)
        if comparable(made.subject) != comparable(subject) or made.parent != parent.id:
            raise OutcomeUnknownError(
                f"the CA made {made.id}, {made.subject!a}, which is not what was approved; disable it, and look at it"
            )
        return Act(f"created {name}, {made.subject}: {_told(made)}; its id is {made.id}")

    def _parent(self, parameters: Mapping[str, str], means: Means) -> IssuingAuthority:
        demand_parameters(parameters, "name", "subject")
        name, subject = parameters["name"], parameters["subject"]
        refusal = check_label(name) or check_subject(subject)
        if refusal is not None:
            raise RefusedError(refusal.message, code=refusal.code)
        there = authority_of(means).authorities.known()
        for each in there:
            if comparable(each.subject) == comparable(subject) or each.description.lower() == name.lower():
                raise ActionFailedError(
                    f"there is a CA {each.description!a} with the subject {each.subject!a} already; take another name"
                )
        return _itself(there)

    def _precondition(self, parent: IssuingAuthority) -> Json:
        return {"parent": parent.id, "issuer": parent.subject, "enabled": parent.enabled}


@dataclass(frozen=True, slots=True)
class AuthoritySwitch:
    """``dogtag.ca.enable authority=ID``, or disable: whether a sub-CA issues certificates.

    Attributes:
        verb: enable or disable.
        other_ways: See `action.Operation`.
        needs_ticket: The same.
    """

    verb: str
    other_ways: tuple[str, ...] = _WAYS
    needs_ticket: bool = True

    def units(self, floor: FloorOperation) -> Mapping[str, frozenset[str]]:
        """None: systemd has no part in it."""
        return opens_no_unit(floor)

    def preview(self, parameters: Mapping[str, str], means: Means) -> tuple[Json, Json]:
        """Show the sub-CA, and its state before and after."""
        found = self._switchable(parameters, means)
        shown: dict[str, Json] = {
            "action": self.verb,
            "authority": found.id,
            "name": found.description,
            "subject": found.subject,
            "issuer": found.issuer,
            "serial": found.serial,
            "state": _told(found),
            "state afterwards": f"{self.verb}d",
        }
        return shown, _state(found)

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """Read the sub-CA's state again."""
        return _state(self._switchable(parameters, means))

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Do it, and look at the sub-CA afterwards."""
        del timeout_seconds  # the CA's own answer ends it, within the transport's time
        wanted = self._id(parameters)
        authorities = authority_of(means).authorities
        if self.verb == "enable":
            authorities.enable(wanted)
        else:
            authorities.disable(wanted)
        # It is done; that the state afterwards cannot be told does not make it undone.
        try:
            found = _named(authorities.known(), wanted)
        except (ActionFailedError, AuthorityUnavailableError, KerberosError, RefusedError):
            return Act(f"{self.verb}d {wanted}; its state could not be read afterwards")
        return Act(f"{self.verb}d {wanted}, {_plain(found.subject)}: it is {_told(found)}")

    def _switchable(self, parameters: Mapping[str, str], means: Means) -> IssuingAuthority:
        wanted = self._id(parameters)
        there = authority_of(means).authorities.known()
        found = _named(there, wanted)
        if found == _itself(there):
            raise ActionFailedError(
                f"{wanted} is the CA itself, which is neither enabled nor disabled; give the id of a sub-CA"
            )
        if found.enabled is (self.verb == "enable"):
            raise ActionFailedError(f"the sub-CA {wanted} is {self.verb}d already; there is nothing to do")
        return found

    def _id(self, parameters: Mapping[str, str]) -> str:
        demand_parameters(parameters, "authority")
        if _ID.fullmatch(parameters["authority"]) is None:
            raise RefusedError(
                f"{parameters['authority']!a} is no id of a CA; give the Authority ID that this shows: ipa ca-find",
                code="bad-parameters",
            )
        return parameters["authority"]


def _itself(there: Sequence[IssuingAuthority]) -> IssuingAuthority:
    roots = [each for each in there if not each.parent]
    if len(roots) != 1:
        raise AuthorityUnavailableError("the CA did not tell which one it is itself; see its debug log")
    return roots[0]


def _named(there: Sequence[IssuingAuthority], wanted: str) -> IssuingAuthority:
    for each in there:
        if each.id == wanted:
            return each
    raise RefusedError(
        f"the CA has no sub-CA {wanted}; list them with their Authority ID: ipa ca-find",
        code="bad-parameters",
    )


def _state(found: IssuingAuthority) -> Json:
    return {
        "authority": found.id,
        "subject": found.subject,
        "serial": found.serial,
        "enabled": found.enabled,
    }


def _told(found: IssuingAuthority) -> str:
    state = "enabled" if found.enabled else "disabled"
    return state if found.ready else f"{state}, without its key yet"


def _plain(subject: str) -> str:
    """Give a DN that somebody else chose as it is, unless it could show as something else (R-K11)."""
    return subject if check_text(subject, "subject") is None else ascii(subject)
