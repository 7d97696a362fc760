"""A directory whose guards are off, as a compromised Directory Manager would leave it.

The ACIs of cn=tpi and below give everybody who is bound everything, and the plugin that counts voices
is off.  What was there comes back at the end, and is read back.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import ldap
from realm_directory import restart_directory
from world import SUFFIX, World

TOP = f"cn=tpi,{SUFFIX}"
PLUGIN = "cn=ipa-tpi one voice a person,cn=plugins,cn=config"
EVERYTHING = '(targetattr = "* || aci")(version 3.0; acl "lawless"; allow (all, selfwrite, moddn, proxy) userdn = "ldap:///all";)'


class Lawless:
    """Switches the guards off on entry and on again on exit.

    Args:
        world: The box.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._acis: dict[str, list[bytes]] = {}

    def __enter__(self) -> Self:
        """Switch them off."""
        root = self._world.root()
        self._acis = _acis(root)
        root.modify_s(PLUGIN, [(ldap.MOD_REPLACE, "nsslapd-pluginEnabled", [b"off"])])
        restart_directory(self._world)
        root = self._world.root()
        for dn in self._acis:
            root.modify_s(dn, [(ldap.MOD_REPLACE, "aci", None)])
        root.modify_s(TOP, [(ldap.MOD_REPLACE, "aci", [EVERYTHING.encode()])])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch them on."""
        root = self._world.root()
        for dn in _acis(root).keys() - self._acis.keys():
            root.modify_s(dn, [(ldap.MOD_REPLACE, "aci", None)])
        for dn, values in self._acis.items():
            root.modify_s(dn, [(ldap.MOD_REPLACE, "aci", values)])
        root.modify_s(PLUGIN, [(ldap.MOD_REPLACE, "nsslapd-pluginEnabled", [b"on"])])
        restart_directory(self._world)
        root = self._world.root()
        assert _acis(root) == self._acis
        ((_, plugin),) = root.search_s(PLUGIN, ldap.SCOPE_BASE, "(objectClass=*)", ["nsslapd-pluginEnabled"])
        assert plugin["nsslapd-pluginEnabled"] == [b"on"]


def _acis(root: Any) -> dict[str, list[bytes]]:
    found = root.search_s(TOP, ldap.SCOPE_SUBTREE, "(aci=*)", ["aci"])
    return {dn.lower(): sorted(raw["aci"]) for dn, raw in found}
