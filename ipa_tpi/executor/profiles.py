"""Operations on the certificate profiles of this host's CA: import, modify, enable, disable (D16, R-D18).

They act as the requester.  A profile gets into the CA, and is enabled there, only if nobody can get a certificate by
it past the validator (`ipa_tpi.decide.profile_guard`), whoever approves it: at import and modify that is judged on
what is sent, at enable on what the CA has.  What was written is looked at in the CA again before anybody can enrol by
it.  As with `ipa certprofile-mod`, a profile that is enabled is disabled while it is modified.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ipa_tpi.decide.profile_guard import check_guard, policies
from ipa_tpi.decide.profile_names import check_reserved
from ipa_tpi.decide.profile_text import (
    Configuration,
    check_name,
    difference,
    read_configuration,
    told_configuration,
)
from ipa_tpi.errors import (
    ActionFailedError,
    AuthorityUnavailableError,
    KerberosError,
    OutcomeUnknownError,
    RefusedError,
)
from ipa_tpi.executor.action import Act, Means, authority_of, demand_parameters, opens_no_unit
from ipa_tpi.model import FloorOperation, Json, Refuse
from ipa_tpi.ports import Profiles

_WAYS: Final = (
    "Dogtag: the ACL of certServer.profile.configuration, for people without the channel's group",
    "Dogtag: the ACL of certServer.ca.profile, likewise",
    "Dogtag: administrators' and agents' certificates on port 8443",
    "Dogtag: its console, and PKI users with passwords",
    "o=ipaca over LDAP as Directory Manager",
    "files: Dogtag's registry.cfg, and the program that profiles name, as root",
)
# What an act or a look raises once nothing more can be done about it.
_ENDS: Final = (
    ActionFailedError,
    AuthorityUnavailableError,
    KerberosError,
    RefusedError,
    OutcomeUnknownError,
)


@dataclass(frozen=True, slots=True)
class ProfileImport:
    """``dogtag.profile.import profile=NAME configuration=TEXT``: a new profile, which is not enabled.

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
        """Show the whole configuration, as it will be sent, and what each policy demands."""
        name, wanted = _wanted(parameters)
        shown: dict[str, Json] = {
            "action": "import",
            "profile": name,
            "configuration": wanted.text,
            "policies": policies(wanted.pairs),
            "note": "it will not be enabled",
        }
        return shown, self._absent(name, means)

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """See again that there is no such profile."""
        name, _ = _wanted(parameters)
        return self._absent(name, means)

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Make the profile, and look at it afterwards."""
        del timeout_seconds  # the CA's own answers end it, each within the transport's time
        name, wanted = _wanted(parameters)
        profiles = authority_of(means).profiles
        profiles.create(wanted.pairs)
        return Act(f"imported {name}{_afterwards(profiles, name, wanted, enabled=False)}")

    def _absent(self, name: str, means: Means) -> Json:
        # Dogtag compares letter by letter, and then writes over the entry whose name differs in letter case alone.
        same = [each for each in authority_of(means).profiles.names() if each.lower() == name.lower()]
        if same:
            raise ActionFailedError(
                f"there is a profile {same[0]} already; to change it: ipa-tpi create dogtag.profile.modify"
            )
        return {"profile": name, "there": False}


@dataclass(frozen=True, slots=True)
class ProfileModify:
    """``dogtag.profile.modify profile=NAME configuration=TEXT``: another configuration for a profile that is there.

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
        """Show what changes; what the CA has now is the precondition."""
        name, wanted = _wanted(parameters)
        old = _found(authority_of(means).profiles, name)
        change = difference(old, wanted)
        if not change:
            raise ActionFailedError(f"the profile {name} is like that already; there is nothing to modify")
        shown: dict[str, Json] = {
            "action": "modify",
            "profile": name,
            "state": _state(enabled=old.enabled),
            "change": change,
            "policies": policies(wanted.pairs),
        }
        if old.enabled:
            shown["note"] = "it is disabled while it is modified"
        return shown, _precondition(name, old)

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """Read again what the CA has."""
        name, _ = _wanted(parameters)
        return _precondition(name, _found(authority_of(means).profiles, name))

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Replace the configuration, look at it, and enable the profile again where it was enabled."""
        del timeout_seconds  # the CA's own answers end it, each within the transport's time
        name, wanted = _wanted(parameters)
        profiles = authority_of(means).profiles
        if not _found(profiles, name).enabled:
            profiles.replace(name, wanted.pairs)
            return Act(f"modified {name}{_afterwards(profiles, name, wanted, enabled=False)}")
        profiles.disable(name)
        try:
            profiles.replace(name, wanted.pairs)
        except (ActionFailedError, AuthorityUnavailableError, KerberosError) as error:
            _enable_again(profiles, name, f"{name} was not modified ({error.message})")
            raise ActionFailedError(
                f"{name} was not modified; it is enabled as before: {error.message}"
            ) from error
        except OutcomeUnknownError as error:
            raise OutcomeUnknownError(
                f"{name} is disabled, and may have been modified; look at it: {error.message}"
            ) from error
        self._demand_written(profiles, name, wanted)
        _enable_again(profiles, name, f"{name} was modified")
        return Act(f"modified {name}{_afterwards(profiles, name, wanted, enabled=True)}")

    def _demand_written(self, profiles: Profiles, name: str, wanted: Configuration) -> None:
        """Nobody enrols by what was not approved."""
        try:
            written = _found(profiles, name)
        except _ENDS as error:
            raise OutcomeUnknownError(
                f"{name} was modified and is disabled, since it cannot be read ({error.message}); look at it, "
                "then: ipa-tpi create dogtag.profile.enable"
            ) from error
        if written.digest != wanted.digest:
            raise OutcomeUnknownError(
                f"{name} is disabled: what the CA has is not what was approved; somebody else changes it, look at it"
            )


@dataclass(frozen=True, slots=True)
class ProfileSwitch:
    """``dogtag.profile.enable profile=NAME``, or disable: whether people can enrol by it.

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
        """Show the state before and after, and the configuration that is enabled."""
        name, found = self._switchable(parameters, means)
        shown: dict[str, Json] = {
            "action": self.verb,
            "profile": name,
            "state": _state(enabled=found.enabled),
            "state afterwards": _state(enabled=self._enables),
            "policies": policies(found.pairs),
        }
        if self._enables:
            shown["configuration"] = found.text
        return shown, _precondition(name, found)

    def precondition(self, parameters: Mapping[str, str], means: Means) -> Json:
        """Read again what the CA has."""
        return _precondition(*self._switchable(parameters, means))

    def act(self, parameters: Mapping[str, str], means: Means, timeout_seconds: int) -> Act:
        """Do it, and look at the profile afterwards."""
        del timeout_seconds  # the CA's own answer ends it, within the transport's time
        name, _ = self._switchable(parameters, means)
        profiles = authority_of(means).profiles
        if self._enables:
            profiles.enable(name)
        else:
            profiles.disable(name)
        try:
            found = _found(profiles, name)
        except _ENDS:
            return Act(f"{self.verb}d {name}; its state could not be read afterwards")
        return Act(f"{self.verb}d {name}: it is {_state(enabled=found.enabled)}")

    @property
    def _enables(self) -> bool:
        return self.verb == "enable"

    def _switchable(self, parameters: Mapping[str, str], means: Means) -> tuple[str, Configuration]:
        name = _name(parameters, "profile")
        told = authority_of(means).profiles.read(name)
        found = told_configuration(told)
        if found.enabled is self._enables:
            raise ActionFailedError(f"the profile {name} is {self.verb}d already; there is nothing to do")
        if self._enables:
            _demand_guard(_demanded(read_configuration(told, name)))  # R-D18
        return name, found


