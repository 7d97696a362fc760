"""CS.cfg of CA and KRA: an authorisation instance for the realm, with ACLs in an entry of its own (D06).

Dogtag takes for `alice@REALM` the first instance whose `realm`, a comma list compared without trimming, names the
realm; with none it answers 403. So:

1. An instance that names our realm and has our settings is the one, whatever it is called: nothing to do.
2. An instance of our name with some of our settings and none against them is completed.
3. An instance that names our realm with other settings, or our name with another's, is refused.
4. A running subsystem writes its CS.cfg back: nothing is changed until it is stopped.
5. One that was stopped while it wrote leaves a file that is cut off (seen: 8192 bytes of 85 KB), and does not start
   again. Such a file is refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ipa_tpi.errors import ConfigError, RefusedError
from ipa_tpi_upgrade import properties
from ipa_tpi_upgrade.difference import redact_lines
from ipa_tpi_upgrade.file_step import FileStep
from ipa_tpi_upgrade.step import Change

_PREFIX = "authz.instance."
_PLUGIN = "DirAclAuthz"
# Every subsystem has it, and Dogtag, which sorts what it writes, writes it last.
_LAST = "usrgrp.ldap"


@dataclass(frozen=True)
class Instance:
    """The instance.

    Args:
        realm: Kerberos realm whose principals it decides about.
        search_base: The entry that holds its ACLs, relative to the subsystem's suffix.
        name: What it is called.
    """

    realm: str
    search_base: str = "cn=tpi-acls"
    name: str = "TPI"

    def settings(self) -> dict[str, str]:
        """Return its settings, in the order in which Dogtag sorts them."""
        return {
            "ldap": "internaldb",  # the subsystem's own connection and suffix
            "pluginName": _PLUGIN,
            "realm": self.realm,
            "searchBase": self.search_base,
        }


def authz_step(
    subsystem: str, instance: Instance, *, is_stopped: Callable[[], bool], path: Path | None = None
) -> FileStep:
    """Return the step for one subsystem.

    Args:
        subsystem: `ca` or `kra`.
        instance: What has to be there.
        is_stopped: Tells whether the subsystem's process is certainly not running.
        path: Its CS.cfg; that of FreeIPA's instance when left out.
    """

    def ready() -> None:
        if not is_stopped():  # R-D06
            raise RefusedError(
                f"the {subsystem.upper()} is running, and would write its own CS.cfg over this change. Stop it "
                "(systemctl stop pki-tomcatd@pki-tomcat), and try again."
            )

    where = path or Path("/etc/pki/pki-tomcat") / subsystem / "CS.cfg"
    return FileStep(f"dogtag.{subsystem}.authz", where, _Authz(instance, subsystem.upper()), ready)


class _Authz:
    """The editor: it only ever adds lines, or takes out its own."""

    def __init__(self, instance: Instance, subsystem: str) -> None:
        self._instance = instance
        self._subsystem = subsystem

    def wanted(self, data: bytes) -> tuple[Change, ...]:
        """Compare; see `Editor.wanted`."""
        settings = properties.settings(data)
        found = _instances(settings)  # R-D06
        _anchor(data)
        self._demand_whole(settings)
        serving = [name for name, settings in found.items() if self._names_realm(name, settings)]
        if serving and not self._is_right(serving, found):
            return ()
        ours = found.get(self._instance.name, {})
        return tuple(self._lacking(ours))

    def value(self, data: bytes, place: tuple[str, ...]) -> str | None:
        """Return a setting."""
        return properties.settings(data).get(place[0])

    def put(self, data: bytes, place: tuple[str, ...], value: str | None) -> bytes:
        """Add a line behind the last one about instances, or take ours out."""
        if value is None:
            return properties.remove(data, place[0])
        return properties.insert(data, _anchor(data), place[0], value)

    def redact(self, text: str) -> str:
        """Hide passwords."""
        return redact_lines(text)

    def _demand_whole(self, settings: dict[str, str]) -> None:
        """Refuse what another subsystem would read, or none."""
        if settings.get("cs.type") != self._subsystem or _LAST not in settings:
            raise ConfigError(
                f"it lacks cs.type={self._subsystem} or {_LAST}, so it is no whole CS.cfg of a {self._subsystem}, as if "
                "Dogtag had been stopped while it wrote it. Put CS.cfg.bak, which lies beside it, in its place."
            )

    def _names_realm(self, name: str, settings: dict[str, str]) -> bool:
        """Tell whether an instance is for our realm; refuse where it only looks so."""
        listed = settings.get("realm", "").split(",")
        if self._instance.realm in listed:
            return True
        if self._instance.realm in {each.strip() for each in listed}:
            raise RefusedError(
                f"{_PREFIX}{name}.realm names {self._instance.realm} with a blank beside it, which Dogtag takes for "
                "part of the name. Remove the blank, and try again."
            )
        return False

    def _is_right(self, serving: list[str], found: dict[str, dict[str, str]]) -> bool:
        """Tell whether the instance for our realm still lacks something; refuse where it is against us."""
        if len(serving) > 1:
            raise RefusedError(
                f"several instances are for the realm {self._instance.realm}: {', '.join(serving)}. Dogtag takes any "
                "one of them; leave one."
            )
        settings = found[serving[0]]
        wished = {name: value for name, value in self._instance.settings().items() if name != "realm"}
        against = [name for name, value in wished.items() if settings.get(name, value) != value]
        lacking = [name for name in wished if name not in settings]
        if against or (lacking and serving[0] != self._instance.name):
            shown = ", ".join(f"{name}={settings.get(name, '')}" for name in [*against, *lacking])
            raise RefusedError(
                f"{_PREFIX}{serving[0]} is for the realm {self._instance.realm} with {shown}, so our ACLs would not be "
                "read. Remove that instance, or take the realm out of it."
            )
        return bool(lacking)

    def _lacking(self, ours: dict[str, str]) -> Iterator[Change]:
        """Yield the lines that our instance lacks."""
        for name, value in self._instance.settings().items():
            there = ours.get(name)
            if there is None:
                yield Change((f"{_PREFIX}{self._instance.name}.{name}",), None, value)
            elif there != value and not (name == "realm" and self._instance.realm in there.split(",")):
                raise RefusedError(
                    f"{_PREFIX}{self._instance.name} is there with {name}={there}: the name is taken. Give ours another "
                    "name, or remove that instance if nobody needs it."
                )


def _instances(settings: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return every instance's settings."""
    found: dict[str, dict[str, str]] = {}
    for key, value in settings.items():
        if key.startswith(_PREFIX):
            name, dot, setting = key.removeprefix(_PREFIX).partition(".")
            if dot:
                found.setdefault(name, {})[setting] = value
    return found


def _anchor(data: bytes) -> properties.Line:
    """Return the last line about instances, behind which ours go."""
    found = [line for line in properties.lines(data) if (line.name or "").startswith(_PREFIX)]
    if not found:
        raise ConfigError(
            f"it has no line that begins with {_PREFIX}, so it is no CS.cfg of a Dogtag subsystem. Check the path."
        )
    if found[-1].is_unfinished:
        raise ConfigError(
            "its last line ends with a backslash and joins what is not there. Correct it first."
        )
    return found[-1]
