"""The settings beside ACIs that converge makes: how each is taken out of the live server, and what it is needed for.

The server's dynamic plugins must be on (`dynamic`): a plugin then takes its settings up without a restart.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ldap
from acls_attempts import OWN, THEIRS, Attempt, Scene, add
from acls_cast import OTHER
from acls_lines import OTHER_VOICES, Line, line
from acls_world import World

from ipa_tpi_acls import memberof
from ipa_tpi_acls.containers import plugin_entry
from ipa_tpi_acls.schema import ATTRIBUTES, CLASSES

RACERS = 8
# The memberOf plugin has done its work a moment after the group was written.
PLUGIN_SECONDS = 0.1


@dataclass(frozen=True)
class Setting:
    """A setting: what it is, and how it is taken out for a while."""

    words: str
    taken_out: Callable[[World], AbstractContextManager[None]]


def dynamic(world: World) -> None:
    """Let plugins take up their settings at once."""
    world.root.modify_s("cn=config", [(ldap.MOD_REPLACE, "nsslapd-dynamic-plugins", [b"on"])])


@contextmanager
def _replaced(dn: str, name: str, value: str, world: World) -> Iterator[None]:
    ((_, has),) = world.root.search_s(dn, ldap.SCOPE_BASE)
    world.root.modify_s(dn, [(ldap.MOD_REPLACE, name, [value.encode()])])
    try:
        yield
    finally:
        world.root.modify_s(dn, [(ldap.MOD_REPLACE, name, has[name])])


@contextmanager
def _let_in(container: str, world: World) -> Iterator[None]:
    with world.without(memberof.PLUGIN, memberof.EXCLUDED, f"cn={container},{world.top}"):
        yield


@contextmanager
def _defined(kind: str, other: str, ours: str, world: World) -> Iterator[None]:
    world.root.modify_s("cn=schema", [(ldap.MOD_ADD, kind, [other.encode()])])
    try:
        yield
    finally:
        world.root.modify_s("cn=schema", [(ldap.MOD_ADD, kind, [ours.encode()])])


def _without_superior(name: str) -> Setting:
    ours = next(one for one in CLASSES if one.name == name)
    other = replace(ours, superior="top").definition()
    taken_out = partial(_defined, "objectClasses", other, ours.definition())
    return Setting(f"schema: {name} SUP {ours.superior}", taken_out)


def _with_many(name: str) -> Setting:
    ours = next(one for one in ATTRIBUTES if one.name == name)
    taken_out = partial(_defined, "attributeTypes", replace(ours, many=True).definition(), ours.definition())
    return Setting(f"schema: {name} SINGLE-VALUE", taken_out)


# Something else in the place of each setting of the uniqueness plugin.
_INSTEAD = {
    "nsslapd-pluginEnabled": "off",
    "nsslapd-pluginType": "preoperation",
    "uniqueness-attribute-name": "description",
    "uniqueness-top-entry-oc": "ipaTpiOperation",
    "uniqueness-subtree-entries-oc": "ipaTpiProof",
}
_VOICES = ("ipaTpiRequest", "ipaTpiApproval", "ipaTpiDenial")

SETTINGS = {
    setting.words: setting
    for setting in (
        *(
            Setting(f"one voice: {name}", partial(_replaced, plugin_entry().dn, name, value))
            for name, value in _INSTEAD.items()
        ),
        *(
            Setting(f"memberOf: kept out of cn={name}", partial(_let_in, name))
            for name in memberof.CONTAINERS
        ),
        *(_without_superior(name) for name in _VOICES),
        _with_many("ipaTpiExecutor"),
    )
}

# What converge also writes, and why nobody gains by its absence.
NO_PROTECTION = {
    "indexes": "searches are slower, their answers the same",
    "entries": "containers, groups, roles, privileges, permissions: without them nobody has a right",
    "one voice: nsslapd-pluginPath": "without it nothing is loaded: as nsslapd-pluginEnabled",
    "one voice: nsslapd-pluginInitfunc": "without it nothing is loaded: as nsslapd-pluginEnabled",
    "one voice: nsslapd-plugin-depends-on-type": "the order of start",
    "one voice: objectClass": "what the server demands of a plugin's entry",
    "one voice: cn": "its name",
    "one voice: nsslapd-pluginId": "shown to people",
    "one voice: nsslapd-pluginVersion": "shown to people",
    "one voice: nsslapd-pluginVendor": "shown to people",
    "one voice: nsslapd-pluginDescription": "shown to people",
}


def twice(who: str, first: str, second: str) -> Attempt:
    """Somebody speaks twice about one request."""
    added: list[str] = []

    def act(scene: Scene, _: Any) -> object:
        try:
            added.append(scene.world.add(who, scene.world.answer(first, scene.dn(THEIRS, who))))
            added.append(scene.world.add(who, scene.world.answer(second, scene.dn(THEIRS, who))))
        except ldap.CONSTRAINT_VIOLATION:
            undo(scene)
            raise
        return True

    def undo(scene: Scene) -> None:
        while added:
            scene.world.remove(added.pop())

    return Attempt(who, f"adds {first} and {second} below one request", act, undo)


def race(who: str) -> Attempt:
    """Somebody speaks many times at the same moment."""
    connections: list[Any] = []

    def act(scene: Scene, _: Any) -> object:
        while len(connections) < RACERS:
            connections.append(scene.world._bind(who))
        asked = scene.world.add("grace", scene.world.request())
        barrier = threading.Barrier(RACERS)

        def speak(connection: Any) -> bool:
            draft = scene.world.answer("ipaTpiApproval", asked)
            barrier.wait(10)
            try:
                connection.add_s(draft.dn, draft.modlist())
            except ldap.CONSTRAINT_VIOLATION:
                return False
            return True

        with ThreadPoolExecutor(RACERS) as pool:
            winners = sum(pool.map(speak, connections))
        scene.world.remove(asked)
        return winners > 1

    return Attempt(who, "adds several approvals of one request at the same moment", act)


def own_cause(who: str) -> Attempt:
    """Somebody asks and approves."""
    added: list[str] = []

    def act(scene: Scene, connection: Any) -> object:
        asked = scene.world.request()
        connection.add_s(asked.dn, asked.modlist())
        added.append(asked.dn)
        draft = scene.world.answer("ipaTpiApproval", asked.dn)
        try:
            connection.add_s(draft.dn, draft.modlist())
        except ldap.LDAPError:
            undo(scene)
            raise
        return True

    def undo(scene: Scene) -> None:
        while added:
            scene.world.remove(added.pop())

    return Attempt(who, "asks, and approves it herself", act, undo)


def trap(who: str, what: str, words: str) -> Attempt:
    """Somebody changes an entry by naming it as a member of a group of his own."""

    def act(scene: Scene, connection: Any) -> object:
        group = f"cn={uuid.uuid4()},cn=groups,cn=accounts,{scene.world.layout.suffix}"
        member = scene.dn(what, who).encode()
        connection.add_s(group, [("objectClass", [b"groupOfNames"]), ("member", [member])])
        time.sleep(PLUGIN_SECONDS)
        scene.world.root.delete_s(group)
        ((_, has),) = scene.world.root.search_s(member.decode(), ldap.SCOPE_BASE)
        return b"nsMemberOf" in has["objectClass"] or "memberOf" in has

    def undo(scene: Scene) -> None:
        scene.world.root.modify_s(scene.dn(what, who), [(ldap.MOD_DELETE, "objectClass", [b"nsMemberOf"])])

    return Attempt(who, f"changes {words} by naming it in a group of his own", act, undo)


def two_executors(who: str) -> Attempt:
    """Somebody asks two hosts with one request, and the other answers."""
    added: list[str] = []

    def act(scene: Scene, connection: Any) -> object:
        asked = scene.world.request().having(ipaTpiExecutor=scene.world.dn(OTHER))
        try:
            connection.add_s(asked.dn, asked.modlist())
        except ldap.OBJECT_CLASS_VIOLATION:
            return False
        added.append(asked.dn)
        scene.world.add(OTHER, scene.world.answer("ipaTpiResult", asked.dn))
        return True

    return Attempt(
        who,
        f"names two executors in one request, and {OTHER} adds a result",
        act,
        lambda scene: scene.world.remove(added.pop()),
    )


_TWO_VOICES = "two voices of one person"
_DENIES = "a veto, approval or request that readers no longer take for one"
SETTING_LINES: tuple[Line, ...] = (
    *(
        line(f"one voice: {name}", twice("bob", "ipaTpiApproval", "ipaTpiDenial"), _TWO_VOICES)
        for name in _INSTEAD
        if name != "nsslapd-pluginType"
    ),
    line("one voice: nsslapd-pluginType", race("bob"), _TWO_VOICES),
    line(
        ("one voice: nsslapd-pluginEnabled", f"{OTHER_VOICES}: creatorsName"),
        add("erin-admin", "ipaTpiApproval", OWN),
        "an approval in her own cause",
    ),
    line(
        ("schema: ipaTpiRequest SUP ipaTpiVoice", f"{OTHER_VOICES}: creatorsName"),
        own_cause("erin-admin"),
        "an approval in her own cause",
    ),
    line(
        "schema: ipaTpiApproval SUP ipaTpiVoice",
        twice("bob", "ipaTpiApproval", "ipaTpiApproval"),
        _TWO_VOICES,
    ),
    line("schema: ipaTpiDenial SUP ipaTpiVoice", twice("bob", "ipaTpiApproval", "ipaTpiDenial"), _TWO_VOICES),
    line(
        "schema: ipaTpiExecutor SINGLE-VALUE", two_executors("alice"), "another host's word about a request"
    ),
    line("memberOf: kept out of cn=requests", trap("adam", THEIRS, "a request"), _DENIES),
    line(
        "memberOf: kept out of cn=anchors",
        trap("adam", "ipaTpiAnchor", "an anchor"),
        "an anchor that is not read",
    ),
    line(
        "memberOf: kept out of cn=tpirules", trap("adam", "ipaTpiRule", "a rule"), "a rule that is not read"
    ),
)
