"""The subsystems of Dogtag that people of the realm reach: what each guards, and where it looks for who may (D06, D07)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ipa_tpi.errors import ConfigError
from ipa_tpi_acls.dogtag.declaration import CA_GRANTS, KRA_GRANTS, Grant
from ipa_tpi_acls.dogtag.entry import NAME

_INSTANCE: Final = re.compile(r"authz\.instance\.([^.]+)\.(realm|searchBase)")


@dataclass(frozen=True, slots=True)
class Subsystem:
    """One of Dogtag's subsystems.

    Attributes:
        name: As Dogtag calls it.
        base: Its base DN as FreeIPA has it.
        grants: Who may do what there.
    """

    name: str
    base: str
    grants: tuple[Grant, ...]

    def properties(self) -> Path:
        """Find its own list of resources: what the instance has of its own comes first.

        Raises:
            ConfigError: Whether there is such a file cannot be seen.
        """
        own = Path(f"/var/lib/pki/pki-tomcat/{self.name}/conf/acl.properties")
        try:
            exists = own.exists()
        except OSError as error:
            raise ConfigError(f"{own} cannot be looked at ({error}); run this as root") from error
        return own if exists else Path(f"/usr/share/pki/{self.name}/conf/acl.properties")

    @property
    def configuration(self) -> Path:
        """Its CS.cfg."""
        return Path(f"/etc/pki/pki-tomcat/{self.name}/CS.cfg")


SUBSYSTEMS: Final[Mapping[str, Subsystem]] = {
    "ca": Subsystem("ca", "o=ipaca", CA_GRANTS),
    "kra": Subsystem("kra", "o=kra,o=ipaca", KRA_GRANTS),
}


def demand_searched(configuration: Path) -> None:
    """Make sure that the entry is what Dogtag will judge people of a realm by, as far as it is configured.

    Args:
        configuration: A subsystem's CS.cfg; where there is none, or no realm in it yet, nothing is demanded.

    Raises:
        ConfigError: It cannot be read, or a realm is judged by another entry: Dogtag's own, which is for its own
            users and would then be ours to write, or one that we do not keep.
    """
    try:
        text = configuration.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{configuration} cannot be read ({error}); run this as root") from error
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    instances = {
        found[1] for name in settings if (found := _INSTANCE.fullmatch(name)) and found[2] == "realm"
    }
    for instance in sorted(instances):
        name = f"authz.instance.{instance}.searchBase"
        searched = settings.get(name, "").strip()
        if searched.lower().replace(" ", "") != f"cn={NAME}":
            where = searched or "cn=aclResources, which is for Dogtag's own users"
            raise ConfigError(
                f"Dogtag would judge people of the realm by {where}, and would not read what is written here; "
                f"set {name}=cn={NAME} in {configuration}"
            )
