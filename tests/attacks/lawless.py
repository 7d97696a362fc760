"""A directory whose guards are off, as a compromised Directory Manager would leave it.

The ACIs of cn=tpi and below give everybody who is bound everything, and the plugin that counts voices
is off.  What was there comes back at the end, and is read back.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import gssapi
import ldap
from straight import health
from world import EXECUTOR, HOST, LDAPI, REALM, SUFFIX, World, eventually, make_proof

TOP = f"cn=tpi,{SUFFIX}"
PLUGIN = "cn=ipa-tpi one voice a person,cn=plugins,cn=config"
DIRECTORY = "dirsrv@TPI-TEST.service"
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
        self._restart()
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
        self._restart()
        root = self._world.root()
        assert _acis(root) == self._acis
        ((_, plugin),) = root.search_s(PLUGIN, ldap.SCOPE_BASE, "(objectClass=*)", ["nsslapd-pluginEnabled"])
        assert plugin["nsslapd-pluginEnabled"] == [b"on"]

    def _restart(self) -> None:
        """Restart the realm's directory, and wait for all that live from it."""
        self._world.systemctl("restart", DIRECTORY)
        eventually(lambda: _answers(self._world))
        # The KDC has the directory for its database, and reconnects when it is next asked.
        eventually(lambda: self._world.kinit("alice").status == 0)
        eventually(lambda: self._ticket("alice"))
        if self._world.show(EXECUTOR, "ActiveState") != "active":
            self._world.systemctl("restart", EXECUTOR)
        eventually(lambda: health().get("watching"))

    def _ticket(self, person: str) -> bool:
        try:
            make_proof(f"FILE:{self._world.ccache(person)}", b"", f"tpi/{HOST}@{REALM}")
        except gssapi.exceptions.GSSError:
            time.sleep(0.1)
            return False
        return True


def _acis(root: Any) -> dict[str, list[bytes]]:
    found = root.search_s(TOP, ldap.SCOPE_SUBTREE, "(aci=*)", ["aci"])
    return {dn.lower(): sorted(raw["aci"]) for dn, raw in found}


def _answers(world: World) -> bool:
    try:
        ldap.initialize(LDAPI).simple_bind_s()
        world.root().search_s(TOP, ldap.SCOPE_BASE)
    except ldap.LDAPError:
        time.sleep(0.1)
        return False
    return True