def _wanted(parameters: Mapping[str, str]) -> tuple[str, Configuration]:
    """Read what is asked for; a profile that would be open is refused before the CA hears of it (R-D18)."""
    name = _name(parameters, "profile", "configuration")
    wanted = _demanded(read_configuration(parameters["configuration"], name))
    _demand_guard(wanted)
    return name, wanted


def _name(parameters: Mapping[str, str], *expected: str) -> str:
    demand_parameters(parameters, *expected)
    name = parameters["profile"]
    refusal = check_name(name) or check_reserved(name)
    if refusal is not None:
        raise RefusedError(refusal.message, code=refusal.code)
    return name


def _demanded(read: Configuration | Refuse) -> Configuration:
    if isinstance(read, Refuse):
        raise RefusedError(read.message, code=read.code)
    return read


def _demand_guard(configuration: Configuration) -> None:
    refusal = check_guard(configuration.pairs)
    if refusal is not None:
        raise RefusedError(refusal.message, code=refusal.code)


def _found(profiles: Profiles, name: str) -> Configuration:
    return told_configuration(profiles.read(name))


def _precondition(name: str, found: Configuration) -> Json:
    return {"profile": name, "configuration": found.digest, "enabled": found.enabled}


def _state(*, enabled: bool) -> str:
    return "enabled" if enabled else "disabled"


def _enable_again(profiles: Profiles, name: str, before: str) -> None:
    try:
        profiles.enable(name)
    except _ENDS as error:
        raise OutcomeUnknownError(
            f"{before}, and could not be enabled again: {error.message}; look at it, "
            "then: ipa-tpi create dogtag.profile.enable"
        ) from error


def _afterwards(profiles: Profiles, name: str, wanted: Configuration, *, enabled: bool) -> str:
    # It is done; that the state afterwards cannot be told does not make it undone.
    try:
        found = _found(profiles, name)
    except _ENDS:
        return "; it could not be read afterwards"
    if found.digest != wanted.digest or found.enabled is not enabled:
        raise OutcomeUnknownError(
            f"what the CA has as {name} is not what was approved; somebody else changes it, look at it"
        )
    return f": it is {_state(enabled=found.enabled)}"
